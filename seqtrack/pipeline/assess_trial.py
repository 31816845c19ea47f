"""One checkpoint assessed: a tracker run on every sequence of an eval set, each durable as soon as it is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch

from seqtrack.assessment import protocols, results
from seqtrack.assessment.metrics import sequence_metrics
from seqtrack.assessment.protocols import Sequence
from seqtrack.assessment.results import SequenceResult
from seqtrack.config import to_dict
from seqtrack.data import datasets, images
from seqtrack.data.datasets import Dataset
from seqtrack.errors import TrialError
from seqtrack.pipeline import plan
from seqtrack.pipeline.device import find_device, set_determinism
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.paths import TrialFolder
from seqtrack.tracking.base import Image, Tracker
from seqtrack.tracking.sequence import track_sequence
from seqtrack.training import checkpoints

log = logging.getLogger(__name__)

CONVENTION = "otb"


class Stopped(Exception):
    """Asked to stop between two sequences; what is done stays done."""


def assess(request: Request, attempt: Attempt, assessment: Assessment, should_stop: Callable[[], bool]) -> None:
    """Assesses what is missing of one assessment, and publishes it as a whole.

    Raises:
        Stopped: ``should_stop()`` said so.
    """
    trial = attempt.trial
    final = plan.final_folder(request, trial, assessment)
    partial = final.with_name(f".partial-{final.name}")
    dataset = datasets.open_dataset(assessment.eval_set.dataset, request.locations, log.info)
    try:
        sequences = protocols.sequences(dataset.index, assessment.eval_set.sampler, request.assess.max_eval_videos)
        runs = [
            (sequence, number, start)
            for sequence in sequences
            for number, start in enumerate(protocols.tre_starts(sequence, request.assess.eval_tre_num))
        ]
        done = results.read_sequences(partial)
        tracker = make_tracker(request, trial, assessment.step)
        for count, (sequence, number, start) in enumerate(runs):
            attempt.event(
                "assess",
                eval_id=assessment.eval_set.eval_id,
                step=assessment.step,
                done=count,
                total=len(runs),
            )
            if (sequence.name, number) in done:
                continue
            if should_stop():
                raise Stopped
            result = run_sequence(tracker, dataset, sequence, number, start, request.view_size)
            results.write_sequence(partial, result, attempt.guard)
        config = {
            "run_id": request.run_id,
            "seed": trial.seed,
            "step": assessment.step,
            "eval_id": assessment.eval_set.eval_id,
            "convention": CONVENTION,
            "train": to_dict(request.train),
            "assess": {
                "eval_tre_num": request.assess.eval_tre_num,
                "max_eval_videos": request.assess.max_eval_videos,
                "tracker_params": request.assess.tracker_params,
            },
            "data": dataset.data_fingerprint,
            "code": request.assessment_code(),
        }
        summary = results.finish(
            partial,
            final,
            [(sequence.name, number) for sequence, number, _ in runs],
            config,
            eval_id=assessment.eval_set.eval_id,
            step=assessment.step,
            convention=CONVENTION,
            tre_num=request.assess.eval_tre_num,
            guard=attempt.guard,
        )
    finally:
        dataset.close()
    score = summary["metrics"][request.selection_metric.name]
    attempt.event(
        "assessed", eval_id=assessment.eval_set.eval_id, step=assessment.step,
        metric=request.selection_metric.name, score=score,
    )  # fmt: skip
    log.info(
        "step %d on %s: %s %.3f",
        assessment.step,
        assessment.eval_set.eval_id,
        request.selection_metric.name,
        score,
    )


def make_tracker(request: Request, trial: TrialFolder, step: int) -> Tracker:
    """The tracker with the weights of a checkpoint."""
    from seqtrack.pipeline import record

    fixed = record.read(trial)
    execution = request.execution
    set_determinism(
        fixed.cpu_threads if fixed else execution.cpu_threads,
        fixed.deterministic if fixed else execution.deterministic,
    )
    device = find_device(execution.device)
    task = request.family.task(request.train.model_params, with_files=False)
    try:
        checkpoint = checkpoints.load(trial.checkpoint(step))
    except checkpoints.DamagedCheckpoint as error:
        raise TrialError(f"{error}; remove that folder to train this trial again") from error
    for name, network in task.networks.items():
        network.load_state_dict(checkpoint.networks[name])
    task.to(device)
    task.set_mode(training=False)
    with torch.inference_mode():
        return request.family.tracker(task, request.assess.tracker_params, device, request.train.precision)


def run_sequence(
    tracker: Tracker,
    dataset: Dataset,
    sequence: Sequence,
    number: int,
    start: int,
    view_size: tuple[int, int] | None,
) -> SequenceResult:
    """Runs a tracker from position ``start`` of a sequence to its end, and measures it there.

    ``number`` is which of the starts this is. Coordinates are those of the original image throughout.
    """
    frames = sequence.frames[start:]
    truth, present = sequence.boxes[start:], sequence.present[start:]
    track = track_sequence(
        tracker,
        read_frames(dataset, sequence.video, frames),
        truth[0],
        dataset.index.video_size(sequence.video),
        view_size,
    )
    return SequenceResult(
        name=sequence.name,
        start=number,
        frames=frames,
        boxes=track.boxes,
        scores=track.scores,
        present=present,
        metrics=sequence_metrics(track.boxes, truth, present, CONVENTION),
        seconds=track.seconds,
    )


def read_frames(dataset: Dataset, video: int, frames: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Image]:
    for frame in frames.tolist():
        yield images.decode(
            dataset.read_frame(video, frame), lambda frame=frame: dataset.describe_frame(video, frame)
        )
