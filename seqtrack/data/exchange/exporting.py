"""Data sets written for other systems, by many processes, in pieces that a second try need not make again.

A piece is some whole videos. Each process writes pieces below ``.tmp-{name}-{fingerprint}/`` in the folder of the
export; a piece is there whole or not at all, and says so in a note beside it. What was asked for appears by a rename
once all pieces are there, so a run that was killed goes on where it was, and nobody sees half of a data set.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from seqtrack.data.datasets import Dataset
from seqtrack.data.indexing.index import Index
from seqtrack.data.processes import in_order
from seqtrack.data.working_folder import remove, working_folder
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import TEMPORARY_PREFIX, write_json

OnProgress = Callable[[int, int], object]
"""Videos done, videos in all."""

_FRAMES_PER_PIECE = 4_000


class Piecewise(Protocol):
    """A format: how one piece is written. Picklable."""

    def write(self, dataset: Dataset, videos: range, path: Path) -> dict[str, Any]:
        """Writes these videos to ``path``, which appears whole; what to remember of it, as JSON."""

    def name(self, number: int) -> str:
        """The file of a piece."""


def pieces_of(index: Index) -> list[range]:
    """The videos in runs of a few thousand frames, or of one video that is longer."""
    pieces: list[range] = []
    first = frames = 0
    for video in range(index.num_videos):
        frames += index.video_length(video)
        if frames >= _FRAMES_PER_PIECE:
            pieces.append(range(first, video + 1))
            first, frames = video + 1, 0
    return [*pieces, range(first, index.num_videos)] if first < index.num_videos else pieces


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """What goes wrong with the disk is said of ``--out``."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"--out: cannot write to {folder} ({error.strerror or error});"
            " give a folder that can be written and has room"
        ) from error


@contextlib.contextmanager
def workplace(out: Path, dataset: Dataset, of: str, made_by: Sequence[str], places: Sequence[Path]) -> Iterator[Path]:
    """A folder in ``out`` for the pieces, for this process alone: the same one for the same export of the same data,
    and gone once all is published at ``places``. It stays for the next try if something goes wrong.

    The index says what the labels and the frames' names and sizes are, and of an archive ``data_fingerprint`` what
    its bytes are. Of a folder nobody knows: a frame that is replaced there by another of its size, between a kill and
    the next try, is exported as it was.

    Args:
        made_by: versions of what decides the bytes of a piece.

    Raises:
        UserError: something is at ``places``, another process has the folder, or it cannot be written.
    """
    _refuse_existing(places)
    same = [dataset.index.fingerprint, dataset.data_fingerprint, *made_by]
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:24]
    with _naming(out), working_folder(out / f"{TEMPORARY_PREFIX}{dataset.name}-{of}-{digest}") as folder:
        _refuse_existing(places)  # whoever had the folder until now may have finished
        yield folder
        remove(folder)


def write_pieces(
    dataset: Dataset, kind: Piecewise, folder: Path, workers: int, on_progress: OnProgress
) -> list[dict[str, Any]]:
    """Writes what is missing of the pieces in ``folder`` and returns the notes of all of them.

    Raises:
        DataError, UserError: from the writing of any piece; the others' pieces stay for the next try.
    """
    pieces = pieces_of(dataset.index)
    notes = [_note(folder, kind.name(number), piece) for number, piece in enumerate(pieces)]
    missing = [number for number, note in enumerate(notes) if note is None]
    done = dataset.index.num_videos - sum(len(pieces[number]) for number in missing)
    on_progress(done, dataset.index.num_videos)
    jobs = [(kind, pieces[number], folder / kind.name(number)) for number in missing]
    processes = min(workers, len(missing))
    # Spawned: the readers of ArrayRecord have threads, which a fork does not bring along.
    written = in_order(_write, dataset, jobs, processes if processes > 1 else 0, "spawn")
    for number, note in zip(missing, written, strict=True):
        notes[number] = note
        done += len(pieces[number])
        on_progress(done, dataset.index.num_videos)
    return [note for note in notes if note is not None]


def _write(dataset: Dataset, job: tuple[Piecewise, range, Path]) -> dict[str, Any]:
    kind, videos, path = job
    note = kind.write(dataset, videos, path) | {"videos": [videos.start, videos.stop]}
    write_json(path.with_name(path.name + ".json"), note)
    return note


def _note(folder: Path, name: str, videos: range) -> dict[str, Any] | None:
    try:
        note = json.loads((folder / f"{name}.json").read_bytes())
        whole = note["videos"] == [videos.start, videos.stop] and (folder / name).is_file()
        return dict(note) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def publish(parts: Sequence[tuple[Path, Path]]) -> None:
    """Renames each file or folder to its place."""
    _refuse_existing([place for _, place in parts])
    for path, place in parts:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(path, place)


def _refuse_existing(places: Sequence[Path]) -> None:
    for place in places:
        if place.exists():
            raise UserError(f"--out: {place} exists already; move it away, or give another folder")


def frame_of(dataset: Dataset, video: int, frame: int) -> bytes:
    """DataError if the picture is empty: TFDS would take it for no picture."""
    data = dataset.read_frame(video, frame)
    if not data:
        raise DataError(f"{dataset.describe_frame(video, frame)}: the file is empty; restore it from its source")
    return data
