"""One checkpoint assessed: a tracker run on every sequence of an eval set, each durable as soon as it is done."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from seqtrack.assessment import protocols, results
from seqtrack.assessment.protocols import Run
from seqtrack.assessment.results import SequenceResult
from seqtrack.config import to_dict
from seqtrack.data import datasets
from seqtrack.data.datasets import Dataset
from seqtrack.data.imaging import images
from seqtrack.errors import TrialError
from seqtrack.pipeline import loaded_tracker, plan, record
from seqtrack.pipeline.device import find_device, set_determinism
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.identity import ASSESSMENT_DIGITS, digest, keyed
from seqtrack.runs.paths import TrialFolder
from seqtrack.tracking.base import Image, Tracker
from seqtrack.tracking.courses import START, TRACKED
from seqtrack.tracking.sequence import track_sequence
from seqtrack.training import checkpoints

log = logging.getLogger(__name__)

CONVENTION = "otb"
SECONDS_BETWEEN_PROGRESS = 2.0


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
        runs = protocols.runs(item.sequences(dataset.index, request.assess.max_eval_videos), item.sampler, tre_num)
        done = results.read_sequences(partial)
        for result in _measured_before(request, trial, assessment, config):
            is_wanted = any((result.name, result.start) == run.key for run in runs)
            if is_wanted and (result.name, result.start) not in done:
                results.write_sequence(partial, result, attempt.guard)
                done[result.name, result.start] = result
                attempt.event("reused", eval_id=item.eval_id, sequence=result.name, start=result.start)
        progress = _Progress(attempt, assessment, sum(len(run.frames) for run in runs), should_stop)
        tracker = make_tracker(request, trial, assessment.step)
        for run in runs:
            if run.key in done:
                progress.skip(len(run.frames))
                continue
            result = run_sequence(tracker, dataset, run, request.view_size, progress.count)
            results.write_sequence(partial, result, attempt.guard)
            where = {"eval_id": item.eval_id, "step": assessment.step, "sequence": result.name, "start": result.start}
            attempt.event("sequence", **where)
        summary = results.finish(
            partial,
            final,
            runs,
            config,
            eval_id=item.eval_id,
            dataset=item.dataset.folder,
            step=assessment.step,
            protocol=protocols.PROTOCOLS[item.sampler],
            convention=CONVENTION,
            tre_num=tre_num,
            guard=attempt.guard,
        )
    finally:
        dataset.close()
    metric = request.selection_metric.name
    score = summary["metrics"][metric]
    attempt.event("assessed", eval_id=item.eval_id, step=assessment.step, metric=metric, score=score)
    log.info("step %d on %s: %s %.3f", assessment.step, item.eval_id, metric, score)


def _config(request: Request, trial: TrialFolder, assessment: Assessment, dataset: Dataset) -> dict[str, Any]:
    """Everything that the result depends on; written beside it."""
    return {
        "run_id": request.run_id,
        "seed": trial.seed,
        "step": assessment.step,
        "eval_id": assessment.eval_set.eval_id,
        "convention": CONVENTION,
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
        other = plan.read_config(folder)
        if _what_a_track_depends_on(other) == _what_a_track_depends_on(config):
            has_same_starts = other["assess"]["eval_tre_num"] == request.assess.eval_tre_num
            found += [r for r in results.load_results(folder) if r.start == 0 or has_same_starts]
    return found


def _what_a_track_depends_on(config: dict[str, Any]) -> dict[str, Any]:
    assess = config.get("assess", {})
    how = [assess.get("tracker_params"), assess.get("eval_preproc")]
    return {**config, "assess": how, "convention": None}


class _Progress:
    """Events about frames tracked, not more often than every two seconds, and the moment to stop."""

    def __init__(self, attempt: Attempt, assessment: Assessment, total: int, should_stop: Callable[[], bool]) -> None:
        self._attempt = attempt
        self._should_stop = should_stop
        self._where = {"eval_id": assessment.eval_set.eval_id, "step": assessment.step, "total": total}
        self._done = 0
        self._spoke = -math.inf
        self.skip(0)

    def skip(self, frames: int) -> None:
        self._done += frames
        now = time.monotonic()
        if now - self._spoke >= SECONDS_BETWEEN_PROGRESS:
            self._spoke = now
            self._attempt.event("assess", done=self._done, **self._where)

    def count(self, frames: Iterator[Image]) -> Iterator[Image]:
        for frame in frames:
            # A long sequence may take longer than the seconds between SIGTERM and SIGKILL.
            if self._should_stop():
                raise Stopped
            yield frame
            self.skip(1)


def make_tracker(request: Request, trial: TrialFolder, step: int) -> Tracker:
    """The tracker with the weights of a checkpoint."""
    fixed = record.read(trial)
    execution = request.execution
    set_determinism(
        fixed.cpu_threads if fixed else execution.cpu_threads,
        fixed.deterministic if fixed else execution.deterministic,
    )
    device = find_device(execution.device)
    try:
        return loaded_tracker.make(trial.checkpoint(step), request.train, request.assess.tracker_params, device)
    except checkpoints.DamagedCheckpoint as error:
        checkpoints.set_aside(trial.checkpoint(step))
        raise TrialError(
            f"{error}; it is set aside: the same command goes on from the one before it (if there is none, remove"
            f" {trial.path / 'checkpoints'} to train this trial from the start)"
        ) from error


def run_sequence(
    tracker: Tracker,
    dataset: Dataset,
    run: Run,
    view_size: tuple[int, int] | None,
    watch: Callable[[Iterator[Image]], Iterator[Image]] = iter,
) -> SequenceResult:
    """Runs a tracker from the start of a run to its end.

    ``watch`` sees the frames go by. Coordinates are those of the original image throughout.
    """
    video = run.sequence.video
    track = track_sequence(
        tracker,
        watch(read_frames(dataset, video, run.frames)),
        run.sequence.boxes[run.start],
        dataset.index.video_size(video),
        view_size,
    )
    codes = np.full(len(run.frames), TRACKED, np.uint8)
    codes[0] = START
    return SequenceResult(*run.key, run.frames, track.boxes, track.scores, codes, track.seconds)


def read_frames(dataset: Dataset, video: int, frames: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Image]:
    for frame in frames.tolist():
        yield images.decode(dataset.read_frame(video, frame), functools.partial(dataset.describe_frame, video, frame))
