"""How the cores of a machine are shared among trials, and among the processes of one. No torch."""

from __future__ import annotations

from seqtrack.config import ExecutionConfig
from seqtrack.data.processes import usable_cores


def trials_at_a_time(execution: ExecutionConfig) -> int:
    """Trials that run side by side on this machine's CPU; under SLURM each has a job, and cores, of its own."""
    if execution.slurm:
        return 1
    return execution.max_parallel or max(1, usable_cores() // execution.cpu_threads)


def assessment_processes(execution: ExecutionConfig, trials_left: int) -> int:
    """Processes that track for one trial, its own included: its share of the cores, unless a person said.

    ``trials_left``: those that have something to do, this one among them.
    """
    if execution.eval_workers is not None:
        return execution.eval_workers
    return max(1, usable_cores() // max(1, min(trials_left, trials_at_a_time(execution))))
