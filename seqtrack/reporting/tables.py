"""The final table of a run: one row per (eval set, metric) with mean ± std, n, and each trial's value.

Rows come from the content of ``summary.json`` and are rendered for a terminal (rich), as plain text
or CSV. Scores are the field's fractions, three decimals: 0.582 ± 0.011; counts have one, or none where all are whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqtrack.assessment.metrics import METRICS, decimals

if TYPE_CHECKING:
    from rich.console import Console

HEADER = ("eval set", "metric", "mean ± std", "n", "per seed")
_PAIR_GAP = "  "
_INDENT = "  "
_RICH_GAP = 3  # what rich puts between two columns of this box
CSV_HEADER = (
    "eval_id", "metric", "mean", "std", "n", "seed", "value", "within_var", "between_var", "mean_low", "mean_high",
    "convention",
)  # fmt: skip
UNKNOWN = "—"


@dataclass(frozen=True)
class TableRow:
    """One row; ``per_seed`` pairs each seed with its value, by seed.

    None is what is not known: ``std`` for a single trial, all values of a score that a set does not give.
    """

    eval_id: str
    metric: str
    mean: float | None
    std: float | None
    n: int
    per_seed: tuple[tuple[int, float | None], ...]

    @property
    def score(self) -> str:
        digits = decimals(self.metric, (self.mean,) if self.n == 1 else ())
        spread = "" if self.std is None else f" ± {_number(self.std, digits)}"
        return _number(self.mean, digits) + spread

    def pairs(self) -> list[str]:
        digits = decimals(self.metric, (value for _, value in self.per_seed))
        return [f"{seed}: {_number(value, digits)}" for seed, value in self.per_seed]

    def cells(self) -> tuple[str, str, str, str, str]:
        return self.eval_id, self.metric, self.score, str(self.n), _PAIR_GAP.join(self.pairs())


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def table_rows(summary: Mapping[str, Any]) -> list[TableRow]:
    """The rows of ``summary["results"]``: eval sets as they were given, OPE's metrics before TRE's."""
    results = summary["results"]
    given = [eval_id for eval_id in summary.get("eval_sets", ()) if eval_id in results]
    return [
        TableRow(
            eval_id=eval_id,
            metric=metric,
            mean=results[eval_id][metric]["mean"],
            std=results[eval_id][metric]["std"],
            n=results[eval_id][metric]["n"],
            per_seed=_by_seed(results[eval_id][metric]["per_seed"]),
        )
        for eval_id in [*given, *sorted(results.keys() - {*given})]
        for metric in sorted(results[eval_id], key=_metric_order)
    ]


def headlines(summary: Mapping[str, Any]) -> list[TableRow]:
    """One row for each eval set: of the metric that selects, or of a set that has none such the first."""
    found: dict[str, TableRow] = {}
    for row in table_rows(summary):
        if row.metric == summary["optimize_metric"] or row.eval_id not in found:
            found[row.eval_id] = row
    return list(found.values())


def remarks(summary: Mapping[str, Any]) -> list[str]:
    """What stands under the table: by whose rules it is, how many trials ended well, which did not and why, notes."""
    total, completed = summary["num_trials"], summary["completed"]
    shown = dict.fromkeys(row.eval_id for row in table_rows(summary))
    whose = {name: rules for name, rules in summary.get("conventions", {}).items() if name in shown}
    lines = [f"convention: {convention_text(whose.items())}"] if whose else []
    lines += [f"{completed} of {total} trial{'s' if total != 1 else ''} completed"]
    failed = [trial for trial in summary["trials"] if trial["error"]]
    lines += [f"seed {trial['seed']}: {trial['state']}: {trial['error']}" for trial in failed]
    return lines + [f"note: {note}" for note in summary.get("notes", ())]


def print_table(summary: Mapping[str, Any], console: Console) -> None:
    """The table and its remarks on a terminal, within the console's width.

    Where the eval sets' names leave no room for two trials side by side they become headings, and a row's
    trials go over several lines.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    rows = table_rows(summary)
    pairs = max((len(pair) for row in rows for pair in row.pairs()), default=0)
    names = max((len(row.eval_id) for row in rows), default=0)
    metrics = max((len(row.metric) for row in rows), default=0)
    seeds = max((len(row.per_seed) for row in rows), default=0)
    fixed = metrics + len("0.000 ± 0.000") + len(str(seeds)) + 3 * _RICH_GAP
    headings = names + _RICH_GAP + fixed + min(seeds, 2) * (pairs + len(_PAIR_GAP)) > console.width
    first = max(names, metrics + len(_INDENT)) - metrics if headings else names + _RICH_GAP
    per_line = max(1, (console.width - first - fixed + len(_PAIR_GAP)) // (pairs + len(_PAIR_GAP)))

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("eval set, metric", *HEADER[2:]) if headings else HEADER:
        table.add_column(name, no_wrap=True, justify="right" if name == "n" else "left")
    previous = None
    for row in rows:
        new, previous = row.eval_id != previous, row.eval_id
        if new:
            table.add_section()
        if new and headings:
            table.add_row(escape(row.eval_id))
        wide = (escape(row.eval_id) if new else "", row.metric)
        names_of_row = (f"{_INDENT}{row.metric}",) if headings else wide
        table.add_row(*names_of_row, row.score, str(row.n), _in_lines(row.pairs(), per_line))
    if rows:
        console.print(table)
        console.print()
    for line in remarks(summary):
        console.print(line, markup=False, highlight=False)


def to_text(summary: Mapping[str, Any]) -> str:
    """Aligned columns without colours, for logs and pipes: every row names its eval set."""
    rows = table_rows(summary)
    if not rows:
        return "\n".join(remarks(summary)) + "\n"
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    ]
    return "\n".join([*lines, *remarks(summary)]) + "\n"


def to_csv(summary: Mapping[str, Any]) -> str:
    """``summary.csv``: one line per (eval set, metric, seed), every digit, for other programs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in table_rows(summary):
        cell = summary["results"][row.eval_id][row.metric]
        convention = summary.get("conventions", {}).get(row.eval_id, "")
        for seed, value in row.per_seed:
            spread = [cell["within_var"], cell["between_var"], *(cell["interval_95"] or (None, None))]
            numbers = [row.mean, row.std, row.n, seed, value, *spread]
            digits = ("" if x is None else repr(x) for x in numbers)
            writer.writerow([row.eval_id, row.metric, *digits, convention])
    return buffer.getvalue()


def convention_text(whose: Iterable[tuple[str, str]]) -> str:
    """``otb (otb_50-full, uav123-full), got10k (got10k_val-full)``, of pairs of an eval set and a convention."""
    sets: dict[str, dict[str, None]] = {}
    for name, convention in whose:
        sets.setdefault(convention, {})[name] = None
    return ", ".join(f"{convention} ({', '.join(names)})" for convention, names in sets.items())


def plain_name(metric: str) -> str:
    """``AUC`` of ``TRE_3_AUC``."""
    return metric.split("_", 2)[2] if metric.startswith("TRE_") else metric


def _by_seed(per_seed: Mapping[str, float | None]) -> tuple[tuple[int, float | None], ...]:
    return tuple(sorted((int(seed), value) for seed, value in per_seed.items()))


def _in_lines(pairs: list[str], per_line: int) -> str:
    return "\n".join(_PAIR_GAP.join(pairs[k : k + per_line]) for k in range(0, len(pairs), per_line))


def _metric_order(name: str) -> tuple[bool, int, str]:
    order, plain = list(METRICS), plain_name(name)
    return name.startswith("TRE_"), order.index(plain) if plain in order else len(order), name
