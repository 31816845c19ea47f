"""VOT's long-term experiment scored: tracking precision, recall and their F-score.

The tracker runs once and says of each frame how sure it is; the target may be out of view. At a threshold of
confidence, precision is the mean overlap over the frames that reach it, recall the sum of those overlaps divided by
the number of frames with the target in view. Both are averaged over sequences; F is ``2 PR / (P + R)`` at the best
of some hundred thresholds, which are quantiles of all confidences of the set, and P and R are those at that one.
Definitions: Lukežič et al., "Now you see me: evaluating performance in long-term visual tracking" (2018).

Two conventions:

- ``vot``: vot-toolkit 0.9. A frame without a confidence has 0. Where neither truth nor prediction is a region, the
  overlap is 1.
- ``pysot``: the overlap is that of pysot, at the lowest threshold only confidences above 0 count, frames without
  one do not decide the thresholds, and where the truth or the prediction is none the overlap is 0.

In both the first frame, which is given, is a frame without a region or a confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scores import Labels, SetScores, exact
from seqtrack.assessment.supervised import last_pixel, stack, truth_of
from seqtrack.data import regions
from seqtrack.errors import UserError
from seqtrack.schema import nearest

Floats = NDArray[np.float64]

CONVENTIONS = ("vot", "pysot")
_THRESHOLDS = 100
_WHICH = ("F_score", "LT_precision", "LT_recall")


@dataclass(frozen=True)
class BestF:
    """The best F over thresholds of the mean precision and mean recall, or the precision or recall there.

    precision, recall: (S, K) at K thresholds, which stay the same when sequences are drawn again. which: the name of
    the metric.
    """

    precision: Floats
    recall: Floats
    which: str

    @property
    def per_sequence(self) -> Floats:
        return self._best(self.precision, self.recall)

    def value(self, counts: Floats | None = None) -> Floats:
        if counts is None:
            return self._best(self.precision.mean(axis=0), self.recall.mean(axis=0))
        drawn = counts.sum(axis=1, keepdims=True)
        precision, recall = (counts @ exact(values, counts) for values in (self.precision, self.recall))
        return self._best(precision / drawn, recall / drawn)

    def _best(self, precision: Floats, recall: Floats) -> Floats:
        both = precision + recall
        scores = np.divide(2 * precision * recall, both, out=np.zeros(both.shape), where=both > 0)
        at = scores.argmax(axis=-1)
        wanted = {"F_score": scores, "LT_precision": precision, "LT_recall": recall}[self.which]
        return np.asarray(np.take_along_axis(wanted, np.expand_dims(at, -1), axis=-1)[..., 0], np.float64)


def score(
    labels: Sequence[Labels],
    boxes: Sequence[Floats],
    confidences: Sequence[Floats],
    convention: str = "vot",
    dataset: str = "",
) -> SetScores:
    """F-score, precision and recall of one tracker.

    Args:
        boxes: for each sequence (T, 4) x y w h or (T, K) as in ``data.regions``; NaN where it reports no target.
        confidences: for each sequence (T,), on any scale; NaN where it gives none.
        convention: ``vot`` or ``pysot``.
    """
    if convention not in CONVENTIONS:
        raise UserError(f"convention {convention!r}: unknown for long-term runs; {nearest(convention, CONVENTIONS)}")
    for truth, found, sure in zip(labels, boxes, confidences, strict=True):
        if not len(truth.boxes) == len(found) == len(sure):
            raise ValueError(f"{truth.name}: expected {len(truth.boxes)} rows, got {len(found)} and {len(sure)}")
    expected = stack([np.where(truth.in_view[:, None], truth_of(truth), np.nan) for truth in labels])
    found = stack(boxes)
    sure = np.concatenate([np.asarray(values, np.float64) for values in confidences])
    ends = np.cumsum([len(truth.boxes) for truth in labels])
    starts = np.concatenate([[0], ends[:-1]])
    found[starts], sure[starts] = np.nan, np.nan
    # pysot lets images have a column and a row more than they have.
    margin = 1 if convention == "pysot" else 0
    last = np.concatenate([np.tile(last_pixel(truth) + margin, (len(truth.boxes), 1)) for truth in labels])
    overlap = np.nan_to_num(regions.overlaps(found, expected, last, convention))
    in_view = regions.numbers(expected) > 0
    if convention == "vot":
        sure = np.nan_to_num(sure, posinf=np.inf, neginf=-np.inf)
        overlap[~in_view & (regions.numbers(found) == 0)] = 1.0
    levels = thresholds(sure, convention)
    sure = np.nan_to_num(sure, posinf=np.inf, neginf=-np.inf)
    cuts = [np.split(values, ends[:-1]) for values in (overlap, sure)]
    visible = [int(part.sum()) for part in np.split(in_view, ends[:-1])]
    curves = [_curves(met, own, frames, levels, convention) for met, own, frames in zip(*cuts, visible, strict=True)]
    precision, recall = (np.array(values) for values in zip(*curves, strict=True))
    return SetScores(
        convention,
        tuple(truth.name for truth in labels),
        {which: BestF(precision, recall, which) for which in _WHICH},
        {},
        {"LT_precision": precision.mean(axis=0), "LT_recall": recall.mean(axis=0)},
    )


def thresholds(confidences: Floats, convention: str = "vot") -> Floats:
    """(K,) falling from inf to -inf, at most 100: between them 98 of the confidences (N,), evenly spread over their
    order; all of them, if there are no more. The two conventions round their places differently."""
    known = np.sort(confidences[~np.isnan(confidences)])[::-1]
    inner = _THRESHOLDS - 2
    if len(known) > inner:
        step = len(known) // inner
        if convention == "vot":
            places = np.round(np.linspace(step, len(known) - step, inner))
        else:
            # Counted from the other end there.
            places = len(known) - 1 - np.floor(np.linspace(step - 1, len(known) - step, inner) + 0.5)[::-1]
        known = known[places.astype(np.int64)]
    return np.concatenate([[np.inf], known, [-np.inf]])


def _curves(overlap: Floats, sure: Floats, visible: int, levels: Floats, convention: str) -> tuple[Floats, Floats]:
    """Precision and recall (K,) of one sequence, with the target in view in so many frames. Where no frame reaches
    the threshold they are 1 and 0."""
    order = np.argsort(-sure, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(overlap[order])])
    reached = np.searchsorted(-sure[order], -levels, side="right")
    if convention == "pysot":
        reached = np.where(np.isneginf(levels), np.sum(sure > 0), reached)
    precision = np.where(reached > 0, sums[reached] / np.maximum(reached, 1), 1.0)
    recall = sums[reached] / max(visible, 1)
    return precision, recall
