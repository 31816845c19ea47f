"""``seqtrack cancel SWEEP`` on one machine: every command that starts its trials, and every trial, are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from seqtrack.cluster.cancel import WORKER, cancel, cancel_sweep
from seqtrack.pipeline.sweep import definition as definitions
from seqtrack.pipeline.sweep import sweep as sweeps
from seqtrack.pipeline.sweep.sweep import Sweep
from seqtrack.runs import attempts, events
from seqtrack.tools import cancel as cancel_tool
from seqtrack.tools import cli
from tests.pipeline.test_sweep_points import written
from tests.workbench import PATIENCE_SECONDS

SLEEP = "import signal; signal.pause()"


class Machine:
    """Commands that have asked for a sweep, and workers, as the process table shows them. None of them works."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", SLEEP, *words], stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def command(
        self, *lr: float, words: Sequence[str] = ("seqtrack", "sweep")
    ) -> tuple[Sweep, subprocess.Popen[bytes]]:
        process = self.start(*words)
        found: dict[str, Any] = {**attempts.this_process(), "pid": process.pid}
        found["started"] = psutil.Process(process.pid).create_time()
        self.patch.setattr(attempts, "this_process", lambda: found)
        definition = definitions.read(written(self.folder, grid={"lr_init": list(lr)}))
        sweep = sweeps.from_definition(definition, {"cache_dir": self.folder})
        sweeps.record(sweep, definition)
        self.patch.undo()
        return sweep, process

    def worker(self, sweep: Sweep, place: int) -> subprocess.Popen[bytes]:
        return self.start(WORKER, str(sweep.requests[place].run.path), "0")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    for process in machine.processes:
        process.kill()
        process.wait()


def test_all_of_it_is_stopped_and_nothing_else(machine: Machine) -> None:
    """Also a command that came back and only follows what an earlier one had started, and a point that the file
    no longer has."""
    before, gone = machine.command(0.1, 0.2)
    gone.kill()
    gone.wait()
    old, shared = machine.worker(before, 0), machine.worker(before, 1)
    now, driver = machine.command(0.2, 0.3)
    other = machine.start(WORKER, str(machine.folder / "another_run"), "0")

    told: list[str] = []
    outcome = cancel_sweep(now.folder, told.append)

    assert sorted(told[1:3]) == sorted(
        f"run {before.runs[place].run_id} seed 0: process {process.pid} was asked to stop; it saves first"
        for place, process in enumerate((old, shared))
    )
    assert [told[0], *told[3:]] == [
        f"the command that started the trials (process {driver.pid}) was ended, so that it starts no more of them",
        "what is saved is kept; the same command goes on from there",
    ]
    assert (outcome.stopped, outcome.missed) == (3, 0)
    assert None not in [process.wait(PATIENCE_SECONDS) for process in (old, shared, driver)]
    assert other.poll() is None
    told.clear()
    cancel_sweep(now.folder, told.append)
    assert told == ["nothing to cancel: nothing of sweep s is at work or in a queue"]


def test_a_notebook_that_has_called_the_command_is_left_alone(machine: Machine) -> None:
    """What it called may be over long since, and what it goes on with is no sweep."""
    sweep, notebook = machine.command(0.1, words=["ipykernel_launcher"])
    told: list[str] = []
    cancel_sweep(sweep.folder, told.append)
    assert told == ["nothing to cancel: nothing of sweep s is at work or in a queue"]
    assert notebook.poll() is None


def test_one_run_of_it_leaves_its_command_alone_and_says_so(machine: Machine) -> None:
    sweep, driver = machine.command(0.1, 0.2)
    worker, other = machine.worker(sweep, 0), machine.worker(sweep, 1)

    told: list[str] = []
    cancel(sweep.requests[0].run, None, told.append)

    assert told == [
        "the command of its sweep starts what waits of it all the same; to end that: seqtrack cancel s",
        f"seed 0: process {worker.pid} was asked to stop; it saves first",
        "what is saved is kept; the same command goes on from there",
    ]
    worker.wait(PATIENCE_SECONDS)
    assert (driver.poll(), other.poll()) == (None, None)


def test_a_name_that_a_run_has_too_stops_neither(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    sweep, driver = machine.command(0.1, 0.2)
    run = sweep.requests[0].run
    last = events.read_last(run.submissions)
    assert last is not None
    events.append(run.submissions, {**last, "execution": {**last["execution"], "name": "s"}})
    where = f"--cache_dir={machine.folder}"
    assert cli.run(cancel_tool.main, ["s", where]) == 2
    assert capsys.readouterr().err == (
        f"error: RUN: s is a sweep, and the name of run {run.run_id}; give {sweep.folder.path}, or the run's id\n"
    )
    assert driver.poll() is None
    assert cli.run(cancel_tool.main, [str(sweep.folder.path), where]) == 0
    assert driver.wait(PATIENCE_SECONDS) is not None
