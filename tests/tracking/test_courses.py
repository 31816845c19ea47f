"""What a run does next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.tracking.base import Boxes
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED, Course, OnePass, Supervised

WRITTEN = {TRACKED: ".", START: "1", FAILED: "2", SKIPPED: "0"}


def played(course: Course) -> str:
    """Runs to the end and gives the codes, VOT's digits for what is not a plain box."""
    before = -1
    while (step := course.next()) is not None:
        assert course.next().position == step.position  # type: ignore[union-attr]
        assert step.position > before
        before = step.position
        starts = step.init_box is not None
        course.answer(step.init_box if starts else [step.position, 0, 1, 1], float("nan") if starts else 0.5)
    return "".join(WRITTEN[code] for code in course.codes.tolist())


def supervised(overlaps: Sequence[float], present: Sequence[bool] | None = None) -> Supervised:
    def overlap(position: int, box: Boxes) -> float:
        assert box.tolist() == [position, 0, 1, 1]
        return overlaps[position]

    boxes = [[100 + t, 0, 9, 9] for t in range(len(overlaps))]
    return Supervised(boxes, [True] * len(overlaps) if present is None else present, overlap)


def test_one_pass_starts_once() -> None:
    course = OnePass(4, (7, 8, 9, 10))
    assert played(course) == "1..."
    assert course.boxes.tolist() == [[7, 8, 9, 10], [1, 0, 1, 1], [2, 0, 1, 1], [3, 0, 1, 1]]
    np.testing.assert_array_equal(course.scores, [np.nan, 0.5, 0.5, 0.5])
    assert played(OnePass(0, (0, 0, 1, 1))) == ""


def test_a_failure_is_followed_by_four_frames_unseen_and_a_start() -> None:
    """As in VOT2018's result files: 2, 0, 0, 0, 0, 1."""
    overlaps = [1.0] * 20
    overlaps[3] = overlaps[15] = 0.0
    course = supervised(overlaps)
    assert played(course) == "1..200001......20000"
    np.testing.assert_array_equal(course.boxes[[3, 4, 8]], [[3, 0, 1, 1], [np.nan] * 4, [108, 0, 9, 9]])


def test_it_starts_again_where_the_target_is_in_view() -> None:
    overlaps = [1.0, 0.0, *[1.0] * 9]
    present = [True] * 2 + [False] * 7 + [True] * 2
    assert played(supervised(overlaps, present)) == "1200000001."
    assert played(supervised(overlaps, [True] * 2 + [False] * 9)) == "1200000" + "0000"


def test_it_first_starts_where_the_target_first_is_in_view() -> None:
    assert played(supervised([1.0] * 4, [False, False, True, True])) == "001."
    assert played(supervised([1.0] * 2, [False, False])) == "00"


def test_no_overlap_without_a_truth_is_no_failure() -> None:
    assert played(supervised([1.0, 1.0, 0.0, 1.0], [True, True, False, True])) == "1..."


def test_an_overlap_that_is_no_number_is_a_failure() -> None:
    assert played(supervised([1.0, float("nan"), 1.0])) == "120"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_starts_lie_five_frames_after_failures_and_nowhere_else(overlaps: list[float]) -> None:
    codes = played(supervised(overlaps))
    starts = [t for t, code in enumerate(codes) if code == "1"]
    failures = [t for t, code in enumerate(codes) if code == "2"]
    assert starts == [0] + [t + 5 for t in failures if t + 5 < len(codes)]
    assert all(overlaps[t] == 0 for t in failures)
    assert all(overlaps[t] > 0 for t, code in enumerate(codes) if code == ".")
