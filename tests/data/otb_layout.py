"""Small data sets in the OTB layout, written for the tests of this folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np


def jpeg(width: int = 32, height: int = 24, value: int = 0) -> bytes:
    ok, data = cv2.imencode(".jpg", np.full((height, width, 3), value, np.uint8))
    assert ok
    return bytes(data)


def write_sequence(
    folder: Path, numbers: Iterable[int], rows: str | Mapping[str, str], size: tuple[int, int] = (32, 24)
) -> Path:
    """``img/NNNN.jpg`` for each number, and ``groundtruth_rect.txt`` (or the files given)."""
    (folder / "img").mkdir(parents=True)
    for number in numbers:
        (folder / "img" / f"{number:04d}.jpg").write_bytes(jpeg(*size, value=number % 250))
    for name, text in {"groundtruth_rect.txt": rows}.items() if isinstance(rows, str) else rows.items():
        (folder / name).write_text(text)
    return folder


def manifest_bytes(layout: str, sizes: Mapping[str, tuple[int, int]]) -> bytes:
    """The manifest of a preprocessed version: video → (width, height) of the original frames."""
    return json.dumps({"layout": layout, "sizes": sizes}).encode()


def boxes_text(count: int, first: int = 1) -> str:
    """Boxes that move by (1, 2) pixels a frame, and are back every eight frames, so that they stay in the picture."""
    return "".join(f"{first + t % 8},{first + 2 * (t % 8)},10,8\n" for t in range(count))


def small_data_set(root: Path, sequences: int = 3, frames: int = 4) -> Path:
    for number in range(sequences):
        write_sequence(root / f"Seq{number}", range(1, frames + 1), boxes_text(frames, first=number % 5 + 1))
    return root


def write_tar(path: Path, members: Mapping[str, bytes | tarfile.TarInfo], **options: object) -> Path:
    """A tar with these members in this order; a TarInfo stands for a link, folder or device."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info
