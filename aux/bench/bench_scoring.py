"""One-pass scoring of one tracker with inputs in memory, against got10k's own evaluation code on the same arrays.

Made-up tracks with the numbers of sequences and frames of OTB-100 and LaSOT's test set: a target that wanders, and
predictions beside it, so that no branch of a processor foresees the next frame. Times are of one core's work (numpy
starts no threads here), the least of several rounds, so that a busy machine does not count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np
from got10k.experiments import ExperimentOTB
from numpy.typing import NDArray
from table import Row, main, paired

from seqtrack.assessment.scores import Labels
from seqtrack.assessment.scoring import score

ROUNDS = 9
SETS = (("OTB-100", "otb_100", 100, 59_035, 0.03), ("LaSOT-280", "lasot_test", 280, 685_360, 0.2))

Floats = NDArray[np.float64]


def tracks(sequences: int, frames: int) -> tuple[list[Labels], list[Floats]]:
    rng = np.random.default_rng(0)
    weights = rng.lognormal(0.0, 0.7, sequences)
    labels, boxes = [], []
    for name, length in enumerate((weights / weights.sum() * frames).round().astype(int)):
        corner = 400 + np.cumsum(rng.normal(0, 4, (length, 2)), axis=0)
        size = 60 * np.exp(np.cumsum(rng.normal(0, 0.01, (length, 2)), axis=0))
        truth = np.concatenate([corner, size], axis=1).round()
        labels.append(Labels(str(name), truth, rng.random(length) > 0.03))
        boxes.append(np.maximum(truth + rng.normal(0, 12, (length, 4)), 5))
    return labels, boxes


def theirs(labels: list[Labels], boxes: list[Floats]) -> Callable[[], object]:
    """What got10k's ``report`` computes, without its files and plots."""
    experiment = ExperimentOTB.__new__(ExperimentOTB)  # its constructor wants the data set on disk
    experiment.nbins_iou, experiment.nbins_ce = 21, 51

    def evaluate() -> object:
        curves = [
            experiment._calc_curves(*experiment._calc_metrics(pred, truth.boxes))
            for pred, truth in zip(boxes, labels, strict=True)
        ]
        return [np.mean(column, axis=0) for column in zip(*curves, strict=True)]

    return evaluate


def least(function: Callable[[], object]) -> float:
    """CPU seconds of the fastest round."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def rows() -> Iterator[Row]:
    for title, dataset, sequences, frames, target in SETS:
        labels, boxes = tracks(sequences, frames)
        ours = functools.partial(score, labels, boxes, dataset=dataset)
        for convention in ("otb", "pysot", "pytracking", "lasot"):
            taken = least(functools.partial(ours, convention))
            yield Row(f"{title}, {convention}", taken, "s", f"< {target}", taken < target)
        ratio = paired(theirs(labels, boxes), functools.partial(ours, "got10k"))
        note = "theirs has no normalised precision"
        yield Row(f"{title}, got10k 0.1.3's own code / ours", ratio, "times", "> 2", ratio > 2, note)


if __name__ == "__main__":
    main(rows)
