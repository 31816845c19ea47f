"""Files and folders that appear whole or not at all.

Everything a person or script may read is written beside its destination under a unique name, flushed to
disk, and renamed into place. A kill at any moment leaves either the old content or the new, plus at worst a
``.tmp-…`` sibling that nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from seqtrack.errors import UserError

TEMPORARY_PREFIX = ".tmp-"


def temporary_beside(path: Path) -> Path:
    """A unique name in the folder of ``path``, recognisable as unfinished and as this process's."""
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:12]}")


def destination_name(temporary: Path) -> str:
    """The name that ``temporary_beside`` was asked for."""
    return temporary.name.removeprefix(TEMPORARY_PREFIX).rsplit("-", 3)[0]


def _host() -> str:
    return socket.gethostname().replace("-", "_")


def sweep(folder: Path) -> None:
    """Removes files that processes of this host began in ``folder`` and were killed before they finished."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        _, host, pid, _ = (leftover.name.rsplit("-", 3) + [""] * 3)[:4]
        if host == _host() and pid.isdigit() and leftover.is_file() and not psutil.pid_exists(int(pid)):
            leftover.unlink(missing_ok=True)


def no_guard() -> None:
    """For writers with nobody to compete with."""


@contextlib.contextmanager
def replacing(path: Path, guard: Callable[[], None] = no_guard) -> Iterator[Path]:
    """Yields a temporary path; on a clean exit its file replaces ``path``, on an error it is removed.

    ``guard`` is called right before that (flushing may have taken long) and prevents it by raising.

    Raises UserError where ``path`` is a device or a pipe, which renaming would do away with, and IsADirectoryError.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no regular file, and is not replaced by one; give another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        publish(temporary, path, guard)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if error.errno is not None and str(error.filename) in ("None", str(temporary)):
            error.filename = str(path)  # a disk that is full does not say where
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def publish(file: Path, path: Path, guard: Callable[[], None] = no_guard) -> None:
    """Flushes a finished file and gives it its name, in place of what has that name now."""
    _sync_file(file)
    guard()
    os.replace(file, path)
    _sync_folder(path.parent)


@contextlib.contextmanager
def replacing_folder(path: Path, guard: Callable[[], None] = no_guard) -> Iterator[Path]:
    """Yields an empty temporary folder that becomes ``path`` on a clean exit; ``guard`` as for ``replacing``.

    A folder that is there already wins and the new one is discarded: whatever is published under one name has
    one content, so the first to arrive is as good as any.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync_file(file)
        guard()
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def write_bytes(path: Path, data: bytes, guard: Callable[[], None] = no_guard) -> None:
    with replacing(path, guard) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, guard: Callable[[], None] = no_guard) -> None:
    write_bytes(path, text.encode("utf-8"), guard)


def write_json(path: Path, value: Any) -> None:
    """Sorted keys and no NaN, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n")


def take_away(path: Path) -> Path | None:
    """Gives a folder, or a file, a name that nobody reads, for ``shutil.rmtree``; None where there is none."""
    doomed = temporary_beside(path)
    try:
        os.rename(path, doomed)
    except FileNotFoundError:
        return None
    return doomed


def create_exclusively(path: Path, data: bytes) -> bool:
    """Publishes a whole new file unless one is there already; says whether this call did it.

    A hard link is the one primitive that is both exclusive and whole, on NFS too (``O_EXCL`` alone shows an
    empty file first).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(data)
        _sync_file(temporary)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def ensure_writable_folder(folder: Path, flag: str) -> None:
    """Creates ``folder`` and proves that files can be made in it.

    Raises UserError that names the folder and the flag it comes from.
    """
    probe = folder / f"{TEMPORARY_PREFIX}probe-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"--{flag}: cannot write to {folder} ({error.strerror}): give a folder that you can write to"
        ) from error


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    # Some file systems (and macOS shares) refuse fsync on a folder; the rename itself has happened.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
