"""GOT-10k: absence and cover, categories, the test part's single box, and what its toolkit reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqtrack.errors import DataError
from tests.data.layouts import Summary, manifest_bytes, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip

META = """[METAINFO]
url: https://youtu.be/0
begin: 00:00:29
end: 00:00:39
anno_fps: 10Hz
object_class: jet plane
motion_class: gliding
major_class: vehicle
root_class: artifact
motion_adverb: fast
resolution: (32, 24)
"""


def write_sequence(folder: Path, boxes: str, absence: str = "", cover: str = "", frames: int = 3) -> Path:
    """A sequence as the archives hold it; of the test part without labels of absence and cover."""
    write_frames(folder, range(1, frames + 1))
    write_text(folder / "groundtruth.txt", boxes)
    write_text(folder / "meta_info.ini", META)
    for name, text in {"absence": absence, "cover": cover, "cut_by_image": absence}.items():
        if text:
            write_text(folder / f"{name}.label", text)
    return folder


@pytest.fixture
def got10k(tmp_path: Path) -> Path:
    root = tmp_path / "GOT-10k"
    for split in ("Train", "Val"):
        for number in (1, 2):
            boxes = f"{number}.0000,2.0000,3.5000,4.0000\n5.0000,6.0000,7.0000,8.0000\n0.0000,0.0000,9.0000,9.0000\n"
            folder = root / split.lower() / f"GOT-10k_{split}_00000{number}"
            write_sequence(folder, boxes, absence="0\n0\n1\n", cover="8\n4\n0\n")
    write_sequence(root / "test" / "GOT-10k_Test_000001", "1.0000,2.0000,3.0000,4.0000\n")
    write_text(root / "train" / "list.txt", "GOT-10k_Train_000002\nGOT-10k_Train_000001\n")
    write_text(root / "val" / "list.txt", "GOT-10k_Val_000001\nGOT-10k_Val_000002\n")
    write_text(root / "test" / "list.txt", "GOT-10k_Test_000001\n")
    return root


def test_the_parts_hold_what_their_lists_say_in_their_order(got10k: Path) -> None:
    assert summary(read("got10k", got10k, "train")) == Summary(videos=2, tracks=2, frames=6, boxes=6, absent=2)
    assert summary(read("got10k", got10k, "val")) == Summary(videos=2, tracks=2, frames=6, boxes=6, absent=2)
    assert summary(read("got10k", got10k, "test")) == Summary(videos=1, tracks=1, frames=3, boxes=1, absent=0)
    assert summary(read("got10k", got10k)) == Summary(videos=5, tracks=5, frames=15, boxes=13, absent=4)
    names = [video.name for video in read("got10k", got10k, "train")]
    assert names == ["GOT-10k_Train_000002", "GOT-10k_Train_000001"]


def test_a_tar_and_its_index_hold_the_same(got10k: Path, tmp_path: Path) -> None:
    assert_round_trip("got10k", got10k, "val", tmp_path / "packed")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_part_may_also_be_the_folder_itself(got10k: Path, part: str) -> None:
    alone, within = read("got10k", got10k / part, part), read("got10k", got10k, part)
    assert [video.name for video in alone] == [video.name for video in within]
    assert within[0].frame_names == [f"{part}/{name}" for name in alone[0].frame_names]


def test_coordinates_are_taken_as_they_are_and_boxes_of_absent_targets_too(got10k: Path) -> None:
    video = read("got10k", got10k, "val")[0]
    track = video.tracks[0]
    assert track.boxes.tolist() == [[1, 2, 3.5, 4], [5, 6, 7, 8], [0, 0, 9, 9]]
    assert track.frames.tolist() == [0, 1, 2]
    assert (video.size, video.frame_names[0]) == ((32, 24), "val/GOT-10k_Val_000001/00000001.jpg")


def test_cover_in_eighths_is_the_visibility(got10k: Path) -> None:
    track = read("got10k", got10k, "val")[0].tracks[0]
    assert track.visibility is not None
    assert track.visibility.tolist() == [1, 0.5, 0]
    assert track.present.tolist() == [True, True, False]
    assert track.occluded.tolist() == [False, True, False]


def test_cover_of_0_means_absent_even_where_absence_says_nothing(tmp_path: Path) -> None:
    write_sequence(tmp_path / "GOT-10k_Val_000001", "1,2,3,4\n" * 3, absence="0\n0\n0\n", cover="8\n0\n1\n")
    assert read("got10k", tmp_path, "val")[0].tracks[0].present.tolist() == [True, False, True]


def test_the_visibility_is_the_cover_alone_which_the_toolkit_counts_by(tmp_path: Path) -> None:
    write_sequence(tmp_path / "GOT-10k_Val_000001", "1,2,3,4\n" * 3, absence="0\n1\n1\n", cover="8\n5\n0\n")
    track = read("got10k", tmp_path, "val")[0].tracks[0]
    assert track.visibility is not None and track.visibility.tolist() == [1, 5 / 8, 0]
    assert track.present.tolist() == [True, False, False] and not track.occluded.any()


def test_the_box_of_an_absent_target_may_be_anything(tmp_path: Path) -> None:
    rows = "1,2,3,4\n-1,-1,-1,-1\n0,0,999,999\n"
    write_sequence(tmp_path / "GOT-10k_Val_000001", rows, absence="0\n1\n1\n", cover="8\n0\n0\n")
    track = read("got10k", tmp_path, "val")[0].tracks[0]
    assert track.boxes[1:].tolist() == [[-1, -1, -1, -1], [0, 0, 999, 999]]
    assert track.present.tolist() == [True, False, False]


def test_the_category_is_the_object_class(got10k: Path) -> None:
    assert {video.tracks[0].category for video in read("got10k", got10k)} == {"jet plane"}
    (got10k / "val" / "GOT-10k_Val_000001" / "meta_info.ini").unlink()
    assert read("got10k", got10k, "val")[0].tracks[0].category == ""


def test_without_a_list_all_folders_count_also_inside_those_of_the_archives(got10k: Path) -> None:
    train = got10k / "train"
    (train / "list.txt").unlink()
    (train / "GOT-10k_Train_split_01").mkdir()
    (train / "GOT-10k_Train_000002").rename(train / "GOT-10k_Train_split_01" / "GOT-10k_Train_000002")
    videos = read("got10k", got10k, "train")
    assert [video.name for video in videos] == ["GOT-10k_Train_000001", "GOT-10k_Train_000002"]
    assert videos[1].frame_names[0] == "train/GOT-10k_Train_split_01/GOT-10k_Train_000002/00000001.jpg"


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_the_publishers_toolkit_reads_the_same(got10k: Path, part: str) -> None:
    datasets = pytest.importorskip("got10k.datasets")
    theirs = datasets.GOT10k(str(got10k), part)
    ours = read("got10k", got10k, part)
    assert [video.name for video in ours] == theirs.seq_names
    for video, (files, boxes) in zip(ours, theirs, strict=True):
        assert [str(got10k / name) for name in video.frame_names] == files
        np.testing.assert_array_equal(video.tracks[0].boxes, boxes)


def test_sizes_of_a_preprocessed_version_come_from_its_manifest(got10k: Path) -> None:
    sizes = {f"GOT-10k_Val_00000{number}": (1920, 1080) for number in (1, 2)}
    (got10k / "val" / "seqtrack-manifest.json").write_bytes(manifest_bytes("got10k", sizes))
    assert {video.size for video in read("got10k", got10k / "val", "val")} == {(1920, 1080)}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "groundtruth.txt",
            "1,2,3,4\n1,2,-3,4\n1,2,3,4\n",
            "groundtruth.txt, row 2: box x=1 y=2 width=-3",
        ),
        (
            "groundtruth.txt",
            "1,2,3,4\n1,nan,3,4\n1,2,3,4\n",
            "groundtruth.txt, row 2: box x=1 y=nan width=3",
        ),
        ("groundtruth.txt", "1,2,3,4\n", "groundtruth.txt: 1 rows for 3 frames"),
        ("groundtruth.txt", "1,2,3,4\n1,2,3\n1,2,3,4\n", "groundtruth.txt, row 2: 3 numbers where 4 are expected"),
        ("absence.label", "0\n0\n", "absence.label: 2 rows for 3 frames"),
        ("absence.label", "0\n2\n0\n", "absence.label, row 2: 2 is not a number from 0 to 1"),
        ("cover.label", "8\n8\n9\n", "cover.label, row 3: 9 is not a number from 0 to 8"),
        ("cover.label", "8\n8\n0.5\n", "cover.label, row 3: 0.5 is not a number from 0 to 8"),
        ("cover.label", "8\nx\n0\n", "cover.label, row 2: 'x' is not 1 numbers"),
    ],
)
def test_a_mistake_in_a_file_is_named(got10k: Path, file: str, text: str, message: str) -> None:
    folder = got10k / "val" / "GOT-10k_Val_000001"
    write_text(folder / file, text)
    with pytest.raises(DataError) as caught:
        read("got10k", got10k, "val")
    assert str(caught.value).startswith(f"{folder}/{message}")


def test_what_is_missing_is_named(got10k: Path) -> None:
    write_text(got10k / "val" / "list.txt", "GOT-10k_Val_000001\nGOT-10k_Val_000009\n")
    with pytest.raises(DataError, match=r"val/list.txt, row 2: sequence 'GOT-10k_Val_000009' is not there"):
        read("got10k", got10k, "val")
    (got10k / "train" / "GOT-10k_Train_000001" / "groundtruth.txt").unlink()
    with pytest.raises(DataError, match=r"GOT-10k_Train_000001: no groundtruth.txt; expected"):
        read("got10k", got10k, "train")
    for frame in (got10k / "test" / "GOT-10k_Test_000001").glob("*.jpg"):
        frame.unlink()
    with pytest.raises(DataError, match=r"GOT-10k_Test_000001: no frames; expected NNNNNNNN.jpg"):
        read("got10k", got10k, "test")
