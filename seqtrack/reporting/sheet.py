"""What contact sheets are made of: rows of captioned pictures on grey, as RGB arrays, and the PNG that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.runs import atomic

Image = NDArray[np.uint8]
Cell = tuple[Image | None, str]  # a picture and what is written below it

CELL = 160  # px: the side of each picture in the sheet
GAP = 6
CAPTION = 16
Colour = tuple[int, int, int]  # RGB
TRUTH_COLOUR: Colour = (0, 220, 0)
NEGATIVE_COLOUR: Colour = (230, 60, 60)  # of a target that is not the exemplar's
_BACKGROUND = 32
_TEXT_COLOUR = (230, 230, 230)
_SCALE = 0.38  # of OpenCV's letters
_DASH = 5  # px


def row(cells: Sequence[Cell], height: int = CELL) -> Image:
    """Pictures CELL wide and ``height`` high, each with its whole caption below; without pictures, captions alone."""
    top = height + GAP if any(picture is not None for picture, _ in cells) else 0
    captions = [wrapped(caption, CELL) for _, caption in cells]
    total = top + CAPTION * max(map(len, captions))
    sheet = np.full((total, GAP + len(cells) * (CELL + GAP), 3), _BACKGROUND, np.uint8)
    for k, (picture, _) in enumerate(cells):
        left = GAP + k * (CELL + GAP)
        if picture is not None:
            sheet[GAP : GAP + height, left : left + CELL] = picture
        for number, line in enumerate(captions[k], start=1):
            write(sheet, line, (left, top + CAPTION * number - 4), CELL)
    return sheet


def wrapped(text: str, width: int) -> list[str]:
    """Lines at most ``width`` px long, broken between words, and within those that are longer."""
    lines = [""]
    for word in _ascii(text).split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if _width(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def write(image: Image, text: str, place: tuple[int, int], width: int) -> None:
    """Writes a line, from ``place`` (x, y of its foot) and at most ``width`` px long, into the picture.

    OpenCV's letters are ASCII: any other shows as a question mark.
    """
    shown = _ascii(text)
    while shown and _width(shown) > width:
        shown = shown[:-1]
    cv2.putText(image, shown, place, cv2.FONT_HERSHEY_SIMPLEX, _SCALE, _TEXT_COLOUR, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _width(text: str) -> int:
    """In pixels."""
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _SCALE, 1)[0][0])


def fit(image: Image) -> Image:
    """A square picture, CELL wide."""
    # the cells of a small map stay visible as squares; pictures are smoothed
    small = cv2.INTER_NEAREST if image.shape[0] <= CELL // 2 else cv2.INTER_LINEAR
    method = cv2.INTER_AREA if image.shape[0] >= CELL else small
    return np.asarray(cv2.resize(image, (CELL, CELL), interpolation=method), dtype=np.uint8)


def boxed(square: Image, box: NDArray[np.float32], colour: Colour = TRUTH_COLOUR) -> Image:
    """A square picture, CELL wide, with a box x y w h (in pixels of ``square``) if it is one."""
    picture: Image = fit(square).copy()
    draw_box(picture, np.asarray(box, np.float64) * (CELL / square.shape[0]), colour)
    return picture


def draw_box(image: Image, box: NDArray[np.float64], colour: Colour = TRUTH_COLOUR, is_dashed: bool = False) -> None:
    """Draws x y w h (pixels) into the picture; nothing where it is not a number."""
    if not np.isfinite(box).all():
        return
    x, y, w, h = box
    left, top, right, bottom = np.clip(np.rint([x, y, x + w, y + h]), -10_000, 10_000).astype(int).tolist()
    if not is_dashed:
        cv2.rectangle(image, (left, top), (right, bottom), colour, 1)
        return
    height, width = image.shape[:2]
    for at in range(max(left, 0), min(right, width), 2 * _DASH):
        for side in (top, bottom):
            cv2.line(image, (at, side), (min(at + _DASH, right), side), colour, 1)
    for at in range(max(top, 0), min(bottom, height), 2 * _DASH):
        for side in (left, right):
            cv2.line(image, (side, at), (side, min(at + _DASH, bottom)), colour, 1)


def write_png(path: Path, sheet: Image) -> None:
    """Writes an RGB picture as PNG, atomically."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError(f"{path}: a picture of shape {sheet.shape} cannot be encoded")
    atomic.write_bytes(path, data.tobytes())
