"""Ctrl-C leaves a run without stopping it, and the same command comes back to it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from seqtrack.cluster import driver
from seqtrack.cluster.work import Work
from seqtrack.runs import attempts
from tests.pipeline.test_sweep_points import made
from tests.workbench import (
    Workbench,
    all_events,
    is_gone,
    named,
    results_of,
    trained_attempts,
    wait_for,
)


def test_what_goes_on_in_the_background_does_not_go_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of flags may say detach too, which would start a command from a command for ever."""
    started: list[list[str]] = []
    monkeypatch.setattr(driver, "prepare_data", lambda work, say: None)
    monkeypatch.setattr(driver.subprocess, "Popen", lambda words, **how: started.append(words) or Mock(pid=1))
    sweep = made(tmp_path, base={"num_steps": 4, "detach": True})
    work = Work(sweep.requests, sweep.folder)
    driver.leave_in_background(work, "seqtrack.tools.sweep", ["sweep.yaml", "--detach"])
    assert started == [[sys.executable, "-m", "seqtrack.tools.sweep", "sweep.yaml", "--no-detach"]]
    assert not made(tmp_path, {"detach": False}, base={"num_steps": 4, "detach": True}).requests[0].execution.detach


@pytest.mark.slow
def test_trials_go_on_and_are_found_again(
    bench: Workbench, finished: Workbench, slow_disk: Callable[[float], dict[str, str]]
) -> None:
    command = bench.start_train("--num_trials=2", "--max_parallel=1", **slow_disk(0.1))
    wait_for(lambda: list(bench.cache.glob("*/seed_0/checkpoints/step_*")), "checkpoint", command)
    owner = attempts.read_owner(bench.run_folder().trial(0).attempt(0))
    assert owner is not None

    command.send_signal(signal.SIGINT)
    _, err = command.communicate()

    assert command.returncode == 130
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
