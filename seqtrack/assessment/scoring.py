"""One-pass scores (OPE) of a set of sequences, all at once, under a named convention.

Curves are histograms: a frame is put into the bin between two thresholds that its overlap or error lies in, and
the curve is the running sum of the bins. That gives exactly what comparing each frame with each threshold does,
ties included, without a table of frames by thresholds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.conventions import Convention, OnePass, find
from seqtrack.assessment.metrics import CURVES
from seqtrack.assessment.scores import Bools, Floats, Labels, Ratio, SetScores, Statistic
from seqtrack.errors import DataError

PRECISION_PX = 20  # the threshold whose value is the score; also the index in 0 … 50
NORM_PRECISION = 20  # index of 0.20 in 0, 0.01, …, 0.5
_IOU, _PIXELS = np.array(CURVES["success"]), np.array(CURVES["precision"])
# Frames at a time, so that what is computed of them stays in the cache of a core: of LaSOT's 685,360 frames at once,
# most of the time goes into fresh memory.
_BLOCK = 8192

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Counts:
    """What is counted of S sequences. success: (S, 21) frames above; precision, norm: (S, 51) frames within."""

    counted: Ints  # (S,) frames in the denominator
    measured: Ints  # (S,) frames whose overlap is measured
    overlap: Floats  # (S,) sum of overlaps
    success: Ints
    precision: Ints
    norm: Ints


def score(labels: Sequence[Labels], boxes: Sequence[Floats], convention: str, dataset: str = "") -> SetScores:
    """The scores of one tracker, given for each of S runs the truth and the predicted boxes.

    Args:
        labels: S truths. One may occur several times (repetitions).
        boxes: S arrays (T, 4), x y w h in pixels of the original image; NaN is a miss. They are left as they are.
        convention: a name for ``conventions.find``.
        dataset: the data set's ``benchmark_of``; some toolkits count LaSOT, UAV123 or GOT-10k otherwise.

    Raises:
        UserError: unknown convention.
        ValueError: truth and boxes that do not belong together; names the sequence.
        DataError: a sequence in which no frame counts; GOT-10k without the size of the images.
    """
    found = find("ope", convention, dataset)
    rules = found.frames
    assert rules is not None, "one-pass conventions have rules of frames"
    if not labels:
        raise ValueError("no sequence to score")
    lengths = _lengths(labels, boxes)
    parts = [_count(labels[part], boxes[part], lengths[part], rules) for part in _blocks(lengths)]
    counts = _Counts(*(np.concatenate([getattr(p, name) for p in parts]) for name in _Counts.__annotations__))
    empty = np.flatnonzero(counts.counted == 0)
    if len(empty) and (not rules.pooled or len(empty) == len(labels)):
        raise DataError(f"sequence {labels[int(empty[0])].name!r}: no frame with a valid truth to score against")
    names = tuple(each.name for each in labels)
    return (_pooled if rules.pooled else _averaged)(found, rules, names, counts)


def _averaged(convention: Convention, rules: OnePass, names: tuple[str, ...], counts: _Counts) -> SetScores:
    """Every sequence weighs the same, whatever its length."""
    counted = counts.counted[:, None]
    success, precision, norm = counts.success / counted, counts.precision / counted, counts.norm / counted
    with np.errstate(invalid="ignore"):
        values = {
            "AUC": success.mean(axis=1),
            "success_50": success[:, 10],
            "success_70": success[:, 14],
            "success_75": success[:, 15],
            "precision_20": precision[:, PRECISION_PX],
            "norm_precision": norm.mean(axis=1) if rules.norm_mean else norm[:, NORM_PRECISION],
            "mean_iou": counts.overlap / (counts.measured if rules.mean_where_overlapping else counts.counted),
        }
    curves = {"success": success, "precision": precision, "norm_precision": norm}
    statistics: dict[str, Statistic] = {name: Ratio.mean(values[name]) for name in convention.metrics}
    set_curves = {name: curve.mean(axis=0) for name, curve in curves.items()}
    return SetScores(convention.name, names, statistics, curves, set_curves)


def _pooled(convention: Convention, rules: OnePass, names: tuple[str, ...], counts: _Counts) -> SetScores:
    """Every frame weighs the same."""
    frames = counts.counted.astype(np.float64)
    sums = {"AO": counts.overlap, "SR_50": counts.success[:, 10], "SR_75": counts.success[:, 15]}
    statistics: dict[str, Statistic] = {
        name: Ratio(sums[name].astype(np.float64), frames) for name in convention.metrics
    }
    with np.errstate(invalid="ignore"):
        curves = {"success": counts.success / frames[:, None]}
    set_curves = {"success": counts.success.sum(axis=0) / frames.sum()}
    return SetScores(convention.name, names, statistics, curves, set_curves)


def _lengths(labels: Sequence[Labels], boxes: Sequence[Floats]) -> Ints:
    if len(labels) != len(boxes):
        raise ValueError(f"truths of {len(labels)} sequences, boxes of {len(boxes)}")
    for each, pred in zip(labels, boxes, strict=True):
        if each.boxes.ndim != 2 or each.boxes.shape[1] != 4 or not len(each.boxes):
            raise ValueError(f"sequence {each.name!r}: truth of shape (T, 4) expected, got {each.boxes.shape}")
        if np.shape(pred) != each.boxes.shape:
            raise ValueError(f"sequence {each.name!r}: {each.boxes.shape} truths, but {np.shape(pred)} boxes")
        if each.present.shape != each.boxes.shape[:1]:
            raise ValueError(f"sequence {each.name!r}: {len(each.boxes)} truths, but {each.present.shape} flags")
    return np.array([len(each.boxes) for each in labels], np.int64)


def _blocks(lengths: Ints) -> Iterator[slice]:
    """Runs of whole sequences, of about ``_BLOCK`` frames each."""
    ends = np.cumsum(lengths)
    cuts = np.flatnonzero(np.diff(ends // _BLOCK, prepend=0)) + 1
    bounds = sorted({0, *cuts.tolist(), len(lengths)})
    return (slice(a, b) for a, b in itertools.pairwise(bounds))


def _count(labels: Sequence[Labels], boxes: Sequence[Floats], lengths: Ints, rules: OnePass) -> _Counts:
    truth, pred = _columns([each.boxes for each in labels]), _columns(boxes)
    starts = np.cumsum(lengths) - lengths
    if rules.repeated is not None:
        _repeat(pred, rules.repeated(pred) & ~np.isnan(truth.sum(axis=0)), starts)
    if rules.first_is_truth:
        pred[:, starts] = truth[:, starts]
    if rules.pooled:
        size = np.repeat(np.array([_size(each) for each in labels], np.float64).T, lengths, axis=1)
        _clip(pred, size)
        _clip(truth, size)
    overlaps = _overlaps(pred, truth)
    pixels, normalised = _center_errors(pred, truth, rules)

    if rules.located is not None:
        for errors, located, otherwise in zip((pixels, normalised), rules.located, rules.unlocated, strict=True):
            np.copyto(errors, otherwise, where=~located(truth))
    measured = np.ones(len(overlaps), np.bool_) if rules.overlapping is None else rules.overlapping(truth)
    counted = _counted(labels, truth, starts, rules)
    if rules.flagged:
        present = np.concatenate([each.present for each in labels])
        measured = measured & present
    # What does not count is a miss that is not in the denominator.
    missed = ~(counted & present) if rules.flagged else ~counted
    if missed.any():
        np.copyto(pixels, np.inf, where=missed)
        np.copyto(normalised, np.inf, where=missed)
    overlaps *= measured & ~missed

    above = _bins(overlaps, _IOU, lengths)
    return _Counts(
        counted=np.add.reduceat(counted, starts, dtype=np.int64),
        measured=np.add.reduceat(measured, starts, dtype=np.int64),
        overlap=np.add.reduceat(overlaps, starts),
        success=above[:, :0:-1].cumsum(axis=1)[:, ::-1],
        precision=_bins(pixels, _PIXELS, lengths)[:, :-1].cumsum(axis=1),
        norm=_bins(normalised, rules.norm, lengths)[:, :-1].cumsum(axis=1),
    )


def _counted(labels: Sequence[Labels], truth: Floats, starts: Ints, rules: OnePass) -> Bools:
    if not rules.pooled:
        return np.ones(truth.shape[1], np.bool_) if rules.counted is None else rules.counted(truth)
    counted = np.concatenate([each.present for each in labels])
    counted[starts] = False
    return counted


def _columns(boxes: Sequence[Floats]) -> Floats:
    """x, y, w, h of all of them as rows: (4, N), a copy."""
    columns = np.empty((4, sum(map(len, boxes))))  # without ``out`` the rows of the result would not be contiguous
    return np.concatenate([each.T for each in boxes], axis=1, out=columns)


def _bins(values: Floats, thresholds: Floats, lengths: Ints) -> Ints:
    """How many values of each sequence lie beyond exactly k of K thresholds, (S, K + 1)."""
    bins = len(thresholds) + 1
    own = np.repeat(np.arange(len(lengths)) * bins, lengths)
    own += _beyond(values, thresholds)
    return np.bincount(own, minlength=len(lengths) * bins).reshape(len(lengths), bins)


def _beyond(values: Floats, thresholds: Floats) -> NDArray[np.intp]:
    """How many of ``thresholds`` (K,), equally spaced from 0, are < each of ``values`` (N,); K for NaN.

    As ``np.searchsorted``, whose branches a processor foresees wrongly: on noisy values. Division by a bit
    more than the spacing gives that number or one less; the threshold itself decides.
    """
    steps = values * ((1.0 - 1e-12) / thresholds[1])
    np.fmin(steps, len(thresholds), out=steps)
    np.maximum(steps, 0.0, out=steps)
    found: NDArray[np.intp] = np.ceil(steps, out=steps).astype(np.intp)
    found += np.append(thresholds, np.inf).take(found) < values
    return found


def _repeat(pred: Floats, again: Bools, starts: Ints) -> None:
    """Overwrites the columns that ``again`` marks with the last one before them that it does not."""
    again[starts] = False
    if again.any():
        source = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
        pred[:] = pred[:, source]


def _size(label: Labels) -> tuple[int, int]:
    if label.size is None:
        raise DataError(f"sequence {label.name!r}: the size of its images is not known, to which GOT-10k clips boxes")
    return label.size


def _clip(boxes: Floats, size: Floats) -> None:
    """Moves x and y into the image, without shrinking the box, and then cuts off what is right and below of it."""
    for corner, extent, limit in zip(boxes[:2], boxes[2:], size, strict=True):
        np.clip(corner, 0.0, limit, out=corner)
        np.clip(extent, 0.0, limit - corner, out=extent)


def _overlaps(pred: Floats, truth: Floats) -> Floats:
    """IoU column by column, in [0, 1]; 0 where a box is not a number or neither has an area."""
    inner = np.ones(pred.shape[1])
    for a, length_a, b, length_b in zip(pred[:2], pred[2:], truth[:2], truth[2:], strict=True):
        inner *= np.maximum(np.minimum(a + length_a, b + length_b) - np.maximum(a, b), 0.0)
    union = pred[2] * pred[3] + truth[2] * truth[3] - inner
    with np.errstate(divide="ignore", invalid="ignore"):
        inner /= union
    # fmax takes the number where one of two is none. x + w rounds, so a box may overlap itself by more than 1.
    return np.minimum(np.fmax(inner, 0.0), 1.0)


def _center_errors(pred: Floats, truth: Floats, rules: OnePass) -> tuple[Floats, Floats]:
    """Distances of the centres, in pixels and in units of the truth's width and height; NaN where one is none."""
    pixels, normalised = np.zeros(pred.shape[1]), np.zeros(pred.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            a = pred[axis] + (pred[axis + 2] - 1.0) / 2.0
            b = truth[axis] + (truth[axis + 2] - 1.0) / 2.0
            length = truth[axis + 2] if rules.sizes is None else rules.sizes(truth[axis + 2])
            offset = a - b
            pixels += offset * offset
            offset = a / length - b / length if rules.quotients else offset / length
            normalised += offset * offset
    return np.sqrt(pixels, out=pixels), np.sqrt(normalised, out=normalised)


def overlap(pred: Floats, truth: Floats) -> Floats:
    """IoU of (N, 4) with (N, 4): (N,) in [0, 1]; 0 where the prediction is not a number."""
    return _overlaps(np.asarray(pred, np.float64).T, np.asarray(truth, np.float64).T)
