"""The members of an uncompressed tar, from its headers alone.

One ``pread`` of 512 bytes per member. Python's ``tarfile`` builds an object per member and takes ten times
as long, which is noticed before an extraction (members are checked before anything is written) and when a
tar is read in place for the first time. Formats: ustar and v7, GNU long names, pax (POSIX.1-2001). Members
that no data set needs (devices, sparse files, multi-volume parts) are refused.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
import zlib
from collections.abc import Iterator
from pathlib import Path

from seqtrack.data.arrays.columns import Spool
from seqtrack.data.storage.members import Members
from seqtrack.errors import DataError

_BLOCK = 512
_END = bytes(_BLOCK)
_EXTENSIONS = (b"x", b"X", b"g", b"L", b"K")
_LONGEST_HEADER = 1 << 20
FETCH_BYTES = 16 << 20
_REFUSED = {
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
    b"M": "a part of a volume",
    b"V": "a volume label",
    b"D": "a list of an incremental backup",
    b"N": "a list of an incremental backup",
}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


def scan_tar(
    tar: Path, folder: str, *, shown: Path | None = None, prefetch: bool = False, spool: Spool | None = None
) -> Members:
    """Lists the members and checks every one of them.

    Args:
        folder: the one top-level folder that the tar must hold.
        shown: the path that messages name, where ``tar`` is a temporary copy of it.
        prefetch: the whole tar will be read next, so ask the system to fetch it meanwhile.
        spool: where the list is kept, instead of in memory.

    Raises:
        DataError: no such tar, compressed, truncated, or a member that is not a plain file, folder or link
            inside ``folder``.
    """
    try:
        descriptor = os.open(tar, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise DataError(f"{shown or tar}: cannot open it ({error.strerror})") from error
    tar = shown or tar
    try:
        members = Members(tar, os.fstat(descriptor).st_size, spool)
        symbolic: set[str] = set()
        fetched = 0 if prefetch and hasattr(os, "posix_fadvise") else members.size
        for name, kind, target, offset, size in _entries(descriptor, members):
            if offset >= fetched:
                # Headers lie far apart: without this each of them waits for a slow disk on its own.
                os.posix_fadvise(descriptor, offset, 2 * FETCH_BYTES, os.POSIX_FADV_WILLNEED)
                fetched = offset + FETCH_BYTES
            relative = inside_folder(tar, folder, name)
            if not relative and kind != b"5":
                raise DataError(f"{tar}: member {name!r} is not a folder; expected one top-level folder {folder}/")
            if kind in (b"1", b"2"):
                members.links[relative] = _link_target(tar, folder, name, target, kind == b"2")
                if kind == b"2":
                    symbolic.add(relative)
            elif kind == b"5":
                members.folders += 1
            else:
                members.add(relative, offset, size)
    except OSError as error:
        raise DataError(f"{tar}: cannot read it ({error.strerror})") from error
    finally:
        os.close(descriptor)
    if not (len(members) or members.folders):
        raise DataError(f"{tar}: it is empty; expected one top-level folder {folder}/")
    _refuse_paths_through_links(members, symbolic)
    return members


def tar_digest(tar: Path) -> str:
    """SHA-256 of the size, the first and last MiB and 64 evenly spaced blocks of 16 KiB.

    Reading whole tars of terabytes to know them again is out of the question; a tar that was made anew
    differs in one of these places.
    """
    mebibyte, sample, samples = 1 << 20, 16 << 10, 64
    with tar.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        digest.update(os.pread(file.fileno(), mebibyte, 0))
        digest.update(os.pread(file.fileno(), mebibyte, max(0, size - mebibyte)))
        for number in range(samples):
            digest.update(os.pread(file.fileno(), sample, size * number // samples))
    return digest.hexdigest()


def _entries(descriptor: int, members: Members) -> Iterator[tuple[str, bytes, str, int, int]]:
    """(name, type, link target, offset of the data, size) of each member; long names resolved."""
    tar, end = members.archive, members.size
    position = 0
    defaults: dict[str, str] = {}  # pax global header
    extended: dict[str, str] = {}  # pax or GNU header of the next member
    name = ""
    while True:
        header = os.pread(descriptor, _BLOCK, position)
        if len(header) < _BLOCK:
            after = f" after member {name!r}" if name else ""
            raise DataError(f"{tar}: truncated{after}, at {end} bytes; copy or pack it again")
        if header == _END:
            return
        _check_sum(tar, header, position)
        kind = header[156:157]
        size = _number(header[124:136])
        if size < 0 or (kind in _EXTENSIONS and size > _LONGEST_HEADER):
            raise DataError(f"{tar}: a damaged header at byte {position}; copy or pack it again")
        if kind in _EXTENSIONS:
            data = os.pread(descriptor, size, position + _BLOCK)
            if len(data) < size:
                raise DataError(f"{tar}: truncated in a header, at {end} bytes; copy or pack it again")
            if kind == b"L":
                extended["path"] = _text(data)
            elif kind == b"K":
                extended["linkpath"] = _text(data)
            else:
                (defaults if kind == b"g" else extended).update(_pax(tar, data))
            position += _BLOCK + _padded(size)
            continue
        values = {**defaults, **extended} if defaults or extended else extended
        name = values.get("path") or _name(header)
        if kind in _REFUSED or any(key.startswith("GNU.sparse") for key in values):
            what = _REFUSED.get(kind, "a sparse file")
            raise DataError(f"{tar}: member {name!r} is {what}; pack only plain files and folders")
        size = int(values.get("size", size))
        if kind == b"\0" and name.endswith("/"):  # v7 has no type for folders
            kind = b"5"
        if kind in (b"1", b"2", b"5"):
            size = 0
        offset = position + _BLOCK
        position = offset + _padded(size)
        if position > end:
            raise DataError(f"{tar}: truncated in member {name!r}, at {end} bytes; copy or pack it again")
        yield name, kind, values.get("linkpath") or _text(header[157:257]), offset, size
        if extended:
            extended = {}


def _check_sum(tar: Path, header: bytes, position: int) -> None:
    # The sum of the bytes with the field itself as spaces (POSIX ustar). Adler-32's lower half is one plus
    # that sum modulo 65521, at a tenth of the time of sum().
    expected = _number(header[148:156])
    actual = (zlib.adler32(header) & 0xFFFF) - 1 - sum(header[148:156]) + 8 * 32
    if (actual - expected) % 65521 == 0:
        return
    for magic, name in _COMPRESSED.items():
        if position == 0 and header.startswith(magic):
            raise DataError(f"{tar}: compressed with {name}; a tar is read in place, so decompress it first")
    raise DataError(f"{tar}: no tar header at byte {position}; it is damaged or not a tar: copy or pack it again")


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) & -_BLOCK


def _number(text: bytes) -> int:
    """Octal digits, or base 256 where the first bit is set (GNU, for files of 8 GiB and more)."""
    if text[0] & 0x80:
        return int.from_bytes(text[1:], "big")
    try:
        return int(text.strip(b" \0") or b"0", 8)
    except ValueError:
        return -1


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        return f"{_text(header[345:500])}/{name}"
    return name


def _pax(tar: Path, data: bytes) -> dict[str, str]:
    """Records ``length key=value\\n``."""
    values = {}
    while data.strip(b"\0"):
        length, space, _ = data.partition(b" ")
        if not (space and length.isdigit() and len(length) + 1 < int(length) <= len(data)):
            raise DataError(f"{tar}: a damaged pax header; copy or pack it again")
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        values[_text(key)] = value.decode("utf-8", "surrogateescape")
    return values


def inside_folder(archive: Path, folder: str, name: str) -> str:
    """A member's name relative to ``folder`` ('' for the folder itself). DataError if it lies outside.

    With ``folder`` '' every relative name is inside.
    """
    prefix = folder + "/" if folder else ""
    if name.startswith(prefix) and name[:1] not in "/." and "//" not in name and "/." not in name and name[-1] != "/":
        return name[len(prefix) :]
    if name.startswith("/"):
        raise DataError(f"{archive}: member {name!r} has an absolute path; refused: nothing was written")
    if ".." in name.split("/"):
        raise DataError(f"{archive}: member {name!r} would escape its folder; refused: nothing was written")
    plain = posixpath.normpath(name)
    if plain in (".", folder or "."):
        return ""
    if not plain.startswith(prefix):
        raise DataError(
            f"{archive}: member {name!r} lies outside {prefix}; expected one top-level folder, the data set's"
        )
    return plain[len(prefix) :]


def _link_target(tar: Path, folder: str, name: str, target: str, symbolic: bool) -> str:
    refused = DataError(
        f"{tar}: link {name!r} points outside {folder}/ (to {target!r}); refused: nothing was written"
    )
    words = target.split("/")
    climbs = 0
    while climbs < len(words) and words[climbs] in ("..", "."):
        climbs += 1
    # '..' after a name could climb out of a folder that is itself a link.
    if target.startswith("/") or not target or ".." in words[climbs:]:
        raise refused
    start = posixpath.dirname(posixpath.normpath(name)) if symbolic else ""
    plain = posixpath.normpath(posixpath.join(start, target))
    if not plain.startswith(folder + "/"):
        raise refused
    return plain[len(folder) + 1 :]


def _refuse_paths_through_links(members: Members, symbolic: set[str]) -> None:
    """No member may be written through a symbolic link, nor a link lead through another."""
    if not symbolic:
        return
    for name in itertools.chain((name for name, *_ in members), members.links, members.links.values()):
        parent = posixpath.dirname(name)
        while parent:
            if parent in symbolic:
                raise DataError(
                    f"{members.archive}: member {name!r} leads through the link {parent!r}; refused:"
                    " nothing was written"
                )
            parent = posixpath.dirname(parent)
