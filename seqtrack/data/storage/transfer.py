"""How the bytes of an archive get onto the node: extracted (a tar by the program ``tar``), or copied as they are."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from seqtrack.data.storage import ArchiveFrames
from seqtrack.data.storage.node_local import gigabytes
from seqtrack.errors import DataError, UserError

PROGRESS_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_KERNEL_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20

OnBytes = Callable[[int], object]
"""Told now and then how many bytes of the tar have been read."""


def progress(name: str, total: int, on_message: Callable[[str], object]) -> OnBytes:
    """Says every ``PROGRESS_SECONDS`` how far it is, so that somebody who waits sees that it moves."""
    last = time.monotonic()

    def on_bytes(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            on_message(f"{name}: {gigabytes(done)} of {gigabytes(total)} staged")

    return on_bytes


def extract(tar: Path, into: Path, lock: int, on_bytes: OnBytes) -> None:
    """Runs ``tar``, GNU or BSD, which inherits the descriptor ``lock``.

    Raises DataError with what ``tar`` complained about first, and OSError (ENOSPC) as soon as the disk is full.
    """
    # The tar is its standard input: a ':' in a file name would mean a host to GNU tar.
    command = ["tar", "-x", "-f", "-", "-b", "512", "-m", "--no-same-owner", "--no-same-permissions", "-C", str(into)]
    with tar.open("rb") as file:
        try:
            process = subprocess.Popen(
                command, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", "TAR_OPTIONS": ""}, pass_fds=(lock,),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise UserError("the program 'tar' is not installed here; install it, or use --stage_mode=tar") from error
        try:
            # The position in its input is shared with us, whatever the version of tar: no need to ask it.
            complaints = _complaints(process, lambda: on_bytes(os.lseek(file.fileno(), 0, os.SEEK_CUR)))
            if process.wait() != 0:
                reason = complaints.splitlines()[0].strip() if complaints else f"exit code {process.returncode}"
                raise DataError(f"{tar}: cannot be extracted: {reason}")
        finally:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()


def _complaints(process: subprocess.Popen[bytes], meanwhile: Callable[[], object]) -> str:
    """All that it writes to standard error until it closes it."""
    if process.stderr is None:
        raise ValueError("expected a process with a pipe as its standard error")
    said = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            if selector.select(_LOOK_SECONDS):
                piece = os.read(process.stderr.fileno(), _PIECE_BYTES)
                if not piece:
                    return said
                said += piece.decode(errors="replace")
                if "No space left" in said or "quota" in said.lower():
                    # tar would go on to fail with every remaining member.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            meanwhile()


def extract_members(frames: ArchiveFrames, into: Path, on_bytes: OnBytes) -> None:
    """Writes every member of a zip, checked when it was opened, below the folder ``into``."""
    done, made = 0, set()
    for name in frames.table.names():
        path = into / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        try:
            done += path.write_bytes(frames.read(name))
        except FileExistsError as error:
            raise DataError(f"{frames.describe(name)}: it is both a file and a folder; pack the zip again") from error
        on_bytes(done)


def copy(source: Path, to: Path, on_bytes: OnBytes) -> None:
    """Copies to a new file, in the kernel where it can."""
    with source.open("rb") as reader, to.open("xb") as writer:
        if hasattr(os, "copy_file_range"):
            done = 0
            try:
                while count := os.copy_file_range(reader.fileno(), writer.fileno(), _KERNEL_BYTES):
                    done += count
                    on_bytes(done)
                return
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
                    raise
            # Not between these two file systems. Both positions stand where the last call left them.
            writer.seek(0)
            reader.seek(0)
        while piece := reader.read(_PIECE_BYTES):
            writer.write(piece)
            on_bytes(reader.tell())
