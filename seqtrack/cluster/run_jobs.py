"""The two jobs of a run that are no trial's: one builds the indexes, one summarises."""

from __future__ import annotations

from seqtrack.cluster import slurm_queue
from seqtrack.cluster.slurm import SlurmScheduler
from seqtrack.cluster.unfinished import why_unfinished
from seqtrack.data import datasets
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.summarise import summarise


def index(request: Request) -> int:
    """Builds every index that is missing."""
    for name, places, assessed in request.data_uses:
        datasets.prepare(name, places, _say, assessed)
    return 0


def summary(request: Request) -> int:
    """Summarises, and submits trials for which the queue had no room before."""
    unfinished = [s for s in request.seeds if not plan.has_nothing_left(request, request.run.trial(s))]
    why = why_unfinished(request, slurm_queue.queue() or []) if unfinished else {}
    summarise(request, {seed: cause.text for seed, cause in why.items()})
    done = len(request.seeds) - len(unfinished)
    _say(f"summarised: {done} of {len(request.seeds)} trials are complete")
    if unfinished and request.execution.slurm_max_submit is not None:
        _continue(request)
    return 0


def _continue(request: Request) -> None:
    scheduler = SlurmScheduler(request, request.submission or "", lambda statuses: None, _say)
    try:
        scheduler.begin()
    except SeqtrackError as error:
        _say(f"cannot submit the trials that wait for room ({error}); the same command does")


def _say(line: str) -> None:
    print(line, flush=True)
