"""What augmentation does to pixels: each change against its definition, and boxes that stay on what they name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrack.data.sampling.augment import Look
from seqtrack.data.sampling.looks import apply_look, mirrored

LUMINANCE = np.array([0.299, 0.587, 0.114])
# To whole levels, and OpenCV keeps the matrix to 1/1024 for pictures of bytes.
ROUNDING = 0.5 + 3 * 255 * 0.5 / 1024
images = arrays(np.uint8, st.tuples(st.integers(3, 9), st.just(7), st.just(3)))


def changed(image, **look):
    result = image.copy()
    apply_look(Look(**look), result)
    return result


@given(image=images)
def test_no_look_changes_nothing_and_two_flips_neither(image):
    assert (changed(image) == image).all()
    assert (changed(image, flip=True) == image[:, ::-1]).all()
    assert (changed(changed(image, flip=True), flip=True) == image).all()


@given(box=st.tuples(*[st.floats(-50, 300)] * 4), size=st.integers(1, 255))
def test_a_box_mirrored_twice_is_where_it_was(box, size):
    assert mirrored(mirrored(box, size), size) == pytest.approx(box, abs=1e-9)


@given(image=images)
def test_grey_is_luminance_in_all_channels(image):
    grey = changed(image, grey=True)
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0] - image @ LUMINANCE).max() <= ROUNDING


@given(
    image=images,
    brightness=st.floats(0.5, 1.5),
    contrast=st.floats(0.5, 1.5),
    saturation=st.floats(0, 2),
    light=st.tuples(*[st.floats(-20, 20)] * 3),
)
def test_colours_change_step_by_step_as_defined_and_are_rounded_once(image, brightness, contrast, saturation, light):
    expected = saturation * image + (1 - saturation) * (image @ LUMINANCE)[..., None]
    expected = expected * brightness
    mean = (image @ LUMINANCE).mean() * brightness
    expected = contrast * expected + (1 - contrast) * mean + np.array(light)
    got = changed(image, brightness=brightness, contrast=contrast, saturation=saturation, light=light)
    assert np.abs(got - np.clip(expected, 0, 255)).max() <= ROUNDING


@given(image=arrays(np.uint8, (15, 15, 3)), length=st.sampled_from([3, 5, 9]), across=st.floats(0, 1))
def test_a_blur_is_the_weighted_sum_of_a_line_across_and_a_line_down(image, length, across):
    blurred = changed(image, blur_length=length, blur_across=across)
    half, k = length // 2, 7  # the middle row and column are far enough from the edges
    over, down = image[k, k - half : k + half + 1].mean(axis=0), image[k - half : k + half + 1, k].mean(axis=0)
    assert np.abs(blurred[k, k] - (across * over + (1 - across) * down)).max() <= 1.5


def test_blur_keeps_flat_pictures_and_the_middle_of_a_symmetric_one():
    flat = np.full((31, 31, 3), 77, np.uint8)
    assert (changed(flat, blur_length=45) == 77).all()
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    blurred = changed(dot, blur_length=7).astype(float)
    rows, columns = np.nonzero(blurred[..., 0])
    assert (rows.mean(), columns.mean()) == (15, 15)
    assert set(map(tuple, np.argwhere(blurred[..., 0]))) == {(15, c) for c in range(12, 19)} | {
        (r, 15) for r in range(12, 19)
    }
