"""Contact sheets: film strips, and the pairs that training would see, as PNG pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.data.indexing.index import Index
from seqtrack.reporting import sheet
from seqtrack.reporting.film_strip import Strip, Tile
from seqtrack.reporting.sheet import CELL, Cell, Image

TILE_HEIGHT = 120
COLUMNS = 8  # tiles in a row, at most
SHEET_ROWS = 20  # rows of tiles on one sheet, at most
_RED = (150, 20, 20)


@dataclass(frozen=True)
class Pair:
    """Two crops that training would see.

    Attributes:
        dataset: of the exemplar.
        exemplar_text: track and frame.
        search_text: frame, and whose it is if another's.
        exemplar, search: (E, E, 3) and (S, S, 3) RGB.
        exemplar_box, search_box: (4,) x y w h in pixels of the crop.
        is_positive: whether both are of the same target.
    """

    dataset: str
    exemplar_text: str
    search_text: str
    exemplar: Image
    search: Image
    exemplar_box: NDArray[np.float32]
    search_box: NDArray[np.float32]
    is_positive: bool = True

    @property
    def text(self) -> str:
        return f"{self.dataset}: {self.exemplar_text} and {self.search_text}"


def pairs_of(batch: Mapping[str, NDArray[Any]], indexes: Mapping[str, Index]) -> Iterator[Pair]:
    """The pairs of a batch of ``PairSource``; ``indexes`` by the names of its data sets, in their order."""
    names = list(indexes)
    for k, (number, track, exemplar_frame, search_frame) in enumerate(batch["sample"].tolist()):
        search_text = str(search_frame)
        is_positive = bool(batch["is_positive"][k]) if "is_positive" in batch else True
        if not is_positive:
            other, other_track = batch["search_track"][k].tolist()
            search_text += f" of {names[other]}: {indexes[names[other]].track_name(other_track)}"
        yield Pair(
            names[number],
            f"{indexes[names[number]].track_name(track)}, {exemplar_frame}",
            search_text,
            batch["exemplar"][k],
            batch["search"][k],
            batch["exemplar_box"][k],
            batch["search_box"][k],
            is_positive,
        )


def render_strips(strips: Iterable[Strip], frames: int) -> Iterator[Image]:
    """RGB sheets (H, W, 3) of SHEET_ROWS rows of tiles each, or fewer: per video a line of text, and ``frames`` tiles
    (or those there are) in rows of at most COLUMNS."""
    columns = min(frames, COLUMNS)
    rows: list[Image] = []
    for strip in strips:
        category = ", ".join(strip.categories)
        title = f"{strip.video}  {strip.size[0]}x{strip.size[1]}, {strip.frames} frames  {category}"
        for first in range(0, max(len(strip.tiles), 1), columns):
            if len(rows) == SHEET_ROWS:
                yield np.concatenate(rows)
                rows = []
            cells: list[Cell] = [_cell(tile) for tile in strip.tiles[first : first + columns]]
            row = sheet.row(cells + [(None, "")] * (columns - len(cells)), TILE_HEIGHT)
            # A video that goes on says on the next sheet again which it is.
            rows.append(row if first and rows else _headed(row, title))
    if rows:
        yield np.concatenate(rows)


def _headed(row: Image, title: str) -> Image:
    heading = np.full((sheet.CAPTION + sheet.GAP, row.shape[1], 3), row[0, 0], np.uint8)
    sheet.write(heading, title, (sheet.GAP, sheet.CAPTION), row.shape[1] - 2 * sheet.GAP)
    return np.concatenate([heading, row])


def _cell(tile: Tile) -> Cell:
    """The tile in the middle of a cell, its boxes drawn."""
    cell = np.zeros((TILE_HEIGHT, CELL, 3), np.uint8)
    if tile.picture is None:
        cell[:] = _RED
        for number, line in enumerate(textwrap.wrap(tile.problem, 24)[: TILE_HEIGHT // sheet.CAPTION - 1]):
            sheet.write(cell, line, (4, (number + 1) * sheet.CAPTION), CELL - 8)
        return cell, f"{tile.frame}  does not decode"
    height, width = tile.picture.shape[:2]
    scale = min(TILE_HEIGHT / height, CELL / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.asarray(cv2.resize(tile.picture, size, interpolation=method), np.uint8)
    for mark in tile.marks:
        sheet.draw_box(picture, np.asarray(mark.box) * scale, is_dashed=mark.is_occluded)
    left, top = (CELL - size[0]) // 2, (TILE_HEIGHT - size[1]) // 2
    cell[top : top + size[1], left : left + size[0]] = picture
    return cell, f"{tile.frame}{'  absent' if tile.absent else ''}"


def render_pairs(pairs: Sequence[Pair]) -> Image:
    """One RGB sheet (H, W, 3): exemplar and search region of two pairs a row, with the targets' boxes."""
    cells: list[Cell] = []
    for pair in pairs:
        kind = "" if pair.is_positive else "negative: "
        cells.append((sheet.boxed(pair.exemplar, pair.exemplar_box), pair.exemplar_text))
        colour = sheet.TRUTH_COLOUR if pair.is_positive else sheet.NEGATIVE_COLOUR
        cells.append((sheet.boxed(pair.search, pair.search_box, colour), kind + pair.search_text))
    blank = np.zeros((CELL, CELL, 3), np.uint8)
    cells += [(blank, "")] * (-len(cells) % 4)
    return np.concatenate([sheet.row(cells[k : k + 4]) for k in range(0, len(cells), 4)])
