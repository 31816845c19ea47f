"""Boxes that cannot be meant are refused whatever the layout; all that benchmarks contain passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.formats import TrackAnnotation, VideoAnnotation, parse_dataset_name, read_videos
from seqtrack.data.formats import checks as checks_module
from seqtrack.data.storage.trees import DirectoryTree
from seqtrack.errors import DataError
from tests.data.otb_layout import write_sequence

SIZE = (320, 240)


def track(*rows: tuple[float, float, float, float], present: list[bool] | None = None) -> TrackAnnotation:
    boxes = np.array(rows, float)
    there = np.ones(len(rows), bool) if present is None else np.array(present)
    return TrackAnnotation("t", np.arange(len(rows)), boxes, there, np.zeros(len(rows), bool))


def mistake(*tracks: TrackAnnotation, within: bool = False) -> tuple[int, int, str] | None:
    return checks_module.find_mistake(VideoAnnotation("v", ["1.jpg"] * 9, SIZE, list(tracks)), within=within)


GOOD = (10, 20, 30, 40)


@pytest.mark.parametrize(
    "rows",
    [
        [GOOD, (-20, -30, 40, 50), (300, 230, 100, 100)],
        [GOOD, (400, 20, 30, 40)],
        [GOOD, (10, 20, 0, 0)],
        [(-5, -5, 350, 260)],
        [(-160, -120, 640, 480)],
    ],
    ids=["sticks out", "outside for a while", "without area", "larger than the frame", "twice the frame"],
)
def test_what_benchmarks_contain_passes(rows: list[tuple[float, float, float, float]]) -> None:
    assert mistake(track(*rows)) is None


def test_where_there_is_no_target_the_box_may_say_anything() -> None:
    nan = float("nan")
    absent = track(GOOD, (nan, nan, nan, nan), (1e6, 0, -1, -1), present=[True, False, False])
    assert mistake(absent) is None
    assert mistake() is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((10, float("nan"), 30, 40), "some of its numbers are missing"),
        ((10, 20, -30, 40), "negative width or height"),
        ((10, 20, 30, -1), "negative width or height"),
        ((1e9, 20, 30, 40), "far beyond the frame of 320x240"),
        ((-101 * 320, 20, 30, 40), "far beyond the frame of 320x240"),
        ((10, 20, 1e200, 1e200), "more than twice the frame of 320x240"),
        ((-300, 20, 641, 40), "more than twice the frame of 320x240"),
        ((10, -200, 30, 481), "more than twice the frame of 320x240"),
    ],
)
def test_what_cannot_be_meant(row: tuple[float, float, float, float], words: str) -> None:
    assert mistake(track(GOOD), track(GOOD, GOOD, row, GOOD, GOOD)) == (1, 2, words)


@pytest.mark.parametrize(
    "row", [(10, 10, 150, 300), (300, 10, 60, 20), (10, -25, 30, 40), (-33, 10, 40, 40)],
    ids=["swapped sides", "swapped place", "above", "left"],
)  # fmt: skip
def test_where_annotators_drew_in_the_picture_no_box_leaves_it(row: tuple[float, float, float, float]) -> None:
    absent = track(row, GOOD, present=[False, True])
    edges = track((-1, -1, 322, 242), (-30, 20, 60, 30), (300, 200, 50, 60))
    assert mistake(absent, edges, within=True) is None
    assert mistake(track(GOOD, row)) is None
    assert mistake(track(GOOD), track(GOOD, row), within=True) == (
        1, 1, "beyond the frame of 320x240 (width and height swapped?)",
    )  # fmt: skip


def test_labels_of_frames_of_another_size() -> None:
    found = mistake(track(GOOD, (400, 300, 30, 40), (500, 100, 30, 40)))
    assert found == (0, 1, "outside of the frame of 320x240, as 2 of 3 boxes of this target")


def test_the_message_names_file_and_row(tmp_path: Path) -> None:
    write_sequence(tmp_path / "Seq", [1, 2, 3], "1,1,8,8\n41,31,8,8\n51,41,8,8\n")
    with pytest.raises(DataError) as caught:
        list(read_videos(parse_dataset_name("otb:data"), DirectoryTree(tmp_path, "data")))
    assert str(caught.value) == (
        f"{tmp_path}/Seq/groundtruth_rect.txt, row 2: outside of the frame of 32x24, as 2 of 3 boxes of this target"
        f" (box 40 30 8 8 of {tmp_path}/Seq/img/0002.jpg)"
    )


EDGES = [float("nan"), -33000.0, -32000.0, -1.0, 0.0, 1.0, 240.0, 320.0, 480.0, 481.0, 640.0, 641.0, 32000.0, 33000.0]


@given(st.lists(st.tuples(*[st.sampled_from(EDGES)] * 4), min_size=1, max_size=3))
def test_what_a_quick_look_passes_no_rule_suspects(rows: list[tuple[float, float, float, float]]) -> None:
    boxes, everywhere = np.array(rows), np.ones(len(rows), bool)
    suspect = checks_module._impossible(boxes, everywhere, SIZE) | checks_module._outside(boxes, SIZE)
    assert checks_module._all_plain(boxes, SIZE) == (not suspect.any())
