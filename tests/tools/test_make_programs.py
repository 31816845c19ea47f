"""Programs beside the package that make runs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.workbench import Workbench


@pytest.fixture
def few_programs(tmp_path: Path) -> Path:
    """A folder with what the script itself needs, of somebody who is not root, and no SLURM."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "cat"):
        (folder / program).symlink_to(shutil.which(program) or "")
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (
            None,
            0,
            r"=+\nNOT TESTED: .*\(tests/slurm\), for lack of: sbatch( \w+)*\nTo have slurm-wlm ",
        ),
        (
            "1",
            2,
            r"error: SEQTRACK_INSTALL_SLURM=1 needs root on Debian or Ubuntu; elsewhere install slurm-wlm ",
        ),
    ],
)
def test_slurm_is_installed_where_that_was_asked_for_and_else_said_to_be_missing(
    few_programs: Path, repository: Path, asked: str | None, code: int, message: str
) -> None:
    environment = {"PATH": str(few_programs), **({"SEQTRACK_INSTALL_SLURM": asked} if asked else {})}
    script = repository / "aux" / "slurm" / "install.sh"
    ended = subprocess.run(["/bin/sh", str(script)], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert re.match(message, ended.stderr), ended.stderr


@pytest.fixture
def demo(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", repository / "aux" / "demo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def demo_folder(bench: Workbench) -> Path:
    (bench.folder / "demo_data").mkdir()
    (bench.folder / "demo_data" / "tars").symlink_to(bench.tars)
    return bench.folder


def test_the_demo_gives_a_command_that_there_is(bench: Workbench, demo: ModuleType, demo_folder: Path) -> None:
    module, tool, *flags = demo.command(0, "--name=untrained", *demo.where([]))
    assert (module, tool) == ("-m", "seqtrack.tools.train")
    result = bench.call("train", *flags, "--dry_run")
    assert (result.code, result.err) == (0, ""), result
    assert "siamfc, 0 steps" in result.out.splitlines()[0]


def test_behind_slurm_stand_flags_for_sbatch(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.os, "cpu_count", lambda: 6)
    asked = ["--slurm", "--slurm_throttle=3", "--slurm_flags"]
    assert demo.where(["--slurm"]) == [*asked, "time=30", "cpus-per-task=2", "gres=gpu:1"]
    assert demo.where(["--slurm", "time=5"]) == [*asked, "time=5"]


def test_what_the_demo_compares_with(demo: ModuleType, demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_folder)
    assert 0 < demo.still_auc() < 1
