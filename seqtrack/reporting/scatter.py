"""Two runs, sequence by sequence: where the one is better and where the other, and which sequences decide it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqtrack.assessment.comparison import Comparison
from seqtrack.assessment.scores import Floats
from seqtrack.errors import UserError
from seqtrack.reporting.plots import PALETTE, new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".svg", ".png", ".pdf")
_LABELLED = 4  # sequences named on either side
_SIZE = (4.8, 4.8)  # inches
_HEIGHT = 4.2 * 72  # of its axes in points, about


def check_path(path: Path) -> None:
    """UserError for a picture of a kind that is not written."""
    if path.suffix.lower() not in KINDS:
        raise UserError(f"--out: {path}: expected a name that ends in {', '.join(KINDS)}")


def write_scatter(path: Path, comparison: Comparison, names: tuple[str, str], title: str, metric: str) -> None:
    write_figure(scatter(comparison, names, title, metric), path)


def scatter(comparison: Comparison, names: tuple[str, str], title: str, metric: str) -> Figure:
    """A point per sequence, A across and B up; those most to either side of the diagonal are named.

    The means over trials; the cross is the score of the set. Above the diagonal B has more, which is better where
    more is.
    """
    a, b = comparison.per_sequence_a, comparison.per_sequence_b
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    labels = [name for name, is_known in zip(comparison.sequences, known.tolist(), strict=True) if is_known]
    figure, axes = new_figure(f"{names[0]}: {metric}", f"{names[1]}: {metric}", title, _SIZE)
    low, high = _limits(a, b, comparison)
    axes.plot([low, high], [low, high], color="#808080", linewidth=0.8, zorder=1)
    gains = (b - a) * (1 if comparison.higher_is_better else -1)
    for is_side, colour in ((gains < 0, PALETTE[0]), (gains > 0, PALETTE[1]), (gains == 0, "#808080")):
        axes.scatter(a[is_side], b[is_side], s=18, color=colour, alpha=0.75, linewidths=0, zorder=2)
    axes.scatter([comparison.a], [comparison.b], marker="+", s=90, color="#000000", linewidths=1.4, zorder=3)
    wins_a, wins_b, _ = comparison.wins
    corner: dict[str, Any] = {"fontsize": 8, "transform": axes.transAxes}
    top, bottom = ((names[1], wins_b, PALETTE[1]), (names[0], wins_a, PALETTE[0]))
    if not comparison.higher_is_better:
        top, bottom = bottom, top
    axes.text(0.02, 0.98, f"{top[0]} better on {top[1]}", color=top[2], va="top", **corner)
    axes.text(0.98, 0.02, f"{bottom[0]} better on {bottom[1]}", color=bottom[2], ha="right", **corner)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    _name(axes, a, b, labels)
    return figure


def _limits(a: Floats, b: Floats, comparison: Comparison) -> tuple[float, float]:
    """The same for both axes: 0 to 1 for shares, else what holds every point."""
    values = np.concatenate([a, b, [comparison.a, comparison.b]])
    if values.min() >= 0 and values.max() <= 1:
        return -0.02, 1.02
    room = 0.05 * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - room, float(values.max()) + room


def _name(axes: Axes, a: Floats, b: Floats, labels: list[str]) -> None:
    """Names of the points farthest from the diagonal, those of one side moved apart where they would collide."""
    low, high = axes.get_ylim()
    gap = 0.035 * (high - low)  # a line of text
    order = np.argsort(b - a, kind="stable").tolist()
    for side, chosen in ((-1, order[:_LABELLED]), (1, order[::-1][:_LABELLED])):
        height = -np.inf
        for k in sorted((k for k in chosen if (b[k] - a[k]) * side > 0), key=lambda k: (b[k], labels[k])):
            height = max(float(b[k]), height + gap)
            points = (height - b[k]) / (high - low) * _HEIGHT
            # On the outer side, unless the edge is near.
            is_left = (side > 0 and a[k] - low > 0.3 * (high - low)) or high - a[k] < 0.3 * (high - low)
            axes.annotate(
                labels[k], (float(a[k]), float(b[k])), (-5 if is_left else 5, points), textcoords="offset points",
                fontsize=7, ha="right" if is_left else "left", va="center",
            )  # fmt: skip
