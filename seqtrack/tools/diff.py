"""In what two runs differ: flags, code (git diff), data, machines and versions."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.tools import cli

if TYPE_CHECKING:
    from seqtrack.runs.paths import RunFolder

EPILOG = """examples:
  seqtrack diff baseline wider
  seqtrack diff 3f2a 91bc --patch | less       # the code, line by line
  seqtrack diff experiments/2026-01-02-a/workspace/cache/3f2a91bc0d11 latest --json

What scores do not depend on (paths, workers, SLURM flags) is left out. The code is that of each run's newest command,
as its git repository has it; without a snapshot, files are compared by what they hold.
exit codes: 0 whether they differ or not; 2 if there is no such run"""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack diff", description=__doc__, epilog=EPILOG)
    for name in ("run_a", "run_b"):
        parser.add_argument(name, metavar=name.upper(), help="id prefix, --name, run folder, or latest")
    parser.add_argument(
        "--patch", action="store_true", help="print the whole git diff of the code, not only a summary"
    )
    parser.add_argument("--json", action="store_true", help="for scripts: one object")
    parser.add_argument("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    from seqtrack.reporting import run_comparison, run_differences
    from seqtrack.reporting.frames import RunFrames
    from seqtrack.runs import lookup

    cache = Path(arguments.cache_dir)
    a, b = (lookup.locate(cache, getattr(arguments, name), name.upper()) for name in ("run_a", "run_b"))
    if a.path.resolve() == b.path.resolve():
        raise UserError(f"RUN_B: {arguments.run_b} is the same run as RUN_A, {a.run_id}; name another")
    frames = RunFrames(a), RunFrames(b)
    mine, other = run_comparison.reported(frames)
    assessed = {name: (mine[name].items[0].path, other[name].items[0].path) for name in mine if name in other}
    found = [one.to_json() for one in run_differences.differences(*frames, assessed)]
    code = _code(a, b, arguments.patch)
    if arguments.json:
        runs = {f"run_{letter}": str(run.path) for letter, run in (("a", a), ("b", b))}
        print(json.dumps({**runs, "differences": found, "code": code}, indent=1, ensure_ascii=False))
        return 0
    for letter, run in zip("AB", frames, strict=True):
        print(f"{letter}: {' '.join(filter(None, (run.run_id, run.name)))}")
    _print(found)
    for commit in ("a", "b"):
        if code[commit]:
            print(f"code of {commit.upper()}: {code[commit]}")
    print(code["diff"] or code["note"])
    return 0


def _print(found: list[dict[str, str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not found:
        print("they differ in nothing that is recorded")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("what", "A", "B"):
        table.add_column(column, no_wrap=column == "what")
    for one in found:
        table.add_row(one["name"], Text(one["a"]), Text(one["b"]))
    (Console() if sys.stdout.isatty() else Console(width=250)).print(table)


def _code(a: RunFolder, b: RunFolder, patch: bool) -> dict[str, Any]:
    """What git says: the commits, their difference, and a note where it cannot be had."""
    from seqtrack.runs import experiments, repository

    mine, other = experiments.code_of(a), experiments.code_of(b)
    found = {"a": _name(mine), "b": _name(other), "diff": "", "note": "code: the same tree"}
    if not (mine.get("commit") and other.get("commit")):
        return {**found, "note": "code: git kept no snapshot of both runs, so there is no diff of it"}
    if mine["tree"] == other["tree"]:
        return found
    problems = []
    for root in dict.fromkeys((mine["root"], other["root"])):
        try:
            diff = repository.difference(Path(root), mine["commit"], other["commit"], summary=not patch)
            return {**found, "diff": diff, "note": ""}
        except LookupError as problem:
            problems.append(str(problem))
    return {**found, "note": f"code: {'; '.join(problems)}"}


def _name(code: Any) -> str:
    if not code.get("head"):
        return ""
    count = len(code.get("changed", ()))
    changes = f" with {count} changed file{'s' if count > 1 else ''}" if count else ""
    branch = f" on {code['branch']}" if code.get("branch") else ""
    return f"commit {code['head'][:12]}{branch}{changes}"


if __name__ == "__main__":
    sys.exit(cli.run(main))
