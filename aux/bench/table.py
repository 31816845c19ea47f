"""Rows of the benchmark table, and the one way in which two things are timed against each other."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. ``passed`` is None where the target does not apply to this machine (``note`` says why)."""

    name: str
    value: float
    unit: str
    target: str
    passed: bool | None
    note: str = ""


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def paired(a: Callable[[], object], b: Callable[[], object], rounds: int = 15) -> float:
    """Median over rounds of time(a) / time(b), run in turn (A, B, A, B …) so that drift cancels."""
    a()
    b()
    gc.collect()
    return statistics.median(seconds(a) / seconds(b) for _ in range(rounds))


def render(rows: Iterable[Row]) -> Iterator[str]:
    yield f"{'figure':<64} {'value':>10} {'unit':<8} {'target':<14} {'':<6} note"
    for row in rows:
        verdict = {True: "ok", False: "MISSED", None: "n/a"}[row.passed]
        yield f"{row.name:<64} {row.value:>10.4g} {row.unit:<8} {row.target:<14} {verdict:<6} {row.note}"


def main(rows: Callable[[], Iterable[Row]]) -> None:
    for line in render(rows()):
        print(line, flush=True)
