"""The SLURM scheduler: hands the job graph over, watches it, and says why what did not finish did not.

All is in SLURM's hands once it is submitted, so the watcher may go at any moment. What there is to do is read off
the disk, the ledger (``runs.jobs``) and the queue each time, so the same command repairs whatever has happened.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import filelock

from seqtrack.cluster import slurm_flags, slurm_queue, submitter
from seqtrack.cluster.causes import Cause
from seqtrack.cluster.graph import PlannedJob, TrialState, dependency_text, plan_jobs
from seqtrack.cluster.sbatch import SEED, BatchScript, job_comment, job_name
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.cluster.unfinished import is_worked_on_elsewhere, why_unfinished
from seqtrack.data import datasets
from seqtrack.data.storage.node_local import SUBMIT_TMPDIR
from seqtrack.errors import SeqtrackError, TrialError, UserError
from seqtrack.pipeline import families, plan
from seqtrack.pipeline.request import Request
from seqtrack.runs import jobs, snapshot
from seqtrack.runs.jobs import ASSESS, INDEX, SUMMARY, TRAIN, Job
from seqtrack.runs.status import Queue, TrialStatus, trial_status

Say = Callable[[str], None]
Show = Callable[[list[TrialStatus]], None]

FIRST_INTERVAL_SECONDS, LAST_INTERVAL_SECONDS = 1.0, 30.0
DISK_SECONDS = 1.0
SECONDS_PER_TRIAL = 0.01  # reading the state of a thousand trials takes a while: look less often then
LOCK_SECONDS = 300.0
ENDING_SECONDS = 60.0
SUMMARY_SECONDS, SUMMARY_INTERVAL_SECONDS = 60.0, 5.0


def check(request: Request) -> None:
    """Everything about ``--slurm`` that can be wrong before anything is started.

    Raises:
        UserError: no SLURM here, or flags that sbatch does not know.
    """
    if not slurm_queue.is_installed():
        raise UserError(
            "--slurm: there is no SLURM on this machine (sbatch is not on PATH); leave --slurm out to run the"
            " trials here, or give the command on a login node of the cluster"
        )
    for stage in (TRAIN, ASSESS, SUMMARY):
        flags_of(request, stage)


def flags_of(request: Request, stage: str) -> dict[str, str | None]:
    """What a person tells sbatch for jobs of this stage."""
    name = _flag_of(request, stage)
    return slurm_flags.parse(f"--{name}", getattr(request.execution, name), _site_options)


def _flag_of(request: Request, stage: str) -> str:
    name = {TRAIN: "slurm_flags", ASSESS: "slurm_assess_flags"}.get(stage, "slurm_summary_flags")
    return "slurm_flags" if name == "slurm_assess_flags" and not request.execution.slurm_assess_flags else name


def _site_options() -> set[str]:
    """Options that plugins of this site add to sbatch."""
    return slurm_flags.options_in_help(slurm_queue.ask(["sbatch", "--help"], slurm_queue.ANSWER_SECONDS) or "")


class SlurmScheduler:
    """Runs the trials of a request as SLURM jobs.

    Attributes:
        submission: id under which jobs find the request.
        show: called with the status of all trials, in order of seed, whenever there may be something new.
        failures: cause by seed.
        mistakes: those of them that a person can mend.
    """

    def __init__(self, request: Request, submission: str, show: Show, say: Say) -> None:
        self.request = request
        self.submission = submission
        self.show = show
        self.failures: dict[int, str] = {}
        self.mistakes: set[int] = set()
        self.waiting: list[int] = []
        """Seeds for which the queue has no room yet (``--slurm_max_submit``)."""
        self._say = say
        self._causes: dict[int, Cause] = {}
        self._tasks: list[QueuedTask] = []
        self._asked = 0.0  # when, since the epoch
        self._said: set[str] = set()

    def begin(self) -> None:
        """Submits whatever is missing and not in the queue.

        Raises:
            UserError, TrialError: SLURM refuses, or does not answer. What was submitted before that goes on.
        """
        run = self.request.run
        self._check_account()
        with self._submitting():
            self._asked, self._tasks = time.time(), self._settled_queue()
            ledger = self._adopt_orphans(jobs.read(run))
            limits = slurm_queue.limits()
            if limits is None:
                raise TrialError("SLURM does not answer (scontrol show config); give the same command again later")
            if self.request.execution.slurm_exclude_failed_nodes:
                self._note_failed_nodes(ledger)
            in_queue = {task.stage: task.job_id for task in self._tasks}
            room = self.request.execution.slurm_max_submit
            planned = plan_jobs(
                self._states(ledger),
                index=in_queue.get(INDEX) or not self._is_indexed(),
                summary=in_queue.get(SUMMARY),
                max_array_size=limits.max_array_size,
                # A summary job that submits the next wave is in the queue itself.
                room=None if room is None else max(0, room - len(self._tasks) - ("SLURM_JOB_ID" in os.environ)),
            )
            if problem := slurm_queue.cancel(planned.cancel):
                self._say(f"scancel: {problem}")
            # Should SLURM refuse one of the jobs, those after it wait too.
            self.waiting = sorted({*planned.waiting, *(seed for job in planned.jobs for seed in job.seeds)})
            self._tasks = [task for task in self._tasks if task.name not in planned.cancel]
            ids: list[str] = []
            for planned_job in planned.jobs:
                job = self._submit(planned_job, ids)
                ids.append(job.job_id or "")
                self._tasks += _as_queued(job, self.request.run_id)
                tasks = f" ({len(job.seeds)} tasks)" if job.seeds else ""
                self._say(f"submitted {job.stage} {job.job_id}{tasks}")
            self.waiting = planned.waiting

    def run(self) -> dict[int, str]:
        """Watches until nothing of this run is in the queue; returns the cause of failure by seed.

        KeyboardInterrupt passes through: the jobs go on.
        """
        interval, asked, finished_at = FIRST_INTERVAL_SECONDS, -LAST_INTERVAL_SECONDS, None
        states: list[str] = []
        while True:
            if time.monotonic() - asked >= interval:
                asked, at = time.monotonic(), time.time()
                tasks = slurm_queue.queue()
                if tasks is not None:
                    self._tasks, self._asked = self._ours(tasks), at
                    if not self._tasks and not self.waiting and not self._goes_on_elsewhere():
                        break
                    self._top_up()
                elif self._all_complete():
                    break  # without an answer the disk is enough
                interval = min(interval * 1.5, LAST_INTERVAL_SECONDS)
            statuses = self.statuses()
            self.show(statuses)
            if (now := [status.state for status in statuses]) != states:
                states, interval = now, FIRST_INTERVAL_SECONDS
                finished_at = None
            if {task.stage for task in self._tasks} == {SUMMARY} and not self.waiting:
                # The summary is made here too: a job for it that finds no place is not waited for.
                finished_at = finished_at or time.monotonic()
                interval = min(interval, SUMMARY_INTERVAL_SECONDS)
                if time.monotonic() - finished_at > SUMMARY_SECONDS:
                    slurm_queue.cancel([task.name for task in self._tasks if task.state == "PENDING"])
            time.sleep(max(DISK_SECONDS, SECONDS_PER_TRIAL * len(statuses)))
        self.show(self.statuses())
        self._find_causes()
        return self.failures

    def _goes_on_elsewhere(self) -> bool:
        return any(is_worked_on_elsewhere(self.request, seed) for seed in self.request.seeds)

    def statuses(self) -> list[TrialStatus]:
        ledger, queue = jobs.read(self.request.run), Queue.of(self._tasks, self._asked)
        return [trial_status(self.request.run.trial(seed), ledger, queue) for seed in self.request.seeds]

    def farewell(self) -> str:
        """What to say to a person who leaves."""
        run, counts = self.request.run, Counter(task.stage for task in self._tasks)
        names = {INDEX: "index", TRAIN: "training", ASSESS: "assessment", SUMMARY: "summary"}
        what = ", ".join(f"{counts[stage]} {name}" for stage, name in names.items() if counts[stage])
        lines = [f"run {run.run_id} goes on in SLURM: {what}" if what else f"run {run.run_id}: nothing in the queue"]
        if self.waiting:
            lines.append(f"{len(self.waiting)} trial(s) wait for room in the queue and follow by themselves")
        lines.append("the same command comes back, repairs, or adds trials; to look at it:")
        where = "" if run.path.parent == Path("cache").absolute() else f" --cache_dir {run.path.parent}"
        verbs = {"status": "", "logs": " --seed 0", "cancel": ""}
        return "\n".join(lines + [f"  seqtrack {verb} {run.run_id}{more}{where}" for verb, more in verbs.items()])

    def last_log_lines(self, seed: int) -> list[str]:
        """The end of the log of a trial that failed."""
        return list(self._causes[seed].log_lines) if seed in self._causes else []

    # What is there, and what is missing.

    def _ours(self, tasks: Sequence[QueuedTask]) -> list[QueuedTask]:
        """By the ledger, for sites that write comments of their own; by the comment, for jobs that it lacks."""
        me = os.environ.get("SLURM_JOB_ID")  # a summary job that submits what had to wait
        run_id, known = self.request.run_id, {job.job_id: job for job in jobs.read(self.request.run) if job.job_id}
        found = []
        for task in tasks:
            # Ids repeat (another cluster, a controller that lost its state): a comment of another run is believed.
            if task.run in ("", run_id) and (job := known.get(task.job_id)):
                found.append(replace(task, run=run_id, stage=job.stage, tag=job.tag))
            elif task.run == run_id:
                found.append(task)
        return [task for task in found if task.job_id != me]

    def _settled_queue(self) -> list[QueuedTask]:
        """Our tasks in the queue, after those that are just ending have ended: they are in nobody's way then."""
        deadline = time.monotonic() + ENDING_SECONDS
        awaited: list[str] | None = None
        while True:
            tasks = slurm_queue.queue()
            if tasks is None:
                raise TrialError("SLURM does not answer (squeue); give the same command again later")
            tasks = self._ours(tasks)
            ending = [task.name for task in tasks if task.state == "COMPLETING"]
            if awaited is None and ending:
                awaited = ending  # those that begin to end meanwhile are not waited for
                self._say(f"waiting for jobs that are just ending: {', '.join(ending[:5])}")
            if not set(awaited or ()) & set(ending):
                return tasks
            if time.monotonic() > deadline:
                # A node that does not answer can keep a job ending for ever. SLURM has given it up, and should its
                # process still live, the next attempt fences it off.
                return [task for task in tasks if task.name not in (awaited or ())]
            time.sleep(FIRST_INTERVAL_SECONDS)

    def _adopt_orphans(self, ledger: list[Job]) -> list[Job]:
        """Writes down the ids of jobs whose submitter died before it could."""
        ids = {task.tag: task.job_id for task in self._tasks}
        return [
            jobs.record_id(self.request.run, job, ids[job.tag]) if job.job_id is None and job.tag in ids else job
            for job in ledger
        ]

    def _states(self, ledger: Sequence[Job]) -> list[TrialState]:
        request, by_tag = self.request, {job.tag: job for job in ledger}
        training: dict[int, str] = {}
        assessing: dict[int, str] = {}
        others: dict[int, list[str]] = {}
        begun: set[int] = set()
        for task in self._tasks:
            job = by_tag.get(task.tag)
            if job is None or task.index is None or task.index >= len(job.seeds):
                continue
            seed = job.seeds[task.index]
            if job.stage == ASSESS and task.state == "RUNNING":
                begun.add(seed)
            if job.stage == TRAIN:
                training[seed] = task.name
            elif job.question == request.question:
                assessing[seed] = task.name
            else:
                others.setdefault(seed, []).append(task.name)
        # A command tries each trial once; what fails is for the next command.
        tried = {seed for job in ledger if job.submission == self.submission and job.job_id for seed in job.seeds}
        started = {trial.seed for trial in request.run.trials()}
        states = []
        for seed in request.seeds:
            trial = request.run.trial(seed)
            is_new = seed not in started
            if not is_new and (plan.has_nothing_left(request, trial) or is_worked_on_elsewhere(request, seed)):
                continue
            in_queue = seed in training or seed in assessing
            if seed in tried and not in_queue:
                continue
            # SLURM starts an assessment after its training; the last checkpoint may lie on a disk whose listing is
            # a minute old here (NFS).
            is_trained = seed in begun or (not is_new and plan.is_trained(request, trial))
            found = tuple(others.get(seed, ()))
            states.append(TrialState(seed, is_trained, training.get(seed), assessing.get(seed), found))
        return states

    def _is_indexed(self) -> bool:
        return all(datasets.is_indexed(name, places) for name, places, _ in self.request.data_uses)

    def _all_complete(self) -> bool:
        return all(plan.has_nothing_left(self.request, self.request.run.trial(seed)) for seed in self.request.seeds)

    # Submitting.

    def _check_account(self) -> None:
        """SLURM shows one account's jobs to another at some sites only: theirs would be taken for dead."""
        with contextlib.suppress(FileNotFoundError):
            owner = self.request.run.jobs.stat().st_uid
            if owner != os.getuid() and not self._all_complete():
                raise UserError(
                    f"--cache_dir: run {self.request.run_id} was submitted by another account (uid {owner}), whose"
                    " jobs cannot be seen from here; give a --cache_dir of your own, or let them give the command"
                )

    @contextlib.contextmanager
    def _submitting(self) -> Iterator[None]:
        """One submitter at a time. Should the lock not hold on this file system, a trial may get two jobs, of which
        the second finds the first at work and ends."""
        folder = self.request.run.slurm
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / "submit.lock")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except filelock.Timeout:
            raise TrialError(
                f"another command has been submitting this run for {LOCK_SECONDS:.0f} s (lock {lock.lock_file});"
                " wait for it, or stop it"
            ) from None
        except (OSError, NotImplementedError):
            self._say(f"{lock.lock_file}: this file system has no locks; submitting without one")
        try:
            yield
        finally:
            lock.release()

    def _submit(self, planned: PlannedJob, ids: Sequence[str]) -> Job:
        run = self.request.run
        after = dependency_text(planned.after, ids)
        job = jobs.new(planned.stage, planned.seeds, self.submission, self.request.question, after)
        text = self.script(job).text()
        jobs.intend(run, job)
        try:
            job_id = submitter.submit(text, run.slurm, job.tag, f"--{_flag_of(self.request, job.stage)}", self._say)
        except SeqtrackError as error:
            jobs.record_refusal(run, job, str(error))
            if ids:
                raise type(error)(f"{error} (already submitted, and going on: {', '.join(ids)})") from None
            raise
        return jobs.record_id(run, job, job_id)

    def script(self, job: Job) -> BatchScript:
        """What SLURM is given for a job. It runs the frozen code, in whose folder it starts."""
        request, execution = self.request, self.request.execution
        run_id, flags, of_trials = request.run_id, flags_of(request, job.stage), bool(job.seeds)
        folder = str(request.run.slurm).replace("%", "%%")
        seed = (SEED,) if of_trials else ()
        work = ("seqtrack.tools.train_work", str(request.run.path), *seed, f"--stage={job.stage}")
        return BatchScript(
            name=job_name(run_id, job.stage),
            comment=job_comment(run_id, job.stage, job.tag, job.seeds),
            flags=flags,
            command=(sys.executable, "-u", "-m", *work, f"--submission={self.submission}"),
            folder=self._tree,
            output=f"{folder}/%A_%a.out" if of_trials else f"{folder}/%j.out",
            seeds=job.seeds,
            throttle=execution.slurm_throttle if of_trials else None,
            dependency=job.after,
            signal_seconds=slurm_flags.signal_seconds(flags) if of_trials else None,
            setup=execution.slurm_setup,
            environment=self._environment(),
            exclude=tuple(jobs.failed_nodes(request.run)) if execution.slurm_exclude_failed_nodes else (),
        )

    @cached_property
    def _tree(self) -> Path:
        request = self.request
        return snapshot.freeze(request.execution.cache_dir, families.plugin(request.train.model), request.snapshot)

    def _environment(self) -> dict[str, str]:
        # What a person's own model imports from beside it is not frozen, and is found where the command was given.
        paths = [str(self._tree), os.environ.get("PYTHONPATH", ""), str(Path.cwd())]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "SUBMITIT_EXECUTOR": "slurm"}
        if "TMPDIR" in os.environ:
            environment[SUBMIT_TMPDIR] = os.environ["TMPDIR"]
        return environment

    def _top_up(self) -> None:
        """Submits more where the queue has room again."""
        room = self.request.execution.slurm_max_submit
        # A pair and a summary: less is not worth a look at the disk.
        if self.waiting and room is not None and room - len(self._tasks) >= 2:
            try:
                self.begin()
            except SeqtrackError as error:  # no answer now, or another limit of the site's; later then
                if str(error) not in self._said:
                    self._said.add(str(error))
                    self._say(f"{error}; trying again as jobs end")

    # Why it ended.

    def _find_causes(self) -> None:
        self._causes = why_unfinished(self.request, self._tasks)
        for seed, found in self._causes.items():
            self.failures[seed] = found.text
            if found.is_mistake:
                self.mistakes.add(seed)
            if found.node_failed:
                jobs.record_failed_node(self.request.run, found.node_failed)
        for seed in self.request.seeds:  # accounting may lag; what is not complete is never called a success
            trial = self.request.run.trial(seed)
            if seed not in self.failures and not plan.has_nothing_left(self.request, trial):
                self.failures[seed] = "it is not complete, and nobody says why; the same command goes on"

    def _note_failed_nodes(self, ledger: Sequence[Job]) -> None:
        for node in sorted(slurm_queue.failed_nodes([job.job_id for job in ledger if job.job_id])):
            jobs.record_failed_node(self.request.run, node)


def _as_queued(job: Job, run_id: str) -> Iterator[QueuedTask]:
    """The tasks of a job that has just been submitted, as the queue will show them."""
    indexes: Sequence[int | None] = range(len(job.seeds)) if job.seeds else [None]
    for index in indexes:
        yield QueuedTask(job.job_id or "", index, "PENDING", "", "", run_id, job.stage, job.tag)
