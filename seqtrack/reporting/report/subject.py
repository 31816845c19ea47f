"""What a report is about: some runs, what they are called, and the numbers that they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from seqtrack.assessment.metrics import METRICS, decimals
from seqtrack.assessment.results import load_track
from seqtrack.reporting.frames import RunFrames
from seqtrack.reporting.later import Later, named_later
from seqtrack.reporting.run_comparison import meant

# What stands for a protocol where the run's own metric of selection is not among its metrics.
_PRIMARY = ("AUC", "AO", "EAO", "F_score")
_ID_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Subject:
    """The runs of a report, in the order given; everything that asks for one by number counts from 0."""

    runs: tuple[RunFrames, ...]
    only: tuple[str, ...] = ()
    """Names of eval sets, or of data sets; of others nothing is shown. Empty: all."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Short, and no two the same."""
        plain = [run.name or run.run_id[:_ID_DIGITS] for run in self.runs]
        return tuple(
            name if plain.count(name) == 1 else f"{name} ({run.run_id[:_ID_DIGITS]})"
            for name, run in zip(plain, self.runs, strict=True)
        )

    @property
    def is_single(self) -> bool:
        return len(self.runs) == 1

    @cached_property
    def eval_ids(self) -> tuple[str, ...]:
        """Of every run: those that have results, the set that selects checkpoints first, then by name. What was
        assessed later in another way has its convention, or what else is different, after its eval id."""
        found = {name for k in range(len(self.runs)) for name, metrics in self.results(k).items() if metrics}
        first = {str(run.summary.get("optimize_dataset", "")) for run in self.runs}
        return tuple(sorted(found, key=lambda name: (name not in first, name)))

    @cached_property
    def later(self) -> tuple[dict[str, Later], ...]:
        """Of each run, what ``seqtrack assess`` added to it, by the name that it has in the report."""
        return named_later(self.runs)

    @lru_cache(maxsize=64)  # noqa: B019 (of a few objects, one per report)
    def results(self, run: int) -> dict[str, Any]:
        """name -> metric -> mean, std, n, per_seed, …: of the run's summary, then of what was assessed later."""
        added = {name: one.cells for name, one in self.later[run].items()}
        found = {**self.runs[run].summary.get("results", {}), **added}
        if not self.only:
            return found
        ids = {name: (name, self.eval_id(run, name)) for name in found}
        return {name: one for name, one in found.items() if any(meant(only, ids[name]) for only in self.only)}

    def rows(self, run: int, frame: str, eval_id: str) -> Any:
        """The rows of one of the run's frames (``scores``, ``sequences``, …) that are behind one of ``eval_ids``."""
        later = self.later[run].get(eval_id)
        rows = getattr(self.runs[run] if later is None else later.frames, frame)
        if later is None:
            own = self.runs[run]
            if any(one.eval_id == eval_id and one.frames is own for one in self.later[run].values()):
                return rows[:0]  # by the rules that this name stands for, the run has none
            return rows[rows["eval_id"] == eval_id]
        return rows[(rows["eval_id"] == later.eval_id) & (rows["key"] == later.key)]

    def eval_id(self, run: int, name: str) -> str:
        """Behind one of ``eval_ids``."""
        later = self.later[run].get(name)
        return name if later is None else later.eval_id

    def track(self, run: int, eval_id: str, sequence: str, seed: int) -> Any:
        """As ``RunFrames.track``, at the selected step."""
        later = self.later[run].get(eval_id)
        if later is None:
            return self.runs[run].track(eval_id, sequence, seed)
        import pandas as pd

        return pd.DataFrame(load_track(later.items[seed].path, sequence))

    def notes(self, run: int) -> list[str]:
        """What a reader of the run's scores should know."""
        notes = self.runs[run].notes
        later = self.later[run].items()
        return notes + [one.note(name) for name, one in later if name in self.results(run) and not one.is_own]

    def metrics(self, eval_id: str) -> list[str]:
        """In the order of METRICS, TRE's last."""
        found = {name for k in range(len(self.runs)) for name in self.results(k).get(eval_id, {})}
        return sorted(found, key=_order)

    def primary(self, eval_id: str) -> str:
        """The metric that stands for the set: the one that selects checkpoints, or the protocol's own."""
        there = self.metrics(eval_id)
        known = [m for m in there if any(self.cell(k, eval_id, m) for k in range(len(self.runs)))] or there
        wanted = [str(run.summary.get("optimize_metric", "")) for run in self.runs]
        return next((name for name in (*wanted, *_PRIMARY) if name in known), known[0])

    def of_sequence(self, eval_id: str) -> str:
        """The metric that stands for a single sequence. EAO has no value for a short one: how often the target was
        lost has."""
        there = self.metrics(eval_id)
        return "robustness" if "EAO" in there and "robustness" in there else self.primary(eval_id)

    def cell(self, run: int, eval_id: str, metric: str) -> dict[str, Any] | None:
        """mean, std, n, per_seed, …, as ``summary.json`` has them; None if the run has none of it."""
        found = self.results(run).get(eval_id, {}).get(metric)
        return found if found and found.get("mean") is not None else None

    def decimals(self, eval_id: str, metric: str) -> int:
        """Of the means over trials; none of counts where no run has more than one trial."""
        cells = [cell for k in range(len(self.runs)) if (cell := self.cell(k, eval_id, metric))]
        return decimals(metric, [cell["mean"] for cell in cells] if all(cell["n"] == 1 for cell in cells) else ())

    def best(self, eval_id: str, metric: str) -> set[int]:
        """The run whose mean is best; none where there is only one to choose from. Equal means are all best."""
        means = {k: c["mean"] for k in range(len(self.runs)) if (c := self.cell(k, eval_id, metric)) is not None}
        return self.best_of(eval_id, means, metric)

    def best_of(self, eval_id: str, values: dict[int, float], metric: str) -> set[int]:
        """Of the runs with these scores; by other rules a higher number is no better one."""
        return best_of(values, metric) if self.is_comparable(eval_id) else set()

    @lru_cache(maxsize=64)  # noqa: B019 (of a few objects, one per report)
    def is_comparable(self, eval_id: str) -> bool:
        """Whether all runs were scored on it by the same rules."""
        return len({found for k in range(len(self.runs)) if (found := self.convention(k, eval_id))}) < 2

    def convention(self, run: int, eval_id: str) -> str:
        """Of the scores that the run is reported with; several where checkpoints were scored by different ones."""
        rows = self.rows(run, "scores", eval_id)
        return ", ".join(rows[rows["selected"]]["convention"].unique())

    def caveat(self, eval_id: str) -> str:
        """What stands beside scores that cannot be compared; else ''."""
        if self.is_comparable(eval_id):
            return ""
        whose = [f"{name}: {found}" for k, name in enumerate(self.names) if (found := self.convention(k, eval_id))]
        return f"Not by the same convention ({', '.join(whose)}): not to be compared."

    @lru_cache(maxsize=256)  # noqa: B019 (of a few objects, one per report)
    def by_sequence(self, run: int, eval_id: str) -> Any:
        """A row per (sequence, metric, seed), ``value``: at the selected step, of OPE's start where there are more,
        the mean over repetitions elsewhere."""
        rows = self.rows(run, "sequences", eval_id)
        rows = rows[rows["selected"]]
        later = self.later[run].get(eval_id)
        if (self.runs[run].assess.get("eval_tre_num", 1) if later is None else later.tre_num) > 1:
            rows = rows[rows["start"] == 0]
        return rows.groupby(["sequence", "metric", "seed"], sort=False, as_index=False)["value"].mean()

    def sequence_scores(self, run: int, eval_id: str, metric: str) -> Any:
        """A row per sequence: ``mean`` and ``std`` over seeds (NaN for one), in the order of the data set."""
        rows = self.by_sequence(run, eval_id)
        rows = rows[rows["metric"] == metric]
        return rows.groupby("sequence", sort=False)["value"].agg(["mean", "std"])


def higher_is_better(metric: str) -> bool:
    found = METRICS.get(_plain(metric))
    return found is None or found.higher_is_better


def arrow(metric: str) -> str:
    """Its name, and that lower is better where it is."""
    return metric if higher_is_better(metric) else f"{metric} ↓"


def definition(metric: str) -> str:
    found = METRICS.get(_plain(metric))
    return "" if found is None else found.definition


def best_of(values: dict[int, float], metric: str) -> set[int]:
    known = {key: value for key, value in values.items() if not math.isnan(value)}
    if len(known) < 2:
        return set()
    best = (max if higher_is_better(metric) else min)(known.values())
    return {key for key, value in known.items() if value == best}


def _plain(metric: str) -> str:
    return metric.split("_", 2)[2] if metric.startswith("TRE_") else metric


def _order(metric: str) -> tuple[bool, int, str]:
    order, plain = list(METRICS), _plain(metric)
    return metric.startswith("TRE_"), order.index(plain) if plain in order else len(order), metric
