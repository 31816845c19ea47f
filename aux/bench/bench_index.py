"""The index of a data set of TrackingNet's size: opening it, and the boxes of one random video.

Generated through the index writer: 30,643 videos, 14.4 million boxes. Each opening is measured in a process of
its own, after the imports, so that nothing is warm but the page cache.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from table import Row, main

from seqtrack.data.formats import TrackAnnotation, VideoAnnotation
from seqtrack.data.index_build import IndexWriter

VIDEOS, BOXES, PROCESSES = 30_643, 14_400_000, 7

_OPEN = """
import gc, json, random, sys, time
import psutil
from pathlib import Path
import seqtrack.data.index as index_module
process = psutil.Process()
gc.collect()
before = process.memory_info().rss
start = time.perf_counter()
index = index_module.open_index(Path(sys.argv[1]))
opened = time.perf_counter() - start
first = index.track(17).boxes[0, 0]
grown = process.memory_info().rss - before
choice = random.Random(0)
videos = [choice.randrange(index.num_videos) for _ in range(20000)]
def boxes(numbers):
    start = time.perf_counter()
    for video in numbers:
        for track in index.tracks_of(video):
            index.track(track).boxes
    return (time.perf_counter() - start) / len(numbers)
times = sorted(boxes(videos[i:i + 1000]) for i in range(0, 20000, 1000))
names = time.perf_counter()
for video in videos[:1000]:
    index.frame_name(video, 7)
names = (time.perf_counter() - names) / 1000
print(json.dumps([opened * 1e3, grown / 2**20, times[len(times) // 2] * 1e6, names * 1e6]))
"""


def generate(path: Path) -> None:
    """An index of ``VIDEOS`` videos that hold ``BOXES`` boxes together."""
    writer = IndexWriter()
    lengths = np.diff(np.linspace(0, BOXES, VIDEOS + 1).astype(int))
    random = np.random.default_rng(0)
    for number, length in enumerate(lengths):
        folder = f"TRAIN_{number % 12}/frames/video_{number:011d}"
        track = TrackAnnotation(
            name=folder, frames=np.arange(length), boxes=random.random((length, 4)) * 400,
            present=np.ones(length, bool), occluded=np.zeros(length, bool), category=f"class {number % 27}",
        )  # fmt: skip
        names = [f"{folder}/{t}.jpg" for t in range(length)]
        writer.add(VideoAnnotation(folder, names, (1280, 720), [track]))
    writer.write(path, "generated", "otb", "generated", "")


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.h5"
        generate(path)
        command = [sys.executable, "-c", _OPEN, str(path)]
        root = Path(__file__).resolve().parents[2]
        measured = [
            json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
            for _ in range(PROCESSES)
        ]
        opened, grown, boxes, names = (statistics.median(column) for column in zip(*measured, strict=True))
        note = f"{VIDEOS:,} videos, {BOXES:,} boxes, file of {path.stat().st_size / 1e6:.0f} MB"
        yield Row("index: open", opened, "ms", "< 10", opened < 10, note)
        yield Row("index: memory beyond imports after opening", grown, "MiB", "< 5", grown < 5)
        yield Row("index: boxes of one random video", boxes, "µs", "< 10", boxes < 10)
        yield Row("index: name of one random frame", names, "µs", "", None)


if __name__ == "__main__":
    main(rows)
