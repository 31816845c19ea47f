"""A run as pandas DataFrames: ``run = seqtrack.load_run("latest")``, then ``run.scores``, ``run.training``, …

Everything is read from the run's folder when it is first asked for, and kept; nothing is ever written. Frames are
tidy (one value per row), their rows in a fixed order, their columns those of ``COLUMNS`` whatever there is to read:
of a run that has not begun they are empty. Text is ``str``; what may be missing is a nullable type or NaN.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqtrack import config as configuration
from seqtrack.assessment import results
from seqtrack.assessment.metrics import CURVES
from seqtrack.assessment.protocols import dataset_of
from seqtrack.data.formats import DatasetName, parse_dataset_name
from seqtrack.data.lists import from_plain
from seqtrack.errors import DataError, SeqtrackError, UserError
from seqtrack.reporting import trial_facts
from seqtrack.runs import identity, lookup, submissions
from seqtrack.runs.paths import RunFolder
from seqtrack.schema import nearest

if TYPE_CHECKING:
    import pandas as pd

_ASSESSMENT = re.compile(r"step_(\d{8,})-([0-9a-f]+)$")
_OF_ASSESSMENT = {
    "seed": "int64", "eval_id": "str", "dataset": "str", "sampler": "str", "step": "int64", "selected": "bool",
    "key": "str", "protocol": "str", "convention": "str",
}  # fmt: skip
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "trials": trial_facts.COLUMNS,
    "training": {"seed": "int64", "step": "int64"},  # and the columns of train.csv, float64
    "scores": {**_OF_ASSESSMENT, "metric": "str", "value": "float64"},
    "sequences": {
        **_OF_ASSESSMENT, "sequence": "str", "start": "int64", "frames": "int64", "metric": "str", "value": "float64",
    },
    "by_tag": {**_OF_ASSESSMENT, "tag": "str", "metric": "str", "value": "float64"},
    "curves": {**_OF_ASSESSMENT, "curve": "str", "threshold": "float64", "value": "float64"},
}  # fmt: skip
_COUNTS = COLUMNS["training"]


def load_run(
    run: str | os.PathLike[str] = "latest",
    cache_dir: str | os.PathLike[str] = "cache",
    *,
    all_keys: bool = False,
) -> RunFrames:
    """The numbers of a run, finished or not, as pandas DataFrames.

    Args:
        run: ``latest``, a prefix of the run id, a ``--name``, or the path of the run's folder.
        cache_dir: where runs are; of no use to a path.
        all_keys: every assessment there is, also those that were made in another way (other ``--tracker_params``, …)
            than the newest command asks for; ``key`` tells them apart.

    Raises:
        UserError: there is no such run, or more than one; names those that are like it.
        TypeError: ``run`` is neither text nor a path.
    """
    if not isinstance(run, (str, os.PathLike)):
        raise TypeError(f"load_run: expected an id, a name or a path as text, got {run!r}")
    return RunFrames(lookup.locate(Path(cache_dir), os.fspath(run)), all_keys, os.fspath(run))


@dataclass(frozen=True)
class Assessed:
    """One finished assessment of a run.

    selected: whether its step is the one that the trial is reported at. key: stands for how it was measured.
    """

    seed: int
    eval_id: str
    step: int
    key: str
    path: Path
    selected: bool

    @property
    def dataset(self) -> str:
        return dataset_of(self.eval_id)

    @property
    def sampler(self) -> str:
        return self.eval_id.rpartition("-")[2]


class RunFrames:
    """A run's numbers. Made by ``load_run``.

    trials: one row per seed: how it went, where, on what (``trial_facts.COLUMNS``).
    stability: one row per seed, as a table for people: scores, step, machine, versions, time, restarts.
    training: seed, step, and the columns of ``train.csv``.
    scores: one row per (seed, eval_id, step, metric): the score of the whole set.
    sequences: the same per sequence and start.
    by_tag: one row per (seed, eval_id, step, tag, metric): of VOT's restarts, over the frames that have the tag.
    curves: seed, eval_id, step, curve, threshold, value: what the plots of a set show. threshold: of IoU, pixels,
        sizes of the truth (``metrics.CURVES``); of any other curve the place, from 0.

    In the last four ``selected`` marks the step that the trial is reported at, and ``key`` stands for how it was
    measured (starts of TRE, parameters of the tracker, …): only the newest command's, or, if there is none of that
    yet, every one there is.
    """

    def __init__(self, folder: RunFolder, all_keys: bool = False, called: str = "") -> None:
        self._folder = folder
        self._called = called
        self._all_keys = all_keys
        self.run_id = folder.run_id
        self.path = folder.path

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<run {self.run_id}{name} in {self.path}: seeds {', '.join(map(str, self.seeds)) or 'none'}>"

    @cached_property
    def submission(self) -> dict[str, Any]:
        """The newest command: ``train``, ``assess``, ``execution``, ``argv``, ``time``; {} if it cannot be read."""
        return submissions.newest(self._folder)

    @cached_property
    def name(self) -> str:
        """The ``--name`` that it was asked for by, or else what it was called last; empty if nothing."""
        names = lookup.names(self._folder)
        return self._called if self._called in names else next(iter(names), "")

    @property
    def config(self) -> dict[str, Any]:
        """What is learned: every field of TrainConfig."""
        return dict(self.submission.get("train", {}))

    @property
    def assess(self) -> dict[str, Any]:
        """What the newest command measures: every field of AssessConfig."""
        return dict(self.submission.get("assess", {}))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``: mean, std, n, per_seed of each eval set and metric; {} before the first trial is done."""
        try:
            return dict(json.loads(self._folder.summary_json.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{self._folder.summary_json}: cannot be read ({error}): give the run's command again"
            ) from error

    @property
    def notes(self) -> list[str]:
        """What a reader of the table should know."""
        return list(self.summary.get("notes", ()))

    @cached_property
    def seeds(self) -> list[int]:
        """Of the newest command and of every trial on disk."""
        asked = self.submission.get("execution", {})
        first = asked.get("first_seed", 0)
        found = {*range(first, first + asked.get("num_trials", 0)), *(trial.seed for trial in self._folder.trials())}
        return sorted(found)

    @cached_property
    def selected_steps(self) -> dict[int, int]:
        """By seed, the checkpoint that the trial is reported at; of those that are complete."""
        trials = self.summary.get("trials", ())
        return {int(t["seed"]): int(t["selected_step"]) for t in trials if t["selected_step"] is not None}

    @cached_property
    def assessments(self) -> list[Assessed]:
        """The finished assessments, by seed, eval id, step."""
        found = [item for trial in self._folder.trials() for item in self._of_trial(trial.seed)]
        try:
            key = identity.assessment_key(configuration.build(self.assess).assess)
        except SeqtrackError:  # of a version with other fields
            key = ""
        chosen = [] if self._all_keys else [item for item in found if item.key == key]
        return chosen or found

    @cached_property
    def trials(self) -> pd.DataFrame:
        speeds = {seed: self._speed(seed) for seed in self.seeds}
        rows = [
            trial_facts.facts(self._folder.trial(seed), self.selected_steps.get(seed), speeds[seed])
            for seed in self.seeds
        ]
        return _frame({name: [row[name] for row in rows] for name in COLUMNS["trials"]}, COLUMNS["trials"])

    @cached_property
    def stability(self) -> pd.DataFrame:
        return trial_facts.stability(self.trials, self.scores, self.summary.get("optimize_metric", ""))

    @cached_property
    def training(self) -> pd.DataFrame:
        rows = [
            {"seed": seed, **row} for seed in self.seeds for row in _whole_rows(self._folder.trial(seed).train_csv)
        ]
        dtypes = {**COLUMNS["training"], **{name: "float64" for row in rows for name in row if name not in _COUNTS}}
        return _frame({name: [row.get(name, np.nan) for row in rows] for name in dtypes}, dtypes)

    @cached_property
    def scores(self) -> pd.DataFrame:
        table = _Table("scores")
        for item, summary in self._summaries:
            metrics = summary["metrics"]
            table.add(item, summary, len(metrics), metric=list(metrics), value=list(metrics.values()))
        return table.frame()

    @cached_property
    def sequences(self) -> pd.DataFrame:
        table = _Table("sequences")
        for item, summary in self._summaries:
            runs = results.load_sequences(item.path)
            metrics = list(runs[0].metrics) if runs else []
            table.add(
                item,
                summary,
                len(runs) * len(metrics),
                sequence=np.repeat([run.name for run in runs], len(metrics)).tolist(),
                start=np.repeat([run.start for run in runs], len(metrics)).tolist(),
                frames=np.repeat([run.frames for run in runs], len(metrics)).tolist(),
                metric=metrics * len(runs),
                value=[value for run in runs for value in run.metrics.values()],
            )
        return table.frame()

    @cached_property
    def by_tag(self) -> pd.DataFrame:
        table = _Table("by_tag")
        for item, summary in self._summaries:
            for tag, found in summary.get("by_tag", {}).items():
                values = [np.nan if value is None else value for value in found.values()]
                table.add(item, summary, len(found), tag=[tag] * len(found), metric=list(found), value=values)
        return table.frame()

    @cached_property
    def curves(self) -> pd.DataFrame:
        table = _Table("curves")
        for item, summary in self._summaries:
            for name, values in sorted(summary.get("curves", {}).items()):
                thresholds = CURVES.get(name, ())
                if len(thresholds) != len(values):  # EAO's lengths, for one
                    thresholds = tuple(map(float, range(len(values))))
                numbers = [np.nan if value is None else value for value in values]
                table.add(item, summary, len(values), curve=[name] * len(values), threshold=thresholds, value=numbers)
        return table.frame()

    def track(self, eval_id: str, sequence: str, seed: int, step: int | None = None, start: int = 0) -> pd.DataFrame:
        """What the tracker answered: a row per frame, the columns of ``tracks.h5`` (frame, x, y, w, h, score, …).

        Args:
            step: of the checkpoint; None for the one that the trial is reported at, or else the last there is.
            start: which start of TRE, or which repetition.

        Raises:
            UserError: it is not there; names what is.
        """
        import pandas as pd

        item = self.find(eval_id, seed, step)
        there = [run.name for run in results.load_sequences(item.path)]
        if sequence not in there:
            raise UserError(f"sequence: {eval_id} has no {sequence!r}; {nearest(sequence, dict.fromkeys(there))}")
        return pd.DataFrame(results.load_track(item.path, sequence, start))

    def find(self, eval_id: str, seed: int, step: int | None = None) -> Assessed:
        """The finished assessment meant; see ``track``."""
        there = [item for item in self.assessments if item.eval_id == eval_id]
        if not there:
            known = sorted({item.eval_id for item in self.assessments})
            raise UserError(f"eval_id: run {self.run_id} has no results of {eval_id!r}; {nearest(eval_id, known)}")
        mine = [item for item in there if item.seed == seed]
        if not mine:
            seeds = ", ".join(map(str, sorted({item.seed for item in there})))
            raise UserError(f"seed: run {self.run_id} has {eval_id} of seeds {seeds}, not of {seed}")
        wanted = step if step is not None else next((item.step for item in mine if item.selected), mine[-1].step)
        for item in mine:
            if item.step == wanted:
                return item
        steps = ", ".join(str(item.step) for item in mine)
        raise UserError(f"step: seed {seed} of run {self.run_id} has {eval_id} at steps {steps}, not at {step}")

    @cached_property
    def everything(self) -> RunFrames:
        """The same run with every assessment there is, however it was measured."""
        return self if self._all_keys else RunFrames(self._folder, all_keys=True, called=self._called)

    def dataset_name(self, eval_id: str) -> DatasetName:
        """The data set behind an eval id, with its layout and its list of sequences, as its assessments recorded it.

        Raises:
            UserError: nothing that is assessed says what it is, and nothing is published under its name.
        """
        for item in self.everything.assessments:
            if item.eval_id == eval_id:
                with contextlib.suppress(KeyError, TypeError):
                    return from_plain(results.load_config(item.path)["dataset"])
        folder = dataset_of(eval_id).partition("@")[0]
        for record in reversed(submissions.read(self._folder)):  # of assessments that did not record it yet
            for text in record.get("assess", {}).get("eval_datasets", ()):
                with contextlib.suppress(UserError):
                    if (name := parse_dataset_name(text.partition("@")[0])).folder == folder:
                        return name
        return parse_dataset_name(folder)

    @cached_property
    def _summaries(self) -> list[tuple[Assessed, dict[str, Any]]]:
        return [(item, results.load_summary(item.path)) for item in self.assessments]

    def _of_trial(self, seed: int) -> Iterator[Assessed]:
        folder = self._folder.trial(seed).path / "assess"
        for of_set in sorted(folder.iterdir()) if folder.is_dir() else ():
            names = {path.name: _ASSESSMENT.match(path.name) for path in of_set.iterdir()} if of_set.is_dir() else {}
            for name, match in sorted(names.items()):
                if match and results.is_finished(of_set / name):
                    step = int(match[1])
                    is_selected = self.selected_steps.get(seed) == step
                    yield Assessed(seed, of_set.name, step, match[2], of_set / name, is_selected)

    def _speed(self, seed: int) -> float | None:
        """Frames per second of its tracker, over all its assessments."""
        frames = seconds = 0.0
        for item in self.assessments:
            if item.seed == seed and (item.path / results.SPEED).is_file():
                speed = json.loads((item.path / results.SPEED).read_text())
                frames, seconds = frames + speed["frames"], seconds + speed["seconds"]
        return frames / seconds if seconds > 0 else None


class _Table:
    """Columns that grow by one assessment at a time; what an assessment has once is repeated at the end."""

    def __init__(self, name: str) -> None:
        self._dtypes = COLUMNS[name]
        self._sizes: list[int] = []
        self._heads: list[list[Any]] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in self._dtypes if name not in _OF_ASSESSMENT}

    def add(self, item: Assessed, summary: Mapping[str, Any], rows: int, **columns: Any) -> None:
        told = ("protocol", "convention")
        self._heads.append([summary[name] if name in told else getattr(item, name) for name in _OF_ASSESSMENT])
        self._sizes.append(rows)
        for name, values in columns.items():
            self._columns[name] += values

    def frame(self) -> pd.DataFrame:
        heads = np.array(self._heads, dtype=object).reshape(-1, len(_OF_ASSESSMENT))
        repeated = np.repeat(heads, self._sizes, axis=0).T
        return _frame({**dict(zip(_OF_ASSESSMENT, repeated, strict=True)), **self._columns}, self._dtypes)


def _frame(columns: Mapping[str, Any], dtypes: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series(columns.get(name, []), dtype=dtype) for name, dtype in dtypes.items()})


def _whole_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a ``train.csv``; not one that is still being copied from elsewhere."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    found = csv.DictReader(line for line in lines if line.endswith("\n"))
    return [{k: int(v) if k in _COUNTS else float(v) if v else np.nan for k, v in row.items()} for row in found]
