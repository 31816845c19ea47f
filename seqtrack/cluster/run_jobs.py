"""The two jobs of a run, or a sweep, that are no trial's: one builds the indexes, one summarises."""

from __future__ import annotations

from seqtrack.cluster import slurm_queue
from seqtrack.cluster.slurm import SlurmScheduler
from seqtrack.cluster.unfinished import why_unfinished
from seqtrack.cluster.work import Work, seeds_of
from seqtrack.data import datasets
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline.summarise import summarise
from seqtrack.pipeline.sweep import sweep, table
from seqtrack.runs.paths import SweepFolder


def index(work: Work) -> int:
    """Builds every index that is missing."""
    for name, places, assessed in work.data_uses:
        datasets.prepare(name, places, _say, assessed)
    return 0


def summary(work: Work, submission: str) -> int:
    """Summarises, and submits trials for which the queue had no room before."""
    unfinished = [trial for trial in work.trials if not work.has_nothing_left(trial)]
    why = why_unfinished(work, slurm_queue.queue() or []) if unfinished else {}
    causes = {trial: cause.text for trial, cause in why.items()}
    for request in work.summarised:
        summarise(request, seeds_of(request.run_id, causes))
    if isinstance(work.folder, SweepFolder):
        table.write(sweep.read(work.folder, submission), causes)
    done = len(work.trials) - len(unfinished)
    _say(f"summarised: {done} of {len(work.trials)} trials are complete")
    if unfinished and work.execution.slurm_max_submit is not None:
        _continue(work, submission)
    return 0


def _continue(work: Work, submission: str) -> None:
    scheduler = SlurmScheduler(work, submission, lambda statuses: None, _say)
    try:
        scheduler.begin()
    except SeqtrackError as error:
        _say(f"cannot submit the trials that wait for room ({error}); the same command does")


def _say(line: str) -> None:
    print(line, flush=True)
