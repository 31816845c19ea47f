"""Small data sets in their publishers' layouts, for ``tests/data/formats``: what the generators share.

Frames are tiny JPEGs; labels are texts written out in the tests, so that each test shows the file that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seqtrack.data.formats import DatasetName, Listing, Tree, VideoAnnotation, read_videos
from seqtrack.data.storage.trees import DirectoryTree, listings
from seqtrack.errors import DataError
from tests.data.otb_layout import boxes_text, jpeg, manifest_bytes, write_tar

__all__ = [
    "MemoryTree",
    "Summary",
    "boxes_text",
    "jpeg",
    "manifest_bytes",
    "read",
    "summary",
    "write_frames",
    "write_tar",
    "write_text",
]

SIZE = (32, 24)


def write_frames(
    folder: Path, numbers: Iterable[int], pattern: str = "{:08d}.jpg", size: tuple[int, int] = SIZE
) -> Path:
    """One picture per number, each of another grey."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / pattern.format(number)).write_bytes(jpeg(*size, value=number % 250))
    return folder


def write_text(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(layout: str, data: Path | Mapping[str, bytes], part: str = "") -> list[VideoAnnotation]:
    """All videos of a folder, or of these files in memory."""
    tree: Tree = DirectoryTree(data, data.name) if isinstance(data, Path) else MemoryTree("data", data)
    return list(read_videos(DatasetName(layout, tree.name, part), tree))


class MemoryTree:
    """A tree that lies in memory, for data sets of thousands of frames."""

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self.name, self.source = name, f"memory/{name}"
        self.content, self._listings = files, listings(files)

    @classmethod
    def of(cls, folder: Path) -> MemoryTree:
        tree = DirectoryTree(folder, folder.name)
        return cls(folder.name, {name: tree.read(name) for name in tree.files()})

    def list(self, folder: str = "") -> Listing:
        return self._listings.get(folder, Listing([], []))

    def files(self) -> Sequence[str]:
        return sorted(self.content)

    def read(self, name: str) -> bytes:
        if name not in self.content:
            raise DataError(f"{self.describe(name)}: no such file")
        return self.content[name]

    def read_head(self, name: str, size: int) -> bytes:
        return self.read(name)[:size]

    def describe(self, name: str) -> str:
        return f"{self.source}/{name}"


class Summary(NamedTuple):
    """What a data set consists of."""

    videos: int
    tracks: int
    frames: int
    boxes: int
    """Labelled rows."""
    absent: int


def summary(videos: list[VideoAnnotation]) -> Summary:
    tracks = [track for video in videos for track in video.tracks]
    return Summary(
        videos=len(videos),
        tracks=len(tracks),
        frames=sum(len(video.frame_names) for video in videos),
        boxes=sum(len(track.frames) for track in tracks),
        absent=sum(int((~track.present).sum()) for track in tracks),
    )
