"""Append-only logs, one JSON object a line.

A line is one ``write`` to a file opened for appending, so lines of several processes never mix on a local
disk; a reader drops a last line that a kill has torn.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

TAIL_BYTES = 1 << 16


def append(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, sort_keys=True, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        # A torn last line of a killed writer must not swallow this one.
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[dict[str, Any]]:
    """All whole records; none if there is no file."""
    return _records(path, 0)


def read_tail(path: Path, tail_bytes: int = TAIL_BYTES) -> list[dict[str, Any]]:
    """The whole records in the last bytes of the file: logs of long trials are polled often."""
    try:
        return _records(path, max(0, path.stat().st_size - tail_bytes))
    except FileNotFoundError:
        return []


def read_last(path: Path) -> dict[str, Any] | None:
    """The last whole record, if there is one."""
    return next(reversed(read_tail(path) or read(path)), None)  # a long line does not fit into a tail


def _records(path: Path, offset: int) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    records = []
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
