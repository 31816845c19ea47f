"""Frames in, boxes in pixels of the original image out, whatever size the tracker sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqtrack.data.geometry import centers, iou
from seqtrack.errors import TrialError
from seqtrack.tracking.base import Tracker
from seqtrack.tracking.courses import OnePass, Supervised
from seqtrack.tracking.sequence import TrackedRun, track
from seqtrack.tracking.static import OracleTracker, StaticTracker

TRUTH = np.array([[100.0 + 7 * t, 80.0 - 2 * t, 40.0 + t, 31.5 - t / 2] for t in range(20)])


def frame(width: int, height: int, position: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), position, np.uint8)


def tracked(
    tracker: Tracker,
    stored: tuple[int, int],
    init_box: Any,
    original_size: tuple[int, int],
    view_size: tuple[int, int] | None = None,
    count: int = 20,
) -> TrackedRun:
    """One pass over so many frames of the ``stored`` size."""
    run = TrackedRun(OnePass(count, init_box), lambda t: frame(*stored, t), original_size, view_size)
    assert list(track(tracker, run)) == [1] * count
    return run


class Recorder(StaticTracker):
    """Notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def init(self, frame: Any, box: Any) -> None:
        super().init(frame, box)
        self.seen.append((frame.shape, list(box)))

    def update(self, frame: Any) -> Any:
        self.seen.append((frame.shape, int(frame[0, 0, 0])))
        return super().update(frame)


# Native frames; frames resized by us; frames that were stored resized (preproc), with and without another resize.
@pytest.mark.parametrize(
    ("stored", "view"), [((640, 480), None), ((640, 480), (360, 360)), ((360, 360), None), ((360, 360), (200, 300))]
)
def test_an_oracle_scores_within_a_pixel_at_any_view_size(
    stored: tuple[int, int], view: tuple[int, int] | None
) -> None:
    boxes = tracked(OracleTracker(TRUTH, (640, 480)), stored, TRUTH[0], (640, 480), view).course.boxes
    assert np.abs(centers(boxes) - centers(TRUTH)).max() < 1e-9
    assert iou(boxes, TRUTH).min() > 1 - 1e-9
    assert boxes.shape == (20, 4) and boxes.dtype == np.float64


def test_the_tracker_sees_the_view_and_the_box_in_it() -> None:
    tracker = Recorder()
    tracked(tracker, (640, 480), (64, 48, 32, 24), (640, 480), (320, 480), count=3)
    assert tracker.seen == [
        ((480, 320, 3), [32.0, 48.0, 16.0, 24.0]),
        ((480, 320, 3), 1),
        ((480, 320, 3), 2),
    ]


def test_the_first_box_is_the_given_one_and_a_static_box_never_moves() -> None:
    run = tracked(StaticTracker(), (360, 360), TRUTH[0], (640, 480), count=5)
    np.testing.assert_allclose(run.course.boxes, np.repeat(TRUTH[:1], 5, axis=0))
    assert np.array_equal(run.course.boxes[0], TRUTH[0])
    assert np.isnan(run.course.scores[0]) and (run.course.scores[1:] == 1).all()
    assert run.seconds > 0


def test_frames_are_read_one_at_a_time() -> None:
    drawn: list[int] = []

    def lazy(position: int) -> NDArray[np.uint8]:
        assert len(tracker.seen) == position
        drawn.append(position)
        return frame(64, 64, position)

    tracker = Recorder()
    steps: Iterator[int] = track(tracker, TrackedRun(OnePass(3, (1, 1, 5, 5)), lazy, (64, 64)))
    for position in range(3):
        assert next(steps) == 1
        assert drawn == list(range(position + 1))
    assert list(steps) == []


def test_frames_that_a_course_leaves_out_are_not_read_and_count_as_done() -> None:
    drawn: list[int] = []

    def read(position: int) -> NDArray[np.uint8]:
        drawn.append(position)
        return frame(64, 64, position)

    truth = np.tile([1.0, 1, 5, 5], (9, 1))
    course = Supervised(truth, [False, *[True] * 8], lambda position, box: float(position != 2))
    assert list(track(StaticTracker(), TrackedRun(course, read, (64, 64)))) == [2, 5, 1, 1]
    assert drawn == [1, 2, 7, 8]


def test_no_frames_give_no_boxes() -> None:
    course = tracked(StaticTracker(), (64, 64), (0, 0, 1, 1), (64, 64), count=0).course
    assert course.boxes.shape == (0, 4) and course.scores.shape == (0,)


def test_a_tracker_that_answers_nan_fails_the_trial_and_says_where() -> None:
    class Diverged(StaticTracker):
        def update(self, frame: Any) -> Any:
            return np.full(4, np.nan), 0.0

    with pytest.raises(
        TrialError, match=r"frame 1 of the sequence: the tracker answered .*: the weights may have diverged"
    ):
        tracked(Diverged(), (64, 64), (1, 1, 5, 5), (64, 64), count=3)


def test_an_oracle_can_be_started_again() -> None:
    oracle = OracleTracker(TRUTH[5:], (640, 480))
    for _ in range(2):
        run = tracked(oracle, (640, 480), TRUTH[5], (640, 480), count=15)
        np.testing.assert_allclose(run.course.boxes, TRUTH[5:])
