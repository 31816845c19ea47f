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
from seqtrack.cluster.sbatch import RUN, SEED, BatchScript, job_comment, job_name
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.cluster.unfinished import is_worked_on_elsewhere, why_unfinished
from seqtrack.cluster.work import Work
from seqtrack.config import ExecutionConfig
from seqtrack.data import datasets
from seqtrack.data.storage.node_local import SUBMIT_TMPDIR
from seqtrack.errors import SeqtrackError, TrialError, UserError
from seqtrack.pipeline import plan
from seqtrack.runs import jobs, snapshot
from seqtrack.runs.jobs import ASSESS, INDEX, SUMMARY, TRAIN, Array
from seqtrack.runs.paths import SweepFolder, TrialKey
from seqtrack.runs.status import STOPPED, Queue, TrialStatus, trial_status

Say = Callable[[str], None]
Show = Callable[[list[TrialStatus]], None]

FIRST_INTERVAL_SECONDS, LAST_INTERVAL_SECONDS = 1.0, 30.0
DISK_SECONDS = 1.0
SECONDS_PER_TRIAL = 0.01  # reading the state of a thousand trials takes a while: look less often then
LOCK_SECONDS = 300.0
ENDING_SECONDS = 60.0
SUMMARY_SECONDS, SUMMARY_INTERVAL_SECONDS = 60.0, 5.0


def check(execution: ExecutionConfig) -> None:
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
        flags_of(execution, stage)


def flags_of(execution: ExecutionConfig, stage: str) -> dict[str, str | None]:
    """What a person tells sbatch for jobs of this stage."""
    name = _flag_of(execution, stage)
    return slurm_flags.parse(f"--{name}", getattr(execution, name), _site_options)


def _flag_of(execution: ExecutionConfig, stage: str) -> str:
    name = {TRAIN: "slurm_flags", ASSESS: "slurm_assess_flags"}.get(stage, "slurm_summary_flags")
    return "slurm_flags" if name == "slurm_assess_flags" and not execution.slurm_assess_flags else name


def _site_options() -> set[str]:
    """Options that plugins of this site add to sbatch."""
    return slurm_flags.options_in_help(slurm_queue.ask(["sbatch", "--help"], slurm_queue.ANSWER_SECONDS) or "")


class SlurmScheduler:
    """Runs trials as SLURM jobs, one array for each stage.

    Attributes:
        submission: id under which jobs find the requests.
        show: called with the status of all trials, in their order, whenever there may be something new.
        failures: cause by trial.
        mistakes: those of them that a person can mend.
    """

    def __init__(self, work: Work, submission: str, show: Show, say: Say) -> None:
        self.work = work
        self.submission = submission
        self.show = show
        self.failures: dict[TrialKey, str] = {}
        self.mistakes: set[TrialKey] = set()
        self.waiting: list[TrialKey] = []
        """Trials for which the queue has no room yet (``--slurm_max_submit``)."""
        self._say = say
        self._causes: dict[TrialKey, Cause] = {}
        self._tasks: list[QueuedTask] = []
        self._asked = 0.0  # when, since the epoch
        self._limits: slurm_queue.Limits | None = None
        self._said: set[str] = set()

    def begin(self) -> None:
        """Submits whatever is missing and not in the queue.

        Raises:
            UserError, TrialError: SLURM refuses, or does not answer. What was submitted before that goes on.
        """
        self._check_account()
        with self._submitting():
            self._asked, self._tasks = time.time(), self._settled_queue()
            self._submit_missing()

    def run(self) -> dict[TrialKey, str]:
        """Watches until nothing of this work is in the queue; returns the cause of failure by trial.

        KeyboardInterrupt passes through: the jobs go on.
        """
        interval, asked, finished_at = FIRST_INTERVAL_SECONDS, -LAST_INTERVAL_SECONDS, None
        states: list[str] = []
        while True:
            if time.monotonic() - asked >= interval:
                asked = time.monotonic()
                if self._look():
                    if not self._tasks and not self.waiting and not self._goes_on_elsewhere():
                        break
                elif self._all_complete():
                    break  # without an answer the disk is enough
                interval = min(interval * 1.5, LAST_INTERVAL_SECONDS)
            statuses = self.statuses()
            self.show(statuses)
            if (now := [status.state for status in statuses]) != states:
                # A second for each trial that is not at rest: the more there are, the more often one of them changes.
                left = sum(state not in ("done", *STOPPED) for state in now)
                states, interval = now, min(interval, FIRST_INTERVAL_SECONDS * max(1, left))
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

    def _look(self) -> bool:
        """Asks for the queue, once, and submits more where it has room again; False without an answer."""
        room, answered = self.work.execution.slurm_max_submit, False
        try:
            # Before the question: what another command hands over after the answer would be handed over again.
            with self._submitting() if self.waiting else contextlib.nullcontext():
                at, tasks = time.time(), slurm_queue.queue()
                if tasks is not None:
                    self._asked, self._tasks, answered = at, self._ours(tasks), True
                    # A pair and a summary: less is not worth a look at the disk.
                    if self.waiting and room is not None and room - len(self._tasks) >= 2:
                        self._submit_missing()
        except SeqtrackError as error:  # no answer now, or another limit of the site's; later then
            if str(error) not in self._said:
                self._said.add(str(error))
                self._say(f"{error}; trying again as jobs end")
        return answered

    def _goes_on_elsewhere(self) -> bool:
        return any(is_worked_on_elsewhere(self.work.trial(trial)) for trial in self.work.trials)

    def statuses(self) -> list[TrialStatus]:
        ledger, queue = self._read_ledger(), Queue.of(self._tasks, self._asked)
        return [
            trial_status(request.run.trial(seed), handed, queue)
            for request in self.work.summarised
            for handed in [jobs.seen_by(request.run, ledger)]
            for seed in request.seeds
        ]

    def farewell(self) -> str:
        """What to say to a person who leaves."""
        counts = Counter(task.stage for task in self._tasks)
        names = {INDEX: "index", TRAIN: "training", ASSESS: "assessment", SUMMARY: "summary"}
        what = ", ".join(f"{counts[stage]} {name}" for stage, name in names.items() if counts[stage])
        title = self.work.title
        lines = [f"{title} goes on in SLURM: {what}" if what else f"{title}: nothing in the queue"]
        if self.waiting:
            lines.append(f"{len(self.waiting)} trial(s) wait for room in the queue and follow by themselves")
        return "\n".join(lines + self.work.how_to_look())

    def last_log_lines(self, trial: TrialKey) -> list[str]:
        """The end of the log of a trial that failed."""
        return list(self._causes[trial].log_lines) if trial in self._causes else []

    # What is there, and what is missing.

    def _read_ledger(self) -> list[Array]:
        """What was handed over for this work, and for any of its runs."""
        return jobs.read_arrays([*jobs.folders(self.work.runs), self.work.folder.slurm])

    def _ours(self, tasks: Sequence[QueuedTask]) -> list[QueuedTask]:
        """By the ledger, for sites that write comments of their own; by the comment, for jobs that it lacks."""
        me = os.environ.get("SLURM_JOB_ID")  # a summary job that submits what had to wait
        ledger = self._read_ledger()
        by_id, by_tag = {array.job_id: array for array in ledger}, {array.tag: array for array in ledger}
        found = []
        for task in tasks:
            # Ids repeat (another cluster, a controller that lost its state): what a comment says is believed.
            array = by_tag.get(task.tag) if task.tag else by_id.get(task.job_id)
            if array is None:
                is_ours = task.run == self.work.mark
            else:
                task = replace(task, stage=array.stage, tag=array.tag)
                trial = array.trial(task.index)
                # A sweep is not summarised with one of its runs, nor a run with it.
                is_ours = array.folder == self.work.folder.slurm or array.stage == INDEX
                is_ours = is_ours if trial is None else trial.run in self.work.by_run
            if is_ours and task.job_id != me:
                found.append(task)
        return found

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

    def _adopt_orphans(self, ledger: list[Array]) -> list[Array]:
        """Writes down the ids of jobs whose submitter died before it could."""
        ids = {task.tag: task.job_id for task in self._tasks}
        return [
            jobs.record_id(array, ids[array.tag]) if array.job_id is None and array.tag in ids else array
            for array in ledger
        ]

    def _states(self, ledger: Sequence[Array]) -> list[TrialState]:
        by_tag = {array.tag: array for array in ledger}
        training: dict[TrialKey, str] = {}
        assessing: dict[TrialKey, str] = {}
        others: dict[TrialKey, list[str]] = {}
        begun: set[TrialKey] = set()
        for task in self._tasks:
            array = by_tag.get(task.tag)
            key = array.trial(task.index) if array else None
            if array is None or key is None:
                continue
            if array.stage == ASSESS and task.state == "RUNNING":
                begun.add(key)
            if array.stage == TRAIN:
                training[key] = task.name
            elif array.questions[key.run] == self.work.questions[key.run]:
                assessing[key] = task.name
            else:
                others.setdefault(key, []).append(task.name)
        # A command tries each trial once; what fails is for the next command.
        tried = {trial for a in ledger if a.submission == self.submission and a.job_id for trial in a.trials}
        started = {trial.key for run in self.work.runs for trial in run.trials()}
        states = []
        for key in self.work.trials:
            request, trial = self.work.request(key), self.work.trial(key)
            is_new = key not in started
            if not is_new and (self.work.has_nothing_left(key) or is_worked_on_elsewhere(trial)):
                continue
            in_queue = key in training or key in assessing
            if key in tried and not in_queue:
                continue
            # SLURM starts an assessment after its training; the last checkpoint may lie on a disk whose listing is
            # a minute old here (NFS). And should a training of this command have failed, SLURM will soon drop what
            # waits for it.
            is_trained = key in begun or key in tried or (not is_new and plan.is_trained(request, trial))
            found = tuple(others.get(key, ()))
            states.append(TrialState(key, is_trained, training.get(key), assessing.get(key), found))
        return states

    def _is_indexed(self) -> bool:
        return all(datasets.is_indexed(name, places) for name, places, _ in self.work.data_uses)

    def _all_complete(self) -> bool:
        return all(map(self.work.has_nothing_left, self.work.trials))

    # Submitting.

    def _check_account(self) -> None:
        """SLURM shows one account's jobs to another at some sites only: theirs would be taken for dead."""
        for folder in jobs.folders(self.work.runs):
            with contextlib.suppress(FileNotFoundError):
                owner = (folder / jobs.LEDGER).stat().st_uid
                if owner != os.getuid() and not self._all_complete():
                    raise UserError(
                        f"--cache_dir: {self.work.title} was submitted by another account (uid {owner}), whose"
                        " jobs cannot be seen from here; give a --cache_dir of your own, or let them give the command"
                    )

    @contextlib.contextmanager
    def _submitting(self) -> Iterator[None]:
        """One submitter at a time, of each run. Should the lock not hold on this file system, a trial may get two
        jobs, of which the second finds the first at work and ends."""
        with contextlib.ExitStack() as held:
            # In one order everywhere, so that two that share some runs never wait for each other.
            for folder in sorted({self.work.folder.slurm, *(run.slurm for run in self.work.runs)}):
                folder.mkdir(parents=True, exist_ok=True)
                lock = filelock.FileLock(folder / "submit.lock")
                try:
                    held.enter_context(lock.acquire(timeout=LOCK_SECONDS))
                except filelock.Timeout:
                    raise TrialError(
                        f"another command has been submitting {self.work.title} for {LOCK_SECONDS:.0f} s"
                        f" (lock {lock.lock_file}); wait for it, or stop it"
                    ) from None
                except (OSError, NotImplementedError):
                    self._say(f"{lock.lock_file}: this file system has no locks; submitting without one")
                    break
            yield

    def _submit_missing(self) -> None:
        """Hands over what neither the disk nor the queue has, as far as there is room. Under the lock."""
        ledger = self._adopt_orphans(self._read_ledger())
        self._limits = self._limits or slurm_queue.limits()
        if self._limits is None:
            raise TrialError("SLURM does not answer (scontrol show config); give the same command again later")
        if self.work.execution.slurm_exclude_failed_nodes:
            self._note_failed_nodes(ledger)
        in_queue = {task.stage: task.job_id for task in self._tasks}
        room = self.work.execution.slurm_max_submit
        planned = plan_jobs(
            self._states(ledger),
            index=in_queue.get(INDEX) or not self._is_indexed(),
            summary=in_queue.get(SUMMARY),
            max_array_size=self._limits.max_array_size,
            # A summary job that submits the next wave is in the queue itself.
            room=None if room is None else max(0, room - len(self._tasks) - ("SLURM_JOB_ID" in os.environ)),
        )
        if problem := slurm_queue.cancel(planned.cancel):
            self._say(f"scancel: {problem}")
        # Should SLURM refuse one of the jobs, those after it wait too.
        self.waiting = sorted({*planned.waiting, *(trial for job in planned.jobs for trial in job.trials)})
        self._tasks = [task for task in self._tasks if task.name not in planned.cancel]
        ids: list[str] = []
        for planned_job in planned.jobs:
            job = self._submit(planned_job, ids)
            ids.append(job.job_id or "")
            self._tasks += _as_queued(job, self.work.mark)
            tasks = f" ({len(job.trials)} tasks)" if job.trials else ""
            self._say(f"submitted {job.stage} {job.job_id}{tasks}")
        self.waiting = planned.waiting

    def _submit(self, planned: PlannedJob, ids: Sequence[str]) -> Array:
        folder, after = self.work.folder.slurm, dependency_text(planned.after, ids)
        job = jobs.new(folder, planned.stage, planned.trials, self.submission, self.work.questions, after)
        text = self.script(job).text()
        jobs.intend(job)
        flag = f"--{_flag_of(self.work.execution, job.stage)}"
        try:
            job_id = submitter.submit(text, folder, job.tag, flag, self._say)
        except SeqtrackError as error:
            jobs.record_refusal(job, str(error))
            if ids:
                raise type(error)(f"{error} (already submitted, and going on: {', '.join(ids)})") from None
            raise
        return jobs.record_id(job, job_id)

    def script(self, job: Array) -> BatchScript:
        """What SLURM is given for a job. It runs the frozen code, in whose folder it starts."""
        execution, mark = self.work.execution, self.work.mark
        flags, of_trials = flags_of(execution, job.stage), bool(job.trials)
        folder = str(self.work.folder.slurm).replace("%", "%%")
        seeds, runs = tuple(trial.seed for trial in job.trials), tuple(trial.run for trial in job.trials)
        of_several = isinstance(self.work.folder, SweepFolder)
        if not of_trials:
            place = str(self.work.folder.path)
        else:
            place = f"{execution.cache_dir}/{RUN if of_several else runs[0]}"
        work = ("seqtrack.tools.train_work", place, *((SEED,) if of_trials else ()), f"--stage={job.stage}")
        return BatchScript(
            name=job_name(mark, job.stage),
            comment=job_comment(mark, job.stage, job.tag, () if of_several else seeds),
            flags=flags,
            command=(sys.executable, "-u", "-m", *work, f"--submission={self.submission}"),
            folder=self._tree,
            output=f"{folder}/%A_%a.out" if of_trials else f"{folder}/%j.out",
            seeds=seeds,
            runs=runs if of_several else (),
            throttle=execution.slurm_throttle if of_trials else None,
            dependency=job.after,
            signal_seconds=slurm_flags.signal_seconds(flags) if of_trials else None,
            setup=execution.slurm_setup,
            environment=self._environment(),
            exclude=tuple(self._failed_nodes()) if execution.slurm_exclude_failed_nodes else (),
        )

    def _failed_nodes(self) -> list[str]:
        return jobs.failed_nodes([*jobs.folders(self.work.runs), self.work.folder.slurm])

    @cached_property
    def _tree(self) -> Path:
        return snapshot.freeze(self.work.execution.cache_dir, self.work.plugins, self.work.snapshot)

    def _environment(self) -> dict[str, str]:
        # What a person's own model imports from beside it is not frozen, and is found where the command was given.
        paths = [str(self._tree), os.environ.get("PYTHONPATH", ""), str(Path.cwd())]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "SUBMITIT_EXECUTOR": "slurm"}
        if "TMPDIR" in os.environ:
            environment[SUBMIT_TMPDIR] = os.environ["TMPDIR"]
        return environment

    # Why it ended.

    def _find_causes(self) -> None:
        self._causes = why_unfinished(self.work, self._tasks)
        for trial, found in self._causes.items():
            self.failures[trial] = found.text
            if found.is_mistake:
                self.mistakes.add(trial)
            if found.node_failed:
                jobs.record_failed_node(self.work.folder.slurm, found.node_failed)
        for trial in self.work.trials:  # accounting may lag; what is not complete is never called a success
            if trial not in self.failures and not self.work.has_nothing_left(trial):
                self.failures[trial] = "it is not complete, and nobody says why; the same command goes on"

    def _note_failed_nodes(self, ledger: Sequence[Array]) -> None:
        for node in sorted(slurm_queue.failed_nodes([array.job_id for array in ledger if array.job_id])):
            jobs.record_failed_node(self.work.folder.slurm, node)


def _as_queued(job: Array, mark: str) -> Iterator[QueuedTask]:
    """The tasks of a job that has just been submitted, as the queue will show them."""
    indexes: Sequence[int | None] = range(len(job.trials)) if job.trials else [None]
    for index in indexes:
        yield QueuedTask(job.job_id or "", index, "PENDING", "", "", mark, job.stage, job.tag)
