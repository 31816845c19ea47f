"""A sweep is one array for each stage on a real cluster, and survives what a run survives."""

from __future__ import annotations

import csv
import io
import json
import signal

import pytest

from seqtrack.runs import jobs
from seqtrack.runs.jobs import Array
from seqtrack.runs.paths import RunFolder, SweepFolder
from tests.slurm.slurmbench import SLURM, SlurmBench
from tests.workbench import Result, Workbench, trained_attempts

pytestmark = pytest.mark.slow

SWEEP = "name: lr\nnum_trials: {num_trials}\ngrid: {{lr_init: [0.01, 0.001]}}\n"


def sweep(bench: SlurmBench, *more: str, num_trials: int = 1, **environment: str) -> Result:
    (bench.folder / "sweep.yaml").write_text(SWEEP.format(num_trials=num_trials))
    flags = bench.flags("--num_steps=4", "--period_ckpt=4", *SLURM, *more)
    return bench.run("sweep", "sweep.yaml", *flags, **environment)


def folder_of(bench: Workbench) -> SweepFolder:
    return SweepFolder(bench.cache / "sweeps" / "lr")


def ledger(bench: Workbench) -> list[Array]:
    return jobs.read_arrays([folder_of(bench).slurm])


def runs(bench: Workbench) -> list[RunFolder]:
    return [RunFolder(path.parent) for path in sorted(bench.cache.glob("*/train.yaml"))]


def test_killed_and_repeated_no_point_runs_twice(slurm_bench: SlurmBench, finished: Workbench) -> None:
    """The driver dies between sbatch and its own record; the same command finds the array, and adds what is missing
    after it."""
    slurm_bench.adopt_indexes(finished)
    deadly = slurm_bench.program("sbatch", '$REAL "$@" > answer; kill -9 $PPID')
    killed = sweep(slurm_bench, **deadly)
    assert killed.code == -signal.SIGKILL, killed
    assert [(array.stage, len(array.trials), array.job_id) for array in ledger(slurm_bench)] == [("train", 2, None)]

    # Whoever asks for one of the runs sees its own task of the sweep's array.
    first, second = ledger(slurm_bench)[0].trials
    result = sweep(slurm_bench)
    assert result.code == 0, result
    trained, *assessed, summary = ledger(slurm_bench)
    assert trained.job_id is not None
    assert [array.stage for array in assessed] == ["assess"] * len(assessed)
    assert sorted(trial for array in assessed for trial in array.trials) == sorted([first, second])
    assert (summary.stage, summary.trials) == ("summary", ())
    for run in runs(slurm_bench):
        assert trained_attempts(run.trial(0)) == 1
        status = json.loads(slurm_bench.run("status", run.run_id, "--json").out)
        assert status["is_done"]
        assert "seqtrack sweep sweep.yaml" in status["command"]

    table = list(csv.DictReader(io.StringIO(folder_of(slurm_bench).csv.read_text())))
    assert sorted(row["run_id"] for row in table) == [run.run_id for run in runs(slurm_bench)]
    assert [row["n"] for row in table] == ["1", "1"]
    before = folder_of(slurm_bench).json.read_bytes()
    again = sweep(slurm_bench)
    assert again.code == 0, again
    assert folder_of(slurm_bench).json.read_bytes() == before
    assert len(ledger(slurm_bench)) == 2 + len(assessed)
    slurm_bench.cluster.wait_idle(120)


def test_each_run_sees_and_cancels_its_own_tasks_of_the_arrays(slurm_bench: SlurmBench, finished: Workbench) -> None:
    slurm_bench.adopt_indexes(finished)
    later = ["--detach", "--slurm_flags", *SLURM[2:], "begin=now+1hour"]
    result = sweep(slurm_bench, *later, num_trials=2)
    assert result.code == 0, result
    train, assess, summary = ledger(slurm_bench)
    assert [(array.stage, len(array.trials)) for array in (train, assess)] == [("train", 4), ("assess", 4)]
    assert assess.trials == train.trials
    assert (assess.after, summary.after) == (f"aftercorr:{train.job_id}", f"afterany:{assess.job_id}")
    scripts = list(folder_of(slurm_bench).slurm.glob("*.sh"))
    assert len(scripts) == 3

    run = folder_of(slurm_bench).run(train.trials[2].run)
    status = json.loads(slurm_bench.run("status", run.run_id, "--json").out)
    assert [(t["state"], t["job"]) for t in status["trials"]] == [
        ("queued", f"{train.job_id}_2"), ("queued", f"{train.job_id}_3"),
    ]  # fmt: skip
    cancelled = slurm_bench.run("cancel", run.run_id)
    assert (cancelled.code, cancelled.out.splitlines()[:2]) == (0, [
        f"cancelled train {train.job_id} of seeds 0-1: 2 waited",
        f"cancelled assess {assess.job_id} of seeds 0-1: 2 waited",
    ])  # fmt: skip
    left = slurm_bench.cluster.command("squeue", "--noheader", "--array", "--format=%i").stdout.split()
    assert sorted(left) == sorted(
        [f"{train.job_id}_0", f"{train.job_id}_1", f"{assess.job_id}_0", f"{assess.job_id}_1", str(summary.job_id)]
    )

    # The same command hands in again what was cancelled, and nothing else.
    result = sweep(slurm_bench, *later, num_trials=2)
    assert result.code == 0, result
    again = [array for array in ledger(slurm_bench)[3:] if array.trials]
    assert [(array.stage, array.trials) for array in again] == [
        ("train", train.trials[2:]), ("assess", train.trials[2:]),
    ]  # fmt: skip
    cancelled = slurm_bench.run("cancel", "lr")
    assert cancelled.code == 0, cancelled
    assert slurm_bench.cluster.jobs() == []
