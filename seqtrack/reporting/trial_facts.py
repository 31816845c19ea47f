"""What is known of each trial of a run: how it went, on which machine, with which versions, how long it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqtrack.runs import attempts, events
from seqtrack.runs.identity import digest
from seqtrack.runs.paths import AttemptFolder, TrialFolder
from seqtrack.runs.status import STOPPED, trial_status

if TYPE_CHECKING:
    import pandas as pd

CODE_DIGITS = 8
COLUMNS: Mapping[str, str] = {
    "seed": "int64",
    "state": "str",  # as `seqtrack status` says it
    "error": "str",
    "selected_step": "Int64",
    "attempts": "int64",
    "restarts": "int64",  # attempts before the newest that did not end well
    "host": "str",  # every one that worked on it
    "gpu": "str",
    "cpu": "str",
    "cores": "Int64",
    "threads": "Int64",
    "platform": "str",
    "python": "str",
    "torch": "str",
    "cuda": "str",
    "numpy": "str",
    "opencv": "str",
    "code": "str",  # digest of the modules that training imports
    "data": "str",  # digest of the fingerprints of what it was trained on
    "seconds_train": "float64",
    "seconds_assess": "float64",
    "fps": "float64",  # of its tracker
}


def facts(trial: TrialFolder, selected_step: int | None, fps: float | None) -> dict[str, Any]:
    """One row of ``COLUMNS``; what is not known is empty or None."""
    status = trial_status(trial)
    found = [attempt for attempt in trial.attempts() if attempt.owner.exists()]
    owners = [owner for attempt in found if (owner := attempts.read_owner(attempt))]
    record = read_record(trial)
    environment = record.get("environment", {})
    packages = environment.get("packages", {})
    device = str(environment.get("device", ""))
    spent = [_seconds(attempt) for attempt in found]
    return {
        "seed": trial.seed,
        "state": status.state,
        "error": status.detail if status.state in STOPPED else "",
        "selected_step": selected_step,
        "attempts": len(found),
        "restarts": status.restarts,
        "host": ", ".join(dict.fromkeys(owner.node or owner.host for owner in owners)),
        "gpu": "" if device == "cpu" else device,
        "cpu": environment.get("cpu", ""),
        "cores": environment.get("cores"),
        "threads": record.get("cpu_threads"),
        "platform": environment.get("platform", ""),
        "python": environment.get("python", ""),
        "torch": packages.get("torch", ""),
        "cuda": environment.get("cuda") or "",
        "numpy": packages.get("numpy", ""),
        "opencv": packages.get("opencv-python-headless") or packages.get("opencv-python", ""),
        "code": digest(record["code"])[:CODE_DIGITS] if "code" in record else "",
        "data": digest(record["data"])[:CODE_DIGITS] if "data" in record else "",
        "seconds_train": sum(train for train, _ in spent) if spent else None,
        "seconds_assess": sum(assess for _, assess in spent) if spent else None,
        "fps": fps,
    }


def stability(trials: pd.DataFrame, scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row per trial: its scores, the machine and the versions that they come from.

    Args:
        trials, scores: of ``RunFrames``.
        metric: shown of each eval set that has it; of others their first.

    Returns:
        seed, state, selected_step, a column ``<eval id> <metric>`` per eval set, host, hardware, torch, cuda, python,
        code, hours, restarts.
    """
    reported = scores[scores["selected"]]
    columns = {name: trials[name] for name in ("seed", "state", "selected_step")}
    for eval_id, rows in reported.groupby("eval_id"):
        there = list(dict.fromkeys(rows["metric"]))
        shown = metric if metric in there else there[0]
        per_seed = rows[rows["metric"] == shown].set_index("seed")["value"]
        columns[f"{eval_id} {shown}"] = trials["seed"].map(per_seed).astype("float64")
    columns["host"] = trials["host"]
    columns["hardware"] = trials["gpu"].where(trials["gpu"] != "", trials["cpu"])
    columns.update({name: trials[name] for name in ("torch", "cuda", "python", "code")})
    columns["hours"] = (trials["seconds_train"] + trials["seconds_assess"]) / 3600
    columns["restarts"] = trials["restarts"]
    import pandas as pd

    return pd.DataFrame(columns)


def read_record(trial: TrialFolder) -> dict[str, Any]:
    """``trial.json``; {} where there is none that can be read."""
    try:
        content = json.loads(trial.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(attempt: AttemptFolder) -> tuple[float, float]:
    """Seconds that an attempt spent on training and on assessment, as far as its events tell."""
    spent = {"train": 0.0, "assess": 0.0}
    doing, since = "", 0.0
    for event in events.read(attempt.events):
        kind, now = event.get("event"), float(event.get("time", 0.0))
        if doing:
            spent[doing] += now - since
        doing = {"train": "train", "assess": "assess", "end": ""}.get(str(kind), doing)
        since = now
    return spent["train"], spent["assess"]
