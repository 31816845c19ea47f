"""Two runs against each other: which numbers of theirs may be compared, and what comes of it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.assessment import results
from seqtrack.assessment.comparison import Comparison, compare
from seqtrack.assessment.metrics import METRICS
from seqtrack.assessment.protocols import dataset_of
from seqtrack.assessment.scores import Statistic
from seqtrack.errors import UserError
from seqtrack.reporting.frames import Assessed, RunFrames
from seqtrack.reporting.later import named_later
from seqtrack.schema import nearest

_TRE = re.compile(r"TRE_\d+_")
_SHOWN = 3


@dataclass(frozen=True)
class Row:
    """One metric on one eval set.

    name: of the set, as in a report. folders: of each run one of the assessments behind it.
    """

    name: str
    folders: tuple[Path, Path]
    metric: str
    convention: str
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        found = self.comparison
        per_sequence = zip(found.sequences, found.per_sequence_a.tolist(), found.per_sequence_b.tolist(), strict=True)
        return {
            "eval_set": self.name, "metric": self.metric, "convention": self.convention,
            "higher_is_better": found.higher_is_better, "a": found.a, "b": found.b, "difference": found.difference,
            "interval_95": list(found.interval), "share_a_better": found.share_a, "share_b_better": found.share_b,
            "share_ties": found.ties, "verdict": found.verdict, "caveats": found.caveats,
            "trials_a": found.trials_a, "trials_b": found.trials_b, "num_sequences": len(found.sequences),
            "sequences_won_by_a": found.wins[0], "sequences_won_by_b": found.wins[1],
            "per_sequence": {name: [_known(a), _known(b)] for name, a, b in per_sequence},
        }  # fmt: skip


@dataclass(frozen=True)
class Reported:
    """What a run is reported with on one eval set: of each complete trial one assessment, by rules that the name of
    the set in a report stands for. note: what a reader of its scores should know; may be empty."""

    eval_id: str
    items: Sequence[Assessed]
    note: str = ""


def reported(runs: Sequence[RunFrames]) -> list[dict[str, Reported]]:
    """Of each run, by the names in a report of them all: what its summary has, and what was assessed later."""
    found = []
    for run, later in zip(runs, named_later(runs), strict=True):
        own: dict[str, list[Assessed]] = {}
        for item in run.assessments:
            if item.selected and item.eval_id in run.summary.get("results", {}):
                own.setdefault(item.eval_id, []).append(item)
        sets = {name: Reported(name, items) for name, items in own.items()}
        for name, one in later.items():
            sets[name] = Reported(one.eval_id, list(one.items.values()), "" if one.is_own else one.note(name))
        found.append(dict(sorted(sets.items())))
    return found


def compare_runs(
    a: RunFrames,
    b: RunFrames,
    names: tuple[str, str],
    eval_ids: Collection[str] = (),
    metrics: Collection[str] = (),
) -> tuple[list[Row], list[str]]:
    """Every eval set that both have, by the metrics named or the set's own; and what only one of them has.

    Args:
        names: what to call the runs in what is said of them.
        eval_ids: of them only these; a data set's name stands for all its protocols, an eval id for all its rules.
        metrics: of each set those it has, in any case of letters; default: its convention's first.

    Raises:
        UserError: there is nothing to compare, or what is named must not be: another convention, protocol, or other
            sequences; a name that neither knows.
    """
    mine, other = reported((a, b))
    for run, found, name in ((a, mine, names[0]), (b, other, names[1])):
        if not found:
            raise UserError(f"{name}: no trial of run {run.run_id} is complete yet; see seqtrack status {run.run_id}")
    shared = [eval_id for eval_id in mine if eval_id in other]
    notes = [
        f"only {name} was assessed on {', '.join(one)}"
        for name, one in (
            (names[0], [e for e in mine if e not in other]),
            (names[1], [e for e in other if e not in mine]),
        )
        if one
    ]
    if not shared:
        raise UserError(f"{names[0]}, {names[1]}: there is no eval set that both have; {'; '.join(notes)}")
    called = {name: (name, mine[name].eval_id) for name in shared}
    for name in eval_ids:
        if not any(meant(name, both) for both in called.values()):
            alone = [note for note in notes if name in note]
            raise UserError(f"--eval_set: {name!r}: {'; '.join(alone) or nearest(name, shared)}")
    chosen = [e for e in shared if not eval_ids or any(meant(name, called[e]) for name in eval_ids)]
    rows, known = [], {}
    for name in chosen:
        loaded = _Loaded(mine[name].items), _Loaded(other[name].items)
        if not eval_ids and not all(one.is_scored for one in loaded):
            notes.append(f"{name} was tracked, but not scored: its truth is on a server")
            continue
        _check(name, *loaded, names)
        there = [metric for metric in loaded[0].metrics if metric in loaded[1].metrics]
        known.update({metric.lower(): metric for metric in there})
        wanted = [m for m in there if m.lower() in {metric.lower() for metric in metrics}] if metrics else there[:1]
        notes += [f"{run}: {one[name].note}" for run, one in zip(names, (mine, other), strict=True) if one[name].note]
        folders = mine[name].items[0].path, other[name].items[0].path
        rows += [_row(name, folders, metric, *loaded) for metric in wanted]
    for metric in metrics:
        if metric.lower() not in known:
            raise UserError(f"--metric: {metric!r} is not known here; {nearest(metric, known.values())}")
    return rows, notes


class _Loaded:
    """The trials of one run on one eval set."""

    def __init__(self, items: Sequence[Assessed]) -> None:
        self.summary = results.load_summary(items[0].path)
        rows = results.load_sequences(items[0].path)
        self.sequences = list(dict.fromkeys(row.name for row in rows))
        # Of the first start: of others, TRE_n has n in its name, and repetitions may be more or fewer.
        self.frames = {row.name: row.frames for row in rows if row.start == 0}
        self.statistics = {item.seed: results.load_scores(item.path) for item in items}
        self.metrics = list(next(iter(self.statistics.values())))

    @property
    def is_scored(self) -> bool:
        return any(np.isfinite(one.value()) for found in self.statistics.values() for one in found.values())

    def trials(self, metric: str) -> dict[int, Statistic]:
        return {seed: found[metric] for seed, found in self.statistics.items()}


def _check(eval_id: str, a: _Loaded, b: _Loaded, names: tuple[str, str]) -> None:
    for what in ("protocol", "convention"):
        if a.summary[what] != b.summary[what]:
            raise UserError(
                f"{eval_id}: {names[0]} was scored by the {what} {a.summary[what]}, {names[1]} by {b.summary[what]}:"
                " assess one of them again, or name other sets with --eval_set"
            )
    only = [sorted(set(one.sequences) - set(two.sequences)) for one, two in ((a, b), (b, a))]
    for name, missing in zip(names, only, strict=True):
        if missing:
            more = ", …" if len(missing) > _SHOWN else ""
            raise UserError(
                f"{eval_id}: {len(missing)} sequences are only in {name} ({', '.join(missing[:_SHOWN])}{more}):"
                " scores on different videos cannot be compared; name other sets with --eval_set"
            )
    lengths = [name for name, frames in a.frames.items() if frames != b.frames[name]]
    if lengths or a.sequences != b.sequences:
        what = f"{lengths[0]} has other frames" if lengths else "sequences are in another order"
        raise UserError(
            f"{eval_id}: {what} in {names[0]} than in {names[1]}: assess one of them again, or name other sets"
            " with --eval_set"
        )


def _row(name: str, folders: tuple[Path, Path], metric: str, a: _Loaded, b: _Loaded) -> Row:
    better = METRICS[_TRE.sub("", metric)].higher_is_better
    try:
        found = compare(a.trials(metric), b.trials(metric), a.sequences, higher_is_better=better)
    except ValueError as error:
        raise UserError(f"{name}: {metric} cannot be compared: {error}") from error
    return Row(name, folders, metric, str(a.summary["convention"]), found)


def meant(name: str, eval_ids: Collection[str]) -> bool:
    """Whether one of these is called so, in full or by its data set."""
    return any(name in (eval_id, dataset_of(eval_id)) for eval_id in eval_ids)


def _known(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
