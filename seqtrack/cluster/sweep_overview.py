"""A sweep as a person asks for it: of each point how far its trials are, and what has come out so far.

What is done, and its scores, are those of ``sweep.json``, which each trial refreshes before it ends. So of what is
done nothing else is read, and a sweep of hundreds of runs is looked at in about the time of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from seqtrack.cluster import causes, slurm_queue
from seqtrack.cluster.overview import PATIENCE_SECONDS, Slurm
from seqtrack.errors import UserError
from seqtrack.pipeline.request import read_submission
from seqtrack.pipeline.sweep import sweep as sweeps
from seqtrack.pipeline.sweep import table
from seqtrack.runs import experiments, jobs, submissions
from seqtrack.runs.jobs import Job
from seqtrack.runs.paths import RunFolder, SweepFolder, TrialKey
from seqtrack.runs.status import AT_WORK, Queue, TrialStatus, trial_status

FAILED = ("failed", "died")
GROUPS = ("done", "at_work", "failed", "waiting")
CAUSES_SHOWN = 5


def group(state: str) -> str:
    """``waiting`` is whatever the command, or SLURM, has yet to begin or to go on with."""
    if state in FAILED:
        return "failed"
    return "at_work" if state in AT_WORK else "done" if state == "done" else "waiting"


@dataclass(frozen=True)
class Point:
    """``row``: of the table. ``trials``: of its run, in order of seed, as far as they concern this point: of several
    that track in other ways with one run, one may be done before the others."""

    row: Mapping[str, Any]
    trials: tuple[TrialStatus, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        return _counts(self.trials)


def _counts(trials: Iterable[TrialStatus]) -> dict[str, int]:
    groups = [group(status.state) for status in trials]
    return {name: groups.count(name) for name in GROUPS}


@dataclass(frozen=True)
class SweepOverview:
    """What there is to say of a sweep.

    Attributes:
        submitted: when the newest command was given, seconds since the epoch; command: that command.
        found: the table.
        points: in the order of the table.
        causes: why trials failed, a line each, of the first of them.
        notes: what a reader should know about all this.
    """

    folder: SweepFolder
    submitted: float | None
    command: str
    found: Mapping[str, Any]
    points: tuple[Point, ...]
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def by_key(self) -> dict[TrialKey, TrialStatus]:
        """Each trial once: done when it is for every point that shares it."""
        found: dict[TrialKey, TrialStatus] = {}
        for point in self.points:
            for status in point.trials:
                key = TrialKey(point.row["run_id"], status.seed)
                if key not in found or found[key].state == "done":
                    found[key] = status
        return found

    @property
    def trials(self) -> list[TrialStatus]:
        return list(self.by_key.values())

    @cached_property
    def counts(self) -> dict[str, int]:
        return _counts(self.trials)

    @cached_property
    def failed(self) -> dict[TrialKey, TrialStatus]:
        return {key: status for key, status in self.by_key.items() if status.state in FAILED}

    @property
    def is_done(self) -> bool:
        return self.counts["done"] == len(self.trials)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing works on it, and nothing will by itself."""
        return not any(status.state in (*AT_WORK, "queued") for status in self.trials)


def look(folder: SweepFolder, slurm: Slurm) -> SweepOverview:
    """Raises UserError if its record cannot be read."""
    found = newest_table(folder)
    last = submissions.of_sweep(folder)[-1]
    unfinished = [folder.run(row["run_id"]) for row in found["rows"] if row["n"] < row["asked"]]
    arrays = jobs.read_arrays([folder.slurm, *jobs.folders(unfinished)]) if unfinished else []
    queue = slurm.queue() if any(array.job_id for array in arrays) else None
    ledgers = {run.run_id: jobs.seen_by(run, arrays) for run in unfinished} if arrays else {}
    points = [_point(folder, row, found["seeds"], ledgers.get(row["run_id"], []), queue) for row in found["rows"]]
    command = experiments.command({**last, "sweep": folder.name})
    one = SweepOverview(folder, last.get("time"), command, found, tuple(points))
    notes = (slurm.note,) if slurm.note and arrays else ()
    return replace(one, causes=tuple(_causes(one, ledgers, queue)), notes=notes)


def newest_table(folder: SweepFolder) -> dict[str, Any]:
    """As it was written last, or if that was not for the newest command, made again of all that lies on disk.

    Raises UserError if the sweep's record cannot be read.
    """
    try:
        last = submissions.of_sweep(folder)[-1]
        sweeps.check_runs(folder, [run["run_id"] for run in last["runs"]])
        asked = read_submission(folder.run(last["runs"][0]["run_id"]), last["id"])
        measured = asked.selection.eval_id, asked.selection.convention, asked.selection_metric.name
        wanted = _points(last["runs"]), list(asked.seeds), *measured
        return _written(folder, wanted) or table.tabulate(sweeps.read(folder))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{folder.submissions}: is damaged; give the sweep's command again") from error


def _written(folder: SweepFolder, wanted: tuple[object, ...]) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(folder.json.read_text())
        measured = found["eval_id"], found["convention"], found["metric"]
        told = _points(found["rows"]), found["seeds"], *measured
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if told == wanted else None


def _points(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps([row["run_id"], row["values"]], sort_keys=True) for row in rows)


def _point(
    folder: SweepFolder, row: Mapping[str, Any], seeds: Sequence[int], ledger: Sequence[Job], queue: Queue | None
) -> Point:
    run = folder.run(row["run_id"])
    return Point(
        row,
        tuple(
            TrialStatus(seed, "done") if str(seed) in row["per_seed"] else _not_done(run, seed, ledger, queue)
            for seed in seeds
        ),
    )


def _not_done(run: RunFolder, seed: int, ledger: Sequence[Job], queue: Queue | None) -> TrialStatus:
    status = trial_status(run.trial(seed), ledger, queue)
    if status.state == "done":
        return replace(status, state="waiting", detail="more is asked of it than it has")
    return status


def _causes(overview: SweepOverview, ledgers: Mapping[str, Sequence[Job]], queue: Queue | None) -> list[str]:
    shown = list(overview.failed.items())[:CAUSES_SHOWN]
    handed = [job for key, _ in shown for job in ledgers.get(key.run, []) if key.seed in job.seeds]
    ids = list(dict.fromkeys(job.job_id for job in handed if job.job_id))
    endings = slurm_queue.endings(ids, PATIENCE_SECONDS) if queue and ids else {}
    lines = []
    for key, status in shown:
        cause = causes.cause(overview.folder.run(key.run), key.seed, ledgers.get(key.run, []), endings)
        lines.append(f"run {key.run} seed {key.seed} {status.state}: {cause.text if cause else status.detail}")
    more = len(overview.failed) - len(shown)
    return lines + ([f"and {more} more failed"] if more else [])


def to_json(overview: SweepOverview) -> dict[str, Any]:
    """For scripts: every key is always there, with null where nothing is known."""
    found = overview.found
    return {
        "sweep": overview.folder.name,
        "path": str(overview.folder.path.absolute()),
        "submitted": overview.submitted,
        "command": overview.command,
        **{name: found[name] for name in ("eval_id", "convention", "metric", "higher_is_better")},
        "num_points": len(overview.points),
        "num_trials": len(overview.trials),
        **overview.counts,
        "is_done": overview.is_done,
        "is_at_rest": overview.is_at_rest,
        "results": str(overview.folder.csv.absolute()) if overview.folder.csv.exists() else None,
        "causes": list(overview.causes),
        "notes": list(overview.notes),
        "points": [
            {
                **{name: point.row[name] for name in ("run_id", "points", "values", "rank", "mean", "std", "n")},
                "num_trials": len(point.trials),
                **point.counts,
                "trials": [_trial_to_json(point.row, status) for status in point.trials],
            }
            for point in overview.points
        ],
    }


def _trial_to_json(row: Mapping[str, Any], status: TrialStatus) -> dict[str, Any]:
    score = row["per_seed"].get(str(status.seed))
    return {"seed": status.seed, "state": status.state, "score": score, "job": status.job, "detail": status.detail}


def to_text(overview: SweepOverview, width: int | None = None) -> list[str]:
    """A line for each point. width: of the screen, if it is one."""
    cells = [
        [f"{point.counts['done']}/{len(point.trials)}", *(str(point.counts[name] or "") for name in GROUPS[1:])]
        for point in overview.points
    ]
    return table.laid_out(overview.found, [name.replace("_", " ") for name in GROUPS], cells, width)
