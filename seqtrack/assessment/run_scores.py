"""From the runs of an assessment to its scores: every protocol's scoring, repetitions and the starts of TRE."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.metrics import tre_name
from seqtrack.assessment.protocols import Run
from seqtrack.assessment.scores import Floats, Labels, Ratio, SetScores, Statistic
from seqtrack.assessment.scoring import overlap, score


class Tracked(Protocol):
    """What is needed of ``results.SequenceResult``."""

    @property
    def boxes(self) -> Floats: ...
    @property
    def scores(self) -> Floats: ...
    @property
    def codes(self) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class RunScores:
    """The scores of N runs over S sequences.

    Attributes:
        statistics: metric -> Statistic whose rows are the S sequences, in the order in which they first appear. Plain
            names hold the runs from the first start (all repetitions), ``TRE_<n>_<metric>`` those from every start.
        per_run: metric -> (N,), NaN where a run has no such score alone.
        curves: name -> (K,), of the runs from the first start.
        overlaps: of each run (T,), NaN where a frame has none.
    """

    statistics: Mapping[str, Statistic]
    per_run: Mapping[str, Floats]
    curves: Mapping[str, Floats]
    overlaps: Rows[Floats]


def score_runs(
    runs: Rows[Run], tracked: Rows[Tracked], protocol: str, convention: str, dataset: str, tre_num: int = 1
) -> RunScores:
    """Scores the runs of one tracker on one set, all at once; ``tracked``: what came of each."""
    labels, boxes = [run.labels for run in runs], [found.boxes for found in tracked]
    every = score(labels, boxes, convention, dataset)
    starts = {run.sequence.name: run.start for run in reversed(runs) if run.number == 0}
    first = np.array([run.start == starts[run.sequence.name] for run in runs])
    from_first = every
    if not first.all():
        chosen = np.flatnonzero(first)
        from_first = score([labels[k] for k in chosen], [boxes[k] for k in chosen], convention, dataset)
    names = [run.sequence.name for run in runs]
    statistics = _by_sequence(from_first, [name for name, is_first in zip(names, first, strict=True) if is_first])
    if tre_num > 1:
        statistics |= {tre_name(tre_num, name): item for name, item in _by_sequence(every, names).items()}
    return RunScores(
        statistics,
        every.per_sequence,
        from_first.set_curves,
        [_overlaps(found, truth) for found, truth in zip(boxes, labels, strict=True)],
    )


def _by_sequence(scores: SetScores, names: Collection[str]) -> dict[str, Statistic]:
    """Joins rows that are runs into rows that are sequences: ``names`` says whose each is."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    groups = np.array([places[name] for name in names])
    if len(places) == len(groups):
        return dict(scores.statistics)
    return {metric: _joined(statistic, groups, len(places)) for metric, statistic in scores.statistics.items()}


def _joined(statistic: Statistic, groups: NDArray[np.intp], count: int) -> Statistic:
    """A sequence's part is the mean over its runs: of shares where every sequence weighs the same, of counts where
    frames do. Runs that have nothing to say (no frame counts) are left out."""
    assert isinstance(statistic, Ratio), statistic
    above, below = (np.reshape(part, (len(groups), -1)) for part in (statistic.above, statistic.below))
    known = np.zeros((count, below.shape[1]))
    np.add.at(known, groups, below > 0)
    parts = []
    for part in (above, below):
        sums = np.zeros_like(known)
        np.add.at(sums, groups, part)
        parts.append(sums / np.maximum(known, 1.0))
    return Ratio(*parts)


def _overlaps(boxes: Floats, labels: Labels) -> Floats:
    return np.where(np.isfinite(labels.boxes).all(axis=1), overlap(boxes, labels.boxes), np.nan)
