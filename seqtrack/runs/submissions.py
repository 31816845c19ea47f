"""The commands that a run, or a sweep, was given: ``submissions.jsonl``, as far as it can be read.

Whoever shows one reads this, so a line that holds something else, of an editor or of a bad disk, is passed over as
one that a kill has torn is.
"""

from __future__ import annotations

from typing import Any

from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder, SweepFolder

_OBJECTS = ("train", "assess", "execution", "files", "code")


def read(run: RunFolder) -> list[dict[str, Any]]:
    """In the order in which they were given."""
    return _commands(events.read(run.submissions))


def newest(run: RunFolder) -> dict[str, Any]:
    """{} if there is none."""
    found = _commands(events.read_tail(run.submissions)) or read(run)  # a long line does not fit into a tail
    return found[-1] if found else {}


def of_sweep(sweep: SweepFolder) -> list[dict[str, Any]]:
    """In the order in which they were given."""
    return [record for record in events.read(sweep.submissions) if _are_runs(record.get("runs"))]


def is_whole(command: dict[str, Any]) -> bool:
    """Whether it has all that a run can be asked for again by."""
    return all(name in command for name in ("id", "run_id", *_OBJECTS))


def _commands(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if all(isinstance(record.get(name, {}), dict) for name in _OBJECTS)]


def _are_runs(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(run, dict) and "run_id" in run for run in found)
