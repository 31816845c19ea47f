"""From scores per sequence to the numbers of a paper: selection, mean over sequences, mean ± std over seeds.

Pure, and a function of values only: no clocks, hosts or orders of completion, so that the summary of an
interrupted run has the bytes of an uninterrupted one. Sums run in a fixed order, element by element: no BLAS,
whose last bit depends on the machine and its threads.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.metrics import METRICS, tre_name
from seqtrack.assessment.protocols import dataset_of

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
COMPLETED = "completed"
_CHUNK = 1_000  # resamples at a time: 35 columns of them stay in a 512 kB cache

Floats = NDArray[np.float64]
# eval id -> seed -> metric -> (S,) one value per sequence, in the order of the index
Scores = Mapping[str, Mapping[int, Mapping[str, Floats]]]


@dataclass(frozen=True)
class StartScores:
    """The metrics of one run of the tracker: ``start`` 0 is OPE's, the others are TRE's."""

    name: str
    start: int
    frames: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrialOutcome:
    """What the run's summary says about one trial; ``state`` is ``completed`` or a word for what it is.

    ``candidates``: how many checkpoints the selected one was chosen among.
    """

    seed: int
    state: str
    selected_step: int | None = None
    error: str | None = None
    candidates: int = 1


def per_sequence(runs: Iterable[StartScores], tre_num: int = 1) -> dict[str, Floats]:
    """Scores per sequence: metric -> (S,), sequences in the order in which they first appear in ``runs``.

    Plain metric names hold OPE (start 0). For ``tre_num`` = n > 1 ``TRE_<n>_<metric>`` holds the mean over
    the starts of a sequence, start 0 included; a sequence too short for n starts enters with those it has.
    Raises ValueError for a sequence without start 0.
    """
    starts: dict[str, dict[int, Mapping[str, float]]] = {}
    for run in runs:
        starts.setdefault(run.name, {})[run.start] = run.metrics
    for name, found in starts.items():
        if 0 not in found:
            raise ValueError(f"sequence '{name}' has no start 0")
    scores = {metric: np.array([found[0][metric] for found in starts.values()]) for metric in METRICS}
    if tre_num > 1:
        for metric in METRICS:
            means = [statistics.fmean(found[k][metric] for k in sorted(found)) for found in starts.values()]
            scores[tre_name(tre_num, metric)] = np.array(means)
    return scores


def eval_metrics(scores: Mapping[str, Floats]) -> dict[str, float]:
    """The mean over sequences of each metric of ``per_sequence``: every sequence weighs the same."""
    return {metric: statistics.fmean(map(float, values)) for metric, values in scores.items()}


def select(scores: Mapping[int, float], higher_is_better: bool = True) -> int:
    """The step of the best checkpoint, the earliest of equally good ones. Raises ValueError for none."""
    usable = {step: score for step, score in scores.items() if math.isfinite(score)}
    if not usable:
        raise ValueError("no checkpoint has a score to select by")
    sign = -1 if higher_is_better else 1
    return min(usable, key=lambda step: (sign * usable[step], step))


def bootstrap_variance(values: Floats, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Floats:
    """Variance of the mean over sequences if other sequences had been drawn: (S, C) -> (C,).

    ``resamples`` times, S of the S rows are drawn with replacement (Philox, seeded) and averaged; all columns share
    the draws. Sample variance (ddof = 1) of these means. Memory does not grow with S beyond 8 MB per 1,000 sequences.
    """
    values = np.ascontiguousarray(values, np.float64)
    count, columns = values.shape
    if count < 2:
        return np.zeros(columns)
    deviations = values - values.mean(axis=0)  # small numbers: the one-pass variance below keeps its digits
    rng = np.random.Generator(np.random.Philox(key=seed))
    total, squares = np.zeros(columns), np.zeros(columns)
    for begin in range(0, resamples, _CHUNK):
        draws = rng.integers(0, count, size=(count, min(_CHUNK, resamples - begin)), dtype=np.int32)
        sums = np.zeros((draws.shape[1], columns))
        for drawn in draws:
            sums += deviations[drawn]
        sums /= count
        total += sums.sum(axis=0)
        squares += (sums * sums).sum(axis=0)
    return np.maximum(squares - total * total / resamples, 0.0) / (resamples - 1)


def summarise(scores: Scores, resamples: int = RESAMPLES) -> dict[str, dict[str, dict[str, Any]]]:
    """``results[eval_id][metric]`` = mean, std, n, per_seed, within_var, between_var over the trials.

    Each trial contributes the mean over sequences at its selected checkpoint. std: sample standard deviation
    over trials (ddof = 1), between_var its square; both None for n = 1, where nothing is known of them.
    within_var: the mean over trials of ``bootstrap_variance``. The total variance of a trial's score, as in
    docs/metrics.md, is within_var + between_var. The order of trials and eval sets in ``scores`` has no
    influence on any value. Raises ValueError where trials of one eval set differ in sequences or metrics.
    """
    return {eval_id: _summarise_set(eval_id, trials, resamples) for eval_id, trials in scores.items() if trials}


def _summarise_set(
    eval_id: str, trials: Mapping[int, Mapping[str, Floats]], resamples: int
) -> dict[str, dict[str, Any]]:
    seeds = sorted(trials)
    metrics = list(trials[seeds[0]])
    for seed in seeds:
        shapes = {np.shape(values) for values in trials[seed].values()}
        if set(trials[seed]) != set(metrics) or shapes != {np.shape(trials[seeds[0]][metrics[0]])}:
            raise ValueError(f"{eval_id}: trials {seeds[0]} and {seed} differ in sequences or metrics")
    columns = [(metric, seed) for metric in metrics for seed in seeds]
    variances = bootstrap_variance(np.stack([trials[seed][metric] for metric, seed in columns], axis=1), resamples)
    within = dict(zip(columns, variances.tolist(), strict=True))
    means = {seed: eval_metrics(trials[seed]) for seed in seeds}
    results = {}
    for metric in metrics:
        values = [means[seed][metric] for seed in seeds]
        several = len(values) > 1
        results[metric] = {
            "mean": statistics.fmean(values),
            "std": statistics.stdev(values) if several else None,
            "n": len(values),
            "per_seed": {str(seed): value for seed, value in zip(seeds, values, strict=True)},
            "within_var": statistics.fmean(within[metric, seed] for seed in seeds),
            "between_var": statistics.variance(values) if several else None,
        }
    return results


def run_summary(
    run_id: str,
    trials: Collection[TrialOutcome],
    scores: Scores,
    optimize_dataset: str,
    optimize_metric: str,
    notes: Iterable[str] = (),
) -> dict[str, Any]:
    """The content of a run's ``summary.json``: the trials by seed, the table, and remarks for its reader.

    ``optimize_dataset``: the eval id (or data set) on which checkpoints were selected. Where the table reports that
    data set too, a note says so: its score is then the best of several on the very videos it is reported on (unless
    there was only one to choose).
    """
    remarks = list(notes)
    shared = sorted(
        name for name, done in scores.items() if done and dataset_of(name) == dataset_of(optimize_dataset)
    )
    if shared and any(trial.candidates > 1 for trial in trials):
        remarks.append(
            f"checkpoints were selected by {optimize_metric} on {optimize_dataset}, and the table reports "
            f"{', '.join(shared)}: scores on videos that the selection has seen are optimistic"
        )
    return {
        "run_id": run_id,
        "num_trials": len(trials),
        "completed": sum(trial.state == COMPLETED for trial in trials),
        "optimize_dataset": optimize_dataset,
        "optimize_metric": optimize_metric,
        "trials": [
            {"seed": t.seed, "state": t.state, "selected_step": t.selected_step, "error": t.error}
            for t in sorted(trials, key=lambda trial: trial.seed)
        ],
        "results": summarise(scores),
        "notes": remarks,
    }
