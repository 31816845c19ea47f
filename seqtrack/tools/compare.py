"""Compares two runs: is the difference between their scores real, and what else do the runs differ in?"""

from __future__ import annotations

import json
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
  python -m seqtrack.tools.compare baseline wider
  python -m seqtrack.tools.compare 3f2a 91bc --differs_in lr_init --eval_set otb_100 --metric AUC precision_20
  python -m seqtrack.tools.compare baseline wider --eval_set otb_100 --out difference.svg
  python -m seqtrack.tools.compare baseline wider --json | jq '.comparisons[] | {eval_set, verdict}'

how it is computed:
  A paired bootstrap, 10,000 times, seeded: sequences are drawn with replacement, the same for both runs, and trials
  of each run by themselves; each trial at its selected checkpoint. "B - A" comes with the interval that 95 % of the
  resamples lie in; "for B": the share of the resamples in which B is better. One is called better if 0 lies outside
  of the interval. With one trial a run, seeds cannot be drawn, and the result says so.

What code differs, line by line: seqtrack diff RUN_A RUN_B --patch.
exit codes: 0 whatever the verdict; 2 if the runs cannot be compared."""

WIDTH_OF_A_PIPE = 250


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m seqtrack.tools.compare", description=__doc__, epilog=EPILOG)
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
    a = RunFrames(lookup.locate(cache, arguments.run_a, "RUN_A"))
    b = RunFrames(lookup.locate(cache, arguments.run_b, "RUN_B"))
    if a.path.resolve() == b.path.resolve():
        raise UserError(f"RUN_B: {arguments.run_b} is the same run as RUN_A, {a.run_id}; name another")
    # Two of one --name (--variant makes such) are told apart by their ids.
    names = (a.run_id, b.run_id) if a.name == b.name else (a.name or a.run_id, b.name or b.run_id)
    rows, notes = run_comparison.compare_runs(a, b, names, arguments.eval_set, arguments.metric)
    differences = run_differences.differences(a, b, dict.fromkeys(row.eval_id for row in rows))
    warnings = run_differences.warnings(differences, arguments.differs_in)
    notes += [f"{name}: {note}" for name, run in zip(names, (a, b), strict=True) for note in run.notes]
    if arguments.json:
        print(json.dumps(_json(a, b, rows, differences, warnings, notes), indent=1, ensure_ascii=False))
    else:
        _print(a, b, rows, differences, warnings, notes)
    for row in rows if arguments.out is not None else ():
        path = arguments.out
        if len(rows) > 1:
            path = path.with_name(f"{path.stem}-{row.eval_id}-{row.metric}{path.suffix}")
        scatter.write_scatter(path, row.comparison, names, row.eval_id, row.metric)
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
    from rich.console import Console
    from rich.text import Text

    from seqtrack.assessment.metrics import decimals

    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH_OF_A_PIPE, highlight=False)
    for letter, run in (("A", a), ("B", b)):
        print(f"{letter}: {' '.join(filter(None, (run.run_id, run.name)))}")
    print()
    table = _table("eval set", "metric", "A", "B", "B - A", "95 % interval", "for B", "sequences", "verdict")
    for row in rows:
        found = row.comparison
        won, lost = found.wins[1], found.wins[0]
        places = decimals(row.metric)
        low, high = (f"{bound:+.{places}f}" for bound in found.interval)
        table.add_row(
            row.eval_id, row.metric, f"{found.a:.{places}f}", f"{found.b:.{places}f}",
            f"{found.difference:+.{places}f}", f"{low} to {high}", f"{found.share_b:.1%}",
            f"{won} better, {lost} worse of {len(found.sequences)}", found.verdict,
        )  # fmt: skip
    console.print(table)
    print()
    for line in dict.fromkeys(caveat for row in rows for caveat in row.comparison.caveats):
        print(f"mind: {line}")
    for line in dict.fromkeys(notes):
        print(f"note: {line}")
    print("\nthey differ in" if differences else "\nthey differ in nothing that is recorded")
    if differences:
        table = _table("what", "A", "B")
        for difference in differences:
            table.add_row(difference.name, Text(difference.a), Text(difference.b))
        console.print(table)
    for line in warnings:
        print(f"warning: {line}")


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in ("eval set", "metric", "what"))
    return table


if __name__ == "__main__":
    sys.exit(cli.run(main))
