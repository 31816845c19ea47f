"""The page put together from its sections."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape, unescape

from seqtrack.reporting.frames import RunFrames
from seqtrack.reporting.page import document
from seqtrack.reporting.report import circumstances, figures, results, sequences, worst
from seqtrack.reporting.report.material import Material
from seqtrack.reporting.report.style import SCRIPT, STYLE
from seqtrack.reporting.report.subject import Subject


def render(
    runs: Sequence[RunFrames],
    material: Mapping[str, Material | str],
    title: str = "",
    worst_count: int = 4,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    only: Sequence[str] = (),
) -> str:
    """The whole page, a function of the runs and of what is at hand of their data.

    Args:
        runs: at least one; each keeps its colour and its place.
        material: eval id -> ``material.find``'s answer; what is missing has no attributes and no frames.
        worst_count: how many of the worst sequences of each eval set.
        on_progress: called with how many sections are done, and how many there are.
        only: eval sets, or data sets, that are shown; empty for all.
    """
    subject = Subject(tuple(runs), tuple(only))
    title = title or f"seqtrack report: {', '.join(subject.names)}"
    makers: list[Callable[[], str]] = [
        lambda: results.results(subject),
        lambda: figures.curves(subject),
        lambda: figures.over_training(subject),
        lambda: sequences.attributes(subject, material),
        lambda: sequences.by_tag(subject),
        lambda: sequences.by_sequence(subject),
        lambda: worst.worst(subject, material, worst_count) if worst_count else "",
        lambda: circumstances.failures(subject),
        lambda: circumstances.stability(subject),
        lambda: circumstances.configuration(subject),
        lambda: circumstances.code_and_environment(subject),
    ]
    parts = []
    for number, make in enumerate(makers):
        on_progress(number, len(makers))
        parts.append(make())
    on_progress(len(makers), len(makers))
    body = "".join(parts)
    contents = "".join(
        f'<a href="#{anchor}">{escape(unescape(name))}</a>'
        for anchor, name in re.findall(r'<section id="([\w-]+)"><h2>(.*?)</h2>', body)
    )
    head = results.head(subject, title)
    return document(title, f"<nav>{contents}</nav><header>{head}</header><main>{body}</main>", STYLE, SCRIPT)
