"""A run made again from what it recorded, and the two compared: the same bits, or by how much not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack.assessment import results
from seqtrack.data.lists import MARK
from seqtrack.errors import UserError
from seqtrack.pipeline import families, record
from seqtrack.runs import code, environment, snapshot, submissions
from seqtrack.runs.paths import RunFolder, TrialFolder
from seqtrack.runs.repository import Snapshot

# Where results go, what they are called and how they are watched; the rest of the configuration is the experiment's.
NOT_TAKEN_OVER = ("cache_dir", "name", "detach", "visualize", "keep_frames", "accept_changes")
LISTS = "lists"


@dataclass(frozen=True)
class Recipe:
    """How a run was made.

    Attributes:
        values: its complete configuration, flag by flag.
        code: SHA-256 by file of the modules that were run.
        snapshot: what git had of them; None if it was not asked.
        lists: where each list of sequences has to lie, and the copy of it that the run has.
    """

    run: RunFolder
    submission: str
    values: Mapping[str, Any]
    code: Mapping[str, str]
    snapshot: Snapshot | None
    lists: Mapping[Path, Path] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it is made again; the same command goes on there."""
        return self.run.path.parent / "reproduced" / f"{self.run.run_id}-{self.submission}"


def recipe(run: RunFolder, seed: int | None = None) -> Recipe:
    """The newest submission of the run; of a trial, the newest one of the code that it was trained by.

    Raises:
        UserError: nothing was submitted, or the trial has not been started.
    """
    run = RunFolder(run.path.resolve())  # processes start in other folders; and "." has no name
    records = [command for command in submissions.read(run) if submissions.is_whole(command)]
    if seed is not None:
        trained = record.read(run.trial(seed))
        if trained is None:
            raise UserError(f"--seed: trial {seed} of run {run.run_id} has not been started")
        records = [r for r in records if trained.code.items() <= r["code"].items()] or records
    if not records:
        raise UserError(f"{run.path}: nothing was submitted there, so there is nothing to reproduce")
    last = records[-1]
    values = {**last["train"], **last["assess"], **last["execution"]}
    values = {name: value for name, value in values.items() if name not in NOT_TAKEN_OVER}
    found = last.get("snapshot")
    kept = Snapshot(**{**found, "changed": tuple(found["changed"])}) if found else None
    made = Recipe(run, last["id"], values, last["code"], kept)
    files = _files(run, last["files"], made.folder / LISTS)
    lists = {Path(files[name]): run.sequence_list(last["files"][name]["sha256"]) for name in files if MARK in name}
    values = {name: _with_paths(value, files) for name, value in values.items()}
    return dataclasses.replace(
        made, values=values, lists={path: copy for path, copy in lists.items() if copy.exists()}
    )


def _files(run: RunFolder, named: Mapping[str, Mapping[str, str]], lists: Path) -> dict[str, str]:
    """Where each file that the configuration names lies; a list of sequences, of which the run has a copy, below
    ``lists`` by its own name, which results are called by."""
    found = {}
    for name, file in named.items():
        is_kept = name.startswith(MARK) and run.sequence_list(file["sha256"]).exists()
        found[name] = str(lists / file["sha256"][:12] / Path(file["path"]).name) if is_kept else file["path"]
    return found


def _with_paths(value: Any, files: Mapping[str, str]) -> Any:
    """The same JSON value with files named from anywhere: relative names are those of another folder."""
    if isinstance(value, Mapping):
        return {key: _with_paths(item, files) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_paths(item, files) for item in value]
    if not isinstance(value, str):
        return value
    name, mark, listed = value.partition(MARK)
    return f"{name}{mark}{files[mark + listed]}" if mark + listed in files else files.get(value, value)


def code_folder(made: Recipe, repository_root: Path | None = None) -> Path:
    """The folder to run the recipe's code from: its snapshot, checked out; or where this package lies, if that is
    the same code.

    Args:
        repository_root: where the snapshot's repository lies now, if not where it was.

    Raises:
        UserError: the code cannot be had any more.
    """
    _check_plugin(made)
    found = made.snapshot
    if found is None or found.tree is None:
        return _this_code(made, (found and found.note) or "git was not asked to keep it (--no-snapshot)")
    roots = [repository_root] if repository_root else [Path(found.root), code.ROOT]
    for root in roots:
        try:
            moved = dataclasses.replace(found, root=str(root))
            plugins = filter(None, [families.plugin(made.values["model"])])
            return snapshot.freeze(made.run.path.parent, plugins, moved)
        except LookupError:
            continue
    why = f"{roots[0]} does not have the tree {found.tree[:12]} of its snapshot"
    if repository_root:
        raise UserError(f"--repository: {why}")
    return _this_code(made, f"{why}; --repository DIR says where the repository is")


def _check_plugin(made: Recipe) -> None:
    """Modules of one's own are found where Python finds them, and have to be what they were."""
    plugin = families.plugin(made.values["model"])
    if plugin is None:
        return
    if code.plugin_file(plugin) is None:
        raise UserError(f"--model: {plugin} is not found here; put its folder into PYTHONPATH")
    files = code.plugin_files(plugin)
    before = {name: known for name, known in made.code.items() if not _is_ours(name)}
    if differ := code.changed(before, {name: _digest(path) for name, path in files.items()}):
        shown = ", ".join(str(files.get(name, name)) for name in differ[:3]) + (", …" if len(differ) > 3 else "")
        verb = "has" if len(differ) == 1 else "have"
        raise UserError(f"--model: {shown} {verb} changed since run {made.run.run_id} was made by it")


def _is_ours(name: str) -> bool:
    return name.startswith(f"{code.PACKAGE.name}/")


def _this_code(made: Recipe, why: str) -> Path:
    ours = {name: known for name, known in made.code.items() if _is_ours(name)}
    files = code.changed(ours, {name: _digest(code.ROOT / name) for name in ours})
    if files:
        raise UserError(
            f"the code of run {made.run.run_id} cannot be had: {why}; and {len(files)} of its files differ here"
            f" ({', '.join(files[:3])}{', …' if len(files) > 3 else ''})"
        )
    return code.ROOT


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@dataclass(frozen=True)
class Finding:
    """One thing that two trials have both: what it is, whether it has the same bits, and what is to be said of it.

    ``difference``: of its scores, the largest; 0 where there are none.
    """

    what: str
    same: bool
    text: str
    difference: float = 0.0


def compare(before: TrialFolder, after: TrialFolder) -> list[Finding]:
    """Everything that both trials have, in the order in which it came about. Empty if they have nothing in common."""
    return [*_training(before, after), *_assessments(before, after)]


def not_compared(before: TrialFolder, after: TrialFolder) -> list[str]:
    """Eval sets that the new trial was assessed on and the old one was not."""
    found = sorted({path.parent.name for path in after.path.glob("assess/*/step_*") if results.is_finished(path)})
    return [name for name in found if not any(map(results.is_finished, before.assessments(name).glob("step_*")))]


def surroundings(before: TrialFolder, after: TrialFolder) -> list[str]:
    """What differs in machine, versions, code and data, each as one line."""
    one, two = record.read(before), record.read(after)
    if one is None or two is None:
        return []
    lines = environment.differences(one.environment, two.environment)
    if files := code.changed(one.code, two.code):
        lines.append(f"code: {', '.join(files)}")
    if names := record.changed_data(one.data, two.data):
        lines.append(f"data: {', '.join(names)}")
    for name in ("cpu_threads", "deterministic"):
        if getattr(one, name) != getattr(two, name):
            lines.append(f"{name}: {getattr(one, name)} → {getattr(two, name)}")
    return lines


def _training(before: TrialFolder, after: TrialFolder) -> Iterator[Finding]:
    if before.train_csv.exists() and after.train_csv.exists():
        one, two = before.train_csv.read_bytes(), after.train_csv.read_bytes()
        same, text = _rows(one, two)
        yield Finding("train.csv", same, text)
    steps = sorted(before.checkpoints().keys() & after.checkpoints().keys())
    if steps:
        differ = [step for step in steps if _weights(before, step) != _weights(after, step)]
        text = f"at step{'s' if len(steps) > 1 else ''} {', '.join(map(str, differ or steps))}"
        yield Finding("weights", not differ, text)


def _weights(trial: TrialFolder, step: int) -> str:
    return _digest(trial.checkpoint(step).model)


def _rows(one: bytes, two: bytes) -> tuple[bool, str]:
    """Whether they are the same as far as both go, and how far that is: a run may have been left unfinished."""
    before, after = one.splitlines(), two.splitlines()
    for number, (left, right) in enumerate(zip(before, after, strict=False)):
        if left != right:
            return False, f"from row {number} on"
    rows = f"{min(len(before), len(after)) - 1} rows"
    if len(before) == len(after):
        return True, rows
    return True, f"{rows}, where {'the run' if len(before) < len(after) else 'the new one'} ends"


def _assessments(before: TrialFolder, after: TrialFolder) -> Iterator[Finding]:
    folder = before.path / "assess"
    for path in sorted(folder.glob("*/step_*")):
        other = after.path / "assess" / path.relative_to(folder)
        if path.name.endswith("-videos") or not (results.is_finished(path) and results.is_finished(other)):
            continue
        same = all(
            (path / name).read_bytes() == (other / name).read_bytes() for name in (results.SEQUENCES, results.TRACKS)
        )
        one, two = _metrics(path), _metrics(other)
        moved = {
            name: (one[name], two[name])
            for name in one
            if name in two and not (one[name] == two[name] or (math.isnan(one[name]) and math.isnan(two[name])))
        }
        name, value = next(iter(one.items()), ("", math.nan))
        step = int(path.name.split("-")[0].removeprefix("step_"))
        text = f"step {step}: {name} {value:.3f}"
        if moved:
            text = f"step {step}: " + ", ".join(
                f"{name} {left:.4f} → {right:.4f} ({right - left:+.2g})" for name, (left, right) in moved.items()
            )
        elif not same:
            text += ", though boxes differ"
        deltas = [abs(right - left) for left, right in moved.values()]
        largest = max((delta for delta in deltas if not math.isnan(delta)), default=0.0)
        yield Finding(path.parent.name, same and not moved, text, largest)


def _metrics(folder: Path) -> dict[str, float]:
    """By name; NaN where the set has none, which is null in the file."""
    found = json.loads((folder / results.SUMMARY).read_text())["metrics"]
    return {name: math.nan if value is None else value for name, value in found.items()}
