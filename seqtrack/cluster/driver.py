"""The driver of a run: from a request to a table, by whatever is left to do, on this machine or as SLURM jobs."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seqtrack.cluster.local import LocalScheduler
from seqtrack.data import datasets, locations
from seqtrack.data.formats import DatasetName
from seqtrack.errors import UserError
from seqtrack.pipeline import plan, record
from seqtrack.pipeline.request import Request, submit
from seqtrack.pipeline.summarise import summarise
from seqtrack.reporting.progress import make_progress
from seqtrack.runs import atomic, attempts

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        failures: cause by seed.
        mistakes: seeds whose failure a person can mend.
        logs: by seed, the end of the log of each other failure.
    """

    summary: dict[str, Any]
    failures: dict[int, str]
    mistakes: set[int]
    logs: dict[int, list[str]]


class Scheduler(Protocol):
    """What carries trials out: ``LocalScheduler`` or ``SlurmScheduler``."""

    mistakes: set[int]

    def begin(self) -> None:
        """Hands over what can be handed over."""

    def run(self) -> dict[int, str]:
        """Until nothing more can be done; returns the cause of failure by seed."""

    def farewell(self) -> str:
        """What goes on without the driver, and how to come back."""

    def last_log_lines(self, seed: int) -> list[str]: ...


class Detached(Exception):
    """The driver has left; the message says what goes on and how to come back."""


def check(request: Request) -> None:
    """Whatever about executing the request can be wrong before it is touched. Raises UserError."""
    if request.execution.slurm:
        from seqtrack.cluster import slurm

        slurm.check(request)


def run(request: Request, say: Say) -> Outcome:
    """Prepares the data, runs what is missing, and summarises.

    Raises:
        UserError: before anything is started.
        Detached: after Ctrl-C; trials that run go on. Or as ``--detach`` asks, once SLURM has everything.
    """
    check(request)
    atomic.ensure_writable_folder(request.execution.cache_dir, "cache_dir")
    prepare_data(request, say)
    check_changes(request)
    submission = submit(request)
    progress = make_progress()
    scheduler = _scheduler(request, submission, progress.show, say)
    try:
        scheduler.begin()
        if request.execution.slurm and request.execution.detach:
            raise Detached(scheduler.farewell())
        with progress:
            failures = scheduler.run()
    except KeyboardInterrupt:
        raise Detached(scheduler.farewell()) from None
    mistakes = scheduler.mistakes
    logs = {seed: scheduler.last_log_lines(seed) for seed in failures if seed not in mistakes}
    return Outcome(summarise(request, failures), failures, mistakes, logs)


def _scheduler(request: Request, submission: str, show: Callable[[Any], None], say: Say) -> Scheduler:
    if not request.execution.slurm:
        return LocalScheduler(request, submission, show)
    from seqtrack.cluster.slurm import SlurmScheduler

    return SlurmScheduler(request, submission, show, say)


def leave_in_background(request: Request, argv: Sequence[str]) -> str:
    """Starts the same command again, without ``--detach``, in a session of its own; says how to come back.

    Raises:
        UserError: what the command would meet first; better said now.
    """
    atomic.ensure_writable_folder(request.execution.cache_dir, "cache_dir")
    prepare_data(request, lambda line: None)
    check_changes(request)
    log = request.run.path / "driver.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [word for word in argv if word != "--detach"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "seqtrack.tools.train", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return (
        f"run {request.run_id} goes on in the background (process {process.pid}, log {log})\n"
        "the same command comes back, with or without --detach"
    )


def prepare_data(request: Request, say: Say) -> None:
    """Makes sure that every data set is there and has an index, so that no worker has to find out.

    A cluster's login node only looks: an index that is missing is built by a job.
    """
    atomic.ensure_writable_folder(request.execution.data_cache_dir, "data_cache_dir")
    for name, places, assessed in request.data_uses:
        if not request.execution.slurm or datasets.is_indexed(name, places):
            datasets.prepare(name, places, say, assessed)


def check_changes(request: Request) -> None:
    """Refuses to mix results of different code or data, for every trial that there is."""
    started = [request.run.trial(seed) for seed in request.seeds]
    started = [trial for trial in started if trial.record.exists()]
    if not started:
        return
    training_code, assessment_code = request.training_code, request.assessment_code

    @functools.lru_cache
    def fingerprint(name: DatasetName, assessed: bool) -> dict[str, str]:
        places = request.eval_locations if assessed else request.locations
        if request.execution.slurm and not datasets.is_indexed(name, places):
            return {}  # nothing to compare with before a job has read it
        return datasets.fingerprint(name, places)

    training = {name.folder: fingerprint(name, False) for name in request.training_datasets.values()}
    data = training | request.training_lists
    assessed_data = functools.partial(fingerprint, assessed=True)
    for trial in started:
        record.reconcile(request, trial, training_code, data)
        plan.check_assessments(request, trial, assessment_code, assessed_data)


def describe(request: Request) -> list[str]:
    """What ``--dry_run`` prints: the run, and what each trial would do."""
    train = request.train
    lines = [
        f"run {request.run_id}: {train.model}, {train.num_steps} steps, in {request.run.path}",
        f"trains on {train.train_dataset if train.num_steps else 'nothing'},"
        f" assesses on {', '.join(s.eval_id for s in request.eval_sets)}",
    ]
    for name, places, _ in request.data_uses:
        try:
            locations.locate(name, places)
        except UserError as error:
            lines.append(f"but: {error}")
    return lines + [f"seed {seed}: {_describe_trial(request, seed)}" for seed in request.seeds]


def _describe_trial(request: Request, seed: int) -> str:
    trial = request.run.trial(seed)
    if attempts.live(trial) is not None:
        return "runs now; would be followed"
    if plan.has_nothing_left(request, trial):
        return f"complete at step {plan.selected_step(request, trial)}; nothing to do"
    if plan.is_complete(request, trial):
        return "complete; its videos would be drawn"
    if plan.is_trained(request, trial):
        missing = plan.missing_assessments(request, trial)
        wanted = ", ".join(f"{item.eval_set.eval_id} at step {item.step}" for item in missing)
        return f"trained; would be assessed: {wanted}"
    steps = list(trial.checkpoints())
    if steps:
        return f"would train from step {steps[-1]} to {request.train.num_steps}, and be assessed"
    return f"does not exist; would train {request.train.num_steps} steps, and be assessed"
