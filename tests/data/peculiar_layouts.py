"""Small data sets with what makes preprocessing hard: targets at the border, absent ones, several in one video, PNG,
frames without labels. Frames have something to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZE = (96, 64)


@dataclass(frozen=True)
class Fixture:
    layout: str
    part: str
    write: Callable[[Path], Path]


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    """Ramps and a disc that moves."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([x * 2, y * 3, np.full_like(x, 60 + number)], axis=-1).astype(np.uint8)
    return cv2.circle(image, (10 + 3 * number, 20 + number), 8, (250, 240, 230), -1)


def write_pictures(folder: Path, numbers: range, pattern: str, size: tuple[int, int] = SIZE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(str(folder / pattern.format(number)), picture(number, size))


def write_otb(root: Path) -> Path:
    """Alone: leaves the frame on all sides, and is absent twice. Pair: two targets, PNG."""
    alone = [
        "1,1,20,16",
        "-8,-5,20,16",
        "85,55,30,20",
        "nan,nan,nan,nan",
        "0,0,0,0",
        "30.25,20.5,11.125,9.75",
        "9,9,2,2",
    ]
    write_pictures(root / "Alone/img", range(1, 8), "{:04d}.jpg")
    (root / "Alone/groundtruth_rect.txt").write_text("\n".join(alone) + "\n")
    write_pictures(root / "Pair/img", range(1, 6), "{:04d}.png", (120, 90))
    for k in (1, 2):
        rows = "".join(f"{10 * k + t},{8 * k + t},{12 * k},{10 + t}\n" for t in range(5))
        (root / f"Pair/groundtruth_rect.{k}.txt").write_text(rows)
    return root


def write_vot(root: Path) -> Path:
    """Polygons, one of them missing; names of frames with a gap, so that no pattern says them."""
    write_pictures(root / "bag", range(1, 4), "{:08d}.jpg")
    write_pictures(root / "bag", range(9, 11), "{:08d}.jpg")
    rows = ["20,10,50,12,48,40,18,38"] * 4 + [",".join(["nan"] * 8)]
    (root / "bag/groundtruth.txt").write_text("\n".join(rows) + "\n")
    return root


FIXTURES = [Fixture("otb", "", write_otb), Fixture("vot", "", write_vot)]
