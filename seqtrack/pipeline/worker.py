"""The worker: one process that carries a trial as far as it gets. Every executor runs this and nothing else."""

from __future__ import annotations

import importlib
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence

from seqtrack.errors import SeqtrackError, TrialError, UserError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.summarise import summarise
from seqtrack.pipeline.sweep import table
from seqtrack.pipeline.sweep.sweep import sweeps_of
from seqtrack.runs import attempts, code, events
from seqtrack.runs.attempts import Attempt, Owner
from seqtrack.runs.jobs import ASSESS, TRAIN
from seqtrack.runs.paths import TrialFolder
from seqtrack.runs.signals import StopFlag

log = logging.getLogger(__name__)

DONE, FAILED, MISTAKE, BUSY, INTERRUPTED = 0, 1, 2, 3, 75
ALL = "all"  # stages: training, assessment, or one after the other
MAX_IDLE_ATTEMPTS = 3
STUCK = (
    f"stopped {MAX_IDLE_ATTEMPTS} times in a row before a single step or sequence was done;"
    " give it more time (--slurm_flags time=…)"
)
ENOUGH_DESCRIPTORS = 65536
STATES = {DONE: "done", FAILED: "failed", MISTAKE: "failed", BUSY: "superseded", INTERRUPTED: "interrupted"}


def work(
    requests: Sequence[Request],
    seed: int,
    stage: str = ALL,
    stop: StopFlag | None = None,
    has_ended: Callable[[Owner], bool] = lambda owner: False,
    patience: float = 0.0,
) -> int:
    """Trains and assesses the trial as far as it is not; returns one of the exit codes above.

    Everything it has to say goes to the attempt's ``log.txt`` and its events.

    Args:
        requests: alike in what is trained; the run's own summary is of the last.
        stage: ``train`` or ``assess`` for one of the two only.
        stop: installed before this was called, if it was.
        has_ended: see ``attempts.claim``.
        patience: seconds that what another node has just written may take to show up here.
    """
    stop = stop or StopFlag().install()
    request = requests[-1]
    trial = request.run.trial(seed)
    if all(_is_done(each, trial, stage) for each in requests):
        return DONE
    attempt = attempts.claim(trial, stage, has_ended)
    if attempt is None:
        return BUSY
    _log_to(attempt, request.execution.loglevel)
    with attempt:
        attempt.event("start", gpu=os.environ.get("CUDA_VISIBLE_DEVICES"), pid=os.getpid(), stage=stage)
        _raise_descriptor_limit()
        try:
            finished = _carry_on(requests, attempt, stage, lambda: stop() or attempt.is_superseded, patience)
            if finished and stage != TRAIN:
                # Whoever finishes refreshes the summary: the driver may have gone. Before the attempt ends, so that
                # a driver that waits for it finds nothing in the making.
                attempt.guard()
                summarise(request)
                _refresh_sweeps(request)
            code, error = (DONE if finished else INTERRUPTED), None
            if not finished and _is_stuck(trial):
                code, error = MISTAKE, STUCK
        except SeqtrackError as failure:
            log.error("%s", failure)
            code, error = MISTAKE if isinstance(failure, UserError) else FAILED, str(failure)
            if stop():
                # SLURM tells every process of a job: a tar that dies of it while it extracts is no failure.
                code, error = INTERRUPTED, None
        except Exception as failure:
            log.exception("the trial failed")
            code, error = FAILED, _cause(failure)
        # However it ended: what an attempt with a successor met (its files swept away, say) is no failure.
        if superseded := attempt.superseded():
            log.warning("%s", superseded)
            code, error = BUSY, superseded
        attempt.event("end", state=STATES[code], error=error, mistake=code == MISTAKE)
    return code


def _refresh_sweeps(request: Request) -> None:
    """The tables that the run is a row of. What another run of a sweep met is no failure of this trial."""
    try:
        for sweep in sweeps_of(request.run):
            table.write(sweep)
    except (SeqtrackError, OSError, KeyError, TypeError, ValueError) as error:
        log.warning("the table of a sweep was not refreshed: %s", error)


def _is_done(request: Request, trial: TrialFolder, stage: str) -> bool:
    if stage == TRAIN:
        return plan.is_trained(request, trial)
    return plan.has_nothing_left(request, trial)


def _is_stuck(trial: TrialFolder) -> bool:
    """Whether the last attempts, this one included, were all stopped and none of them got anywhere: putting the
    job back into the queue would go on for ever."""
    last = trial.attempts()[-MAX_IDLE_ATTEMPTS:]
    if len(last) < MAX_IDLE_ATTEMPTS:
        return False
    for attempt in last[:-1]:
        end = attempts.ended(attempt)
        if end is None or end["state"] != STATES[INTERRUPTED]:
            return False
    return not any(e["event"] in ("checkpoint", "sequence") for attempt in last for e in events.read(attempt.events))


def _carry_on(
    requests: Sequence[Request], attempt: Attempt, stage: str, should_stop: Callable[[], bool], patience: float
) -> bool:
    """Training if it is not finished, then assessment until nothing is missing; False if asked to stop."""
    # Here, so that a worker with nothing to do never waits for torch.
    from seqtrack.pipeline.observers import TrialObservers
    from seqtrack.pipeline.train_trial import train_trial

    request, trial = requests[-1], attempt.trial
    _fix_code(request)
    attempt.event("imported")  # the seconds since "start" are torch's
    if not plan.is_trained(request, trial):
        if stage == ASSESS and not _appears(lambda: plan.is_trained(request, trial), patience, should_stop):
            raise TrialError("there is nothing to assess: training is not finished; give the same command again")
        if stage != ASSESS:
            observers = TrialObservers(trial)
            try:
                if not train_trial(request, attempt, should_stop, observers.starting_from):
                    return False
            finally:
                observers.close()
    return stage == TRAIN or all(_assess(each, attempt, should_stop) for each in requests)


def _assess(request: Request, attempt: Attempt, should_stop: Callable[[], bool]) -> bool:
    """All that the request wants of a trial that is trained; False if asked to stop."""
    from seqtrack.pipeline.assess_trial import Stopped, assess

    trial = attempt.trial
    try:
        while missing := plan.missing_assessments(request, trial):
            plan.check_checkpoints(request, trial)
            for assessment in missing:
                assess(request, attempt, assessment, should_stop)
    except Stopped:
        return False
    if request.execution.visualize:
        from seqtrack.pipeline.visualize import visualize

        return visualize(request, attempt, should_stop)
    return True


def _appears(is_there: Callable[[], bool], patience: float, should_stop: Callable[[], bool]) -> bool:
    """Whether what another node has written is there, or is so within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not is_there():
        if should_stop() or time.monotonic() > deadline:
            return False
        time.sleep(1.0)
    return True


def _raise_descriptor_limit() -> None:
    """Loader workers hand tensors over in open files; many sites start jobs with room for 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.info("limit of open files raised from %d to %d", soft, wanted)


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
