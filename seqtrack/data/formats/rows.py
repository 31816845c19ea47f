"""Rows of numbers in text files: an exact parser for clean files, a careful one that names the row in all others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqtrack.errors import DataError

# One benchmark mixes commas, tabs and spaces, sometimes several in a row ("12, 7").
_DELIMITER = re.compile(r"[,\s;]+")

_LINE, _BLANK, _DIGIT, _POINT, _MINUS, _LETTER, _OTHER = range(7)
_KINDS = bytearray([_OTHER] * 256)
for _kind, _characters in enumerate((b"\n", b" \t,;", b"0123456789", b".", b"-", b"+eENna")):
    for _character in _characters:
        _KINDS[_character] = _kind
_TO_SPACES = bytes.maketrans(b",;", b"  ")

# Sums of digits below 10^15 are exact in float64, and so are these powers; so one division rounds once, as float()
# does (Clinger, How to read floating point numbers accurately, 1990).
_MOST_DIGITS = 15
_LONGEST = _MOST_DIGITS + 1  # with a point
_POWERS = 10.0 ** np.arange(_LONGEST)


def _make_weights() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each byte of a word counts for: a row for its length and its bytes from the point on (0: no point).

    Words end at the right. That of ``12.5`` (4 bytes, 2 of them from the point on) is 0 … 0 100 10 0 1: 125 tenths.
    And which of these words have a digit and not too many.
    """
    weights = np.zeros((_LONGEST + 1, _LONGEST + 1, _LONGEST))
    is_number = np.zeros((_LONGEST + 1, _LONGEST + 1), bool)
    for length in range(1, _LONGEST + 1):
        for tail in range(length + 1):
            from_right = np.insert(_POWERS, tail - 1, 0.0) if tail else _POWERS
            weights[length, tail, _LONGEST - length :] = from_right[:length][::-1]
            is_number[length, tail] = 1 <= length - (tail > 0) <= _MOST_DIGITS
    return weights.reshape(-1, _LONGEST), is_number.ravel()


_WEIGHTS, _IS_NUMBER = _make_weights()
_DIVISORS = np.concatenate([[1.0], _POWERS])  # by bytes from the point on
_MARGIN = b" " * _LONGEST + b"\n"
"""So that there are as many bytes before the end of each word, and a line before the first."""


def parse_rows(data: bytes, where: str, columns: Sequence[int]) -> NDArray[np.float64]:
    """The numbers of a ground-truth file, one row per line, each as ``float`` reads it.

    Args:
        where: names the file in messages.
        columns: how many numbers a row may have; all rows of a file have the same.

    Returns:
        (N, C); NaN where the file says ``nan``. Blank lines at the end are no rows; elsewhere they are
        mistakes.

    Raises:
        DataError: names the row that is wrong.
    """
    rows = _clean_rows(data, columns)
    return _careful_rows(data, where, columns) if rows is None else rows


def _clean_rows(data: bytes, columns: Sequence[int]) -> NDArray[np.float64] | None:
    """The rows of a file in which nothing is odd, at a tenth of the time; None: let the careful parser look."""
    text = _MARGIN + data.rstrip(b" \t\r\n") + b"\n"
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    kind = np.frombuffer(text.translate(_KINDS), np.uint8)
    oddest = kind.max()
    if oddest == _OTHER:
        return None
    blank = kind <= _BLANK
    edges = (blank[1:] != blank[:-1]).nonzero()[0] + 1
    starts, ends = edges[::2], edges[1::2]
    lines = (kind == _LINE).nonzero()[0]
    rows = len(lines) - 1
    width, left = divmod(len(starts), rows)
    if left or width not in columns:
        return None
    if (starts[::width] < lines[:-1]).any() or (ends[width - 1 :: width] > lines[1:]).any():
        return None  # as many numbers as there should be, but not in each line
    values = None if oddest == _LETTER else _decimals(kind, text, starts, ends)
    if values is not None:
        return values.reshape(rows, width)
    try:
        values = np.fromiter(map(float, text.translate(_TO_SPACES).split()), np.float64, len(starts))
    except ValueError:
        return None
    return None if np.isinf(values).any() else values.reshape(rows, width)


def _decimals(
    kind: NDArray[np.uint8], text: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """The values of words that are all of the form -ddd.ddd with at most 15 digits; None if one is not."""
    lengths = ends - starts
    negative = None
    if b"-" in text:
        negative = kind[starts] == _MINUS
        if np.count_nonzero(negative) != text.count(b"-"):
            return None
        lengths -= negative
    longest, tails = int(lengths.max()), _bytes_from_point(kind, ends, lengths)
    if longest > _LONGEST or tails is None:
        return None
    shapes = lengths * (_LONGEST + 1) + tails
    if not _IS_NUMBER.take(shapes).all():
        return None
    ending = np.ndarray(len(text) - longest + 1, f"V{longest}", text, strides=(1,))  # that many bytes from each on
    words = ending[ends - longest].view(np.uint8).reshape(-1, longest) - np.uint8(ord("0"))
    weighed = _WEIGHTS[:, -longest:].take(shapes, axis=0)
    weighed *= words
    values: NDArray[np.float64] = weighed.dot(np.ones(longest))
    values /= _DIVISORS[tails]
    return values if negative is None else np.where(negative, -values, values)


def _bytes_from_point(
    kind: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """How many bytes each word has from its point on, 0 where it has none; one number where all have as many."""
    is_point = kind == _POINT
    points = np.count_nonzero(is_point)
    if not points:
        return np.zeros(1, np.int64)
    tail = int(ends[0] - is_point.argmax())
    if points == len(ends) and 0 < tail <= lengths.min() and is_point[ends - tail].all():
        return np.array([tail])
    places = is_point.nonzero()[0]
    owners = np.searchsorted(ends, places)
    if (owners[1:] == owners[:-1]).any():
        return None
    tails = np.zeros_like(ends)
    tails[owners] = ends[owners] - places
    return tails


def _careful_rows(data: bytes, where: str, columns: Sequence[int]) -> NDArray[np.float64]:
    expected = " or ".join(str(count) for count in columns)
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{where}: no rows; expected {expected} numbers in each")
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = [word for word in _DELIMITER.split(line) if word]
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise DataError(
                f"{where}, row {number}: {line.strip()[:60]!r} is not {expected} numbers; mend that row"
            ) from error
        if len(values) not in columns or (rows and len(values) != len(rows[0])):
            wanted = str(len(rows[0])) if rows else expected
            raise DataError(
                f"{where}, row {number}: {len(values)} numbers where {wanted} are expected; mend that row"
            )
        if any(math.isinf(value) for value in values):
            raise DataError(f"{where}, row {number}: an infinite number; mend that row")
        rows.append(values)
    return np.array(rows, dtype=np.float64)
