"""Tables of ``seqtrack score``, in which no name and no number is cut however narrow the screen is."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def screen_width() -> int:
    """Columns of the terminal. Who pipes the output gets each row in one line, however long."""
    from rich.console import Console

    return Console().width if sys.stdout is not None and sys.stdout.isatty() else 10_000


def print_scores(
    name: str,
    metrics: Sequence[str],
    rows: Mapping[str, Mapping[str, float]],
    before: Mapping[str, Sequence[object]] | None = None,
    of: Mapping[str, Any] | None = None,
) -> None:
    """A row each; a metric that a row does not have is ``-``.

    Args:
        name: what the rows are.
        before: columns that come before the metrics.
        of: metric -> all its values, of which the rows show some; None: those of the rows.
    """
    from seqtrack.assessment.metrics import decimals

    shown = [metric for metric in metrics if any(metric in values for values in rows.values())]
    places = {
        metric: decimals(metric, of[metric] if of else [row.get(metric) for row in rows.values()]) for metric in shown
    }
    columns = {name: list(rows), **{head: list(map(str, cells)) for head, cells in (before or {}).items()}}
    for metric in shown:
        columns[metric] = [_text(row.get(metric, math.nan), places[metric]) for row in rows.values()]
    for line in fitted(columns, screen_width()):
        print(line)


def fitted(columns: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """The lines of a table: the first column to the left, the others to the right.

    Where it is wider than the screen, metrics are named over several lines (``success_`` over ``50``); where it still
    is, the last ones are left out, and said so below.
    """
    heads = {column: [column] for column in columns}
    shown = list(columns)

    def sizes() -> list[int]:
        return [max(map(len, [*heads[column], *columns[column]]), default=0) for column in shown]

    def is_wide() -> bool:
        return sum(sizes()) + 2 * (len(shown) - 1) > width

    if is_wide():
        heads = {column: column.replace("_", "_\n").split("\n") for column in columns}
    while len(shown) > 2 and is_wide():
        shown.pop()
    widths, deep = sizes(), max(len(heads[column]) for column in shown)
    titles = [[""] * (deep - len(heads[column])) + heads[column] for column in shown]

    def line(cells: Sequence[str]) -> str:
        others = [f"{cell:>{size}}" for cell, size in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([f"{cells[0]:<{widths[0]}}", *others]).rstrip()

    lines = [line(cells) for cells in zip(*titles, strict=True)]
    lines.append("─" * (sum(widths) + 2 * (len(shown) - 1)))
    lines += [line(cells) for cells in zip(*(columns[column] for column in shown), strict=True)]
    if left := list(columns)[len(shown) :]:
        lines.append(f"(too narrow for {', '.join(left)}; --csv and --json have all)")
    return lines


def _text(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else "-"
