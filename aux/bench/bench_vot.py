"""VOT2018 (60 sequences, 21,356 frames, polygons) scored for one tracker, files in memory: EAO, accuracy, robustness
and failures, overlaps counted in pixels included. The overlaps alone against masks that cv2.fillPoly draws frame by
frame, which does not even give the same pixels.

Needs `../shared/results/vot2018` beside the clone.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from table import Row, main, paired, seconds

from seqtrack.assessment import supervised
from seqtrack.assessment.exchange.annotations import read_annotations
from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import read_results
from seqtrack.assessment.scores import Labels
from seqtrack.assessment.supervised import SupervisedRun
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.regions import overlaps

VOT2018 = Path(__file__).resolve().parents[2].parent / "shared" / "results" / "vot2018"
Floats = NDArray[np.float64]
Given = tuple[list[Labels], list[list[SupervisedRun]]]


def read() -> Given:
    name = parse_dataset_name("vot2018")
    labels = read_annotations(VOT2018 / "VOT2018.json", name)
    [files] = find_trackers(VOT2018 / "trackers")
    found = read_results(files, labels, name).runs
    return labels, [[SupervisedRun(run.codes, run.boxes) for run in repetitions] for repetitions in found]


def masks(found: Floats, truth: Floats, sizes: NDArray[np.int64]) -> Floats:
    corners = found[:, [0, 1, 0, 1, 0, 1, 0, 1]]
    corners[:, [2, 4]] += found[:, 2:3]
    corners[:, [5, 7]] += found[:, 3:4]
    result = np.zeros(len(found))
    for row, (width, height) in enumerate(sizes):
        drawn = []
        for region in (corners[row], truth[row]):
            mask = np.zeros((height, width), np.uint8)
            cv2.fillPoly(mask, [region.reshape(-1, 2).round().astype(np.int32)], 1)
            drawn.append(mask)
        result[row] = np.sum(drawn[0] & drawn[1]) / np.sum(drawn[0] | drawn[1])
    return result


def rows() -> Iterator[Row]:
    if not VOT2018.is_dir():
        yield Row("VOT2018 scored for one tracker", float("nan"), "s", "< 1", None, "needs ../shared/results")
        return
    yield Row("VOT2018: labels and results of one tracker read", min(seconds(read) for _ in range(3)), "s", "", None)
    labels, runs = read()
    for convention in ("pysot", "vot"):
        taken = min(seconds(lambda c=convention: supervised.score(labels, runs, c, "vot2018")) for _ in range(5))
        yield Row(f"VOT2018 scored for one tracker, {convention}", taken, "s", "< 1", taken < 1.0)
    taken = min(seconds(lambda: supervised.by_tag(labels, runs, "pysot", "vot2018")) for _ in range(5))
    yield Row("VOT2018 by tag, pysot", taken, "s", "< 1", taken < 1.0)
    some = [s for s, one in enumerate(labels) if one.regions is not None][::6]
    found = np.concatenate([runs[s][0].regions for s in some])
    truth = np.concatenate([labels[s].regions for s in some])
    sizes = np.concatenate([np.tile(labels[s].size, (len(labels[s].boxes), 1)) for s in some])
    tracked = np.isfinite(found[:, 0])
    given = found[tracked], truth[tracked], sizes[tracked]
    ratio = paired(lambda: overlaps(given[0], given[1], given[2] - 1), lambda: masks(*given), rounds=5)
    yield Row("overlaps in pixels / masks drawn by cv2.fillPoly", ratio, "x", "< 0.1", ratio < 0.1)


if __name__ == "__main__":
    main(rows)
