"""What a job asks SLURM about the owner of an attempt that seems alive: has its own job ended?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seqtrack.cluster import slurm_job
from seqtrack.runs.attempts import Owner
from tests.handmade import programs


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is task 12_1."""
    for name, value in {
        "SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm_job, "ASK_AGAIN_SECONDS", (0.01, 0.01))


def owner(job: str | None) -> Owner:
    return replace(Owner.current(), job=job)


def squeue(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv("PATH", programs(folder / "bin", squeue=script)["PATH"])


@pytest.mark.usefixtures("inside")
def test_a_job_has_ended_when_it_is_not_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue(tmp_path, monkeypatch, "echo '12|0|RUNNING|node1|None|'")
    assert not slurm_job.has_ended(owner("12_0"))
    assert slurm_job.has_ended(owner("11_0"))
    assert slurm_job.has_ended(owner("12_1")), "an earlier start of this very task"
    assert not slurm_job.has_ended(owner(None)), "SLURM knows nothing of it"


@pytest.mark.usefixtures("inside")
def test_a_job_that_only_ends_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a node that does not answer it would end for ever."""
    squeue(tmp_path, monkeypatch, "echo '12|0|COMPLETING|node1|None|'")
    assert slurm_job.has_ended(owner("12_0"))


@pytest.mark.usefixtures("inside")
def test_a_controller_that_restarts_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    squeue(tmp_path, monkeypatch, f"echo x >> {calls}; [ $(wc -l < {calls}) -ge 3 ] || exit 1")
    assert slurm_job.has_ended(owner("11_0"))
    assert len(calls.read_text().split()) == 3


@pytest.mark.usefixtures("inside")
def test_without_an_answer_nothing_is_called_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue(tmp_path, monkeypatch, "exit 1")
    assert not slurm_job.has_ended(owner("11_0"))
