"""Stopping a run, or some of its trials: in SLURM's queue, and on this machine. What is saved is kept."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from seqtrack.cluster import slurm_queue
from seqtrack.cluster.sbatch import ranges
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.runs import attempts, events, jobs, submissions
from seqtrack.runs.jobs import Job
from seqtrack.runs.paths import RunFolder, SweepFolder
from seqtrack.runs.status import AT_WORK, NOT_STARTED, trial_status

Say = Callable[[str], None]

WORKER = "seqtrack.tools.train_work"
# Long: told SIGINT a driver says how to come back, SIGTERM is a death without a word, and a busy machine is slow.
DRIVER_SECONDS = 60.0


@dataclass
class Outcome:
    """What a cancellation came to."""

    stopped: int = 0
    """Tasks, jobs and processes that were told to stop."""
    missed: int = 0
    """Those that could not be reached."""


def cancel(run: RunFolder, seeds: Collection[int] | None, say: Say) -> Outcome:
    """Stops these trials, or for None the whole run, and says line by line what it did."""
    outcome = Outcome()
    _cancel_slurm(run, seeds, say, outcome)
    _cancel_here(run, seeds, say, outcome)
    _tell_elsewhere(run, seeds, say, outcome)
    if outcome.stopped:
        say("what is saved is kept; the same command goes on from there")
    elif not outcome.missed:
        what = f"run {run.run_id}" if seeds is None else f"seed {ranges(sorted(seeds))} of run {run.run_id}"
        say(f"nothing to cancel: nothing of {what} is at work or in a queue")
    return outcome


def cancel_sweep(sweep: SweepFolder, say: Say) -> Outcome:
    """Stops every run of a sweep: its arrays as a whole, and what is at work on this machine."""
    outcome = Outcome()
    arrays = jobs.read_arrays([sweep.slurm])
    tasks = slurm_queue.queue() if arrays else []
    if tasks is None:
        outcome.missed += 1
        say("SLURM does not answer, so nothing was taken out of its queue; try again later")
    tags, ids = {array.tag for array in arrays}, {array.job_id for array in arrays}
    ours = [task for task in tasks or () if task.tag in tags or (not task.tag and task.job_id in ids)]
    names = list(dict.fromkeys(task.job_id for task in ours if task.state != "COMPLETING"))
    if problem := slurm_queue.cancel(names):
        outcome.missed += len(names)
        say(f"scancel: {' '.join(problem.split())}")
    elif names:
        outcome.stopped += len(names)
        say(f"cancelled jobs {' '.join(names)}")
    # Commands first: they would start what waits. Then also points that the file no longer has.
    for driver in _drivers(events.read(sweep.submissions)):
        _stop_driver(driver, say, outcome)
    runs = _runs_of(sweep)
    _stop_workers(runs, None, say, outcome)
    for run in runs:
        _tell_elsewhere(run, None, say, outcome)
    if outcome.stopped:
        say("what is saved is kept; the same command goes on from there")
    elif not outcome.missed:
        say(f"nothing to cancel: nothing of sweep {sweep.name} is at work or in a queue")
    return outcome


def _cancel_slurm(run: RunFolder, seeds: Collection[int] | None, say: Say, outcome: Outcome) -> None:
    """One scancel for all of it. The jobs of the run as a whole, index and summary, only go with the whole run."""
    ledger = jobs.read(run)
    if not ledger:
        return
    tasks = slurm_queue.queue()
    if tasks is None:
        _tell_unanswered(run, ledger, seeds, say, outcome)
        return
    doomed = [(job, task) for job, task in _pairs(ledger, tasks) if _is_meant(job, task, seeds)]
    names = [task.job_id if seeds is None and job.is_own else task.name for job, task in doomed]
    if problem := slurm_queue.cancel(list(dict.fromkeys(names))):
        outcome.missed += len(doomed)
        say(f"scancel: {' '.join(problem.split())}")
        return
    outcome.stopped += len(doomed)
    for job in ledger:
        if mine := [task for other, task in doomed if other == job]:
            say(_line(job, mine))
    execution = submissions.newest(run).get("execution", {})
    if doomed and seeds is None and execution.get("slurm_max_submit") is not None:
        say("a command that still watches this run hands in what waits for room: end that too, with Ctrl-C")


def _pairs(ledger: Sequence[Job], tasks: Sequence[QueuedTask]) -> Iterator[tuple[Job, QueuedTask]]:
    """Tasks of this run in the queue. By tag, for a submitter that died may have left no id; or by id, for a site
    may rewrite comments."""
    by_tag, by_id = {job.tag: job for job in ledger}, {job.job_id: job for job in ledger if job.job_id}
    for task in tasks:
        job = by_tag.get(task.tag) or by_id.get(task.job_id)
        if job is not None and task.state != "COMPLETING":
            yield job, task


def _is_meant(job: Job, task: QueuedTask, seeds: Collection[int] | None) -> bool:
    """Of a sweep's jobs only the tasks that are this run's."""
    seed = job.seed(task.index)
    return (job.is_own or seed is not None) if seeds is None else seed in seeds


def _line(job: Job, tasks: Sequence[QueuedTask]) -> str:
    """``cancelled train 123 of seeds 0-4: 2 were at work, 3 waited``."""
    waited = sum(task.state in NOT_STARTED for task in tasks)
    at_work = len(tasks) - waited
    seeds = sorted(seed for task in tasks if (seed := job.seed(task.index)) is not None)
    what = f"{job.stage} {tasks[0].job_id}" + (f" of seed{'s'[: len(seeds) > 1]} {ranges(seeds)}" if seeds else "")
    how = [f"{at_work} {'was' if at_work == 1 else 'were'} at work"] if at_work else []
    how += [f"{waited} waited"] if waited else []
    return f"cancelled {what}: {', '.join(how)}"


def _tell_unanswered(
    run: RunFolder, ledger: Sequence[Job], seeds: Collection[int] | None, say: Say, outcome: Outcome
) -> None:
    wanted = {seed for job in ledger for seed in job.seeds if seeds is None or seed in seeds}
    statuses = [trial_status(run.trial(seed), ledger) for seed in sorted(wanted)]
    names = [s.job for s in statuses if s.job is not None and s.state in ("queued", *AT_WORK)]
    if not names:
        return
    outcome.missed += len(names)
    if slurm_queue.is_installed():
        say(f"SLURM does not answer, so nothing was taken out of its queue ({' '.join(names)}); try again later")
    else:
        say(f"there is no SLURM on this machine: cancel its jobs ({' '.join(names)}) from one of the cluster's")


def _runs_of(sweep: SweepFolder) -> list[RunFolder]:
    """Whatever was ever a point of it, but what another command has asked for since."""
    ids = dict.fromkeys(run["run_id"] for line in submissions.of_sweep(sweep) for run in line["runs"])
    found = [sweep.run(run_id) for run_id in ids]
    return [run for run in found if submissions.newest(run).get("sweep") == sweep.name]


def _cancel_here(run: RunFolder, seeds: Collection[int] | None, say: Say, outcome: Outcome) -> None:
    """Asks workers on this machine to stop; for the whole run first its driver, which would start those that wait."""
    if seeds is None:
        commands = submissions.read(run)
        for driver in _drivers(line for line in commands if not line.get("sweep")):
            _stop_driver(driver, say, outcome)
        for name in dict.fromkeys(line["sweep"] for line in commands if line.get("sweep") and _drivers([line])):
            say(f"the command of its sweep starts what waits of it all the same; to end that: seqtrack cancel {name}")
    _stop_workers([run], seeds, say, outcome)


def _stop_workers(runs: Sequence[RunFolder], seeds: Collection[int] | None, say: Say, outcome: Outcome) -> None:
    for run, seed, worker in _workers(runs):
        if seeds is None or seed in seeds:
            what = f"seed {seed}" if len(runs) == 1 else f"run {run.run_id} seed {seed}"
            try:
                worker.send_signal(signal.SIGTERM)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                outcome.missed += 1
                say(f"{what}: process {worker.pid} belongs to {worker.username()}, who has to stop it")
                continue
            outcome.stopped += 1
            say(f"{what}: process {worker.pid} was asked to stop; it saves first")


def _workers(runs: Sequence[RunFolder]) -> list[tuple[RunFolder, int, psutil.Process]]:
    """Processes of this machine, outside SLURM, that carry a trial: those with an attempt, and those on their way."""
    found: dict[int, tuple[RunFolder, int, psutil.Process]] = {}
    of_slurm = set()
    for run in runs:
        for trial in run.trials():
            attempt = attempts.live(trial)
            owner = attempts.read_owner(attempt) if attempt else None
            if owner is None or not owner.is_here:
                continue
            if owner.job is not None:
                of_slurm.add(owner.pid)
            elif psutil.pid_exists(owner.pid):
                found[owner.pid] = (run, trial.seed, psutil.Process(owner.pid))
    by_path = {run.path.resolve(): run for run in runs}
    for process in psutil.process_iter(["cmdline"]):
        run_and_seed = _trial_of(process.info["cmdline"] or [], by_path)
        if run_and_seed is not None and process.pid not in of_slurm and not _is_job(process):
            found.setdefault(process.pid, (*run_and_seed, process))
    order = {run.run_id: place for place, run in enumerate(runs)}
    return sorted(found.values(), key=lambda item: (order[item[0].run_id], item[1], item[2].pid))


def _trial_of(words: Sequence[str], by_path: Mapping[Path, RunFolder]) -> tuple[RunFolder, int] | None:
    """Of the command line by which the local scheduler starts a worker of one of these runs."""
    if WORKER not in words:
        return None
    path, seed = [*words[words.index(WORKER) + 1 :], "", ""][:2]
    run = by_path.get(Path(path).resolve()) if Path(path).is_absolute() else None
    return (run, int(seed)) if run is not None and seed.isdigit() else None


def _is_job(process: psutil.Process) -> bool:
    try:
        return "SLURM_JOB_ID" in process.environ()
    except psutil.Error:
        return False


def _drivers(commands: Iterable[Mapping[str, Any]]) -> list[psutil.Process]:
    """Those of these commands that are still there, on this machine, to start trials. Each has recorded itself: one
    that came back to trials at work has no worker of its own to be known by."""
    found = [attempts.alive_here(command.get("driver")) for command in commands]
    return [process for process in found if process is not None and _is_command(process)]


def _is_command(process: psutil.Process) -> bool:
    """Not so a notebook, or a script, that called one and goes on with something else."""
    try:
        words = process.cmdline()[:4]  # an interpreter, with a flag or so, stands before it
    except psutil.Error:
        return False
    return any(Path(word).name == "seqtrack" or word.startswith("seqtrack.tools.") for word in words)


def _stop_driver(driver: psutil.Process, say: Say, outcome: Outcome) -> None:
    """As by Ctrl-C; one that was started in the background of a script ignores that, and holds nothing to lose."""
    for number in (signal.SIGTERM,) if _ignores_interrupt(driver) else (signal.SIGINT, signal.SIGTERM):
        try:
            driver.send_signal(number)
            driver.resume()  # one that Ctrl-Z has stopped would not hear it
        except psutil.NoSuchProcess:
            break
        except psutil.AccessDenied:
            outcome.missed += 1
            say(f"the command that starts the trials (process {driver.pid}) belongs to {driver.username()}")
            return
        if _ends(driver):
            break
    else:
        outcome.missed += 1
        say(f"the command that starts the trials (process {driver.pid}) does not end; kill it: kill -9 {driver.pid}")
        return
    outcome.stopped += 1
    say(f"the command that started the trials (process {driver.pid}) was ended, so that it starts no more of them")


def _ignores_interrupt(process: psutil.Process) -> bool:
    """Where the system says so (Linux)."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    ignored = re.search(r"^SigIgn:\s*(\w+)$", status, re.MULTILINE)
    return ignored is not None and bool(int(ignored[1], 16) >> (signal.SIGINT - 1) & 1)


def _ends(process: psutil.Process) -> bool:
    """Whether it is gone soon. One that its parent has yet to bury is."""
    deadline = time.monotonic() + DRIVER_SECONDS
    while attempts.is_process_alive(process.pid, process.create_time()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _tell_elsewhere(run: RunFolder, seeds: Collection[int] | None, say: Say, outcome: Outcome) -> None:
    for trial in run.trials():
        attempt = attempts.live(trial)
        owner = attempts.read_owner(attempt) if attempt else None
        is_wanted = seeds is None or trial.seed in seeds
        if owner is not None and owner.job is None and not owner.is_here and is_wanted:
            outcome.missed += 1
            say(f"seed {trial.seed}: process {owner.pid} runs on {owner.host}; give this command there")
