"""What may be removed because no table needs it: found here, removed only when a person says so.

A checkpoint is needed while it may be assessed, selected, or gone on from: of a trial that is complete these are the
selected one and the last. Code that was checked out for jobs can be checked out again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seqtrack.data.storage import staging
from seqtrack.data.storage.node_local import node_local_root, shared_memory_root
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request, read_submission, read_submissions
from seqtrack.runs import atomic, attempts, jobs, lookup, submissions
from seqtrack.runs.experiments import submitted
from seqtrack.runs.paths import RunFolder, TrialFolder
from seqtrack.runs.status import Queue

# From the command until a trial has an owner: indexes of large data sets are made in between.
SECONDS_UNTIL_AT_WORK = 600.0
# What reading files that hold something else, or a run of another version, gives.
_UNREADABLE = (SeqtrackError, OSError, LookupError, TypeError, ValueError)
CHECKPOINTS, PARTIAL, CODE, REPRODUCED, STAGED = "checkpoints", "partial", "code", "reproduced", "staged"
KINDS: Mapping[str, str] = {
    CHECKPOINTS: "of complete trials, but the selected, the last, and those that another run began from",
    PARTIAL: "assessments that were begun with other code, data or flags, of complete trials",
    CODE: "checked out for jobs; git has it",
    REPRODUCED: "what seqtrack reproduce made",
    STAGED: "copies of tars on this machine that nobody uses",
}


@dataclass(frozen=True)
class Leftover:
    """One folder or file that may go. ``of``: the run, trial or data set that it belongs to."""

    kind: str
    path: Path
    of: str
    trial: TrialFolder | None = None

    def size(self) -> int:
        """Bytes on disk."""
        if self.path.is_file():
            return self.path.stat().st_size
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).lstat().st_size
        return total

    def take_away(self) -> Path | None:
        """Under which name it is to be deleted: it is never seen in halves. None where it cannot be."""
        try:
            doomed = atomic.take_away(self.path)
        except OSError:
            return None
        if self.kind == CODE:
            self.path.with_name(f"{self.path.name}.json").unlink(missing_ok=True)
        return doomed


class Scheduler(Protocol):
    """Who has a queue."""

    def queue(self) -> Queue | None:
        """What is in it, asked once; None where nobody answers."""


def remove(
    found: Iterable[Leftover], cache_dir: Path, tmp_data_dir: str | None = None, slurm: Scheduler | None = None
) -> Iterator[tuple[Leftover, bool]]:
    """Removes what may still go, and says of each whether it is gone.

    Between finding and removing a job may have started. So each is looked at again: of a trial while nobody else can
    start it.
    """
    for trial, group in itertools.groupby(found, lambda one: one.trial):
        if trial is None:
            yield from _remove_of_nobody(list(group), cache_dir, tmp_data_dir, slurm)
            continue
        theirs = list(group)
        with attempts.held(trial) as is_held:
            still = _may_still_go(trial, cache_dir, slurm) if is_held else set()
            gone = [one.take_away() if one.path in still else None for one in theirs]
        for one, doomed in zip(theirs, gone, strict=True):
            if doomed:
                shutil.rmtree(doomed, ignore_errors=True)
            yield one, doomed is not None or not one.path.exists()


def _remove_of_nobody(
    found: list[Leftover], cache_dir: Path, tmp_data_dir: str | None, slurm: Scheduler | None
) -> Iterator[tuple[Leftover, bool]]:
    code: set[Path] | None = None
    for one in found:
        if one.kind == STAGED:
            yield one, staging.evict(one.path)
            continue
        if one.kind == CODE:
            if code is None:
                code = {other.path for other in find(cache_dir, tmp_data_dir, slurm)[0] if other.kind == CODE}
            may_go = one.path in code
        else:
            may_go = _is_being_made(one.path, slurm) is None
        doomed = one.take_away() if may_go else None
        if doomed:
            shutil.rmtree(doomed, ignore_errors=True)
        yield one, doomed is not None or not one.path.exists()


def _may_still_go(trial: TrialFolder, cache_dir: Path, slurm: Scheduler | None) -> set[Path]:
    """Of a trial that this process holds."""
    run = RunFolder(trial.path.parent)
    try:
        requests = read_submissions(run)
        if _in_use(run, requests[-1], slurm, held=trial):
            return set()
        wanted = {file for other in lookup.all_runs(cache_dir) for file in _starting_points(other)}
        return {one.path for one in _of_trial(requests, trial) if one.path.absolute() not in wanted}
    except _UNREADABLE:
        return set()


def find(
    cache_dir: Path, tmp_data_dir: str | None = None, slurm: Scheduler | None = None
) -> tuple[list[Leftover], list[str]]:
    """Everything that may go, and why some that look like it may not, a line each.

    slurm: asked only if something was handed over to it.
    """
    found: list[Leftover] = []
    kept: list[str] = []
    runs = lookup.all_runs(cache_dir)
    again = [path for path in sorted((cache_dir / "reproduced").glob("*-*")) if not path.is_symlink()]
    wanted = {file for run in runs for file in _starting_points(run)}
    for run in runs:
        try:
            requests = read_submissions(run)
            reason = _in_use(run, requests[-1], slurm)
            of_trials = [one for trial in run.trials() for one in _of_trial(requests, trial)]
        except _UNREADABLE as error:
            kept.append(f"run {run.run_id}: its newest command, or what came of it, cannot be read ({error})")
            continue
        if reason:
            kept.append(f"run {run.run_id}: {reason}")
            continue
        found += [one for one in of_trials if one.path.absolute() not in wanted]
    for path in again:
        if reason := _is_being_made(path, slurm):
            kept.append(f"reproduced {path.name}: {reason}")
        else:
            found.append(Leftover(REPRODUCED, path, path.name))
    if not kept:
        found += [Leftover(CODE, tree, "") for tree in _trees(cache_dir)]
    roots = [node_local_root(tmp_data_dir, os.environ), shared_memory_root()]
    found += [
        Leftover(STAGED, copy, f"{copy.parent.name}/{copy.name}")
        for root in roots
        if root is not None
        for copy in staging.copies(root)
    ]
    return found, kept


def _in_use(run: RunFolder, request: Request, slurm: Scheduler | None, held: TrialFolder | None = None) -> str | None:
    """Why nothing of a run may be touched: something works on it, or may be about to.

    held: a trial that is at work only because this process holds it.
    """
    for trial in run.trials():
        if trial != held and attempts.live(trial) is not None:
            return f"seed {trial.seed} is at work"
    asked_at = submitted(run)
    if time.time() - asked_at < SECONDS_UNTIL_AT_WORK:
        for seed in request.seeds:
            if not plan.is_complete(request, run.trial(seed)) and _began(run.trial(seed)) < asked_at:
                return f"seed {seed} was asked for a moment ago"
    ledger = [job for job in jobs.read(run) if job.job_id]
    if not ledger:
        return None
    queue = slurm.queue() if slurm else None
    if queue is not None:
        tasks = [task for job in ledger for task in [job.task(seed) for seed in job.seeds] or [str(job.job_id)]]
        if waiting := [task for task in tasks if task in queue.tasks]:
            return f"SLURM has job {waiting[0]} for it in its queue"
    # An earlier command may have asked for more trials, or other scores, than the newest one.
    asked = [read_submission(run, name) for name in dict.fromkeys(job.submission for job in ledger if job.seeds)]
    for one in [request, *asked]:
        for seed in one.seeds:
            if not plan.is_complete(one, run.trial(seed)):
                return f"seed {seed} is not complete, and SLURM may have a job for it"
    if any(job.stage == jobs.SUMMARY and job.time > _time_of(run.summary_json) for job in ledger):
        return "SLURM may have a job for its summary"
    return None


def _began(trial: TrialFolder) -> float:
    """When its newest attempt did; 0 if there is none."""
    newest = attempts.newest(trial)
    return 0.0 if newest is None else _time_of(newest.owner)


def _is_being_made(folder: Path, slurm: Scheduler | None) -> str | None:
    """Why what ``seqtrack reproduce`` made, and the code that it runs, may not be touched."""
    if time.time() - _time_of(folder / "config.yaml") < SECONDS_UNTIL_AT_WORK:
        return "it was begun a moment ago"
    for run in lookup.all_runs(folder):
        try:
            if reason := _in_use(run, read_submission(run), slurm):
                return reason
        except _UNREADABLE:
            continue  # of a run that is broken nothing can be gone on with
    return None


def _time_of(path: Path) -> float:
    """When it was written, seconds since the epoch; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _starting_points(run: RunFolder) -> Iterator[Path]:
    """Folders of the files that its commands named: of checkpoints that it began from (``--init_from``)."""
    for record in submissions.read(run):
        for file in record.get("files", {}).values():
            yield Path(file["path"]).parent


def _of_trial(requests: Sequence[Request], trial: TrialFolder) -> Iterator[Leftover]:
    if any(trial.seed not in each.seeds or not plan.is_complete(each, trial) for each in requests):
        return
    of = f"{trial.path.parent.name} seed {trial.seed}"
    needed = {step for each in requests for step in (plan.selected_step(each, trial), each.train.num_steps)}
    for step, folder in trial.checkpoints().items():
        if step not in needed and not folder.path.is_symlink():
            yield Leftover(CHECKPOINTS, folder.path, of, trial)
    for path in sorted((trial.path / "assess").glob("*/.partial-*")):
        yield Leftover(PARTIAL, path, of, trial)


def _trees(cache_dir: Path) -> list[Path]:
    """Those that git has, which have a record beside them."""
    return sorted(
        tree
        for path in (cache_dir / "code").glob("*.json")
        if (tree := path.with_suffix("")).is_dir() and not tree.is_symlink()
    )
