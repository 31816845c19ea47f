"""A tracker's result files scored: the protocol that their layout stands for, repetitions taken together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seqtrack.assessment import conventions, longterm, scoring, supervised
from seqtrack.assessment.benchmark import benchmark_of, first_pixel
from seqtrack.assessment.conventions import Convention
from seqtrack.assessment.exchange.reading import Results, Run
from seqtrack.assessment.scores import Floats, Labels
from seqtrack.data.formats import DatasetName
from seqtrack.errors import UserError

PROTOCOL_OF = {"vot": "supervised", "vot_longterm": "longterm"}
"""By layout; everything else is one pass, ``ope``."""


@dataclass(frozen=True)
class Scored:
    """One tracker's scores on a benchmark.

    Attributes:
        overall: metric -> value.
        per_sequence: metric -> (S,) in the order of ``sequences``, the mean over repetitions; NaN where a sequence
            alone has no such score.
        by_tag: tag -> metric -> value, of VOT.
    """

    results: Results
    convention: Convention
    sequences: tuple[str, ...]
    frames: tuple[int, ...]
    overall: Mapping[str, float]
    per_sequence: Mapping[str, Floats]
    by_tag: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def convention_of(layout: str, benchmark: DatasetName, name: str | None) -> Convention:
    """The convention meant (None: the benchmark's own) for results that lie like this.

    Raises:
        UserError: it is none for their protocol; names the nearest.
    """
    return conventions.find(PROTOCOL_OF.get(layout, "ope"), name, benchmark_of(benchmark))


def score_results(results: Results, labels: Sequence[Labels], benchmark: DatasetName, name: str | None) -> Scored:
    """The scores of what ``read_results`` gave for these labels, both in coordinates of the publisher."""
    convention, dataset = convention_of(results.layout, benchmark, name), benchmark_of(benchmark)
    if convention.protocol != "ope":
        # These count pixels of the images, from 0.
        first = first_pixel(benchmark)
        labels = [truth.moved(-first) for truth in labels]
        results = dataclasses.replace(results, runs=[[run.moved(-first) for run in runs] for runs in results.runs])
    by_tag: Mapping[str, Mapping[str, float]] = {}
    if convention.protocol == "ope":
        scores = scoring.score(
            [truth for truth, runs in zip(labels, results.runs, strict=True) for _ in runs],
            [run.boxes for runs in results.runs for run in runs],
            convention.name,
            dataset,
        )
    elif convention.protocol == "supervised":
        restarted = [
            [_restarted(run, truth.name in results.missing) for run in runs]
            for truth, runs in zip(labels, results.runs, strict=True)
        ]
        scores = supervised.score(labels, restarted, convention.name, dataset)
        by_tag = supervised.by_tag(labels, restarted, convention.name, dataset)
    else:
        known = [run.scores for runs in results.runs for run in runs if run.scores is not None]
        surest = max((float(np.nanmax(own, initial=-np.inf)) for own in known), default=0.0)
        repeated = [
            (truth, _lost(truth, surest) if truth.name in results.missing else run)
            for truth, runs in zip(labels, results.runs, strict=True)
            for run in runs
        ]
        scores = longterm.score(
            [truth for truth, _ in repeated],
            [run.boxes if run.regions is None else run.regions for _, run in repeated],
            [_confidences(results, truth, run) for truth, run in repeated],
            convention.name,
            dataset,
        )
    return Scored(
        results,
        convention,
        tuple(truth.name for truth in labels),
        tuple(len(truth.boxes) for truth in labels),
        scores.overall,
        {metric: _of_sequences(values, len(labels)) for metric, values in scores.per_sequence.items()},
        by_tag,
    )


def _of_sequences(values: Floats, sequences: int) -> Floats:
    return values if len(values) == sequences else values.reshape(sequences, -1).mean(axis=1)


def _restarted(run: Run, is_missing: bool) -> supervised.SupervisedRun:
    assert run.codes is not None, "rows of VOT's supervised experiment have codes"
    return supervised.SupervisedRun(run.codes, run.boxes if run.regions is None else run.regions, is_missing)


def _lost(truth: Labels, surest: float) -> Run:
    """Of a long sequence without results: as sure as ever, of a place beside the image. To report nothing would be
    precise."""
    frames = len(truth.boxes)
    return Run(np.tile([-1e3, -1e3, 1.0, 1.0], (frames, 1)), scores=np.full(frames, surest))


def _confidences(results: Results, truth: Labels, run: Run) -> Floats:
    if run.scores is not None:
        return run.scores
    raise UserError(
        f"{results.where}: no confidences of {truth.name}, without which long-term results cannot be scored; add"
        f" {truth.name}_001_confidence.value beside its boxes"
    )
