"""What ``seqtrack assess`` added to a finished run: other eval sets, other conventions, other ways to measure.

The run's ``summary.json`` does not know of it, nor of what only an earlier command asked for, so means over trials
are taken here, in the same way. What counts was assessed at the step that a trial is reported at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqtrack import config as configuration
from seqtrack.assessment import results
from seqtrack.assessment.summary import summarise
from seqtrack.errors import SeqtrackError
from seqtrack.reporting.frames import Assessed, RunFrames
from seqtrack.runs.identity import keyed


@dataclass(frozen=True)
class Later:
    """The assessments of one eval set that were made in one way.

    Attributes:
        differing: settings other than the run's own, but the convention, such as ``eval_tre_num 3``.
        items: by seed.
        cells: metric -> mean, std, n, … as ``summary.json`` has them.
        frames: the run, with these among its assessments.
    """

    eval_id: str
    key: str
    convention: str
    differing: str
    tre_num: int
    items: Mapping[int, Assessed]
    cells: Mapping[str, Any]
    frames: RunFrames


def find_later(run: RunFrames) -> list[Later]:
    """By eval id; of those that differ in nothing the one that more trials have."""
    known = {(item.eval_id, item.key) for item in run.assessments}
    reported = run.summary.get("results", {})
    groups: dict[tuple[str, str], dict[int, Assessed]] = {}
    for item in run.everything.assessments:
        if item.selected and not (item.eval_id in reported and (item.eval_id, item.key) in known):
            groups.setdefault((item.eval_id, item.key), {})[item.seed] = item
    own = _keyed(run.assess)
    conventions = {item.eval_id: _convention(item) for item in run.assessments if item.eval_id in reported}
    found: dict[tuple[str, str, str], Later] = {}
    for (eval_id, key), items in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
        first = next(iter(items.values()))
        how = results.load_config(first.path).get("assess", {})
        differing = ", ".join(
            f"{name} {how.get(name, 'as by default')}"
            for name in sorted(own.keys() | how.keys())
            if name != "eval_convention" and own.get(name) != how.get(name)
        )
        convention = _convention(first)
        if not differing and conventions.get(eval_id) == convention:
            continue  # what the run reports, asked for by the convention's name
        try:
            cells = summarise({eval_id: {seed: results.load_scores(item.path) for seed, item in items.items()}})
        except ValueError:  # its trials were assessed on different sequences: there is no mean
            continue
        frames = run if (eval_id, key) in known else run.everything
        tre_num = int(how.get("eval_tre_num", 1))
        one = Later(eval_id, key, convention, differing, tre_num, items, cells[eval_id], frames)
        found.setdefault((eval_id, convention, differing), one)
    return list(found.values())


def _convention(item: Assessed) -> str:
    return str(results.load_summary(item.path)["convention"])


def _keyed(assess: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return keyed(configuration.build(assess).assess)
    except SeqtrackError:  # of a version with other fields
        return {}
