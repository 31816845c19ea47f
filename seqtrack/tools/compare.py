"""Compares two runs: is the difference between their scores real, and what else do the runs differ in?"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.tools import cli

if TYPE_CHECKING:
    from seqtrack.reporting.frames import RunFrames
    from seqtrack.reporting.run_comparison import Row
    from seqtrack.reporting.run_differences import Difference

EPILOG = """examples:
  seqtrack compare baseline wider
  seqtrack compare 3f2a 91bc --differs_in lr_init --eval_set otb_100 --metric AUC precision_20
  seqtrack compare baseline wider --eval_set otb_100 --out difference.svg
  seqtrack compare baseline wider --json | jq '.comparisons[] | {eval_set, verdict}'

how it is computed:
  A paired bootstrap, 10,000 times, seeded: sequences are drawn with replacement, the same for both runs, and trials
  of each run by themselves; each trial at its selected checkpoint. "B - A" comes with the interval that 95 % of the
  resamples lie in; "for B": the share of the resamples in which B is better. One is called better if 0 lies outside
  of the interval. With one trial a run, seeds cannot be drawn, and the result says so.

What code differs, line by line: seqtrack diff RUN_A RUN_B --patch.
exit codes: 0 whatever the verdict; 2 if the runs cannot be compared."""

WIDTH_OF_A_PIPE = 250
HEADER = ("eval set", "metric", "A", "B", "B - A", "95 % interval", "for B", "sequences", "verdict")
NUMBERS, IN_WORDS = 2, 7  # columns of HEADER where these begin
GAP = "   "


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack compare", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    for name in ("run_a", "run_b"):
        add(name, metavar=name.upper(), help="id prefix, --name, run folder, or latest")
    add("--eval_set", nargs="+", default=[], metavar="SET", help="only these (default: every one that both have)")
    add("--metric", nargs="+", default=[], metavar="NAME", help="default: each set's own, such as AUC, AO or EAO")
    add("--differs_in", nargs="+", default=[], metavar="FLAG", help="what they are meant to differ in: warns of more")
    add("--json", action="store_true", help="for scripts: one object")
    add("--out", type=Path, metavar="FILE", help="draw A against B, a point per sequence (.svg, .png, .pdf)")
    add("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    from seqtrack.reporting import run_comparison, run_differences, scatter
    from seqtrack.reporting.frames import RunFrames
    from seqtrack.runs import lookup

    run_differences.check_names(arguments.differs_in)
    if arguments.out is not None:
        scatter.check_path(arguments.out)
    cache = Path(arguments.cache_dir)
    a = RunFrames(lookup.locate(cache, arguments.run_a, "RUN_A"), called=arguments.run_a)
    b = RunFrames(lookup.locate(cache, arguments.run_b, "RUN_B"), called=arguments.run_b)
    if a.path.resolve() == b.path.resolve():
        raise UserError(f"RUN_B: {arguments.run_b} is the same run as RUN_A, {a.run_id}; name another")
    # Two of one --name (--variant makes such) are told apart by their ids.
    names = (a.run_id, b.run_id) if a.name == b.name else (a.name or a.run_id, b.name or b.run_id)
    rows, notes = run_comparison.compare_runs(a, b, names, arguments.eval_set, arguments.metric)
    differences = run_differences.differences(a, b, {row.name: row.folders for row in rows})
    warnings = run_differences.warnings(differences, arguments.differs_in)
    notes += [f"{name}: {note}" for name, run in zip(names, (a, b), strict=True) for note in run.notes]
    if arguments.json:
        print(json.dumps(_json(a, b, rows, differences, warnings, notes), indent=1, ensure_ascii=False))
    else:
        _print(a, b, rows, differences, warnings, notes)
    for row in rows if arguments.out is not None else ():
        path = arguments.out
        if len(rows) > 1:
            of_set = re.sub(r"\W*[ (),]\W*", "-", row.name).strip("-")
            path = path.with_name(f"{path.stem}-{of_set}-{row.metric}{path.suffix}")
        scatter.write_scatter(path, row.comparison, names, row.name, row.metric)
        print(f"figure: {path}", file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _json(
    a: RunFrames,
    b: RunFrames,
    rows: list[Row],
    differences: list[Difference],
    warnings: list[str],
    notes: list[str],
) -> dict[str, Any]:
    runs = {
        f"run_{letter}": {"run_id": run.run_id, "name": run.name, "path": str(run.path)}
        for letter, run in (("a", a), ("b", b))
    }
    return {
        **runs,
        "comparisons": [row.to_json() for row in rows],
        "differences": [difference.to_json() for difference in differences],
        "warnings": warnings,
        "notes": notes,
    }


def _print(
    a: RunFrames,
    b: RunFrames,
    rows: list[Row],
    differences: list[Difference],
    warnings: list[str],
    notes: list[str],
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from seqtrack.reporting.tables import convention_text

    width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 0)).columns  # COLUMNS, or the terminal's
    for letter, run in (("A", a), ("B", b)):
        print(f"{letter}: {' '.join(filter(None, (run.run_id, run.name)))}")
    print()
    print("\n".join(_within(width, [_cells(row) for row in rows])))
    print()
    if rows:
        print(f"convention: {convention_text((row.name, row.convention) for row in rows)}")
    for line in dict.fromkeys(caveat for row in rows for caveat in row.comparison.caveats):
        print(f"mind: {line}")
    for line in dict.fromkeys(notes):
        print(f"note: {line}")
    print("\nthey differ in" if differences else "\nthey differ in nothing that is recorded")
    if differences:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in ("what", "A", "B"):
            table.add_column(name, overflow="fold")  # nothing is cut
        for difference in differences:
            table.add_row(difference.name, Text(difference.a), Text(difference.b))
        Console(width=width, highlight=False).print(table)
    for line in warnings:
        print(f"warning: {line}")


def _cells(row: Row) -> tuple[str, ...]:
    from seqtrack.assessment.metrics import decimals

    found = row.comparison
    won, lost = found.wins[1], found.wins[0]
    places = decimals(row.metric)
    low, high = (f"{bound:+.{places}f}" for bound in found.interval)
    return (
        row.name, row.metric, f"{found.a:.{places}f}", f"{found.b:.{places}f}",
        f"{found.difference:+.{places}f}", f"{low} to {high}", f"{found.share_b:.1%}",
        f"{won} better, {lost} worse of {len(found.sequences)}", found.verdict,
    )  # fmt: skip


def _within(width: int, rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of the table. Nothing is cut: where it is narrow the last columns go to a line below each row, and
    where it is narrower still the first do to a line above."""
    for left, right in ((0, len(HEADER)), (0, IN_WORDS), (NUMBERS, IN_WORDS)):
        sizes = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)][left:right]
        if sum(sizes) + len(GAP) * (len(sizes) - 1) <= width:
            break
    lines = [_aligned(HEADER[left:right], sizes), "─" * min(width, sum(sizes) + len(GAP) * (len(sizes) - 1))]
    for row in rows:
        above, below = "  ".join(row[:left]), ": ".join(reversed(row[right:]))
        lines += [line for line in (above, _aligned(row[left:right], sizes), f"  {below}" if below else "") if line]
    return lines


def _aligned(cells: Sequence[str], sizes: Sequence[int]) -> str:
    return GAP.join(cell.ljust(size) for cell, size in zip(cells, sizes, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(cli.run(main))
