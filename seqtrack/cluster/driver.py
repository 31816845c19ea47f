"""The driver of a run: from a request to a table, by whatever is left to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqtrack.cluster.local import LocalScheduler
from seqtrack.data import datasets
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


class Detached(Exception):
    """The person left with Ctrl-C; the message says how to come back."""


def run(request: Request, say: Say) -> Outcome:
    """Prepares the data, runs what is missing, and summarises.

    Raises:
        UserError: before anything is started.
        Detached: Ctrl-C; trials that run go on.
    """
    atomic.ensure_writable_folder(request.execution.cache_dir, "cache_dir")
    prepare_data(request, say)
    check_changes(request)
    submission = submit(request)
    progress = make_progress()
    scheduler = LocalScheduler(request, submission, progress.show)
    try:
        with progress:
            failures = scheduler.run()
    except KeyboardInterrupt:
        raise Detached(_farewell(scheduler)) from None
    mistakes = scheduler.mistakes
    logs = {seed: scheduler.last_log_lines(seed) for seed in failures if seed not in mistakes}
    return Outcome(summarise(request, failures), failures, mistakes, logs)


def prepare_data(request: Request, say: Say) -> None:
    """Makes sure that every data set is there and has an index, so that no worker has to find out."""
    atomic.ensure_writable_folder(request.execution.data_cache_dir, "data_cache_dir")
    for name in request.datasets.values():
        datasets.prepare(name, request.locations, say)


def check_changes(request: Request) -> None:
    """Refuses to mix results of different code or data, for every trial that there is."""
    started = [request.run.trial(seed) for seed in request.seeds]
    started = [trial for trial in started if trial.record.exists()]
    if not started:
        return
    training_code, assessment_code = request.training_code, request.assessment_code

    @functools.lru_cache
    def fingerprint(name: DatasetName) -> dict[str, str]:
        return datasets.fingerprint(name, request.locations)

    data = {name.folder: fingerprint(name) for name in request.training_datasets.values()}
    for trial in started:
        record.reconcile(request, trial, training_code, data)
        plan.check_assessments(request, trial, assessment_code, fingerprint)


def describe(request: Request) -> list[str]:
    """What ``--dry_run`` prints: the run, and what each trial would do."""
    train = request.train
    lines = [
        f"run {request.run_id}: {train.model}, {train.num_steps} steps, in {request.run.path}",
        f"trains on {train.train_dataset}, assesses on {', '.join(s.eval_id for s in request.eval_sets)}",
    ]
    for name in request.datasets.values():
        try:
            datasets.locate(name, request.locations)
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


def _farewell(scheduler: LocalScheduler) -> str:
    pids, waiting = scheduler.pids(), scheduler.unstarted()
    lines = ["left; give the same command again to come back"]
    if pids:
        numbers = " ".join(map(str, pids))
        lines.append(f"{len(pids)} trial(s) go on in the background; to stop them as well: kill {numbers}")
    if waiting:
        lines.append(f"seeds {', '.join(map(str, waiting))} have not started and will not until then")
    return "\n".join(lines)
