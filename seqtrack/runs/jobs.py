"""``slurm/jobs.jsonl``: what this run has handed to SLURM, so that anyone can tell what waits for what.

An intent is written before each ``sbatch`` and its job id after it. If the submitter dies in between, the job is
in SLURM's queue under the tag that the intent carries, and whoever looks next finds it there and writes the id.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder

INDEX, TRAIN, ASSESS, SUMMARY = "index", "train", "assess", "summary"


@dataclass(frozen=True)
class Job:
    """One job or array. Task *i* of an array works on ``seeds[i]``.

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

    @property
    def is_array(self) -> bool:
        return bool(self.seeds)

    def task(self, seed: int) -> str:
        """``123_4``, as SLURM names the task that works on ``seed``. Only once the job has an id."""
        return f"{self.job_id}_{self.seeds.index(seed)}"


def new(stage: str, seeds: tuple[int, ...], submission: str, question: str, after: str | None) -> Job:
    return Job(uuid.uuid4().hex[:8], stage, seeds, submission, question, after, time.time())


def intend(run: RunFolder, job: Job) -> None:
    events.append(run.jobs, {"event": "intent", **asdict(job)})


def record_id(run: RunFolder, job: Job, job_id: str) -> Job:
    events.append(run.jobs, {"event": "submitted", "tag": job.tag, "job_id": job_id})
    return replace(job, job_id=job_id)


def record_refusal(run: RunFolder, job: Job, why: str) -> None:
    events.append(run.jobs, {"event": "refused", "tag": job.tag, "refused": why})


def record_failed_node(run: RunFolder, node: str) -> None:
    if node not in failed_nodes(run):
        events.append(run.jobs, {"event": "node_failed", "node": node})


def failed_nodes(run: RunFolder) -> list[str]:
    """Nodes that failed under a task of this run, in order of name."""
    return sorted({str(record["node"]) for record in events.read(run.jobs) if record["event"] == "node_failed"})


def read(run: RunFolder) -> list[Job]:
    """Every job, in the order in which they were intended."""
    found: dict[str, Job] = {}
    for record in events.read(run.jobs):
        match record["event"]:
            case "intent":
                fields: dict[str, Any] = {name: value for name, value in record.items() if name != "event"}
                found[record["tag"]] = Job(**{**fields, "seeds": tuple(fields["seeds"])})
            case "submitted" | "refused" if record["tag"] in found:
                change = {name: record[name] for name in ("job_id", "refused") if name in record}
                found[record["tag"]] = replace(found[record["tag"]], **change)
            case _:
                pass
    return list(found.values())
