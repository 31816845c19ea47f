"""PySiamTracking's crop-and-pickle sets: pictures cut around the target beforehand, annotations in one pickle.

    {set}_clean.pkl       {'categories': [{'id', 'name'}], 'seqs': [{'frames': ['{video}_{track}_{frame}.jpg'],
                          'bboxes': [(N, 6) x1 y1 x2 y2 class ignore], 'frame_id': [int], 'category': id}]}
    {set}.zip             pictures by the names in 'frames', or a folder of them (``seqtrack.data.storage.cropset``)

github.com/microsoft/PySiamTracking, ``preprocessing/converter.py``. Row 0 of a picture's boxes is the target, the
others are what else the publisher labelled there; coordinates are pixels of the crop, which is the original here.
A target counts as absent where it says ignore, and where its box is not more than a pixel wide and high: boxes that
its own reader throws out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import image_size
from seqtrack.data.formats.restricted_pickle import loads
from seqtrack.errors import DataError

EXPECTED = "NAME_clean.pkl, and the pictures it names in NAME.zip or NAME/"
_CLEAN = "_clean"


class Entry(NamedTuple):
    name: str
    frames: list[str]
    boxes: NDArray[np.float64]
    """(N, 6) x1 y1 x2 y2 class ignore of the target, pixels of the crop."""
    category: str
    size: tuple[int, int]


def stem_of(part: str, folder: str) -> str:
    """``got10k_train`` of ``got10k_train_clean``: what the files of the set are called."""
    return part or folder.removesuffix(_CLEAN)


def pickle_in(files: Sequence[str], stem: str) -> str | None:
    """The annotations among the files of a folder: those with this stem, or the only ones."""
    for name in (f"{stem}{_CLEAN}.pkl", f"{stem}.pkl"):
        if name in files:
            return name
    pickles = [name for name in files if name.endswith(f"{_CLEAN}.pkl")]
    return pickles[0] if len(pickles) == 1 else None


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """One video for each sequence of the pickle. All crops of a set have one size: the first one's."""
    stem = stem_of(part, tree.name)
    name = pickle_in(tree.list().files, stem)
    if name is None:
        raise DataError(f"{tree.source}: no {stem}{_CLEAN}.pkl here; expected {EXPECTED}")
    where = tree.describe(name)
    content = loads(tree.read(name), where)
    categories, sequences = _parts(content, where)
    size = None
    taken: set[str] = set()
    for number, sequence in enumerate(sequences):
        entry = _entry(sequence, f"{where}, sequence {number}", categories)
        if size is None:
            size = image_size(tree.read(entry.frames[0]), tree.describe(entry.frames[0]))
        name = entry.name if entry.name not in taken else f"{entry.name}-{number}"
        taken.add(name)
        yield entry._replace(name=name, size=size)


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    x1, y1, x2, y2, _, ignore = entry.boxes.T
    numbers = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)
    finite = np.isfinite(numbers).all(axis=1)
    present = finite & (numbers[:, 2] > 1) & (numbers[:, 3] > 1) & (ignore == 0)
    track = TrackAnnotation(
        name=entry.name,
        frames=np.arange(len(entry.frames)),
        boxes=np.where(finite[:, None], numbers, np.nan),
        present=present,
        occluded=np.zeros(len(entry.frames), dtype=bool),
        category=entry.category,
    )
    return VideoAnnotation(name=entry.name, frame_names=entry.frames, size=entry.size, tracks=[track])


def _parts(content: Any, where: str) -> tuple[dict[int, str], list[Any]]:
    """Names of categories by id, and the sequences."""
    try:
        categories = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        sequences = content["seqs"]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{where}: expected {{'categories': [{{'id', 'name'}}], 'seqs': […]}}; get or make it again"
        ) from error
    if not isinstance(sequences, list) or not sequences:
        raise DataError(f"{where}: it has no sequences; get or make it again")
    return categories, sequences


def _entry(sequence: Any, where: str, categories: Mapping[int, str]) -> Entry:
    try:
        frames = [str(name) for name in sequence["frames"]]
        targets = [_target(boxes) for boxes in sequence["bboxes"]]
        category = int(sequence["category"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{where}: expected 'frames', 'category' and 'bboxes' with at least one row each; mend or make it again"
        ) from error
    if not frames or len(frames) != len(targets):
        raise DataError(f"{where}: {len(targets)} arrays of boxes for {len(frames)} pictures; mend or make it again")
    for row, target in enumerate(targets):
        if target.shape != (6,):
            raise DataError(
                f"{where}, picture {row} ({frames[row]}): {target.size} numbers a box where 6 are expected;"
                " mend or make it again"
            )
    if category not in categories:
        raise DataError(f"{where}: category {category} is not in 'categories'; mend or make it again")
    if any(name.startswith("/") or ".." in name.split("/") or "\0" in name for name in frames):
        raise DataError(f"{where}: a picture's name leads out of the set's folder; refused")
    return Entry(_video_of(frames[0]), frames, np.array(targets), categories[category], (0, 0))


def _target(boxes: Any) -> NDArray[np.float64]:
    """The first row. Of lists only plain numbers: in a few bytes they can name each other to any depth and width."""
    row = boxes[0]
    return np.asarray(row if isinstance(row, np.ndarray) else [float(number) for number in row[:7]], np.float64)


def _video_of(frame: str) -> str:
    """``{video}_{track}`` of ``{video}_{track}_{frame}.jpg``."""
    name = frame.rpartition(".")[0] or frame
    return name.rpartition("_")[0] or name
