"""``train.csv``: one row per summary, the same bytes whether or not the training was interrupted."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from seqtrack.runs import atomic

# The file is rewritten whole; for long trainings not at every row.
SECONDS_BETWEEN_WRITES = 10.0


class TrainCsv:
    """Rows since the start of the trial, cut back to where training resumes.

    Wall times are not in here, they are in the events, so equal trainings write equal files.
    """

    def __init__(self, path: Path, start: int, guard: Callable[[], None]) -> None:
        self._path = path
        self._guard = guard
        self._written_at = -float("inf")
        self._rows = [row for row in read_rows(path) if int(row["step"]) <= start]

    def add(self, row: Mapping[str, float | int]) -> None:
        self._rows.append({name: repr(value) for name, value in row.items()})
        if time.monotonic() - self._written_at > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Publishes what there is. Always done before a checkpoint, which a resume may then cut back to."""
        text = io.StringIO()
        if self._rows:
            writer = csv.DictWriter(text, fieldnames=list(self._rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        atomic.write_text(self._path, text.getvalue(), self._guard)
        self._written_at = time.monotonic()


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
