"""The layouts in which data sets are published, and what is read from each of them.

A layout is one module here that ``LAYOUTS`` names, or one of a person's own (``plugins``), with what ``Layout`` asks
for: ``find`` lists the videos without reading their labels, ``read`` reads one of them. Both need a ``Tree`` only, so
that an unpacked folder and a tar give the same; videos are independent, so that many processes may share them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from seqtrack.data.formats import plugins
from seqtrack.data.formats.published import PUBLISHED
from seqtrack.errors import DataError, UserError
from seqtrack.schema import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqtrack.data.indexing.index import Index
    from seqtrack.data.lists import VideoList

LAYOUTS = (
    "otb", "vot", "tc128", "uav123", "dtb70", "nfs", "nuspro", "alov", "tlp", "pysot",
    "got10k", "lasot", "trackingnet", "ilsvrc", "det", "ytbb", "coco", "masks",
    "clean", "tfds",
)  # fmt: skip

Sizes = Mapping[str, tuple[int, int]] | None
"""Original (width, height) by video, from the manifest of a resized version; None where frames tell it."""

MANIFEST = "seqtrack-manifest.json"
"""In the top folder of a preprocessed version: ``{"layout": …, "sizes": {video: [width, height]}}``, the
sizes of the original images, which a resized version cannot tell otherwise."""

_BUILDER = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z0-9_.+-]+){0,3}")
"""TFDS's spelling: ``name[/config][/version][/split]``."""

LARGEST_SIDE = 1 << 20
"""Pixels; what says that it is larger is damaged."""

_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class Listing(NamedTuple):
    """What lies directly in one folder: plain names, sorted, hidden ones left out."""

    folders: list[str]
    files: Sequence[str]
    """``NumberedNames`` where they are pictures that count up."""


class Tree(Protocol):
    """A read-only folder of a data set, on disk or in a tar (``seqtrack.data.storage.trees``)."""

    @property
    def name(self) -> str:
        """Name of the data set's folder."""

    @property
    def source(self) -> str:
        """Absolute path of the folder or tar."""

    def list(self, folder: str = "") -> Listing:
        """One folder ('' for the top), '/'-separated and relative to the data set's; empty if there is none."""

    def files(self) -> Sequence[str]:
        """All file names relative to the folder, sorted. Of a large data set these are millions: prefer ``list``."""

    def read(self, name: str) -> bytes: ...

    def read_head(self, name: str, size: int) -> bytes:
        """The first ``size`` bytes, or all there are: of a picture, what its header says is often enough."""

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
    visibility: NDArray[np.float16] | None = None
    """(N,) share of the target that can be seen, in [0, 1]; None: 1 where present, 0 where not."""


@dataclass(frozen=True)
class VideoAnnotation:
    name: str
    frame_names: Sequence[str]
    """Relative to the data-set folder, in order."""
    size: tuple[int, int]
    """(width, height) of the original images."""
    tracks: list[TrackAnnotation]


class Layout(Protocol):
    """What a layout's module (or an object of a plug-in) has.

    It may also have ``WITHIN_FRAME = True``: its boxes lie in the frame, so one that leaves it is a mistake.
    """

    EXPECTED: str
    """For messages: which files lie where."""

    def find(self, tree: Tree, part: str) -> Iterable[Any]:
        """One entry per video, in the publisher's order. Entries are picklable. Folders are listed and lists of
        sequences read, but not the labels of single videos. ``part``: see ``Published``; '' means everything."""

    def read(self, tree: Tree, entry: Any, sizes: Sizes) -> VideoAnnotation:
        """One video with its labels. DataError names the file, and the row where there is one."""


@dataclass(frozen=True)
class DatasetName:
    """A data set as a flag names it: where it lies is ``folder``, how to read it ``layout`` and ``part``, and which
    of its videos are meant ``only`` (None: all of them)."""

    layout: str
    folder: str
    part: str = ""
    only: VideoList | None = None

    def __str__(self) -> str:
        is_published = _published(self.folder) == (self.layout, self.part)
        builder = self.part if self.layout == "tfds" else self.folder
        name = self.folder if is_published else f"{self.layout}:{builder}"
        return f"{name}@{self.only.file}" if self.only else name

    @property
    def label(self) -> str:
        """For names of folders: another for each list of videos, whatever its file is called."""
        return f"{self.folder}@{self.only.label}" if self.only else self.folder

    def videos(self, index: Index) -> list[int]:
        """The videos (numbers, increasing) that are meant. UserError if the list names one that is not there."""
        return self.only.members(index) if self.only else list(range(index.num_videos))


def _published(name: str) -> tuple[str, str] | None:
    known = PUBLISHED.get(name)
    return (known.layout, known.part) if known else None


def parse_dataset_name(text: str) -> DatasetName:
    """``otb_50``, or ``layout:folder`` such as ``otb:my_folder``.

    Raises:
        UserError: unknown name or layout (with the nearest valid one), or a folder that is not a plain name.
    """
    if "@" in text:
        raise UserError(f"data set {text!r}: a list of sequences cannot be given here; leave @… out")
    layout, colon, folder = text.partition(":")
    if not colon:
        if known := _published(text):
            return DatasetName(known[0], text, known[1])
        raise UserError(
            f"data set {text!r} is not known; {nearest(text, PUBLISHED)};"
            f" a folder of your own is named LAYOUT:FOLDER with LAYOUT one of {', '.join(all_layouts())}"
        )
    if layout not in LAYOUTS and layout not in plugins.plugin_layouts():
        raise UserError(f"data set {text!r}: layout {layout!r} is not known; {nearest(layout, all_layouts())}")
    if layout == "tfds" and _BUILDER.fullmatch(folder):
        return DatasetName(layout, folder.replace("/", "-"), folder)
    if not _FOLDER.fullmatch(folder):
        raise UserError(
            f"data set {text!r}: {folder!r} is not a folder's name (letters, digits, '_', '.', '-', '+');"
            f" for a folder elsewhere give --data_paths NAME=DIR and call it {layout}:NAME"
        )
    return DatasetName(layout, folder)


def read_sizes(tree: Tree) -> dict[str, tuple[int, int]] | None:
    """Original sizes (width, height) by video from a preprocessed version's manifest; None without one."""
    if MANIFEST not in tree.list().files:
        return None
    where = tree.describe(MANIFEST)
    try:
        sizes = json.loads(tree.read(MANIFEST))["sizes"]
        read = {str(video): (int(size[0]), int(size[1])) for video, size in sizes.items()}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(
            f'{where}: expected {{"layout": …, "sizes": {{video: [width, height]}}}}; make it again'
        ) from error
    for video, size in read.items():
        if min(size) < 1 or max(size) > LARGEST_SIDE:
            raise DataError(f"{where}: video {video} has size {size[0]}x{size[1]}; make it again")
    return read


def all_layouts() -> list[str]:
    """Ours, then those of people's own that are installed here."""
    return [*LAYOUTS, *(name for name in plugins.plugin_layouts() if name not in LAYOUTS)]


def find_layout(layout: str) -> Layout:
    """UserError where a person's own cannot be imported, or is no layout."""
    if layout not in LAYOUTS:
        return plugins.load(layout)
    # By name, so that ``runs.code`` does not take readers for code that learns: what they have read is in the
    # fingerprint of the index, and an edited reader makes a new one (``code_digest``).
    return cast(Layout, importlib.import_module(f"seqtrack.data.formats.{layout}"))


def code_digest(layout: str) -> str:
    """SHA-256 of the modules that read a layout: another reader, another index."""
    shared = [Path(__file__).with_name(f"{name}.py") for name in ("__init__", "common", "rows", "checks", "voc")]
    own = Path(__file__).with_name(f"{layout}.py") if layout in LAYOUTS else plugins.module_file(layout)
    files = [*shared, own]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _Watched:
    """A tree that remembers which files were read, for messages."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.name, self.source = tree.name, tree.source
        self.list, self.files, self.read_head, self.describe = tree.list, tree.files, tree.read_head, tree.describe
        self.names: list[str] = []

    def read(self, name: str) -> bytes:
        self.names.append(name)
        return self._tree.read(name)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._tree, attribute)  # what only this kind of tree has

    @contextlib.contextmanager
    def naming_the_last(self) -> Iterator[None]:
        """Turns what a deeply nested file does to a parser into an error that names the file."""
        try:
            yield
        except RecursionError as error:
            where = self.describe(self.names[-1]) if self.names else self.source
            raise DataError(f"{where}: nested too deeply to be an annotation; replace the file") from error


def read_video(layout: Layout, tree: Tree, entry: Any, sizes: Sizes) -> VideoAnnotation:
    """One video with its annotations, checked (``formats.checks``).

    Raises:
        DataError: names the file, and the row where there is one.
    """
    from seqtrack.data.formats.checks import find_mistake  # which needs the types above

    watched = _Watched(tree)
    with watched.naming_the_last():
        video = layout.read(watched, entry, sizes)
    if not all(1 <= side <= LARGEST_SIDE for side in video.size):
        where = tree.describe(watched.names[0]) if watched.names else f"{tree.source}: {video.name}"
        raise DataError(f"{where}: says that frames are {video.size[0]}x{video.size[1]}; mend it")
    within = getattr(layout, "WITHIN_FRAME", False)  # which a plug-in need not have
    if (mistake := find_mistake(video, within=within)) is not None:
        number, row, problem = mistake
        track = video.tracks[number]
        frame = tree.describe(video.frame_names[int(track.frames[row])])
        box = " ".join(f"{value:g}" for value in track.boxes[row])
        raise DataError(f"{_file_of(watched, video, number, row)}, row {row + 1}: {problem} (box {box} of {frame})")
    return video


def _file_of(tree: _Watched, video: VideoAnnotation, track: int, row: int) -> str:
    """Which of the files that were read holds a label: there is one per frame, one per track, or one."""
    names = tree.names
    if not names:
        return f"{tree.source}: {video.tracks[track].name}"
    if len(names) == len(video.tracks[track].frames):
        return tree.describe(names[row])
    return tree.describe(names[track if len(names) == len(video.tracks) else 0])


def read_videos(name: DatasetName, tree: Tree) -> Iterator[VideoAnnotation]:
    """Every video of a data set with its annotations, checked, in a fixed order.

    Raises:
        DataError: names the file, and the row where there is one.
    """
    layout, sizes = find_layout(name.layout), read_sizes(tree)
    for entry in find_videos(name, tree):
        yield read_video(layout, tree, entry, sizes)


def find_videos(name: DatasetName, tree: Tree) -> list[Any]:
    """The entries of all videos (``Layout.find``). DataError if there is none."""
    layout = find_layout(name.layout)
    watched = _Watched(tree)
    with watched.naming_the_last():
        entries = list(layout.find(watched, name.part))
    if not entries:
        raise DataError(f"{tree.source}: no sequence in the {name.layout} layout here; expected {layout.EXPECTED}")
    return entries
