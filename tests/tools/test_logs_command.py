"""``seqtrack logs``: what a trial has said, attempt by attempt."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seqtrack.runs import events
from seqtrack.runs.logs import Tail, last_lines
from tests.gates import RENAME, Gate
from tests.handmade import attempt, end, hand_over, job, programs, train
from tests.workbench import PATIENCE_SECONDS, Workbench

# The command, waiting for SLURM's clients however late their answer.
PATIENT = f"""
import sys
from seqtrack.cluster import overview
from seqtrack.tools import cli, logs
overview.PATIENCE_SECONDS = {PATIENCE_SECONDS}
sys.exit(cli.run(logs.main))
"""


def logs(bench: Workbench, *words: str, **environment: str) -> list[str]:
    result = bench.call("logs", *words, **environment)
    assert result.code == 0, result
    assert result.err == ""
    return result.out.splitlines()


@pytest.fixture
def restarted(continued: Workbench) -> Workbench:
    """Seed 1 with three more attempts, as SLURM makes them: 12_1 twice, then 13_1 assesses."""
    trial = continued.run_folder().trial(1)
    shutil.rmtree(trial.path / "attempts")
    attempt(trial, train(), end("interrupted"), job="12_1", stage="train", node="node1", log="one\n")
    attempt(trial, train(), end("done"), job="12_1", stage="train", node="node2", log="two\nthree\nfour\n")
    attempt(trial, beats=False, job="13_1", stage="assess", node="node3", log="five\n")
    return continued


def test_the_newest_attempt(finished: Workbench) -> None:
    lines = logs(finished, "latest", "--seed", "0")
    assert re.fullmatch(r"==> seed 0, attempt 0, train and assess on \S+, ended: done <==", lines[0])
    log = finished.run_folder().trial(0).attempt(0).log.read_text()
    assert lines[1:] == log.splitlines()


def test_of_a_stage_or_by_number(restarted: Workbench) -> None:
    newest = ["==> seed 1, attempt 2, assess on node3, job 13_1, died <==", "five"]
    assert logs(restarted, "--seed=1") == newest
    assert logs(restarted, "--seed=1", "--stage=assess") == newest
    assert logs(restarted, "--seed=1", "--stage=train", "--lines=2") == [
        "==> seed 1, attempt 1, train on node2, job 12_1, ended: done <==", "three", "four",
    ]  # fmt: skip
    assert logs(restarted, "--seed=1", "--attempt=0") == [
        "==> seed 1, attempt 0, train on node1, job 12_1, ended: interrupted <==", "one",
    ]  # fmt: skip


def test_slurm_has_the_last_word_on_what_did_not_end_well(restarted: Workbench) -> None:
    run = restarted.run_folder()
    run.slurm.mkdir()
    (run.slurm / "13_1.out").write_text(
        "slurmstepd: error: *** JOB 13 ON node3 CANCELLED AT … DUE TO TIME LIMIT ***\n"
    )
    (run.slurm / "12_1.out").write_text("module loaded\n")
    assert logs(restarted, "--seed=1")[2:] == [
        f"==> SLURM on job 13_1, cache/{run.run_id}/slurm/13_1.out <==",
        "slurmstepd: error: *** JOB 13 ON node3 CANCELLED AT … DUE TO TIME LIMIT ***",
    ]
    assert len(logs(restarted, "--seed=1", "--attempt=1")) == 4  # ended well
    run.trial(1).attempt(2).heartbeat.touch()
    assert logs(restarted, "--seed=1") == ["==> seed 1, attempt 2, assess on node3, job 13_1, at work <==", "five"]


@pytest.mark.usefixtures("patient")
def test_before_there_is_an_attempt(continued: Workbench, tmp_path: Path) -> None:
    run = continued.run_folder()
    hand_over(run, job("12", "train", (0, 2), time.time()), job("13", "assess", (0, 2), time.time()))
    squeue = f"echo '12|1|PENDING||Resources|seqtrack run={run.run_id} stage=train tag=tag12train'"
    path = programs(tmp_path / "bin", squeue=squeue)
    assert logs(continued, "--seed=2", **path) == ["seed 2: no log yet: queued, waits for Resources"]
    assert logs(continued, "--seed=2", "--stage=assess", **path)[0].startswith("seed 2: no log yet: queued")

    (run.slurm / "12_1.out").write_text("error: --data_dir: no such folder\n")
    assert logs(continued, "--seed=2", **path) == [
        f"==> seed 2, job 12_1 before there was an attempt, cache/{run.run_id}/slurm/12_1.out <==",
        "error: --data_dir: no such folder",
    ]


def test_what_a_worker_here_said_before_its_attempt(continued: Workbench) -> None:
    trial = continued.run_folder().trial(1)
    shutil.rmtree(trial.path / "attempts")
    trial.launch_log.write_text("ImportError: libcudart\n")
    lines = logs(continued, "--seed=1")
    assert lines[0].startswith("==> seed 1, its process before there was an attempt, cache/")
    assert lines[1:] == ["ImportError: libcudart"]
    trial.launch_log.unlink()
    assert logs(continued, "--seed=1") == ["seed 1: no log yet: waiting"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed=7"], "has no trial 7; there are 0, 1"),
        ([], "--seed: which trial? run "),
        (["--seed=0", "--attempt=3"], "--attempt: seed 0 has no attempt 3; there are 0"),
        (["--seed=0", "--attempt=0", "--follow"], "--follow: it follows the newest attempt and those that come"),
        (["--seed=0", "--lines=-1"], "--lines: expected a number of lines, got -1"),
        (["--seed=0", "--stage=both"], "--stage"),
    ],
)
def test_mistakes_are_one_line(finished: Workbench, words: list[str], message: str) -> None:
    result = finished.call("logs", *words)
    assert result.code == 2, result
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_following_a_trial_that_is_at_rest_ends(finished: Workbench) -> None:
    lines = logs(finished, "--seed=0", "--follow", "--lines=1")
    assert len(lines) == 3
    assert lines[-1] == "==> seed 0, done <=="


def test_following_goes_on_over_a_restart(continued: Workbench, tmp_path: Path) -> None:
    run = continued.run_folder()
    trial = run.trial(2)
    hand_over(run, job("12", "train", (2,)), job("13", "assess", (2,)))
    path = programs(tmp_path / "bin", squeue=f"cat {tmp_path / 'queue'}")
    queue = tmp_path / "queue"
    queue.write_text("12|0|RUNNING|node1|None|\n13|0|PENDING||Dependency|\n")

    follower = continued.start_python("-c", PATIENT, "--seed=2", "--follow", **path)
    assert follower.stdout is not None

    def next_line() -> str:
        return follower.stdout.readline().rstrip("\n")  # type: ignore[union-attr]

    assert next_line() == "seed 2: no log yet: starting"
    first = attempt(trial, train(), job="12_0", stage="train", node="node1", log="one\n")
    assert next_line() == "==> seed 2, attempt 0, train on node1, job 12_0, at work <=="
    assert next_line() == "one"
    with first.log.open("a") as log:
        log.write("two\n")
    assert next_line() == "two"
    events.append(first.events, end("interrupted"))
    second = attempt(trial, train(), job="12_0", stage="train", node="node2", log="three\n")
    assert next_line() == "==> seed 2, attempt 1, train on node2, job 12_0, at work <=="
    assert next_line() == "three"
    events.append(second.events, end("done"))
    attempt(trial, end("done"), job="13_0", stage="assess", node="node3", log="four\n")
    assert next_line() == "==> seed 2, attempt 2, assess on node3, job 13_0, ended: done <=="
    assert next_line() == "four"
    assert next_line() == "==> seed 2, done <=="
    assert follower.wait(PATIENCE_SECONDS) == 0


@pytest.mark.slow
def test_following_a_worker_and_leaving(bench: Workbench, gate: Callable[..., Gate]) -> None:
    second_checkpoint = gate(RENAME, "*/seed_0/checkpoints/step_00000010")
    driver = bench.start_train("--num_trials=1", **second_checkpoint.environment)
    second_checkpoint.wait(driver)
    to_the_end = bench.start("logs", "--follow")
    leaving = bench.start("logs", "--follow")
    assert leaving.stdout is not None
    assert leaving.stdout.readline().startswith("==> seed 0, attempt 0")

    leaving.send_signal(signal.SIGINT)
    _, err = leaving.communicate(timeout=PATIENCE_SECONDS)
    assert (leaving.returncode, err) == (130, "interrupted\n")

    assert to_the_end.stdout is not None and to_the_end.stderr is not None
    first = to_the_end.stdout.readline()
    assert first.startswith("==> seed 0, attempt 0") and first.endswith("at work <==\n")
    second_checkpoint.open()
    driver.communicate()
    lines = to_the_end.stdout.read().splitlines()
    assert (to_the_end.wait(PATIENCE_SECONDS), to_the_end.stderr.read()) == (0, "")
    assert lines[-1] == "==> seed 0, done <=="
    assert lines[:-1] == bench.run_folder().trial(0).attempt(0).log.read_text().splitlines()


def test_the_ends_of_files(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    assert last_lines(path, 3) == []
    assert Tail(path).more() == ""
    path.write_text("".join(f"line {n} é\n" for n in range(20000)))
    assert last_lines(path, 2) == ["line 19998 é", "line 19999 é"]
    assert last_lines(path, 0) == []
    tail = Tail(path, 1)
    assert tail.more() == "line 19999 é\n"
    with path.open("ab") as file:
        file.write("é".encode()[:1])
    assert tail.more() == ""
    with path.open("ab") as file:
        file.write("é".encode()[1:])
    assert tail.more() == "é"
