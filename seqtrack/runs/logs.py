"""What a trial has logged, attempt by attempt, and following it while it goes on."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable
from pathlib import Path

from seqtrack.runs import attempts
from seqtrack.runs.paths import AttemptFolder, TrialFolder
from seqtrack.runs.status import AT_WORK, STOPPED, TrialStatus

TAIL_BYTES = 1 << 16
POLL_SECONDS = 0.5
REST_SECONDS = 10.0  # a scheduler may be between two attempts


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, without reading all of it; none if there is no file."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - max(TAIL_BYTES, 200 * count))
            file.seek(start)
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return lines[1 if start else 0 :][-count:] if count else []


def of_stage(trial: TrialFolder, stage: str | None) -> list[AttemptFolder]:
    """Attempts that did this stage, or may have; every one for None. In order of number."""
    found = [(attempt, attempts.read_owner(attempt)) for attempt in trial.attempts()]
    return [a for a, owner in found if owner is not None and (stage is None or owner.stage in (stage, "all"))]


def title(trial: TrialFolder, attempt: AttemptFolder) -> str:
    """``==> seed 3, attempt 1, train on node2, job 123_3, ended: interrupted <==``."""
    owner = attempts.read_owner(attempt)
    words = [f"seed {trial.seed}", f"attempt {attempt.number}"]
    if owner is not None:
        stage = "train and assess" if owner.stage == "all" else owner.stage
        words.append(f"{stage} on {owner.node or owner.host}")
        words += [f"job {owner.job}"] if owner.job else []
    return heading(*words, _how_it_is(attempt))


def _how_it_is(attempt: AttemptFolder) -> str:
    is_alive = attempts.is_alive(attempt)  # before the question whether it has ended
    end = attempts.ended(attempt)
    if end is not None:
        return f"ended: {end['state']}"
    return "at work" if is_alive else "died"


def heading(*words: str) -> str:
    return f"==> {', '.join(words)} <=="


class Tail:
    """What is appended to a text file."""

    def __init__(self, path: Path, lines: int | None = None) -> None:
        """From the last ``lines``; None for the start."""
        self._path = path
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        if lines is not None:
            self._offset = _start_of_last_lines(path, lines)

    def more(self) -> str:
        """Whatever has come since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return ""
        self._offset += len(data)
        return self._decoder.decode(data)


def _start_of_last_lines(path: Path, count: int) -> int:
    try:
        data = path.read_bytes()
    except OSError:
        return 0
    return len(data) - sum(map(len, data.splitlines(keepends=True)[-count:])) if count else len(data)


def follow(
    trial: TrialFolder,
    stage: str | None,
    lines: int | None,
    status: Callable[[], TrialStatus],
    write: Callable[[str], None],
) -> TrialStatus:
    """Writes the newest attempt's log as it grows, then the next one's, until nothing works on the trial any more.

    Args:
        lines: how many to begin with; None for all.
        status: asked again and again; what SLURM has in its queue counts as going on.
    """
    current: AttemptFolder | None = None
    tail: Tail | None = None
    said, active = "", time.monotonic()
    while True:
        # Before the log is read, so that what it says last is not missed.
        now = status()
        found = of_stage(trial, stage)
        is_past = bool(found) and _has_done(found[-1], stage)
        following = [attempt for attempt in found if current is None or attempt.number > current.number]
        if following:
            if tail is not None:
                write(tail.more())
            # From the newest on at first, and then none is left out.
            tail = Tail(following[-1].log, lines) if current is None else Tail(following[0].log)
            current = following[-1] if current is None else following[0]
            write(f"{title(trial, current)}\n")
        elif tail is None and (line := f"seed {trial.seed}: {nothing_yet(now)}\n") != said:
            said = line
            write(line)
        if tail is not None:
            write(tail.more())
        if following or now.state in (*AT_WORK, "queued"):
            active = time.monotonic()
        elif now.state == "done" or (now.state in STOPPED and now.job is None):
            return now
        if len(following) < 2 and (is_past or time.monotonic() - active > REST_SECONDS):
            return now
        if not following:
            time.sleep(POLL_SECONDS)


def _has_done(attempt: AttemptFolder, stage: str | None) -> bool:
    """Whether this stage is what the attempt was for, and done."""
    owner, end = attempts.read_owner(attempt), attempts.ended(attempt)
    return owner is not None and owner.stage == stage and end is not None and end["state"] == "done"


def nothing_yet(status: TrialStatus) -> str:
    """Why a trial has no log."""
    return f"no log yet: {', '.join(filter(None, [status.state, status.detail]))}"
