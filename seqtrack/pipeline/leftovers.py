"""What may be removed because no table needs it: found here, removed only when a person says so.

A checkpoint is needed while it may be assessed, selected, or gone on from: of a trial that is complete these are the
selected one and the last. Code that was checked out for jobs can be checked out again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.storage import staging
from seqtrack.data.storage.node_local import node_local_root, shared_memory_root
from seqtrack.errors import SeqtrackError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request, read_submission
from seqtrack.runs import atomic, attempts, jobs, lookup
from seqtrack.runs.paths import RunFolder, TrialFolder

CHECKPOINTS, CODE, REPRODUCED, STAGED = "checkpoints", "code", "reproduced", "staged"
KINDS: Mapping[str, str] = {
    CHECKPOINTS: "of complete trials, but the selected and the last",
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
    busy = False
    for run in lookup.all_runs(cache_dir):
        try:
            request = read_submission(run)
        except (SeqtrackError, KeyError, TypeError) as error:
            kept.append(f"run {run.run_id}: its newest command cannot be read ({error})")
            busy = True
            continue
        if reason := _in_use(run, request):
            kept.append(f"run {run.run_id}: {reason}")
            busy = True
            continue
        for trial in run.trials():
            found += _checkpoints(request, trial)
    if not busy:
        found += [Leftover(CODE, tree, "") for tree in _trees(cache_dir)]
    found += [Leftover(REPRODUCED, path, path.name) for path in sorted((cache_dir / "reproduced").glob("*-*"))]
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
    incomplete = [seed for seed in request.seeds if not plan.is_complete(request, run.trial(seed))]
    if incomplete and any(job.job_id for job in jobs.read(run)):
        return f"seed {incomplete[0]} is not complete, and SLURM may have a job for it"
    return None


def _checkpoints(request: Request, trial: TrialFolder) -> Iterator[Leftover]:
    if trial.seed not in request.seeds or not plan.is_complete(request, trial):
        return
    needed = {plan.selected_step(request, trial), request.train.num_steps}
    for step, folder in trial.checkpoints().items():
        if step not in needed:
            yield Leftover(CHECKPOINTS, folder.path, f"{trial.path.parent.name} seed {trial.seed}")


def _trees(cache_dir: Path) -> list[Path]:
    """Those that git has, which have a record beside them."""
    return sorted(
        path.with_suffix("") for path in (cache_dir / "code").glob("*.json") if path.with_suffix("").is_dir()
    )
