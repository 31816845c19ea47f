"""The documentation is run: every ``bash`` block in order, in an empty folder; of ``sh`` blocks (which need data or
a machine that tests do not have) every seqtrack command is at least read."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seqtrack.tools.train import build_parser, read_config

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PATIENCE_SECONDS = 1500  # forty commands, one after the other; on a busy machine each may take long
BLOCK = re.compile(r"^```(bash|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def commands(page: Path) -> list[list[str]]:
    """Every ``seqtrack X …`` of the page, as words."""
    text = "\n".join(blocks(page, "sh") + blocks(page, "bash")).replace("\\\n", " ")
    found = [shlex.split(line) for line in text.splitlines() if line.startswith("seqtrack ")]
    return [words for words in found if not {"…", "|"} & {*words}]


EXECUTED = [page for page in PAGES if blocks(page, "bash")]


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.name)
def test_the_page_works_as_typed(page: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "seqtrack").write_text(f"#!{sys.executable}\nfrom seqtrack.tools.main import console\nconsole()\n")
    (programs / "seqtrack").chmod(0o755)
    script = "set -euo pipefail\n" + "\n".join(blocks(page, "bash"))
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
    }
    answer = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]


@pytest.mark.parametrize(
    ("page", "words"),
    [(page, words) for page in PAGES for words in commands(page)],
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_every_command_on_the_page_can_be_read(page: Path, words: list[str]) -> None:
    verb, arguments = words[1], words[2:]
    if verb == "train":
        known = vars(build_parser().parse_args(arguments))
        known.pop("config", None)  # the file is made by the page itself
        switches = {known.pop("dry_run", None), known.pop("print_config", None)}
        if "--config" not in arguments:
            read_config(known)
        assert switches <= {None, True}
    else:
        assert importlib.import_module(f"seqtrack.tools.{verb}").build_parser().parse_args(arguments)


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
