"""How the cores of a machine are shared among trials, and among the processes of one. No torch."""

from __future__ import annotations

from seqtrack.config import ExecutionConfig
from seqtrack.data.processes import usable_cores
from seqtrack.pipeline.gpus import gpu_modes

# What one process keeps busy that tracks in lock-step on a GPU: it decodes about as fast as that with two more.
CORES_OF_A_PROCESS = 3
# As many as SiamFC's tracker sends through the network together.
SLOTS_OF_A_PROCESS = 8


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


def processes_on_gpu(execution: ExecutionConfig) -> int:
    """Processes that track on one GPU for one trial, its own included, unless a person said: as many as its share of
    the cores can feed, each with ``SLOTS_OF_A_PROCESS`` runs of the batch at least."""
    if execution.eval_workers is not None:
        return execution.eval_workers
    modes = gpu_modes()
    if set(modes) != {"Default"}:
        return 1
    cores = usable_cores() // (1 if execution.slurm else len(modes))
    return max(1, min(execution.eval_batch // SLOTS_OF_A_PROCESS, cores // CORES_OF_A_PROCESS))


def slots_of_one(slots: int, processes: int) -> int:
    """Of so many in all processes; a multiple of ``SLOTS_OF_A_PROCESS`` where there are so many."""
    return max(min(slots, SLOTS_OF_A_PROCESS), slots // processes // SLOTS_OF_A_PROCESS * SLOTS_OF_A_PROCESS)
