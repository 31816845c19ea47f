"""Videos are checked by reading them back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.reporting.video import PREDICTION_COLOUR, TRUTH_COLOUR, draw_boxes, write_video


def grey(count: int, width: int = 96, height: int = 64) -> Iterator[np.ndarray]:
    return (np.full((height, width, 3), 90, np.uint8) for _ in range(count))


def boxes(count: int, x: float, y: float = 24, side: float = 20) -> np.ndarray:
    return np.tile([x, y, side, side], (count, 1)).astype(np.float64)


def read_back(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    images = []
    while True:
        ok, image = capture.read()
        if not ok:
            return images
        images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def test_truth_is_green_and_the_prediction_red(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "v.mp4"
    assert write_video(path, grey(12), boxes(12, 10), boxes(12, 60), fps=10) == 12
    images = read_back(path)
    assert len(images) == 12 and images[0].shape == (64, 96, 3)
    green, red = images[6][34, 10].astype(int), images[6][34, 60].astype(int)
    assert green[1] > green[0] + 40 and green[1] > green[2] + 40
    assert red[0] > red[1] + 40 and red[0] > red[2] + 40
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert [item.name for item in path.parent.iterdir()] == ["v.mp4"], "no temporary file is left"


def test_boxes_of_the_original_are_drawn_where_the_resized_frame_has_them(tmp_path: Path) -> None:
    keep = tmp_path / "frames"
    write_video(
        tmp_path / "v.mp4", grey(1), boxes(1, 96, 96, 40), boxes(1, 130, 96, 40), original_size=(192, 256),
        keep_frames=keep, frame_numbers=[41],
    )  # fmt: skip
    (path,) = keep.iterdir()
    assert path.name == "000041.jpg"
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(int)
    # half the width, a quarter of the height: x 96 -> 48, y 96 .. 136 -> 24 .. 34
    assert image[29, 48, 1] > image[29, 48, 0] + 40
    assert abs(image[29, 44] - 90).max() < 25


def test_a_box_is_drawn_to_the_pixel() -> None:
    (image,) = grey(1)
    drawn = draw_boxes(image, np.array([40.0, 30.0, 20.0, 10.0]), None, "")
    assert [tuple(drawn[y, x]) for y, x in ((30, 40), (40, 60), (35, 40))] == [TRUTH_COLOUR] * 3
    assert tuple(drawn[35, 50]) == (90, 90, 90)
    assert (image == 90).all(), "the frame itself is left as it was"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, -1e300])
def test_a_box_that_cannot_be_drawn_does_no_harm(tmp_path: Path, bad: float) -> None:
    pred = np.array([[bad, 10, 20, 20], [10, 10, 20, 20.0]])
    assert write_video(tmp_path / "v.mp4", grey(2), np.full((2, 4), np.nan), pred) == 2


@pytest.mark.parametrize("size", [(97, 65), (7, 5)])
def test_odd_and_tiny_frames_are_padded_not_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    write_video(tmp_path / "v.mp4", grey(3, *size), boxes(3, 1), boxes(3, 2))
    height, width = read_back(tmp_path / "v.mp4")[0].shape[:2]
    assert width >= size[0] and height >= size[1] and width % 2 == height % 2 == 0


def test_an_error_midway_leaves_the_old_video(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, grey(3), boxes(3, 10), boxes(3, 60))
    before = path.read_bytes()

    def torn() -> Iterator[np.ndarray]:
        yield from grey(2)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        write_video(path, torn(), boxes(3, 10), boxes(3, 60))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["v.mp4"]


@pytest.mark.parametrize("count", [2, 4])
def test_frames_and_boxes_must_be_equally_many(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="frames"):
        write_video(tmp_path / "v.mp4", grey(count), boxes(3, 10), boxes(3, 60))
    assert list(tmp_path.iterdir()) == []


def test_real_video(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "otb" / "Crossing"
    files = sorted((folder / "img").glob("*.jpg"))[:30]
    lines = (folder / "groundtruth_rect.txt").read_text().splitlines()[:30]
    truth = np.array([[float(cell) for cell in re.split(r"[,\s]+", line.strip())] for line in lines]) - [
        1,
        1,
        0,
        0,
    ]
    frames = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files)
    assert write_video(tmp_path / "v.mp4", frames, truth, truth + 5.0) == 30
    images = read_back(tmp_path / "v.mp4")
    assert len(images) == 30
    original = cv2.cvtColor(cv2.imread(str(files[20])), cv2.COLOR_BGR2RGB)
    assert np.abs(images[20][100:, 200:].astype(int) - original[100:, 200:]).mean() < 12, "the picture is the frame"
    assert PREDICTION_COLOUR != TRUTH_COLOUR
