"""What ``seqtrack assess`` added to a finished run: other eval sets, other conventions, other ways to measure.

The run's ``summary.json`` does not know of it, nor of what only an earlier command asked for, so means over trials
are taken here, in the same way. What counts was assessed at the step that a trial is reported at. Whoever shows
scores of runs (the table of a command, report, --table, compare) shows these too, by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from seqtrack import config as configuration
from seqtrack.assessment import results
from seqtrack.assessment.protocols import dataset_of
from seqtrack.assessment.scores import Statistic
from seqtrack.assessment.summary import summarise
from seqtrack.errors import SeqtrackError
from seqtrack.reporting.frames import Assessed, RunFrames
from seqtrack.runs.identity import keyed


@dataclass(frozen=True, eq=False)
class Later:
    """The assessments of one eval set that were made in one way.

    Attributes:
        differing: settings other than the run's own, but the convention, such as ``eval_tre_num 3``.
        items: by seed.
        frames: the run, with these among its assessments.
        is_own: whether the summary has them, and only their name is not that of their eval set.
    """

    eval_id: str
    key: str
    convention: str
    differing: str
    tre_num: int
    items: Mapping[int, Assessed]
    frames: RunFrames
    is_own: bool = False

    @cached_property
    def scores(self) -> dict[int, dict[str, Statistic]]:
        """By seed and metric."""
        return {seed: results.load_scores(item.path) for seed, item in self.items.items()}

    @cached_property
    def cells(self) -> Mapping[str, Any]:
        """metric -> mean, std, n, … as ``summary.json`` has them."""
        return summarise({self.eval_id: self.scores})[self.eval_id]

    @property
    def has_a_mean(self) -> bool:
        """Not so where its trials were assessed on different sequences."""
        kinds = {(metric, len(one.per_sequence)) for of_one in self.scores.values() for metric, one in of_one.items()}
        return all(len(of_one) == len(kinds) for of_one in self.scores.values()) and len({n for _, n in kinds}) == 1

    def name(self, plain: str) -> str:
        """Its eval id, with what differs behind it; ``plain``: the convention that needs no mention."""
        convention = "" if self.convention == plain else self.convention
        what = ", ".join(filter(None, (convention, self.differing)))
        return f"{self.eval_id} ({what})" if what else self.eval_id

    def note(self, name: str) -> str:
        """What a reader of its scores should know."""
        note = f"{name}: assessed later by seqtrack assess (or by an earlier command), not in the run's summary"
        total = len(self.frames.selected_steps)
        if len(self.items) < total:
            note += f"; {len(self.items)} of {total} trials have it"
        if dataset_of(self.eval_id) == dataset_of(str(self.frames.summary.get("optimize_dataset", ""))):
            note += "; checkpoints were selected on these videos"
        return note


def named_later(runs: Sequence[RunFrames]) -> tuple[dict[str, Later], ...]:
    """Of each run, what was added to it, by a name of its own: the eval id, with the convention or what else differs
    after it where that is not as in the summaries of these runs. A name means one way of measuring in all of them."""
    found = [find_later(run) for run in runs]
    own = [_own(run) for run in runs]
    plain: dict[str, str] = {}  # eval id -> the convention that needs no mention
    for one in (one for of_run in (*own, *found) for one in of_run):
        plain.setdefault(one.eval_id, one.convention)

    named = tuple({one.name(plain[one.eval_id]): one for one in of_run} for of_run in found)
    for mine, of_run in zip(own, named, strict=True):
        of_run.update({one.name(plain[one.eval_id]): one for one in mine if one.eval_id in of_run})
    return named


def all_ways(run: RunFrames) -> dict[str, list[Assessed]]:
    """Every finished assessment, at whatever step and of trials that are not complete too, by the names that eval
    sets have in a report of this run. What the newest command asks for has its eval id."""
    ways: dict[str, list[Assessed]] = {}
    for item in run.assessments:
        ways.setdefault(item.eval_id, []).append(item)
    (later,) = named_later([run])
    names = {(one.eval_id, one.key): name for name, one in later.items() if not one.is_own}
    own = _keyed(run.assess)
    known = {item.path for item in run.assessments}
    others: dict[tuple[str, str], list[Assessed]] = {}
    for item in run.everything.assessments:
        if item.path not in known:
            others.setdefault((item.eval_id, item.key), []).append(item)
    for (eval_id, key), items in others.items():
        one = _described(run.everything, eval_id, {item.seed: item for item in items}, own)
        # By whose rules it was scored makes no other tracks.
        name = names.get((eval_id, key)) or one.name(one.convention)
        if name not in ways:
            ways[name] = items
    return dict(sorted(ways.items()))


def with_later(run: RunFrames, later: Mapping[str, Later]) -> dict[str, Any]:
    """The run's summary, and in its table and its notes what was added."""
    results = {**run.summary.get("results", {}), **{name: one.cells for name, one in later.items()}}
    notes = [one.note(name) for name, one in later.items() if not one.is_own]
    own = {one.eval_id: one.convention for one in _own(run)}  # summaries of earlier versions do not have them
    added = {name: one.convention for name, one in later.items()}
    conventions = {**own, **run.summary.get("conventions", {}), **added}
    return {**run.summary, "results": results, "conventions": conventions, "notes": [*run.notes, *notes]}


def find_later(run: RunFrames) -> list[Later]:
    """By eval id; of those that differ in nothing the one that more trials have."""
    known = {(item.eval_id, item.key) for item in run.assessments}
    reported = run.summary.get("results", {})
    groups: dict[tuple[str, str], dict[int, Assessed]] = {}
    for item in run.everything.assessments:
        if item.selected and not (item.eval_id in reported and (item.eval_id, item.key) in known):
            groups.setdefault((item.eval_id, item.key), {})[item.seed] = item
    own = _keyed(run.assess)
    conventions = {one.eval_id: one.convention for one in _own(run)}
    found: dict[tuple[str, str, str], Later] = {}
    for (eval_id, key), items in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
        one = _described(run if (eval_id, key) in known else run.everything, eval_id, items, own)
        if not one.differing and conventions.get(eval_id) == one.convention:
            continue  # what the run reports, asked for by the convention's name
        if one.has_a_mean:
            found.setdefault((eval_id, one.convention, one.differing), one)
    return list(found.values())


def _own(run: RunFrames) -> list[Later]:
    """What the summary has."""
    groups: dict[str, dict[int, Assessed]] = {}
    for item in run.assessments:
        if item.selected and item.eval_id in run.summary.get("results", {}):
            groups.setdefault(item.eval_id, {})[item.seed] = item
    own = _keyed(run.assess)
    described = (_described(run, eval_id, items, own) for eval_id, items in groups.items())
    return [replace(one, differing="", is_own=True) for one in described]


def _described(frames: RunFrames, eval_id: str, items: Mapping[int, Assessed], own: Mapping[str, Any]) -> Later:
    """own: the settings of the run's newest command."""
    first = next(iter(items.values()))
    how = results.load_config(first.path).get("assess", {})
    differing = ", ".join(
        text
        for name in sorted(own.keys() | how.keys())
        if name != "eval_convention" and own.get(name) != how.get(name)
        for text in _other(name, own.get(name), how.get(name, "as by default"))
    )
    convention = str(results.load_summary(first.path)["convention"])
    return Later(eval_id, first.key, convention, differing, int(how.get("eval_tre_num", 1)), items, frames)


def _other(name: str, own: Any, other: Any) -> list[str]:
    """A setting that differs; of several parameters (``tracker_params``) those that do."""
    if not (isinstance(own, Mapping) and isinstance(other, Mapping)):
        return [f"{name} {other}"]
    keys = [key for key in sorted(own.keys() | other.keys()) if own.get(key) != other.get(key)]
    return [f"{key} {other.get(key, 'as by default')}" for key in keys]


def _keyed(assess: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return keyed(configuration.build(assess).assess)
    except SeqtrackError:  # of a version with other fields
        return {}
