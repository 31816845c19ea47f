"""The code that a command is given with, and the files that it names, as they were when first asked.

The requests of one command share it: a sweep of fifty runs takes one snapshot, and reads its weights once.
"""

from __future__ import annotations

from functools import cache, cached_property

from seqtrack.runs import code, identity, repository
from seqtrack.runs.repository import Snapshot

TRAIN_MODULE = "seqtrack.pipeline.train_trial"
ASSESS_MODULE = "seqtrack.pipeline.assess_trial"
# Imported on the way (a family makes trackers too) but without a say in what is learned.
NOT_LEARNED_FROM = ("seqtrack.tracking", "seqtrack.assessment", "seqtrack.reporting")


class Sources:
    """``reference``: under which git keeps the snapshot (``runs.repository``)."""

    def __init__(self, reference: str = "") -> None:
        self.reference = reference
        self.training = cache(lambda plugin: code.closure([TRAIN_MODULE], NOT_LEARNED_FROM, plugin))
        self.assessment = cache(lambda plugin: code.closure([ASSESS_MODULE], (), plugin))
        self.digest = cache(identity.file_digest)

    @cached_property
    def snapshot(self) -> Snapshot:
        return repository.take(code.PACKAGE, self.reference)
