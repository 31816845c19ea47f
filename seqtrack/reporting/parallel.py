"""Parallel coordinates: one line for each point of a sweep, through its parameters to its score, which colours it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqtrack.reporting.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_PER_AXIS, HEIGHT = 1.5, 3.6  # inches
TICKS = 5
COLOURS = "viridis"
UNKNOWN = "#808080"


@dataclass(frozen=True)
class Scale:
    """One vertical axis: where a value lies, 0 at the bottom and 1 at the top, and what is written beside it."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    kind: str
    low: float = 0.0
    high: float = 1.0
    categories: tuple[str, ...] = ()

    def place(self, value: Any) -> float:
        if self.kind == "category":
            return _share(self.categories.index(_key(value)), len(self.categories))
        number = math.log(value) if self.kind == "log" else float(value)
        return 0.5 if self.high == self.low else (number - self.low) / (self.high - self.low)


def _share(k: int, count: int) -> float:
    return 0.5 if count == 1 else k / (count - 1)


def _key(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def scale(name: str, kind: str, values: Sequence[Any], order: Sequence[Any] = ()) -> Scale:
    """kind: ``linear``, ``log`` or ``category``; values: of all lines; order: of categories."""
    if kind == "category":
        everything = [*order, *values]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in everything):
            everything.sort()  # an axis of numbers rises, however they were listed
        keys = tuple(dict.fromkeys(map(_key, everything)))
        return Scale(name, tuple((_share(k, len(keys)), key) for k, key in enumerate(keys)), kind, categories=keys)
    numbers = [math.log(value) if kind == "log" else float(value) for value in values]
    low, high = min(numbers), max(numbers)
    empty = Scale(name, (), kind, low, high)
    marks = _decades(low, high) if kind == "log" else _round_numbers(low, high)
    marks = [mark for mark in marks if 0.0 <= empty.place(mark) <= 1.0]
    if len(marks) < 2:
        marks = [math.exp(low), math.exp(high)] if kind == "log" else [low, high]
    return Scale(name, tuple((empty.place(m), f"{m:.3g}") for m in dict.fromkeys(marks)), kind, low, high)


def short_names(names: Sequence[str]) -> list[str]:
    """Without what stands before the dots, where that leaves them apart: ``width`` for
    ``model_params.feature_params.arch_params.width``."""
    parts = [name.split(".") for name in names]
    found = []
    for mine in parts:
        length = 1
        while sum(mine[-length:] == other[-length:] for other in parts) > 1 and length < len(mine):
            length += 1
        found.append(".".join(mine[-length:]))
    return found


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(low / math.log(10) - 1e-9), math.floor(high / math.log(10) + 1e-9)
    return [float(f"1e{k}") for k in range(first, last + 1)]


def _round_numbers(low: float, high: float) -> list[float]:
    if high == low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / TICKS))
    step = next(step * f for f in (1, 2, 5, 10) if (high - low) / (step * f) <= TICKS)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def scales(table: Mapping[str, Any]) -> list[Scale]:
    """Of the parameters, and of the score at the end where there is any. table: the content of ``sweep.json``."""
    rows = table["rows"]
    found = [
        scale(axis["name"], axis["scale"], [row["values"][axis["name"]] for row in rows], axis["values"])
        for axis in table["axes"]
    ]
    known = [row["mean"] for row in rows if row["mean"] is not None]
    return found + ([scale(f"{table['metric']}\n{table['eval_id']}", "linear", known)] if known else [])


def paths(table: Mapping[str, Any], columns: Sequence[Scale]) -> list[tuple[list[float], float | None]]:
    """Of each row the heights at which it crosses the axes, and its place among the scores, 0 worst and 1 best; None
    for one without a score. The first of the table come last, so that they are drawn over the others."""
    found: list[tuple[list[float], float | None]] = []
    for row in reversed(table["rows"]):
        heights = [column.place(row["values"][column.name]) for column in columns[: len(table["axes"])]]
        share = None
        if row["mean"] is not None:
            heights.append(columns[-1].place(row["mean"]))
            share = heights[-1] if table["higher_is_better"] else 1.0 - heights[-1]
        found.append((heights, share))
    return found


def figure(table: Mapping[str, Any]) -> Figure:
    """The plot of a sweep's table."""
    from matplotlib import colormaps

    columns = scales(table)
    drawn, axes = new_figure("", "", f"sweep {table['name']}", (max(4.6, WIDTH_PER_AXIS * len(columns)), HEIGHT))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    colours = colormaps[COLOURS].reversed()
    for heights, share in paths(table, columns):
        colour = UNKNOWN if share is None else colours(share)
        axes.plot(range(len(heights)), heights, color=colour, linewidth=1.3, alpha=0.4 if share is None else 0.9)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8}
    for x, column in enumerate(columns):
        axes.axvline(x, color="#808080", linewidth=0.8, zorder=0.5)
        for y, text in column.ticks:
            axes.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=8.0, bbox=behind)
    names = short_names([column.name for column in columns[: len(table["axes"])]])
    names += [column.name for column in columns[len(names) :]]
    axes.set_xticks(range(len(columns)), [name.replace(".", ".\n", 1) for name in names])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(columns) - 1 + 0.45)
    axes.set_ylim(-0.05, 1.05)
    return drawn
