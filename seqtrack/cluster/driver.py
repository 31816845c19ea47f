"""The driver of a run: from a request to a table, by whatever is left to do, on this machine or as SLURM jobs."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seqtrack.cluster.local import LocalScheduler
from seqtrack.cluster.work import Work, seeds_of
from seqtrack.config import ExecutionConfig
from seqtrack.data import datasets, locations
from seqtrack.data.formats import DatasetName
from seqtrack.data.locations import Locations
from seqtrack.errors import UserError
from seqtrack.pipeline import plan, record
from seqtrack.pipeline.request import Request, submit
from seqtrack.pipeline.summarise import summarise
from seqtrack.reporting.progress import make_progress
from seqtrack.runs import atomic, attempts
from seqtrack.runs.paths import TrialKey
from seqtrack.runs.status import TrialStatus

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        failures: cause by trial.
        mistakes: trials whose failure a person can mend.
        logs: the end of the log of each other failure.
    """

    failures: dict[TrialKey, str]
    mistakes: set[TrialKey]
    logs: dict[TrialKey, list[str]]


class Scheduler(Protocol):
    """What carries trials out: ``LocalScheduler`` or ``SlurmScheduler``."""

    mistakes: set[TrialKey]

    def begin(self) -> None:
        """Hands over what can be handed over."""

    def run(self) -> dict[TrialKey, str]:
        """Until nothing more can be done; returns the cause of failure by trial."""

    def farewell(self) -> str:
        """What goes on without the driver, and how to come back."""

    def last_log_lines(self, trial: TrialKey) -> list[str]: ...


class Progress(Protocol):
    """What shows how the trials are doing."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *exception: Any) -> None: ...
    def show(self, statuses: Sequence[TrialStatus]) -> None: ...


class Detached(Exception):
    """The driver has left; the message says what goes on and how to come back."""


def check(execution: ExecutionConfig) -> None:
    """Whatever about executing a request can be wrong before it is touched. Raises UserError."""
    if execution.slurm:
        from seqtrack.cluster import slurm

        slurm.check(execution)


def run(request: Request, say: Say) -> tuple[dict[str, Any], Outcome]:
    """Prepares the data, runs what is missing, and returns the summary.

    Raises:
        UserError: before anything is started.
        Detached: after Ctrl-C; trials that run go on. Or as ``--detach`` asks, once SLURM has everything.
    """
    work = Work.of(request)
    prepare(work, say)
    outcome = carry_out(work, submit(request), make_progress(), say)
    return summarise(request, seeds_of(request.run_id, outcome.failures)), outcome


def prepare(work: Work, say: Say) -> None:
    """All that has to be true before the work is recorded. Raises UserError."""
    check(work.execution)
    atomic.ensure_writable_folder(work.execution.cache_dir, "cache_dir")
    prepare_data(work, say)
    check_changes(work)


def carry_out(work: Work, submission: str, progress: Progress, say: Say) -> Outcome:
    """Runs what is missing of work that has been recorded under the id ``submission``. Raises Detached."""
    scheduler = _scheduler(work, submission, progress.show, say)
    try:
        scheduler.begin()
        if work.execution.slurm and work.execution.detach:
            raise Detached(scheduler.farewell())
        with progress:
            failures = scheduler.run()
    except KeyboardInterrupt:
        raise Detached(scheduler.farewell()) from None
    mistakes = scheduler.mistakes
    return Outcome(failures, mistakes, {t: scheduler.last_log_lines(t) for t in failures if t not in mistakes})


def summarise_all(work: Work, outcome: Outcome) -> None:
    """Every run of a sweep, as ``run`` does it for one."""
    for request in work.summarised:
        summarise(request, seeds_of(request.run_id, outcome.failures))


def _scheduler(work: Work, submission: str, show: Callable[[Any], None], say: Say) -> Scheduler:
    if not work.execution.slurm:
        return LocalScheduler(work, submission, show)
    from seqtrack.cluster.slurm import SlurmScheduler

    return SlurmScheduler(work, submission, show, say)


def leave_in_background(work: Work, module: str, argv: Sequence[str]) -> str:
    """Starts the same command again, without ``--detach``, in a session of its own; says how to come back.

    Raises:
        UserError: what the command would meet first; better said now.
    """
    atomic.ensure_writable_folder(work.execution.cache_dir, "cache_dir")
    prepare_data(work, lambda line: None)
    check_changes(work)
    log = work.folder.path / "driver.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # A file of flags may say detach too: without a word against it this would go on for ever.
    words = [*(word for word in argv if word != "--detach"), "--no-detach"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return (
        f"{work.title} goes on in the background (process {process.pid}, log {log})\n"
        "the same command comes back, with or without --detach"
    )


def prepare_data(work: Work, say: Say) -> None:
    """Makes sure that every data set is there and has an index, so that no worker has to find out.

    A cluster's login node only looks: an index that is missing is built by a job.
    """
    atomic.ensure_writable_folder(work.execution.data_cache_dir, "data_cache_dir")
    for name, places, assessed in work.data_uses:
        if not work.execution.slurm or datasets.is_indexed(name, places):
            datasets.prepare(name, places, say, assessed)


def check_changes(work: Work) -> None:
    """Refuses to mix results of different code or data, and to assess what is gone, for every trial that there is."""

    @functools.lru_cache
    def fingerprint_of(label: str, preproc: str, storage: str) -> dict[str, str]:
        name, places = asked[label, preproc, storage]
        if work.execution.slurm and not datasets.is_indexed(name, places):
            return {}  # nothing to compare with before a job has read it
        return datasets.fingerprint(name, places)

    asked: dict[tuple[str, str, str], tuple[DatasetName, Locations]] = {}

    def fingerprint(name: DatasetName, places: Locations) -> dict[str, str]:
        key = (str(name), places.preproc, places.storage)
        asked.setdefault(key, (name, places))
        return fingerprint_of(*key)

    for request in work.requests:
        started = [trial for trial in map(request.run.trial, request.seeds) if trial.record.exists()]
        if not started:
            continue
        places = request.locations
        training = {name.folder: fingerprint(name, places) for name in request.training_datasets.values()}
        data = training | request.training_lists
        assessed_data = functools.partial(fingerprint, places=request.eval_locations)
        for trial in started:
            record.reconcile(request, trial, request.training_code, data)
            plan.check_assessments(request, trial, request.assessment_code, assessed_data)
            plan.check_checkpoints(request, trial)


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
