"""The index says what the annotations say, is made once, and is made again when it must be."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.arrays.arrayfile import open_arrays, write_arrays
from seqtrack.data.formats import DatasetName, TrackAnnotation, VideoAnnotation, parse_dataset_name, read_videos
from seqtrack.data.indexing.index import CachedIndex, Index, ensure_index, open_index, verify_index
from seqtrack.data.indexing.index_build import IndexWriter
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.data.sampling.pools import pool_members
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import boxes_text, jpeg, small_data_set, write_sequence, write_tar

NAME = parse_dataset_name("otb:small")
ROOT = Path(__file__).parents[3]


def tree(folder: Path) -> DirectoryTree:
    return DirectoryTree(folder, "small")


def tar_of(folder: Path, path: Path) -> Path:
    files = {f"small/{p.relative_to(folder)}": p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return write_tar(path, files)


def ensured(folder: Path, cache: Path) -> tuple[Index, list[str]]:
    messages: list[str] = []
    return ensure_index(NAME, tree(folder), cache, messages.append), messages


class TestContent:
    def test_is_what_the_layout_reads(self, shared: Path, tmp_path: Path) -> None:
        for layout in ("otb", "vot"):
            source = DirectoryTree(shared / "data" / layout, layout)
            index = ensure_index(DatasetName(layout, layout), source, tmp_path / "cache", str)
            videos = list(read_videos(DatasetName(layout, layout), source))
            assert index.num_videos == len(videos)
            assert index.num_tracks == sum(len(video.tracks) for video in videos)
            for v, video in enumerate(videos):
                assert (index.video_name(v), index.video_size(v)) == (video.name, video.size)
                assert [index.frame_name(v, t) for t in range(index.video_length(v))] == video.frame_names
                for k, annotation in zip(index.tracks_of(v), video.tracks, strict=True):
                    track = index.track(k)
                    assert (index.track_video(k), index.track_name(k)) == (v, annotation.name)
                    assert index.categories[index.track_categories[k]] == annotation.category
                    np.testing.assert_array_equal(track.boxes, annotation.boxes)
                    np.testing.assert_array_equal(track.frames, annotation.frames)
                    np.testing.assert_array_equal(track.present, annotation.present)
                    polygons = index.polygons(k)
                    assert (polygons is None) == (annotation.polygons is None)
                    if polygons is not None:
                        np.testing.assert_array_equal(polygons, annotation.polygons)

    def test_arrays_are_read_only_views_of_the_declared_types(self, tmp_path: Path) -> None:
        index, _ = ensured(small_data_set(tmp_path / "data"), tmp_path / "cache")
        track = index.track(0)
        assert [array.dtype.str for array in (track.frames, track.boxes)] == ["<i4", "<f8"]
        assert [array.dtype.str for array in (track.present, track.occluded)] == ["|b1", "|b1"]
        with pytest.raises(ValueError, match="read-only"):
            track.boxes[0, 0] = 1.0

    def test_names_without_a_pattern_are_kept(self, tmp_path: Path) -> None:
        folder = write_sequence(tmp_path / "data" / "Seq", [1, 2, 5], boxes_text(3))
        (folder / "img" / "0002.jpg").rename(folder / "img" / "0003.jpg")
        index, _ = ensured(tmp_path / "data", tmp_path / "cache")
        assert [index.frame_name(0, t) for t in range(3)] == [f"Seq/img/000{n}.jpg" for n in (1, 3, 5)]
        with pytest.raises(IndexError, match="video Seq has 3 frames"):
            index.frame_name(0, 3)

    def test_an_index_without_tracks_has_empty_arrays(self, tmp_path: Path) -> None:
        writer = IndexWriter()
        writer.add(VideoAnnotation("v", ["v/1.jpg"], (4, 3), []))
        writer.write(tmp_path / "index.h5", "none", "otb", "", "")
        index = verify_index(tmp_path / "index.h5")
        assert (index.num_videos, index.num_tracks, list(index.tracks_of(0))) == (1, 0, [])

    def test_the_same_source_gives_the_same_bytes(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        for number in (1, 2):
            ensured(data, tmp_path / f"cache_{number}")
        first, second = (next((tmp_path / f"cache_{number}").glob("*.h5")) for number in (1, 2))
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()

    def test_a_folder_and_a_tar_agree(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        tar = TarTree(tar_of(data, tmp_path / "small.tar"), "small")
        assert list(tar.files()) == list(tree(data).files())
        first, _ = ensured(data, tmp_path / "cache")
        messages: list[str] = []
        second = ensure_index(NAME, tar, tmp_path / "cache", messages.append)
        assert (second.path, messages) == (first.path, [])

    def test_travels_as_its_path(self, tmp_path: Path) -> None:
        index, _ = ensured(small_data_set(tmp_path / "data"), tmp_path / "cache")
        data = pickle.dumps(index)
        assert len(data) < 500
        np.testing.assert_array_equal(pickle.loads(data).track(1).boxes, index.track(1).boxes)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 9), st.integers(1, 30), st.sampled_from(["", "a/img/", "a9/x_", "7%d/"]))
def test_regular_names_are_kept_as_numbers(start: int, digits: int, count: int, prefix: str) -> None:
    names = [f"{prefix}{start + t:0{digits}d}.jpg" for t in range(count)]
    numbered = NumberedNames.of(names)
    if numbered is None:  # 9.jpg, 10.jpg cannot be told from 09.jpg … by their first; then they are listed
        return
    assert list(numbered) == [numbered[t] for t in range(count)] == names
    assert NumberedNames.of(numbered) is numbered
    assert numbered == names and numbered != [*names, "x"] and numbered != tuple(names)
    assert numbered.below("b/") == [f"b/{name}" for name in names]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["s/0001.jpg", "s/0002.jpg"], ("s/", 1, 4, ".jpg", 2)),
        (["s/9.jpg", "s/10.jpg"], ("s/", 9, 1, ".jpg", 2)),
        (["s/0009.jpg", "s/0010.jpg"], ("s/", 9, 4, ".jpg", 2)),
        (["s/1.jpg", "s/3.jpg"], None),
        (["s/1.jpg", "s/2.png"], None),
        (["s/1.jpg", "s/3.jpg", "s/2.jpg", "s/4.jpg"], None),
        (["s/a.jpg"], None),
        (["s/9999999999999999999.jpg"], None),
        ([], None),
    ],
)
def test_which_names_are_numbers(names: list[str], numbers: tuple[str, int, int, str, int] | None) -> None:
    assert NumberedNames.of(names) == (numbers and NumberedNames(*numbers))


class TestFreshness:
    def test_a_second_look_neither_builds_nor_lists(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = small_data_set(tmp_path / "data")
        _, messages = ensured(data, tmp_path / "cache")
        assert messages == [f"otb:small: building the index (there is none yet) from {data}"]

        def refuse(*_: object) -> None:
            raise AssertionError("the folder is listed although nothing has changed")

        monkeypatch.setattr(DirectoryTree, "list", refuse)
        _, messages = ensured(data, tmp_path / "cache")
        assert messages == []

    def test_an_edited_annotation(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        before, _ = ensured(data, tmp_path / "cache")
        (data / "Seq1" / "groundtruth_rect.txt").write_text("7,7,7,7\n" * 4)
        after, messages = ensured(data, tmp_path / "cache")
        assert messages == [f"otb:small: building the index (its source has changed) from {data}"]
        assert after.track(1).boxes[0].tolist() == [6, 6, 7, 7]
        # Whoever still uses the old one sees no change.
        assert before.track(1).boxes[0].tolist() == [1, 1, 10, 8]
        assert Index(before.path).fingerprint == before.fingerprint != after.fingerprint

    def test_an_added_sequence(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        ensured(data, tmp_path / "cache")
        write_sequence(data / "Seq9", [1], boxes_text(1))
        index, messages = ensured(data, tmp_path / "cache")
        assert index.num_videos == 4
        assert "its source has changed" in messages[0]

    def test_a_touched_source_is_not_read_into_a_new_index(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        first, _ = ensured(data, tmp_path / "cache")
        os.utime(data / "Seq0" / "groundtruth_rect.txt", ns=(1, 1))
        second, messages = ensured(data, tmp_path / "cache")
        assert (second.path, messages) == (first.path, [])

    @pytest.mark.parametrize("damage", ["truncated", "emptied", "garbage"])
    def test_a_damaged_index_is_made_again(self, tmp_path: Path, damage: str) -> None:
        data = small_data_set(tmp_path / "data")
        index, _ = ensured(data, tmp_path / "cache")
        whole = index.path.read_bytes()
        broken = {"truncated": whole[: len(whole) // 2], "emptied": b"", "garbage": b"x" * len(whole)}[damage]
        index.path.unlink()  # not in place: this process has it mapped
        index.path.write_bytes(broken)
        again, messages = ensured(data, tmp_path / "cache")
        assert "the one there is damaged" in messages[0]
        assert again.path.read_bytes() == whole

    def test_one_of_another_version_is_made_again(self, tmp_path: Path) -> None:
        data = small_data_set(tmp_path / "data")
        index, _ = ensured(data, tmp_path / "cache")
        record = CachedIndex(NAME, tmp_path / "cache").sources
        sources = json.loads(record.read_text())
        sources["sources"][str(data)]["schema"] = 0
        record.write_text(json.dumps(sources))
        arrays, meta = open_arrays(index.path)
        write_arrays(index.path, {k: [np.array(v)] for k, v in arrays.items()}, meta | {"schema": 0})
        again, messages = ensured(data, tmp_path / "cache")
        assert messages == [
            f"otb:small: building the index (the one there has schema 0, this version reads 2) from {data}"
        ]
        assert again.num_videos == 3

    def test_verify_finds_a_flipped_bit(self, tmp_path: Path) -> None:
        index, _ = ensured(small_data_set(tmp_path / "data"), tmp_path / "cache")
        verify_index(index.path)
        whole = index.path.read_bytes()
        position = whole.index(np.array([0.0, 1.0, 10.0, 8.0]).tobytes()[8:])
        index.path.unlink()
        index.path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(DataError, match="does not have its fingerprint"):
            verify_index(index.path)

    def test_bad_data_leave_no_index(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "data" / "Seq", [1, 2, 3], boxes_text(2))
        with pytest.raises(DataError, match="2 rows for 3 frames"):
            ensured(tmp_path / "data", tmp_path / "cache")
        assert not list((tmp_path / "cache").glob("*.h5"))


class TestCacheFolder:
    def test_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file")
        with pytest.raises(UserError, match=r"^--data_cache_dir: cannot write the index of otb:small to .*cache"):
            ensured(small_data_set(tmp_path / "data"), tmp_path / "cache")

    def test_that_is_full(self, tmp_path: Path, small_disk: Path) -> None:
        free = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize - 8192))
        with pytest.raises(UserError, match=r"^--data_cache_dir: .* \(no space left on device\)"):
            ensured(small_data_set(tmp_path / "data", sequences=20), small_disk)
        assert not list(small_disk.glob("*.h5"))

    def test_that_is_read_only_serves_what_it_has(self, tmp_path: Path, small_disk: Path) -> None:
        data = small_data_set(tmp_path / "data")
        ensured(data, small_disk)
        (small_disk / "small.otb.json").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        index, messages = ensured(data, small_disk)
        assert (index.num_videos, messages) == (3, [])
        (data / "Seq0" / "groundtruth_rect.txt").write_text("7,7,7,7\n" * 4)
        with pytest.raises(UserError, match=r"^--data_cache_dir: .*Read-only file system"):
            ensured(data, small_disk)


_ENSURE = """
import sys
from pathlib import Path
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import DirectoryTree
import seqtrack.data.indexing.reading as module, time
find = module.find_videos
def find_when_let(name, tree):
    print("building", flush=True)
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    return find(name, tree)
module.find_videos = find_when_let
say = lambda text: print(text, flush=True)
data, cache = (Path(word) for word in sys.argv[1:3])
index = ensure_index(parse_dataset_name("otb:small"), DirectoryTree(data, "small"), cache, say)
print(index.num_videos, flush=True)
"""


def start(data: Path, cache: Path, let: Path) -> subprocess.Popen[str]:
    """A process that builds the index once ``let`` is there."""
    return subprocess.Popen(
        [sys.executable, "-c", _ENSURE, str(data), str(cache), str(let)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


class TestProcesses:
    def test_of_two_at_once_one_builds_and_the_other_says_for_whom_it_waits(self, tmp_path: Path) -> None:
        data, cache = small_data_set(tmp_path / "data"), tmp_path / "cache"
        both = [start(data, cache, tmp_path / "let") for _ in range(2)]
        said = [process.stdout.readline() for process in both if process.stdout]  # both are there
        (tmp_path / "let").touch()
        printed = [line + process.communicate()[0] for line, process in zip(said, both, strict=True)]
        assert [process.returncode for process in both] == [0, 0]
        together = "".join(printed)
        assert together.count("building\n") == 1
        assert together.count("building the index") == 1
        waiting = [text for text in printed if "waiting for process" in text]
        assert len(waiting) == 1
        builder = both[1 - printed.index(waiting[0])].pid
        assert f"waiting for process {builder} on" in waiting[0]
        assert [text.strip().endswith("3") for text in printed] == [True, True]

    def test_a_builder_that_was_killed_is_succeeded_cleanly(self, tmp_path: Path) -> None:
        data, cache = small_data_set(tmp_path / "data"), tmp_path / "cache"
        process = start(data, cache, tmp_path / "never")
        assert process.stdout is not None
        assert "building the index" in process.stdout.readline()
        assert process.stdout.readline() == "building\n"
        (cache / ".tmp-small.otb-abcdef.h5-1234").write_bytes(b"half an index, as a kill inside the write leaves it")
        process.send_signal(signal.SIGKILL)
        process.wait()
        index, messages = ensured(data, cache)
        assert index.num_videos == 3
        assert messages == [f"otb:small: building the index (there is none yet) from {data}"], "and waits for nobody"
        names = sorted(path.name for path in cache.iterdir())
        assert names == sorted([index.path.name, "small.otb.json", "small.otb.lock"])


class TestPools:
    def index(self, tmp_path: Path, count: int) -> Index:
        writer = IndexWriter()
        for number in range(count):
            track = TrackAnnotation(
                f"v{number}", np.arange(2), np.full((2, 4), number, float), np.ones(2, bool), np.zeros(2, bool)
            )
            writer.add(
                VideoAnnotation(f"v{number}", [f"v{number}/{t}.jpg" for t in (1, 2)], (number + 1, 3), [track])
            )
        writer.write(tmp_path / "pool.h5", "pool", "otb", "", "")
        return open_index(tmp_path / "pool.h5")

    def test_every_video_is_on_one_side(self, tmp_path: Path) -> None:
        index = self.index(tmp_path, 50)
        train, val = (pool_members(index, part, 0.8) for part in ("pool_train", "pool_val"))
        assert (len(train), len(val)) == (40, 10)
        assert sorted(train + val) == list(range(50))
        assert train == sorted(train)
        assert pool_members(index, "pool_train", 0.8, seed=1) != train

    def test_a_video_stays_where_it_is_when_the_share_grows(self, tmp_path: Path) -> None:
        index = self.index(tmp_path, 50)
        assert set(pool_members(index, "pool_train", 0.5)) < set(pool_members(index, "pool_train", 0.6))

    def test_both_sides_have_something_where_they_can(self, tmp_path: Path) -> None:
        assert len(pool_members(self.index(tmp_path, 2), "pool_val", 0.99)) == 1
        with pytest.raises(UserError, match=r"--pool_split: 0.8 of the 1 videos of pool leaves none for pool_val"):
            pool_members(self.index(tmp_path, 1), "pool_val", 0.8)


def test_names_of_two_layouts_do_not_collide(tmp_path: Path) -> None:
    assert CachedIndex(DatasetName("otb", "x"), tmp_path).lock != CachedIndex(DatasetName("vot", "x"), tmp_path).lock


def test_a_size_is_that_of_the_first_picture(tmp_path: Path) -> None:
    write_sequence(tmp_path / "data" / "Seq", [1, 2], boxes_text(2), size=(40, 30))
    (tmp_path / "data" / "Seq" / "img" / "0002.jpg").write_bytes(jpeg(16, 16))
    assert ensured(tmp_path / "data", tmp_path / "cache")[0].video_size(0) == (40, 30)
