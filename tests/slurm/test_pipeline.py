"""From one command to a table of mean ± std, on a real cluster of three nodes with two GPUs each."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from seqtrack.runs import attempts
from tests.cluster.test_failing_alone import PLUGIN
from tests.slurm.slurmbench import SLURM, SlurmBench
from tests.workbench import (
    EVAL,
    NUM_STEPS,
    TRAIN,
    Result,
    Workbench,
    all_events,
    check_that_boxes_alone_moved,
    move_every_box,
    named,
    results_of,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def five(tmp_path_factory: pytest.TempPathFactory, tars: Path, repository: Path) -> Workbench:
    """Five seeds on this machine, without SLURM. Not to be changed."""
    found = Workbench(tmp_path_factory.mktemp("five"), repository, tars)
    result = found.train("--num_trials=5")
    assert result.code == 0, result
    return found


def test_five_trials_on_three_nodes(slurm_bench: SlurmBench, five: Workbench) -> None:
    """The table is that of a local run to the last digit; each node extracts once; one job builds the indexes."""
    flags = ["--num_trials=5", "--untar", *SLURM]
    result = slurm_bench.train(*flags)

    assert result.code == 0, result
    slurm_bench.check(results_of(five.run_folder()))
    assert [(job.stage, job.seeds) for job in slurm_bench.ledger] == [
        ("index", ()), ("train", (0, 1, 2, 3, 4)), ("assess", (0, 1, 2, 3, 4)), ("summary", ()),
    ]  # fmt: skip
    logs = {a: a.log.read_text() for trial in slurm_bench.run_folder().trials() for a in trial.attempts()}
    nodes = {a: attempts.read_owner(a).node for a in logs}  # type: ignore[union-attr]
    assert set(nodes.values()) == {"node1", "node2", "node3"}
    extractions = Counter(
        (nodes[a], name) for a, log in logs.items() for name in (TRAIN, EVAL) if f"{name}: staging" in log
    )
    assert set(extractions.values()) == {1}
    assert {node for node, name in extractions if name == TRAIN} == {
        nodes[a] for a in logs if "training seed" in logs[a]
    }
    built = [path.read_text().count("building the index") for path in slurm_bench.run_folder().slurm.glob("*.out")]
    assert sorted(built)[-1] == sum(built) == 2  # of two data sets, by one job
    assert not any("building the index" in log for log in logs.values())
    gpus = {event["gpu"] for seed in range(5) for event in slurm_bench.events(seed, "start")}
    assert gpus <= {"0", "1"}

    # Given again there is nothing to do, and nothing is submitted.
    again = slurm_bench.train(*flags)
    assert again.code == 0
    assert again.out.splitlines()[-1] == result.out.splitlines()[-1]
    assert len(slurm_bench.ledger) == 4


def test_one_command_repairs_whatever_is_missing(slurm_bench: SlurmBench, five: Workbench) -> None:
    """Seed 2 is trained but not assessed, seed 3 is not trained, 5 and 6 are new: the right assessments wait for the
    right trainings."""
    slurm_bench.adopt(five)
    run = slurm_bench.run_folder()
    shutil.rmtree(run.trial(2).path / "assess")
    for attempt in run.trial(2).attempts():  # as if it had been trained only
        lines = attempt.events.read_text().splitlines(keepends=True)
        attempt.events.write_text("".join(line for line in lines if '"sequence"' not in line))
    shutil.rmtree(run.trial(3).path)

    result = slurm_bench.train("--num_trials=7", *SLURM)

    assert result.code == 0, result
    train, paired, alone, summary = slurm_bench.ledger
    assert (train.seeds, train.after) == ((3, 5, 6), None)
    assert (paired.seeds, paired.after) == ((3, 5, 6), f"aftercorr:{train.job_id}")
    assert (alone.stage, alone.seeds, alone.after) == ("assess", (2,), None)
    assert (summary.stage, summary.after) == ("summary", f"afterany:{paired.job_id}:{alone.job_id}")
    assert json.loads(run.summary_json.read_text())["completed"] == 7
    # Each assessment began after its own training had ended.
    for seed in (3, 5, 6):
        training, assessment = all_events(run.trial(seed))
        assert training[-1]["time"] < assessment[0]["time"]
    expected, found = results_of(five.run_folder()), results_of(run)
    assert [n for n in expected if n.startswith("seed_") and found[n] != expected[n]] == []
    slurm_bench.check_alone()


def test_a_trial_that_always_fails_blocks_nobody(slurm_bench: SlurmBench) -> None:
    folder = slurm_bench.folder / "plugins"
    folder.mkdir()
    (folder / "buggy.py").write_text(PLUGIN)
    result = slurm_bench.train("--num_trials=3", "--model=buggy:Family", *SLURM, PYTHONPATH=str(folder))

    assert result.code == 1, result
    first, *rest = result.err.splitlines()
    assert first == "seed 1 failed: ZeroDivisionError: a bug of the plug-in"
    assert rest[-1] == "  | ZeroDivisionError: a bug of the plug-in"
    assert "2 of 3 trials completed" in result.out
    summary = json.loads(slurm_bench.run_folder().summary_json.read_text())
    assert [trial["state"] for trial in summary["trials"]] == ["completed", "failed", "completed"]
    assert summary["trials"][1]["error"] == "ZeroDivisionError: a bug of the plug-in"
    slurm_bench.check_alone()


def test_assessment_goes_on_where_its_time_ran_out(slurm_bench: SlurmBench, tmp_path: Path) -> None:
    """Every checkpoint, sequence by sequence: a task whose time limit comes near is told so by SLURM and requeues
    itself, and the next start does the rest."""
    flags = ["--num_trials=1", "--period_assess=20", "--eval_tre_num=3"]
    slurm = [*SLURM, "signal=B:USR2@170"]
    driver = slurm_bench.start_train(
        *flags, *slurm, *slurm_bench.held(0, stage="assess", event="sequence", count=1, times=2)
    )
    for time in (1, 2):
        slurm_bench.wait_until_held(0, time=time)
        slurm_bench.run_out_of_time("assess", 0, attempt=time)  # attempt 0 is the training
    out, err = driver.communicate(timeout=300)
    assert driver.returncode == 0, Result(driver.returncode, out, err)

    training, *assessments = all_events(slurm_bench.trial(0))
    assert named(training, "sequence") == []
    done = [len(named(events, "sequence")) for events in assessments]
    assert len(done) == 3
    assert min(done) > 0
    assert sum(done) == NUM_STEPS // 20 * 2 * 3  # checkpoints × sequences × starts, each once
    assert {events[-1]["state"] for events in assessments[:-1]} == {"interrupted"}
    assert slurm_bench.submitted("assess") == [(0,)]  # requeued, not submitted again
    slurm_bench.check_alone()
    # The same comes out where it is assessed in one go.
    other = Workbench(tmp_path / "other", slurm_bench.package, slurm_bench.tars).adopt(slurm_bench)
    for folder in (other.run_folder().slurm, other.run_folder().trial(0).path / "assess"):
        shutil.rmtree(folder)
    result = other.train(*flags)
    assert result.code == 0, result
    assert results_of(other.run_folder()) == results_of(slurm_bench.run_folder())


def test_jobs_run_the_code_as_it_was_when_they_were_submitted(
    slurm_bench: SlurmBench, finished: Workbench, repository: Path
) -> None:
    package = slurm_bench.folder / "checkout"
    shutil.copytree(repository / "seqtrack", package / "seqtrack", ignore=shutil.ignore_patterns("__pycache__"))
    (package / ".gitignore").write_text("__pycache__/\n")
    commit = "git init -q -b main && git add -A && git -c user.name=me -c user.email=me@here commit -q -m it"
    subprocess.run(commit, shell=True, cwd=package, check=True)
    move_every_box(package)
    slurm_bench.package = package
    result = slurm_bench.train("--num_trials=2", "--detach", "--snapshot", *SLURM)
    assert result.code == 0, result
    assert result.out.splitlines()[-1].startswith("  seqtrack cancel ")
    (package / "seqtrack" / "errors.py").write_text("this is no longer Python\n")
    slurm_bench.cluster.wait_idle(120)
    check_that_boxes_alone_moved(slurm_bench.run_folder(), finished.run_folder())
    slurm_bench.check_alone()
    assert slurm_bench.run_folder().snapshot_json.exists()
    (frozen,) = (path for path in (slurm_bench.cache / "code").iterdir() if path.is_dir())

    # A year later, with other code in the checkout: the snapshot is in git, whether it is still checked out or not.
    shutil.rmtree(frozen)
    slurm_bench.package = repository
    again = slurm_bench.run("reproduce", "latest", "--seed=1", "--repository", str(package))
    assert again.code == 0, again
    assert "with 1 changed file, checked out in" in again.out
    assert again.out.splitlines()[-1].startswith("the same numbers, to the bit (")
    slurm_bench.cluster.wait_idle(120)


def test_large_arrays_are_split_and_a_full_queue_is_waited_for(slurm_bench: SlurmBench, five: Workbench) -> None:
    """A site that takes arrays of two, a person who may have eight jobs in the queue: it all follows by itself,
    without a driver."""
    slurm_bench.cluster.reconfigure(max_array_size=2)
    flags = ["--num_trials=5", "--slurm_max_submit=8", "--slurm_throttle=2", *SLURM]
    result = slurm_bench.train(*flags, "--detach")
    assert result.code == 0, result
    assert "2 trial(s) wait for room in the queue and follow by themselves" in result.out
    wait_for(lambda: len([seed for seeds in slurm_bench.submitted("train") for seed in seeds]) == 5, "the last trial")
    slurm_bench.cluster.wait_idle(120)
    slurm_bench.check(results_of(five.run_folder()))
    arrays = slurm_bench.submitted("train")
    assert sorted(seed for seeds in arrays for seed in seeds) == [0, 1, 2, 3, 4]
    assert arrays == [(0, 1), (2,), (3, 4)]


def test_status_logs_and_cancel(slurm_bench: SlurmBench) -> None:
    """What is going on is told from the disk, also while the controller is down and where there is no SLURM."""
    flags = ["--num_trials=2", *SLURM]
    result = slurm_bench.train(*flags, "--detach", *slurm_bench.held(0, 1))
    assert result.code == 0, result
    run_id = slurm_bench.run_folder().run_id
    slurm_bench.wait_until_held(0, 1)

    def rows(**environment: str) -> list[dict[str, object]]:
        told = slurm_bench.run("status", run_id, "--json", **environment)
        assert told.code == 0, told
        trials: list[dict[str, object]] = json.loads(told.out)["trials"]
        return trials

    with_slurm = rows()
    assert [row["state"] for row in with_slurm] == ["training", "training"]
    assert {row["node"] for row in with_slurm} <= {"node1", "node2", "node3"}
    assert [row["state"] for row in rows(PATH="/nowhere")] == ["training", "training"]
    slurm_bench.cluster.stop_controller()
    try:
        assert [row["state"] for row in rows()] == ["training", "training"]
    finally:
        slurm_bench.cluster.start_controller()
    logs = slurm_bench.run("logs", run_id, "--seed", "1", "--stage", "train")
    assert logs.code == 0, logs
    assert "training seed 1 from step 0" in logs.out

    cancelled = slurm_bench.run("cancel", run_id)
    assert cancelled.code == 0, cancelled
    slurm_bench.cluster.wait_idle(120)
    assert [row["state"] for row in rows()] == ["interrupted", "interrupted"]
    result = slurm_bench.train(*flags)
    assert result.code == 0, result
    steps = [slurm_bench.events(seed, "train")[1]["step"] for seed in (0, 1)]
    assert min(steps) >= 10  # type: ignore[type-var]
    slurm_bench.check_alone()


def test_a_driver_asks_slurm_once_an_interval_however_many_trials_there_are(slurm_bench: SlurmBench) -> None:
    """And never imports torch."""
    counting = slurm_bench.program("squeue", 'date +%s.%N >> calls\nexec $REAL "$@"')
    spy = slurm_bench.folder / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "if 'seqtrack.tools.train' in ' '.join(sys.orig_argv):\n"
        "    atexit.register(lambda: open('imported', 'w').write(' '.join(sys.modules)))\n"
    )
    result = slurm_bench.train("--num_trials=4", *SLURM, PYTHONPATH=str(spy), **counting)
    assert result.code == 0, result
    calls = [float(line) for line in (slurm_bench.folder / "bin" / "calls").read_text().split()]
    # The first two belong to submitting.
    assert min(after - before for before, after in itertools.pairwise(calls[1:])) > 0.9
    modules = (slurm_bench.folder / "imported").read_text().split()
    assert "seqtrack.cluster.slurm" in modules
    assert "torch" not in modules
