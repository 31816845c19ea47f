"""What may be removed because no table needs it: found here, removed only when a person says so.

A checkpoint is needed while it may be assessed, selected, or gone on from: of a trial that is complete these are the
selected one and the last. Code that was checked out for jobs can be checked out again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.storage import staging
from seqtrack.data.storage.node_local import node_local_root, shared_memory_root
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request, read_submission
from seqtrack.runs import atomic, attempts, events, jobs, lookup
from seqtrack.runs.paths import RunFolder, TrialFolder

# From the command until a trial has an owner: indexes of large data sets are made in between.
SECONDS_UNTIL_AT_WORK = 600.0
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

    def remove(self) -> bool:
        """Whether it is gone; False where somebody has begun to use it. It is never seen in halves."""
        if self.kind == STAGED:
            return staging.evict(self.path)
        doomed = atomic.temporary_beside(self.path)
        try:
            os.rename(self.path, doomed)
        except OSError:
            return not self.path.exists()
        if self.kind == CODE:
            self.path.with_name(f"{self.path.name}.json").unlink(missing_ok=True)
        shutil.rmtree(doomed, ignore_errors=True)
        return True


def find(cache_dir: Path, tmp_data_dir: str | None = None) -> tuple[list[Leftover], list[str]]:
    """Everything that may go, and why some that look like it may not, a line each."""
    found: list[Leftover] = []
    kept: list[str] = []
    runs = lookup.all_runs(cache_dir)
    again = [path for path in sorted((cache_dir / "reproduced").glob("*-*")) if not path.is_symlink()]
    wanted = {file for run in runs for file in _starting_points(run)}
    for run in runs:
        try:
            request = read_submission(run)
            reason = _in_use(run, request)
            of_trials = [one for trial in run.trials() for one in _of_trial(request, trial)]
        except (SeqtrackError, OSError, LookupError, TypeError, ValueError) as error:
            kept.append(f"run {run.run_id}: its newest command, or what came of it, cannot be read ({error})")
            continue
        if reason:
            kept.append(f"run {run.run_id}: {reason}")
            continue
        found += [one for one in of_trials if one.path.absolute() not in wanted]
    for path in again:
        if reason := _is_being_made(path):
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


def _in_use(run: RunFolder, request: Request) -> str | None:
    """Why nothing of a run may be touched: something works on it, or SLURM may start something that does."""
    for trial in run.trials():
        newest = attempts.newest(trial)
        if newest is not None and attempts.is_alive(newest):
            return f"seed {trial.seed} is at work"
    ledger = [job for job in jobs.read(run) if job.job_id]
    # An earlier command may have asked for more trials, or other scores, than the newest one.
    asked = [read_submission(run, name) for name in dict.fromkeys(job.submission for job in ledger if job.seeds)]
    for one in [request, *asked] if ledger else []:
        for seed in one.seeds:
            if not plan.is_complete(one, run.trial(seed)):
                return f"seed {seed} is not complete, and SLURM may have a job for it"
    if any(job.stage == jobs.SUMMARY and job.time > _time_of(run.summary_json) for job in ledger):
        return "SLURM may have a job for its summary"
    return None


def _is_being_made(folder: Path) -> str | None:
    """Why what ``seqtrack reproduce`` made, and the code that it runs, may not be touched."""
    if time.time() - _time_of(folder / "config.yaml") < SECONDS_UNTIL_AT_WORK:
        return "it was begun a moment ago"
    for run in lookup.all_runs(folder):
        try:
            if reason := _in_use(run, read_submission(run)):
                return reason
        except (SeqtrackError, OSError, LookupError, TypeError, ValueError):
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
    for record in events.read(run.submissions):
        for file in record.get("files", {}).values():
            yield Path(file["path"]).parent


def _of_trial(request: Request, trial: TrialFolder) -> Iterator[Leftover]:
    if trial.seed not in request.seeds or not plan.is_complete(request, trial):
        return
    needed = {plan.selected_step(request, trial), request.train.num_steps}
    for step, folder in trial.checkpoints().items():
        if step not in needed and not folder.path.is_symlink():
            yield Leftover(CHECKPOINTS, folder.path, f"{trial.path.parent.name} seed {trial.seed}")
    for path in sorted((trial.path / "assess").glob("*/.partial-*")):
        yield Leftover(PARTIAL, path, f"{trial.path.parent.name} seed {trial.seed}")


def _trees(cache_dir: Path) -> list[Path]:
    """Those that git has, which have a record beside them."""
    return sorted(
        tree
        for path in (cache_dir / "code").glob("*.json")
        if (tree := path.with_suffix("")).is_dir() and not tree.is_symlink()
    )
