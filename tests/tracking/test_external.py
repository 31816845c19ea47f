"""Somebody else's tracker, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqtrack.tracking.external import SURE, ExternalTracker, TrackerError

FRAME = np.zeros((24, 32, 3), np.uint8)


class Saying:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def init(self, image: Any, box: Any) -> None:
        assert image is FRAME and box.tolist() == [1, 2, 3, 4]

    def update(self, image: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def told(answer: Any) -> tuple[list[float], float]:
    tracker = ExternalTracker(Saying(answer), "mine:Saying")
    tracker.init(FRAME, (1, 2, 3, 4))
    box, score = tracker.update(FRAME)
    assert box.shape == (4,) and box.dtype == np.float64
    return box.tolist(), score


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ([1, 2, 3, 4], SURE),
        ((1, 2, 3, 4), SURE),
        (np.array([[1, 2, 3, 4]], np.float32), SURE),
        (([1, 2, 3, 4], 0.25), 0.25),
        ((np.array([1, 2, 3, 4]), np.float32(0.25)), 0.25),
    ],
)
def test_a_box_alone_or_with_a_score(answer: Any, score: float) -> None:
    assert told(answer) == ([1, 2, 3, 4], score)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "1 2 3 4",
        [1, 2, 3],
        [1, 2, 3, float("nan")],
        [1, 2, 3, float("inf")],
        (1, 2),
        ([1, 2, 3, 4], None),
        {},
        [[]],
    ],
)
def test_anything_else_is_no_answer(answer: Any) -> None:
    with pytest.raises(TrackerError, match=r"^mine:Saying answered .* where four numbers x y w h are expected$"):
        told(answer)


def test_what_it_raises_is_one_line_and_its_traceback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TrackerError, match=r"^mine:Saying raised ValueError in update: no idea$"):
        told(ValueError("no\nidea"))
    assert "raise self.answer" in caplog.text


def test_it_has_not_to_end_the_program() -> None:
    with pytest.raises(TrackerError, match=r"^mine:Saying raised SystemExit in update: 0$"):
        told(SystemExit(0))
