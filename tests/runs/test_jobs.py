"""The ledger of what was handed to SLURM: arrays over trials of several runs, and what one run sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.runs import jobs
from seqtrack.runs.jobs import Array
from seqtrack.runs.paths import RunFolder, SweepFolder, TrialKey

TRIALS = (TrialKey("aaa", 0), TrialKey("bbb", 0), TrialKey("aaa", 1), TrialKey("bbb", 1))
QUESTIONS = {"aaa": "question", "bbb": "another", "ccc": "not asked"}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    found = SweepFolder(tmp_path / "sweeps" / "lr")
    for run_id in ("aaa", "bbb"):
        marks = found.run(run_id).sweep_marks
        marks.mkdir(parents=True)
        (marks / "lr").touch()
    return found


def handed_over(folder: Path, stage: str, trials: tuple[TrialKey, ...], job_id: str) -> Array:
    array = jobs.new(folder, stage, trials, "submission", QUESTIONS, None)
    jobs.intend(array)
    return jobs.record_id(array, job_id)


def test_what_was_handed_over_is_read_back(sweep: SweepFolder) -> None:
    array = handed_over(sweep.slurm, "train", TRIALS, "12")
    assert jobs.read_arrays([sweep.slurm]) == [array]
    assert array.questions == {"aaa": "question", "bbb": "another"}
    assert [array.trial(place) for place in (None, 2, 4)] == [None, TRIALS[2], None]


def test_a_run_sees_its_own_tasks_of_a_sweep_beside_its_own_jobs(sweep: SweepFolder) -> None:
    run = sweep.run("bbb")
    handed_over(sweep.slurm, "train", TRIALS, "12")
    handed_over(sweep.slurm, "train", TRIALS[:1], "13")  # of another run alone
    handed_over(sweep.slurm, "summary", (), "14")
    handed_over(run.slurm, "assess", (TrialKey("bbb", 5), TrialKey("bbb", 6)), "15")

    of_sweep, summary, own = jobs.read(run)

    assert (of_sweep.job_id, of_sweep.seeds, of_sweep.question, of_sweep.is_own) == ("12", (0, 1), "another", False)
    assert [of_sweep.task(seed) for seed in of_sweep.seeds] == ["12_1", "12_3"]
    assert [of_sweep.seed(place) for place in (None, 0, 1, 2, 3, 9)] == [None, None, 0, None, 1, None]
    assert (summary.job_id, summary.seeds, summary.is_own) == ("14", (), False)
    assert ([own.task(seed) for seed in own.seeds], own.is_own) == (["15_0", "15_1"], True)
    assert jobs.read(sweep.run("ccc")) == []


def test_what_slurm_said_of_a_task_is_found_wherever_it_lies(sweep: SweepFolder) -> None:
    run: RunFolder = sweep.run("aaa")
    for folder, task in ((run.slurm, "15_0"), (sweep.slurm, "12_0")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{task}.out").touch()
    assert run.output("15_0") == run.slurm / "15_0.out"
    assert run.output("12_0") == sweep.slurm / "12_0.out"
    assert run.output("99_0") == run.slurm / "99_0.out"
