"""Writing an index: videos in, one file of arrays out.

The layout of the file (V videos, K tracks, R labelled frames, F frame names that follow no pattern):

    sizes (V, 2) int32                width, height of the originals
    lengths (V,) int64                number of frames
    first_track (V + 1,) int64        the tracks of video v are first_track[v] … first_track[v + 1] - 1
    video_name_*                      V texts; ``*`` stands for the pair that arrayfile.pack_texts makes
    prefix_*, suffix_*, starts, digits (V,)   frame t is called prefix + (start + t, zero-padded) + suffix,
    explicit_*, first_explicit (V,)           unless digits is 0: then explicit[first_explicit + t]
    track_name_*, track_videos (K,), track_categories (K,), category_*
    first_row (K + 1,) int64          the rows of track k, in the arrays below
    frames (R,) int32, boxes (R, 4) float64, present (R,) uint8, occluded (R,) uint8, visibility (R,) float16
    first_polygon (K,) int64          its rows in polygons (P, 8) float64; -1 where a track has none
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqtrack.data.arrays.arrayfile import write_arrays
from seqtrack.data.arrays.columns import Array, Column, Spool, TextColumns, column_of
from seqtrack.data.formats import VideoAnnotation
from seqtrack.data.indexing.numbering import NumberedNames

SCHEMA = 2
"""Raised when the file's layout changes."""

_NUMBERS = {
    "sizes": ("i4", 2), "lengths": ("i8", 0), "first_track": ("i8", 0), "starts": ("i8", 0), "digits": ("i4", 0),
    "first_explicit": ("i8", 0), "track_videos": ("i4", 0), "track_categories": ("i4", 0), "first_row": ("i8", 0),
    "first_polygon": ("i8", 0), "frames": ("i4", 0), "boxes": ("f8", 4), "present": ("u1", 0),
    "occluded": ("u1", 0), "visibility": ("f2", 0), "polygons": ("f8", 8),
}  # fmt: skip
"""Array → type and numbers in a row, 0 for one."""
_TEXTS = ("video_name", "prefix", "suffix", "explicit", "track_name", "category")


class IndexWriter:
    """Takes videos in their order; ``write`` publishes the file. Memory does not grow with what is added."""

    def __init__(self, spool_dir: Path | None = None) -> None:
        """``spool_dir``: where what has been added waits for ``write``, without a name."""
        self._spool = Spool(spool_dir)
        self._numbers = {name: Column(*kind, self._spool) for name, kind in _NUMBERS.items()}
        self._texts = {name: TextColumns(self._spool) for name in _TEXTS}
        self._categories: dict[str, int] = {}
        self._videos = self._tracks = self._rows = self._polygons = self._explicit = 0
        self._numbers["first_track"].add(0)
        self._numbers["first_row"].add(0)

    def add(self, video: VideoAnnotation) -> None:
        numbers, texts = self._numbers, self._texts
        names = NumberedNames.of(video.frame_names)
        numbers["sizes"].add(*video.size)
        numbers["lengths"].add(len(video.frame_names))
        numbers["starts"].add(names.start if names else 0)
        numbers["digits"].add(names.digits if names else 0)
        numbers["first_explicit"].add(self._explicit)
        texts["video_name"].add(video.name)
        texts["prefix"].add(names.prefix if names else "")
        texts["suffix"].add(names.suffix if names else "")
        if names is None:
            texts["explicit"].append(video.frame_names)
            self._explicit += len(video.frame_names)
        for track in video.tracks:
            category = self._categories.setdefault(track.category, len(self._categories))
            numbers["track_videos"].add(self._videos)
            numbers["track_categories"].add(category)
            texts["track_name"].add(track.name)
            numbers["first_polygon"].add(-1 if track.polygons is None else self._polygons)
            numbers["frames"].append(track.frames)
            numbers["boxes"].append(track.boxes)
            numbers["present"].append(track.present)
            numbers["occluded"].append(track.occluded)
            numbers["visibility"].append(track.present if track.visibility is None else track.visibility)
            if track.polygons is not None:
                numbers["polygons"].append(track.polygons)
                self._polygons += len(track.polygons)
            self._rows += len(track.frames)
            numbers["first_row"].add(self._rows)
        self._tracks += len(video.tracks)
        numbers["first_track"].add(self._tracks)
        self._videos += 1

    def columns(self) -> dict[str, Column]:
        categories = TextColumns()
        categories.append(list(self._categories))
        texts = self._texts | {"category": categories}
        named = {f"{name}_text": text.data for name, text in texts.items()}
        return self._numbers | named | {f"{name}_offsets": text.offsets for name, text in texts.items()}

    def write(self, path: Path, name: str, layout: str, source: str, fingerprint: str = "") -> str:
        """Publishes the index at ``path`` and returns its fingerprint, which may be known already."""
        columns = self.columns()
        fingerprint = fingerprint or content_fingerprint(layout, columns)
        meta = {"schema": SCHEMA, "name": name, "layout": layout, "fingerprint": fingerprint, "source": source}
        write_arrays(path, columns, meta)
        return fingerprint

    def close(self) -> None:
        self._spool.close()


def content_fingerprint(layout: str, arrays: Mapping[str, Column | Sequence[Array]]) -> str:
    """SHA-256 of everything that the index says, however its arrays are cut into pieces."""
    digest = hashlib.sha256(f"seqtrack index {SCHEMA} {layout}".encode())
    for name in sorted(arrays):
        column = column_of(arrays[name])
        digest.update(f"\n{name} {column.dtype.str} {column.shape}\n".encode())
        for block in column.blocks():
            digest.update(block)
    return digest.hexdigest()
