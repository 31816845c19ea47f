"""What is assessed on: a data set, which runs a tracker makes over it, and by whose rules they are counted."""

from __future__ import annotations

from dataclasses import dataclass

from seqtrack.assessment import conventions, metrics
from seqtrack.assessment.benchmark import benchmark_of
from seqtrack.assessment.metrics import Metric
from seqtrack.assessment.protocols import BENCHMARK, OPE, PROTOCOLS, Sequence, eval_id, own_sampler, sequences
from seqtrack.config import AssessConfig
from seqtrack.data.formats import DatasetName
from seqtrack.data.indexing.index import Index
from seqtrack.errors import UserError


@dataclass(frozen=True)
class EvalSet:
    """One thing to assess on: a data set, how its frames are chosen (one of ``protocols.SAMPLERS``), and by whose
    rules they are counted (the name of a convention of the sampler's protocol)."""

    dataset: DatasetName
    sampler: str
    convention: str

    @property
    def eval_id(self) -> str:
        return eval_id(self.dataset.label, self.sampler)

    @property
    def protocol(self) -> str:
        return PROTOCOLS[self.sampler]

    def metric_names(self, assess: AssessConfig) -> tuple[str, ...]:
        """What its summary holds, in the order of tables."""
        return metrics.metric_names(self._tre_num(assess), self._own_metrics)

    def find_metric(self, assess: AssessConfig) -> Metric:
        """The one that ``--optimize_metric`` names; UserError if it has none such. The default, AUC, stands for the
        first metric of a convention that has no AUC: AO, EAO or F_score."""
        wanted, own = assess.optimize_metric, self._own_metrics
        if wanted == AssessConfig.optimize_metric and wanted not in own:
            wanted = own[0]
        return metrics.find_metric(wanted, self._tre_num(assess), own)

    @property
    def _own_metrics(self) -> tuple[str, ...]:
        return conventions.find(self.protocol, self.convention, benchmark_of(self.dataset)).metrics

    def _tre_num(self, assess: AssessConfig) -> int:
        return assess.eval_tre_num if self.protocol == OPE else 1

    def sequences(self, index: Index, max_videos: int | None) -> list[Sequence]:
        """What is assessed, in the order of the index; see ``protocols.sequences``."""
        return sequences(index, self.sampler, max_videos, self.dataset.videos(index))


def eval_set(dataset: DatasetName, sampler: str, convention: str | None) -> EvalSet:
    """The eval set of flags: ``benchmark`` becomes the data set's own sampler, no convention its own.

    Raises:
        UserError: the convention is none of the sampler's protocol.
    """
    if sampler == BENCHMARK:
        sampler = own_sampler(benchmark_of(dataset))
    try:
        found = conventions.find(PROTOCOLS[sampler], convention, benchmark_of(dataset))
    except UserError as error:
        raise UserError(f"--eval_convention: {eval_id(dataset.label, sampler)}: {error}") from error
    return EvalSet(dataset, sampler, found.name)
