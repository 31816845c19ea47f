"""A tar that is written block by block, in one pass, and goes on after a kill where it was.

In a ``working_folder`` until it is published:

    pictures.tar     the blocks so far: whole members, without the end of the archive
    journal.jsonl    a line per block: where it ends, its CRC-32, and what its writer wants to know of it later
    task.json        what is being written; of another task nothing is used

A line is written after its block, so the worst that a kill leaves is a block without one. Blocks are compared with
their CRC-32 before they are used again: after a power cut lines may have reached the disk that their blocks have not.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seqtrack.runs import atomic

Record = Mapping[str, Any]


def members(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files as they stand in a tar: header, content, padding. Nothing says when and by whom they were made."""
    parts = []
    for name, data in files:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        parts += [header, data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return b"".join(parts)


class GrowingTar:
    """The tar in a working folder. ``records`` are what ``append`` was given, one per block."""

    def __init__(self, folder: Path, task: Mapping[str, Any]) -> None:
        """Takes up what is there of this task, and drops what is there of another."""
        self._tar, self._journal = folder / "pictures.tar", folder / "journal.jsonl"
        if _read_task(folder / "task.json") != task:
            self._journal.unlink(missing_ok=True)
            atomic.write_json(folder / "task.json", task)
        self.records: list[Record] = []
        self._ends, self._lines = [0], [0]
        self._tar.touch()
        self._journal.touch()
        self._take_up()
        self._data, self._log = self._tar.open("r+b"), self._journal.open("r+b")
        self.cut(len(self.records))

    def _take_up(self) -> None:
        with self._tar.open("rb") as tar, self._journal.open("rb") as journal:
            for line in journal:
                try:
                    end, checksum, record = json.loads(line)
                    data = tar.read(end - self._ends[-1])
                except (ValueError, TypeError, OverflowError, RecursionError):  # torn
                    return
                if len(data) != end - self._ends[-1] or zlib.crc32(data) != checksum or not isinstance(record, dict):
                    return
                self._note(end, self._lines[-1] + len(line), record)

    def _note(self, end: int, line: int, record: Record) -> None:
        self._ends.append(end)
        self._lines.append(line)
        self.records.append(record)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._ends[-1]

    def append(self, data: bytes, record: Record) -> None:
        """Writes a block (whole members) and what is to be known of it (JSON values)."""
        end = self.size + len(data)
        line = json.dumps([end, zlib.crc32(data), record], separators=(",", ":")).encode() + b"\n"
        for file, text in ((self._data, data), (self._log, line)):
            file.write(text)
            file.flush()
        self._note(end, self._lines[-1] + len(line), record)

    def cut(self, blocks: int) -> None:
        """Forgets all but the first ``blocks``."""
        del self.records[blocks:], self._ends[blocks + 1 :], self._lines[blocks + 1 :]
        for file, length in ((self._log, self._lines[-1]), (self._data, self._ends[-1])):
            file.truncate(length)
            file.seek(length)

    def publish(self, last: bytes, path: Path) -> None:
        """Ends the archive with these members and gives it its name."""
        padding = -(self.size + len(last) + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE
        self._data.write(last + bytes(2 * tarfile.BLOCKSIZE + padding))
        self.close()
        atomic.publish(self._tar, path)

    def close(self) -> None:
        self._data.close()
        self._log.close()


def _read_task(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
