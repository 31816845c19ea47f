"""Commands as a person gives them, in a folder of their own, on data small enough for a test.

A ``Workbench`` runs the real command lines in real processes; what happened is then read off the disk: events,
checkpoints, tables. Fixtures in ``conftest.py`` hand it out.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder, TrialFolder
from seqtrack.tools import cli

# 87 is the receptive field of the AlexNet trunk, 119 gives a 5 x 5 response: the smallest SiamFC there is.
SMALL_MODEL = {"template_size": 87, "search_size": 119, "feature_params": {"arch_params": {"width": 0.1}}}
NUM_STEPS = 40
PERIOD_CKPT = 5
PERIOD_SUMMARY = 4  # no divisor of the other: checkpoints fall between rows of train.csv
TRAIN, EVAL = "sample_train", "sample_eval"
DEVICE = os.environ.get("SEQTRACK_TEST_DEVICE", "cpu")  # ``make test-gpu`` says cuda
PATIENCE_SECONDS = 300.0  # for what takes a second or two on an idle machine


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Workbench:
    """Runs commands in ``folder``; results go to ``folder/cache``, indexes to ``folder/dataset_cache``."""

    def __init__(self, folder: Path, package: Path, tars: Path) -> None:
        self.folder = folder
        self.package = package
        self.tars = tars
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """No settings of the person who runs the tests, and the package under test before any other."""
        paths = [extra.get("PYTHONPATH"), str(self.package)]
        return {
            **os.environ,
            **extra,
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }

    def start(self, tool: str, *words: str, **environment: str) -> subprocess.Popen[str]:
        return self.start_python("-m", f"seqtrack.tools.{tool}", *words, **environment)

    def start_python(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A suite that was started in the background ignores Ctrl-C, and so would everything it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, tool: str, *words: str, **environment: str) -> Result:
        process = self.start(tool, *words, **environment)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return Result(process.returncode, out, err)

    def call(self, tool: str, *words: str, **environment: str) -> Result:
        """As ``run``, within this process: cheaper, for commands that read, and start nothing that outlives them."""
        main = importlib.import_module(f"seqtrack.tools.{tool}").main
        out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with (
                mock.patch.dict(os.environ, self.environment(environment)),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = cli.run(main, words)
        except SystemExit as end:  # --help
            code = int(end.code or 0)
        finally:
            os.chdir(before)
        return Result(code, out.getvalue(), err.getvalue())

    def flags(self, *more: str) -> list[str]:
        """The small training that the tests share; later flags win."""
        return [
            f"--tar_dir={self.tars}", f"--train_dataset=otb:{TRAIN}", "--eval_datasets", f"otb:{EVAL}",
            f"--num_steps={NUM_STEPS}", f"--period_ckpt={PERIOD_CKPT}", f"--period_summary={PERIOD_SUMMARY}",
            "--batchsz=4", f"--model_params={json.dumps(SMALL_MODEL)}", '--sampler_params={"kind": "uniform"}',
            # A test leaves no references in the repository that it is run from.
            "--cpu_threads=1", f"--device={DEVICE}", "--no-snapshot", *more,
        ]  # fmt: skip

    def train(self, *more: str, **environment: str) -> Result:
        return self.run("train", *self.flags(*more), **environment)

    def start_train(self, *more: str, **environment: str) -> subprocess.Popen[str]:
        return self.start("train", *self.flags(*more), **environment)

    def run_id(self, *more: str) -> str:
        """The id that these flags give, from ``--dry_run``."""
        result = self.call("train", *self.flags(*more), "--dry_run")
        assert result.code == 0, result
        return result.out.split()[1].rstrip(":")

    def run_folder(self) -> RunFolder:
        (path,) = [path.parent for path in self.cache.glob("*/train.yaml")]
        return RunFolder(path)

    def adopt(self, other: Workbench) -> Workbench:
        """Starts from a copy of everything that another bench has."""
        shutil.copytree(other.cache, self.cache, symlinks=True)
        shutil.copytree(other.folder / "dataset_cache", self.folder / "dataset_cache")
        return self


def wait_for(condition: Callable[[], Any], what: str, command: subprocess.Popen[str] | None = None) -> Any:
    """Polls tightly until ``condition`` holds, and returns what it said; fails at once if ``command`` ends first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        has_ended = command is not None and command.poll() is not None
        if found := condition():
            return found
        if has_ended and command is not None:
            raise AssertionError(f"no {what}, but: {Result(command.returncode, *command.communicate())}")
        time.sleep(0.002)
    raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def kill_and_wait(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
    wait_for(lambda: is_gone(process.pid), f"the end of process {process.pid}")


def tree_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def all_events(trial: TrialFolder) -> list[list[dict[str, Any]]]:
    """The events of each attempt, in order of number."""
    return [events.read(attempt.events) for attempt in trial.attempts()]


def named(records: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in records if record["event"] == name]


def trained_attempts(trial: TrialFolder) -> int:
    return sum(bool(named(records, "train")) for records in all_events(trial))


def results_of(run: RunFolder) -> dict[str, bytes]:
    """What must be the same bytes however often the run was interrupted, by relative path."""
    found = {}
    for trial in run.trials():
        last = max(trial.checkpoints())
        files = [trial.checkpoint(last).model, trial.train_csv]
        for pattern in ("sequences.csv", "summary.json", "tracks.h5", "config.yaml"):
            files += sorted((trial.path / "assess").glob(f"*/step_*/{pattern}"))
        for path in files:
            found[str(path.relative_to(run.path))] = path.read_bytes()
    for path in (run.summary_json, run.summary_csv):
        found[path.name] = path.read_bytes()
    return found


def move_every_box(package: Path) -> None:
    """An edit that nobody commits: the tracker of this code looks half a cell of the response to the right."""
    file = package / "seqtrack" / "tracking" / "response.py"
    sound = file.read_text()
    line = "(x + _vertex(patch[row], column)) / self._factor - self._center,"
    assert sound.count(line) == 1
    file.write_text(sound.replace(line, f"0.5 + {line}"))


def check_that_boxes_alone_moved(run: RunFolder, sound: RunFolder) -> None:
    """``sound``: the same run by code without ``move_every_box``."""
    expected, found = results_of(sound), results_of(run)
    learned = [name for name in found if name.endswith(("model.safetensors", "train.csv"))]
    tracked = [name for name in found if name.endswith(("tracks.h5", "sequences.csv"))]
    assert len(learned) == len(tracked) > 0
    assert [name for name in learned if found[name] != expected[name]] == []
    assert [name for name in tracked if found[name] == expected[name]] == []


def leftovers(folder: Path) -> list[str]:
    """Unfinished files and folders."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".tmp-*"))


def table_of(out: str) -> list[str]:
    """The lines of a command's table and what follows it."""
    lines = out.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("eval set")) :]
