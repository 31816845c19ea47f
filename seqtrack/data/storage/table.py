"""Where the members of an archive lie: name → offset and size, in arrays that processes share."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.data.arrayfile import Array, Texts, open_arrays, pack_texts, scalars
from seqtrack.data.tarscan import Members
from seqtrack.errors import DataError

_SCHEMA = 2


class MemberTable:
    """Name → (offset, size) for the members of one archive.

    Members are sorted by the CRC-32 of their name; ``starts`` gives, for the upper bits of a hash, where its entries
    begin. So nothing is built when a table of millions of names is opened, and a look-up costs under a microsecond.
    """

    def __init__(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        self._names = Texts(arrays["names"], arrays["name_offsets"])
        self._hashes, self._starts = scalars(arrays["hashes"]), scalars(arrays["starts"])
        self._offsets, self._sizes = scalars(arrays["offsets"]), scalars(arrays["sizes"])
        self._lengths = scalars(arrays["lengths"]) if "lengths" in arrays else None
        self._shift = 32 - int(meta["bits"])
        self.archive_size = int(meta["archive_size"])
        self.compressed = self._lengths is not None
        """Whether any member is deflated (zip): then ``length`` tells which."""

    def _row(self, name: str) -> int:
        encoded = name.encode("utf-8", "surrogateescape")
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


def table_arrays(members: Members) -> tuple[dict[str, Array], dict[str, Any]]:
    """What ``MemberTable`` is made of. Links become entries of their own that mean the same bytes."""
    lengths = members.lengths or [-1] * len(members.names)
    columns = zip(members.offsets, members.sizes, lengths, strict=True)
    places = dict(zip(members.names, columns, strict=True))
    for name, target in members.links.items():
        while target in members.links and target not in places and target != name:
            target = members.links[target]
        if target in places:
            places.setdefault(name, places[target])
    encoded = [name.encode("utf-8", "surrogateescape") for name in places]
    hashes = np.fromiter((zlib.crc32(name) for name in encoded), dtype=np.uint32, count=len(encoded))
    # Equal hashes are ordered by name, so that the table does not depend on the order of members.
    order = sorted(range(len(encoded)), key=lambda row: (hashes[row], encoded[row]))
    names = list(places)
    data, offsets = pack_texts(names[row] for row in order)
    ordered = hashes[order]
    bits = max(1, len(encoded).bit_length())
    buckets = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
    place = np.array(list(places.values()), dtype=np.int64).reshape(-1, 3)[order]
    arrays = {
        "names": data,
        "name_offsets": offsets,
        "hashes": ordered,
        "starts": np.searchsorted(ordered.astype(np.uint64), buckets).astype(np.int64),
        "offsets": np.ascontiguousarray(place[:, 0]),
        "sizes": np.ascontiguousarray(place[:, 1]),
    }
    if (place[:, 2] >= 0).any():
        arrays["lengths"] = np.ascontiguousarray(place[:, 2])
    return arrays, {"schema": _SCHEMA, "bits": bits, "archive_size": members.size}


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
