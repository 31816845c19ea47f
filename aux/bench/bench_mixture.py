"""The first batch of a mixture of six large data sets whose indexes are there: filters, caps and negative pairs on.

Generated through the index writer: 30,000 tracks and 1.5 million boxes in each data set. Each start is a process of
its own, from its first line, imports included, to the first batch of 32 pairs. Every frame is one and the same
picture in memory, so what opening tars or folders costs is not in it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from table import Row, main

from seqtrack.data.formats import TrackAnnotation, VideoAnnotation
from seqtrack.data.indexing.index_build import IndexWriter

SETS, TRACKS, BOXES_PER_TRACK, PROCESSES = 6, 30_000, 50, 5

_START = """
import time
started = time.perf_counter()
import json, sys
from pathlib import Path
from seqtrack.data.sampling.augment import parse_augment_params
from seqtrack.data.datasets import Dataset
from seqtrack.data.sampling.draws import NO_NEGATIVES, NegativeParams
from seqtrack.data.sampling.filters import NO_FILTERS, FilterParams
from seqtrack.data.indexing.index import open_index
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.samplers import PairRange
imported = time.perf_counter()
folder, full = Path(sys.argv[1]), sys.argv[2] == "full"
picture = (folder / "picture.jpg").read_bytes()
class OnePicture:
    def read(self, name):
        return picture
    def describe(self, name):
        return name
sets = {path.stem: Dataset(path.stem, open_index(path), OnePicture(), {}) for path in sorted(folder.glob("*.h5"))}
source = PairSource(
    sets, parse_mixture([[1, name] for name in sets]), PairRange(), PairParams(), None, 32, 0,
    filters=FilterParams(min_side=20, max_aspect=4, max_per_category=500) if full else NO_FILTERS,
    negatives=NegativeParams(0.1, 0.1, 0.1) if full else NO_NEGATIVES,
)
source.batch(0)
first = time.perf_counter()
for step in range(1, 6):
    source.batch(step)
later = (time.perf_counter() - first) / 5
print(json.dumps([imported - started, first - started, later]))
"""


def generate(folder: Path) -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    (folder / "picture.jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    count = BOXES_PER_TRACK
    frames, ones = np.arange(count), np.ones(count, bool)
    for number in range(SETS):
        writer = IndexWriter()
        boxes = rng.uniform(5, 150, (TRACKS, count, 4))
        for track in range(TRACKS):
            name = f"set_{number}/video_{track:06d}"
            labels = TrackAnnotation(name, frames, boxes[track], ones, ~ones, category=f"class {track % 80}")
            names = [f"{name}/{t:08d}.jpg" for t in range(count)]
            writer.add(VideoAnnotation(name, names, (640, 480), [labels]))
        writer.write(folder / f"set_{number}.h5", f"set_{number}", "otb", "generated", "")


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder)
        root = Path(__file__).resolve().parents[2]
        for mode, what in (("plain", "six sets"), ("full", "with caps, filters, negative pairs")):
            command = [sys.executable, "-c", _START, str(folder), mode]
            measured = [
                json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
                for _ in range(PROCESSES)
            ]
            imported, first, later = (statistics.median(column) for column in zip(*measured, strict=True))
            note = f"imports {imported:.2f} s of it; a later batch {later:.3f} s"
            yield Row(f"mixture: first batch, {what}", first, "s", "< 2", first < 2, note)


if __name__ == "__main__":
    main(rows)
