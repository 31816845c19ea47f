"""A sweep: its points as requests, and its record on disk.

Every point is an ordinary run, or one way to track with what a run has learned. The sweep has a folder with a line
for each command (``submissions.jsonl``), and each of its runs a mark that leads back to it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from seqtrack import config as configuration
from seqtrack.config import FIELDS
from seqtrack.errors import UserError
from seqtrack.pipeline.request import Request, new_submission, read_submissions, resolve, submit
from seqtrack.pipeline.sources import Sources
from seqtrack.pipeline.sweep.definition import Definition, put
from seqtrack.pipeline.sweep.space import Axis, Point
from seqtrack.runs import attempts, events, submissions
from seqtrack.runs.paths import SWEEPS, RunFolder, SweepFolder
from seqtrack.schema import nearest

SHOWN = 8  # points in one line of text
WRITERS = 8


@dataclass(frozen=True)
class SweptRun:
    """``numbers``: of the points that are this run, tracking in this way; ``values``: of the first of them."""

    run_id: str
    numbers: tuple[int, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """``requests``: of the ``runs``, in the same order. Those of one run are trained once."""

    folder: SweepFolder
    axes: tuple[Axis, ...]
    runs: tuple[SweptRun, ...]
    requests: tuple[Request, ...]

    @property
    def same(self) -> list[str]:
        """What to say of points that are one and the same run."""
        return [
            f"points {_some(list(map(str, run.numbers)))} are the same run {run.run_id}, which runs once"
            for run in self.runs
            if len(run.numbers) > 1
        ]


def _some(words: list[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f", … ({len(words)})" if len(words) > SHOWN else "")


def from_definition(definition: Definition, flags: Mapping[str, Any]) -> Sweep:
    """Every point completed and checked. ``flags``: from the command line.

    Raises:
        UserError: names the file, the key and the value that does not go.
    """
    for name in flags:
        if name not in FIELDS:
            raise UserError(f"--{name}: no such flag; {nearest(name, FIELDS)}")
        if name in definition.names:
            raise UserError(f"--{name}: {definition.file} sweeps it; leave the flag out")
    if "name" in flags:
        raise UserError(f"--name: it would name every run alike; the sweep's name is in {definition.file}")
    values: dict[str, Any] = {**configuration.machine_values(), **definition.base}
    if definition.num_trials is not None:
        values["num_trials"] = definition.num_trials
    values.update(flags)
    configuration.build(values)  # what is wrong without any point is no point's fault
    sources = Sources(f"sweep-{definition.name}")
    same: dict[tuple[str, str], list[tuple[Point, Request]]] = {}
    for point in definition.points:
        request = _request(definition, values, point, sources)
        same.setdefault((request.run_id, request.assessment_key), []).append((point, request))
    requests = tuple(found[0][1] for found in same.values())
    runs = tuple(
        SweptRun(run_id, tuple(point.number for point, _ in found), found[0][0].values)
        for (run_id, _), found in same.items()
    )
    folder = SweepFolder(requests[0].execution.cache_dir / SWEEPS / definition.name)
    return Sweep(folder, tuple(definition.axes), runs, requests)


def _request(definition: Definition, base: Mapping[str, Any], point: Point, sources: Sources) -> Request:
    values = dict(base)
    try:
        for name, value in point.values.items():
            put(values, name, value)
        return resolve(configuration.build(values), sources)
    except UserError as error:
        text = str(error)
        if text == _mistake(base, sources):
            raise  # of what all points share
        named = [name for name in point.values if text.startswith((f"--{name}:", f"--{name}."))]
        named = named or [name for name in point.values if text.startswith(f"--{name.partition('.')[0]}")]
        where = ", ".join(f"{'grid' if name in definition.grid else 'random'}.{name}" for name in named)
        said = ", ".join(f"{name}={value}" for name, value in list(point.values.items())[:SHOWN])
        raise UserError(
            f"{definition.file}: {f'{where}: ' if where else ''}point {point.number} ({said}): {text}"
        ) from error


def _mistake(base: Mapping[str, Any], sources: Sources) -> str | None:
    """What is wrong without any point. No more is asked of it than this: a flag may need one that is swept."""
    try:
        resolve(configuration.build(base), sources)
    except UserError as error:
        return str(error)
    return None


def record(sweep: Sweep, definition: Definition) -> str:
    """Records every request and the sweep itself; returns the id that workers are given.

    The line of the sweep comes last: one that was killed before it has asked for nothing.
    """
    submission = new_submission()

    def record_run(requests: Sequence[Request]) -> None:
        run = requests[0].run
        run.sweep_marks.mkdir(parents=True, exist_ok=True)
        (run.sweep_marks / sweep.folder.name).touch()
        for request in requests:  # in this order: ``read`` relies on it
            submit(request, submission, sweep.folder.name)

    by_run: dict[str, list[Request]] = {}
    for request in sweep.requests:
        by_run.setdefault(request.run_id, []).append(request)
    first, *others = by_run.values()
    record_run(first)  # which asks for the code that all of them share
    # Side by side: nearly all of it is waiting for the disk to flush.
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(record_run, others))
    events.append(
        sweep.folder.submissions,
        {
            "id": submission,
            "time": time.time(),
            "argv": sys.argv[1:],
            "driver": None if sweep.requests[0].execution.slurm else attempts.this_process(),
            "definition": dict(definition.content),
            "axes": [asdict(axis) for axis in sweep.axes],
            "runs": [asdict(run) for run in sweep.runs],
        },
    )
    return submission


def read(folder: SweepFolder, submission: str | None = None) -> Sweep:
    """The sweep as it was asked for last, or under this id. Raises UserError where nothing was."""
    for line in reversed(submissions.of_sweep(folder)):
        if submission in (None, line.get("id")):
            axes = tuple(Axis(a["name"], a["scale"], tuple(a["values"])) for a in line["axes"])
            runs = tuple(SweptRun(r["run_id"], tuple(r["numbers"]), r["values"]) for r in line["runs"])
            check_runs(folder, [run.run_id for run in runs])
            of_run = {run.run_id: iter(read_submissions(folder.run(run.run_id), line["id"])) for run in runs}
            found = [request for run in runs for request in [next(of_run[run.run_id], None)] if request is not None]
            if len(found) < len(runs):
                raise UserError(f"{folder.path}: what its runs were asked for is damaged; give the command again")
            return Sweep(folder, axes, runs, tuple(found))
    raise UserError(f"{folder.path}: nothing was submitted; start it with python -m seqtrack.tools.sweep")


def check_runs(folder: SweepFolder, run_ids: Sequence[str]) -> None:
    """UserError for one that somebody has removed."""
    if gone := [run_id for run_id in run_ids if not folder.run(run_id).submissions.exists()]:
        raise UserError(f"{folder.path}: its run {gone[0]} is gone; give the sweep's command again to have it")


def is_asked_for(sweep: Sweep) -> bool:
    """Whether no command has asked for other points under this name since."""
    points = [(run.run_id, dict(run.values)) for run in sweep.runs]
    last = submissions.of_sweep(sweep.folder)[-1:]
    return all([(run["run_id"], run.get("values")) for run in line["runs"]] == points for line in last)


def no_longer(sweep: Sweep) -> list[str]:
    """Runs that were points when the sweep was asked for last, and are none now."""
    line = submissions.of_sweep(sweep.folder)[-1:]
    now = {run.run_id for run in sweep.runs}
    before = dict.fromkeys(run["run_id"] for last in line for run in last["runs"])
    return [run_id for run_id in before if run_id not in now]


def sweeps_of(run: RunFolder) -> Iterator[Sweep]:
    """Those that a run is a point of as they were asked for last."""
    for folder in run.sweeps:
        if folder.submissions.exists():
            found = read(folder)
            if any(point.run_id == run.run_id for point in found.runs):
                yield found
