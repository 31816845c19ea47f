"""A version of a data set packed as ArrayRecord: ``{tar_dir}/{preproc}/{name}.array_record/``.

A TFDS builder with one record per file, ``name`` and ``data``, which ``tfds.data_source`` opens too; beside it
``seqtrack-members.h5`` says which record holds which file, so that nothing is read through to find one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqtrack.data.arrays.arrayfile import open_arrays, write_arrays
from seqtrack.data.formats import Listing
from seqtrack.data.storage import MemberTable, table_arrays
from seqtrack.data.storage.builders import open_builder
from seqtrack.data.storage.members import Members
from seqtrack.data.storage.records import (
    INFO,
    Example,
    Shards,
    need,
    parse,
    shard_name,
    write_info,
    write_shard,
)
from seqtrack.data.storage.tarscan import tar_digest
from seqtrack.data.storage.trees import DirectoryTree, Seen, is_hidden, list_table, size_and_time
from seqtrack.errors import DataError

MEMBERS = "seqtrack-members.h5"
_SPLIT = "files"
_SHARD_BYTES = 1 << 30


class RecordFrames:
    """Files that are records."""

    def __init__(self, folder: Path, shards: Shards, table: MemberTable, digest: str) -> None:
        self.folder, self.table, self.digest = folder, table, digest
        self._shards = shards

    def __reduce__(self) -> tuple[Callable[..., RecordFrames], tuple[Any, ...]]:
        return open_records, (self.folder, None)

    def read(self, name: str) -> bytes:
        place = self.table.find(name)
        if place is None:
            raise DataError(f"{self.describe(name)}: no such record; is the data set complete?")
        values = parse(self._shards.read(place[0]), self.describe(name))["data"].bytes_list.value
        if len(values) != 1 or len(values[0]) != place[1]:
            raise DataError(f"{self.describe(name)}: another record than {MEMBERS} says; pack it again")
        return bytes(values[0])

    def describe(self, name: str) -> str:
        return f"{self.folder}: {name}"

    def close(self) -> None:
        self._shards.close()


def open_records(folder: Path, cache_dir: Path | None = None) -> RecordFrames:
    """DataError when the folder is not what ``write_records`` makes."""
    builder = open_builder(folder)
    try:
        table = MemberTable(*open_arrays(folder / MEMBERS))
        return RecordFrames(folder, builder.splits[_SPLIT], table, records_digest(folder))
    except (FileNotFoundError, KeyError) as error:
        raise DataError(
            f"{folder}: no {MEMBERS} or no split {_SPLIT!r}; expected what seqtrack pack --format array_record makes"
            " (other builders are read as tfds:NAME)"
        ) from error


def records_digest(folder: Path) -> str:
    """Of the table of members, which has the size and place of every file."""
    try:
        return tar_digest(folder / MEMBERS)
    except OSError as error:
        raise DataError(f"{folder / MEMBERS}: cannot read it ({error.strerror})") from error


class RecordTree(DirectoryTree):
    """The same files as a tree."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, name)
        self._frames: RecordFrames | None = None

    def _opened(self) -> RecordFrames:
        if self._frames is None:
            self._frames = open_records(self.root)
        return self._frames

    def files(self) -> Sequence[str]:
        return [name for name in self._opened().table.names() if not is_hidden(name)]

    def list(self, folder: str = "") -> Listing:
        return list_table(self._opened().table, folder)

    def read(self, name: str) -> bytes:
        return self._opened().read(name)

    def read_head(self, name: str, size: int) -> bytes:
        return self.read(name)[:size]

    def describe(self, name: str) -> str:
        return f"{self.root}: {name}"

    def stamp(self, seen: Seen) -> dict[str, Any]:
        return {"folders": {}, "files": {name: size_and_time(self.root / name) for name in (INFO, MEMBERS)}}


def write_records(
    folder: Path, name: str, names: Sequence[str], read: Callable[[str], bytes], on_bytes: Callable[[int], object]
) -> None:
    """Writes files into such a folder, a new one, which the caller publishes. ``read``: name → bytes."""
    features = need("tensorflow_datasets").features
    members = Members(folder, 0)
    shards: list[tuple[int, int]] = []

    def shard() -> Iterator[Example]:
        size = 0
        while len(members) < len(names) and size < _SHARD_BYTES:
            file = names[len(members)]
            data = read(file)
            members.add(file, len(members), len(data))
            yield {"name": [file.encode("utf-8", "surrogateescape")], "data": [data]}
            size += len(data)
            on_bytes(len(data))

    while len(members) < len(names):
        shards.append(write_shard(folder / shard_name(name, _SPLIT, len(shards)), shard()))
    arrays, meta = table_arrays(members)
    write_arrays(folder / MEMBERS, {key: [array] for key, array in arrays.items()}, meta)
    spec = features.FeaturesDict({"name": features.Text(), "data": features.Text()})
    write_info(folder, name, f"The files of {name}, packed by seqtrack.", spec, {_SPLIT: shards})
