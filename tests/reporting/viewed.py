"""A small data set with everything that a page has to show, written for the tests of ``seqtrack view``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.formats import DatasetName
from seqtrack.data.locations import Locations

NASTY = "<script>document.title='owned'<&\"' ünï"
FRAMES, SIZE = 6, (96, 64)


def picture(number: int) -> bytes:
    """A grey frame with a bright target where ``box`` says."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    x, y, w, h = box(number)
    image[y : y + h, x : x + w] = 250
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert ok
    return bytes(data)


def box(number: int) -> tuple[int, int, int, int]:
    return 8 + 8 * number, 16, 24, 32


def write_videos(root: Path) -> Path:
    """In the layout of VOT: ``plain``; one whose target is absent (frame 2) and occluded (frame 3); one with a frame
    that is cut short (4); one with a nasty name; and one of a single frame."""
    for name, frames in (("plain", FRAMES), ("hidden", FRAMES), ("broken", FRAMES), (NASTY, FRAMES), ("still", 1)):
        folder = root / name
        folder.mkdir(parents=True)
        rows = [",".join(map(str, box(number))) for number in range(frames)]
        for number in range(frames):
            (folder / f"{number + 1:08d}.jpg").write_bytes(picture(number))
        if name == "hidden":
            rows[2] = "nan,nan,nan,nan"
            (folder / "occlusion.tag").write_text("0\n0\n0\n1\n0\n0\n")
        if name == "broken":
            whole = folder / "00000005.jpg"
            whole.write_bytes(whole.read_bytes()[:400])
        (folder / "groundtruth.txt").write_text("\n".join(rows) + "\n")
    return root


def opened(tmp_path: Path) -> Dataset:
    root = write_videos(tmp_path / "viewed")
    locations = Locations(data_paths={"viewed": root}, cache_dir=tmp_path / "indexes")
    return open_dataset(DatasetName("vot", "viewed"), locations, lambda _: None)
