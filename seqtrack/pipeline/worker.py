"""The worker: one process that carries a trial as far as it gets. Every executor runs this and nothing else."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from seqtrack.errors import SeqtrackError, UserError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.summarise import summarise
from seqtrack.runs import attempts, code
from seqtrack.runs.attempts import Attempt

log = logging.getLogger(__name__)

DONE, FAILED, MISTAKE, BUSY, INTERRUPTED = 0, 1, 2, 3, 75
STATES = {DONE: "done", FAILED: "failed", MISTAKE: "failed", BUSY: "superseded", INTERRUPTED: "interrupted"}


class StopFlag:
    """Set by SIGTERM or SIGUSR2: the loop ends its step, saves, and returns."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._set)

    def __call__(self) -> bool:
        return self._signal is not None

    def _set(self, number: int, _: FrameType | None) -> None:
        self._signal = number


def work(request: Request, seed: int) -> int:
    """Trains and assesses the trial as far as it is not; returns one of the exit codes above.

    Everything it has to say goes to the attempt's ``log.txt`` and its events.
    """
    trial = request.run.trial(seed)
    if plan.has_nothing_left(request, trial):
        return DONE
    attempt = attempts.claim(trial)
    if attempt is None:
        return BUSY
    stop = StopFlag()
    stop.install()
    _log_to(attempt, request.execution.loglevel)
    with attempt:
        attempt.event("start", gpu=os.environ.get("CUDA_VISIBLE_DEVICES"), pid=os.getpid())
        try:
            finished = _carry_on(request, attempt, stop)
            if finished:
                # Whoever finishes refreshes the summary: the driver may have gone. Before the attempt ends, so that
                # a driver that waits for it finds nothing in the making.
                attempt.guard()
                summarise(request)
            code, error = (DONE if finished else INTERRUPTED), None
        except SeqtrackError as failure:
            log.error("%s", failure)
            code, error = MISTAKE if isinstance(failure, UserError) else FAILED, str(failure)
        except Exception as failure:
            log.exception("the trial failed")
            code, error = FAILED, _cause(failure)
        # However it ended: what an attempt with a successor met (its files swept away, say) is no failure.
        if superseded := attempt.superseded():
            log.warning("%s", superseded)
            code, error = BUSY, superseded
        attempt.event("end", state=STATES[code], error=error)
    return code


def _carry_on(request: Request, attempt: Attempt, should_stop: Callable[[], bool]) -> bool:
    """Training if it is not finished, then assessment until nothing is missing; False if asked to stop."""
    # Here, so that a worker with nothing to do never waits for torch.
    from seqtrack.pipeline.assess_trial import Stopped, assess
    from seqtrack.pipeline.observers import TrialObservers
    from seqtrack.pipeline.train_trial import train_trial

    trial = attempt.trial
    _fix_code(request)
    if not plan.is_trained(request, trial):
        observers = TrialObservers(trial)
        try:
            if not train_trial(request, attempt, should_stop, observers.starting_from):
                return False
        finally:
            observers.close()
    try:
        while missing := plan.missing_assessments(request, trial):
            for assessment in missing:
                assess(request, attempt, assessment, should_stop)
    except Stopped:
        return False
    if request.execution.visualize:
        from seqtrack.pipeline.visualize import visualize

        visualize(request, attempt)
    return True


def _fix_code(request: Request) -> None:
    """From here on this process runs the code that it records: all of it is imported now.

    Raises:
        UserError: it is not the code that the command was given with.
    """
    now = {**request.training_code, **request.assessment_code}
    if request.submitted_code is not None and (files := code.changed(dict(request.submitted_code), now)):
        raise UserError(f"code changed since the command was given: {', '.join(files)}; give it again")
    for file in now:
        if file.startswith(code.PACKAGE.name):
            importlib.import_module(file.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."))


def _log_to(attempt: Attempt, level: str) -> None:
    """Sends this process's output, and that of its children, to the attempt's log."""
    attempt.folder.path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(attempt.folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", force=True
    )


def _cause(failure: Exception) -> str:
    """One line: what a person needs to know first."""
    text = " ".join(str(failure).split())[:300]
    if "out of memory" in text.lower() or isinstance(failure, MemoryError):
        return f"out of memory: {text}; lower --batchsz"
    return f"{type(failure).__name__}: {text}"
