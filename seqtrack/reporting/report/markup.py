"""HTML from values: tables that can be sorted and filtered, sections, details. Whatever is text gets escaped here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

NOTHING = "–"
_LONG = 40  # characters: a longer text is broken into lines
_FEW = 12  # rows: a table of more gets a field that filters them


@dataclass(frozen=True)
class Cell:
    """text: plain. value: what it is sorted by, if not its text; NaN comes last either way. kind: a class for the
    style. swatch: number of the run whose colour stands before it."""

    text: str
    value: float | None = None
    kind: str = ""
    swatch: int | None = None

    def html(self, element: str = "td") -> str:
        kinds = " ".join(filter(None, ("number" if self.value is not None else "", self.kind)))
        opening = f"<{element}" + (f' class="{kinds}"' if kinds else "")
        if self.value is not None:
            opening += f' data-value="{"" if math.isnan(self.value) else repr(float(self.value))}"'
        scope = ' scope="row"' if element == "th" else ""
        return f"{opening}{scope}>{swatch(self.swatch)}{escape(self.text)}</{element}>"


@dataclass(frozen=True)
class Column:
    """title: what it means, shown where the pointer rests. swatch: as of a Cell."""

    name: str
    title: str = ""
    is_number: bool = False
    swatch: int | None = None


def number(value: float | None, digits: int = 3) -> Cell:
    if value is None or math.isnan(value):
        return Cell(NOTHING, math.nan)
    return Cell(f"{value:.{digits}f}", value)


def signed(value: float | None, digits: int = 3) -> Cell:
    """A difference: with its sign, and a true minus."""
    if value is None or math.isnan(value):
        return Cell(NOTHING, math.nan)
    return Cell(f"{value:+.{digits}f}".replace("-", "−"), value)


def score_text(mean: float | None, std: float | None, digits: int = 3) -> str:
    """``0.582 ± 0.011``, as it is written in papers."""
    if mean is None or math.isnan(mean):
        return NOTHING
    said = f"{mean:.{digits}f}"
    return said if std is None or math.isnan(std) else f"{said} ± {std:.{digits}f}"


def score(mean: float | None, std: float | None = None, digits: int = 3, is_best: bool = False) -> Cell:
    value = math.nan if mean is None else float(mean)
    return Cell(score_text(mean, std, digits), value, "best" if is_best else "")


def text(value: object) -> Cell:
    said = str(value) or NOTHING
    return Cell(said, kind="long" if len(said) > _LONG else "")


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], label: str, filter_text: str = "") -> str:
    """A table whose columns sort when their names are clicked.

    label: what it shows, for those who cannot see it. filter_text: placeholder of a field that leaves only rows with
    the words typed into it; there is none where it is empty or the rows are few.
    """
    head = "".join(
        f'<th scope="col"{" class=number" if column.is_number else ""}'
        f"{f' title={_quoted(column.title)}' if column.title else ''}>"
        f'<button type="button">{swatch(column.swatch)}{escape(column.name)}</button></th>'
        for column in columns
    )
    body = [f"<tr>{row[0].html('th')}{''.join(cell.html() for cell in row[1:])}</tr>" for row in rows]
    has_field = bool(filter_text) and len(body) > _FEW
    field = (
        f'<p class="tools"><label>Show <input type="search" placeholder={_quoted(filter_text)}></label>'
        f" <output>{len(body)} of {len(body)}</output></p>"
        if has_field
        else ""
    )
    return (
        f'<div class="sheet">{field}<div class="scroll" tabindex="0" role="region" aria-label={_quoted(label)}>'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table></div></div>"
    )


def pairs(rows: Iterable[tuple[str, Cell]]) -> str:
    """What is known, as a list of names and values."""
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v.text)}</dd></div>" for k, v in rows) + "</dl>"


def section(title: str, *parts: str, lead: str = "") -> str:
    """Empty text where there is nothing to show but its title. ``lead``: a sentence or two below the title."""
    body = "".join(filter(None, parts))
    if not body:
        return ""
    return f'<section id="{anchor(title)}"><h2>{escape(title)}</h2>{paragraph(lead)}{body}</section>'


def heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>" if text else ""


def details(summary: str, body: str, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>{body}</details>"


def preformatted(text: str) -> str:
    return f'<pre tabindex="0">{escape(text)}</pre>'


def anchor(title: str) -> str:
    """The id of a section with this title."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def swatch(number: int | None) -> str:
    """A patch in the colour of a run."""
    return "" if number is None else f'<i class="swatch run-{number}"></i>'


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'
