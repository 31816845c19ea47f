"""Making a smaller version of a data set once: ``original`` → ``crop_S``, ``resize_force_WxH``, ``resize_fit_WxH``.

Pictures are made by worker processes in blocks of a few (``picture_maker``), and written in the order of the index
(video, frame, track) to one tar as they come: its bytes do not depend on the number of workers, nor on kills
(``growing_tar``). What it holds beside them: ``pictures``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.data.arrays.arrayfile import open_arrays, write_arrays
from seqtrack.data.arrays.columns import Array
from seqtrack.data.datasets import Dataset
from seqtrack.data.formats import MANIFEST
from seqtrack.data.indexing.index import Index
from seqtrack.data.preprocessing.growing_tar import GrowingTar, members
from seqtrack.data.preprocessing.picture_maker import (
    ENCODER,
    Block,
    Maker,
    Piece,
    Recipe,
    Wanted,
    crop_region,
    wanted,
)
from seqtrack.data.preprocessing.pictures import INDEX_FILE, PICTURES_FILE, SCHEMA, Manifest, read_manifest
from seqtrack.data.preprocessing.versions import Crop, parse_version
from seqtrack.data.processes import in_order
from seqtrack.data.storage.trees import TarTree
from seqtrack.data.working_folder import remove, working_folder
from seqtrack.errors import UserError

PICTURES_PER_BLOCK = 32

Say = Callable[[str], object]


def blocks_of(counts: Sequence[int]) -> Iterator[list[Piece]]:
    """All pictures in order, in blocks: long videos are cut, short ones joined. ``counts``: pictures by video."""
    block: list[Piece] = []
    room = PICTURES_PER_BLOCK
    for video, count in enumerate(counts):
        start = 0
        while start < count:
            stop = min(count, start + room)
            block.append(Piece(video, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                yield block
                block, room = [], PICTURES_PER_BLOCK
    if block:
        yield block


def tables(
    index: Index, plan: Sequence[Wanted], checksums: NDArray[np.int64], recipe: Recipe
) -> tuple[dict[str, Array], list[str]]:
    """The arrays of seqtrack-pictures.h5, and the names of the frames that were left out.

    Args:
        checksums: (P,) CRC-32 of each picture of ``plan``, in order; -1 where there is none.
    """
    version = parse_version(recipe.preproc)
    groups, numbers, kept, maps, rows, left_out = [], [], [], [], [], []
    end = 0
    for video, (frames, tracks, places) in enumerate(plan):
        found = checksums[end : end + len(frames)]
        end += len(frames)
        left_out += [index.frame_name(video, frame) for frame in np.unique(frames[found < 0]).tolist()]
        if isinstance(version, Crop):
            order = np.lexsort((places, tracks))
            order = order[found[order] >= 0]
            groups.append(tracks[order])
            numbers.append(places[order])
            for track, row in zip(tracks[order].tolist(), places[order].tolist(), strict=True):
                square, shrink = crop_region(index.track(track).boxes[row].tolist(), version.side)
                used = square.map_to(version.side, shrink)
                maps.append((used.x0, used.y0, used.scale_x, used.scale_y))
        else:
            order = np.flatnonzero(found >= 0)
            groups.append(np.full(len(order), video))
            numbers.append(frames[order])
            for track in index.tracks_of(video):
                labelled = index.track(track).frames
                every = np.arange(0, len(labelled), recipe.every)
                rows.append(every[np.isin(labelled[every], numbers[-1])])
        kept.append(found[order])
    is_crop = isinstance(version, Crop)
    arrays: dict[str, Array] = {
        "first": _ends(np.bincount(_joined(groups), minlength=index.num_tracks if is_crop else index.num_videos)),
        "numbers": _joined(numbers).astype(np.int32),
        "checksums": _joined(kept).astype(np.uint32),
    }
    if is_crop:
        arrays["maps"] = np.array(maps, np.float64).reshape(-1, 4)
    elif recipe.every > 1 or left_out:
        arrays["rows"] = _joined(rows).astype(np.int32)
        arrays["first_row"] = _ends([len(part) for part in rows])
    return arrays, left_out


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _ends(counts: Any) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(counts, np.int64))])


@dataclass(frozen=True)
class Outcome:
    """``manifest`` is None where frames are unreadable and were not to be left out: then nothing is published."""

    path: Path
    manifest: Manifest | None
    unreadable: list[str]
    """A line per frame."""
    was_there: bool = False
    """It had been made before; nothing was done."""


def preprocess(
    dataset: Dataset,
    recipe: Recipe,
    destination: Path,
    num_workers: int,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    say: Say = print,
) -> Outcome:
    """Writes a version of an opened original data set to the tar ``destination``, whole or not at all.

    A command that was stopped, however, goes on where it was when it is given again.

    Args:
        num_workers: processes; 0: this one.
        skip_unreadable: leave frames out that do not decode; otherwise they prevent publication.
        on_progress: called with pictures done and pictures in all.

    Raises:
        UserError: the destination exists and is another version, or cannot be written.
        SeqtrackError: a worker process has died.
    """
    folder = destination.with_name(f".{destination.name}.unfinished")
    task = _task(dataset, recipe)

    def find_finished() -> Outcome | None:
        if overwrite or not destination.exists():
            return None
        return Outcome(destination, _finished(destination, dataset, task), [], was_there=True)

    if (found := find_finished()) is not None:
        # What a kill has left of it; not what a process that replaces it is at work on.
        with contextlib.suppress(UserError, OSError):
            if folder.exists():
                with working_folder(folder, patience=0):
                    remove(folder)
        return found
    try:
        with working_folder(folder):
            # Who had the folder until now may have finished it.
            outcome = find_finished() or _work(
                dataset, recipe, task, destination, folder, num_workers, skip_unreadable, on_progress, say
            )
            if outcome.manifest is not None:
                remove(folder)
            return outcome
    except OSError as error:
        raise UserError(
            f"--out: cannot write {destination} ({error.strerror or error}); make room, or give another"
        ) from error


def _task(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What decides the bytes of the tar. Its manifest says some of it, and a half-written one must agree in all."""
    index = dataset.index
    return {
        "schema": SCHEMA, "layout": index.layout, "preproc": recipe.preproc, "every": recipe.every,
        "jpeg_quality": recipe.jpeg_quality, "encoder": ENCODER, "index": index.fingerprint,
        "data": dataset.data_fingerprint, "opencv": cv2.__version__, "pictures_per_block": PICTURES_PER_BLOCK,
    }  # fmt: skip


def _in_manifest(task: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(Manifest)}
    return {key: value for key, value in task.items() if key in names}


def _finished(destination: Path, dataset: Dataset, task: dict[str, Any]) -> Manifest:
    """The manifest of the version that is there, if it is the one asked for."""
    manifest = read_manifest(TarTree(destination, dataset.name))
    known = vars(manifest) if manifest is not None else {}
    differs = [key for key, value in _in_manifest(task).items() if known.get(key) != value]
    if manifest is None or differs:
        what = f"its {', '.join(differs)} differ" if manifest is not None else "it was not made by this command"
        raise UserError(f"{destination} exists already and {what}; give --overwrite to replace it, or another --out")
    return manifest


def _work(
    dataset: Dataset, recipe: Recipe, task: dict[str, Any], destination: Path, folder: Path, num_workers: int,
    skip_unreadable: bool, on_progress: Callable[[int, int], object], say: Say,
) -> Outcome:  # fmt: skip
    index = dataset.index
    plan = [wanted(index, video, recipe) for video in range(index.num_videos)]
    blocks = list(blocks_of([len(video.frames) for video in plan]))
    maker = Maker(dataset, recipe)
    tar = GrowingTar(folder, task)
    try:
        _drop_what_has_been_mended(tar, maker)
        if not tar.records:
            tar.append(members([(f"{dataset.name}/{INDEX_FILE}", _index_file(index, folder))]), {})
        done, total = (
            sum(len(record.get("checksums", ())) for record in tar.records),
            sum(len(v.frames) for v in plan),
        )
        if done:
            say(f"{dataset.name}: going on after {done:,} of {total:,} pictures")
        for block in in_order(_make, maker, blocks[len(tar.records) - 1 :], num_workers):
            tar.append(block.data, {"checksums": block.checksums, "unreadable": block.unreadable})
            done += len(block.checksums)
            on_progress(done, total)
        # A frame whose pictures fall into two blocks is met twice.
        lost = {(video, frame): why for record in tar.records for video, frame, why in record.get("unreadable", ())}
        if lost and not skip_unreadable:
            return Outcome(destination, None, list(lost.values()))
        found = [-1 if sum_ is None else sum_ for record in tar.records for sum_ in record.get("checksums", ())]
        arrays, left_out = tables(index, plan, np.array(found, np.int64), recipe)
        pictures = _array_file(folder, arrays, {"schema": SCHEMA})
        manifest = _manifest(index, task, pictures, len(arrays["numbers"]), left_out)
        last = {PICTURES_FILE: pictures, MANIFEST: manifest.to_json()}
        tar.publish(members((f"{dataset.name}/{name}", data) for name, data in last.items()), destination)
    finally:
        tar.close()
    return Outcome(destination, manifest, list(lost.values()))


def _drop_what_has_been_mended(tar: GrowingTar, maker: Maker) -> None:
    """Frames that could not be read are looked at again: from the first that can now, everything is made again."""
    for number, record in enumerate(tar.records):
        if any(maker.is_readable(video, frame) for video, frame, _ in record.get("unreadable", ())):
            tar.cut(number)
            return


def _index_file(index: Index, folder: Path) -> bytes:
    """The index as a file that does not say where it was made."""
    arrays, meta = open_arrays(index.path)
    return _array_file(folder, arrays, meta | {"source": index.name})


def _array_file(folder: Path, arrays: dict[str, Array], meta: dict[str, Any]) -> bytes:
    path = folder / "arrays.h5"
    write_arrays(path, {name: [array] for name, array in arrays.items()}, meta)
    data = path.read_bytes()
    path.unlink()
    return data


def _manifest(index: Index, task: dict[str, Any], pictures: bytes, count: int, left_out: list[str]) -> Manifest:
    labels = [index.track(track).present for track in range(index.num_tracks)]
    boxes = sum(int(present.sum()) for present in labels)
    return Manifest(
        **_in_manifest(task),
        videos=index.num_videos,
        tracks=index.num_tracks,
        boxes=boxes,
        absent=sum(len(present) for present in labels) - boxes,
        pictures=count,
        unreadable=left_out,
        checksum=hashlib.sha256(pictures).hexdigest(),
    )


def _make(maker: Maker, block: Sequence[Piece]) -> Block:
    cv2.setNumThreads(0)  # the processes are the threads
    return maker.block(block)
