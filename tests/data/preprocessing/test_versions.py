"""Names of versions: what they mean, and what a wrong one is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.imaging.crops import square_around
from seqtrack.data.preprocessing.versions import (
    Crop,
    Resize,
    assessed_version,
    check_room,
    is_crop,
    parse_version,
    picture_size,
    side_needed,
)
from seqtrack.errors import UserError

SIDES = st.integers(16, 8192)


def test_the_three_forms() -> None:
    assert parse_version("crop_446") == Crop(446)
    assert parse_version("resize_force_360x240") == Resize(360, 240, fit=False)
    assert parse_version("resize_fit_640x640") == Resize(640, 640, fit=True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("crop446", "did you mean crop_446?"),
        ("crop_446x446", "did you mean crop_446?"),
        ("crop_0446", "did you mean crop_446?"),
        ("crop", "did you mean crop_S?"),
        ("corp_255", "did you mean crop_255?"),
        ("resize_force_360", "did you mean resize_force_360x360?"),
        ("resize_fit_640_480", "did you mean resize_fit_640x480?"),
        ("resizefit_640x480", "did you mean resize_fit_640x480?"),
        ("Resize_Fit_64x48", "did you mean resize_fit_64x48?"),
        ("resize_force_360x", "did you mean resize_force_360x360?"),
        ("original", "expected one of crop_S, resize_force_WxH, resize_fit_WxH"),
        ("", "expected one of crop_S, resize_force_WxH, resize_fit_WxH"),
        ("crop_446\n", "did you mean crop_446?"),
    ],
)
def test_a_wrong_name_is_told_the_nearest_valid_one(name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_version(name)
    assert str(caught.value) == f"--preproc: {name!r} is no version that can be made; {hint}"


@pytest.mark.parametrize("name", ["crop_15", "resize_fit_640x8193", "resize_force_9x360"])
def test_sizes_have_bounds(name: str) -> None:
    with pytest.raises(UserError, match="expected from 16 to 8192 pixels"):
        parse_version(name)


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_a_persons_mistake(text: str) -> None:
    try:
        parse_version(text)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("version", "original", "size"),
    [
        ("resize_fit_640x640", (1280, 720), (640, 360)),
        ("resize_fit_640x640", (720, 1280), (360, 640)),
        ("resize_fit_640x640", (500, 375), (500, 375)),
        ("resize_fit_64x64", (5000, 10), (64, 1)),
        ("resize_force_360x360", (1280, 720), (360, 360)),
        ("resize_force_360x360", (100, 50), (360, 360)),
    ],
)
def test_sizes_of_whole_frames(version: str, original: tuple[int, int], size: tuple[int, int]) -> None:
    made = parse_version(version)
    assert isinstance(made, Resize)
    assert made.size_of(original) == size


@given(SIDES, SIDES, st.tuples(SIDES, SIDES))
def test_what_fits_is_inside_and_never_larger(width: int, height: int, original: tuple[int, int]) -> None:
    made = Resize(width, height, fit=True).size_of(original)
    assert made[0] <= min(width, original[0])
    assert made[1] <= min(height, original[1])
    assert made == original or made[0] == width or made[1] == height


def test_crops_are_trained_on_and_the_original_assessed() -> None:
    assert assessed_version("crop_446", None) == "original"
    assert assessed_version("crop_446", "resize_fit_640x640") == "resize_fit_640x640"
    assert assessed_version("resize_fit_640x640", None) == "resize_fit_640x640"
    assert assessed_version("my_own", None) == "my_own"
    assert is_crop("crop_446")
    assert not is_crop("crop_of_mine")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("original", (1280, 720)),
        ("crop_446", (1280, 720)),
        ("resize_force_360x360", (360, 360)),
        ("resize_fit_360x360", (360, 202)),
        ("by_hand", None),
    ],
)
def test_the_name_tells_how_large_pictures_are(name: str, size: tuple[int, int] | None) -> None:
    assert picture_size(name, (1280, 720)) == size


@given(
    shape=st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)),
    context=st.floats(0, 4),
    reach=st.floats(0.5, 5),
)
def test_a_crop_of_the_side_needed_holds_every_search_region(
    shape: tuple[float, float], context: float, reach: float
) -> None:
    """`crop_S` shows S / 127 squares of context 0.5."""
    box = (0, 0, *shape)
    shown = square_around(box, 0.5) * side_needed(reach, context) / 127
    assert square_around(box, context) * reach <= shown * (1 + 1e-6)


def test_a_crop_smaller_than_search_regions_is_refused() -> None:
    check_room("crop_255", 127, 255, 0.5)
    check_room("crop_213", 95, 159, 0.5)
    for version in ("original", "resize_fit_64x64", "by_hand"):
        check_room(version, 127, 255, 0.5)
    with pytest.raises(UserError) as caught:
        check_room("crop_254", 127, 255, 0.5)
    assert str(caught.value) == (
        "--preproc: crop_254 is smaller than this model's search regions (255 pixels where an exemplar has 127,"
        " context 0.5), which would end in one colour; use crop_255 or larger"
    )
    with pytest.raises(UserError, match=r"context 1\).*use crop_417 or larger"):
        check_room("crop_255", 127, 255, 1.0)
