"""The contact sheet of training pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.reporting.preview import CELL, render_pairs
from seqtrack.reporting.sheet import write_png


def pairs(count: int = 2, response_size: int = 17) -> list[np.ndarray]:
    """Grey pictures; the target's box at the middle, the peak of the response 3 cells right and 2 up."""
    middle = (response_size - 1) // 2
    response = np.zeros((count, response_size, response_size), np.float32)
    response[:, max(middle - 2, 0), min(middle + 3, response_size - 1)] = 5.0
    labels = -np.ones_like(response)
    labels[:, middle, middle] = 1
    return [
        np.full((count, 127, 127, 3), 60, np.uint8),
        np.full((count, 255, 255, 3), 120, np.uint8),
        np.tile(np.float32([102, 77, 51, 102]), (count, 1)),
        response,
        labels,
    ]


def column(sheet: np.ndarray, k: int, row: int = 0) -> np.ndarray:
    top, left = 16 + row * (16 + CELL + 6) + 6, 6 + k * (CELL + 6)
    return sheet[top : top + CELL, left : left + CELL].astype(int)


def test_one_row_per_pair_and_no_more_than_asked_for() -> None:
    heights = [render_pairs(*pairs(count), max_pairs=3).shape[0] for count in (1, 2, 3, 9)]
    assert np.diff(heights).tolist() == [CELL + 22, CELL + 22, 0]
    assert render_pairs(*pairs()).dtype == np.uint8


def test_pictures_box_and_maps_are_where_they_belong() -> None:
    sheet = render_pairs(*pairs())
    assert (column(sheet, 0) == 60).all()
    searched = column(sheet, 1)
    scale = CELL / 255
    assert searched[CELL // 2, round(102 * scale)].tolist() == [0, 220, 0], "left edge of the target's box"
    assert searched[10, 10].tolist() == [120, 120, 120]
    response = column(sheet, 3)
    cell = CELL / 17
    red = response[round(6.5 * cell) - 2, round(11.5 * cell) - 3]
    assert red[0] > 100 and red[2] < 30, "the peak is red, 3 cells right of the middle and 2 above it"
    assert response[5, 5, 2] > 100 and response[5, 5, 0] < 30, "the rest is blue"


def test_the_response_lies_on_the_search_region_where_the_network_looked() -> None:
    overlaid = column(render_pairs(*pairs()), 2)
    # 17 cells of stride 8 cover the middle 136 of 255 px
    touched = np.flatnonzero((overlaid != 120).any(axis=2).any(axis=0))
    assert len(touched) == round(136 * CELL / 255)
    assert abs(touched.mean() - (CELL - 1) / 2) <= 1
    y, x = np.unravel_index(int((overlaid[:, :, 0] - overlaid[:, :, 2]).argmax()), (CELL, CELL))
    scale = CELL / 255
    assert (x - CELL / 2) / (8 * scale) == pytest.approx(3, abs=0.5)
    assert (y - CELL / 2) / (8 * scale) == pytest.approx(-2, abs=0.5)


def test_a_negative_pair_has_a_red_box_and_says_so() -> None:
    plain, marked = render_pairs(*pairs()), render_pairs(*pairs(), is_positive=np.array([True, False]))
    edge = round(102 * CELL / 255)
    assert column(marked, 1, row=0)[CELL // 2, edge].tolist() == [0, 220, 0]
    assert column(marked, 1, row=1)[CELL // 2, edge].tolist() == [230, 60, 60]
    changed = np.argwhere((plain != marked).any(axis=2))
    assert changed[:, 0].min() > 16 + CELL + 22, "the first pair is drawn as ever"
    caption = slice(16 + 2 * (CELL + 22) - 16, 16 + 2 * (CELL + 22))
    assert (plain[caption] != marked[caption]).any(), "the caption says negative"


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_flat_or_broken_response_is_drawn_all_the_same(value: float) -> None:
    arrays = pairs()
    arrays[3][:] = value
    assert render_pairs(*arrays).shape == render_pairs(*pairs()).shape


def test_a_single_cell_is_a_map_too() -> None:
    assert render_pairs(*pairs(response_size=1)).ndim == 3


def test_arrays_of_different_lengths_are_refused() -> None:
    arrays = pairs()
    arrays[2] = arrays[2][:1]
    with pytest.raises(ValueError, match="one entry per pair"):
        render_pairs(*arrays)


def test_the_png_is_the_sheet(tmp_path: Path) -> None:
    sheet = render_pairs(*pairs())
    write_png(tmp_path / "preview" / "step.png", sheet)
    back = cv2.cvtColor(cv2.imread(str(tmp_path / "preview" / "step.png")), cv2.COLOR_BGR2RGB)
    assert (back == sheet).all()
    assert len(list((tmp_path / "preview").iterdir())) == 1
