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
from seqtrack.runs import events
from tests.gates import RENAME, Gate
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
def test_trials_go_on_and_are_found_again(bench: Workbench, finished: Workbench, gate: Callable[..., Gate]) -> None:
    second = gate(RENAME, "*/checkpoints/step_00000010")
    command = bench.start_train("--num_trials=2", "--max_parallel=1", **second.environment)
    worker = second.wait(command)

    command.send_signal(signal.SIGINT)
    _, err = command.communicate()

    assert command.returncode == 130
    assert "give the same command again to come back" in err
    cancel = f"seqtrack cancel {bench.run_folder().run_id}"
    assert f"1 trial goes on in the background; to stop that as well: {cancel}\n" in err
    assert "seeds 1 have not started" in err
    assert "Traceback" not in err
    assert not is_gone(worker)

    run = bench.run_folder()
    again = bench.start_train("--num_trials=2", "--max_parallel=1")
    wait_for(lambda: len(events.read(run.submissions)) == 2, "the same command's request", again)
    second.open()
    out, err = again.communicate()

    assert again.returncode == 0, (out, err)
    assert [trained_attempts(trial) for trial in run.trials()] == [1, 1]
    assert named(all_events(run.trial(0))[0], "start")[0]["pid"] == worker
    assert results_of(run) == results_of(finished.run_folder())
