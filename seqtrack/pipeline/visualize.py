"""Videos with boxes of the sequences that a trial was reported on, drawn from the stored tracks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import quote

import numpy as np

from seqtrack.assessment import results
from seqtrack.data import datasets
from seqtrack.pipeline import plan
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.track_runs import read_frames
from seqtrack.reporting.video import write_video
from seqtrack.runs.attempts import Attempt

log = logging.getLogger(__name__)


def visualize(request: Request, attempt: Attempt, should_stop: Callable[[], bool]) -> bool:
    """Writes what is missing: ``<sequence>.mp4``, and its frames as pictures with ``--keep_frames``. False if it
    stopped between two videos because it was asked to."""
    step = plan.selected_step(request, attempt.trial)
    if step is None:
        return True
    for item in request.eval_sets:
        assessment = Assessment(item, step)
        folder = plan.video_folder(request, attempt.trial, assessment)
        dataset = datasets.open_dataset(item.dataset, request.eval_locations, log.info)
        try:
            for sequence in item.sequences(dataset.index, request.assess.max_eval_videos):
                path = folder / f"{quote(sequence.name, safe=' ')}.mp4"
                if path.exists() and (path.with_suffix("").exists() or not request.execution.keep_frames):
                    continue
                if should_stop():
                    return False
                track = results.load_track(plan.final_folder(request, attempt.trial, assessment), sequence.name)
                frames = np.asarray(track["frame"], np.int64)
                positions = np.searchsorted(sequence.frames, frames)
                attempt.guard()
                write_video(
                    path,
                    read_frames(dataset, sequence.video, frames),
                    sequence.boxes[positions],
                    np.stack([track[column] for column in "xywh"], axis=1),
                    original_size=dataset.index.video_size(sequence.video),
                    frame_numbers=frames.tolist(),
                    keep_frames=path.with_suffix("") if request.execution.keep_frames else None,
                )
                log.info("video %s", path)
        finally:
            dataset.close()
        plan.videos_complete(request, folder).touch()
    return True
