"""The layouts in which data sets are published, and what is read from each of them.

A layout is one module here with ``read(tree, sizes) -> Iterator[VideoAnnotation]``; ``LAYOUTS`` is the list
of them. Reading needs a ``Tree`` only, so that an unpacked folder and a tar give the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from seqtrack.errors import DataError, UserError
from seqtrack.schema import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYOUTS = ("otb", "vot")
KNOWN: dict[str, str] = {"otb_50": "otb", "otb_100": "otb", "otb_cvpr13": "otb", "vot2018": "vot"}
"""Data sets that need no layout in their name: name (also the folder's) → layout."""

MANIFEST = "seqtrack-manifest.json"
"""In the top folder of a preprocessed version: ``{"layout": …, "sizes": {video: [width, height]}}``, the
sizes of the original images, which a resized version cannot tell otherwise."""

_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class Tree(Protocol):
    """A read-only folder of a data set, on disk or in a tar (``seqtrack.data.storage``)."""

    @property
    def name(self) -> str:
        """Name of the data set's folder."""

    @property
    def source(self) -> str:
        """Absolute path of the folder or tar."""

    def files(self) -> Sequence[str]:
        """All file names relative to the folder, '/'-separated, sorted; hidden files left out."""

    def read(self, name: str) -> bytes: ...

    def describe(self, name: str) -> str:
        """For messages: the real path, or ``x.tar: member``."""


@dataclass(frozen=True)
class TrackAnnotation:
    """One target in one video; N labelled frames."""

    name: str
    frames: NDArray[np.int64]
    """(N,) increasing positions in the video's list of frames."""
    boxes: NDArray[np.float64]
    """(N, 4) x y w h, pixels of the original image, 0-based; NaN where not present."""
    present: NDArray[np.bool_]
    occluded: NDArray[np.bool_]
    category: str = ""
    polygons: NDArray[np.float64] | None = None
    """(N, 8) x1 y1 … x4 y4 where the benchmark has them."""


@dataclass(frozen=True)
class VideoAnnotation:
    name: str
    frame_names: list[str]
    """Relative to the data-set folder, in order."""
    size: tuple[int, int]
    """(width, height) of the original images."""
    tracks: list[TrackAnnotation]


@dataclass(frozen=True)
class DatasetName:
    """A data set as a flag names it: where it lies is ``folder``, how to read it ``layout``."""

    layout: str
    folder: str

    def __str__(self) -> str:
        return self.folder if KNOWN.get(self.folder) == self.layout else f"{self.layout}:{self.folder}"


def parse_dataset_name(text: str) -> DatasetName:
    """``otb_50``, or ``layout:folder`` such as ``otb:my_folder``.

    Raises:
        UserError: unknown name or layout (with the nearest valid one), or a folder that is not a plain name.
    """
    layout, colon, folder = text.partition(":")
    if not colon:
        if text in KNOWN:
            return DatasetName(KNOWN[text], text)
        raise UserError(
            f"data set {text!r} is not known; {nearest(text, KNOWN)};"
            f" a folder of your own is named LAYOUT:FOLDER with LAYOUT one of {', '.join(LAYOUTS)}"
        )
    if layout not in LAYOUTS:
        raise UserError(f"data set {text!r}: layout {layout!r} is not known; {nearest(layout, LAYOUTS)}")
    if not _FOLDER.fullmatch(folder):
        raise UserError(
            f"data set {text!r}: {folder!r} is not a folder's name (letters, digits, '_', '.', '-', '+');"
            f" for a folder elsewhere give --data_paths NAME=DIR and call it {layout}:NAME"
        )
    return DatasetName(layout, folder)


def read_manifest(tree: Tree) -> dict[str, tuple[int, int]] | None:
    """Original sizes (width, height) by video from a preprocessed version's manifest; None without one."""
    if MANIFEST not in tree.files():
        return None
    where = tree.describe(MANIFEST)
    try:
        sizes = json.loads(tree.read(MANIFEST))["sizes"]
        read = {str(video): (int(size[0]), int(size[1])) for video, size in sizes.items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(
            f'{where}: expected {{"layout": …, "sizes": {{video: [width, height]}}}}; make it again'
        ) from error
    for video, size in read.items():
        if min(size) < 1:
            raise DataError(f"{where}: video {video} has size {size[0]}x{size[1]}; make it again")
    return read


def code_digest(layout: str) -> str:
    """SHA-256 of the modules that read a layout: another reader, another index."""
    files = [Path(__file__).with_name("common.py"), Path(str(_module(layout).__file__))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _module(layout: str) -> ModuleType:
    # Spelled out, so that who reads import statements (``runs.code``) finds them.
    from seqtrack.data.formats import otb, vot

    return {"otb": otb, "vot": vot}[layout]


def read_videos(layout: str, tree: Tree) -> Iterator[VideoAnnotation]:
    """Every video of a data set with its annotations, checked, in a fixed order.

    Raises:
        DataError: names the file, and the row where there is one.
    """
    module = _module(layout)
    count = 0
    for video in module.read(tree, read_manifest(tree)):
        count += 1
        yield video
    if count == 0:
        raise DataError(f"{tree.source}: no sequence in the {layout} layout here; expected {module.EXPECTED}")
