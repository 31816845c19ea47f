"""Inside a SLURM job: going back into the queue, and whether another job has ended."""

from __future__ import annotations

import logging
import os

from seqtrack.cluster import slurm_queue
from seqtrack.runs import attempts
from seqtrack.runs.attempts import Owner

log = logging.getLogger(__name__)


def is_inside() -> bool:
    """Whether this process is a job that seqtrack submitted (the script says so to submitit)."""
    return os.environ.get("SUBMITIT_EXECUTOR") == "slurm" and "SLURM_JOB_ID" in os.environ


def requeue() -> bool:
    """Puts this job back into the queue; it starts again from what it saved. False if the site does not do that."""
    import subprocess

    from submitit import JobEnvironment

    try:
        # All that is saved is on disk, so there is nothing to count down: as long as attempts advance, it goes on.
        JobEnvironment()._requeue(countdown=1)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("cannot requeue this job (%s); the same command given again goes on from here", error)
        return False
    return True


def has_ended(owner: Owner) -> bool:
    """Whether SLURM says that the job of an attempt, which seems alive, is over.

    An attempt of this very job is: SLURM starts a job again only after it has given up the start before.
    """
    if owner.job is None or not is_inside():
        return False
    if owner.job == attempts.job_name():
        return True
    queue = slurm_queue.queue()
    return queue is not None and all(owner.job != task.name for task in queue)
