"""What the layouts share: rows of numbers, lists of frames, and sizes from image headers."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Listing, Sizes, Tree
from seqtrack.data.jpeg import read_jpeg_header
from seqtrack.errors import DataError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
# One benchmark mixes commas, tabs and spaces, sometimes several in a row ("12, 7").
_DELIMITER = re.compile(r"[,\s;]+")
Folders = Iterator[tuple[str, Listing]]
_NUMBER = re.compile(r"(\d+)\.[^.]*$")


def is_image(name: str) -> bool:
    return name.lower().endswith(IMAGES)


def parse_rows(data: bytes, where: str, columns: Sequence[int]) -> NDArray[np.float64]:
    """The numbers of a ground-truth file, one row per line.

    Args:
        where: names the file in messages.
        columns: how many numbers a row may have; all rows of a file have the same.

    Returns:
        (N, C); NaN where the file says ``nan``. Blank lines at the end are no rows; elsewhere they are
        mistakes.
    """
    expected = " or ".join(str(count) for count in columns)
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{where}: no rows; expected {expected} numbers in each")
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = [word for word in _DELIMITER.split(line) if word]
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise DataError(
                f"{where}, row {number}: {line.strip()[:60]!r} is not {expected} numbers; mend that row"
            ) from error
        if len(values) not in columns or (rows and len(values) != len(rows[0])):
            wanted = str(len(rows[0])) if rows else expected
            raise DataError(
                f"{where}, row {number}: {len(values)} numbers where {wanted} are expected; mend that row"
            )
        if any(math.isinf(value) for value in values):
            raise DataError(f"{where}, row {number}: an infinite number; mend that row")
        rows.append(values)
    return np.array(rows, dtype=np.float64)


def with_presence(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes, all NaN where a number is missing, and (N,) whether there is a target.

    A box without area means that the target is not there. It stays as it is: evaluators count such rows (Board and
    Twinnings of OTB have one each), while a row without numbers is left out.
    """
    has_numbers: NDArray[np.bool_] = np.asarray(np.isfinite(boxes).all(axis=1))
    present = has_numbers & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    return np.where(has_numbers[:, None], boxes, np.nan), present


def join(folder: str, name: str) -> str:
    """``folder/name``, or ``name`` at the top of the tree."""
    return f"{folder}/{name}" if folder else name


def walk(
    tree: Tree, folder: str = "", into: Callable[[str, Listing], bool] = lambda folder, listing: True
) -> Folders:
    """Every folder with what lies directly in it, each before those inside it, in the order of names.

    Args:
        into: whether to look inside the folders of this one; a folder of frames is listed only by who reads it.
    """
    listing = tree.list(folder)
    yield folder, listing
    if into(folder, listing):
        for name in listing.folders:
            yield from walk(tree, join(folder, name), into)


def frames_in(tree: Tree, folder: str) -> list[str]:
    """The images directly in a folder, in the order of their numbers, relative to the tree."""
    return frames_of([join(folder, name) for name in tree.list(folder).files])


def exists(tree: Tree, name: str) -> bool:
    """Whether there is such a file or folder."""
    above, _, last = name.rpartition("/")
    listing = tree.list(above)
    return last in listing.files or last in listing.folders


def base_of(tree: Tree, *candidates: str) -> str:
    """The first of these folders that is there, else '': people name the publisher's folder or the part itself."""
    return next((folder for folder in candidates if exists(tree, folder)), "")


def frame_number(name: str) -> int | None:
    """The number that ends a frame's file name: 300 for ``img/0300.jpg``."""
    found = _NUMBER.search(name)
    return int(found.group(1)) if found else None


def frames_of(names: Sequence[str]) -> list[str]:
    """The images among files of one folder, in the order of their numbers (``9.jpg`` before ``10.jpg``)."""
    images = [name for name in names if is_image(name)]
    numbers = [frame_number(name) for name in images]
    if None in numbers:
        return sorted(images)
    return [name for _, name in sorted(zip(numbers, images, strict=True))]


def original_size(tree: Tree, video: str, first_frame: str, sizes: Sizes) -> tuple[int, int]:
    """From the manifest of a preprocessed version if there is one, else from the first image's header."""
    if sizes is None:
        return image_size(tree.read(first_frame), tree.describe(first_frame))
    if video not in sizes:
        raise DataError(f"{tree.source}: its manifest has no size for video {video}; make this version again")
    return sizes[video]


def image_size(data: bytes, where: str) -> tuple[int, int]:
    """(width, height) as stored, from the header of a JPEG, PNG or BMP; EXIF orientation is ignored.

    Raises:
        DataError: not such an image, or its header is cut short.
    """
    size = None
    try:
        if header := read_jpeg_header(data):
            size = (header.width, header.height)
        elif data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
            size = struct.unpack(">II", data[16:24])
        elif data[:2] == b"BM":
            width, height = struct.unpack("<ii", data[18:26])
            size = (width, abs(height))  # a negative height means that rows run downwards
    except struct.error:
        pass
    if size is None or min(size) < 1:
        raise DataError(f"{where}: its header does not decode as JPEG, PNG or BMP; replace the file")
    return int(size[0]), int(size[1])
