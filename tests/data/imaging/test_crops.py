"""Crops: the mapping returned is the one used, and what lies outside of the frame has one colour."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.imaging.crops import (
    CropMap,
    Square,
    crop,
    crop_square,
    mean_colour,
    shrink_for,
    square_around,
    whole_square,
)


def ramps(width, height, slope=1.0):
    """Red grows by `slope` per column, green per row: a pixel says where it came from."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x * slope, y * slope, np.full_like(x, 77)], axis=-1).astype(np.uint8)


def test_the_exemplars_square_is_siamfcs():
    # p = (30 + 50) / 2 = 40 in both directions: sqrt(70 * 90).
    assert square_around((5, 6, 30, 50)) == pytest.approx(math.sqrt(70 * 90))
    assert square_around((0, 0, 40, 40), context=0.0) == 40
    assert square_around((0, 0, 40, 40)) == 80


def test_a_square_of_the_crops_size_is_copied():
    image = ramps(200, 150)
    pixels, used = crop(image, 60.5, 70.5, 31, 31)
    assert (pixels == image[55:86, 45:76]).all()
    assert used == CropMap(45, 55, 1.0, 1.0)


@settings(deadline=None)
@given(
    cx=st.floats(60, 140),
    cy=st.floats(60, 90),
    side=st.floats(8, 110),
    out_size=st.sampled_from([31, 63, 127]),
)
def test_the_mapping_says_where_every_pixel_came_from(cx, cy, side, out_size):
    pixels, used = crop(ramps(200, 150), cx, cy, side, out_size)
    step = 1 / used.scale_x
    inner = slice(1 + int(used.scale_x), -1 - int(used.scale_x))
    columns = used.x0 + (np.arange(out_size) + 0.5) * step - 0.5
    rows = used.y0 + (np.arange(out_size) + 0.5) * step - 0.5
    assert np.abs(pixels[inner, inner, 0] - columns[None, inner]).max() <= 1
    assert np.abs(pixels[inner, inner, 1] - rows[inner, None]).max() <= 1


@given(
    cx=st.floats(-500, 500), cy=st.floats(-500, 500), side=st.floats(0.1, 900), multiple=st.sampled_from([1, 2, 4, 8])
)
def test_a_square_is_moved_by_half_a_pixel_at_most(cx, cy, side, multiple):
    square = whole_square(cx, cy, side, multiple)
    assert square.side % multiple == 0
    assert abs(square.side - side) <= multiple / 2 or square.side == multiple
    assert abs(square.left + square.side / 2 - cx) <= 0.5 + 1e-9
    assert abs(square.top + square.side / 2 - cy) <= 0.5 + 1e-9


def test_the_target_fills_its_share_of_the_crop():
    box = (80.0, 60.0, 30.0, 30.0)
    _, used = crop(ramps(200, 150), 95, 75, square_around(box), 120)
    assert used.to_crop(box) == pytest.approx((30, 30, 60, 60))


def test_a_square_in_reduced_pixels_maps_from_the_frame():
    # 100 pixels at 1/2 are 200 of the frame; its left edge 10 is 20 there.
    assert Square(10, 20, 100).map_to(50, shrink=2) == CropMap(20, 40, 0.25, 0.25)


@pytest.mark.parametrize("fill", [None, (10, 20, 30)])
def test_outside_of_the_frame_is_one_colour(fill):
    image = ramps(64, 64)
    pixels, used = crop(image, 0, 0, 40, 40, fill)
    assert used == CropMap(-20, -20, 1.0, 1.0)
    assert (pixels[20:, 20:] == image[:20, :20]).all()
    outside = np.concatenate([pixels[:20].reshape(-1, 3), pixels[20:, :20].reshape(-1, 3)])
    assert (outside == outside[0]).all()
    expected = fill or (9.5, 8, 77)  # the mean of the visible columns, of every fourth visible row
    assert np.abs(outside[0] - np.array(expected)).max() <= 0.5


@pytest.mark.parametrize(
    ("cx", "cy"), [(0, 32), (64, 32), (32, 0), (32, 64), (64, 64), (-100, 32), (32, 500), (32, 32)]
)
def test_every_side_may_be_left(cx, cy):
    image = ramps(64, 64)
    pixels, used = crop(image, cx, cy, 80, 80, (1, 2, 3))
    for row, column in ((0, 0), (0, 79), (79, 0), (79, 79), (40, 40)):
        x, y = int(used.x0) + column, int(used.y0) + row
        inside = 0 <= x < 64 and 0 <= y < 64
        assert pixels[row, column].tolist() == (image[y, x].tolist() if inside else [1, 2, 3])


def test_a_square_without_any_pixel_of_the_frame_is_grey():
    pixels, _ = crop(ramps(64, 64), -500, -500, 40, 20)
    assert (pixels == 128).all()


@pytest.mark.parametrize(("side", "shrink"), [(254, 1), (509, 1), (510, 2), (1019, 2), (1020, 4), (5000, 8)])
def test_a_square_shrinks_only_as_far_as_it_still_fills_the_crop(side, shrink):
    assert shrink_for(side, 255) == shrink


def test_a_large_square_is_averaged_not_sampled():
    # Columns alternate black and white: bilinear sampling at 1/4 would show stripes, the average is grey.
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, ::2] = 255
    pixels, used = crop(image, 200, 200, 400, 100)
    assert np.abs(pixels.astype(int) - 128).max() <= 1
    assert used.scale_x == 0.25


def test_the_result_is_written_to_the_array_given():
    image = ramps(200, 150)
    batch = np.zeros((2, 63, 63, 3), np.uint8)
    for cx in (70.0, 0.0, -900.0):
        batch[:] = 0
        pixels, used = crop(image, cx, 60, 50, 63, out=batch[1])
        assert np.shares_memory(pixels, batch)
        assert (batch[1] == crop(image, cx, 60, 50, 63)[0]).all()
        assert (batch[0] == 0).all()
        assert used == crop(image, cx, 60, 50, 63)[1]


def test_tiny_targets_have_a_crop():
    pixels, used = crop(ramps(64, 64), 10.2, 10.2, 0.3, 31)
    assert pixels.shape == (31, 31, 3)
    assert used.scale_x == 31


def test_the_mean_is_the_mean():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert mean_colour(image) == pytest.approx(tuple(image.reshape(-1, 3).mean(axis=0)))
    assert mean_colour(image[:0]) == (128, 128, 128)


def test_shrinking_first_is_two_resizes():
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    halved = cv2.resize(image[10:250, 20:260], (120, 120), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(halved, (100, 100), interpolation=cv2.INTER_LINEAR)
    assert (crop_square(image, Square(20, 10, 240), 100, shrink=2) == expected).all()
