"""The page of a data set: what it says, and that a browser shows it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.datasets import Dataset
from seqtrack.reporting.contact_sheet import COLUMNS, SHEET_ROWS, TILE_HEIGHT, Pair, render_pairs, render_strips
from seqtrack.reporting.data_page import overview, render
from seqtrack.reporting.film_strip import film_strips
from seqtrack.reporting.histogram import histogram, octaves
from seqtrack.reporting.sheet import CAPTION, CELL, wrapped
from tests.reporting.browsing import visit
from tests.reporting.viewed import FRAMES, NASTY, opened

# Runs before anything of the page: what went wrong in it, and what came of it, end up in the title.
PROBE = """<script>
const errors = [];
window.addEventListener("error", (event) => errors.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
window.addEventListener("load", () => {
  const images = [...document.images], shown = () => document.querySelectorAll("article:not([hidden])").length;
  const found = {errors, images: images.length, decoded: images.filter((image) => image.naturalWidth > 0).length,
    videos: shown(), sticksOut: [document.documentElement, ...document.querySelectorAll("main *")].some(
      (element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")};
  const field = document.getElementById("filter");
  field.value = "HIDDEN";
  field.dispatchEvent(new Event("input"));
  document.title = JSON.stringify({...found, filtered: shown(), text: document.getElementById("count").textContent});
});
</script>"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    dataset = opened(tmp_path)
    videos = range(dataset.index.num_videos)
    pairs = [a_pair("viewed: plain, 0 and 3"), a_pair("viewed: plain, 1 and 2", is_positive=False)]
    text = render(
        "vot:viewed",
        ["original"],
        overview(dataset.index, videos),
        list(film_strips(dataset, videos, FRAMES)),
        pairs,
        "With --seed 0.",
    )
    dataset.close()
    return text


def a_pair(text: str, is_positive: bool = True) -> Pair:
    exemplar, search = np.full((127, 127, 3), 60, np.uint8), np.full((255, 255, 3), 120, np.uint8)
    boxes = np.float32([32, 32, 63, 63]), np.float32([96, 96, 63, 63])
    return Pair("toy", text, "7", exemplar, search, *boxes, is_positive)


def test_the_page_names_everything_and_asks_for_nothing(page: str) -> None:
    assert page.count("<article") == 5
    for name in ("plain", "hidden", "broken", NASTY):
        assert f"<h3>{escape(name)} " in page
    assert NASTY not in page
    assert "6 labels · 1 target · 1 absent · 1 occluded</p>" in page
    assert "video broken, frame 4" in page
    assert '<rect class="occluded"' in page
    assert re.findall(r"<dt>(\w+)</dt><dd>([\d,]+)</dd>", page) == [
        ("videos", "5"), ("tracks", "5"), ("frames", "25"), ("boxes", "24"), ("absent", "1"),
    ]  # fmt: skip
    assert page.count("data:image/jpeg;base64,") == 24 + 4
    assert "negative" in page
    assert "//" not in re.sub(r"base64,[^\"]*", "", page), "an address"


def shown(dataset: Dataset, videos: list[str], **changes: object) -> str:
    """The page of these videos alone."""
    strips = [replace(strip, **changes) for strip in film_strips(dataset, range(5), FRAMES) if strip.video in videos]
    return render("vot:viewed", ["original"], overview(dataset.index, range(5)), strips)


def test_visibility_is_said_where_a_data_set_has_degrees_of_it(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    assert "visibility" not in shown(dataset, ["plain", "hidden"])
    assert "1 occluded · visibility 0.83</p>" in shown(dataset, ["hidden"], is_graded=True)


def test_the_legend_has_what_occurs(tmp_path: Path) -> None:
    dataset = opened(tmp_path)

    def legend(*videos: str) -> list[str]:
        (found,) = re.findall('<p class="legend">(.*?)</p>', shown(dataset, [*videos]))
        return [re.sub("<.*?>", "", entry).strip() for entry in re.findall("<span>(.*?)</span>", found)]

    assert legend("plain") == ["target"]
    assert legend("hidden") == ["target", "occluded", "absent not in view"]
    assert legend("broken") == ["target", "does not decode"]


def test_frames_that_do_not_decode_are_linked_from_the_top(page: str, tmp_path: Path) -> None:
    top = page.split("<main>")[0]
    assert '1 frame does not decode: <a href="#broken-1">broken, frame 4</a></p>' in top
    assert page.count('id="broken-1"') == 1
    dataset = opened(tmp_path / "again")
    for path in (tmp_path / "again/viewed").glob("*/*.jpg"):
        path.write_bytes(b"")
    strips = list(film_strips(dataset, range(5), FRAMES))
    text = render("vot:viewed", ["original"], overview(dataset.index, range(5)), strips)
    assert "25 frames do not decode: " in text
    assert "; and 5 more</p>" in text
    assert set(re.findall('href="#(.*?)"', text)) <= set(re.findall('id="(.*?)"', text))
    assert 'class="problems"' not in shown(opened(tmp_path / "third"), ["plain"])


def test_bars_have_their_counts() -> None:
    text = histogram(np.repeat([1.0, 2.0, 4.0, 8.0], [7, 1250, 12_499, 9_960]), "size", "px")
    assert re.findall('class="tick count">(.*?)<', text) == ["7", "1.2k", "12k", "10k"]


def test_a_part_of_a_data_set_is_counted_by_itself(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    (hidden,) = (v for v in range(5) if dataset.index.video_name(v) == "hidden")
    numbers = overview(dataset.index, [hidden])
    assert numbers.totals == (1, 1, 6, 5, 1)
    assert numbers.sides.tolist() == [np.sqrt(24 * 32)] * 5
    assert numbers.lengths.tolist() == [6]


@given(st.lists(st.floats(-10, 1e6) | st.sampled_from([0.0, 8.0, 2.0**-3, np.nan, np.inf]), max_size=40))
def test_every_positive_number_is_in_its_octave(values: list[float]) -> None:
    exponents, counts = octaves(np.array(values))
    good = [value for value in values if np.isfinite(value) and value > 0]
    assert counts == [sum(2.0**e <= value < 2.0 ** (e + 1) for value in good) for e in exponents]
    assert sum(counts) == len(good)
    assert histogram(np.array(values), "size", "px").count("<rect") == len(exponents)


def test_contact_sheets_show_the_same(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    strips = list(film_strips(dataset, range(5), FRAMES))
    (sheet,) = render_strips(strips, FRAMES)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 6 + FRAMES * (CELL + 6)
    per_strip = sheet.shape[0] // 5
    broken = [strip.video for strip in strips].index("broken")
    rows = sheet[broken * per_strip : (broken + 1) * per_strip].reshape(-1, 3).tolist()
    assert sum(pixel == [150, 20, 20] for pixel in rows) > 5000, "the red tile"
    assert sum(pixel == [0, 220, 0] for pixel in sheet.reshape(-1, 3).tolist()) > 24 * 4 * 20, "boxes"
    pairs = render_pairs([a_pair("one"), a_pair("two"), a_pair("three")])
    assert pairs.shape == (2 * (CELL + 22), 6 + 4 * (CELL + 6), 3)
    dataset.close()


def test_many_frames_go_on_in_rows_and_on_further_sheets(tmp_path: Path) -> None:
    dataset = opened(tmp_path)
    (strip,) = film_strips(dataset, [3], 1)
    long = replace(strip, tiles=strip.tiles * 400)
    sheets = list(render_strips([long, strip], 400))
    row, heading = TILE_HEIGHT + 22, 22
    assert [sheet.shape for sheet in sheets] == [
        (SHEET_ROWS * row + heading, 6 + COLUMNS * (CELL + 6), 3),
        (SHEET_ROWS * row + heading, 6 + COLUMNS * (CELL + 6), 3),
        (11 * row + 2 * heading, 6 + COLUMNS * (CELL + 6), 3),
    ]


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=120))
def test_captions_are_never_cut(text: str) -> None:
    lines = wrapped(text, CELL)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 1)[0][0] <= CELL for line in lines)


def test_a_negative_pair_has_room_for_the_name_of_its_other_target() -> None:
    pair = replace(
        a_pair("one", is_positive=False), search_text=f"1234 of got10k_train: {'GOT-10k_Train_000123-0' * 2}"
    )
    assert render_pairs([pair]).shape[0] == CELL + 22 + 2 * CAPTION, "three lines"


@pytest.mark.parametrize("width", [1400, 1200, 500])
def test_a_browser_shows_every_picture_without_an_error(page: str, browser: str, tmp_path: Path, width: int) -> None:
    found = visit(browser, page.replace("<head>", "<head>" + PROBE), tmp_path, width)
    assert found == {
        "errors": [], "images": 28, "decoded": 28, "videos": 5, "filtered": 1, "text": "1 of 5 videos",
        "sticksOut": False,
    }  # fmt: skip
