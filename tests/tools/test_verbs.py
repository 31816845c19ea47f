"""``seqtrack VERB`` and ``python -m seqtrack VERB`` are the same."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from seqtrack.tools.main import VERBS


def seqtrack(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seqtrack", *words], capture_output=True, text=True)


def test_without_a_verb_it_lists_them(repository: Path) -> None:
    answer = seqtrack()
    assert answer.returncode == 0, answer.stderr
    listed = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")]
    assert listed == list(VERBS)


def test_a_misspelt_verb_is_one_line_with_the_nearest() -> None:
    answer = seqtrack("statsu")
    assert (answer.returncode, answer.stderr) == (2, "error: seqtrack statsu: no such verb; did you mean status?\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_tool_with_a_help_that_shows_an_example(verb: str) -> None:
    tool = importlib.import_module(f"seqtrack.tools.{verb}")
    assert "example" in tool.build_parser().format_help()
