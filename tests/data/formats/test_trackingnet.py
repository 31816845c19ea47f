"""TrackingNet: subsets, unpadded frames from 0 on, others' class files, the test part's one box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqtrack.errors import DataError
from tests.data.layouts import Summary, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip


def write_video(subset: Path, video: str, boxes: str, frames: int) -> None:
    write_frames(subset / "frames" / video, range(frames), "{}.jpg")
    write_text(subset / "anno" / f"{video}.txt", boxes)


@pytest.fixture
def trackingnet(tmp_path: Path) -> Path:
    root = tmp_path / "TrackingNet"
    boxes = "".join(f"{t}.5,2.0,{t + 3},4.25\n" for t in range(11))
    for video in ("TRAIN_0/-3TIfnTSM6c_2", "TRAIN_0/a-M2_3j67qI_4", "TRAIN_2/b_0", "TRAIN_10/c_0"):
        subset, _, name = video.partition("/")
        write_video(root / subset, name, boxes, frames=11)
    write_video(root / "TEST", "z_0", "7.0,8.0,9.0,10.0\n", frames=3)
    return root


def test_the_parts(trackingnet: Path) -> None:
    videos = read("trackingnet", trackingnet, "train")
    assert summary(videos) == Summary(videos=4, tracks=4, frames=44, boxes=44, absent=0)
    # TRAIN_2 before TRAIN_10.
    assert [video.name for video in videos] == ["-3TIfnTSM6c_2", "a-M2_3j67qI_4", "b_0", "c_0"]
    assert summary(read("trackingnet", trackingnet, "test")) == Summary(1, 1, frames=3, boxes=1, absent=0)
    assert summary(read("trackingnet", trackingnet)) == Summary(5, 5, frames=47, boxes=45, absent=0)


def test_a_tar_and_its_index_hold_the_same(trackingnet: Path, tmp_path: Path) -> None:
    assert_round_trip("trackingnet", trackingnet, "", tmp_path / "packed")


def test_frames_are_ordered_as_numbers_and_coordinates_taken_as_they_are(trackingnet: Path) -> None:
    video = read("trackingnet", trackingnet, "train")[0]
    assert video.frame_names == [f"TRAIN_0/frames/-3TIfnTSM6c_2/{t}.jpg" for t in range(11)]
    assert video.tracks[0].boxes[[0, 10]].tolist() == [[0.5, 2, 3, 4.25], [10.5, 2, 13, 4.25]]


def test_only_the_first_frame_of_a_test_video_is_labelled(trackingnet: Path) -> None:
    (video,) = read("trackingnet", trackingnet, "test")
    assert (video.tracks[0].frames.tolist(), video.tracks[0].boxes.tolist()) == ([0], [[7, 8, 9, 10]])
    assert len(video.frame_names) == 3


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("trackingnet_classmap.txt", "-3TIfnTSM6c_2\tumbrella\na-M2_3j67qI_4\tpotted plant\nb_0\tnone\n"),
        ("TRAIN_0_classinfo.txt", "-3TIfnTSM6c_2,21\na-M2_3j67qI_4,9\nb_0,-1\n"),
        ("TrackingNet_class_info/TRAIN_0_classinfo.txt", "-3TIfnTSM6c_2,21\na-M2_3j67qI_4,9\nb_0,22\n"),
    ],
)
def test_categories_come_from_the_class_files_of_pytracking_or_pysiamtracking(
    trackingnet: Path, file: str, text: str
) -> None:
    assert {video.tracks[0].category for video in read("trackingnet", trackingnet)} == {""}
    write_text(trackingnet / file, text)
    categories = [video.tracks[0].category for video in read("trackingnet", trackingnet)]
    assert categories == ["umbrella", "potted plant", "", "", ""]


@pytest.mark.parametrize("subset", ["train", "test"])
def test_got10k_finds_the_same_boxes(trackingnet: Path, subset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its version 0.1.3 only the list works: it looks for frames beside ``frames/``."""
    datasets = pytest.importorskip("got10k.datasets")
    monkeypatch.setattr(datasets.TrackingNet, "_check_integrity", lambda *_: None)
    theirs = datasets.TrackingNet(str(trackingnet), subset)
    # It sorts paths, so that TRAIN_10 comes before TRAIN_2.
    ours = {video.name: video for video in read("trackingnet", trackingnet, subset)}
    assert sorted(ours) == sorted(theirs.seq_names)
    for name, file in zip(theirs.seq_names, theirs.anno_files, strict=True):
        np.testing.assert_array_equal(ours[name].tracks[0].boxes, np.loadtxt(file, delimiter=",", ndmin=2))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("TRAIN_0/anno/-3TIfnTSM6c_2.txt", "1,2,3,4\n" * 10, ": 10 rows for 11 frames"),
        ("TRAIN_0/anno/-3TIfnTSM6c_2.txt", "1,2,24,32\n" * 11, ", row 1: box x=1 y=2 width=24 height=32: larger"),
        ("TRAIN_0/anno/-3TIfnTSM6c_2.txt", "1,2,3,4\n", ": 1 rows for 11 frames"),
        ("TRAIN_0/anno/-3TIfnTSM6c_2.txt", "1,2,3,?\n", ", row 1: '1,2,3,?' is not 4 numbers"),
        ("TEST/anno/z_0.txt", "1,2,3,4\n" * 2, ": 2 rows for 3 frames"),
        ("trackingnet_classmap.txt", "b_0\tcar\nc_0 car\n", ", row 2: 'c_0 car' where video<tab>class is expected"),
        ("TRAIN_0_classinfo.txt", "b_0,24\n", ", row 1: 'b_0,24' where video,number with a number below 24"),
        ("TRAIN_0_classinfo.txt", "b_0,car\n", ", row 1: 'b_0,car' where video,number"),
    ],
)
def test_a_mistake_in_a_file_is_named(trackingnet: Path, file: str, text: str, message: str) -> None:
    write_text(trackingnet / file, text)
    with pytest.raises(DataError) as caught:
        read("trackingnet", trackingnet)
    assert str(caught.value).startswith(f"{trackingnet / file}{message}")


def test_an_annotation_without_frames_is_a_mistake(trackingnet: Path) -> None:
    write_text(trackingnet / "TRAIN_0" / "anno" / "nowhere_0.txt", "1,2,3,4\n")
    with pytest.raises(DataError, match=r"frames/nowhere_0: no frames for nowhere_0.txt; expected N.jpg there"):
        read("trackingnet", trackingnet)


def test_frames_without_an_annotation_are_a_mistake(trackingnet: Path) -> None:
    (trackingnet / "TRAIN_2" / "anno" / "b_0.txt").unlink()
    with pytest.raises(DataError, match=r"TRAIN_2/frames/b_0: frames but no TRAIN_2/anno/b_0.txt; add it"):
        read("trackingnet", trackingnet)
