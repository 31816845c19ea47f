"""The index of a data set: building it from annotations, opening it, and the boxes of one random video.

Opening: one of TrackingNet's size, generated through the index writer: 30,643 videos, 14.4 million boxes. Each
opening is measured in a process of its own, after the imports, so that nothing is warm but the page cache.

Building: text annotations and frames in real folders, against reading each file with ``numpy.loadtxt`` and sorting
``glob``'s frames by their numbers. Frames are names of one picture: of each video only a header is read.

Memory: as many videos as GOT-10k has, from a tree that makes them up, so that only what is kept of them counts; and
a tar of 600,000 members, by how much the peak of its process has grown per member.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from table import Row, main, paired

from seqtrack.data.formats import DatasetName, Listing, TrackAnnotation, VideoAnnotation
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.indexing.index_build import IndexWriter
from seqtrack.data.indexing.reading import Reading
from seqtrack.data.storage.trees import DirectoryTree

VIDEOS, BOXES, PROCESSES = 30_643, 14_400_000, 7
BUILT_VIDEOS, BUILT_FRAMES = 200, 470

_OPEN = """
import gc, json, random, sys, time
import psutil
from pathlib import Path
import seqtrack.data.indexing.index as index_module
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


_MEMORY = """
import re, sys
from pathlib import Path
from seqtrack.data.formats import Listing, parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import DirectoryTree
VIDEOS, FRAMES = 9_335, 150
picture = Path(sys.argv[1]).read_bytes()
class Generated(DirectoryTree):
    names = [f"{t:08d}.jpg" for t in range(1, FRAMES + 1)]
    rows = b"100.5,120.25,80,60\\n" * FRAMES
    def list(self, folder=""):
        if not folder:
            return Listing([f"video_{v:05d}" for v in range(VIDEOS)], [])
        if folder.endswith("/img"):
            return Listing([], list(self.names))
        return Listing(["img"], ["groundtruth_rect.txt"])
    def read(self, name):
        return self.rows
    def read_head(self, name, size):
        return picture
def peak():  # not ru_maxrss, which begins with what the process that started this one had
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
tree = Generated(Path("/nowhere"), "large")
index = ensure_index(parse_dataset_name("otb:large"), tree, Path(sys.argv[2]), lambda _: None, processes=1)
print(peak() - before, index.path.stat().st_size / (VIDEOS * FRAMES), VIDEOS * FRAMES)
"""


_TAR_MEMORY = """
import re, sys, tarfile, threading, time
from pathlib import Path
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import TarTree
FRAMES = 150
picture, rows = Path(sys.argv[1]).read_bytes(), b"100.5,120.25,80,60\\n" * FRAMES
def member(name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
own = [0]
def watch():  # the system has no peak of what is not a file's
    while True:
        own[0] = max(own[0], memory("RssAnon"))
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
def build(name, videos):
    tar, cache = Path(sys.argv[2], f"{name}.tar"), Path(sys.argv[2], "cache")
    with tar.open("wb") as file:
        for v in range(videos):
            file.write(member(f"{name}/video_{v:05d}/groundtruth_rect.txt", rows))
            for t in range(1, FRAMES + 1):
                file.write(member(f"{name}/video_{v:05d}/img/{t:08d}.jpg", picture if t == 1 else b""))
        file.write(bytes(1024))
    before, own[0] = memory("VmHWM"), memory("RssAnon")
    own_before = own[0]
    ensure_index(parse_dataset_name(f"otb:{name}"), TarTree(tar, name, cache), cache, lambda _: None, processes=1)
    members = videos * (FRAMES + 1)
    print((memory("VmHWM") - before) / members, (own[0] - own_before) / 2**20, members)
    tar.unlink()
build("small", 20)
build("medium", 1000)
build("large", 4000)
"""


def write_data_set(root: Path) -> None:
    """``BUILT_VIDEOS`` folders in OTB's layout, with four decimals as GOT-10k writes them."""
    text = "".join(
        f"{t % 400 + 1.25:.4f},{t % 300 + 1:.4f},{60 + t % 50}.5000,40.0000\n" for t in range(BUILT_FRAMES)
    )
    picture = cv2.imencode(".jpg", np.zeros((480, 640, 3), np.uint8))[1].tobytes()
    for video in range(BUILT_VIDEOS):
        images = root / f"video_{video:05d}" / "img"
        images.mkdir(parents=True)
        (images.parent / "groundtruth_rect.txt").write_text(text)
        (images / "00000001.jpg").write_bytes(picture)
        for number in range(2, BUILT_FRAMES + 1):
            os.link(images / "00000001.jpg", images / f"{number:08d}.jpg")


def read_plainly(root: Path) -> int:
    """What a data set's class in a tracking toolkit does to get its list of boxes."""
    boxes = 0
    for folder in sorted(root.iterdir()):
        frames = sorted((folder / "img").glob("*.jpg"), key=lambda path: int(path.stem))
        labels = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",")
        height, width = cv2.imread(str(frames[0])).shape[:2]
        assert len(labels) == len(frames) and (width, height) == (640, 480)
        boxes += len(labels)
    return boxes


def _processor_seconds(function: Callable[[], object]) -> float:
    """Not what the disk takes to flush, nor others on the same core."""
    start = time.process_time()
    function()
    return time.process_time() - start


class _ListedTree(DirectoryTree):
    """Asks the system for each listing once: what is left is what annotations take."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, name)
        self._listings: dict[str, Listing] = {}

    def list(self, folder: str = "") -> Listing:
        if folder not in self._listings:
            self._listings[folder] = super().list(folder)
        return self._listings[folder]


def build_rows(folder: Path) -> Iterator[Row]:
    root, name, count = folder / "data", DatasetName("otb", "data"), BUILT_VIDEOS * BUILT_FRAMES
    write_data_set(root)

    made = iter(range(1000))

    def build() -> None:
        tree = DirectoryTree(root, "data")
        ensure_index(name, tree, folder / f"cache_{next(made)}", lambda _: None, processes=1)

    note = f"{BUILT_VIDEOS} videos of {BUILT_FRAMES} frames, one process, its processor time"
    build()
    rate = count / min(_processor_seconds(build) for _ in range(7)) / 1e6
    yield Row("index: million boxes a second and core, folder to file", rate, "", ">= 1", rate >= 1, note)
    ratio = paired(lambda: read_plainly(root), build, rounds=5)
    yield Row("index: the same against loadtxt, glob and imread", ratio, "x", "", None)
    tree = _ListedTree(root, "data")

    def read() -> None:
        writer = IndexWriter()
        for video in Reading(name, tree, processes=1):
            writer.add(video)

    read()
    rate = count / min(_processor_seconds(read) for _ in range(7)) / 1e6
    note = "folders listed before, nothing written"
    yield Row("index: the same, reading of annotations alone", rate, "", "", None, note)
    command = [sys.executable, "-c", _MEMORY, str(root / "video_00000/img/00000001.jpg"), str(folder / "large")]
    cwd = Path(__file__).resolve().parents[2]
    printed = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.split()
    grown, size, boxes = (float(word) for word in printed)
    yield Row("index: memory that a build of GOT-10k's size adds", grown, "MiB", "", None, f"{boxes:,.0f} boxes")
    command = [sys.executable, "-c", _TAR_MEMORY, str(root / "video_00000/img/00000001.jpg"), str(folder)]
    printed = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
    for each, own, members in ([float(word) for word in line.split()] for line in printed):
        note = f"{members:,.0f} members; {each:.0f} bytes a member with pages of files, which the system takes back"
        yield Row("index: memory of its own that a build from a tar adds", own, "MiB", "bounded", None, note)
    yield Row("index: file, bytes a box", size, "", "< 50", size < 50)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield from build_rows(Path(folder))
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
