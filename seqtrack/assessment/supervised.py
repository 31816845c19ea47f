"""VOT's supervised experiment scored: expected average overlap, accuracy, robustness, failures.

A tracker that fails (overlap 0) is started again five frames later, so a run is a chain of fragments. The expected
overlap at length k is the mean over fragments of their mean overlap over the first k frames after the start, where
a fragment that ended with a failure goes on with zeros and one that the video ended counts only as far as it goes.
EAO is the mean over k from the shortest to the longest typical length. Definitions: Kristan et al., VOT2015 results
(ICCV workshops 2015) and "A novel performance evaluation methodology" (PAMI 2016); docs/metrics.md, "VOT".

Two conventions, which differ in the third digit on identical files:

- ``pysot``: pysot's port of the challenge's Matlab toolkit, whose numbers the literature prints.
- ``vot``: vot-toolkit 0.9.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scores import Labels, Ratio, SetScores, Statistic, Total
from seqtrack.data import regions
from seqtrack.errors import UserError
from seqtrack.schema import nearest
from seqtrack.tracking.courses import FAILED, START, TRACKED, VOT_RESTART

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]

# Lengths between which the expected overlap is averaged: where half of the mass of the lengths of the data set's
# videos lies, as each challenge published them (vot-toolkit's stacks have the same). 2013 and 2014 had no EAO: theirs
# is that of 2017 and 2018, so that numbers can be compared.
INTERVALS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"vot2015": (108, 371), "vot2016": (108, 371), "vot2019": (46, 291), "": (100, 356)}
)
# Frames from a start that do not count in the accuracy: the truth still helps.
BURN_IN = 10
EMPTY = "empty"  # stands for the frames that have no tag


@dataclass(frozen=True)
class SupervisedRun:
    """One repetition on one sequence.

    codes: (T,) uint8, of ``tracking.courses``: what became of each frame.
    regions: (T, 4) boxes x y w h or (T, K) as in ``data.regions``; only rows with the code TRACKED are read.
    is_missing: there are no results, so that its accuracy is 0 in every frame (of none it would not count).
    """

    codes: Codes
    regions: Floats
    is_missing: bool = False


@dataclass(frozen=True)
class Outcome:
    """What counts of a run on the sequence at a position.

    weight: one over the number of its repetitions. overlap, accuracy: (T,) overlaps for the EAO and the accuracy,
    NaN where the tracker was not tracking (and, for the accuracy, where the frame does not count).
    """

    sequence: int
    weight: float
    codes: Codes
    overlap: Floats
    accuracy: Floats


# Start, stop (not included; may lie one behind the end) and whether the tracker failed there.
_Fragment = tuple[int, int, bool]


def _fragments_pysot(codes: Codes) -> Iterator[_Fragment]:
    """Each reaches up to and with the next start: five frames after a failure, or as much later as the target is out
    of view then (pysot, whose benchmarks know of no such frames, looks nowhere else). A failure too near the end for
    another start ends none: the fragment counts as one that the video ended."""
    starts = [*np.flatnonzero(codes == START).tolist(), len(codes)]
    due = [int(f) + VOT_RESTART for f in np.flatnonzero(codes == FAILED) if f + VOT_RESTART <= len(codes)]
    points = [0, *(next(start for start in starts if start >= at) for at in due)]
    yield from ((start, stop + 1, True) for start, stop in itertools.pairwise(points))
    yield points[-1], len(codes), False


def _fragments_vot(codes: Codes) -> Iterator[_Fragment]:
    """Each ends before the frame of its failure. Without a failure it is the whole run."""
    starts, failures = (np.flatnonzero(codes == code).tolist() for code in (START, FAILED))
    if not failures:
        yield 0, len(codes), False
        return
    yield from ((start, stop, True) for start, stop in zip(starts, failures, strict=False))
    if len(starts) > len(failures):
        yield starts[-1], len(codes), False


_FRAGMENTS: Mapping[str, Callable[[Codes], Iterator[_Fragment]]] = MappingProxyType(
    {"pysot": _fragments_pysot, "vot": _fragments_vot}
)


def score(
    labels: Sequence[Labels], runs: Sequence[Sequence[SupervisedRun]], convention: str = "pysot", dataset: str = ""
) -> SetScores:
    """EAO, accuracy, robustness and failures of one tracker.

    Args:
        runs: for each sequence its repetitions, at least one, each as long as the labels.
        convention: ``pysot`` or ``vot``.
        dataset: its ``benchmark_of``, which decides the interval of lengths (``INTERVALS``).

    Statistics:
        EAO: NaN where no sequence is as long as the interval's start.
        accuracy: mean overlap while tracking; pysot: over frames, vot: over sequences, weighted by their lengths.
        robustness: pysot: failures per 100 frames; vot: failures per sequence, weighted by the lengths.
        failures: their number, of a repetition.
    """
    outcomes = measure(labels, runs, convention)
    above, below = expected_overlap(outcomes, len(labels), convention)
    typical = lengths(convention, dataset)
    with np.errstate(invalid="ignore"):
        curve = np.concatenate([[1.0], above[:, 1:].sum(axis=0) / below[:, 1:].sum(axis=0)])
    statistics: dict[str, Statistic] = {"EAO": Ratio(above[:, typical], below[:, typical])}
    statistics |= _accuracy_robustness(
        outcomes, [np.ones(len(truth.boxes), np.bool_) for truth in labels], convention
    )
    return SetScores(convention, tuple(truth.name for truth in labels), statistics, {}, {"expected_overlap": curve})


def by_tag(
    labels: Sequence[Labels], runs: Sequence[Sequence[SupervisedRun]], convention: str = "pysot", dataset: str = ""
) -> dict[str, dict[str, float]]:
    """tag -> metric -> value over the frames with that tag: those of the labels, and ``empty`` for frames with none.

    EAO by tag is pysot's: each fragment weighs as much as the share of its frames with the tag. vot-toolkit has
    none. pysot gives no value for ``empty`` (its mask is always zero); here it is what the challenge means by it.
    """
    names = sorted({tag for truth in labels for tag in truth.tags})
    found: dict[str, dict[str, float]] = {}
    if not names:
        return found
    outcomes, typical = measure(labels, runs, convention), lengths(convention, dataset)
    for tag in [*names, EMPTY]:
        masks = [_tagged(truth, tag) for truth in labels]
        statistics = _accuracy_robustness(outcomes, masks, convention)
        if convention == "pysot":
            above, below = expected_overlap(outcomes, len(labels), convention, masks)
            statistics = {"EAO": Ratio(above[:, typical], below[:, typical]), **statistics}
        found[tag] = {name: float(statistic.value()) for name, statistic in statistics.items()}
    return found


def lengths(convention: str, dataset: str = "") -> slice:
    """The lengths that EAO averages over, as columns of ``expected_overlap``. pysot counts from 1: one frame less."""
    low, high = next(interval for name, interval in INTERVALS.items() if dataset.startswith(name))
    return slice(low - 1, high) if convention == "pysot" else slice(low, high + 1)


def measure(
    labels: Sequence[Labels], runs: Sequence[Sequence[SupervisedRun]], convention: str = "pysot"
) -> list[Outcome]:
    """The overlaps of all runs with the truth, all at once."""
    if convention not in _FRAGMENTS:
        raise UserError(f"convention {convention!r}: unknown for supervised runs; {nearest(convention, _FRAGMENTS)}")
    flat = [(s, run) for s, repetitions in enumerate(runs) for run in repetitions]
    if len(labels) != len(runs) or not all(runs):
        raise ValueError("expected at least one run for each sequence")
    for s, run in flat:
        if not len(labels[s].boxes) == len(run.codes) == len(run.regions):
            raise ValueError(f"{labels[s].name}: expected {len(labels[s].boxes)} rows, got {len(run.codes)}")
    truth = stack([truth_of(labels[s]) for s, _ in flat])
    found = stack([np.where((run.codes == TRACKED)[:, None], run.regions, np.nan) for _, run in flat])
    last = np.concatenate([np.tile(last_pixel(labels[s]), (len(run.codes), 1)) for s, run in flat])
    overlap = regions.overlaps(found, truth, last, convention)
    accuracy = overlap
    if convention == "pysot":
        # pysot's accuracy lets images have a column and a row more than its EAO does.
        accuracy, at = overlap.copy(), _beyond(found, truth, last)
        accuracy[at] = regions.overlaps(found[at], truth[at], last[at] + 1, convention)
    else:
        # A code or a truth that is none is a region without pixels.
        overlap = accuracy = np.nan_to_num(overlap)
    ends = np.cumsum([len(run.codes) for _, run in flat])[:-1]
    parts = zip(flat, np.split(overlap, ends), np.split(accuracy, ends), strict=True)
    return [
        Outcome(
            s,
            1 / len(runs[s]),
            run.codes,
            part,
            np.zeros(len(own)) if run.is_missing else np.where(_counts(run.codes), own, np.nan),
        )
        for (s, run), part, own in parts
    ]


def expected_overlap(
    outcomes: Sequence[Outcome], sequences: int, convention: str = "pysot", masks: Sequence[Bools] | None = None
) -> tuple[Floats, Floats]:
    """(S, L) sums over the fragments of each sequence of weight × mean overlap, and of the weights; column k is for
    the k frames after the start, column 0 is empty.

    masks: (T,) of each sequence, the frames that have a tag; None: all. Only pysot's fragments are weighted: by one
    over the repetitions and by the share of their frames in ``masks``.
    """
    found: list[tuple[int, float, Floats, bool]] = []
    longest = 0
    for outcome in outcomes:
        longest = max(longest, len(outcome.codes) if convention == "pysot" else 0)
        for start, stop, has_failed in _FRAGMENTS[convention](outcome.codes):
            overlap = np.nan_to_num(outcome.overlap[start:stop])
            if convention == "pysot":
                tagged = len(overlap) if masks is None else masks[outcome.sequence][start:stop].sum()
                weight = outcome.weight * tagged / max(stop - start, 1)
            else:
                weight = 1.0
            if len(overlap):
                found.append((outcome.sequence, weight, overlap, has_failed))
                longest = max(longest, len(overlap))
    above, below = np.zeros((sequences, longest)), np.zeros((sequences, longest))
    frames = np.arange(longest)
    for sequence, weight, overlap, has_failed in found:
        total = np.cumsum(overlap) - overlap[0]
        end = longest if has_failed else len(overlap)
        total = np.concatenate([total, np.full(end - len(total), total[-1])])
        above[sequence, 1:end] += weight * total[1:] / frames[1:end]
        below[sequence, 1:end] += weight
    return above, below


def stack(parts: Sequence[Floats]) -> Floats:
    """Regions of several lengths as one array: the narrower ones are filled up with NaN."""
    width = max(part.shape[1] for part in parts)
    rows = np.full((sum(len(part) for part in parts), width), np.nan)
    start = 0
    for part in parts:
        rows[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return rows


def truth_of(labels: Labels) -> Floats:
    """(T, K) regions: polygons where the benchmark has them."""
    return labels.boxes if labels.regions is None else labels.regions


def last_pixel(labels: Labels) -> Floats:
    """(2,) the last column and row of the images; infinite where their size is not known."""
    return np.full(2, np.inf) if labels.size is None else np.asarray(labels.size, np.float64) - 1


def _beyond(found: Floats, truth: Floats, last: Floats) -> NDArray[np.intp]:
    """The rows where a region goes past the last column or row."""
    ends = [boxes[:, :2] + boxes[:, 2:] for boxes in (regions.hulls(found), regions.hulls(truth))]
    # A float32 may lie a little above what a float64 says.
    return np.flatnonzero(np.any(np.fmax(*ends) > last - 0.01, axis=1))


def _counts(codes: Codes) -> Bools:
    """The frames that the accuracy counts: tracked, and not within the burn-in."""
    counted = np.asarray(codes == TRACKED)
    for start in np.flatnonzero(codes == START):
        counted[start : start + BURN_IN] = False
    return counted


def _tagged(labels: Labels, tag: str) -> Bools:
    if tag == EMPTY:
        return np.asarray(~np.any([np.zeros(len(labels.boxes), np.bool_), *labels.tags.values()], axis=0))
    return labels.tags.get(tag, np.zeros(len(labels.boxes), np.bool_))


def _accuracy_robustness(
    outcomes: Sequence[Outcome], masks: Sequence[Bools], convention: str
) -> dict[str, Statistic]:
    """Over the frames in ``masks`` (T,) of each sequence."""
    failures, above, below = (np.zeros(len(masks)) for _ in range(3))
    frames = np.array([mask.sum() for mask in masks], np.float64)
    for s, own in itertools.groupby(sorted(outcomes, key=_sequence), key=_sequence):
        repetitions = list(own)
        failures[s] = np.mean([np.sum(masks[s] & (outcome.codes == FAILED)) for outcome in repetitions])
        overlaps = np.stack([outcome.accuracy[masks[s]] for outcome in repetitions])
        known = np.isfinite(overlaps)
        overlaps = np.where(known, overlaps, 0.0)
        if convention == "pysot":
            # The mean over repetitions, then every frame weighs the same.
            above[s] = (overlaps.sum(axis=0) / np.maximum(known.sum(axis=0), 1)).sum()
            below[s] = known.any(axis=0).sum()
        else:
            # Each repetition's mean, 0 where it has none; a sequence weighs as much as it is long.
            above[s] = (overlaps.sum(axis=1) / np.maximum(known.sum(axis=1), 1)).mean() * frames[s]
            below[s] = frames[s]
    rate = 100.0 * failures if convention == "pysot" else failures * frames
    return {"accuracy": Ratio(above, below), "robustness": Ratio(rate, frames), "failures": Total(failures)}


def _sequence(outcome: Outcome) -> int:
    return outcome.sequence
