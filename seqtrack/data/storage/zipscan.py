"""The members of a zip, from its central directory and the local headers.

Python's ``zipfile`` builds an object per member, shares one file position among all readers, and finds a member's
data only when it is opened. Here a million members become four arrays, and every offset is checked once. Formats:
PKWARE's APPNOTE 6.3, zip64 included; members stored or deflated. What no data set needs (encrypted members, links,
other compressions, parts of several volumes) is refused.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqtrack.data.arrays.columns import Spool
from seqtrack.data.storage.members import Members
from seqtrack.data.storage.tarscan import FETCH_BYTES, inside_folder
from seqtrack.errors import DataError

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64, _LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _END64_BYTES, _ENTRY_BYTES, _LOCAL_BYTES = 22, 20, 56, 46, 30
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STORED, _DEFLATED = 0, 8
_UNIX = 3
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 97: "wavpack", 98: "ppmd", 99: "AES"}


class _Entry(NamedTuple):
    name: str
    deflated: bool
    size: int
    """Bytes in the archive."""
    length: int
    """Bytes once inflated."""
    header: int
    """Offset of its local header."""


def is_zip(path: Path) -> bool:
    """By the name, or else by the first bytes; a file that cannot be read is none."""
    if path.suffix.lower() == ".zip":
        return True
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(4) in (_LOCAL, _END)
    except OSError:
        return False


def scan_zip(
    archive: Path, folder: str, *, shown: Path | None = None, prefetch: bool = False, spool: Spool | None = None
) -> Members:
    """Lists the members and checks every one of them, as ``scan_tar`` does.

    Args:
        folder: the one top-level folder that it must hold; '' where the members are the files themselves.
        shown: the path that messages name, where ``archive`` is a temporary copy of it.
        prefetch: the whole archive will be read next, so ask the system to fetch it meanwhile.
        spool: where the list is kept, instead of in memory.

    Raises:
        DataError: no such zip, cut short, damaged, or a member that is not a plain file or folder inside ``folder``.
    """
    try:
        descriptor = os.open(archive, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise DataError(f"{shown or archive}: cannot open it ({error.strerror})") from error
    archive = shown or archive
    try:
        members = Members(archive, os.fstat(descriptor).st_size, spool)
        begin, size, count = _directory(descriptor, members)
        fetched = 0 if prefetch and hasattr(os, "posix_fadvise") else members.size
        for entry in _entries(archive, _exactly(descriptor, members, size, begin), count):
            relative = inside_folder(archive, folder, entry.name)
            if entry.name.endswith("/"):
                members.folders += 1
                continue
            if not relative:
                raise DataError(
                    f"{archive}: member {entry.name!r} is not a folder; expected one top-level folder {folder}/"
                )
            if entry.header >= fetched:
                os.posix_fadvise(descriptor, entry.header, 2 * FETCH_BYTES, os.POSIX_FADV_WILLNEED)
                fetched = entry.header + FETCH_BYTES
            place = _data_offset(descriptor, members, entry, begin)
            members.add(relative, place, entry.size, entry.length if entry.deflated else -1)
    except OSError as error:
        raise DataError(f"{archive}: cannot read it ({error.strerror})") from error
    finally:
        os.close(descriptor)
    if not (len(members) or members.folders):
        raise DataError(
            f"{archive}: it is empty; expected {f'one top-level folder {folder}/' if folder else 'files'}"
        )
    return members


def _damaged(archive: Path, what: str) -> DataError:
    return DataError(f"{archive}: {what}; it is damaged: copy or pack it again")


def _exactly(descriptor: int, members: Members, count: int, offset: int) -> bytes:
    if not (0 <= offset <= members.size and 0 <= count <= members.size - offset):
        raise _damaged(members.archive, f"its directory names byte {offset + count} of {members.size}")
    data = os.pread(descriptor, count, offset)
    while len(data) < count:
        more = os.pread(descriptor, count - len(data), offset + len(data))
        if not more:
            raise _damaged(members.archive, "it became shorter while it was read")
        data += more
    return data


def _directory(descriptor: int, members: Members) -> tuple[int, int, int]:
    """(offset, bytes, members) of the central directory, from the record that ends a zip."""
    archive, end = members.archive, members.size
    tail = _exactly(descriptor, members, count := min(end, _END_BYTES + _LONGEST_COMMENT), end - count)
    at = tail.rfind(_END)
    while at >= 0:
        if len(tail) - at >= _END_BYTES and at + _END_BYTES + int.from_bytes(
            tail[at + 20 : at + 22], "little"
        ) == len(tail):
            break
        at = tail.rfind(_END, 0, at)
    if at < 0:
        raise DataError(
            f"{archive}: no directory at its end, at {end} bytes; it is cut short or no zip: copy or pack it again"
        )
    disk, first, here, total, size, begin = struct.unpack_from("<HHHHII", tail, at + 4)
    position = end - len(tail) + at
    if 0xFFFF in (here, total) or 0xFFFFFFFF in (size, begin):
        locator = b""
        if position >= _LOCATOR_BYTES + _END64_BYTES:
            locator = _exactly(descriptor, members, _LOCATOR_BYTES, position - _LOCATOR_BYTES)
        if locator[:4] == _LOCATOR64:
            (position,) = struct.unpack_from("<Q", locator, 8)
            record = _exactly(descriptor, members, _END64_BYTES, position)
            if record[:4] != _END64:
                raise _damaged(archive, f"no zip64 record at byte {position}")
            disk, first, here, total, size, begin = struct.unpack_from("<IIQQQQ", record, 16)
    if disk or first or here != total:
        raise DataError(f"{archive}: a part of several volumes; join them into one zip")
    if begin + size != position:
        raise _damaged(archive, f"its directory should end at byte {position}, not {begin + size}")
    return begin, size, total


def _entries(archive: Path, directory: bytes, count: int) -> Iterator[_Entry]:
    position = 0
    for number in range(count):
        if directory[position : position + 4] != _CENTRAL or position + _ENTRY_BYTES > len(directory):
            raise _damaged(archive, f"no entry for member {number + 1} of {count} in its directory")
        (
            system, flags, method, size, length, name_bytes, extra_bytes, comment_bytes, mode, header,
        ) = struct.unpack_from("<xBxxHH8xIIHHHxxxxII", directory, position + 4)  # fmt: skip
        name_at = position + _ENTRY_BYTES
        extra_at = name_at + name_bytes
        position = extra_at + extra_bytes + comment_bytes
        if position > len(directory):
            raise _damaged(archive, f"the entry of member {number + 1} of {count} leads out of its directory")
        name = _decoded(directory[name_at:extra_at], bool(flags & _UTF8))
        if not name or "\0" in name:
            raise _damaged(archive, f"member {number + 1} has the name {name!r}")
        if flags & _ENCRYPTED:
            raise DataError(f"{archive}: member {name!r} is encrypted; pack it without a password")
        if method not in (_STORED, _DEFLATED):
            raise DataError(
                f"{archive}: member {name!r} is compressed with {_METHODS.get(method, f'method {method}')};"
                " pack it stored (zip -0)"
            )
        if system == _UNIX and stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{archive}: member {name!r} is no plain file; pack only plain files and folders")
        values = [length, size, header]
        _fill_zip64(archive, name, values, directory[extra_at : extra_at + extra_bytes])
        length, size, header = values
        if method == _STORED and length != size:
            raise _damaged(archive, f"member {name!r} is stored, but {length} bytes take {size}")
        yield _Entry(name, method == _DEFLATED, size, length, header)


def _decoded(name: bytes, utf8: bool) -> str:
    # Without the flag the name is in code page 437, says the standard; on Unix it is in fact often UTF-8.
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("utf-8", "surrogateescape") if utf8 else name.decode("cp437")


def _fill_zip64(archive: Path, name: str, values: list[int], extra: bytes) -> None:
    """Replaces those of [length, size, header] that are too large for 32 bits by what the extra field says."""
    missing = [place for place, value in enumerate(values) if value == 0xFFFFFFFF]
    position = 0
    while missing and position + 4 <= len(extra):
        kind, count = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            if count < 8 * len(missing) or position + 4 + 8 * len(missing) > len(extra):
                break
            for place, value in zip(
                missing, struct.unpack_from(f"<{len(missing)}Q", extra, position + 4), strict=True
            ):
                values[place] = value
            return
        position += 4 + count
    if missing:
        raise _damaged(archive, f"member {name!r} has no zip64 field for its size")


def _data_offset(descriptor: int, members: Members, entry: _Entry, end: int) -> int:
    """Where its bytes begin. The local header's own lengths count: its extra field is often another one."""
    local = os.pread(descriptor, _LOCAL_BYTES, entry.header) if entry.header < end else b""
    if len(local) < _LOCAL_BYTES or local[:4] != _LOCAL:
        raise _damaged(members.archive, f"no header of member {entry.name!r} at byte {entry.header}")
    name_bytes, extra_bytes = struct.unpack_from("<HH", local, 26)
    offset: int = entry.header + _LOCAL_BYTES + name_bytes + extra_bytes
    if offset + entry.size > end:
        raise _damaged(members.archive, f"member {entry.name!r} does not end before the directory")
    return offset
