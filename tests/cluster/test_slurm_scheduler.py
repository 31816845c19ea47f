"""What the scheduler takes to be in the queue before it plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.cluster import slurm, slurm_queue
from seqtrack.cluster.slurm import SlurmScheduler
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.cluster.work import Work
from seqtrack.config import build
from seqtrack.pipeline.request import Request, resolve


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 300.0)
    monkeypatch.setattr(slurm, "FIRST_INTERVAL_SECONDS", 0.0)
    return resolve(build({"slurm": True, "cache_dir": tmp_path / "cache", "num_trials": 2}))


def settled(request: Request, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> tuple[list[str], list[str]]:
    """Names of the tasks that count, and what was said. ``answers``: states of tasks 0, 1, … at each asking."""
    asked = iter([*answers, *[answers[-1]] * 1000])

    def queue() -> list[QueuedTask]:
        states = next(asked)
        return [
            QueuedTask("7", n, state, run=request.run_id, stage="train", tag="t") for n, state in enumerate(states)
        ]

    said: list[str] = []
    monkeypatch.setattr(slurm_queue, "queue", queue)
    tasks = SlurmScheduler(Work.of(request), "submission", lambda statuses: None, said.append)._settled_queue()
    return [task.name for task in tasks], said


def test_tasks_that_are_just_ending_are_waited_for(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    names, said = settled(request_, monkeypatch, ["COMPLETING", "RUNNING"], ["COMPLETING", "RUNNING"], ["RUNNING"])
    assert (names, said) == (["7_0"], ["waiting for jobs that are just ending: 7_0"])


def test_but_not_for_ever(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a node that does not answer a task can go on ending: its seed is submitted again, and fences it off."""
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0.0)
    names, _ = settled(request_, monkeypatch, ["COMPLETING", "RUNNING"])
    assert names == ["7_1"]
