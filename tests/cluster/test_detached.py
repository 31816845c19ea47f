"""Ctrl-C leaves a run without stopping it, and the same command comes back to it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from seqtrack.runs import attempts
from tests.workbench import (
    Workbench,
    all_events,
    is_gone,
    named,
    results_of,
    trained_attempts,
    wait_for,
)


@pytest.mark.slow
def test_trials_go_on_and_are_found_again(
    bench: Workbench, finished: Workbench, slow_disk: Callable[[float], dict[str, str]]
) -> None:
    driver = bench.start_train("--num_trials=2", "--max_parallel=1", **slow_disk(0.1))
    wait_for(lambda: list(bench.cache.glob("*/seed_0/checkpoints/step_*")), "checkpoint", driver)
    owner = attempts.read_owner(bench.run_folder().trial(0).attempt(0))
    assert owner is not None

    driver.send_signal(signal.SIGINT)
    _, err = driver.communicate()

    assert driver.returncode == 130
    assert "give the same command again to come back" in err
    cancel = f"seqtrack cancel {bench.run_folder().run_id}"
    assert f"1 trial goes on in the background; to stop that as well: {cancel}\n" in err
    assert "seeds 1 have not started" in err
    assert "Traceback" not in err
    assert not is_gone(owner.pid)

    result = bench.train("--num_trials=2", "--max_parallel=1")

    assert result.code == 0, result
    run = bench.run_folder()
    assert [trained_attempts(trial) for trial in run.trials()] == [1, 1]
    assert named(all_events(run.trial(0))[0], "start")[0]["pid"] == owner.pid
    assert results_of(run) == results_of(finished.run_folder())
