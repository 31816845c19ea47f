"""Figures for a page and for a file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from seqtrack.reporting import plots
from seqtrack.reporting.plots import Line

X = np.linspace(0, 1, 21)
LINES = [
    Line("worse", X, 0.8 - X / 2, np.full(21, 0.02), 0.55, 0.01),
    Line("_a $better$ <one> & only", X, 1 - X / 2, None, 0.75),
]


def drawn(name: str = "success") -> str:
    figure, axes = plots.new_figure("overlap threshold", "success rate", "otb_100")
    plots.draw_lines(axes, LINES)
    return plots.to_svg(figure, name, 'success of "two" runs')


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def test_text_is_text_and_the_best_comes_first_in_the_legend() -> None:
    found = texts(drawn())
    assert found[-2:] == ["\u200b_a $better$ <one> & only [0.750]", "worse [0.550 ± 0.010]"]
    assert {"overlap threshold", "success rate", "otb_100", "0.4"} <= set(found)


def test_a_line_is_drawn_through_its_values_and_a_band_of_its_spread_behind_it() -> None:
    _, axes = plots.new_figure("overlap threshold", "success rate")
    plots.draw_lines(axes, LINES)
    best, worse = axes.lines
    for drawn_line, line in ((best, LINES[1]), (worse, LINES[0])):
        np.testing.assert_array_equal(drawn_line.get_xydata(), np.stack([line.x, line.y], axis=1))
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    low, high = ([bound(corners[corners[:, 0] == x, 1]) for x in X] for bound in (np.min, np.max))
    np.testing.assert_allclose(low, LINES[0].y - 0.02)
    np.testing.assert_allclose(high, LINES[0].y + 0.02)
    assert drawn().count("opacity: 0.18") == 1, "it is in what a page shows, too"


def test_equal_figures_are_equal_bytes_without_date_or_address() -> None:
    assert drawn() == drawn()
    assert "//" not in drawn()
    assert "<style" not in drawn(), "it would hold for the whole page"
    assert 'aria-label="success of &quot;two&quot; runs"' in drawn()


def test_figures_of_a_page_share_no_id_and_find_their_own() -> None:
    ids = {name: set(re.findall(r'\bid="(.*?)"', drawn(name))) for name in ("success otb", "precision otb")}
    used = set(re.findall(r'#([\w.-]+)["\)]', drawn("success otb")))
    assert used == ids["success otb"]
    assert not ids["success otb"] & ids["precision otb"]


def test_the_ink_is_that_of_the_page() -> None:
    assert "fill: currentColor" in drawn()
    assert "#010203" not in drawn()
    assert "#0072b2" in drawn()


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_a_file_of_its_own(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        figure, axes = plots.new_figure("x", "y")
        plots.draw_lines(axes, LINES)
        plots.write_figure(figure, tmp_path / (name + suffix))
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert data == (tmp_path / f"b{suffix}").read_bytes()
    assert len(data) > 1000
