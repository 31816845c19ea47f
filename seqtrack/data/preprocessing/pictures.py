"""What a preprocessed version holds beside its pictures, and which picture serves a label.

    seqtrack-index.h5        the index of the original data, whole, so that no annotation has to travel along
    seqtrack-pictures.h5     which pictures there are (below)
    seqtrack-manifest.json   ``Manifest``

Versions of whole frames have a picture per frame, named as the frame but for the suffix, ``.jpg``; a ``crop_S``
version has one per label, ``{track:06d}/{row:06d}.jpg``. The arrays of seqtrack-pictures.h5 (V videos, K tracks, P
pictures):

    first (G + 1,) int64        group g has the pictures first[g] … first[g + 1] - 1; a group is a video, G = V,
                                or in crop_S versions a track, G = K
    numbers (P,) int32          the frame of each picture; in crop_S versions the row
    checksums (P,) uint32       CRC-32 of its file
    maps (P, 4) float64         crop_S: its CropMap, x0 y0 scale_x scale_y
    first_row (K + 1,) int64, rows (R,) int32    of whole frames, unless every row has one: the rows that have
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.arrays.arrayfile import open_arrays
from seqtrack.data.arrays.columns import Array, scalars
from seqtrack.data.formats import MANIFEST, DatasetName
from seqtrack.data.imaging.crops import CropMap
from seqtrack.data.indexing.index import CachedIndex, Index, verify_index
from seqtrack.data.preprocessing.versions import is_crop
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing

SCHEMA = 1
INDEX_FILE, PICTURES_FILE = "seqtrack-index.h5", "seqtrack-pictures.h5"


class Files(Protocol):
    """A ``Tree`` or ``Frames``: whatever reads files of the version by name."""

    def read(self, name: str) -> bytes: ...

    def describe(self, name: str) -> str: ...


@dataclass(frozen=True)
class Manifest:
    """What a version is, how it was made and what it holds."""

    schema: int
    layout: str
    preproc: str
    every: int
    """Every so many labelled rows of a track have a picture: row 0, row ``every``, …"""
    jpeg_quality: int
    encoder: str
    index: str
    """Fingerprint of the original's index."""
    videos: int
    tracks: int
    boxes: int
    """Labels with a target, in the index."""
    absent: int
    """Labels that say that there is none."""
    pictures: int
    unreadable: list[str]
    """Frames that were left out."""
    checksum: str
    """SHA-256 of seqtrack-pictures.h5, which has a CRC-32 of each picture."""

    @property
    def lacks(self) -> str:
        """Why it serves training only; '' where it has every frame."""
        if is_crop(self.preproc):
            return f"{self.preproc} has only the surroundings of targets"
        if self.every > 1:
            return f"it was made with --every {self.every}"
        return f"{len(self.unreadable)} frames were left out as unreadable" if self.unreadable else ""

    def to_json(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), indent=1).encode() + b"\n"


def read_manifest(files: Files) -> Manifest | None:
    """The manifest of a version that ``seqtrack preprocess`` made; None for one that was made otherwise.

    Raises:
        DataError: it was made by another version of seqtrack, or is damaged.
    """
    try:
        data = files.read(MANIFEST)
    except DataError:
        return None
    try:
        values = json.loads(data)
        if "schema" not in values:  # {"layout", "sizes"}: annotations lie beside the pictures
            return None
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']}, expected {SCHEMA}")
        return Manifest(**{field.name: _checked(values[field.name], field) for field in dataclasses.fields(Manifest)})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(
            f"{files.describe(MANIFEST)}: not a manifest that this seqtrack reads ({reason}); make the version again"
        ) from error


def _checked(value: Any, field: dataclasses.Field[Any]) -> Any:
    kind = {"int": int, "str": str}.get(str(field.type), list)
    if type(value) is not kind:
        raise ValueError(f"{field.name}: expected {field.type}, got {str(value)[:40]!r}")
    return value


def picture_of_frame(frame_name: str) -> str:
    """The file of a whole frame."""
    folder, slash, name = frame_name.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}.jpg"


def picture_of_row(track: int, row: int) -> str:
    """The file of a crop."""
    return f"{track:06d}/{row:06d}.jpg"


class Pictures:
    """An opened seqtrack-pictures.h5. Cheap to pickle: it travels as its path."""

    def __init__(self, path: Path) -> None:
        """Opens the file. FileNotFoundError; DataError for a file that is none."""
        arrays, _ = open_arrays(path)
        try:
            self.path = path
            self.numbers: NDArray[np.int32] = arrays["numbers"]
            self._numbers = scalars(self.numbers)
            self.checksums = scalars(arrays["checksums"])
            self._first = scalars(arrays["first"])
            self._maps: Array | None = arrays.get("maps")
            self._rows: Array | None = arrays.get("rows")
            self._first_row = scalars(arrays["first_row"]) if self._rows is not None else None
        except KeyError as error:
            raise DataError(f"{path}: {error} is missing in it; delete it and it is made again") from error

    def __reduce__(self) -> tuple[Callable[[Path], Pictures], tuple[Path]]:
        return Pictures, (self.path,)

    @property
    def are_crops(self) -> bool:
        return self._maps is not None

    def __len__(self) -> int:
        return len(self.numbers)

    def of_group(self, group: int) -> range:
        """The numbers of a video's pictures, or of a track's where they are crops."""
        return range(self._first[group], self._first[group + 1])

    def rows(self, track: int) -> NDArray[np.integer[Any]] | None:
        """The rows of a track that have a picture, increasing; None: all of them."""
        if self._maps is not None:
            return self.numbers[self._first[track] : self._first[track + 1]]
        if self._rows is None or self._first_row is None:
            return None
        return self._rows[self._first_row[track] : self._first_row[track + 1]]

    def find(self, group: int, number: int) -> int | None:
        """The number of the picture of a frame of a video (or of a row of a track); None if there is none."""
        first, last = self._first[group], self._first[group + 1]
        place = bisect.bisect_left(self._numbers, number, first, last)
        return place if place < last and self._numbers[place] == number else None

    def crop_map(self, picture: int) -> CropMap | None:
        """From pixels of the original frame to those of the picture; None where it is a whole frame."""
        return None if self._maps is None else CropMap(*self._maps[picture].tolist())


def open_pictures(files: Files, manifest: Manifest, folder: str, cache_dir: Path) -> Pictures:
    """The table of a version's pictures, by way of the cache. DataError if it is not the one of the manifest."""

    def check(path: Path) -> None:
        if hashlib.sha256(path.read_bytes()).hexdigest() != manifest.checksum:
            raise _damaged(files, PICTURES_FILE)

    path = cache_dir / f"{folder}.pictures-{manifest.checksum[:16]}.h5"
    return _installed(Pictures, path, lambda: files.read(PICTURES_FILE), check)


def embedded_index(files: Files, manifest: Manifest, name: DatasetName, cache_dir: Path) -> Index:
    """The index that a version carries, by way of the cache; one built from the original is the same file.

    Raises:
        DataError: it is not the index of the manifest.
    """

    def check(path: Path) -> None:
        try:
            found = verify_index(path).fingerprint
        except DataError:
            found = ""
        if found != manifest.index:
            raise _damaged(files, INDEX_FILE)

    path = CachedIndex(name, cache_dir).file(manifest.index)
    return _installed(Index, path, lambda: files.read(INDEX_FILE), check)


T = TypeVar("T")


def _installed(
    open_: Callable[[Path], T], path: Path, read: Callable[[], bytes], check: Callable[[Path], object]
) -> T:
    """What is at ``path`` in a cache that processes share; made from ``read()``, once ``check`` has passed, if it is
    not there or damaged."""
    with contextlib.suppress(FileNotFoundError, DataError):
        return open_(path)
    data = read()
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
            check(temporary)
    except OSError as error:
        raise UserError(
            f"--data_cache_dir: cannot write {path} ({error.strerror}); give a folder with room that can be written"
        ) from error
    return open_(path)


def _damaged(files: Files, file: str) -> DataError:
    return DataError(f"{files.describe(file)}: it is not what {MANIFEST} says; make or copy the version again")
