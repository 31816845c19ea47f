"""Fixtures that several rooms share."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.gates import Gate
from tests.workbench import Workbench

# How long an example takes says something about the machine, not about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


def pytest_unconfigure(config: Any) -> None:
    """The last line of all: a suite that is green without what lies in ``../shared`` has held no score against a
    toolkit's."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    count = sum("needs ../shared" in str(report.longrepr) for report in skipped)
    if count:
        line = f"{count} tests were LEFT OUT for lack of {SHARED} (real sequences, the toolkits' scores)"
        reporter.write_line(line, red=True, bold=True)


@pytest.fixture(scope="session", autouse=True)
def start_method() -> None:
    """``make test-spawn`` runs everything where a child process starts from nothing."""
    if method := os.environ.get("SEQTRACK_START_METHOD"):
        multiprocessing.set_start_method(method, force=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real sequences and results that lie beside the project where it is developed and in CI."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data (real sequences), which is not beside this clone")
    return SHARED


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def python() -> str:
    return sys.executable


@pytest.fixture(scope="session")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``original/sample_train.tar`` and ``original/sample_eval.tar``: two generated videos each. Not to be
    changed."""
    folder = tmp_path_factory.mktemp("tars")
    flags = ["--num_train=2", "--num_eval=2", "--num_frames=12", "--size=96x96"]
    result = Workbench(folder, REPOSITORY, folder / "tars").run("sample_data", f"--out={folder}", *flags)
    assert result.code == 0, result
    return folder / "tars"


@pytest.fixture
def bench(tmp_path: Path, tars: Path) -> Workbench:
    """An empty folder to give commands in."""
    return Workbench(tmp_path / "bench", REPOSITORY, tars)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tars: Path) -> Workbench:
    """A finished run of two seeds that nothing interrupted. Not to be changed: ``bench.adopt(finished)``."""
    found = Workbench(tmp_path_factory.mktemp("finished"), REPOSITORY, tars)
    result = found.train("--num_trials=2")
    assert result.code == 0, result
    return found


@pytest.fixture
def continued(bench: Workbench, finished: Workbench) -> Workbench:
    """A folder with a copy of the finished run."""
    return bench.adopt(finished)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"needs to mount a small tmpfs: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    """``gate(deed, pattern)``: see ``tests/gates.py``. None of them is left shut."""
    made: list[Gate] = []

    def make(deed: str, pattern: str, passing: int = 0) -> Gate:
        made.append(Gate(tmp_path / "gates" / str(len(made)), deed, pattern, passing))
        return made[-1]

    yield make
    for one in made:
        one.open()
