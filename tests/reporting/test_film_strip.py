"""Which frames of a video are shown, and where their boxes are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seqtrack.data.datasets import Dataset, Target
from seqtrack.data.imaging.crops import CropMap
from seqtrack.reporting.film_strip import TILE_SIDE, Strip, choose, film_strips
from tests.data.otb_layout import jpeg
from tests.reporting.viewed import FRAMES, NASTY, SIZE, box, opened


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    found = opened(tmp_path)
    yield found
    found.close()


def strips(dataset: Dataset, frames: int = FRAMES) -> dict[str, Strip]:
    return {strip.video: strip for strip in film_strips(dataset, range(dataset.index.num_videos), frames)}


def test_frames_are_evenly_spread_from_the_first_to_the_last(dataset: Dataset) -> None:
    assert [tile.frame for tile in strips(dataset, 3)["plain"].tiles] == [0, 2, 5]
    assert [tile.frame for tile in strips(dataset, 1)["plain"].tiles] == [0]
    assert [tile.frame for tile in strips(dataset, 50)["plain"].tiles] == list(range(FRAMES))
    assert [tile.frame for tile in strips(dataset)["still"].tiles] == [0]


def test_boxes_lie_on_their_targets(dataset: Dataset) -> None:
    for tile in strips(dataset)["plain"].tiles:
        assert tile.picture is not None
        assert tile.picture.shape == (SIZE[1], SIZE[0], 3)
        (mark,) = tile.marks
        assert mark.box == box(tile.frame)
        x, y, w, h = box(tile.frame)
        assert tile.picture[y + 2 : y + h - 2, x + 2 : x + w - 2].min() > 200
        assert tile.picture[y + h // 2, x - 3].max() < 150


def test_what_is_absent_or_occluded_is_marked(dataset: Dataset) -> None:
    strip = strips(dataset)["hidden"]
    assert [(tile.absent, [mark.is_occluded for mark in tile.marks]) for tile in strip.tiles[1:4]] == [
        (0, [False]),
        (1, []),
        (0, [True]),
    ]
    assert (strip.labels, strip.absent, strip.occluded) == (6, 1, 1)
    assert strip.visibility == pytest.approx(5 / 6)
    assert not strip.is_graded


def test_a_frame_that_does_not_decode_says_why_and_the_others_are_shown(dataset: Dataset) -> None:
    tiles = strips(dataset)["broken"].tiles
    assert [tile.picture is None for tile in tiles] == [False, False, False, False, True, False]
    assert "viewed: video broken, frame 4" in tiles[4].problem
    assert "the image does not decode" in tiles[4].problem
    assert len(strips(dataset)) == 5
    assert NASTY in strips(dataset)


def test_only_what_is_shown_is_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    original = Dataset.read_frame
    monkeypatch.setattr(Dataset, "read_frame", lambda self, *where: read.append(where) or original(self, *where))
    list(film_strips(dataset, [1, 3], 2))
    assert read == [(1, 0), (1, 5), (3, 0), (3, 5)]


class Crops(Dataset):
    """A ``crop_S`` version of every other label: pictures of 300 px, twice as large, from (4, 6) of the frame on."""

    def stored(self, track: int) -> NDArray[np.int64]:
        return np.arange(0, len(self.index.track(track).frames), 2)

    def read_target(self, track: int, row: int) -> Target:
        return Target(jpeg(300, 300), CropMap(4, 6, 2, 2))


def test_boxes_are_mapped_into_stored_crops(dataset: Dataset) -> None:
    crops = Crops(dataset.name, dataset.index, dataset.frames, dataset.data_fingerprint)
    strip = strips(crops)["plain"]
    assert [tile.frame for tile in strip.tiles] == [0, 2, 4]
    scale = TILE_SIDE / 300
    for tile in strip.tiles:
        assert tile.picture is not None
        assert tile.picture.shape == (TILE_SIDE, TILE_SIDE, 3)
        x, y, w, h = box(tile.frame)
        expected = np.array([(x - 4) * 2, (y - 6) * 2, w * 2, h * 2]) * scale
        np.testing.assert_allclose(tile.marks[0].box, expected)


def test_the_choice_of_videos_is_fixed_and_in_order() -> None:
    videos = list(range(0, 200, 2))
    chosen = choose(videos, 10, 3, "otb_50")
    assert len({*chosen} & {*videos}) == 10
    assert chosen == sorted(chosen) == choose(videos, 10, 3, "otb_50")
    assert chosen != choose(videos, 10, 4, "otb_50")
    assert choose(videos, 500, 3, "otb_50") == videos
