"""From the scores of trials to the numbers of a paper: selection, mean ± std over seeds, intervals over videos.

Pure, and a function of values only: no clocks, hosts or orders of completion, so that the summary of an
interrupted run has the bytes of an uninterrupted one. Sums run in a fixed order or do not round (``scores.Ratio``).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqtrack.assessment.protocols import dataset_of
from seqtrack.assessment.scores import Floats, Statistic

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
INTERVAL = (0.025, 0.975)
COMPLETED = "completed"
_CHUNK = 1_000  # resamples at a time

# eval id -> seed -> metric -> its statistic over the sequences, in the order of the index
Scores = Mapping[str, Mapping[int, Mapping[str, Statistic]]]


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


def select(scores: Mapping[int, float], higher_is_better: bool = True) -> int:
    """The step of the best checkpoint, the earliest of equally good ones. Raises ValueError for none."""
    usable = {step: score for step, score in scores.items() if math.isfinite(score)}
    if not usable:
        raise ValueError("no checkpoint has a score to select by")
    sign = -1 if higher_is_better else 1
    return min(usable, key=lambda step: (sign * usable[step], step))


def resampled_counts(count: int, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Iterator[Floats]:
    """How often each of S = ``count`` sequences is among S drawn with replacement: (R, S), ``resamples`` rows in all.

    Philox, seeded: whoever asks for the same number of sequences gets the same draws.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    for begin in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - begin)
        draws = rng.integers(0, count, size=(count, size), dtype=np.int32)
        places = draws + count * np.arange(size, dtype=np.int64)
        yield np.bincount(places.ravel(), minlength=count * size).reshape(size, count).astype(np.float64)


def bootstrap(scores: Sequence[Statistic], resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Floats:
    """Each set's score had other sequences been drawn: (C, resamples); all share the draws, so all have S sequences.

    NaN where a draw leaves a score undefined (VOT's EAO, if no sequence drawn is long enough).
    """
    (count,) = {len(statistic.per_sequence) for statistic in scores}
    chunks = [[item.value(counts) for item in scores] for counts in resampled_counts(count, resamples, seed)]
    return np.concatenate([np.stack(chunk) for chunk in chunks], axis=1)


def summarise(scores: Scores, resamples: int = RESAMPLES) -> dict[str, dict[str, dict[str, Any]]]:
    """``results[eval_id][metric]``: what docs/metrics.md, "Over seeds", lists, over the trials' scores at their
    selected checkpoints.

    Whatever is not known is None: std for one trial, intervals for one sequence, everything of a score that
    the sequences do not give. The order of trials in ``scores`` has no influence on anything. Raises ValueError
    where trials of one eval set differ in sequences or metrics.
    """
    return {eval_id: _summarise_set(eval_id, trials, resamples) for eval_id, trials in scores.items() if trials}


def _summarise_set(
    eval_id: str, trials: Mapping[int, Mapping[str, Statistic]], resamples: int
) -> dict[str, dict[str, Any]]:
    seeds = sorted(trials)
    metrics = list(trials[seeds[0]])
    count = {len(item.per_sequence) for found in trials.values() for item in found.values()}
    if len(count) != 1 or any(set(trials[seed]) != set(metrics) for seed in seeds):
        raise ValueError(f"{eval_id}: trials {', '.join(map(str, seeds))} differ in sequences or metrics")
    drawn = bootstrap([trials[seed][metric] for metric in metrics for seed in seeds], resamples)
    drawn = drawn.reshape(len(metrics), len(seeds), -1)
    has_several = count != {1}
    return {
        metric: _cell({seed: float(trials[seed][metric].value()) for seed in seeds}, drawn[k], has_several)
        for k, metric in enumerate(metrics)
    }


def _cell(values: Mapping[int, float], drawn: Floats, has_several: bool) -> dict[str, Any]:
    """values: by seed; drawn: (seeds, R), each seed's value for other choices of ``has_several`` sequences."""
    known = [value for value in values.values() if math.isfinite(value)]
    is_known = len(known) == len(values)
    several = is_known and len(known) > 1
    per_seed = dict(zip(values, drawn, strict=True))
    interval = _interval if has_several else lambda _: None
    return {
        "mean": statistics.fmean(known) if is_known else None,
        "std": statistics.stdev(known) if several else None,
        "n": len(values),
        "per_seed": {str(seed): value if math.isfinite(value) else None for seed, value in values.items()},
        "within_var": statistics.fmean(map(_variance, drawn)) if is_known else None,
        "between_var": statistics.variance(known) if several else None,
        "interval_95": interval(drawn.mean(axis=0)) if is_known else None,
        "per_seed_interval_95": {str(seed): interval(scores) for seed, scores in per_seed.items()},
    }


def _variance(drawn: Floats) -> float:
    finite = drawn[np.isfinite(drawn)]
    return float(finite.var(ddof=1)) if len(finite) > 1 else 0.0


def _interval(drawn: Floats) -> list[float] | None:
    finite = drawn[np.isfinite(drawn)]
    return [float(value) for value in np.quantile(finite, INTERVAL)] if len(finite) else None


def run_summary(
    run_id: str,
    trials: Collection[TrialOutcome],
    scores: Scores,
    conventions: Mapping[str, str],
    optimize_dataset: str,
    optimize_metric: str,
    notes: Iterable[str] = (),
) -> dict[str, Any]:
    """The content of a run's ``summary.json``: the trials by seed, the table, and remarks for its reader.

    scores: eval sets in the order of the table. conventions: by eval id, by whose rules these are.

    ``optimize_dataset``: the eval id (or data set) on which checkpoints were selected. Where the table reports that
    data set too, a note says so: its score is then the best of several on the very videos it is reported on (unless
    there was only one to choose).
    """
    remarks = list(notes)
    shared = sorted(
        name for name, done in scores.items() if done and dataset_of(name) == dataset_of(optimize_dataset)
    )
    for name, done in scores.items():
        if done and not any(np.isfinite(item.value()) for trial in done.values() for item in trial.values()):
            layout = "trackingnet" if name.startswith("trackingnet") else "got10k"
            remarks.append(
                f"{name}: tracked, but not scored, for its truth is on a server; pack the tracks for it:"
                f" seqtrack export_results {run_id} --format {layout} --eval_set {name} --zip"
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
        "eval_sets": list(scores),
        "conventions": {name: conventions[name] for name in scores},
        "results": summarise(scores),
        "notes": remarks,
    }
