"""The state of a trial as the disk tells it: no scheduler is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqtrack.runs import attempts, events
from seqtrack.runs.paths import TrialFolder


@dataclass(frozen=True)
class TrialStatus:
    """One row of the progress table.

    Attributes:
        state: ``waiting``, ``starting``, ``training``, ``assessing``, ``done``, ``failed``, ``interrupted``,
            ``superseded`` or ``died`` (killed without a word).
        step, total: steps done, and to do in all.
        rate: steps per second.
        score: the latest assessment, as (eval id, metric, value).
        detail: what is being assessed, or why it failed.
    """

    seed: int
    state: str
    step: int | None = None
    total: int | None = None
    loss: float | None = None
    rate: float | None = None
    score: tuple[str, str, float] | None = None
    detail: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Of training, at the present rate."""
        if self.state != "training" or not self.rate or self.step is None or self.total is None:
            return None
        return (self.total - self.step) / self.rate


def trial_status(trial: TrialFolder) -> TrialStatus:
    attempt = attempts.newest(trial)
    if attempt is None:
        return TrialStatus(trial.seed, "waiting")
    values: dict[str, Any] = {"state": "starting"}
    for event in events.read_tail(attempt.events):
        _apply(values, event)
    if values["state"] in ("starting", "training", "assessing") and not attempts.is_alive(attempt):
        values.update(state="died", detail="killed without a word")
    return TrialStatus(trial.seed, **values)


def _apply(values: dict[str, Any], event: dict[str, Any]) -> None:
    match event["event"]:
        case "train":
            values.update(state="training", step=event["step"], total=event["total"])
        case "progress":
            values.update(state="training", **{key: event[key] for key in ("step", "total", "loss", "rate")})
        case "assess":
            detail = f"{event['eval_id']} at step {event['step']}: {event['done']}/{event['total']} frames"
            values.update(state="assessing", detail=detail)
        case "assessed":
            values.update(score=(event["eval_id"], event["metric"], event["score"]))
        case "end":
            values.update(state=event["state"], detail=event.get("error") or "")
        case _:
            pass
