"""Live progress of trials: a table on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from seqtrack.runs.status import TrialStatus

if TYPE_CHECKING:
    from rich.table import Table

SECONDS_BETWEEN_LINES = 10.0
COLUMNS = ("seed", "state", "step", "loss", "steps/s", "left", "latest score", "")


class PlainProgress:
    """One line when a trial changes state, and one every ten seconds while it trains."""

    def __init__(self, say: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._last: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, statuses: Sequence[TrialStatus]) -> None:
        for status in statuses:
            state, said = self._last.get(status.seed, ("", -SECONDS_BETWEEN_LINES))
            changed = status.state != state
            due = status.state in ("training", "assessing") and self._clock() - said >= SECONDS_BETWEEN_LINES
            if changed or due:
                self._last[status.seed] = (status.state, self._clock())
                self._say(describe(status))


class LiveProgress:
    """A table that rich redraws in place."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live: Any = Live(auto_refresh=False, transient=True)

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.__exit__(*exception)

    def show(self, statuses: Sequence[TrialStatus]) -> None:
        self._live.update(progress_table(statuses), refresh=True)


def make_progress() -> PlainProgress | LiveProgress:
    return LiveProgress() if sys.stdout.isatty() else PlainProgress(lambda line: print(line, flush=True))


def progress_table(statuses: Sequence[TrialStatus]) -> Table:
    from rich import box
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("seed", "step", "loss", "steps/s", "left") else "left")
    for status in statuses:
        cells = _cells(status)
        bar = ProgressBar(total=status.total, completed=status.step or 0, width=16) if status.total else ""
        table.add_row(*cells[:-1], bar if status.state == "training" else cells[-1])
    return table


def describe(status: TrialStatus) -> str:
    """One line, for logs."""
    seed, state, step, loss, rate, left, score, detail = _cells(status)
    parts = [f"seed {seed}: {state}"]
    parts += [f"step {step}"] if step else []
    parts += [f"loss {loss}"] if loss and status.state == "training" else []
    parts += [f"{rate} steps/s"] if rate and status.state == "training" else []
    parts += [f"{left} left"] if left else []
    parts += [score] if score else []
    parts += [detail] if detail else []
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2 h 05 min``, ``3 d 04 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def _cells(status: TrialStatus) -> tuple[str, str, str, str, str, str, str, str]:
    step = f"{status.step}/{status.total}" if status.total is not None else ""
    loss = f"{status.loss:.4f}" if status.loss is not None else ""
    rate = f"{status.rate:.1f}" if status.rate else ""
    left = duration(status.seconds_left) if status.seconds_left is not None else ""
    score = f"{status.score[1]} {status.score[2]:.3f} ({status.score[0]})" if status.score else ""
    return str(status.seed), status.state, step, loss, rate, left, score, status.detail
