"""Ctrl-C before a tool has begun: a line, as later on, and nothing for who only imports the package."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from seqtrack import tools
from tests.gates import OPEN, Gate
from tests.workbench import PATIENCE_SECONDS, Workbench

# What the console command is: ``[project.scripts]``.
CONSOLE = "import sys\nfrom seqtrack.tools.main import console\nsys.exit(console())\n"


@pytest.mark.parametrize(
    "words", [["-m", "seqtrack.tools.train"], ["-m", "seqtrack", "train"], ["bin/seqtrack", "train"]]
)
def test_among_the_first_imports(bench: Workbench, gate: Callable[..., Gate], words: list[str]) -> None:
    (bench.folder / "bin").mkdir()
    (bench.folder / "bin/seqtrack").write_text(CONSOLE)
    first = gate(OPEN, "*/seqtrack/*errors.*py*")
    command = bench.start_python(*words, **first.environment)
    first.wait(command)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=PATIENCE_SECONDS)
    assert (command.returncode, out, err) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("orig_argv", "argv0", "is_ours"),
    [
        (["python", "-X", "dev", "-m", "seqtrack.tools.status", "x"], "-m", True),
        (["python", "/home/me/bin/seqtrack", "status"], "/home/me/bin/seqtrack", True),
        (["python", "-m", "pytest"], "/usr/lib/pytest/__main__.py", False),
        (["python", "mine.py", "--model=seqtrack"], "mine.py", False),
        (["python", "-c", "import seqtrack.tools"], "-c", False),
        (["python"], "", False),
    ],
)
def test_only_a_tool_s_own_process_is_meant(
    monkeypatch: pytest.MonkeyPatch, orig_argv: list[str], argv0: str, is_ours: bool
) -> None:
    monkeypatch.setattr(sys, "orig_argv", orig_argv)
    monkeypatch.setattr(sys, "argv", [argv0])
    assert tools._is_the_program() == is_ours


def test_who_imports_a_tool_keeps_its_hook() -> None:
    assert sys.excepthook is not tools._in_one_line
