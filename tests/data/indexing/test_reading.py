"""Data sets of any size: read in several processes, in order, within bounds, and cleanly after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from seqtrack.data.formats import parse_dataset_name, read_videos
from seqtrack.data.indexing import index as index_module
from seqtrack.data.indexing import reading as reading_module
from seqtrack.data.indexing.index import CachedIndex, ensure_index
from seqtrack.data.indexing.index_build import IndexWriter
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.data.indexing.reading import Reading
from seqtrack.data.storage import trees as trees_module
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.errors import DataError, SeqtrackError
from tests.data.otb_layout import boxes_text, small_data_set, write_sequence, write_tar
from tests.workbench import is_gone, wait_for

NAME = parse_dataset_name("otb:small")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty videos; of one the frames do not count up. Not to be changed."""
    folder = small_data_set(tmp_path_factory.mktemp("reading") / "data", sequences=20, frames=3)
    (folder / "Seq7" / "img" / "0003.jpg").rename(folder / "Seq7" / "img" / "0005.jpg")
    return folder


@pytest.fixture(params=["fork", "spawn"])
def method(request: pytest.FixtureRequest) -> Iterator[None]:
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(request.param, force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def written(tree: DirectoryTree | TarTree, path: Path, processes: int) -> bytes:
    writer = IndexWriter()
    for video in Reading(NAME, tree, processes, patience=0.0):
        writer.add(video)
    writer.write(path, "small", "otb", "here")
    return path.read_bytes()


class TestProcesses:
    def test_any_number_of_them_gives_the_same_bytes(self, data: Path, tmp_path: Path, method: None) -> None:
        alone = written(DirectoryTree(data, "small"), tmp_path / "1.h5", 1)
        assert written(DirectoryTree(data, "small"), tmp_path / "3.h5", 3) == alone

    def test_so_do_those_that_read_a_tar(self, data: Path, tmp_path: Path, method: None) -> None:
        files = [path for path in sorted(data.rglob("*")) if path.is_file()]
        members = {f"small/{path.relative_to(data)}": path.read_bytes() for path in files}
        tar = write_tar(tmp_path / "small.tar", members)
        alone = written(DirectoryTree(data, "small"), tmp_path / "1.h5", 1)
        assert written(TarTree(tar, "small", tmp_path / "cache"), tmp_path / "2.h5", 2) == alone

    def test_videos_are_those_of_a_plain_reader(self, data: Path) -> None:
        plain = list(read_videos(NAME, DirectoryTree(data, "small")))
        read = list(Reading(NAME, DirectoryTree(data, "small"), 2, patience=0.0))
        assert [video.name for video in read] == [video.name for video in plain]
        assert [list(video.frame_names) for video in read] == [video.frame_names for video in plain]
        # What travels between processes is not a name for each frame.
        assert [isinstance(video.frame_names, NumberedNames) for video in read].count(False) == 1

    def test_small_data_sets_start_none(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading_module, "in_order", lambda *_: pytest.fail("a pool"))
        monkeypatch.setattr(reading_module, "time", SimpleNamespace(monotonic=lambda: 0.0))
        assert len(list(Reading(NAME, DirectoryTree(data, "small"), 4))) == 20

    @pytest.mark.parametrize("processes", [1, 3])
    def test_the_first_mistake_is_the_one_reported(self, tmp_path: Path, processes: int) -> None:
        folder = small_data_set(tmp_path / "data", sequences=9)
        for number in (8, 3, 5):
            (folder / f"Seq{number}" / "groundtruth_rect.txt").write_text("1,2,3,x\n")
        with pytest.raises(DataError, match=r"Seq3/groundtruth_rect.txt, row 1: '1,2,3,x'"):
            list(Reading(NAME, DirectoryTree(folder, "small"), processes, patience=0.0))
        assert multiprocessing.active_children() == []

    def test_one_that_is_killed_ends_the_reading(self, data: Path) -> None:
        """All of them here, as soon as the first video has come: the others cannot have been read yet."""
        reading = iter(Reading(NAME, DirectoryTree(data, "small"), 2, patience=0.0))
        next(reading)
        workers = multiprocessing.active_children()
        assert workers
        for worker in workers:
            worker.kill()
        with pytest.raises(SeqtrackError, match=r"^a worker process was killed"):
            list(reading)


_HELD_BUILD = """
import itertools, sys, time
from pathlib import Path
from types import SimpleNamespace
import seqtrack.data.indexing.reading as reading
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.storage.trees import DirectoryTree
read = reading.read_video
def read_the_first_alone(layout, tree, entry, sizes):
    while "Seq0" not in entry.folder:
        time.sleep(1)  # until it is killed
    return read(layout, tree, entry, sizes)
reading.read_video = read_the_first_alone
looks = itertools.count()
reading.time = SimpleNamespace(monotonic=lambda: 10.0 * next(looks))  # so much passes between two looks at it
say = lambda text: print(text, flush=True)
data, cache = (Path(word) for word in sys.argv[1:])
ensure_index(parse_dataset_name("otb:small"), DirectoryTree(data, "small"), cache, say, processes=2)
"""


def test_a_killed_build_leaves_nothing_and_the_next_one_starts_again(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    builder = subprocess.Popen(
        [sys.executable, "-c", _HELD_BUILD, str(data), str(cache)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert builder.stdout is not None
    assert "building the index (there is none yet)" in builder.stdout.readline()
    assert "read 1 of 20 videos" in builder.stdout.readline()
    readers = psutil.Process(builder.pid).children(recursive=True)
    assert len(readers) >= 2
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    for reader in readers:
        wait_for(lambda reader=reader: is_gone(reader.pid), "the end of a reader")
    assert sorted(path.name for path in cache.iterdir()) == ["small.otb.lock", "small.otb.lock.holder"]

    index = ensure_index(NAME, DirectoryTree(data, "small"), cache, str)
    assert index.num_videos == 20
    assert sorted(path.name for path in cache.iterdir()) == [index.path.name, "small.otb.json", "small.otb.lock"]


_LARGE = """
import re, sys
from pathlib import Path
from seqtrack.data.formats import Listing, parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import DirectoryTree
from tests.data.otb_layout import jpeg

VIDEOS, FRAMES = 10_000, 100

class Large(DirectoryTree):
    names = [f"{t:08d}.jpg" for t in range(1, FRAMES + 1)]
    rows = b"1,2,10,8\\n" * FRAMES
    picture = jpeg()
    def list(self, folder=""):
        if not folder:
            return Listing([f"video_{v:05d}" for v in range(VIDEOS)], [])
        if folder.endswith("/img"):
            return Listing([], list(self.names))
        return Listing(["img"], ["groundtruth_rect.txt"])
    def files(self):
        raise AssertionError("nobody needs a list of a million names")
    def read(self, name):
        return self.rows
    def read_head(self, name, size):
        return self.picture

def peak():  # not ru_maxrss, which begins with what the process that started this one had
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
name, tree = parse_dataset_name("otb:large"), Large(Path("/nowhere"), "large")
ensure_index(parse_dataset_name("otb:small"), DirectoryTree(Path(sys.argv[1]), "small"), Path(sys.argv[2]), str)
before = peak()
index = ensure_index(name, tree, Path(sys.argv[2]), str, processes=1)
rows = len(index.track(VIDEOS - 1).boxes)
print(index.num_videos, rows, index.path.stat().st_size / (VIDEOS * FRAMES), peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_memory_does_not_grow_with_the_labels(data: Path, tmp_path: Path) -> None:
    """Of as many videos as GOT-10k has, 40 MB of labels, and 100 MB of names if they were listed."""
    command = [sys.executable, "-c", _LARGE, str(data), str(tmp_path / "cache")]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    videos, rows, bytes_per_box, grown = (float(word) for word in answer)
    assert (videos, rows) == (10_000, 100)
    assert bytes_per_box < 42
    assert grown < 25, f"{grown:.0f} MiB"


_LARGE_TAR = """
import re, sys, tarfile
from pathlib import Path
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import TarTree
from tests.data.otb_layout import jpeg

FRAMES = 150
rows, picture = b"1,2,10,8\\n" * FRAMES, jpeg()

def member(name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
def build(name, videos):
    tar, cache = Path(sys.argv[1], f"{name}.tar"), Path(sys.argv[1], "cache")
    with tar.open("wb") as file:
        for v in range(videos):
            file.write(member(f"{name}/video_{v:05d}/groundtruth_rect.txt", rows))
            for t in range(1, FRAMES + 1):
                file.write(member(f"{name}/video_{v:05d}/img/{t:08d}.jpg", picture if t == 1 else b""))
        file.write(bytes(1024))
    before = peak()
    index = ensure_index(parse_dataset_name(f"otb:{name}"), TarTree(tar, name, cache), cache, str, processes=1)
    return index.num_videos, (peak() - before) * 2**20 / (videos * (FRAMES + 1))
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
build("small", 20)
print(*build("large", 500))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_the_members_of_a_tar_take_little_memory(tmp_path: Path) -> None:
    """A list of names, and of where they lie, took 340 bytes for each: 5 GB for TrackingNet."""
    command = [sys.executable, "-c", _LARGE_TAR, str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    videos, bytes_per_member = (float(word) for word in answer)
    assert videos == 500
    assert bytes_per_member < 200  # 80 to 90, and the few MB by which any process may grow


class TestProgress:
    def test_every_video_counts(self, data: Path) -> None:
        seen: list[tuple[int, int]] = []
        list(Reading(NAME, DirectoryTree(data, "small"), 1, lambda done, total: seen.append((done, total))))
        assert seen == [(number, 20) for number in range(1, 21)]

    def test_lines_are_for_what_takes_long(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter(range(0, 1000, 1))  # a second passes at each look at it
        monkeypatch.setattr(reading_module, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
        messages: list[str] = []
        say = reading_module.ProgressLines(NAME, messages.append)
        for done in range(1, 21):
            say(done, 20)
        assert messages == [
            "otb:small: read 2 of 20 videos, 1 a second",
            "otb:small: read 12 of 20 videos, 1 a second",
        ]


class TestStamp:
    """What was read is looked at again; the rest of the tree is nobody's business."""

    def build(self, folder: Path, cache: Path) -> tuple[Path, list[str]]:
        messages: list[str] = []
        return ensure_index(NAME, DirectoryTree(folder, "small"), cache, messages.append).path, messages

    def fresh(self, folder: Path, cache: Path) -> bool:
        return index_module.fresh_index(NAME, DirectoryTree(folder, "small"), cache) is not None

    def test_what_else_lies_in_the_tree_does_not_matter(self, tmp_path: Path) -> None:
        folder = small_data_set(tmp_path / "data")
        (folder / "Seq1" / "extra").mkdir()
        before, _ = self.build(folder, tmp_path / "cache")
        (folder / "Seq1" / "extra" / "notes.txt").write_text("x")
        assert self.fresh(folder, tmp_path / "cache")
        (folder / "README.txt").write_text("where the videos lie: looked at again, to the same end")
        assert self.build(folder, tmp_path / "cache") == (before, [])
        assert self.fresh(folder, tmp_path / "cache")

    @pytest.mark.parametrize("change", ["frame added", "frame removed", "label edited", "video added"])
    def test_what_is_read_does(self, tmp_path: Path, change: str) -> None:
        folder = small_data_set(tmp_path / "data")
        before, _ = self.build(folder, tmp_path / "cache")
        sequence = folder / "Seq1"
        if change == "video added":
            write_sequence(folder / "New", [1], boxes_text(1))
        elif change == "label edited":
            (sequence / "groundtruth_rect.txt").write_text("7,7,7,7\n" * 4)
        else:
            count = 5 if change == "frame added" else 3
            (sequence / "img" / "0004.jpg").rename(tmp_path / "frame")
            if count == 5:
                for number in (4, 5):
                    (sequence / "img" / f"000{number}.jpg").write_bytes((tmp_path / "frame").read_bytes())
            (sequence / "groundtruth_rect.txt").write_text(boxes_text(count))
        assert not self.fresh(folder, tmp_path / "cache")
        after, messages = self.build(folder, tmp_path / "cache")
        assert after != before
        assert messages == [f"otb:small: building the index (its source has changed) from {folder}"]

    def test_a_folder_that_was_looked_for_may_appear(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        small_data_set(folder)
        tree = DirectoryTree(folder, "small")
        assert tree.list("Seq0/color").files == []
        stamp = tree.stamp(tree.take_seen())
        assert tree.matches(stamp)
        (folder / "Seq0" / "color").mkdir()
        assert not tree.matches(stamp)

    def test_of_very_many_files_only_the_folders_are_looked_at(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trees_module, "MOST_FILES", 2)
        folder = small_data_set(tmp_path / "data", sequences=5)
        before, _ = self.build(folder, tmp_path / "cache")
        stamp = CachedIndex(NAME, tmp_path / "cache").known()[str(folder)]["stamp"]
        assert stamp["files"] is None
        truth = folder / "Seq4" / "groundtruth_rect.txt"
        truth.rename(tmp_path / "old")
        truth.write_text("7,7,7,7\n" * 4)
        after, _ = self.build(folder, tmp_path / "cache")
        assert after != before

    def test_another_reader_reads_again_and_says_so_if_it_reads_something_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = small_data_set(tmp_path / "data")
        before, _ = self.build(folder, tmp_path / "cache")
        monkeypatch.setattr(index_module, "code_digest", lambda _: "another")
        assert not self.fresh(folder, tmp_path / "cache")
        assert self.build(folder, tmp_path / "cache") == (before, [])
        monkeypatch.setattr(index_module, "code_digest", lambda _: "a third")
        (folder / "Seq0" / "groundtruth_rect.txt").write_text("7,7,7,7\n" * 4)
        _, messages = self.build(folder, tmp_path / "cache")
        assert messages == [
            f"otb:small: building the index (the code that reads its layout has changed) from {folder}"
        ]
