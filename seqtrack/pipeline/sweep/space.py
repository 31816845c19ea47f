"""What a sweep chooses from, and how: values listed, and values drawn.

The value of a parameter at random point *n* is a function of (seed of the sweep, n, name of the parameter), and of
its own range: the first 53 bits of SHA-256 of the three, as a number in [0, 1), are put through the distribution.
So nothing that is added, no point and no other parameter, changes a value that is there. Six digits are kept: a
difference in the last bit between two machines' logarithms would be another run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

LINEAR, LOG, CATEGORY = "linear", "log", "category"
DIGITS = 6


@dataclass(frozen=True)
class Distribution:
    """``value``: of u in [0, 1). ``probes``: what is drawn at the extremes, or all that can be."""

    kind: str
    scale: str
    value: Callable[[float], Any]
    probes: tuple[Any, ...]


def _rounded(number: float, low: float, high: float) -> float:
    return min(max(float(f"{number:.{DIGITS}g}"), low), high)


def uniform(low: float, high: float) -> Distribution:
    return Distribution("uniform", LINEAR, lambda u: _rounded(low + u * (high - low), low, high), (low, high))


def log_uniform(low: float, high: float) -> Distribution:
    span = math.log(high) - math.log(low)
    return Distribution(
        "log_uniform", LOG, lambda u: _rounded(math.exp(math.log(low) + u * span), low, high), (low, high)
    )


def int_uniform(low: int, high: int) -> Distribution:
    """Both ends are among the numbers."""
    return Distribution("int_uniform", LINEAR, lambda u: low + int(u * (high - low + 1)), (low, high))


def choice(options: Sequence[Any]) -> Distribution:
    return Distribution("choice", CATEGORY, lambda u: options[int(u * len(options))], tuple(options))


def share(seed: int, number: int, name: str) -> float:
    """In [0, 1): of parameter ``name`` at random point ``number``."""
    bits = hashlib.sha256(f"{seed}\0{number}\0{name}".encode()).digest()
    return (int.from_bytes(bits[:8], "big") >> 11) / (1 << 53)


@dataclass(frozen=True)
class Axis:
    """A parameter that is swept. ``values``: of a category, in the order given."""

    name: str
    scale: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Point:
    """``number``: random point r in cell c of the grid has r · cells + c."""

    number: int
    values: Mapping[str, Any]


def points(
    seed: int, count: int, grid: Mapping[str, Sequence[Any]], random: Mapping[str, Distribution]
) -> list[Point]:
    """Every cell of the grid with every random point; the same random values in each cell."""
    cells = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    drawn = [{name: kind.value(share(seed, n, name)) for name, kind in random.items()} for n in range(count)]
    return [
        Point(n * len(cells) + k, {**cell, **values})
        for n, values in enumerate(drawn if random else [{}])
        for k, cell in enumerate(cells)
    ]


def axes(grid: Mapping[str, Sequence[Any]], random: Mapping[str, Distribution]) -> list[Axis]:
    listed = [Axis(name, CATEGORY, tuple(values)) for name, values in grid.items()]
    return listed + [
        Axis(name, kind.scale, kind.probes if kind.scale == CATEGORY else ()) for name, kind in random.items()
    ]
