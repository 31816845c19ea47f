"""``seqtrack status``: how a run is doing, from the disk, with whatever SLURM adds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from seqtrack.cluster import overview
from seqtrack.runs import attempts, events
from seqtrack.runs.paths import RunFolder
from tests.gates import RENAME, Gate
from tests.handmade import attempt, end, hand_over, job, programs, progress, train
from tests.workbench import NUM_STEPS, PATIENCE_SECONDS, Workbench, kill_and_wait, tree_of, wait_for

KEYS = [
    "run_id", "names", "model", "path", "submitted", "command", "num_trials", "done", "is_done", "is_at_rest",
    "results", "notes", "trials",
]  # fmt: skip
TRIAL_KEYS = [
    "seed", "state", "stage", "node", "job", "attempt", "restarts", "step", "total", "loss", "rate", "seconds_left",
    "score", "detail", "cause", "is_mistake",
]  # fmt: skip


def status(bench: Workbench, *words: str, **environment: str) -> str:
    result = bench.call("status", *words, **environment)
    assert result.code == 0, result
    assert result.err == ""
    return result.out


def trials(bench: Workbench, *words: str, **environment: str) -> list[dict[str, Any]]:
    return list(json.loads(status(bench, *words, "--json", **environment))["trials"])


def ask_for(run: RunFolder, **changes: Any) -> None:
    """As if the newest command had been given with other execution flags."""
    last = events.read_last(run.submissions)
    assert last is not None
    events.append(run.submissions, {**last, "execution": {**last["execution"], **changes}, "time": time.time()})


def queue_of(*lines: str) -> str:
    return "cat <<'END'\n" + "\n".join(lines) + "\nEND"


# A run on this machine.


def test_a_finished_run(finished: Workbench) -> None:
    before = tree_of(finished.folder)
    run = finished.run_folder()

    result = finished.run("status")
    assert (result.code, result.err) == (0, ""), result
    lines = result.out.splitlines()

    assert lines[0] == f"run {run.run_id}  siamfc"
    assert lines[1] == f"in cache/{run.run_id}"
    assert lines[2].startswith("submitted 2")
    assert "seqtrack train --tar_dir=" in lines[2]
    assert lines[2].endswith("--num_trials=2")
    assert lines[4].split() == ["seed", "state", "step", "loss", "steps/s", "left", "latest", "score"]
    assert [line.split()[:3] for line in lines[6:8]] == [[s, "done", f"{NUM_STEPS}/{NUM_STEPS}"] for s in ("0", "1")]
    assert lines[9] == "2 of 2 trials done"
    auc = json.loads(run.summary_json.read_text())["results"]["sample_eval-full"]["AUC"]
    assert lines[10] == f"AUC {auc['mean']:.3f} ± {auc['std']:.3f} (sample_eval-full, n = 2)"
    assert lines[11] == f"table: cache/{run.run_id}/summary.csv"
    assert len(lines) == 12
    assert tree_of(finished.folder) == before


def test_json_has_every_key_whatever_the_state(finished: Workbench, bench: Workbench) -> None:
    found = json.loads(status(finished, "--json"))

    run = finished.run_folder()
    assert list(found) == KEYS
    assert (found["run_id"], found["num_trials"], found["done"], found["is_done"]) == (run.run_id, 2, 2, True)
    assert found["path"] == str(run.path)
    assert found["results"] == str(run.summary_csv)
    assert found["notes"] == []
    for seed, trial in enumerate(found["trials"]):
        assert list(trial) == TRIAL_KEYS
        assert (trial["seed"], trial["state"], trial["stage"], trial["step"]) == (seed, "done", "all", NUM_STEPS)
        assert trial["node"] is trial["job"] is trial["cause"] is None
        assert trial["score"]["metric"] == "AUC"

    bench.adopt(finished)
    ask_for(bench.run_folder(), num_trials=3)
    found = json.loads(status(bench, "--json"))
    assert (found["done"], found["is_done"], found["is_at_rest"], found["results"]) == (2, False, True, None)
    assert list(found["trials"][2]) == TRIAL_KEYS
    assert found["trials"][2] == {
        **dict.fromkeys(TRIAL_KEYS), "seed": 2, "state": "waiting", "restarts": 0, "detail": "", "is_mistake": False,
    }  # fmt: skip


def test_a_run_is_named_as_everywhere(finished: Workbench) -> None:
    run_id = finished.run_folder().run_id
    for words in (["latest"], [run_id[:5]], [f"cache/{run_id}"], ["--cache_dir=cache"]):
        assert status(finished, *words).startswith(f"run {run_id}")


def test_the_console_command_has_the_verb(finished: Workbench) -> None:
    code = "from seqtrack.tools.main import main; import sys; sys.exit(main(['status']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=finished.folder,
        env=finished.environment({}),
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"run {finished.run_folder().run_id}")


def test_every_run_on_a_line(continued: Workbench) -> None:
    run = continued.run_folder()
    other = RunFolder(run.path.with_name("ffffffffffff"))
    shutil.copytree(run.path, other.path)
    ask_for(other, num_trials=4, name="larger")

    lines = status(continued, "--all").splitlines()

    assert lines[0].split() == ["run", "name", "model", "submitted", "trials", "score"]
    assert lines[2].startswith(run.run_id)
    assert "2 done" in lines[2]
    assert "(sample_eval-full, n = 2)" in lines[2]
    assert lines[3].split()[:3] == ["ffffffffffff", "larger", "siamfc"]
    assert "2 done, 2 waiting" in lines[3]
    found = json.loads(status(continued, "--all", "--json"))
    assert [one["run_id"] for one in found] == [run.run_id, "ffffffffffff"]
    assert all(list(one) == KEYS for one in found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "RUN: no run 'nothing' in cache"),
        (["--cache_dir=elsewhere"], "there is no run in elsewhere (--cache_dir)"),
        (["--all", "--cache_dir=elsewhere"], "there is no run in elsewhere (--cache_dir)"),
        (["--watch", "--json"], "--watch: it shows the progress of one run; leave out --json and --all"),
        (["--all", "0123"], "--all: it shows every run; leave out 0123"),
        (["--jsn"], "--jsn: no such flag; did you mean --json?"),
    ],
)
def test_mistakes_are_one_line(finished: Workbench, words: list[str], message: str) -> None:
    result = finished.call("status", *words)
    assert result.code == 2, result
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_done_means_what_the_newest_command_asks_for(continued: Workbench) -> None:
    run = continued.run_folder()
    shutil.rmtree(run.trial(1).path / "assess")

    assert [(t["state"], t["detail"]) for t in trials(continued)] == [
        ("done", ""), ("waiting", "more is asked of it than it has"),
    ]  # fmt: skip
    assert "1 of 2 trials done: 1 waiting" in status(continued)


def test_done_is_what_lies_on_disk_however_the_last_attempt_ended(continued: Workbench) -> None:
    attempt(continued.run_folder().trial(1), train(), end("failed", "a bug"))
    assert [t["state"] for t in trials(continued)] == ["done", "done"]


def test_trials_of_an_earlier_command_are_shown_too(continued: Workbench) -> None:
    ask_for(continued.run_folder(), num_trials=1, first_seed=5)
    assert [(t["seed"], t["state"]) for t in trials(continued)] == [(0, "done"), (1, "done"), (5, "waiting")]


@pytest.mark.slow
def test_while_it_runs_and_after_a_kill(bench: Workbench, gate: Callable[..., Gate]) -> None:
    second_checkpoint = gate(RENAME, "*/seed_0/checkpoints/step_00000010")
    flags = ("--num_trials=2", "--max_parallel=1", "--name=mine")
    driver = bench.start_train(*flags, **second_checkpoint.environment)
    worker = second_checkpoint.wait(driver)
    first, second = trials(bench, "mine")
    assert (first["state"], first["stage"], first["attempt"], first["total"]) == ("training", "all", 0, NUM_STEPS)
    assert second["state"] == "waiting"

    driver.send_signal(signal.SIGINT)
    driver.communicate()
    kill_and_wait(psutil.Process(worker))

    (first, second) = trials(bench, "mine")
    assert first["state"] == "died"
    assert first["cause"] == "killed without a word; the same command goes on from step 5"
    text = status(bench, "mine")
    assert f"seed 0 died: {first['cause']}" in text
    assert f"their logs: seqtrack logs {bench.run_folder().run_id} --seed 0" in text

    # Watching it to the end: lines on a pipe, and the whole picture at last. It gives up what is at rest for a while,
    # as a run may seem whose next trial is slow to start; here one is at work throughout.
    last_checkpoint = gate(RENAME, f"*/seed_0/checkpoints/step_{NUM_STEPS:08d}")
    driver = bench.start_train("--num_trials=2", "--max_parallel=2", **last_checkpoint.environment)
    last_checkpoint.wait(driver)
    watcher = bench.start("status", "--watch")
    assert watcher.stdout is not None
    begun = [next(watcher.stdout) for _ in range(5)]
    assert begun[4].startswith("seed 0: training")
    other = bench.run_folder().trial(1).attempt(0)
    wait_for(lambda: attempts.ended(other), "end of the other trial", driver)
    last_checkpoint.open()
    watched = "".join([*begun, *watcher.stdout])
    driver.communicate()
    assert (watcher.wait(PATIENCE_SECONDS), driver.returncode) == (0, 0)
    assert "\nseed 1: " in watched
    assert "2 of 2 trials done" in watched
    assert f"table: cache/{bench.run_folder().run_id}/summary.csv" in watched
    heading = next(line for line in watched.splitlines() if line.startswith("seed  "))
    assert "restarts" in heading  # seed 0 was started again


# A run that was handed to SLURM.


@pytest.fixture
def handed(continued: Workbench) -> Workbench:
    """Two trials done on this machine, and two more handed to SLURM: array 12 trains, 13 assesses."""
    run = continued.run_folder()
    ask_for(run, num_trials=4)
    hand_over(run, job("12", "train", (2, 3), time.time()), job("13", "assess", (2, 3), time.time(), "aftercorr:12"))
    return continued


def of_run(bench: Workbench, stage: str) -> str:
    return f"seqtrack run={bench.run_folder().run_id} stage={stage} tag=tag{12 if stage == 'train' else 13}{stage}"


@pytest.mark.usefixtures("patient")
def test_slurm_says_what_is_queued_and_why(handed: Workbench, tmp_path: Path) -> None:
    attempt(
        handed.run_folder().trial(2), train(), progress(10, total=NUM_STEPS), job="12_0", stage="train", node="node2",
        started=time.time(),
    )  # fmt: skip
    path = programs(
        tmp_path / "bin",
        squeue=queue_of(
            f"12|1|PENDING||Priority|{of_run(handed, 'train')}",
            f"12|0|RUNNING|node2|None|{of_run(handed, 'train')}",
            f"13|0-1|PENDING||Dependency|{of_run(handed, 'assess')}",
        ),
    )

    found = trials(handed, **path)

    assert [t["state"] for t in found] == ["done", "done", "training", "queued"]
    assert (found[2]["node"], found[2]["job"], found[2]["stage"]) == ("node2", "12_0", "train")
    assert (found[3]["job"], found[3]["detail"]) == ("12_1", "waits for Priority")
    text = status(handed, **path)
    assert "node" in text.splitlines()[4].split()
    assert "2 of 4 trials done: 1 training, 1 queued" in text


@pytest.mark.usefixtures("patient")
def test_why_what_has_left_the_queue_did(handed: Workbench, tmp_path: Path) -> None:
    run = handed.run_folder()
    attempt(run.trial(2), train(), beats=False, job="12_0", stage="train", started=time.time())
    sacct = queue_of("12_0|OUT_OF_MEMORY|node2|0:125", "12_1|CANCELLED|None assigned|0:0", "13_0|CANCELLED||0:0")
    path = programs(tmp_path / "bin", squeue="true", sacct=sacct)

    found = trials(handed, **path)

    assert [t["state"] for t in found[2:]] == ["died", "died"]
    assert found[2]["cause"] == "out of memory on node2 (SLURM: OUT_OF_MEMORY): give more with --slurm_flags mem=…"
    assert found[3]["cause"] == "cancelled with scancel; the same command starts it again"
    lines = status(handed, **path).splitlines()
    assert f"seed 2 died: {found[2]['cause']}" in lines
    assert "2 of 4 trials done: 2 died" in lines
    # Without accounting the file of the task tells.
    (run.slurm / "12_0.out").write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch.\n")
    path = programs(tmp_path / "bin", squeue="true", sacct="echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert trials(handed, **path)[2]["cause"] == found[2]["cause"]


def test_a_dead_controller_is_not_waited_for(
    handed: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients would hang for ten seconds; this one does for ever."""
    assert overview.PATIENCE_SECONDS == 3
    monkeypatch.setattr(overview, "PATIENCE_SECONDS", 0.1)

    text = status(handed, **programs(tmp_path / "bin", squeue="exec sleep infinity"))

    assert "note: SLURM does not answer; this is what the disk says" in text
    assert "2 of 4 trials done: 2 queued" in text


@pytest.mark.usefixtures("patient")
def test_an_error_of_slurm_is_no_answer_either(handed: Workbench, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", squeue="echo 'Unable to contact slurm controller' >&2; exit 1")
    found = json.loads(status(handed, "--json", **path))
    assert found["notes"] == ["SLURM does not answer; this is what the disk says"]
    assert [t["state"] for t in found["trials"]] == ["done", "done", "queued", "queued"]


def test_on_a_machine_without_slurm(handed: Workbench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = status(handed, PATH=str(tmp_path / "empty"))
    assert "note: there is no SLURM on this machine; this is what the disk says" in text
    assert "2 of 4 trials done: 2 queued" in text


@pytest.mark.usefixtures("patient")
def test_slurm_is_asked_once_and_only_if_there_is_something_to_ask(handed: Workbench, tmp_path: Path) -> None:
    asked, run = tmp_path / "asked", handed.run_folder()
    path = programs(tmp_path / "bin", squeue=f"echo once >> {asked}")
    shutil.copytree(run.path, run.path.with_name("ffffffffffff"))
    status(handed, "--all", **path)
    assert asked.read_text() == "once\n"

    asked.unlink()
    ask_for(run, num_trials=2)
    status(handed, run.run_id, **path)  # both are done
    assert not asked.exists()


def test_help_teaches_and_needs_nothing_heavy(repository: Path) -> None:
    heavy = {"torch", "torchvision", "cv2", "pandas", "matplotlib", "h5py", "numpy", "tensorboard"}
    for tool in ("status", "logs", "cancel"):
        code = (
            f"import sys; from seqtrack.tools import {tool}; print({tool}.build_parser().format_help());"
            f" print([name for name in {sorted(heavy)} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
        )
        assert "examples:" in done.stdout
        assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_of_it_imports_torch(finished: Workbench) -> None:
    code = "import sys; from seqtrack.tools.status import main; main([]); print('torch' in sys.modules)"
    environment = {**finished.environment({}), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished.folder, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False"
