"""A folder in which one process at a time makes something that takes long, and where a second try finds it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from seqtrack.data.storage.node_local import remove_tree
from seqtrack.errors import UserError

SECONDS_TO_WAIT = 10.0
"""Processes of a command that was just killed hold its lock a moment longer."""


@contextlib.contextmanager
def working_folder(folder: Path, patience: float | None = None) -> Iterator[Path]:
    """The folder, made if it is not there, for this process alone. UserError, which names the other, if one has it.

    Args:
        patience: seconds to wait for another (default: ``SECONDS_TO_WAIT``).
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner = filelock.FileLock(folder / "lock"), folder / "owner"
    with contextlib.suppress(NotImplementedError):  # a file system without locks
        try:
            lock.acquire(timeout=SECONDS_TO_WAIT if patience is None else patience)
        except filelock.Timeout:
            raise UserError(f"{folder}: {_name_in(owner)} is at work on this; wait for it to end") from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield folder
    finally:
        lock.release()


def _name_in(owner: Path) -> str:
    try:
        return owner.read_text()[:100] or "another process"
    except (OSError, ValueError):
        return "another process"


def remove(folder: Path) -> None:
    """Removes a working folder, its lock last: who waits for that finds everything settled."""
    for file in sorted(folder.iterdir(), key=lambda file: file.name == "lock"):
        remove_tree(file)
    shutil.rmtree(folder, ignore_errors=True)
