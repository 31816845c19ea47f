"""Starts of a trial: one at a time, and only the newest publishes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from seqtrack.errors import SupersededError
from seqtrack.runs import attempts
from seqtrack.runs.attempts import Owner
from seqtrack.runs.paths import TrialFolder

HOLD = """
import signal, sys
from pathlib import Path
from seqtrack.runs import attempts
from seqtrack.runs.paths import TrialFolder
print("here", flush=True)
sys.stdin.readline()
attempt = attempts.claim(TrialFolder(Path(sys.argv[1])))
print(attempt.folder.number if attempt else "busy", flush=True)
signal.pause()
"""


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    return TrialFolder(tmp_path / "seed_0")


def hold(trial: TrialFolder, count: int = 1) -> tuple[list[subprocess.Popen[str]], list[str]]:
    """Other processes that claim at once and stay; what each got."""
    command = [sys.executable, "-c", HOLD, str(trial.path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["here\n"] * count
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    return processes, [process.stdout.readline().strip() for process in processes if process.stdout]


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_while_one_is_at_work_nobody_else_starts(trial: TrialFolder) -> None:
    (process,), numbers = hold(trial)
    try:
        assert numbers == ["0"]
        assert attempts.claim(trial) is None
    finally:
        kill(process)


def test_after_a_kill_the_next_number_is_claimed(trial: TrialFolder) -> None:
    (process,), _ = hold(trial)
    kill(process)
    second = attempts.claim(trial)
    assert second is not None
    assert second.folder.number == 1


def test_after_an_orderly_end_too(trial: TrialFolder) -> None:
    first = attempts.claim(trial)
    assert first is not None
    assert attempts.claim(trial) is None
    first.event("end", state="done")
    second = attempts.claim(trial)
    assert second is not None
    assert second.folder.number == 1


def test_of_many_that_claim_at_once_one_gets_it(trial: TrialFolder) -> None:
    processes, numbers = hold(trial, count=4)
    for process in processes:
        kill(process)
    assert sorted(numbers) == ["0", "busy", "busy", "busy"]


def test_an_older_attempt_may_not_publish(trial: TrialFolder) -> None:
    first = attempts.claim(trial)
    assert first is not None
    first.guard()
    pretend_other_host(first.folder.owner)
    second = attempts.claim(trial)
    assert second is not None
    second.guard()
    with pytest.raises(SupersededError, match="attempt 0 of seed 0 was superseded by attempt 1"):
        first.guard()


def pretend_other_host(owner: Path) -> None:
    value = json.loads(owner.read_text())
    owner.write_text(json.dumps({**value, "host": "node7", "boot": "another"}))


def test_on_another_host_the_heartbeat_tells(trial: TrialFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "HEARTBEAT_SECONDS", 3600.0)  # once, when it starts
    first = attempts.claim(trial)
    assert first is not None
    with first:
        pretend_other_host(first.folder.owner)
        assert attempts.is_alive(first.folder)
        old = time.time() - attempts.STALE_SECONDS - 1
        os.utime(first.folder.heartbeat, (old, old))
        assert not attempts.is_alive(first.folder)


def test_a_reused_pid_is_not_the_same_process(trial: TrialFolder) -> None:
    first = attempts.claim(trial)
    assert first is not None
    owner = asdict(Owner.current())
    first.folder.owner.write_text(json.dumps({**owner, "started": owner["started"] - 100}))
    assert not attempts.is_alive(first.folder)


def test_an_attempt_without_a_readable_owner_is_dead(trial: TrialFolder) -> None:
    folder = trial.attempt(0)
    folder.path.mkdir(parents=True)
    assert attempts.newest(trial) is None
    folder.owner.write_text('{"host": "x"')
    assert not attempts.is_alive(folder)
    second = attempts.claim(trial)
    assert second is not None
    assert second.folder.number == 1
