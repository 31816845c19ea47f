"""Trials, attempts and ledgers made by hand: what SLURM and other machines leave on disk, without them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seqtrack.runs import events, jobs
from seqtrack.runs.attempts import STALE_SECONDS, Owner
from seqtrack.runs.jobs import Array, Job
from seqtrack.runs.paths import AttemptFolder, RunFolder, TrialFolder, TrialKey

STARTED = 1_000_000.0
"""When hand-made attempts start, unless they say otherwise."""


def train(step: int = 0, total: int = 1000) -> dict[str, Any]:
    return {"event": "train", "step": step, "total": total}


def progress(step: int, loss: float = 0.5, rate: float = 10.0, total: int = 1000) -> dict[str, Any]:
    return {"event": "progress", "step": step, "total": total, "loss": loss, "rate": rate}


def checkpoint(step: int) -> dict[str, Any]:
    return {"event": "checkpoint", "step": step}


def assess(done: int = 5, step: int = 1000) -> dict[str, Any]:
    return {"event": "assess", "eval_id": "otb_50-full", "step": step, "done": done, "total": 24}


def assessed(score: float, step: int = 1000) -> dict[str, Any]:
    return {"event": "assessed", "eval_id": "otb_50-full", "step": step, "metric": "AUC", "score": score}


def end(state: str, error: str | None = None, mistake: bool = False) -> dict[str, Any]:
    return {"event": "end", "state": state, "error": error, "mistake": mistake}


def attempt(
    trial: TrialFolder,
    *told: dict[str, Any],
    job: str | None = None,
    stage: str = "all",
    node: str = "node2",
    is_here: bool = False,
    beats: bool = True,
    started: float = STARTED,
    log: str = "",
) -> AttemptFolder:
    """The next attempt of a trial, with these events. Of this process, or of another machine by its heartbeat. It
    appears whole: who follows the trial meanwhile finds no attempt that has yet to get its events and heartbeat."""
    found = trial.attempt(len(trial.attempts()))
    folder = AttemptFolder(found.path.with_name(f".making-{found.path.name}"))
    folder.path.mkdir(parents=True)
    owner = Owner.current(stage) if is_here else Owner(node, "some boot", 4711, started, None, node, stage)
    folder.owner.write_text(json.dumps(asdict(replace(owner, job=job, node=node))))
    for event in told:
        events.append(folder.events, {"time": started, **event})
    folder.log.write_text(log)
    folder.heartbeat.touch()
    if not beats:
        old = time.time() - STALE_SECONDS - 10
        os.utime(folder.heartbeat, (old, old))
    folder.path.rename(found.path)
    return found


def job(
    job_id: str | None,
    stage: str,
    seeds: tuple[int, ...] = (0, 1),
    time: float = STARTED - 10,
    after: str | None = None,
) -> Job:
    return Job(f"tag{job_id}{stage}", stage, seeds, "submission", "question", after, time, job_id)


def hand_over(run: RunFolder, *handed: Job) -> list[Job]:
    """Writes the ledger."""
    for one in handed:
        trials = tuple(TrialKey(run.run_id, seed) for seed in one.seeds)
        questions = {run.run_id: one.question}
        array = Array(run.slurm, one.tag, one.stage, trials, one.submission, questions, one.after, one.time)
        jobs.intend(array)
        if one.job_id is not None:
            jobs.record_id(array, one.job_id)
    return list(handed)


@dataclass(frozen=True)
class Task:
    """What a queue has of a task."""

    name: str
    state: str = "PENDING"
    reason: str = "Priority"
    node: str = ""


def programs(folder: Path, **scripts: str) -> dict[str, str]:
    """Shell scripts on the PATH of a command, such as ``squeue='echo …'``; as its environment."""
    folder.mkdir(exist_ok=True)
    for name, body in scripts.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    return {"PATH": os.pathsep.join([str(folder), os.environ["PATH"]])}
