"""What every protocol's scoring takes and gives: the truth of a sequence, and the scores of a set of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """The truth of one sequence, one row per frame that is assessed.

    Attributes:
        boxes: (T, 4) float64 x y w h in pixels of the original image; NaN where the benchmark gives no numbers.
        present: (T,) bool, the benchmark says that something of the target is in view, whatever its box: LaSOT's two
            flags, GOT-10k's ``cover.label`` > 0.
        size: (width, height) of the images, where known: VOT and GOT-10k clip to it.
        regions: (T, 8) corners x1 y1 … x4 y4, where the truth is more than a box.
        tags: name -> (T,) bool, per frame (VOT).
        attributes: names of what holds for the whole sequence (OTB's IV, SV, …).
    """

    name: str
    boxes: Floats
    present: Bools
    size: tuple[int, int] | None = None
    regions: Floats | None = None
    tags: Mapping[str, Bools] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()

    @property
    def in_view(self) -> Bools:
        """(T,) present, with a box that has an area: there is something to find, and to start a tracker on."""
        # NaN compares false. OTB has rows of zeros (Board, Twinnings): truth to be measured, no place to start at.
        return np.asarray(self.present & np.isfinite(self.boxes).all(axis=1) & (self.boxes[:, 2:] > 0).all(axis=1))

    def moved(self, by: float) -> Labels:
        """The same truth where the first pixel is called ``by`` more: coordinates of a publisher, or of an index."""
        regions = None if self.regions is None else moved(self.regions, by)
        return replace(self, boxes=moved(self.boxes, by), regions=regions)

    @property
    def has_truth(self) -> bool:
        """Whether there is anything to compare with: of what a server keeps only the first box is known."""
        return len(self.boxes) < 2 or bool(np.isfinite(self.boxes[1:]).any())


def moved(regions: Floats, by: float) -> Floats:
    """(T, 4) boxes x y w h, or (T, 8) corners, with ``by`` added to each coordinate."""
    if not by:
        return regions
    return np.asarray(regions + np.array([by, by, 0.0, 0.0] if regions.shape[1] == 4 else by), np.float64)


class Statistic(Protocol):
    """A score of a set of sequences that can be asked again for other draws of them."""

    @property
    def per_sequence(self) -> Floats:
        """(S,) the score of each sequence alone; NaN where it has none."""

    def value(self, counts: Floats | None = None) -> Floats:
        """The set's score: (), or (R,) if ``counts`` (R, S) says how often each sequence was drawn."""


@dataclass(frozen=True)
class Ratio:
    """The mean over k of (sum over sequences of ``above[s, k]``) / (sum over sequences of ``below[s, k]``).

    With ``below`` of ones it is the mean over sequences (OTB's AUC); with numbers of frames the frame-weighted mean
    (GOT-10k's AO); with k a length of sub-sequence and the numbers that reach it, VOT's EAO. A k whose sum of
    ``below`` is 0 is left out.

    above, below: (S, K) float64, or (S,) for K = 1.
    """

    above: Floats
    below: Floats

    @classmethod
    def mean(cls, values: Floats) -> Ratio:
        """Every sequence weighs the same; those whose value is NaN are left out."""
        known = np.isfinite(values)
        return cls(np.where(known, values, 0.0), known.astype(np.float64))

    @property
    def per_sequence(self) -> Floats:
        return self._mean(self._columns(self.above), self._columns(self.below))

    def value(self, counts: Floats | None = None) -> Floats:
        above, below = self._columns(self.above), self._columns(self.below)
        if counts is None:
            # A plain sum, in the order of the sequences: no BLAS, whose last bit depends on machine and threads.
            result: Floats = self._mean(above.sum(axis=0), below.sum(axis=0))
            return result
        return self._mean(counts @ exact(above, counts), counts @ exact(below, counts))

    @staticmethod
    def _columns(values: Floats) -> Floats:
        return values if values.ndim == 2 else values[:, None]

    @staticmethod
    def _mean(above: Floats, below: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.where(below > 0, above / below, np.nan)
            known = np.isfinite(ratios)
            mean = np.where(known, ratios, 0.0).sum(axis=-1) / known.sum(axis=-1)
        return np.asarray(mean, np.float64)


@dataclass(frozen=True)
class Total:
    """The sum over sequences: a number of failures. values: (S,) float64."""

    values: Floats

    @property
    def per_sequence(self) -> Floats:
        return self.values

    def value(self, counts: Floats | None = None) -> Floats:
        total = self.values.sum() if counts is None else counts @ exact(self.values, counts)
        return np.asarray(total, np.float64)


def exact(values: Floats, counts: Floats) -> Floats:
    """``values`` (S, K) on a grid so coarse that every partial sum of ``counts @ values`` is a float64.

    Then no addition rounds, and BLAS gives the same bits in whatever order it adds, on every machine. The grid's step
    is at most the largest possible sum (of magnitudes) times 2**-51, and each of the S values is off by half of that
    at most. ``counts`` (R, S) are whole numbers >= 0.
    """
    drawn = counts @ np.ones(counts.shape[1])  # whole numbers; four times as fast as their sum
    largest = float(drawn.max(initial=0.0)) * float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    if largest < 1e-200:  # no score is so small, and there is no grid left below it
        return np.zeros_like(values)
    step = math.ldexp(1.0, math.frexp(largest)[1] - 52)
    return np.asarray(np.rint(values / step) * step)


@dataclass(frozen=True)
class SetScores:
    """The scores of one tracker on one set of sequences, under one convention.

    Attributes:
        convention: its name in ``conventions.CONVENTIONS``.
        sequences: S names, in the order of all rows here.
        statistics: metric -> Statistic; names are those of ``metrics.METRICS``.
        curves: name -> (S, K): ``success`` (21 thresholds), ``precision`` (51), ``norm_precision`` (51).
        set_curves: name -> (K,): the curve of the whole set, as its plot shows it. Also what no single sequence has:
            ``expected_overlap`` (supervised; at a length of k frames) and ``LT_precision``, ``LT_recall`` (long-term;
            at the same K thresholds of confidence, falling).
    """

    convention: str
    sequences: tuple[str, ...]
    statistics: Mapping[str, Statistic]
    curves: Mapping[str, Floats] = field(default_factory=dict)
    set_curves: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def overall(self) -> dict[str, float]:
        return {name: float(statistic.value()) for name, statistic in self.statistics.items()}

    @property
    def per_sequence(self) -> dict[str, Floats]:
        return {name: statistic.per_sequence for name, statistic in self.statistics.items()}
