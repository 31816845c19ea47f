"""A run as a person asks for it: what the disk says of each trial, and what SLURM adds if it answers soon.

The disk is enough: with accounting off, with a dead controller, and on a machine without SLURM.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seqtrack.cluster import causes, slurm_queue
from seqtrack.cluster.causes import Cause
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request, read_submission
from seqtrack.runs import experiments, jobs, lookup, submissions
from seqtrack.runs.jobs import INDEX, Job
from seqtrack.runs.paths import RunFolder
from seqtrack.runs.status import AT_WORK, STOPPED, Queue, TrialStatus, trial_status

PATIENCE_SECONDS = 3.0  # a client of a dead controller hangs for ten
SECONDS_BETWEEN_QUESTIONS = 15.0
# What reading a file that is not ours, or of another version, gives.
_DAMAGED = (SeqtrackError, ValueError, KeyError, TypeError, AttributeError)
ONLY_DISK = "this is what the disk says"


@dataclass
class Slurm:
    """SLURM's queue, asked only when there is something to ask about, and not again too soon."""

    note: str | None = None
    """Why it could not say anything, if it could not."""
    _queue: Queue | None = None
    _next: float = 0.0

    def queue(self) -> Queue | None:
        if time.monotonic() >= self._next:
            asked = time.time()
            is_installed = shutil.which("squeue") is not None
            tasks = slurm_queue.queue(PATIENCE_SECONDS) if is_installed else None
            self._queue = None if tasks is None else Queue.of(tasks, asked)
            self._next = time.monotonic() + SECONDS_BETWEEN_QUESTIONS
            silent = "SLURM does not answer" if is_installed else "there is no SLURM on this machine"
            self.note = f"{silent}; {ONLY_DISK}" if tasks is None else None
        return self._queue


@dataclass(frozen=True)
class Overview:
    """What there is to say of a run.

    Attributes:
        submitted: when the newest command was given, seconds since the epoch.
        names: every ``--name`` that it was given, the newest first.
        command: that command.
        trials: of that command, and every other one on disk, in order of seed.
        causes: by seed, why a trial that is at rest is not done.
        notes: what a reader should know about all this.
    """

    run: RunFolder
    names: tuple[str, ...] = ()
    model: str = ""
    submitted: float | None = None
    command: str = ""
    trials: list[TrialStatus] = field(default_factory=list)
    causes: dict[int, Cause] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        """By which a person knows it, its newest name first; then the sweeps that it is a point of."""
        return [*self.names, *(f"sweep {sweep.name}" for sweep in self.run.sweeps)]

    @property
    def done(self) -> int:
        return sum(status.state == "done" for status in self.trials)

    @property
    def is_done(self) -> bool:
        return bool(self.trials) and self.done == len(self.trials)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing works on it, and nothing will by itself."""
        return not any(status.state in (*AT_WORK, "queued") for status in self.trials)

    @property
    def results(self) -> Path | None:
        """The table of a run that is done."""
        return self.run.summary_csv if self.is_done and self.run.summary_csv.exists() else None


def look(run: RunFolder, slurm: Slurm) -> Overview:
    """Reads all that there is to know about a run now; of files that hold something else, says so in a note."""
    try:
        return _look(run, slurm)
    except (OSError, *_DAMAGED) as error:
        return Overview(run, notes=[f"{run.path}: cannot be read ({type(error).__name__}: {error})"])


def _look(run: RunFolder, slurm: Slurm) -> Overview:
    last = submissions.newest(run)
    notes = []
    request: Request | None = None
    try:
        request = read_submission(run)
    except _DAMAGED as error:
        notes.append(
            f"the newest command cannot be read ({error}): what it asks for beyond what is there is not known"
        )
    seeds = sorted({trial.seed for trial in run.trials()} | set(request.seeds if request else ()))
    ledger = jobs.read(run)
    queue = None
    trials = _trials(run, request, seeds, ledger, None)
    if any(job.job_id for job in ledger) and any(status.state != "done" for status in trials):
        queue = slurm.queue()
        notes += [slurm.note] if slurm.note else []
        trials = _trials(run, request, seeds, ledger, queue) if queue else trials
    return Overview(
        run,
        tuple(lookup.names(run)),
        request.train.model if request else "",
        experiments.submitted(run) or None,
        experiments.command(last),
        trials,
        _causes(run, trials, ledger, queue),
        notes,
    )


def _trials(
    run: RunFolder, request: Request | None, seeds: Iterable[int], ledger: Sequence[Job], queue: Queue | None
) -> list[TrialStatus]:
    found = [trial_status(run.trial(seed), ledger, queue) for seed in seeds]
    return found if request is None else [_as_asked_for(request, status) for status in found]


def _as_asked_for(request: Request, status: TrialStatus) -> TrialStatus:
    """``done`` means that the trial has all that the newest command asks of it, however its last attempt ended."""
    if status.state in AT_WORK:
        return status
    is_complete = plan.has_nothing_left(request, request.run.trial(status.seed))
    if is_complete:
        return replace(status, state="done", detail=status.detail if status.state == "done" else "")
    if status.state == "done":
        return replace(status, state="waiting", detail="more is asked of it than it has")
    return status


def _causes(
    run: RunFolder, trials: Sequence[TrialStatus], ledger: Sequence[Job], queue: Queue | None
) -> dict[int, Cause]:
    stopped = [status for status in trials if status.state in (*STOPPED, "trained")]
    seeds = {status.seed for status in stopped}
    wanted = [job.job_id for job in ledger if job.job_id and (seeds & set(job.seeds) or job.stage == INDEX)]
    endings = slurm_queue.endings(wanted, PATIENCE_SECONDS) if queue and stopped else {}
    found = {status.seed: causes.cause(run, status.seed, ledger, endings) for status in stopped}
    return {seed: cause for seed, cause in found.items() if cause is not None}


def to_json(overview: Overview) -> dict[str, Any]:
    """For scripts: every key is always there, with null where nothing is known."""
    return {
        "run_id": overview.run.run_id,
        "names": list(overview.names),
        "model": overview.model,
        "path": str(overview.run.path.absolute()),
        "submitted": overview.submitted,
        "command": overview.command,
        "num_trials": len(overview.trials),
        "done": overview.done,
        "is_done": overview.is_done,
        "is_at_rest": overview.is_at_rest,
        "results": str(overview.results.absolute()) if overview.results else None,
        "notes": overview.notes,
        "trials": [_trial_to_json(status, overview.causes.get(status.seed)) for status in overview.trials],
    }


def _trial_to_json(status: TrialStatus, cause: Cause | None) -> dict[str, Any]:
    score = dict(zip(("eval_id", "metric", "value"), status.score, strict=True)) if status.score else None
    return {
        "seed": status.seed,
        "state": status.state,
        "stage": status.stage or None,
        "node": status.node or None,
        "job": status.job,
        "attempt": status.attempt,
        "restarts": status.restarts,
        "step": status.step,
        "total": status.total,
        "loss": status.loss,
        "rate": status.rate,
        "seconds_left": status.seconds_left,
        "score": score,
        "detail": status.detail,
        "cause": cause.text if cause else None,
        "is_mistake": cause.is_mistake if cause else False,
    }
