"""Is the difference between two experiments real? A paired bootstrap over sequences and trials.

Other videos might have been chosen, and other seeds: both are drawn again, with replacement. The sequences are the
same for both experiments (what is hard for one is hard for the other, and that must not count), the trials are drawn
for each by itself. Pure, seeded, and a function of the values alone: not of the order of trials or sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scores import Floats, Statistic
from seqtrack.assessment.summary import RESAMPLES, resampled_counts

Ints = NDArray[np.int64]

LEVEL = 0.95
# Below so many trials the bootstrap's intervals are known to be too narrow: it draws from what it has seen.
FEW_TRIALS = 5
FEW_SEQUENCES = 10
_TIE = 1e-12  # of the scores' size: sums of the same numbers in another order differ by less


@dataclass(frozen=True)
class Comparison:
    """What two experiments, A and B, have to say about each other on one set by one metric.

    Attributes:
        a, b: the score of the set, the mean over trials.
        difference: B - A.
        interval: in which 95 % of the resampled differences lie.
        share_a, share_b: of the resamples, those in which A, and B, is better; ``ties``: neither.
        sequences: S names, sorted.
        per_sequence_a, per_sequence_b: (S,) means over trials, NaN where a sequence has no score.
        trials_a, trials_b: how many trials each has.
        higher_is_better: which end of the metric is good.
    """

    a: float
    b: float
    interval: tuple[float, float]
    median: float
    share_a: float
    share_b: float
    ties: float
    sequences: tuple[str, ...]
    per_sequence_a: Floats
    per_sequence_b: Floats
    trials_a: int
    trials_b: int
    higher_is_better: bool = True

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def per_sequence(self) -> Floats:
        """(S,) B - A."""
        return self.per_sequence_b - self.per_sequence_a

    @property
    def wins(self) -> tuple[int, int, int]:
        """On how many sequences A is better, B is better, and neither; those without a score count in none."""
        gains = self.per_sequence * (1 if self.higher_is_better else -1)
        known = gains[np.isfinite(gains)]
        return int((known < -_TIE).sum()), int((known > _TIE).sum()), int((np.abs(known) <= _TIE).sum())

    @property
    def better(self) -> str:
        """``A`` or ``B`` if 0 lies outside of the interval, else empty: they cannot be told apart."""
        low, high = self.interval
        if low <= 0 <= high:
            return ""
        return "B" if (low > 0) == self.higher_is_better else "A"

    @property
    def verdict(self) -> str:
        return f"{self.better} is better" if self.better else "cannot tell them apart"

    @property
    def caveats(self) -> list[str]:
        """What the interval does not cover, as sentences; none if there is enough of everything."""
        found = []
        alone = [name for name, n in (("A", self.trials_a), ("B", self.trials_b)) if n == 1]
        few = [name for name, n in (("A", self.trials_a), ("B", self.trials_b)) if 1 < n < FEW_TRIALS]
        if alone:
            each = "both have" if len(alone) == 2 else f"{alone[0]} has"
            found.append(f"{each} one trial, so only sequences were resampled: how much seeds matter is not in it")
        if few:
            counts = " and ".join(f"{name} has {self.trials_a if name == 'A' else self.trials_b}" for name in few)
            found.append(f"{counts} trials: with fewer than {FEW_TRIALS} the interval is too narrow")
        if len(self.sequences) < FEW_SEQUENCES:
            found.append(f"{len(self.sequences)} sequences are too few to stand for others")
        return found


def compare(
    a: Mapping[int, Statistic],
    b: Mapping[int, Statistic],
    sequences: Sequence[str],
    *,
    higher_is_better: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares two experiments by one metric on one set of sequences.

    Args:
        a, b: by seed, the metric of each trial. Any ``Statistic`` that can be asked for other draws of its sequences:
            means, frame-weighted means, EAO.
        sequences: their names, in the order of the statistics' rows; the same for all.
        resamples: draws of sequences. To each belong a draw of A's trials and one of B's, and the same two with the
            roles exchanged, so that comparing B with A says exactly the opposite.

    Raises:
        ValueError: there is no trial or no sequence, statistics differ in their number of sequences, names are given
            twice, or the metric has no value on these sequences.
    """
    count = len(sequences)
    shapes = {np.shape(statistic.per_sequence) for statistic in (*a.values(), *b.values())}
    if not a or not b or not count or shapes != {(count,)} or len(set(sequences)) != count:
        raise ValueError(f"trials on the same {count} sequences expected: {len(a)}, {len(b)}, {shapes}")
    by_name = sorted(range(count), key=lambda k: sequences[k])
    trials_a, trials_b = [a[key] for key in sorted(a)], [b[key] for key in sorted(b)]

    differences = _resampled(trials_a, trials_b, np.argsort(by_name), resamples, seed)
    mean_a, mean_b = _mean(trials_a), _mean(trials_b)
    if not np.isfinite(differences).all() or not np.isfinite(mean_b - mean_a):
        differences = differences[np.isfinite(differences)]  # a draw of sequences none of which has a score
        if not len(differences) or not np.isfinite(mean_b - mean_a):
            raise ValueError("the metric has no value on these sequences")
    gains = differences if higher_is_better else -differences
    tie = _TIE * max(1.0, abs(mean_a), abs(mean_b))
    low, median, high = np.quantile(differences, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]).tolist()
    return Comparison(
        a=mean_a,
        b=mean_b,
        interval=(low, high),
        median=median,
        share_a=float((gains < -tie).mean()),
        share_b=float((gains > tie).mean()),
        ties=float((np.abs(gains) <= tie).mean()),
        sequences=tuple(sequences[k] for k in by_name),
        per_sequence_a=_per_sequence(trials_a)[by_name],
        per_sequence_b=_per_sequence(trials_b)[by_name],
        trials_a=len(trials_a),
        trials_b=len(trials_b),
        higher_is_better=higher_is_better,
    )


def _resampled(a: Sequence[Statistic], b: Sequence[Statistic], ranks: Ints, resamples: int, seed: int) -> Floats:
    """(2 R,) differences B - A. ranks: (S,) the place of each row among the names: it decides what is drawn."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))  # beside the one that draws sequences
    most, found = max(len(a), len(b)), []
    for counts in resampled_counts(len(ranks), resamples, seed):
        counts = counts[:, ranks]
        chances = rng.random((2, len(counts), most))
        values_a = np.stack([statistic.value(counts) for statistic in a], axis=1)
        values_b = np.stack([statistic.value(counts) for statistic in b], axis=1)
        for mine, other in ((0, 1), (1, 0)):
            found.append(_drawn(values_b, chances[other]) - _drawn(values_a, chances[mine]))
    return np.concatenate(found)


def _drawn(values: Floats, chances: Floats) -> Floats:
    """(R,) means over n trials drawn with replacement. values: (R, n); chances: (R, n or more) in [0, 1)."""
    n = values.shape[1]
    if n == 1:
        return values[:, 0]
    return np.asarray(np.take_along_axis(values, (chances[:, :n] * n).astype(np.int64), axis=1).mean(axis=1))


def _mean(trials: Sequence[Statistic]) -> float:
    return float(np.mean([float(statistic.value()) for statistic in trials]))


def _per_sequence(trials: Sequence[Statistic]) -> Floats:
    """(S,) the mean over the trials that have a score there."""
    values = np.stack([statistic.per_sequence for statistic in trials])
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))
