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
from tests.workbench import (
    NUM_STEPS,
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


def between_steps(trial: TrialFolder) -> bool:
    """Two checkpoints have been published (and rows of train.csv since TensorBoard's first) and no other is being
    written."""
    return len(trial.checkpoints()) >= 2 and not list((trial.path / "checkpoints").glob(".tmp-*"))


def inside_a_checkpoint(trial: TrialFolder) -> bool:
    """The second checkpoint has been written, and is being flushed before it appears."""
    unfinished = (trial.path / "checkpoints").glob(".tmp-step_*/meta.json")
    return bool(trial.checkpoints()) and any(unfinished)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [between_steps, inside_a_checkpoint])
def test_a_zombie_publishes_nothing(
    bench: Workbench,
    finished: Workbench,
    slow_disk: Callable[[float], dict[str, str]],
    moment: Callable[[TrialFolder], bool],
) -> None:
    driver = bench.start_train("--num_trials=1", **slow_disk(0.1))
    wait_for(lambda: list(bench.cache.glob("*/seed_0/attempts/0/owner.json")), "worker", driver)
    trial = bench.run_folder().trial(0)
    worker = psutil.Process(attempts.read_owner(trial.attempt(0)).pid)  # type: ignore[union-attr]
    try:
        wait_for(lambda: moment(trial), moment.__name__, driver)
        worker.suspend()
        driver.kill()
        driver.communicate()
        wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to stand still")
        reached = max(trial.checkpoints())
        assert reached < NUM_STEPS
        looks_dead(trial.attempt(0))

        result = bench.train("--num_trials=1")
        assert result.code == 0, result
        before = published(trial)

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
    os.utime(attempt.heartbeat)
    lines = attempt.events.read_text().splitlines(keepends=True)
    attempt.events.write_text("".join(lines[:-1]))  # it has not ended
    (trial.path / "assess").rename(trial.path / "was_assess")  # and is not complete

    result = continued.train("--num_trials=2", "--dry_run")

    assert "seed 1: runs now; would be followed" in result.out, result
