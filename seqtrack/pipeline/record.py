"""``trial.json``: what was fixed when a trial started, and what a repeat is compared with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from seqtrack.errors import UserError
from seqtrack.pipeline.request import Request
from seqtrack.runs import atomic, code, events
from seqtrack.runs.paths import RunFolder, TrialFolder

ACCEPT = "give --accept_changes to reuse these results (the summary will say so)"
CHOICES = f"{ACCEPT}, or --variant NAME for fresh results beside them"


@dataclass(frozen=True)
class TrialRecord:
    """What changes the bits of a trial, and what it was made from.

    Attributes:
        cpu_threads, deterministic, period_summary, val_dataset: as they were when the trial started; a resume
            reuses them whatever the flags say now.
        code: SHA-256 by file of the modules that training imports.
        data: fingerprints by data set (``Dataset.data_fingerprint``).
        environment: machine and versions.
    """

    cpu_threads: int
    deterministic: bool
    period_summary: int
    val_dataset: Any
    code: dict[str, str]
    data: dict[str, dict[str, str]]
    environment: dict[str, Any]


def read(trial: TrialFolder) -> TrialRecord | None:
    try:
        return TrialRecord(**json.loads(trial.record.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{trial.record}: not a trial's record ({error}); remove {trial.path} to start it over"
        ) from error


def create(trial: TrialFolder, record: TrialRecord) -> TrialRecord:
    """Publishes the record unless there is one; returns the one that counts."""
    atomic.create_exclusively(trial.record, json.dumps(asdict(record), sort_keys=True, indent=1).encode())
    found = read(trial)
    if found is None:
        raise UserError(f"{trial.record}: has just been removed; give the command again")
    return found


def reconcile(
    request: Request, trial: TrialFolder, now_code: dict[str, str], now_data: dict[str, dict[str, str]]
) -> None:
    """Refuses to mix results of different code or data, unless the person accepts it.

    Accepting is written down: in ``accepted.jsonl``, from which the summary takes its notes, and in the record,
    so that it is asked once.

    Raises:
        UserError: names the files that differ and the two choices.
    """
    before = read(trial)
    if before is None:
        return
    files = code.changed(before.code, now_code)
    datasets = changed_data(before.data, now_data)
    if not files and not datasets:
        return
    what = [f"code changed: {', '.join(files)}"] if files else []
    what += [f"data changed: {', '.join(datasets)}"] if datasets else []
    if not request.execution.accept_changes:
        raise UserError(f"seed {trial.seed} of run {request.run_id} was made before its {'; '.join(what)}: {CHOICES}")
    accept(
        request.run,
        f"seed {trial.seed}: results made before and after a change are mixed ({'; '.join(what)})",
    )
    merged = {**before.data, **now_data}
    atomic.write_json(trial.record, asdict(replace(before, code=now_code, data=merged)))


def accept(run: RunFolder, note: str, change: str | None = None) -> None:
    """Writes a note for the summary down, and with it the digest of the change, so that it is asked once."""
    if note not in accepted(run) or not (change is None or is_accepted(run, change)):
        events.append(run.accepted, {"note": note, "change": change})


def is_accepted(run: RunFolder, change: str) -> bool:
    return any(record.get("change") == change for record in events.read(run.accepted))


def accepted(run: RunFolder) -> list[str]:
    """Notes of everything that was accepted, sorted: no order of arrival in a summary."""
    return sorted({str(record["note"]) for record in events.read(run.accepted) if "note" in record})


def changed_data(before: dict[str, dict[str, str]], now: dict[str, dict[str, str]]) -> list[str]:
    """Data sets of which something that both sides know differs (a plain folder has no digest of its frames)."""
    return sorted(
        name
        for name in before.keys() & now.keys()
        if any(before[name][key] != now[name][key] for key in before[name].keys() & now[name].keys())
    )
