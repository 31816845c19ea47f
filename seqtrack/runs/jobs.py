"""``slurm/jobs.jsonl``: what was handed to SLURM, so that anyone can tell what waits for what.

An intent is written before each ``sbatch`` and its job id after it. If the submitter dies in between, the job is
in SLURM's queue under the tag that the intent carries, and whoever looks next finds it there and writes the id.

An array is a list of trials. Those of one run stand in the ledger of that run; those of a sweep's runs in one ledger
of the sweep, so that an intent is still one line, and each run reads its own tasks out of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder, TrialKey

INDEX, TRAIN, ASSESS, SUMMARY = "index", "train", "assess", "summary"
LEDGER = "jobs.jsonl"


@dataclass(frozen=True)
class Job:
    """What one run has of a job or an array. Task ``places[k]`` of it works on ``seeds[k]``.

    Attributes:
        tag: unique; part of the job's comment.
        stage: ``index``, ``train``, ``assess`` or ``summary``.
        seeds: empty for ``index`` and ``summary``, which are no arrays.
        submission: id of the command that asked for it (``submissions.jsonl``).
        question: digest of what is assessed (``Request.question``): two jobs with the same one do the same work.
        after: its dependency, as SLURM was told.
        time: of the intent, seconds since the epoch.
        job_id: None while sbatch has not answered.
        refused: why sbatch did not take it.
        places: unset for an array of nothing but these seeds.
        is_own: whether it was handed over for this run alone.
    """

    tag: str
    stage: str
    seeds: tuple[int, ...]
    submission: str
    question: str
    after: str | None = None
    time: float = 0.0
    job_id: str | None = None
    refused: str | None = None
    places: tuple[int, ...] | None = None
    is_own: bool = True

    def task(self, seed: int) -> str:
        """``123_4``, as SLURM names the task that works on ``seed``. Only once the job has an id."""
        k = self.seeds.index(seed)
        return f"{self.job_id}_{k if self.places is None else self.places[k]}"

    def seed(self, place: int | None) -> int | None:
        """What the task in this place of the array works on, if that is a trial of this run."""
        places = range(len(self.seeds)) if self.places is None else self.places
        return self.seeds[places.index(place)] if place is not None and place in places else None


@dataclass(frozen=True)
class Array:
    """A job or array as it is handed over: task *i* works on ``trials[i]``; see ``Job`` for the rest.

    ``folder``: where its ledger, its script and its outputs lie. ``questions``: by run.
    """

    folder: Path
    tag: str
    stage: str
    trials: tuple[TrialKey, ...]
    submission: str
    questions: Mapping[str, str]
    after: str | None = None
    time: float = 0.0
    job_id: str | None = None
    refused: str | None = None

    def trial(self, place: int | None) -> TrialKey | None:
        """What the task in this place works on."""
        return self.trials[place] if place is not None and place < len(self.trials) else None

    def of(self, run: RunFolder) -> Job:
        """What ``run`` has of it."""
        mine = {place: trial.seed for place, trial in enumerate(self.trials) if trial.run == run.run_id}
        return Job(
            self.tag, self.stage, tuple(mine.values()), self.submission, self.questions.get(run.run_id, ""),
            self.after, self.time, self.job_id, self.refused,
            None if len(mine) == len(self.trials) else tuple(mine), self.folder == run.slurm,
        )  # fmt: skip


def new(
    folder: Path,
    stage: str,
    trials: Iterable[TrialKey],
    submission: str,
    questions: Mapping[str, str],
    after: str | None,
) -> Array:
    found = tuple(trials)
    asked = {run: questions[run] for run in dict.fromkeys(trial.run for trial in found)}
    return Array(folder, uuid.uuid4().hex[:8], stage, found, submission, asked, after, time.time())


def intend(array: Array) -> None:
    record = {name: value for name, value in asdict(array).items() if name != "folder"}
    events.append(array.folder / LEDGER, {"event": "intent", **record})


def record_id(array: Array, job_id: str) -> Array:
    events.append(array.folder / LEDGER, {"event": "submitted", "tag": array.tag, "job_id": job_id})
    return replace(array, job_id=job_id)


def record_refusal(array: Array, why: str) -> None:
    events.append(array.folder / LEDGER, {"event": "refused", "tag": array.tag, "refused": why})


def record_failed_node(folder: Path, node: str) -> None:
    if node not in failed_nodes([folder]):
        events.append(folder / LEDGER, {"event": "node_failed", "node": node})


def failed_nodes(folders: Iterable[Path]) -> list[str]:
    """Nodes that failed under a task that stands in one of these ledgers, in order of name."""
    records = [record for folder in folders for record in events.read(folder / LEDGER)]
    return sorted({str(record["node"]) for record in records if record.get("event") == "node_failed"})


def folders(runs: Iterable[RunFolder]) -> list[Path]:
    """Of every ledger that has to do with one of these runs."""
    found = [folder for run in runs for folder in (run.slurm, *(sweep.slurm for sweep in run.sweeps))]
    return list(dict.fromkeys(found))


def read(run: RunFolder) -> list[Job]:
    """What this run has of every job, in the order in which they were intended."""
    return seen_by(run, read_arrays(folders([run])))


def seen_by(run: RunFolder, arrays: Iterable[Array]) -> list[Job]:
    """What ``run`` has of these. Jobs without trials are everybody's who shares the ledger."""
    found = [(array, array.of(run)) for array in arrays]
    return [job for array, job in found if job.seeds or not array.trials]


def read_arrays(folders: Iterable[Path]) -> list[Array]:
    """Every job of these ledgers, in the order in which they were intended."""
    found: dict[str, Array] = {}
    for folder in folders:
        for record in events.read(folder / LEDGER):
            match record.get("event"):
                case "intent":
                    fields: dict[str, Any] = {name: value for name, value in record.items() if name != "event"}
                    trials = tuple(TrialKey(run, seed) for run, seed in fields["trials"])
                    found[record["tag"]] = Array(**{**fields, "folder": folder, "trials": trials})
                case "submitted" | "refused" if record["tag"] in found:
                    change = {name: record[name] for name in ("job_id", "refused") if name in record}
                    found[record["tag"]] = replace(found[record["tag"]], **change)
                case _:
                    pass
    return sorted(found.values(), key=lambda array: array.time)
