"""How cores are shared: what trials that are done with leave, the others use."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from seqtrack.config import ExecutionConfig
from seqtrack.pipeline import cores, gpus


@pytest.mark.parametrize(
    ("flags", "trials_left", "processes"),
    [
        ({}, 5, 3),
        ({}, 3, 5),
        ({}, 1, 16),
        ({}, 0, 16),  # whatever is being repeated
        ({"cpu_threads": 8}, 5, 8),  # two at a time
        ({"max_parallel": 1}, 5, 16),
        ({"slurm": True}, 5, 16),  # each has a job of its own
        ({"eval_workers": 2}, 1, 2),
    ],
)
def test_a_trial_has_its_share(
    flags: dict[str, int], trials_left: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 16)
    execution = ExecutionConfig(**{"cache_dir": Path("cache"), "num_trials": 5, **flags})  # type: ignore[arg-type]
    assert cores.assessment_processes(execution, trials_left) == processes


@pytest.mark.parametrize(
    ("flags", "usable", "modes", "processes", "slots"),
    [
        ({}, 16, ["Default"], 4, 8),
        ({}, 16, ["Default", "Default"], 2, 16),  # the other GPU has a trial of its own
        ({"slurm": True}, 16, ["Default", "Default"], 4, 8),  # whose cores are in another job
        ({"slurm": True}, 5, ["Default"], 1, 32),
        ({"eval_batch": 64}, 48, ["Default"], 8, 8),
        ({"eval_batch": 44}, 48, ["Default"], 5, 8),
        ({"eval_batch": 3}, 16, ["Default"], 1, 3),
        ({}, 16, ["Exclusive_Process"], 1, 32),  # no other process may use it
        ({}, 16, [], 1, 32),  # not NVIDIA's
        ({"eval_workers": 2}, 16, ["Default"], 2, 16),
        ({"eval_workers": 6}, 16, ["Default"], 6, 8),
    ],
)
def test_a_gpu_is_shared_by_as_many_processes_as_the_cores_can_feed(
    flags: dict[str, int], usable: int, modes: list[str], processes: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: usable)
    monkeypatch.setattr(cores, "gpu_modes", lambda: modes)
    execution = ExecutionConfig(**{"cache_dir": Path("cache"), **flags})  # type: ignore[arg-type]
    assert cores.processes_on_gpu(execution) == processes
    assert cores.slots_of_one(execution.eval_batch, processes) == slots


def test_a_gpu_whose_driver_does_not_answer_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi takes long where nobody holds the driver, and for ever where a GPU is lost."""

    def stuck(command: list[str], timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(gpus.shutil, "which", lambda name: name)
    monkeypatch.setattr(gpus.subprocess, "run", stuck)
    assert cores.processes_on_gpu(ExecutionConfig(cache_dir=Path("cache"))) == 1
