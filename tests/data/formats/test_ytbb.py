"""YouTube-BB: one table, pictures of what YouTube still has, coordinates relative to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.formats.ytbb import _rows
from seqtrack.errors import DataError
from tests.data.layouts import Summary, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip

TABLE = (
    "AAB6lO-XiKE,0,7,cat,0,present,0.25,0.5,0.5,0.75\n"
    "AAB6lO-XiKE,1000,7,cat,0,absent,-1.0,-1.0,-1.0,-1.0\n"
    "AAB6lO-XiKE,2000,7,cat,0,present,0.0,1.0,0.0,1.0\n"
    "AAB6lO-XiKE,10000,7,cat,0,present,0.125,0.25,0.5,0.75\n"
    "AAB6lO-XiKE,0,7,cat,1,present,0.25,0.5,0.5,0.75\n"
    "b_-_0000000,3000,19,dog,0,present,0.25,0.5,0.5,0.75\n"
    "gone0000000,3000,19,dog,0,present,0.25,0.5,0.5,0.75\n"
)


@pytest.fixture
def ytbb(tmp_path: Path) -> Path:
    """Three segments of which pictures are there, one that YouTube has lost; an absent row without a picture."""
    root = tmp_path / "ytbb"
    write_text(root / "yt_bb_detection_train.csv", TABLE)
    train = root / "yt_bb_detection_train"
    write_frames(train / "7", [0, 2000, 10000], "AAB6lO-XiKE_{}_7_0.jpg")
    write_frames(train / "7", [0], "AAB6lO-XiKE+7+1+{}.jpg")
    write_frames(train / "19", [3000], "b_-_0000000_{}_19_0.jpg")
    write_text(root / "yt_bb_detection_validation.csv", TABLE.splitlines()[5] + "\n")
    write_frames(root / "yt_bb_detection_validation" / "19", [3000], "b_-_0000000_{}_19_0.jpg")
    return root


def test_the_parts(ytbb: Path) -> None:
    assert summary(read("ytbb", ytbb, "train")) == Summary(videos=3, tracks=3, frames=5, boxes=5, absent=0)
    assert summary(read("ytbb", ytbb, "val")) == Summary(videos=1, tracks=1, frames=1, boxes=1, absent=0)
    assert summary(read("ytbb", ytbb)) == Summary(videos=4, tracks=4, frames=6, boxes=6, absent=0)


def test_a_tar_and_its_index_hold_the_same(ytbb: Path, tmp_path: Path) -> None:
    assert_round_trip("ytbb", ytbb, "train", tmp_path / "packed")


def test_shares_of_the_picture_become_pixels(ytbb: Path) -> None:
    video = read("ytbb", ytbb, "train")[0]
    assert video.size == (32, 24)
    assert video.tracks[0].boxes.tolist() == [[8, 12, 8, 6], [0, 0, 32, 24], [4, 12, 4, 6]]


def test_a_segment_is_a_video_in_the_order_of_time(ytbb: Path) -> None:
    videos = read("ytbb", ytbb, "train")
    assert [video.name for video in videos] == ["AAB6lO-XiKE+7+0", "AAB6lO-XiKE+7+1", "b_-_0000000+19+0"]
    assert [video.tracks[0].category for video in videos] == ["cat", "cat", "dog"]
    times = [name.split("_")[-3] for name in videos[0].frame_names]
    assert times == ["0", "2000", "10000"]


def test_the_class_none_is_no_category(ytbb: Path) -> None:
    write_text(ytbb / "yt_bb_detection_train.csv", TABLE.replace(",cat,", ",none,"))
    assert [video.tracks[0].category for video in read("ytbb", ytbb, "train")] == ["", "", "dog"]


def test_names_that_the_other_tool_gives_are_found(ytbb: Path) -> None:
    assert read("ytbb", ytbb, "train")[1].frame_names == ["yt_bb_detection_train/7/AAB6lO-XiKE+7+1+0.jpg"]


def test_a_picture_of_an_absent_target_is_a_frame_without_a_box(ytbb: Path) -> None:
    write_frames(ytbb / "yt_bb_detection_train" / "7", [1000], "AAB6lO-XiKE_{}_7_0.jpg")
    track = read("ytbb", ytbb, "train")[0].tracks[0]
    assert track.present.tolist() == [True, False, True, True]
    assert str(track.boxes[1]) == "[nan nan nan nan]"


def test_rows_of_the_header_and_blank_ones_are_no_labels(ytbb: Path) -> None:
    header = "youtube_id,timestamp_ms,class_id,class_name,object_id,object_presence,xmin,xmax,ymin,ymax\n"
    write_text(ytbb / "yt_bb_detection_train.csv", header + TABLE + "\n\n")
    assert len(read("ytbb", ytbb, "train")) == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,0,7,cat,0,present,0.2,0.5,0.5", "9 columns where 10 are expected"),
        ("v,0,7,cat,0,present,0.2,0.5,0.5,x", "'v,0,7,cat,0,present,0.2,0.5,0.5,x' has no number where one"),
        ("v,0.5,7,cat,0,present,0.2,0.5,0.5,0.7", "has no number where one is expected"),
        (
            "v,0,7,cat,0,here,0.2,0.5,0.5,0.7",
            "class '7', object '0', 'here'; expected two numbers and one of present",
        ),
        ("v,0,../7,cat,0,present,0.2,0.5,0.5,0.7", "class '../7'"),
        ("v,0,7,cat,0,present,0.5,0.2,0.5,0.7", "xmin, xmax, ymin, ymax are 0.5, 0.2, 0.5, 0.7, not a box"),
        ("v,0,7,cat,0,present,nan,0.2,0.5,0.7", "xmin, xmax, ymin, ymax are nan, 0.2, 0.5, 0.7, not a box"),
    ],
)
def test_a_mistake_names_the_row(ytbb: Path, row: str, message: str) -> None:
    table = ytbb / "yt_bb_detection_train.csv"
    write_text(table, TABLE + row + "\n")
    with pytest.raises(DataError) as caught:
        read("ytbb", ytbb, "train")
    assert str(caught.value).startswith(f"{table}, row 8: ")
    assert message in str(caught.value)


def test_scattered_rows_of_a_segment_are_a_mistake(ytbb: Path) -> None:
    write_text(ytbb / "yt_bb_detection_train.csv", TABLE + TABLE.splitlines()[0] + "\n")
    with pytest.raises(DataError, match=r"rows of AAB6lO-XiKE\+7\+0 do not follow each other; sort the table"):
        read("ytbb", ytbb, "train")


def test_without_pictures_there_is_nothing(ytbb: Path) -> None:
    (ytbb / "yt_bb_detection_validation" / "19" / "b_-_0000000_3000_19_0.jpg").unlink()
    with pytest.raises(DataError, match="no sequence in the ytbb layout here; expected yt_bb_detection_<train"):
        read("ytbb", ytbb, "val")


@given(st.binary(max_size=60))
def test_any_bytes_give_rows_or_a_data_error(data: bytes) -> None:
    try:
        list(_rows(TABLE.encode()[:60] + data, "x.csv"))
    except DataError as error:
        assert str(error).startswith("x.csv, row ")


def test_a_box_beyond_its_picture_is_a_mistake(ytbb: Path) -> None:
    write_text(ytbb / "yt_bb_detection_train.csv", TABLE.replace("0.0,1.0,0.0,1.0", "0.0,1.0,0.0,1.25"))
    with pytest.raises(
        DataError, match=r"beyond the frame of 32x24 \(width and height swapped\?\) \(box 0 0 32 30 of"
    ):
        read("ytbb", ytbb, "train")
