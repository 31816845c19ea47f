"""One machine posing as several: each a hostname and mounts of its own (UTS and mount namespaces).

Every process on such a machine, with all that it ever starts, lies in a mount namespace in which
``<folder>/machines/<machine>`` is mounted on itself. By this mark they are found again, whoever started them and
however they have been daemonised, and the mounts go with the last of them.

``folder`` belongs to the machines and vanishes with them. One process more, the keeper, holds a lock on it as long as
they live, and takes them down when the process that started them is gone. It is this file, run as a script.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.02
KEEPER_SECONDS = 0.5


def pose(machine: str, mounts: Iterable[tuple[Path, Path]], mark: Path) -> str:
    """A shell script that makes the machine of new namespaces, and then runs its arguments."""
    lines = [["hostname", machine]]
    lines += [["mount", "--rbind", str(source), str(target)] for source, target in mounts]
    # Last, so that nothing bears the mark but what was to be started, and what that has started.
    lines += [["mount", "--bind", str(mark), str(mark)]]
    return "\n".join([*map(shlex.join, lines), 'exec "$@"'])


def start(
    folder: Path,
    machine: str,
    words: Sequence[str],
    *,
    mounts: Iterable[tuple[Path, Path]] = (),
    environment: Mapping[str, str],
    log: Path,
) -> subprocess.Popen[bytes]:
    """Starts a program on a machine, out of reach of Ctrl-C and not deaf to the signals that we may be ignoring."""
    mark = folder / "machines" / machine
    mark.mkdir(parents=True, exist_ok=True)
    unshared = ["env", "--default-signal", "unshare", "--mount", "--uts", "sh", "-ec", pose(machine, mounts, mark)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*unshared, "sh", *words], env=dict(environment), cwd="/", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip


def processes(folder: Path, machine: str | None = None) -> list[int]:
    """Those of one machine, or of all."""
    mark = f" {folder}/machines/{machine} " if machine else f" {folder}/machines/"
    marked = {Path("/proc/self/ns/mnt").stat().st_ino: False}  # by namespace
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            namespace = (process / "ns/mnt").stat().st_ino
            if namespace not in marked:
                marked[namespace] = mark in (process / "mountinfo").read_text()
            if marked[namespace]:
                found.append(int(process.name))
    return found


def kill(find: Callable[[], list[int]]) -> None:
    """Kills until none is found, for they may start others meanwhile."""
    while pids := find():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def clear(folder: Path) -> None:
    """Leaves no process and no file."""
    kill(lambda: processes(folder))
    shutil.rmtree(folder, ignore_errors=True)


def claim(folder: Path, *, sweep: bool, watched: int | None) -> subprocess.Popen[bytes] | None:
    """Makes the folder anew, with a keeper; None if a keeper has it already.

    Args:
        sweep: whether all that lies beside the folder are such folders too: those without a keeper are cleared.
        watched: PID of the process, an ancestor of the keeper, with which all is to end; None: it stays.
    """
    with _opened(folder.parent) as place:
        fcntl.flock(place, fcntl.LOCK_EX)  # so that nobody clears a folder that has no keeper yet
        for other in folder.parent.iterdir() if sweep else [folder]:
            if other.is_dir():
                with _opened(other) as descriptor:
                    if _lock(descriptor):
                        clear(other)
        if folder.exists():
            return None
        folder.mkdir(mode=0o755)
        (folder / "machines").mkdir()
        with _opened(folder) as descriptor:
            _lock(descriptor)
            return subprocess.Popen(
                [sys.executable, "-I", __file__, str(folder), str(descriptor), str(watched or 0)],
                pass_fds=[descriptor], cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip


def keep(folder: Path, descriptor: int, watched: int) -> None:
    """Until the folder is gone, or the process that is watched."""
    poll = select.poll()
    if watched:
        poll.register(os.pidfd_open(watched), select.POLLIN)
    while folder.exists() and os.path.samestat(folder.stat(), os.fstat(descriptor)):
        if poll.poll(KEEPER_SECONDS * 1000) or (watched and os.getppid() != watched):
            clear(folder)
            time.sleep(1)  # what was just being started then bears the mark now
            clear(folder)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the lock is ours now, and of those who inherit the descriptor."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
