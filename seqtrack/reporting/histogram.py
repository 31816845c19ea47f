"""A histogram over powers of two, as a small inline SVG: sizes and lengths of targets span several of them."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

_BAR, _HEIGHT, _HEAD, _FOOT = 22, 60, 28, 16  # px
_NARROWEST = 180  # px, for the title


def histogram(values: NDArray[np.float64], title: str, unit: str) -> str:
    """SVG text, with the count above each bar. values: (N,); those that are not positive numbers are left out. Empty
    text where none is left."""
    exponents, counts = octaves(values)
    if not counts:
        return ""
    total, most = sum(counts), max(counts)
    width = max(_BAR * (len(counts) + 1), _NARROWEST)
    parts = [
        f'<svg class="histogram" viewBox="0 0 {width} {_HEAD + _HEIGHT + _FOOT}" width="{width}" role="img"'
        f' aria-label="{escape(title)}"><text x="0" y="11" class="title">{escape(title)}, {escape(unit)}</text>'
    ]
    for k, (exponent, count) in enumerate(zip(exponents, counts, strict=True)):
        height = _HEIGHT * count / most
        left, top = _BAR * (k + 0.5), _HEAD + _HEIGHT - height
        parts.append(
            f'<rect x="{left:g}" y="{top:.1f}" width="{_BAR - 2}" height="{height:.1f}"><title>{_power(exponent)} to'
            f" {_power(exponent + 1)} {escape(unit)}: {count:,} ({count / total:.1%})</title></rect>"
        )
        if count:
            middle = left + _BAR / 2 - 1
            parts.append(f'<text x="{middle:g}" y="{top - 2:.1f}" class="tick count">{_short(count)}</text>')
    for k in range(len(counts) + 1):
        edge = _power(exponents[0] + k)
        parts.append(
            f'<text x="{_BAR * (k + 0.5) - 1:g}" y="{_HEAD + _HEIGHT + _FOOT - 4}" class="tick">{edge}</text>'
        )
    return "".join(parts) + "</svg>"


def octaves(values: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Exponents e, without gaps, and how many values lie in [2^e, 2^(e+1)); what is not positive lies in none."""
    good = values[np.isfinite(values) & (values > 0)]
    if not len(good):
        return [], []
    # frexp: good = m 2^e with m in [1/2, 1); exact where a logarithm rounds 2^3 to just below 3.
    found = np.frexp(good)[1] - 1
    low, high = int(found.min()), int(found.max())
    return list(range(low, high + 1)), np.bincount(found - low, minlength=high - low + 1).tolist()


def _power(exponent: int) -> str:
    return f"{2**exponent:,}" if exponent >= 0 else f"1/{2**-exponent}"


def _short(count: int) -> str:
    """At most four characters, below a billion."""
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{name}" if count < 9.95 * unit else f"{count / unit:.0f}{name}"
    return str(count)
