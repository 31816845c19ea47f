"""Frames in, boxes in pixels of the original image out, whatever size the tracker sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqtrack.data.geometry import centers, iou
from seqtrack.errors import TrialError
from seqtrack.tracking.sequence import track_sequence
from seqtrack.tracking.static import OracleTracker, StaticTracker

TRUTH = np.array([[100.0 + 7 * t, 80.0 - 2 * t, 40.0 + t, 31.5 - t / 2] for t in range(20)])


def frames(width: int, height: int, count: int = 20) -> Iterator[NDArray[np.uint8]]:
    return (np.full((height, width, 3), t, np.uint8) for t in range(count))


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
    track = track_sequence(OracleTracker(TRUTH, (640, 480)), frames(*stored), TRUTH[0], (640, 480), view)
    assert np.abs(centers(track.boxes) - centers(TRUTH)).max() < 1e-9
    assert iou(track.boxes, TRUTH).min() > 1 - 1e-9
    assert track.boxes.shape == (20, 4) and track.boxes.dtype == np.float64


def test_the_tracker_sees_the_view_and_the_box_in_it() -> None:
    tracker = Recorder()
    track_sequence(tracker, frames(640, 480, 3), (64, 48, 32, 24), (640, 480), (320, 480))
    assert tracker.seen == [
        ((480, 320, 3), [32.0, 48.0, 16.0, 24.0]),
        ((480, 320, 3), 1),
        ((480, 320, 3), 2),
    ]


def test_the_first_box_is_the_given_one_and_a_static_box_never_moves() -> None:
    track = track_sequence(StaticTracker(), frames(360, 360, 5), TRUTH[0], (640, 480))
    np.testing.assert_allclose(track.boxes, np.repeat(TRUTH[:1], 5, axis=0))
    assert np.array_equal(track.boxes[0], TRUTH[0])
    assert np.isnan(track.scores[0]) and (track.scores[1:] == 1).all()
    assert track.seconds > 0


def test_frames_are_read_one_at_a_time() -> None:
    drawn: list[int] = []

    def lazy() -> Iterator[NDArray[np.uint8]]:
        for t, frame in enumerate(frames(64, 64, 3)):
            assert len(tracker.seen) == t
            drawn.append(t)
            yield frame

    tracker = Recorder()
    track_sequence(tracker, lazy(), (1, 1, 5, 5), (64, 64))
    assert drawn == [0, 1, 2]


def test_no_frames_give_no_boxes() -> None:
    track = track_sequence(StaticTracker(), iter([]), (0, 0, 1, 1), (64, 64))
    assert track.boxes.shape == (0, 4) and track.scores.shape == (0,)


def test_a_tracker_that_answers_nan_fails_the_trial_and_says_where() -> None:
    class Diverged(StaticTracker):
        def update(self, frame: Any) -> Any:
            return np.full(4, np.nan), 0.0

    with pytest.raises(TrialError, match=r"frame 1 of the sequence: the weights may have diverged"):
        track_sequence(Diverged(), frames(64, 64, 3), (1, 1, 5, 5), (64, 64))


def test_an_oracle_can_be_started_again() -> None:
    oracle = OracleTracker(TRUTH[5:], (640, 480))
    for _ in range(2):
        track = track_sequence(oracle, frames(640, 480, 15), TRUTH[5], (640, 480))
        np.testing.assert_allclose(track.boxes, TRUTH[5:])
