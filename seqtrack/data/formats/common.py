"""What the layouts share: rows of numbers, lists of frames, sizes from image headers, and videos of one target."""

from __future__ import annotations

import json
import math
import re
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import LARGEST_SIDE, Listing, Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.rows import parse_rows as parse_rows
from seqtrack.data.imaging.jpeg import read_jpeg_header
from seqtrack.data.indexing.numbering import NumberedNames
from seqtrack.errors import DataError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
_HEAD_BYTES = 4096
Folders = Iterator[tuple[str, Listing]]
_NUMBER = re.compile(r"(\d+)\.[^.]*$")
_LARGEST = 1.25
"""How far a box may exceed its frame. Hulls of VOT2018 reach 1.07 of a frame's height (iceskater1), boxes of UAV123
0.78; a side beyond this is a mistake, such as width and height swapped."""

NO_CLASS = "none"
"""YouTube-BB's word for targets of none of its classes, which need have nothing in common."""


def is_image(name: str) -> bool:
    return name.lower().endswith(IMAGES)


def with_presence(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes, all NaN where a number is missing, and (N,) whether there is a target.

    A box without area means that the target is not there. It stays as it is: evaluators count such rows (Board and
    Twinnings of OTB have one each), while a row without numbers is left out.
    """
    has_area = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    finite = np.isfinite(boxes)
    if finite.all():  # nearly always; to reduce rows of four takes ten times as long
        return boxes.astype(np.float64), has_area
    has_numbers: NDArray[np.bool_] = np.asarray(finite.all(axis=1))
    return np.where(has_numbers[:, None], boxes, np.nan), has_numbers & has_area


def check_boxes(
    boxes: NDArray[np.float64], size: tuple[int, int], where: str, rows: NDArray[np.int64] | None = None
) -> None:
    """Refuses boxes that no annotator can have meant.

    A box may reach beyond the frame or lie outside of it: benchmarks have such. It may not have some of its numbers
    only, nor a negative side, nor one far longer than the frame's.

    Args:
        boxes: (N, 4) x y w h; a row of NaN alone says that there is no target.
        size: (width, height) of the frames.
        where: names the file in messages.
        rows: (N,) number in the file, from 1; None: they are counted.

    Raises:
        DataError: names the file and the first such row.
    """
    if len(boxes):  # nearly always nothing is wrong; what follows takes ten times as long to say so
        columns = np.ascontiguousarray(boxes.T)
        x, y, width, height = columns.min(axis=1).tolist()  # nan if there is one, of which no comparison holds
        _, _, widest, highest = columns.max(axis=1).tolist()
        is_place, is_side = not math.isnan(x + y), width >= 0 and height >= 0
        if is_place and is_side and widest <= _LARGEST * size[0] and highest <= _LARGEST * size[1]:
            return
    missing = np.isnan(boxes)
    sides = np.where(missing[:, 2:], 0.0, boxes[:, 2:])
    mistakes = {
        "some of its numbers are missing": missing.any(axis=1) & ~missing.all(axis=1),
        "negative width or height": (sides < 0).any(axis=1),
        f"larger than its frame, {size[0]}x{size[1]} (width and height swapped?)": (
            sides > _LARGEST * np.array(size)
        ).any(axis=1),
    }
    for mistake, is_wrong in mistakes.items():
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            x, y, width, height = (f"{value:g}" for value in boxes[row])
            number = row + 1 if rows is None else int(rows[row])
            raise DataError(
                f"{where}, row {number}: box x={x} y={y} width={width} height={height}: {mistake}; mend that row"
            )


def move(boxes: NDArray[np.float64], distance: float) -> None:
    """Adds to x and y of boxes in place."""
    for column in (0, 1):  # not both at once: NumPy takes three times as long for rows of two
        boxes[:, column] += distance


def from_corners(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (N, 4) x y w h from opposite corners (N, 4) x1 y1 x2 y2, in either order."""
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high - low], axis=1)


def video_of_one_target(
    tree: Tree,
    video: str,
    frames: Sequence[str],
    boxes: NDArray[np.float64],
    where: str,
    sizes: Sizes,
    *,
    first_pixel: float = 0.0,
    positions: NDArray[np.int64] | None = None,
    rows: NDArray[np.int64] | None = None,
    lost: NDArray[np.bool_] | None = None,
    occluded: NDArray[np.bool_] | None = None,
    polygons: NDArray[np.float64] | None = None,
    category: str = "",
    visibility: NDArray[np.float16] | None = None,
) -> VideoAnnotation:
    """A video whose only target has these boxes, after checks.

    Args:
        boxes: (N, 4) x y w h as the file has them.
        where: names the file in messages.
        first_pixel: what the benchmark calls the first pixel; 1 where it was made with MATLAB.
        positions: (N,) which of the frames the rows label, increasing; None: all of them.
        rows: as in ``check_boxes``.
        lost: (N,) the target is out of view, whatever its box says.

    Raises:
        DataError: rows and frames differ in number, or ``check_boxes``.
    """
    if positions is None:
        check_length(len(boxes), frames, where)
        positions = np.arange(len(frames))
    size = original_size(tree, video, frames[0], sizes)
    check_boxes(boxes if lost is None else np.where(lost[:, None], 0.0, boxes), size, where, rows)
    boxes, present = with_presence(boxes)
    if first_pixel:
        move(boxes, -first_pixel)
    track = TrackAnnotation(
        name=video,
        frames=positions,
        boxes=boxes,
        present=present if lost is None else present & ~lost,
        occluded=np.zeros(len(boxes), dtype=bool) if occluded is None else occluded,
        category=category,
        polygons=polygons,
        visibility=visibility,
    )
    return VideoAnnotation(name=video, frame_names=frames, size=size, tracks=[track])


def check_length(rows: int, frames: Sequence[str], where: str, note: str = "") -> None:
    if rows != len(frames):
        raise DataError(
            f"{where}: {rows} rows for {len(frames)} frames{note}; rows and frames must match: mend the data"
        )


def positions_of(numbers: NDArray[Any], frames: Sequence[str], where: str) -> NDArray[np.int64]:
    """Where in ``frames`` the files with these numbers are, for labels that name their frame.

    Args:
        numbers: (N,) number that ends a file name.

    Returns:
        (N,) positions, in the order of ``numbers``.

    Raises:
        DataError: names the row whose frame is not there, or was labelled before.
    """
    place = {frame_number(name): position for position, name in enumerate(frames)}
    seen: set[float] = set()
    for row, number in enumerate(numbers, start=1):
        if number not in place or number in seen:
            problem = "is labelled twice" if number in seen else f"is not among the {len(frames)} frames there"
            raise DataError(f"{where}, row {row}: frame {number:g} {problem}; mend that row")
        seen.add(number)
    return np.array([place[int(number)] for number in numbers], dtype=np.int64)


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


def frames_in(tree: Tree, folder: str) -> Sequence[str]:
    """The images directly in a folder, in the order of their numbers, relative to the tree."""
    return frames_among(tree.list(folder).files, folder)


def frames_among(files: Sequence[str], folder: str) -> Sequence[str]:
    """``frames_in`` a folder that has been listed."""
    prefix, frames = join(folder, ""), frames_of(files)
    return frames.below(prefix) if isinstance(frames, NumberedNames) else [prefix + name for name in frames]


def frames_for(tree: Tree, folder: str, truth: str, expected: str) -> Sequence[str]:
    """``frames_in``; DataError if there are none, though there is the ground truth ``truth``."""
    frames = frames_in(tree, folder)
    if not frames:
        where = tree.describe(folder) if folder else tree.source
        raise DataError(f"{where}: no frames for {truth.rpartition('/')[2]}; expected {expected}")
    return frames


def folders_with(tree: Tree, truth: str, base: str = "") -> list[str]:
    """Every folder in which a file of this name lies, ``base`` itself included; nothing inside of them is listed.

    Raises:
        DataError: a folder of frames (all digits) has no such file beside it or above.
    """
    found = []
    for folder, listing in walk(tree, base, into=lambda _, listing: truth not in listing.files):
        if truth in listing.files:
            found.append(folder)
        else:
            refuse_frames(tree, folder, listing, truth)
    return found


def refuse_frames(tree: Tree, folder: str, listing: Listing, truth: str) -> None:
    """DataError if there are frames (names of digits) in a folder for which there is no ground truth."""
    if any(is_image(name) and name.partition(".")[0].isdigit() for name in listing.files):
        where = tree.describe(folder) if folder else tree.source
        raise DataError(f"{where}: frames, but no {truth} for them; add it or remove the folder")


def sequences_with(tree: Tree, truth: str, *candidates: str) -> list[tuple[str, str]]:
    """(sequence, its folder) wherever a file of this name lies, in the tree or the first of these folders in it."""
    base = base_of(tree, *candidates)
    return [(name_below(tree, base, folder), folder) for folder in folders_with(tree, truth, base)]


def name_below(tree: Tree, base: str, folder: str) -> str:
    """What a sequence is called: its folder below the benchmark's own, or the tree's name if it is the tree."""
    return folder[len(base) + 1 :] if base and folder != base else folder or tree.name


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


def frames_of(names: Sequence[str]) -> Sequence[str]:
    """The images among files of one folder, in the order of their numbers (``9.jpg`` before ``10.jpg``)."""
    # They count up in nearly all of a large data set, which is quickly found out.
    if (counted := _counted(names)) is not None and is_image(counted.suffix):
        return counted
    images = [name for name in names if is_image(name)]
    if (counted := _counted(images)) is not None:
        return counted
    numbers = [frame_number(name) for name in images]
    if None in numbers:
        return sorted(images)
    return [name for _, name in sorted(zip(numbers, images, strict=True))]


def _counted(names: Sequence[str]) -> NumberedNames | None:
    """The names in the order in which they count up; None if they do not."""
    # As a tree lists them, which is right for names of one length; or 9.jpg before 10.jpg.
    return NumberedNames.of(names) or NumberedNames.of(sorted(sorted(names), key=len))


def original_size(tree: Tree, video: str, first_frame: str, sizes: Sizes) -> tuple[int, int]:
    """From the manifest of a preprocessed version if there is one, else from the first image's header."""
    if sizes is None:
        return size_of_frame(tree, first_frame)
    if video not in sizes:
        raise DataError(f"{tree.source}: its manifest has no size for video {video}; make this version again")
    return sizes[video]


def size_of_frame(tree: Tree, name: str) -> tuple[int, int]:
    """(width, height) of an image, of which no more is read than its header as a rule."""
    where, head = tree.describe(name), tree.read_head(name, _HEAD_BYTES)
    try:
        return image_size(head, where)
    except DataError:
        if len(head) < _HEAD_BYTES:
            raise
        return image_size(tree.read(name), where)  # a preview or a colour profile may lie before the size


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
    if size is None or min(size) < 1 or max(size) > LARGEST_SIDE:
        raise DataError(f"{where}: its header does not decode as JPEG, PNG or BMP; replace the file")
    return int(size[0]), int(size[1])


def contains(names: Sequence[str], name: str) -> bool:
    """Whether sorted names, such as those of a listing, hold this one."""
    place = bisect_left(names, name)
    return place < len(names) and names[place] == name


def stem(name: str) -> str:
    """``0300`` for ``img/0300.jpg``."""
    return name.rpartition("/")[2].rpartition(".")[0]


def read_list(tree: Tree, name: str) -> list[str]:
    """The lines of a text file, such as a list of sequences; blank ones left out."""
    lines = tree.read(name).decode("utf-8-sig", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def read_json(tree: Tree, name: str) -> Any:
    try:
        return json.loads(tree.read(name))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{tree.describe(name)}: not JSON ({error}); fetch the file again") from error


def between_sightings(
    labelled: Sequence[int], seen: Mapping[int, Sequence[float]]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """One object among several that come and go, from the first frame that shows it to the last.

    Args:
        labelled: positions of the frames in which all objects are marked, rising.
        seen: its box, x y w h, by position.

    Returns:
        (N,) positions, (N, 4) boxes, NaN where a labelled frame does not show it, and (N,) whether it does.
    """
    first, last = min(seen), max(seen)
    frames = np.array([position for position in labelled if first <= position <= last], np.int64)
    rows = [seen.get(int(position), (math.nan,) * 4) for position in frames]
    boxes, present = with_presence(np.array(rows, np.float64))
    return frames, boxes, present


class Item(NamedTuple):
    """One object of a single picture."""

    name: str
    """Distinct among those of the picture."""
    category: str
    box: tuple[float, float, float, float]
    """x y w h."""
    occluded: bool = False


def picture_of_items(video: str, picture: str, size: tuple[int, int], items: Sequence[Item]) -> VideoAnnotation:
    """A picture as a video of one frame, each of its objects as a track."""
    boxes, present = with_presence(np.array([item.box for item in items], np.float64).reshape(-1, 4))
    occluded = np.array([item.occluded for item in items], bool)
    first = np.zeros(1, np.int64)
    tracks = []
    for k, item in enumerate(items):
        row = slice(k, k + 1)
        name = f"{video}.{item.name}"
        tracks.append(TrackAnnotation(name, first, boxes[row], present[row], occluded[row], item.category))
    return VideoAnnotation(name=video, frame_names=[picture], size=size, tracks=tracks)
