"""From the runs of an assessment to its scores: every protocol's scoring, repetitions and the starts of TRE."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment import conventions, longterm, scoring, supervised
from seqtrack.assessment.benchmark import benchmark_of, first_pixel
from seqtrack.assessment.metrics import tre_name
from seqtrack.assessment.protocols import OPE, SUPERVISED, Run
from seqtrack.assessment.scores import Floats, Labels, Ratio, SetScores, Statistic, moved
from seqtrack.assessment.scoring import overlap
from seqtrack.assessment.supervised import SupervisedRun
from seqtrack.data.formats import DatasetName
from seqtrack.tracking.courses import FAILED, TRACKED


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
        by_tag: tag -> metric -> value over the frames that have it; of VOT's restarts only.
    """

    statistics: Mapping[str, Statistic]
    per_run: Mapping[str, Floats]
    curves: Mapping[str, Floats]
    overlaps: Rows[Floats]
    by_tag: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def score_runs(
    runs: Rows[Run], tracked: Rows[Tracked], protocol: str, convention: str, name: DatasetName, tre_num: int = 1
) -> RunScores:
    """Scores the runs of one tracker on one set, all at once; ``tracked``: what came of each.

    One pass is scored in the publisher's coordinates, for conventions ask on which side of 0 these are; restarts and
    confidences in pixels of the images. Where no sequence has a truth (``Labels.has_truth``) every score is NaN:
    tracked, but not scored."""
    dataset = benchmark_of(name)
    if not any(run.labels.has_truth for run in runs):
        return _unknown(runs, conventions.find(protocol, convention, dataset).metrics)
    if protocol == SUPERVISED:
        return _supervised(runs, tracked, convention, dataset)
    every = _one_pass(runs, tracked, protocol, convention, name)
    starts = {run.sequence.name: run.start for run in runs if run.number == 0}
    first = [k for k, run in enumerate(runs) if run.start == starts[run.sequence.name]]
    from_first = every
    if len(first) < len(runs):
        from_first = _one_pass([runs[k] for k in first], [tracked[k] for k in first], protocol, convention, name)
    statistics = _by_sequence(from_first, [runs[k] for k in first])
    if protocol == OPE and tre_num > 1:
        statistics |= {tre_name(tre_num, name): item for name, item in _by_sequence(every, runs).items()}
    overlaps = [_overlaps(found.boxes, run.labels.boxes) for run, found in zip(runs, tracked, strict=True)]
    return RunScores(statistics, every.per_sequence, from_first.set_curves, overlaps)


def _unknown(runs: Rows[Run], metrics: Rows[str]) -> RunScores:
    sequences = len({run.sequence.name for run in runs})
    statistics = {name: Ratio.mean(np.full(sequences, np.nan)) for name in metrics}
    per_run = {name: np.full(len(runs), np.nan) for name in metrics}
    return RunScores(statistics, per_run, {}, [np.full(len(run.frames), np.nan) for run in runs])


def _one_pass(
    runs: Rows[Run], tracked: Rows[Tracked], protocol: str, convention: str, name: DatasetName
) -> SetScores:
    """Scores whose rows are the runs."""
    labels, boxes, dataset = [run.labels for run in runs], [found.boxes for found in tracked], benchmark_of(name)
    if protocol == OPE:
        first = first_pixel(name)
        own = [truth.moved(first) for truth in labels]
        return scoring.score(own, [moved(found, first) for found in boxes], convention, dataset)
    return longterm.score(labels, boxes, [found.scores for found in tracked], convention, dataset)


def _supervised(runs: Rows[Run], tracked: Rows[Tracked], convention: str, dataset: str) -> RunScores:
    labels: dict[str, Labels] = {}
    repetitions: dict[str, list[SupervisedRun]] = {}
    for run, found in zip(runs, tracked, strict=True):
        labels.setdefault(run.sequence.name, run.labels)
        repetitions.setdefault(run.sequence.name, []).append(SupervisedRun(found.codes, found.boxes))
    scores = supervised.score(list(labels.values()), list(repetitions.values()), convention, dataset)
    alone = [[SupervisedRun(found.codes, found.boxes)] for found in tracked]
    truth = [run.labels for run in runs]
    each = scores if len(labels) == len(runs) else supervised.score(truth, alone, convention, dataset)
    overlaps = [
        np.select([found.codes == TRACKED, found.codes == FAILED], [outcome.overlap, 0.0], np.nan)
        for found, outcome in zip(tracked, supervised.measure(truth, alone, convention), strict=True)
    ]
    by_tag = supervised.by_tag(list(labels.values()), list(repetitions.values()), convention, dataset)
    return RunScores(scores.statistics, each.per_sequence, scores.set_curves, overlaps, by_tag)


def _by_sequence(scores: SetScores, runs: Rows[Run]) -> dict[str, Statistic]:
    """Joins rows that are runs into rows that are sequences."""
    places = {name: place for place, name in enumerate(dict.fromkeys(run.sequence.name for run in runs))}
    groups = np.array([places[run.sequence.name] for run in runs])
    if len(places) == len(groups):
        return dict(scores.statistics)
    return {metric: _joined(statistic, groups, len(places)) for metric, statistic in scores.statistics.items()}


def _joined(statistic: Statistic, groups: NDArray[np.intp], count: int) -> Statistic:
    """A sequence's part is the mean over its runs: of shares where every sequence weighs the same, of counts where
    frames do. Runs that have nothing to say (no frame counts) are left out."""
    parts = {name: part for name, part in vars(statistic).items() if isinstance(part, np.ndarray)}
    one = next(iter(parts.values()))
    has_a_say = statistic.below > 0 if isinstance(statistic, Ratio) else np.ones(one.shape)
    number = np.maximum(_sums(has_a_say, groups, count), 1.0)
    joined: Statistic = replace(
        statistic,  # type: ignore[type-var]  # a dataclass, as all statistics are
        **{name: _sums(part, groups, count) / number for name, part in parts.items()},
    )
    return joined


def _sums(part: NDArray[Any], groups: NDArray[np.intp], count: int) -> Floats:
    """(N, ...) rows added up by group: (count, ...)."""
    sums = np.zeros((count, *part.shape[1:]))
    np.add.at(sums, groups, part)
    return sums


def _overlaps(boxes: Floats, truth: Floats) -> Floats:
    return np.where(np.isfinite(truth).all(axis=1), overlap(boxes, truth), np.nan)
