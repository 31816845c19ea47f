"""Finding a run again by what a person types: a folder, an id prefix, a ``--name``, or ``latest``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.runs import submissions
from seqtrack.runs.experiments import submitted
from seqtrack.runs.paths import SWEEPS, RunFolder, SweepFolder
from seqtrack.schema import nearest

SHOWN = 3  # runs of a sweep in one line


def all_runs(cache_dir: Path) -> list[RunFolder]:
    """Runs below a cache folder, the one submitted last at the end."""
    folders = [RunFolder(path.parent) for path in cache_dir.glob("*/train.yaml")]
    return sorted(folders, key=lambda run: (submitted(run), run.run_id))


def locate(cache_dir: Path, text: str, flag: str = "RUN") -> RunFolder:
    """The run in the folder ``text``, or else the one that ``find`` finds."""
    folder = RunFolder(Path(text))
    return folder if folder.train_yaml.is_file() else find(cache_dir, text, flag)


def find(cache_dir: Path, text: str, flag: str = "RUN") -> RunFolder:
    """The run meant by ``text``; UserError if there is none, or more than one."""
    runs = all_runs(cache_dir)
    if not runs:
        raise UserError(f"{flag}: there is no run in {cache_dir} (--cache_dir)")
    if text == "latest":
        return runs[-1]
    found = [run for run in runs if text in names(run)] or [r for r in runs if r.run_id.startswith(text)]
    if not found and (sweep := find_sweep(cache_dir, text)):
        asked = submissions.of_sweep(sweep)[-1:]
        points = list(dict.fromkeys(run["run_id"] for last in asked for run in last["runs"]))
        some = ", ".join(points[:SHOWN]) + (", …" if len(points) > SHOWN else "")
        raise UserError(f"{flag}: {text} is a sweep; give one of its runs, {some}; its table is {sweep.csv}")
    if not found:
        raise UserError(f"{flag}: no run {text!r} in {cache_dir}; {_nearest(text, runs)}")
    if len(found) > 1:
        ids = ", ".join(run.run_id for run in reversed(found))
        more = "give the id" if any(text in names(run) for run in found) else "give more digits of the id"
        raise UserError(f"{flag}: {text!r} may mean {ids}; {more}")
    return found[0]


def find_sweep(cache_dir: Path, text: str) -> SweepFolder | None:
    """The sweep in the folder ``text``, or else of this name."""
    given = SweepFolder(Path(text))
    if given.path.absolute().parent.name == SWEEPS and given.submissions.is_file():
        return given
    sweep = SweepFolder(cache_dir / SWEEPS / text)
    return sweep if "/" not in text and sweep.submissions.is_file() else None


def run_or_sweep(cache_dir: Path, text: str, flag: str = "RUN") -> RunFolder | SweepFolder:
    """For tools that look at either; UserError for a name that both have."""
    sweep = find_sweep(cache_dir, text)
    if sweep is None:
        return locate(cache_dir, text, flag)
    runs = [run for run in reversed(all_runs(cache_dir)) if text in (run.run_id, *names(run))]
    if runs and "/" not in text:
        ids = ", ".join(run.run_id for run in runs)
        raise UserError(f"{flag}: {text} is a sweep, and the name of run {ids}; give {sweep.path}, or the run's id")
    return sweep


def _nearest(text: str, runs: Sequence[RunFolder]) -> str:
    """What may be meant; or each run once, those that have a name first, the newest of them first."""
    called = [(run, names(run)) for run in reversed(runs)]
    ordered = [given[0] for _, given in called if given] + [run.run_id for run, given in called if not given]
    everything = [*ordered, *(name for run, given in called for name in (*given, run.run_id))]
    hint = nearest(text, dict.fromkeys(everything))
    return hint if hint.startswith("did you mean") else nearest(text, dict.fromkeys(ordered))


def names(run: RunFolder) -> list[str]:
    """Every ``--name`` that a submission gave this run, the newest first."""
    given = [record.get("execution") for record in reversed(submissions.read(run))]
    found = [one.get("name") for one in given if isinstance(one, dict)]
    return list(dict.fromkeys(str(name) for name in found if name))


def namesakes(run: RunFolder, name: str) -> list[str]:
    """Ids of the other runs beside it that were given this name, the newest first."""
    others = reversed(all_runs(run.path.parent))
    return [other.run_id for other in others if other.run_id != run.run_id and name in names(other)]


def initial_weights(cache_dir: Path, text: str) -> Path:
    """The file that ``--init_from`` means: a path, or RUN[:SEED[:STEP]]."""
    if Path(text).is_file():
        return Path(text).absolute()
    name, *numbers = text.split(":")
    if len(numbers) > 2 or not all(number.isdigit() for number in numbers):
        raise UserError(f"--init_from: {text!r}: expected a file, or RUN, RUN:SEED, RUN:SEED:STEP")
    if Path(text).suffix or "/" in text:
        raise UserError(f"--init_from: there is no file {text}")
    run = find(cache_dir, name, "--init_from")
    if name == "latest":
        raise UserError(f"--init_from: 'latest' would mean another run next time; give its id, {run.run_id}")
    trials = {trial.seed: trial for trial in run.trials() if trial.checkpoints()}
    seed = int(numbers[0]) if numbers else min(trials, default=0)
    if seed not in trials:
        raise UserError(f"--init_from: run {run.run_id} has no checkpoint of seed {seed}")
    checkpoints = trials[seed].checkpoints()
    step = int(numbers[1]) if len(numbers) == 2 else max(checkpoints)
    if step not in checkpoints:
        raise UserError(
            f"--init_from: seed {seed} of run {run.run_id} has checkpoints at {', '.join(map(str, checkpoints))},"
            f" not at {step}"
        )
    return checkpoints[step].model
