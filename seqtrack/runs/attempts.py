"""Attempts: each start of a trial claims a number, and only the newest may publish.

Locks cannot be trusted on shared disks, and a node that was declared dead may still write. So a start creates
``attempts/<n>/owner.json`` exclusively, writes only its own events, and calls ``guard()`` right before
anything is published: an attempt that has a successor stops there (a fencing token).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from seqtrack.errors import SupersededError
from seqtrack.runs import atomic, events
from seqtrack.runs.paths import AttemptFolder, TrialFolder

HEARTBEAT_SECONDS = 5.0
# An attempt on another host is taken for dead after this long without a heartbeat. Being wrong is safe: the
# attempt is superseded and stops by itself.
STALE_SECONDS = 120.0
# Start times come from a clock that may be corrected by a second or two; a PID is not reused that fast.
START_TOLERANCE_SECONDS = 3.0


@dataclass(frozen=True)
class Owner:
    """The process that makes an attempt: enough to tell, on its host, whether it still lives.

    Attributes:
        job: under SLURM, its job or array task (``123_4``).
        node: the host as the cluster calls it.
        stage: ``train``, ``assess``, or ``all`` for both.
    """

    host: str
    boot: str
    pid: int
    started: float
    job: str | None
    node: str = ""
    stage: str = "all"

    @classmethod
    def current(cls, stage: str = "all") -> Owner:
        process = psutil.Process()
        host = socket.gethostname()
        node = os.environ.get("SLURMD_NODENAME", host)
        return cls(host, boot_id(), process.pid, process.create_time(), job_name(), node, stage)

    @property
    def is_here(self) -> bool:
        """Whether this is a process of the machine that asks, as it is booted now."""
        return (self.host, self.boot) == (socket.gethostname(), boot_id())


def boot_id() -> str:
    """Changes when the machine restarts."""
    path = Path("/proc/sys/kernel/random/boot_id")
    # Elsewhere (macOS) the boot time, rounded because it drifts with the clock.
    return path.read_text().strip() if path.exists() else str(round(psutil.boot_time() / 60))


def job_name() -> str | None:
    """``123_4`` or ``123`` inside a SLURM job."""
    job, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{job}_{task}" if job and task else os.environ.get("SLURM_JOB_ID")


def read_owner(folder: AttemptFolder) -> Owner | None:
    try:
        return Owner(**json.loads(folder.owner.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def this_process() -> dict[str, Any]:
    """What tells this process from every other, for ``alive_here``."""
    owner = Owner.current()
    return {"host": owner.host, "boot": owner.boot, "pid": owner.pid, "started": owner.started}


def alive_here(record: object) -> psutil.Process | None:
    """The process that ``this_process`` was asked in, if this is its machine and it is still there."""
    match record:
        case {"host": str(host), "boot": str(boot), "pid": int(pid), "started": float(started)}:
            if (host, boot) == (socket.gethostname(), boot_id()) and is_process_alive(pid, started):
                with contextlib.suppress(psutil.NoSuchProcess):  # it may end right now
                    return psutil.Process(pid)
    return None


def is_process_alive(pid: int, started: float) -> bool:
    """Whether the process with this PID is the one that started then (PIDs are reused)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < START_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_alive(folder: AttemptFolder) -> bool:
    """Whether this attempt may still be at work: it has not ended, and its process or heartbeat lives."""
    owner = read_owner(folder)
    if owner is None or ended(folder) is not None:
        return False
    if owner.is_here:
        return is_process_alive(owner.pid, owner.started)
    try:
        return time.time() - folder.heartbeat.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


def ended(folder: AttemptFolder) -> dict[str, Any] | None:
    """The attempt's ``end`` event, or None while it has none (it runs, or was killed)."""
    last = events.read_last(folder.events)
    return last if last is not None and last.get("event") == "end" else None


def newest(trial: TrialFolder) -> AttemptFolder | None:
    """The attempt with the highest number that has an owner."""
    return next((a for a in reversed(trial.attempts()) if a.owner.exists()), None)


def live(trial: TrialFolder) -> AttemptFolder | None:
    """The newest attempt, if it may still be at work."""
    attempt = newest(trial)
    return attempt if attempt is not None and is_alive(attempt) else None


class Attempt:
    """One start of a trial, held by this process. Use as a context manager: it keeps a heartbeat."""

    def __init__(self, trial: TrialFolder, folder: AttemptFolder) -> None:
        self.trial = trial
        self.folder = folder
        self.is_superseded = False
        """Noticed by the heartbeat, so that an attempt with a successor stops soon even if it publishes nothing."""
        self.on_event: Callable[[dict[str, Any]], object] = lambda event: None
        """Told each event after it is written: for who watches from inside this process."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Attempt:
        self.folder.heartbeat.touch()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def event(self, name: str, **fields: Any) -> None:
        event = {"event": name, "time": time.time(), **fields}
        events.append(self.folder.events, event)
        self.on_event(event)

    def guard(self) -> None:
        """Raises SupersededError if a newer attempt has started. Call right before publishing anything."""
        if text := self.superseded():
            raise SupersededError(text)

    def superseded(self) -> str | None:
        """By which attempt this one was superseded, if it was, as a line to tell."""
        latest = newest(self.trial)
        if latest is None or latest.number <= self.folder.number:
            return None
        return (
            f"attempt {self.folder.number} of seed {self.trial.seed} was superseded by attempt"
            f" {latest.number}; it stops and publishes nothing"
        )

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            # A hiccup of a network disk must not end the heartbeat of a healthy attempt.
            with contextlib.suppress(OSError):
                self.folder.heartbeat.touch()
                self.is_superseded = self.superseded() is not None


def claim(
    trial: TrialFolder, stage: str = "all", has_ended: Callable[[Owner], bool] = lambda owner: False
) -> Attempt | None:
    """Starts the next attempt, or returns None if a live one is at work.

    Of several processes that claim at once exactly one gets each number; the others then see it alive.

    Args:
        has_ended: whether somebody who knows (SLURM) says that the owner of an attempt which seems alive has
            ended, so that a silent node need not be waited for. A process of this host is then killed: nobody
            else will.
    """
    while True:
        taken = newest(trial)
        if taken is not None and is_alive(taken):
            owner = read_owner(taken)
            if owner is None or not has_ended(owner):
                return None
            if owner.is_here:
                _kill(owner)
        folder = trial.attempt(0 if taken is None else taken.number + 1)
        mine = json.dumps(asdict(Owner.current(stage)), sort_keys=True).encode()
        if atomic.create_exclusively(folder.owner, mine):
            return Attempt(trial, folder)


@contextlib.contextmanager
def held(trial: TrialFolder) -> Iterator[bool]:
    """The trial to oneself: who starts it meanwhile finds it at work. Yields False where somebody else has it.

    It leaves no trace: of a trial's attempts the newest says how it went, and nothing was attempted.
    """
    attempt = claim(trial)
    if attempt is None:
        yield False
        return
    try:
        with attempt:
            yield True
    finally:
        if doomed := atomic.take_away(attempt.folder.path):
            shutil.rmtree(doomed, ignore_errors=True)


def _kill(owner: Owner) -> None:
    """Kills a process of this host that outlived its job, and waits for its end."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(owner.pid)
        if is_process_alive(owner.pid, owner.started):
            process.kill()
            process.wait(timeout=10)
