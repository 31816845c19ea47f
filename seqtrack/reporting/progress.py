"""Live progress of trials: a table on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqtrack.runs.status import AT_WORK, STOPPED, TrialStatus

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SECONDS_BETWEEN_LINES = 10.0
HEADING_LINES = 2
BAR_WIDTH = 16
GAP = 2  # between columns
SCORE = "latest score"
LEFT_OUT_FIRST = ("steps/s", "loss", "restarts")
# In the order in which a trial passes through them; what went wrong stands at the end.
STATES = ("done", *reversed(AT_WORK), "trained", "queued", "waiting", *STOPPED)


@dataclass(frozen=True)
class Column:
    """``optional``: shown only where a trial has something to say in it."""

    name: str
    cell: Callable[[TrialStatus], str]
    justify: Any = "left"
    optional: bool = False


def _step(status: TrialStatus) -> str:
    return f"{status.step}/{status.total}" if status.total else ""  # some have nothing to learn


def _loss(status: TrialStatus) -> str:
    return f"{status.loss:.4f}" if status.loss is not None else ""


def _rate(status: TrialStatus) -> str:
    return f"{status.rate:.1f}" if status.rate else ""


def _left(status: TrialStatus) -> str:
    return duration(status.seconds_left) if status.seconds_left is not None else ""


def _score(status: TrialStatus) -> str:
    return f"{status.score[1]} {status.score[2]:.3f} ({status.score[0]})" if status.score else ""


COLUMNS = (
    Column("seed", lambda status: str(status.seed), "right"),
    Column("state", lambda status: status.state),
    Column("node", lambda status: status.node, optional=True),
    Column("step", _step, "right"),
    Column("loss", _loss, "right"),
    Column("steps/s", _rate, "right"),
    Column("left", _left, "right"),
    Column("restarts", lambda status: str(status.restarts or ""), "right", optional=True),
    Column(SCORE, _score),
)


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
        self._live.update(progress_view(statuses, *self._live.console.size), refresh=True)


def make_progress() -> PlainProgress | LiveProgress:
    return LiveProgress() if sys.stdout.isatty() else PlainProgress(lambda line: print(line, flush=True))


def progress_view(statuses: Sequence[TrialStatus], width: int, height: int) -> RenderableType:
    """The table, if the screen holds it; else what matters now, and how many there are of each state."""
    from rich.console import Group
    from rich.text import Text

    if len(statuses) + HEADING_LINES < height:
        return progress_table(statuses, width)
    # Two more lines: the counts, and the one on which the cursor stands.
    shown = _that_matter(statuses, max(1, height - HEADING_LINES - 2))
    line = f"{len(statuses)} trials, {len(shown)} shown: {counts(statuses)}"
    return Group(progress_table(shown, width), Text(line, no_wrap=True, overflow="ellipsis"))


def counts(statuses: Sequence[TrialStatus]) -> str:
    """``3 done, 2 training, 1 failed``."""
    found = Counter(status.state for status in statuses)
    return ", ".join(f"{found[state]} {state}" for state in STATES if found[state])


def _that_matter(statuses: Sequence[TrialStatus], room: int) -> list[TrialStatus]:
    """Trials that failed and trials at work, in order of seed; where there is no room for all, some of both."""
    failed = [status for status in statuses if status.state in STOPPED]
    at_work = [status for status in statuses if status.state in AT_WORK]
    for_failed = max(room - len(at_work), (room + 1) // 2)
    chosen = [*failed[:for_failed], *at_work[: room - min(len(failed), for_failed)]]
    return sorted(chosen, key=lambda status: status.seed)


def progress_table(statuses: Sequence[TrialStatus], width: int | None = None) -> Table:
    """A line per trial, whatever the width: where there is no room columns are left out, and text ends in ``…``."""
    from rich import box
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    columns = _fitting([c for c in COLUMNS if not c.optional or any(map(c.cell, statuses))], statuses, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, GAP - 1, 0, 0))
    for column in columns:
        table.add_column(_line(column.name), justify=column.justify, no_wrap=column.name != SCORE)
    table.add_column("")
    for status in statuses:
        cells: list[RenderableType] = [_line(column.cell(status)) for column in columns]
        if status.state == "training" and status.total:
            cells.append(ProgressBar(total=status.total, completed=status.step or 0, width=BAR_WIDTH))
        else:
            cells.append(_line(status.detail))
        table.add_row(*cells)
    return table


def _fitting(columns: list[Column], statuses: Sequence[TrialStatus], width: int | None) -> list[Column]:
    """Where it is narrow, without those that say nothing, then those that say least, until the bar has room too."""
    cells = {column.name: [column.cell(status) for status in statuses] for column in columns}
    # Of a score the number is enough.
    widths = {name: max(len(name), *(len(text.partition(" (")[0]) for text in cells[name]), 0) for name in cells}
    empty = [name for name, texts in cells.items() if not any(texts)]
    for name in (*empty, *LEFT_OUT_FIRST):
        if width is None or sum(widths[c.name] + GAP for c in columns) + BAR_WIDTH <= width:
            break
        columns = [column for column in columns if column.name != name]
    return columns


def _line(text: str) -> Any:
    from rich.text import Text

    return Text(" ".join(text.split()), no_wrap=True, overflow="ellipsis")


def describe(status: TrialStatus) -> str:
    """One line, for logs."""
    step, loss, rate, left = _step(status), _loss(status), _rate(status), _left(status)
    is_training = status.state == "training"
    parts = [f"seed {status.seed}: {status.state}" + (f" on {status.node}" if status.node else "")]
    parts += [f"step {step}"] if step else []
    parts += [f"loss {loss}"] if loss and is_training else []
    parts += [f"{rate} steps/s"] if rate and is_training else []
    parts += [f"{left} left"] if left else []
    # The last score of another set would look like that of the one at hand.
    is_other = status.state == "assessing" and not (status.score and status.detail.startswith(f"{status.score[0]} "))
    parts += [_score(status)] if status.score and not is_other else []
    parts += [status.detail] if status.detail else []
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
