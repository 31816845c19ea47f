"""Which trials of a request are at rest without being complete, and why: disk, ledger and accounting together."""

from __future__ import annotations

from collections.abc import Sequence

from seqtrack.cluster import causes, slurm_queue
from seqtrack.cluster.causes import Cause
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request
from seqtrack.runs import attempts, jobs


def why_unfinished(request: Request, tasks: Sequence[QueuedTask]) -> dict[int, Cause]:
    """Why each trial that is at rest is not complete, by seed. ``tasks`` are in the queue: theirs are not at rest."""
    ledger = jobs.read(request.run)
    by_tag = {job.tag: job for job in ledger}
    queued = {
        by_tag[task.tag].seeds[task.index]
        for task in tasks
        if task.index is not None and task.tag in by_tag and task.index < len(by_tag[task.tag].seeds)
    }
    seeds = [
        seed
        for seed in request.seeds
        if seed not in queued
        and not plan.has_nothing_left(request, request.run.trial(seed))
        and not is_worked_on_elsewhere(request, seed)
    ]
    if not seeds:
        return {}
    wanted = [job.job_id for job in ledger if job.job_id and (not job.seeds or set(job.seeds) & set(seeds))]
    endings = slurm_queue.endings(wanted)
    found = {seed: causes.cause(request.run, seed, ledger, endings) for seed in seeds}
    return {seed: why for seed, why in found.items() if why is not None}


def is_worked_on_elsewhere(request: Request, seed: int) -> bool:
    """Whether somebody runs this trial outside SLURM (a worker on this machine, say)."""
    attempt = attempts.live(request.run.trial(seed))
    owner = attempts.read_owner(attempt) if attempt else None
    return owner is not None and owner.job is None
