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
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.data.arrayfile import Array, pack_texts, scalars, write_arrays
from seqtrack.data.formats import DatasetName, Tree, VideoAnnotation, code_digest
from seqtrack.data.formats.common import is_image
from seqtrack.data.trees import is_annotation

SCHEMA = 2
"""Raised when the file's layout changes, or what a format reads from the same files."""

_TRAILING_NUMBER = re.compile(r"(.*?)(\d+)(\.[^./]*)$", re.DOTALL)


def frame_pattern(names: Sequence[str]) -> tuple[str, int, int, str] | None:
    """(prefix, start, digits, suffix) such that name t is ``f"{prefix}{start + t:0{digits}d}{suffix}"``, or None."""
    found = _TRAILING_NUMBER.fullmatch(names[0]) if names else None
    if found is None:
        return None
    prefix, number, suffix = found.groups()
    start = int(number)
    # Unpadded names (9.jpg, 10.jpg) are numbers of at least one digit.
    digits = len(number) if len(number) == len(names[-1]) - len(prefix) - len(suffix) else 1
    if start + len(names) >= 2**63:
        return None
    for t, name in enumerate(names):
        if name != f"{prefix}{start + t:0{digits}d}{suffix}":
            return None
    return prefix, start, digits, suffix


class IndexWriter:
    """Collects videos in their order; ``write`` publishes the file."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {
            key: []
            for key in (
                "sizes", "lengths", "video_names", "prefixes", "suffixes", "starts", "digits", "explicit",
                "first_explicit", "track_videos", "track_names", "track_categories", "first_polygon",
            )
        }  # fmt: skip
        self._first_track, self._first_row = [0], [0]
        self._categories: dict[str, int] = {}
        self._polygon_rows = 0
        self._pieces: dict[str, list[Array]] = {
            "frames": [np.zeros(0, np.int32)], "boxes": [np.zeros((0, 4))],
            "present": [np.zeros(0, np.uint8)], "occluded": [np.zeros(0, np.uint8)],
            "visibility": [np.zeros(0, np.float16)], "polygons": [np.zeros((0, 8))],
        }  # fmt: skip

    def add(self, video: VideoAnnotation) -> None:
        column = self._columns
        pattern = frame_pattern(video.frame_names)
        prefix, start, digits, suffix = pattern or ("", 0, 0, "")
        column["sizes"].append(video.size)
        column["lengths"].append(len(video.frame_names))
        column["video_names"].append(video.name)
        column["prefixes"].append(prefix)
        column["suffixes"].append(suffix)
        column["starts"].append(start)
        column["digits"].append(digits)
        column["first_explicit"].append(len(column["explicit"]))
        if pattern is None:
            column["explicit"].extend(video.frame_names)
        for track in video.tracks:
            column["track_videos"].append(len(column["lengths"]) - 1)
            column["track_names"].append(track.name)
            category = self._categories.setdefault(track.category, len(self._categories))
            column["track_categories"].append(category)
            column["first_polygon"].append(-1 if track.polygons is None else self._polygon_rows)
            self._first_row.append(self._first_row[-1] + len(track.frames))
            self._pieces["frames"].append(np.asarray(track.frames, np.int32))
            self._pieces["boxes"].append(np.asarray(track.boxes, np.float64))
            self._pieces["present"].append(np.asarray(track.present, np.uint8))
            self._pieces["occluded"].append(np.asarray(track.occluded, np.uint8))
            visibility = track.present if track.visibility is None else track.visibility
            self._pieces["visibility"].append(np.asarray(visibility, np.float16))
            if track.polygons is not None:
                self._pieces["polygons"].append(np.asarray(track.polygons, np.float64))
                self._polygon_rows += len(track.polygons)
        self._first_track.append(len(column["track_names"]))

    def arrays(self) -> dict[str, list[Array]]:
        column = self._columns
        texts = {
            "video_name": column["video_names"], "prefix": column["prefixes"], "suffix": column["suffixes"],
            "explicit": column["explicit"], "track_name": column["track_names"],
            "category": list(self._categories),
        }  # fmt: skip
        arrays: dict[str, list[Array]] = dict(self._pieces)
        for name, values in texts.items():
            data, offsets = pack_texts(values)
            arrays[f"{name}_text"], arrays[f"{name}_offsets"] = [data], [offsets]
        whole: dict[str, Array] = {
            "sizes": np.array(column["sizes"], np.int32).reshape(-1, 2),
            "first_track": np.array(self._first_track, np.int64),
            "first_row": np.array(self._first_row, np.int64),
            "digits": np.array(column["digits"], np.int32),
            "track_videos": np.array(column["track_videos"], np.int32),
            "track_categories": np.array(column["track_categories"], np.int32),
        }
        for name in ("lengths", "starts", "first_explicit", "first_polygon"):
            whole[name] = np.array(column[name], np.int64)
        return arrays | {name: [array] for name, array in whole.items()}

    def write(self, path: Path, name: str, layout: str, source: str, source_fingerprint: str) -> str:
        """Publishes the index at ``path`` and returns its fingerprint."""
        arrays = self.arrays()
        fingerprint = content_fingerprint(layout, arrays)
        meta = {
            "schema": SCHEMA, "name": name, "layout": layout, "fingerprint": fingerprint,
            "source": source, "source_fingerprint": source_fingerprint,
        }  # fmt: skip
        write_arrays(path, arrays, meta)
        return fingerprint


def content_fingerprint(layout: str, arrays: dict[str, list[Array]]) -> str:
    """SHA-256 of everything that the index says, however its arrays are cut into pieces."""
    digest = hashlib.sha256(f"seqtrack index {SCHEMA} {layout}".encode())
    for name in sorted(arrays):
        pieces = arrays[name]
        rows = sum(len(piece) for piece in pieces)
        digest.update(f"\n{name} {pieces[0].dtype.str} {(rows, *pieces[0].shape[1:])}\n".encode())
        for piece in pieces:
            digest.update(scalars(np.ascontiguousarray(piece)).cast("B") if piece.size else b"")
    return digest.hexdigest()


def source_fingerprint(name: DatasetName, tree: Tree) -> str:
    """SHA-256 of what an index is made from: bytes of annotations and names of frames; a folder and a tar agree."""
    digest = hashlib.sha256(
        f"seqtrack source {SCHEMA} {name.layout} {name.part} {tree.name} {code_digest(name.layout)}".encode()
    )
    for file in tree.files():
        encoded = file.encode("utf-8", "surrogateescape")
        if is_annotation(file):
            content = hashlib.sha256(tree.read(file)).hexdigest().encode()
            digest.update(b"\nannotation " + encoded + b" " + content)
        elif is_image(file):
            digest.update(b"\nframe " + encoded)
    return digest.hexdigest()


def write_videos(
    videos: Iterable[VideoAnnotation], path: Path, name: str, layout: str, source: str, fingerprint: str
) -> str:
    writer = IndexWriter()
    for video in videos:
        writer.add(video)
    return writer.write(path, name, layout, source, fingerprint)
