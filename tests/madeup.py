"""Runs that nobody trained: complete run folders, written in a second by the code that writes real ones.

A tracker's boxes are the truth with an error that shrinks with ``skill`` and with the step, so tables and curves look
as they do in life, and one run can be better than another by a known amount.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from seqtrack import config
from seqtrack.assessment import results
from seqtrack.assessment.protocols import SUPERVISED, Run, Sequence
from seqtrack.assessment.results import SequenceResult
from seqtrack.assessment.scores import Labels
from seqtrack.assessment.scoring import overlap
from seqtrack.config import to_dict
from seqtrack.data.lists import to_plain
from seqtrack.pipeline import plan, reassess, record
from seqtrack.pipeline.eval_sets import EvalSet
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.record import TrialRecord
from seqtrack.pipeline.request import Request, read_submission, resolve, submit
from seqtrack.pipeline.summarise import summarise
from seqtrack.runs import attempts
from seqtrack.runs.identity import keyed
from seqtrack.runs.paths import RunFolder
from seqtrack.tracking.courses import Course, OnePass, Supervised
from seqtrack.training.csvlog import TrainCsv

EVAL_SETS = {"otb_50": 12, "uav123": 8}
STEPS = (1000, 2000, 3000)
ENVIRONMENT = {
    "host": "node7", "platform": "Linux", "python": "3.11.7", "cpu": "AMD EPYC", "cores": 16, "device": "NVIDIA H100",
    "cuda": "12.4", "decoder": {"name": "simplejpeg"}, "packages": {"torch": "2.6.0", "numpy": "2.1.0"},
}  # fmt: skip


@mock.patch("os.fsync", lambda descriptor: None)  # half of the time, for runs that need not outlive a crash
def write_run(
    cache: Path,
    *,
    seeds: int = 3,
    steps: Collection[int] = STEPS,
    eval_sets: Mapping[str, int] = EVAL_SETS,
    frames: int = 25,
    skill: float = 0.5,
    assess_all: bool = True,
    unfinished: Collection[int] = (),
    data: Mapping[str, str] | None = None,
    code: Mapping[str, str] | None = None,
    **flags: Any,
) -> RunFolder:
    """A finished run, as ``seqtrack train`` leaves it (without checkpoints), and its summary.

    Args:
        eval_sets: names of data sets and how many sequences to make up of each. The same name and number
            are the same sequences in every run.
        steps: of the checkpoints, multiples of the first; the last is the end of training.
        skill: between 0 and 1; better trackers have more.
        assess_all: whether each step is assessed on each set, or only the selected one on others than the first.
        unfinished: seeds that trained half and were killed.
        data, code: fingerprints, in place of some that all runs share.
        flags: of ``seqtrack train``, such as ``lr_init=0.01`` or ``name="better"``.
    """
    steps = sorted(steps)
    values = {
        "eval_datasets": list(eval_sets), "num_steps": steps[-1], "period_assess": steps[0], "period_ckpt": steps[0],
        "num_trials": seeds, "cache_dir": str(cache), "assess_all": assess_all, "snapshot": False, **flags,
    }  # fmt: skip
    request = resolve(config.build(values))
    request = read_submission(request.run, submit(request))
    eval_sets = {name.rpartition(":")[2]: count for name, count in eval_sets.items()}
    for seed in request.seeds:
        _write_trial(request, seed, frames, skill, seed not in unfinished, data, code)
        if seed not in unfinished:
            for item in request.eval_sets:
                for step in request.assessed_steps if assess_all or item == request.selection else ():
                    write_assessment(request, seed, item, step, eval_sets[item.dataset.folder], frames, skill)
            selected = plan.selected_step(request, request.run.trial(seed))
            for item in request.eval_sets if selected is not None else ():
                write_assessment(request, seed, item, selected, eval_sets[item.dataset.folder], frames, skill)
    summarise(request)
    return request.run


def assess_later(
    run: RunFolder, eval_sets: Mapping[str, int], seeds: Collection[int], frames: int = 25, **flags: Any
) -> None:
    """What ``seqtrack assess RUN --eval_datasets …`` adds to a finished run, at the selected steps."""
    flags = {"eval_samplers": ["full"], **flags}
    request = reassess.request_for(run, {"eval_datasets": list(eval_sets), **flags})
    counts = dict(zip((item.eval_id for item in request.eval_sets), eval_sets.values(), strict=True))
    for chosen in reassess.selected(run, list(seeds)):
        for item in request.eval_sets:
            write_assessment(request, chosen.seed, item, chosen.step, counts[item.eval_id], frames)


def write_assessment(
    request: Request, seed: int, item: EvalSet, step: int, sequences: int, frames: int = 25, skill: float = 0.5
) -> Path:
    """One finished assessment, unless it is there."""
    trial = request.run.trial(seed)
    folder = plan.final_folder(request, trial, Assessment(item, step))
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    progress = step / request.train.num_steps
    error = (1 - skill) * (1.6 - 0.6 * progress) + 0.02 * np.sin(seed)
    runs = [Run(_sequence(f"{item.dataset.folder}_{k:03d}", frames), 0, 0) for k in range(sequences)]
    tracks = [_track(run.sequence, error, seed, step, item.protocol) for run in runs]
    config_then = {
        "run_id": request.run_id, "seed": seed, "step": step, "eval_id": item.eval_id, "convention": item.convention,
        "dataset": to_plain(item.dataset),
        "train": to_dict(request.train), "assess": keyed(request.assess), "data": {"index": item.dataset.folder},
        "code": {"seqtrack/tracking/siamfc.py": "0" * 64},
    }  # fmt: skip
    what = {"eval_id": item.eval_id, "dataset": item.dataset, "step": step, "protocol": item.protocol}
    results.write_files(folder, runs, tracks, config_then, convention=item.convention, **what)
    return folder


def truth_of(name: str, frames: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(T, 4) x y w h: a target that wanders through 640 x 480 pixels."""
    rng = np.random.default_rng(list(name.encode()))
    size = rng.uniform(30, 90, 2)
    corners = rng.uniform(100, 300, 2) + rng.normal(0, 4, (frames, 2)).cumsum(axis=0)
    return np.hstack([corners, np.broadcast_to(size, (frames, 2))])


def _sequence(name: str, frames: int) -> Sequence:
    tags = {"occlusion": np.arange(frames) >= frames - 5}
    labels = Labels(name, truth_of(name, frames), np.ones(frames, bool), size=(640, 480), tags=tags)
    return Sequence(name, 0, 0, np.arange(frames), labels)


def _track(sequence: Sequence, error: float, seed: int, step: int, protocol: str) -> SequenceResult:
    """Drifts away from the truth, from each start anew."""
    name, truth, frames = sequence.name, sequence.boxes, len(sequence.frames)
    hardness = np.random.default_rng([1, *name.encode()]).uniform(0.3, 1.7)
    rng = np.random.default_rng([2, seed, step, int(1000 * error), *name.encode()])
    drift = rng.normal(0, 1, (frames, 4)).cumsum(axis=0) * [1, 1, 0.3, 0.3] * error * hardness * 60 / np.sqrt(frames)
    course: Course = OnePass(frames, truth[0])
    if protocol == SUPERVISED:
        course = Supervised(truth, sequence.present, lambda k, box: float(overlap(box[None], truth[k][None])[0]))
    started = 0
    while (at := course.next()) is not None:
        started = started if at.init_box is None else at.position
        box = truth[at.position] + drift[at.position] - drift[started]
        box[2:] = np.maximum(box[2:], 5)
        is_start = at.init_box is not None
        course.answer(truth[at.position] if is_start else box, np.nan if is_start else rng.uniform())
    return SequenceResult(name, 0, sequence.frames, course.boxes, course.scores, course.codes, frames / 80)


def _write_trial(
    request: Request,
    seed: int,
    frames: int,
    skill: float,
    is_done: bool,
    data: Mapping[str, str] | None,
    code: Mapping[str, str] | None,
) -> None:
    trial = request.run.trial(seed)
    record.create(
        trial,
        TrialRecord(
            cpu_threads=2, deterministic=True, period_summary=100, val_dataset=None,
            code=dict(code or {"seqtrack/training/loop.py": "1" * 64}),
            data={"vot2018": dict(data or {"index": "2" * 64, "frames": "3" * 64})},
            environment=ENVIRONMENT,
        ),
    )  # fmt: skip
    attempt = attempts.claim(trial)
    assert attempt is not None
    attempt.event("start", gpu="0", pid=os.getpid(), stage="all")
    total = request.train.num_steps
    attempt.event("train", step=0, total=total)
    csv = TrainCsv(trial.train_csv, 0, attempt.guard)
    csv.write()  # the first of its writes, so that rows are kept until the next
    rng = np.random.default_rng(seed)
    for step in range(100, (total if is_done else total // 2) + 1, 100):
        csv.add({"step": step, "lr": 1e-3, "loss": float(np.exp(-4 * skill * step / total) + 0.02 * rng.normal())})
    csv.write()
    attempt.event("progress", step=total if is_done else total // 2, total=total, loss=0.5, rate=50.0)
    if is_done:
        attempt.event("end", state="done", error=None, mistake=False)
    else:
        attempt.event("end", state="failed", error="CUDA out of memory", mistake=False)
