"""Frames as plain files."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

from seqtrack.errors import DataError


class Frames(Protocol):
    """Bytes of an encoded frame by its name in the index."""

    def read(self, name: str) -> bytes:
        """Raises DataError that names the file when it is not there or cannot be read."""

    def describe(self, name: str) -> str: ...

    def close(self) -> None: ...


def read_file(path: str, limit: int | None = None) -> bytes:
    """The whole of a plain file, or its first bytes. DataError that names it when it is none, or cannot be read."""
    return read_with_status(path, limit)[0]


def read_with_status(path: str, limit: int | None = None) -> tuple[bytes, os.stat_result]:
    """``read_file``, and what the system said of the file before anything was read."""
    # Half the time of open(…).read(), which builds a buffered reader first.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path}: not a file")
            size = status.st_size if limit is None else min(limit, status.st_size)
            data = os.read(descriptor, size)
            while len(data) < size:  # one read returns at most 2 GiB, and less on some network disks
                more = os.read(descriptor, size - len(data))
                if not more:
                    raise DataError(f"{path}: it became shorter while it was read")
                data += more
            return data, status
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror}); is the data set complete?") from error


class DirectoryFrames:
    """Frames as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    def read(self, name: str) -> bytes:
        return read_file(self._prefix + name)

    def describe(self, name: str) -> str:
        return self._prefix + name

    def close(self) -> None:
        """There is nothing to close."""
