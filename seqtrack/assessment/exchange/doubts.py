"""What looks odd about results that can be scored: said in a line each, since nobody else will notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from seqtrack.assessment.exchange.reading import Results
from seqtrack.assessment.scores import Floats, Labels
from seqtrack.schema import counted
from seqtrack.tracking.courses import TRACKED

# KCF's public results are half a pixel beside the truth, by rounding; another first pixel is a whole one.
_NEAR = 0.6


def doubts(results: Results, labels: Sequence[Labels]) -> list[str]:
    """Remarks about one tracker's results, none as a rule."""
    return [*_identical(results, labels), *_first_boxes(results, labels), *_negative(results, labels)]


def _identical(results: Results, labels: Sequence[Labels]) -> Iterator[str]:
    for truth, runs in zip(labels, results.runs, strict=True):
        known = np.isfinite(truth.boxes).all(axis=1)
        if not all(np.array_equal(run.boxes[known], truth.boxes[known]) for run in runs):
            return
    yield "the results are identical to the annotations; are these the tracker's?"


def _first_boxes(results: Results, labels: Sequence[Labels]) -> Iterator[str]:
    """A tracker is given the first box: where most first rows are others, all rows may mean something else."""
    pairs = [
        (run.boxes[0], truth.boxes[0])
        for truth, (run, *_) in zip(labels, results.runs, strict=True)
        if (run.codes is None or run.codes[0] == TRACKED) and np.isfinite([run.boxes[0], truth.boxes[0]]).all()
    ]
    if not pairs:
        return
    boxes, truths = np.array(pairs).transpose(1, 0, 2)
    differ = np.abs(boxes - truths).max(axis=1) > _NEAR
    if 2 * differ.sum() > len(pairs):
        number = f"{differ.sum()} of {counted(len(pairs), 'sequence')}"
        yield f"the first boxes differ from the truth in {number}: {_explained(boxes[differ], truths[differ])}"


def _explained(boxes: Floats, truths: Floats) -> str:
    def mostly(found: Floats, expected: Floats, near: float) -> bool:
        return bool(np.mean(np.abs(found - expected).max(axis=1) <= near) > 0.5)

    corner, size, by = truths[:, :2], truths[:, 2:], np.median(boxes[:, :2] - truths[:, :2], axis=0)
    # A second corner may be the last pixel or the one behind it.
    if mostly(boxes, np.concatenate([corner, corner + size], axis=1), 1 + _NEAR):
        return "they look like x1 y1 x2 y2; write x y w h"
    if mostly(boxes, np.concatenate([corner + size / 2, size], axis=1), 1 + _NEAR):
        return "x y look like the centre; write the left upper corner"
    if mostly(boxes, truths + np.array([*by, 0.0, 0.0]), 0.1):
        return f"x and y are off by {by[0]:+g} and {by[1]:+g} everywhere; count pixels from where the annotations do"
    return "are they x y x y, or counted from another pixel?"


def _negative(results: Results, labels: Sequence[Labels]) -> Iterator[str]:
    total, first = 0, ""
    for truth, runs in zip(labels, results.runs, strict=True):
        for run in runs:
            rows = np.flatnonzero((run.boxes[:, 2:] < 0).any(axis=1))
            total += len(rows)
            first = first or (f"{truth.name}, row {rows[0] + 1}" if len(rows) else "")
    if total:
        have = "has" if total == 1 else "have"
        yield f"{counted(total, 'row')} {have} a negative width or height ({first}), which overlaps nothing"
