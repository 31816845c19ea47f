"""How cores are shared: what trials that are done with leave, the others use."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.config import ExecutionConfig
from seqtrack.pipeline import cores


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
