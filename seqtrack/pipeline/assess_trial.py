"""One checkpoint assessed: a tracker run on every sequence of an eval set, each durable as soon as it is done."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from seqtrack.assessment import protocols, results
from seqtrack.assessment.marked import marked
from seqtrack.assessment.protocols import SUPERVISED, Run
from seqtrack.assessment.results import SequenceResult
from seqtrack.config import to_dict
from seqtrack.data import datasets
from seqtrack.data.datasets import Dataset
from seqtrack.data.lists import to_plain
from seqtrack.errors import TrialError
from seqtrack.pipeline import families, loaded_tracker, plan, record
from seqtrack.pipeline.cores import assessment_processes, processes_on_gpu
from seqtrack.pipeline.device import find_device, let_go_of_memory, set_determinism
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.sources import Sources
from seqtrack.pipeline.track_runs import Advance, Setup, on_cpu, on_device
from seqtrack.runs import code
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.identity import ASSESSMENT_DIGITS, digest, keyed
from seqtrack.runs.paths import CheckpointFolder, TrialFolder
from seqtrack.tracking.base import BatchTracker
from seqtrack.training import checkpoints

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 2.0

Made = TypeVar("Made")


class Stopped(Exception):
    """Asked to stop; sequences that are done stay done, the one at work is begun again."""


def assess(request: Request, attempt: Attempt, assessment: Assessment, should_stop: Callable[[], bool]) -> None:
    """Assesses what is missing of one assessment, and publishes it as a whole.

    Raises:
        Stopped: ``should_stop()`` said so.
    """
    trial, item, tre_num = attempt.trial, assessment.eval_set, request.assess.eval_tre_num
    final = plan.final_folder(request, trial, assessment)
    dataset = datasets.open_dataset(item.dataset, request.eval_locations, log.info)
    try:
        config = _config(request, trial, assessment, dataset)
        # Sequences tracked by other code, or on other data, are not taken over.
        partial = final.with_name(f".partial-{final.name}-{digest(config)[:ASSESSMENT_DIGITS]}")
        sequences = item.sequences(dataset.index, request.assess.max_eval_videos)
        if item.protocol == protocols.SUPERVISED:
            sequences = marked(sequences, dataset.index, item.dataset, request.eval_locations)
        runs = protocols.runs(sequences, item.sampler, tre_num, request.assess.eval_repeats)
        done = results.read_sequences(partial)
        for result in _measured_before(request, trial, assessment, config):
            is_wanted = any((result.name, result.start) == run.key for run in runs)
            if is_wanted and (result.name, result.start) not in done:
                results.write_sequence(partial, result, attempt.guard)
                done[result.name, result.start] = result
                attempt.event("reused", eval_id=item.eval_id, sequence=result.name, start=result.start)
        progress = _Progress(attempt, assessment, sum(len(run.frames) for run in runs), should_stop)
        progress.count(sum(len(run.frames) for run in runs if run.key in done))
        missing = [run for run in runs if run.key not in done]
        with contextlib.closing(_track(request, trial, assessment, dataset, missing)) as advances:
            for frames, finished in advances:
                for result in finished:
                    results.write_sequence(partial, result, attempt.guard)
                    where = {"eval_id": item.eval_id, "step": assessment.step}
                    attempt.event("sequence", **where, sequence=result.name, start=result.start)
                progress.count(frames)
        summary = results.finish(
            partial,
            final,
            runs,
            config,
            eval_id=item.eval_id,
            dataset=item.dataset,
            step=assessment.step,
            protocol=item.protocol,
            convention=item.convention,
            tre_num=tre_num,
            guard=attempt.guard,
        )
    finally:
        dataset.close()
    metric = request.headline(item)
    score = summary["metrics"][metric]
    attempt.event("assessed", eval_id=item.eval_id, step=assessment.step, metric=metric, score=score)
    log.info("step %d on %s: %s %s", assessment.step, item.eval_id, metric, score)


def _config(request: Request, trial: TrialFolder, assessment: Assessment, dataset: Dataset) -> dict[str, Any]:
    """Everything that the result depends on; written beside it."""
    return {
        "run_id": request.run_id,
        "seed": trial.seed,
        "step": assessment.step,
        "eval_id": assessment.eval_set.eval_id,
        "dataset": to_plain(assessment.eval_set.dataset),
        "convention": assessment.eval_set.convention,
        "train": to_dict(request.train),
        "assess": keyed(request.assess),
        "data": dataset.data_fingerprint,
        "code": request.assessment_code,
    }


def _measured_before(
    request: Request, trial: TrialFolder, assessment: Assessment, config: dict[str, Any]
) -> list[SequenceResult]:
    """Tracks of finished assessments that differ in nothing that a track depends on.

    The number of TRE starts and of videos decides which tracks there are, not what one of them is; but the further
    starts of another TRE_n lie elsewhere, so only OPE's start is taken from those.
    """
    found = []
    for folder in sorted(trial.assessments(assessment.eval_set.eval_id).glob(f"step_{assessment.step:08d}-*")):
        if not results.is_finished(folder):
            continue
        other = results.load_config(folder)
        if what_a_track_depends_on(other) == what_a_track_depends_on(config):
            has_same_starts = other["assess"]["eval_tre_num"] == request.assess.eval_tre_num
            found += [r for r in results.load_results(folder) if r.start == 0 or has_same_starts]
    return found


def what_a_track_depends_on(config: dict[str, Any]) -> dict[str, Any]:
    """Of the ``config.yaml`` of an assessment."""
    assess = config.get("assess", {})
    how = [assess.get("tracker_params"), assess.get("eval_preproc")]
    # Restarts are where the convention sees an overlap of 0.
    restarts = str(config.get("eval_id")).endswith(f"-{SUPERVISED}")
    convention = config.get("convention") if restarts else None
    return {**config, "assess": how, "convention": convention, "dataset": None}  # eval_id and data say which it is


class _Progress:
    """Events about frames tracked, not more often than every two seconds, and the moment to stop."""

    def __init__(self, attempt: Attempt, assessment: Assessment, total: int, should_stop: Callable[[], bool]) -> None:
        self._attempt = attempt
        self._should_stop = should_stop
        self._where = {"eval_id": assessment.eval_set.eval_id, "step": assessment.step, "total": total}
        self._done = 0
        self._spoke = -math.inf
        self.count(0)

    def count(self, frames: int) -> None:
        """For each frame or so: a sequence may take longer than the seconds between SIGTERM and SIGKILL."""
        self._done += frames
        now = time.monotonic()
        if now - self._spoke >= SECONDS_BETWEEN_PROGRESS:
            self._spoke = now
            self._attempt.event("assess", done=self._done, **self._where)
        if self._should_stop():
            raise Stopped


def _track(
    request: Request, trial: TrialFolder, assessment: Assessment, dataset: Dataset, runs: list[Run]
) -> Generator[Advance]:
    """Runs the checkpoint's tracker as this machine can."""
    if not runs:
        return
    fixed, execution = record.read(trial), request.execution
    deterministic = fixed.deterministic if fixed else execution.deterministic
    set_determinism(1, deterministic)
    device = find_device(execution.device)
    how: dict[str, Any] = {"train": request.train, "tracker_params": request.assess.tracker_params, "device": device}
    load = functools.partial(_load, trial, assessment.step)
    setup = Setup(
        functools.partial(load, functools.partial(loaded_tracker.maker, **how)),
        dataset,
        protocols.PROTOCOLS[assessment.eval_set.sampler],
        trial.seed,
        request.view_size,
        deterministic,
        assessment.eval_set.convention,
        functools.partial(_changed_code, families.plugin(request.train.model), request.assessment_code),
    )
    at_once = execution.eval_workers is not None
    if gains_by_batches(device):
        let_go_of_memory()
        batch = functools.partial(_load_batch, trial, assessment.step, how)
        yield from on_device(setup, runs, batch, execution.eval_batch, processes_on_gpu(execution), at_once)
    else:
        trials_left = sum(not plan.is_complete(request, request.run.trial(seed)) for seed in request.seeds)
        yield from on_cpu(setup, runs, assessment_processes(execution, trials_left), at_once)


def gains_by_batches(device: torch.device) -> bool:
    """A CPU does not (docs/benchmarks.md)."""
    return device.type != "cpu"


def _changed_code(plugin: str | None, before: dict[str, str]) -> list[str]:
    """A process that is not forked reads the code again, which a person may have edited since."""
    return code.changed(before, Sources().assessment(plugin))


def _load_batch(trial: TrialFolder, step: int, how: dict[str, Any], slots: int) -> BatchTracker | None:
    return _load(trial, step, functools.partial(loaded_tracker.make_batch, slots=slots, **how))


def _load(trial: TrialFolder, step: int, make: Callable[[CheckpointFolder], Made]) -> Made:
    """A tracker with the weights of a checkpoint."""
    try:
        return make(trial.checkpoint(step))
    except checkpoints.DamagedCheckpoint as error:
        checkpoints.set_aside(trial.checkpoint(step))
        raise TrialError(
            f"{error}; it is set aside: the same command goes on from the one before it (if there is none, remove"
            f" {trial.path / 'checkpoints'} to train this trial from the start)"
        ) from error
