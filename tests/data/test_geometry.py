"""Boxes are x y w h, continuous and 0-based; every function is checked against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.geometry import centers, iou, polygon_hull, scale_boxes

coordinate = st.floats(-1000, 1000, allow_nan=False)
side = st.floats(0.01, 1000)
boxes = st.tuples(coordinate, coordinate, side, side).map(lambda box: np.array([box]))


def test_iou_of_boxes_that_overlap_by_half() -> None:
    assert iou([[0, 0, 10, 10]], [[5, 0, 10, 10]]) == pytest.approx([50 / 150])


def test_iou_is_continuous_and_has_no_extra_pixel() -> None:
    assert iou([[0, 0, 1, 1]], [[0.5, 0.5, 1, 1]]) == pytest.approx([0.25 / 1.75])


def test_iou_of_touching_and_of_empty_boxes_is_zero() -> None:
    assert iou([[0, 0, 2, 2], [3, 3, 0, 0]], [[2, 0, 2, 2], [3, 3, 0, 0]]).tolist() == [0.0, 0.0]


def test_iou_with_an_undefined_box_is_undefined() -> None:
    result = iou(np.array([[0, 0, 2, 2], [np.nan] * 4]), np.array([[np.nan] * 4, [0, 0, 2, 2]]))
    assert np.isnan(result).all()


def test_iou_of_one_box_against_many() -> None:
    assert iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 2, 2]]) == pytest.approx([1, 1 / 3])


def test_iou_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(N, 4\), got \(4,\)"):
        iou([0, 0, 1, 1], [[0, 0, 1, 1]])


@given(boxes, boxes)
def test_iou_is_symmetric_and_within_bounds(a: np.ndarray, b: np.ndarray) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b)[0] <= 1


@given(boxes)
def test_a_box_meets_itself_fully(box: np.ndarray) -> None:
    assert iou(box, box) == pytest.approx([1], abs=1e-3)  # x + w - x loses digits where x is large and w small


def test_centers_are_those_of_the_central_pixel() -> None:
    assert centers([[10, 20, 5, 4]]).tolist() == [[12.0, 21.5]]


def test_scaling_follows_width_and_height_apart() -> None:
    assert scale_boxes([[10, 20, 30, 40]], (640, 480), (320, 360)).tolist() == [[5, 15, 15, 30]]


@given(boxes, st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
def test_scaling_there_and_back_changes_nothing(box: np.ndarray, size: tuple[int, int]) -> None:
    there = scale_boxes(box, (640, 480), size)
    assert scale_boxes(there, size, (640, 480)) == pytest.approx(box, rel=1e-12)


def test_the_hull_of_a_polygon() -> None:
    assert polygon_hull([[3, 1, 5, 4, 2, 6, 0, 2]]).tolist() == [[0, 1, 5, 5]]
    assert np.isnan(polygon_hull([[np.nan] * 8])).all()


def test_the_hull_of_real_polygons_is_what_their_publisher_wrote(shared: Path) -> None:
    bag = shared / "data" / "vot" / "bag"
    polygons = np.loadtxt(bag / "groundtruth.txt", delimiter=",")
    rects = np.loadtxt(bag / "groundtruth_rect.txt", delimiter=",")
    assert polygon_hull(polygons) == pytest.approx(rects, abs=2e-3)
