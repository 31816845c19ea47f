"""Overlap counted in pixels, as VOT's two programs count it.

``region_overlaps.json`` holds what they themselves give (pysot's compiled ``region.c`` and vot-toolkit 0.9.0) for
made-up boxes and polygons, some outside the image, some without area, some crossing themselves: rows of first,
second, size of the image, pysot's overlap (null: not a number), vot-toolkit's.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment.supervised import stack
from seqtrack.data.geometry import iou
from seqtrack.data.regions import RULES, hulls, numbers, overlaps

GOLDEN = json.loads(Path(__file__).with_name("region_overlaps.json").read_text())
NAN = float("nan")

coordinate = st.floats(-40, 140, width=32)
box = st.tuples(coordinate, coordinate, st.floats(0, 90, width=32), st.floats(0, 90, width=32))
polygon = st.integers(3, 6).flatmap(lambda corners: st.lists(coordinate, min_size=2 * corners, max_size=2 * corners))
region = st.one_of(box.map(list), polygon)
sizes = st.tuples(st.integers(2, 100), st.integers(2, 100))


@pytest.mark.parametrize("rule", RULES)
def test_pixels_are_those_of_vot_s_own_programs(rule: str) -> None:
    first, second = (stack([np.array([row[side]], float) for row in GOLDEN]) for side in (0, 1))
    size = np.array([row[2] for row in GOLDEN])
    expected = np.array([row[3 + RULES.index(rule)] for row in GOLDEN], float)
    assert np.array_equal(overlaps(first, second, size - 1, rule), expected, equal_nan=True)


def test_a_box_covers_both_of_its_ends_under_pysot_and_only_its_pixels_under_vot() -> None:
    a, b = [[0, 0, 10, 10]], [[5, 0, 10, 10]]
    assert overlaps(a, b, rule="pysot") == pytest.approx([6 * 11 / (16 * 11)])
    assert overlaps(a, b, rule="vot") == [5 * 10 / (15 * 10)]


def test_the_same_box_as_a_polygon_differs_under_vot_only() -> None:
    box, corners = [[2, 3, 10, 5]], [[2, 3, 12, 3, 12, 8, 2, 8]]
    assert overlaps(box, corners, rule="pysot") == [1.0]
    assert overlaps(box, corners, rule="vot") == [10 * 5 / (11 * 6)]


def test_halves_round_away_from_zero_under_pysot_and_to_even_under_vot() -> None:
    assert overlaps([[0.5, 0, 4, 4]], [[1, 0, 4, 4]], rule="pysot") == [1.0]
    assert overlaps([[0.5, 0, 4, 4]], [[0, 0, 4, 4]], rule="vot") == [1.0]


def test_only_the_image_counts() -> None:
    """A prediction that leans out of the image is cut, as the truth is."""
    a, b = [[-50, 0, 60, 10]], [[0, 0, 10, 10]]
    for rule in RULES:
        assert overlaps(a, b, (99, 99), rule) == [1.0]
        assert overlaps(a, b, rule=rule)[0] < 0.2
        assert overlaps(a, b, (np.inf, np.inf), rule) == [1.0]


def test_each_row_has_its_own_image() -> None:
    boxes = np.array([[0.0, 0, 20, 20]] * 2)
    wide = np.array([[0.0, 0, 40, 20]] * 2)
    assert overlaps(boxes, wide, np.array([[20, 20], [99, 99]])).tolist() == pytest.approx([1.0, 21 / 41])


def test_a_row_that_is_no_region_has_no_overlap() -> None:
    rows = np.array([[NAN] * 8, [0, 0, 5, 5, *[NAN] * 4], [0, 0, 5, NAN, *[NAN] * 4], [0, 0, 5, 5, 3, *[NAN] * 3]])
    assert numbers(rows).tolist() == [0, 4, 0, 0]
    for rule in RULES:
        assert np.isfinite(overlaps(rows, [[0, 0, 5, 5]] * 4, (9, 9), rule)).tolist() == [False, True, False, False]


def test_hulls_of_regions_of_all_kinds() -> None:
    rows = np.array([[1, 2, 3, 4, *[NAN] * 4], [0, 0, 4, 1, 2, 6, *[NAN] * 2], [3, 1, 5, 4, 2, 2, 4, 0], [NAN] * 8])
    assert np.array_equal(hulls(rows), [[1, 2, 3, 4], [0, 0, 4, 6], [2, 0, 3, 4], [NAN] * 4], equal_nan=True)


def test_refuses_an_unknown_rule_and_sides_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="unknown rule 'votx'; expected one of pysot, vot"):
        overlaps([[0, 0, 1, 1]], [[0, 0, 1, 1]], rule="votx")
    with pytest.raises(ValueError, match="as many regions on both sides, got 1 and 2"):
        overlaps([[0, 0, 1, 1]], [[0, 0, 1, 1]] * 2)


@given(region, region, sizes, st.sampled_from(RULES))
def test_overlap_is_symmetric_and_within_bounds(
    a: list[float], b: list[float], size: tuple[int, int], rule: str
) -> None:
    last = np.array(size) - 1
    there, back = overlaps([a], [b], last, rule), overlaps([b], [a], last, rule)
    assert np.array_equal(there, back, equal_nan=True)
    assert np.isnan(there[0]) or 0 <= there[0] <= 1


@given(box, st.sampled_from(RULES))
def test_a_box_meets_itself_fully(a: tuple[float, ...], rule: str) -> None:
    grown = [a[0], a[1], a[2] + 2, a[3] + 2]
    assert overlaps([grown], [grown], rule=rule) == [1.0]


@given(st.lists(st.tuples(region, region, sizes), min_size=1, max_size=6), st.sampled_from(RULES))
def test_rows_do_not_know_of_each_other(
    rows: list[tuple[list[float], list[float], tuple[int, int]]], rule: str
) -> None:
    first, second = (stack([np.array([row[side]], float) for row in rows]) for side in (0, 1))
    last = np.array([row[2] for row in rows]) - 1
    alone = [overlaps([a], [b], np.array(size) - 1, rule)[0] for a, b, size in rows]
    assert np.array_equal(overlaps(first, second, last, rule), alone, equal_nan=True)


@given(box, box)
def test_pixels_of_large_boxes_agree_with_the_continuous_overlap(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    """A pixel more or less on each side of boxes hundreds of pixels wide."""
    large = [np.array([[*np.array(x[:2]) * 10, *np.array(x[2:]) * 10 + 300]]) for x in (a, b)]
    for rule in RULES:
        assert overlaps(*large, rule=rule) == pytest.approx(iou(*large), abs=0.02)
