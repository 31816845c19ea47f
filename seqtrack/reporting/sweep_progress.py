"""Live progress of a sweep: how many trials are in each state, and the best point so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from seqtrack.reporting.progress import SECONDS_BETWEEN_LINES, counts
from seqtrack.runs.status import TrialStatus
from seqtrack.schema import counted


class SweepProgress:
    """A line when a trial has ended, and otherwise not more often than every ten seconds; on a terminal one that is
    redrawn in place.

    best: the best point so far, in a line; asked once in a while.
    """

    def __init__(self, best: Callable[[], str], say: Callable[[str], None] | None = None) -> None:
        self._best = best
        self._say = say
        self._live: Any = None
        self._last = ""
        self._ended = -1
        self._said = -SECONDS_BETWEEN_LINES

    def __enter__(self) -> SweepProgress:
        if self._say is None and sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*exception)

    def show(self, statuses: Sequence[TrialStatus]) -> None:
        line, ended = counts(statuses), sum(status.state in ("done", "failed", "died") for status in statuses)
        due = ended != self._ended or time.monotonic() - self._said >= SECONDS_BETWEEN_LINES
        if line == self._last or (self._live is None and not due):
            return
        best = self._best()
        text = f"{counted(len(statuses), 'trial')}: {line}" + (f"; best so far {best}" if best else "")
        self._last, self._ended, self._said = line, ended, time.monotonic()
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(text), refresh=True)
        else:
            (self._say or _print)(text)


def _print(line: str) -> None:
    print(line, flush=True)
