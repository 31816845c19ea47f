"""Figures in one style, as SVG that can stand inside of a page: text is text, no two figures share an id, and equal
figures are equal bytes.

matplotlib's objects are used directly (``Figure``, never ``pyplot``), so that nothing is global and no window system
is asked for. Colours are those of Okabe and Ito, which people with any colour vision tell apart; lines beyond them
repeat the colours with other dashes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from seqtrack.runs import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dashed", "dotted", "dashdot")
SIZE = (4.6, 3.45)  # inches: three in a row of a wide page, one on a phone
LEFT, RIGHT, TOP, BOTTOM = 0.66, 0.12, 0.27, 0.45  # margins in inches, with room for labels
# Ink that becomes the colour of the page's text, light or dark; no other artist has it.
_INK = "#010203"
_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "seqtrack",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "legend.fontsize": 8.0,
    "text.parse_math": False,  # a name with two dollars is a name
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
}


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    x: (K,). y: (K,) the mean over trials. spread: (K,) its standard deviation, None for a single trial.
    score, deviation: what the legend shows and lines are sorted by; None: no score.
    """

    name: str
    x: Floats
    y: Floats
    spread: Floats | None = None
    score: float | None = None
    deviation: float | None = None

    @property
    def label(self) -> str:
        """As the field writes it: ``SiamFC [0.582 ± 0.011]``."""
        # matplotlib leaves out of a legend what begins with an underscore.
        name = "\u200b" + self.name if self.name.startswith("_") else self.name
        if self.score is None:
            return name
        deviation = "" if self.deviation is None else f" ± {self.deviation:.3f}"
        return f"{name} [{self.score:.3f}{deviation}]"


def look(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of run ``number``: the same in every figure of a page."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": DASHES[number // len(PALETTE) % len(DASHES)],
    }


def new_figure(
    xlabel: str, ylabel: str, title: str = "", size: tuple[float, float] = SIZE, left: float = LEFT
) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes, a light grid, and no frame at top and right. size, and the margin
    ``left`` of the axes: inches."""
    from matplotlib.figure import Figure

    with _style():
        # Margins that are known beforehand: a layout found by measuring takes half of the time of a figure.
        figure = Figure(figsize=size)
        figure.patch.set_alpha(0.0)
        width, height = size
        figure.subplots_adjust(left / width, BOTTOM / height, 1 - RIGHT / width, 1 - TOP / height)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        if title:
            axes.set_title(title, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#808080", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def draw_lines(axes: Axes, lines: Sequence[Line], looks: Sequence[int] | None = None, legend: Any = "best") -> None:
    """Each line with its band of ± std, the best score first in the legend. looks: number of each for ``look``.
    legend: its place; to find the best one takes time."""
    numbers = range(len(lines)) if looks is None else looks
    best_first = sorted(
        zip(lines, numbers, strict=True), key=lambda pair: np.inf if pair[0].score is None else -pair[0].score
    )
    for line, number in best_first:
        style = look(number)
        if line.spread is not None:
            low, high = line.y - line.spread, line.y + line.spread
            axes.fill_between(line.x, low, high, color=style["color"], alpha=0.18, linewidth=0)
        axes.plot(line.x, line.y, label=line.label, linewidth=1.6, **style)
    add_legend(axes, legend)


def add_legend(axes: Axes, location: Any = "best", **options: Any) -> None:
    """For what has a label."""
    if axes.get_legend_handles_labels()[1]:
        with _style():
            axes.legend(loc=location, frameon=False, **options)


def to_svg(figure: Figure, name: str, text: str) -> str:
    """An ``<svg>`` element for a page. name: of the figure, which no other on the page may have; text: what it
    shows, for those who do not see it."""
    found = _svg_text(figure)
    body = found[found.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', body)
    if box is None:
        raise ValueError("matplotlib wrote no viewBox")
    width = float(box[1].split()[2])
    body = body[body.index(">") + 1 :]
    body = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"\s*<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"#(\w+)", body))
    body = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", body)
    prefix = re.sub(r"[^\w-]", "_", name)
    body = body.replace(' id="', f' id="{prefix}-').replace('xlink:href="#', f'href="#{prefix}-')
    body = body.replace("url(#", f"url(#{prefix}-").replace(_INK, "currentColor")
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    # Tenths of a pixel are seen by nobody, and make a page twice as large.
    body = re.sub(r' (d|x|y|transform)="([^"]*)"', lambda match: f' {match[1]}="{_rounded(match[2])}"', body)
    body = re.sub(r' transform="rotate\(-?0[ )][^"]*"', "", re.sub(r"\n\s*", "\n", body))
    return (
        f'<svg class="plot" viewBox="{box[1]}" width="{width * 96 / 72:.0f}" role="img" aria-label="{escape(text)}"'
        f' fill="currentColor" style="stroke-linejoin:round">{body}'
    )


def write_figure(figure: Figure, path: Path) -> None:
    """A file of its own, whose kind is that of its name (.svg, .pdf, .png)."""
    if path.suffix == ".svg":
        atomic.write_text(path, _svg_text(figure).replace(_INK, "#000000"))
        return
    buffer = io.BytesIO()
    with _style():
        # No date, and no version: equal figures are equal files.
        empty: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
        figure.savefig(buffer, format=path.suffix[1:], dpi=200, facecolor="white", metadata=empty)
    atomic.write_bytes(path, buffer.getvalue())


def _style() -> AbstractContextManager[None]:
    import matplotlib

    return matplotlib.rc_context(cast(Any, _RC))


def _svg_text(figure: Figure) -> str:
    buffer = io.StringIO()
    with _style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _rounded(path: str) -> str:
    """Numbers of a path or a transform with one decimal."""
    return " ".join(re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.1f}", path).split())
