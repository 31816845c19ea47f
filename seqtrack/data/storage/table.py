"""Where the members of an archive lie: name → offset and size, in arrays that processes share."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.arrays.arrayfile import Texts, open_arrays, pack_texts
from seqtrack.data.arrays.columns import Array, encode, scalars
from seqtrack.data.storage.tarscan import Members
from seqtrack.errors import DataError

_SCHEMA = 3


class MemberTable:
    """Name → (offset, size) for the members of one archive.

    Members are sorted by the CRC-32 of their name; ``starts`` gives, for the upper bits of a hash, where its entries
    begin. So nothing is built when a table of millions of names is opened, and a look-up costs under a microsecond.
    """

    def __init__(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        self._names = Texts(arrays["names"], arrays["name_offsets"])
        self._hashes, self._starts = scalars(arrays["hashes"]), scalars(arrays["starts"])
        self._offsets, self._sizes = scalars(arrays["offsets"]), scalars(arrays["sizes"])
        self._folder_names = Texts(arrays["folders"], arrays["folder_offsets"])
        self._folder_starts, self._folder_rows = scalars(arrays["folder_starts"]), scalars(arrays["folder_rows"])
        self._lengths = scalars(arrays["lengths"]) if "lengths" in arrays else None
        self._shift = 32 - int(meta["bits"])
        self.archive_size = int(meta["archive_size"])
        self.compressed = self._lengths is not None
        """Whether any member is deflated (zip): then ``length`` tells which."""

    def _row(self, name: str) -> int:
        encoded = encode(name)
        wanted = zlib.crc32(encoded)
        bucket = wanted >> self._shift
        row, end = self._starts[bucket], self._starts[bucket + 1]
        while row < end:  # a range would cost as much as the rest of the look-up
            if self._hashes[row] == wanted and self._names.encoded(row) == encoded:
                return row
            row += 1
        return -1

    def find(self, name: str) -> tuple[int, int] | None:
        """Where its bytes begin in the archive, and how many they are there."""
        row = self._row(name)
        return None if row < 0 else (self._offsets[row], self._sizes[row])

    def length(self, name: str) -> int:
        """Bytes of a deflated member once it is inflated; -1 for one that lies there as it is."""
        return -1 if self._lengths is None else self._lengths[self._row(name)]

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(self._names[row] for row in range(len(self._names)))

    def folders_in(self, folder: str) -> list[str]:
        """Names of the folders directly in one of them ('' for the top), sorted."""
        return sorted(self._folders.get(folder, (0, []))[1])

    def files_in(self, folder: str) -> list[str]:
        """Names of the files directly in a folder, sorted."""
        if folder not in self._folders:
            return []
        number, cut = self._folders[folder][0], len(folder) + 1 if folder else 0
        rows = self._folder_rows[self._folder_starts[number] : self._folder_starts[number + 1]]
        return sorted(self._names[row][cut:] for row in rows)

    @functools.cached_property
    def _folders(self) -> dict[str, tuple[int, list[str]]]:
        """Folder → its number, and the names of those directly in it. Made when it is first asked for."""
        names = [self._folder_names[number] for number in range(len(self._folder_names))]
        found: dict[str, tuple[int, list[str]]] = {name: (number, []) for number, name in enumerate(names)}
        for name in names:
            above, _, own = name.rpartition("/")
            if name:
                found[above][1].append(own)
        return found


def table_arrays(members: Members) -> tuple[dict[str, Array], dict[str, Any]]:
    """What ``MemberTable`` is made of. Links become entries of their own that mean the same bytes."""
    links = _links(members)
    # In front: a file of the same name counts instead, as whatever comes last does.
    names = [*links, *members.names]
    rows = np.concatenate([np.fromiter(links.values(), np.int64, len(links)), np.arange(len(members.names))])
    hashes = np.fromiter((zlib.crc32(encode(name)) for name in names), np.uint32, len(names))
    order = _by_hash(names, hashes)
    ordered, rows = hashes[order], rows[order]
    bits = max(1, len(order).bit_length())
    buckets = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
    data, offsets = pack_texts(names[row] for row in order)
    folders: dict[str, int] = {"": 0}
    owners = np.fromiter((_enter(folders, names[row].rpartition("/")[0]) for row in order), np.int64, len(order))
    folder_rows = np.argsort(owners, kind="stable")
    folder_data, folder_offsets = pack_texts(folders)
    arrays = {
        "names": data,
        "name_offsets": offsets,
        "hashes": ordered,
        "starts": np.searchsorted(ordered.astype(np.uint64), buckets).astype(np.int64),
        "offsets": np.array(members.offsets, np.int64)[rows],
        "sizes": np.array(members.sizes, np.int64)[rows],
        "folders": folder_data,
        "folder_offsets": folder_offsets,
        "folder_rows": folder_rows,
        "folder_starts": np.searchsorted(owners[folder_rows], np.arange(len(folders) + 1)),
    }
    lengths = np.array(members.lengths, np.int64)[rows] if members.lengths else np.zeros(0, np.int64)
    if (lengths >= 0).any():
        arrays["lengths"] = lengths
    return arrays, {"schema": _SCHEMA, "bits": bits, "archive_size": members.size}


def _links(members: Members) -> dict[str, int]:
    """Link → which member it means in the end; those that mean none are left out."""
    if not members.links:
        return {}
    places = {name: row for row, name in enumerate(members.names)}
    found = {}
    for name, target in members.links.items():
        steps = len(members.links)  # they may lead in a circle
        while target in members.links and target not in places and steps:
            target, steps = members.links[target], steps - 1
        if target in places:
            found[name] = places[target]
    return found


def _by_hash(names: Sequence[str], hashes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Rows in the order of hashes, and of names where hashes are equal, so that the order of members does not matter;
    of equal names the last."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    counts = np.diff(firsts, append=len(order))
    for first, count in zip(firsts[counts > 1], counts[counts > 1], strict=True):
        last = sorted({names[row]: row for row in order[first : first + count]}.items())
        order[first : first + count] = [row for _, row in last] + [-1] * (count - len(last))
    return order[order >= 0]


def _enter(folders: dict[str, int], folder: str) -> int:
    """The number of a folder, which it and those above it get when they are first met."""
    if folder not in folders:
        _enter(folders, folder.rpartition("/")[0])
        folders[folder] = len(folders)
    return folders[folder]


def table_path(cache_dir: Path, label: str, digest: str) -> Path:
    return cache_dir / f"{label}.members-{digest[:16]}.h5"


def known_table(path: Path, archive_size: int) -> MemberTable | None:
    """The table at ``path`` if it is one of an archive of this size."""
    try:
        arrays, meta = open_arrays(path)
        if meta.get("schema") != _SCHEMA or meta.get("archive_size") != archive_size:
            return None
        return MemberTable(arrays, meta)
    except (FileNotFoundError, DataError, KeyError, json.JSONDecodeError):
        return None
