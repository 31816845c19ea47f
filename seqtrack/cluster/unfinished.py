"""Which trials are at rest without being complete, and why: disk, ledger and accounting together."""

from __future__ import annotations

from collections.abc import Sequence

from seqtrack.cluster import causes, slurm_queue
from seqtrack.cluster.causes import Cause
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.cluster.work import Work
from seqtrack.runs import attempts, jobs
from seqtrack.runs.paths import TrialFolder, TrialKey


def why_unfinished(work: Work, tasks: Sequence[QueuedTask]) -> dict[TrialKey, Cause]:
    """Why each trial that is at rest is not complete. ``tasks`` are in the queue: theirs are not at rest."""
    ledger = jobs.read_arrays([*jobs.folders(work.runs), work.folder.slurm])
    by_tag = {array.tag: array for array in ledger}
    queued = {by_tag[task.tag].trial(task.index) for task in tasks if task.tag in by_tag}
    trials = [
        trial
        for trial in work.trials
        if trial not in queued and not work.has_nothing_left(trial) and not is_worked_on_elsewhere(work.trial(trial))
    ]
    if not trials:
        return {}
    wanted = [array.job_id for array in ledger if array.job_id and (not array.trials or {*array.trials} & {*trials})]
    endings = slurm_queue.endings(wanted)
    seen = {run.run_id: jobs.seen_by(run, ledger) for run in work.runs}
    found = {t: causes.cause(work.request(t).run, t.seed, seen[t.run], endings) for t in trials}
    return {trial: why for trial, why in found.items() if why is not None}


def is_worked_on_elsewhere(trial: TrialFolder) -> bool:
    """Whether somebody runs this trial outside SLURM (a worker on this machine, say)."""
    attempt = attempts.live(trial)
    owner = attempts.read_owner(attempt) if attempt else None
    return owner is not None and owner.job is None
