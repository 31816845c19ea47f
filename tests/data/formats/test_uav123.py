"""UAV123 and UAV20L: sequences that share a video, and rows of NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqtrack.data.formats.uav123 import LONG, windows
from seqtrack.errors import DataError
from tests.data.layouts import read
from tests.data.single_target_layouts import uav123_files


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return uav123_files()


def test_pieces_are_tracks_of_their_video(files: dict[str, bytes]) -> None:
    videos = {video.name: video for video in read("uav123", files, "uav123")}
    assert sorted(videos) == ["person20", "truck4", "uav6"]
    truck = videos["truck4"]
    assert len(truck.frame_names) == 1261
    assert [(track.name, track.frames[0], track.frames[-1]) for track in truck.tracks] == [
        ("truck4_1", 0, 576),
        ("truck4_2", 576, 1260),
    ]
    assert truck.frame_names[576] == "UAV123/data_seq/UAV123/truck4/000577.jpg"
    assert [track.boxes[0].tolist() for track in truck.tracks] == [[1, 2, 10, 8], [3, 4, 10, 8]]


def test_rows_of_nan_are_absent(files: dict[str, bytes]) -> None:
    (uav6,) = (video for video in read("uav123", files) if video.name == "uav6")
    track = uav6.tracks[0]
    assert track.present.tolist() == [True] * 106 + [False] * 3
    assert np.isnan(track.boxes[106:]).all()


def test_the_long_ones_run_to_the_end_of_the_last_piece(files: dict[str, bytes]) -> None:
    assert windows("uav20l")["bird1"] == ("bird1", 1, 2437)
    (video,) = read("uav123", files, "uav20l")
    assert (video.name, len(video.tracks[0].frames)) == ("person20", 1783)
    assert video.tracks[0].boxes[1].tolist() == [1, 2, 10, 8]
    assert (len(windows("uav123")), len(LONG)) == (123, 20)


def test_frames_missing_from_a_piece(files: dict[str, bytes]) -> None:
    fewer = {name: data for name, data in files.items() if not name.endswith("truck4/000600.jpg")}
    with pytest.raises(DataError, match=r"truck4_2.txt, row 24: frame 600 is not among the 1260 frames there"):
        read("uav123", fewer)


def test_a_piece_with_a_row_too_few(files: dict[str, bytes]) -> None:
    truth = "UAV123/anno/UAV123/truck4_2.txt"
    with pytest.raises(DataError, match=r"truck4_2.txt: 684 rows for frames 577 to 1261; rows and frames must match"):
        read("uav123", files | {truth: b"4,5,10,8\n" * 684})


def test_real_annotations_fit_the_windows(shared: Path) -> None:
    """Counted from 1: none of the real coordinates is less, many are just that."""
    lowest = []
    for part in ("uav123", "uav20l"):
        for name, (_, first, last) in windows(part).items():
            file = shared / "results" / "uav123" / "anno" / f"{name}.txt"
            rows = np.loadtxt(file, delimiter=",")
            assert len(rows) == last - first + 1, file
            lowest.append(np.nanmin(rows[:, :2]))
    assert min(lowest) == 1
