"""The state of a trial as the disk tells it. What a scheduler has in its queue may be added, and is never needed."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from seqtrack.runs import attempts, events
from seqtrack.runs.attempts import Owner
from seqtrack.runs.jobs import ASSESS, TRAIN, Job
from seqtrack.runs.paths import AttemptFolder, TrialFolder

AT_WORK = ("starting", "training", "assessing")
# Ended, and not as it should.
STOPPED = ("failed", "died", "interrupted", "superseded")
# SLURM's words for a task that has yet to be started, for the first time or again. In any other it is on a node.
NOT_STARTED = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")


@dataclass(frozen=True)
class TrialStatus:
    """One row of the progress table.

    Attributes:
        state: ``waiting``, ``queued`` (handed to SLURM, not started), ``starting``, ``training``, ``trained``
            (its assessment has not started), ``assessing``, ``done``, ``failed``, ``interrupted``,
            ``superseded`` or ``died`` (killed without a word).
        step, total: steps done, and to do in all; while it is assessed, those of its training.
        rate: steps per second.
        score: the latest assessment, as (eval id, metric, value).
        detail: what is being assessed or waited for, or why it failed; of a trial that is done, what was done with it
            since and was not finished.
        node: where the newest attempt ran; empty for this machine, unless it is a node of SLURM's, and while queued.
        restarts: how often it was started again: attempts before the newest that did not end well.
        stage: of the newest attempt: ``train``, ``assess``, ``all``; empty if there is none.
        attempt: number of the newest attempt.
        job: the SLURM task that ran the newest attempt, or that is queued (``123_4``).
    """

    seed: int
    state: str
    step: int | None = None
    total: int | None = None
    loss: float | None = None
    rate: float | None = None
    score: tuple[str, str, float] | None = None
    detail: str = ""
    node: str = ""
    restarts: int = 0
    stage: str = ""
    attempt: int | None = None
    job: str | None = None

    @property
    def seconds_left(self) -> float | None:
        """Of training, at the present rate."""
        if self.state != "training" or not self.rate or self.step is None or self.total is None:
            return None
        return (self.total - self.step) / self.rate


class InQueue(Protocol):
    """What a scheduler says of a task that it still has."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class Queue:
    """A scheduler's queue by name of task, as it was when it was asked: what was handed over since is not in it."""

    tasks: Mapping[str, InQueue]
    asked: float

    @classmethod
    def of(cls, tasks: Iterable[InQueue], asked: float) -> Queue:
        return cls({task.name: task for task in tasks}, asked)


def trial_status(trial: TrialFolder, jobs: Sequence[Job] = (), queue: Queue | None = None) -> TrialStatus:
    """What the disk says of a trial.

    Args:
        jobs: what was handed to SLURM (``runs.jobs.read``); without them nothing is ``queued``.
        queue: what SLURM has of it, if it answered.
    """
    found = [attempt for attempt in trial.attempts() if attempt.owner.exists()]
    status = _of_attempts(trial, found) if found else TrialStatus(trial.seed, "waiting")
    if not jobs:
        return status
    owner = attempts.read_owner(found[-1]) if found else None
    if queue is not None and owner is not None and owner.job is not None:
        status = _as_slurm_has_it(status, owner, found[-1], jobs, queue)
    return status if status.state in AT_WORK else _queued(status, owner, jobs, queue)


def not_begun(status: TrialStatus, owner: Owner | None, jobs: Sequence[Job]) -> list[Job]:
    """Jobs of this seed later than its newest attempt: the newest that trains it, then the newest that assesses."""
    mine = [job for job in jobs if status.seed in job.seeds and job.job_id]
    if owner is not None:
        names = [job.task(status.seed) for job in mine]
        if owner.job in names:
            mine = mine[names.index(owner.job) + 1 :]
        else:
            mine = [job for job in mine if job.time > owner.started]
        if owner.stage == TRAIN and status.state in STOPPED:
            mine = [job for job in mine if job.stage == TRAIN]  # what waits for this training waits for nothing
    newest = {job.stage: job for job in mine}
    return [newest[stage] for stage in (TRAIN, ASSESS) if stage in newest]


def _of_attempts(trial: TrialFolder, found: Sequence[AttemptFolder]) -> TrialStatus:
    newest = found[-1]
    owner = attempts.read_owner(newest)
    # Asked first: an attempt that ends in between has said so in its events by then.
    is_alive = attempts.is_alive(newest)
    values = dict(_told(newest))
    before = values.pop("before", None)
    if values["state"] in AT_WORK and not is_alive:
        values.update(state="died", detail="killed without a word")
        if before is not None:  # what was done by the way does not change how it went
            where = f" at {_told(newest)['detail']}" if "detail" in _told(newest) else ""
            values.update(state=before, detail=f"seqtrack assess was killed{where}; the same command goes on")
    stage = owner.stage if owner else ""
    if values["state"] == "done" and stage == TRAIN:
        values["state"] = "trained"
    restarts = 0
    for attempt in reversed(found[:-1]):
        told = _told(attempt)
        restarts += told.get("before", told["state"]) != "done"
        if "total" not in values:
            values.update({name: told[name] for name in ("step", "total", "loss") if name in told})
        if "score" not in values and "score" in told:
            values["score"] = told["score"]
    if owner is not None and (owner.job is not None or owner.host != socket.gethostname()):
        values["node"] = owner.node or owner.host
    return TrialStatus(
        trial.seed,
        **values,
        restarts=restarts,
        stage=stage,
        attempt=newest.number,
        job=owner.job if owner else None,
    )


def _as_slurm_has_it(
    status: TrialStatus, owner: Owner, attempt: AttemptFolder, jobs: Sequence[Job], queue: Queue
) -> TrialStatus:
    """Corrects what looks alive or dead from afar, by a heartbeat."""
    task = queue.tasks.get(owner.job or "")
    runs = task is not None and task.state not in NOT_STARTED
    if status.state in AT_WORK and task is None and not owner.is_here and _knows(queue, owner.job, status.seed, jobs):
        return replace(status, state="died", detail="killed without a word: SLURM has its job no more")
    if status.state == "died" and runs and not owner.is_here:
        return replace(status, state=str(_told(attempt)["state"]), detail="silent, but SLURM says that it runs")
    return status


def _queued(status: TrialStatus, owner: Owner | None, jobs: Sequence[Job], queue: Queue | None) -> TrialStatus:
    """``queued`` or ``starting`` if something was handed to SLURM that has not begun, else ``status``."""
    waiting = not_begun(status, owner, jobs)
    # A task that SLURM starts again is there under its old name.
    again = [owner.job] if owner is not None and owner.job and status.state in ("interrupted", "died") else []
    if queue is None:
        return _waits(status, waiting[0], waiting[0].task(status.seed)) if waiting else status
    tasks = [(job, job.task(status.seed)) for job in waiting]
    for job, name in [*tasks, *((None, name) for name in again)]:
        entry = queue.tasks.get(name)
        if entry is not None and entry.state in NOT_STARTED:
            return _waits(status, job, name, "" if entry.reason in ("", "None") else f"waits for {entry.reason}")
        if entry is not None and (job is not None or entry.state == "RUNNING"):
            return replace(status, state="starting", node=entry.node, detail="", job=name, rate=None)
    for job, name in tasks:
        if not _knows(queue, name, status.seed, jobs):
            return _waits(status, job, name)
    if not waiting or status.state == "done":
        return status
    if status.state == "trained":
        return replace(status, detail="its assessment left SLURM's queue before it began")
    return replace(status, state="died", detail="left SLURM's queue before it began", job=tasks[0][1], rate=None)


def _waits(status: TrialStatus, job: Job | None, task: str, why: str = "") -> TrialStatus:
    stage = job.stage if job else status.stage
    detail = ", ".join(filter(None, ["to be assessed" if stage == ASSESS else "", why]))
    return replace(status, state="queued", detail=detail, job=task, node="", rate=None)


def _knows(queue: Queue, task: str | None, seed: int, jobs: Sequence[Job]) -> bool:
    """Whether the queue was asked after this task was handed over."""
    return all(job.time < queue.asked for job in jobs if seed in job.seeds and job.job_id and job.task(seed) == task)


def _told(attempt: AttemptFolder) -> Mapping[str, Any]:
    """What an attempt's events add up to. The log only grows, so it is read again only when it has."""
    try:
        stat = attempt.events.stat()
    except FileNotFoundError:
        return {"state": "starting"}
    return _add_up(attempt.events, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16384)
def _add_up(path: Path, size: int, _: int) -> Mapping[str, Any]:
    values: dict[str, Any] = {"state": "starting"}
    for event in events.read_tail(path):
        with contextlib.suppress(KeyError):  # not one of ours
            _apply(values, event)
    if "total" not in values and size > events.TAIL_BYTES:  # so much was said of assessment since
        for event in events.read(path):
            with contextlib.suppress(KeyError):
                _apply(values, event)
    return MappingProxyType(values)


def _apply(values: dict[str, Any], event: dict[str, Any]) -> None:
    match event["event"]:
        case "start" if isinstance(event.get("before"), dict):
            values.update(before=event["before"]["state"])
        case "train":
            # What has nothing to learn passes by here too.
            state = "training" if event["total"] else "starting"
            values.update(state=state, step=event["step"], total=event["total"])
        case "progress":
            values.update(state="training", **{key: event[key] for key in ("step", "total", "loss", "rate")})
        case "checkpoint":
            values.update(step=event["step"])
        case "assess":
            detail = f"{event['eval_id']} at step {event['step']}: {event['done']}/{event['total']} frames"
            values.update(state="assessing", detail=detail)
        case "assessed" if event["score"] is not None:
            values.update(score=(event["eval_id"], event["metric"], event["score"]))
        case "end":
            values.update(state=event["state"], detail=event.get("error") or "")
        case _:
            pass
