"""A worker that was taken for dead and wakes up after another has finished its trial publishes nothing.

Its host is made to look like another one, for which only the heartbeat tells whether it lives.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from seqtrack.runs import attempts
from seqtrack.runs.paths import AttemptFolder, TrialFolder
from tests.gates import OPEN, Gate
from tests.workbench import (
    Workbench,
    all_events,
    is_gone,
    leftovers,
    named,
    results_of,
    tree_of,
    wait_for,
)


def looks_dead(attempt: AttemptFolder) -> None:
    """As a node looks that has vanished from the network: another host, no heartbeat for long."""
    owner = json.loads(attempt.owner.read_text())
    attempt.owner.write_text(json.dumps({**owner, "host": "elsewhere", "boot": "another"}))
    long_ago = time.time() - 10 * attempts.STALE_SECONDS
    os.utime(attempt.heartbeat, (long_ago, long_ago))


def published(trial: TrialFolder) -> dict[str, str]:
    """Every file of the trial but those of its first attempt."""
    return {name: sha for name, sha in tree_of(trial.path).items() if not name.startswith("attempts/0/")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "passing", "reached"),
    [
        # Opened to be flushed, which is when something has appeared in it.
        pytest.param("*/seed_0/checkpoints", 1, 10, id="the second checkpoint has just appeared"),
        pytest.param("*/.tmp-step_00000010-*/meta.json", 0, 5, id="it is being written"),
    ],
)
def test_a_zombie_publishes_nothing(
    bench: Workbench, finished: Workbench, gate: Callable[..., Gate], place: str, passing: int, reached: int
) -> None:
    moment = gate(OPEN, place, passing)
    driver = bench.start_train("--num_trials=1", **moment.environment)
    worker = psutil.Process(moment.wait(driver))
    trial = bench.run_folder().trial(0)
    try:
        worker.suspend()  # its heart as well
        driver.kill()
        driver.communicate()
        wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to stand still")
        assert max(trial.checkpoints()) == reached
        looks_dead(trial.attempt(0))

        result = bench.train("--num_trials=1")
        assert result.code == 0, result
        before = published(trial)

        moment.open()
        worker.resume()
        wait_for(lambda: is_gone(worker.pid), "the zombie's end")
    finally:
        if worker.is_running():
            worker.send_signal(signal.SIGKILL)

    assert published(trial) == before
    assert leftovers(bench.cache) == []
    zombie, successor = all_events(trial)
    assert zombie[-1]["event"] == "end"
    assert zombie[-1]["state"] == "superseded"
    assert "superseded by attempt 1" in zombie[-1]["error"]
    assert [event["step"] for event in named(successor, "train")] == [reached]
    assert max(event["step"] for event in named(zombie, "checkpoint")) == reached
    expected = results_of(finished.run_folder())
    found = results_of(bench.run_folder())
    assert all(found[name] == expected[name] for name in found if name.startswith("seed_0"))


def test_an_attempt_on_another_host_is_followed_while_its_heart_beats(continued: Workbench) -> None:
    """The other side of it: a worker that cannot be asked, but beats, is left alone."""
    trial = continued.run_folder().trial(1)
    attempt = trial.attempt(0)
    looks_dead(attempt)
    later = time.time() + 10 * attempts.STALE_SECONDS  # however long the command takes to start
    os.utime(attempt.heartbeat, (later, later))
    lines = attempt.events.read_text().splitlines(keepends=True)
    attempt.events.write_text("".join(lines[:-1]))  # it has not ended
    (trial.path / "assess").rename(trial.path / "was_assess")  # and is not complete

    result = continued.train("--num_trials=2", "--dry_run")

    assert "seed 1: runs now; would be followed" in result.out, result
