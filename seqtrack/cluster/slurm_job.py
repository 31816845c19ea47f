"""Inside a SLURM job: going back into the queue, and whether another job has ended."""

from __future__ import annotations

import logging
import os
import time

from seqtrack.cluster import slurm_queue
from seqtrack.runs import attempts
from seqtrack.runs.attempts import Owner

log = logging.getLogger(__name__)

# A controller that restarts is back within a minute; leaving the trial to the next command costs more.
ASK_AGAIN_SECONDS = (2.0, 5.0, 10.0, 20.0)


def is_inside() -> bool:
    """Whether this process is a job that seqtrack submitted (the script says so to submitit)."""
    return os.environ.get("SUBMITIT_EXECUTOR") == "slurm" and "SLURM_JOB_ID" in os.environ


def requeue() -> bool:
    """Puts this job back into the queue; it starts again from what it saved. False if the site does not do that."""
    import subprocess

    from submitit import JobEnvironment

    # Before, because the end of this process follows at once.
    log.info("time is up: requeue")
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
    for pause in (*ASK_AGAIN_SECONDS, None):
        if (queue := slurm_queue.queue()) is not None:
            # What is only ending has been given up by SLURM; on a node that does not answer it can end for ever.
            return all(owner.job != task.name for task in queue if task.state != "COMPLETING")
        if pause is not None:
            time.sleep(pause)
    return False
