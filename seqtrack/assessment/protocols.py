"""Which frames a tracker is run on: the eval samplers ``full`` and ``sampling``, and the starts of TRE.

Pure functions of the index: every trial, on every machine, is assessed on the same frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.sampling.rng import generator
from seqtrack.errors import DataError, UserError
from seqtrack.schema import nearest

SAMPLERS = ("full", "sampling")
SAMPLING_MAX_FRAMES = 100
SAMPLING_MAX_STRIDE = 4
# OTB's split into TRE segments leaves at least so many frames after the last start (tracker_benchmark, minNum).
TRE_MIN_FRAMES = 20
_SEED = 0  # of the choices below; a constant, for all trials are assessed on the same frames


class TrackView(Protocol):
    """What is needed of ``seqtrack.data.indexing.index.Track``."""

    @property
    def frames(self) -> NDArray[np.int32]: ...
    @property
    def boxes(self) -> NDArray[np.float64]: ...
    @property
    def present(self) -> NDArray[np.bool_]: ...


class IndexView(Protocol):
    """What is needed of ``seqtrack.data.indexing.index.Index``."""

    @property
    def name(self) -> str: ...
    @property
    def num_videos(self) -> int: ...
    def tracks_of(self, video: int) -> Iterable[int]: ...
    def track_name(self, track: int) -> str: ...
    def track(self, track: int) -> TrackView: ...


@dataclass(frozen=True)
class Sequence:
    """What one tracker run may see of one track.

    frames: (T,) int64, increasing positions in the video's frame list; boxes: (T, 4) float64, x y w h in
    pixels of the original image; present: (T,) bool, the target is in view and has a box.
    """

    name: str
    video: int
    track: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    present: NDArray[np.bool_]


def eval_id(dataset: str, sampler: str) -> str:
    """The name under which an assessment is stored and reported, such as ``otb_50-full``."""
    return f"{dataset}-{sampler}"


def dataset_of(eval_id: str) -> str:
    """The data set's part of an eval id; a name without a sampler at its end is taken as it is."""
    name, _, sampler = eval_id.rpartition("-")
    return name if name and sampler in SAMPLERS else eval_id


def sequences(
    index: IndexView,
    sampler: str = "full",
    max_videos: int | None = None,
    videos: Iterable[int] | None = None,
) -> list[Sequence]:
    """The sequences of a data set, in the order of its index.

    ``full``: every labelled frame of every track. ``sampling``: one clip per track (``sample_clip``).
    ``videos``: those that are assessed on; None means all. ``max_videos``: a seeded subset of them, the same for
    all trials and samplers.
    A track whose target is never in view has no start and is left out. Raises UserError for an unknown
    sampler, and DataError where nothing is left.
    """
    if sampler not in SAMPLERS:
        raise UserError(f"--eval_samplers: {sampler!r} is not known; {nearest(sampler, SAMPLERS)}")
    chosen = []
    there = range(index.num_videos) if videos is None else videos
    for video in _choose_videos(index.name, there, max_videos):
        for number in index.tracks_of(video):
            name, track = index.track_name(number), index.track(number)
            boxes = np.asarray(track.boxes, np.float64)
            present = np.asarray(track.present, np.bool_) & _has_area(boxes)
            if not present.any():
                continue
            picks = np.arange(len(present))
            if sampler == "sampling":
                picks = sample_clip(index.name, name, present)
            frames = np.asarray(track.frames, np.int64)
            chosen.append(Sequence(name, video, number, frames[picks], boxes[picks], present[picks]))
    if not chosen:
        raise DataError(f"data set '{index.name}': no track has a frame with its target in view: nothing to assess")
    return chosen


def sample_clip(dataset: str, track: str, present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The clip of ``sampling``: rising positions in a track; ``present`` (T,) says where its target is seen.

    A stride of 1 to 4 is drawn, then a start among the present frames from which the clip (100 frames, or as
    many as the track has at that stride) fits; with no such frame the clip starts at the first present one
    and is shorter. A pure function of the two names and ``present``.
    """
    rng = generator(_SEED, "assessment-sampling", dataset, track)
    stride = int(rng.integers(1, SAMPLING_MAX_STRIDE + 1))
    total = len(present)
    length = min(SAMPLING_MAX_FRAMES, -(-total // stride))
    candidates = np.flatnonzero(present)
    fitting = candidates[candidates <= total - 1 - stride * (length - 1)]
    start = int(rng.choice(fitting)) if len(fitting) else int(candidates[0])
    return np.arange(start, total, stride, dtype=np.int64)[:length]


def tre_starts(sequence: Sequence, n: int = 1) -> list[int]:
    """Positions in ``sequence`` where a tracker is started; each run goes on to the end (Wu et al. 2013).

    The first is the first frame with the target in view. The others are spread evenly, as OTB's own tool
    does, over the frames with the target in view that leave at least 20 frames (in a short sequence half of
    it). Strictly increasing; fewer than ``n`` where there are not so many frames. Raises DataError where
    the target is never in view and ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"number of starts: at least 1 expected, got {n}")
    seen = np.flatnonzero(sequence.present)
    if not len(seen):
        raise DataError(f"sequence '{sequence.name}': its target is never in view: there is no frame to start at")
    if n == 1:
        return [int(seen[0])]
    total = len(sequence.present)
    last = total - min(TRE_MIN_FRAMES, max(total // 2, 1))
    seen = seen[(seen <= last) | (seen == seen[0])]
    steps = [min(i * len(seen) // (n - 1), len(seen) - 1) for i in range(n)]
    return [int(seen[k]) for k in sorted(set(steps))]


def _choose_videos(dataset: str, videos: Iterable[int], max_videos: int | None) -> list[int]:
    there = sorted(videos)
    if max_videos is None or max_videos >= len(there):
        return there
    if max_videos < 1:
        raise UserError(f"--max_eval_videos: at least 1 expected, got {max_videos}")
    order = generator(_SEED, "assessment-videos", dataset).permutation(len(there))
    return sorted(there[video] for video in order[:max_videos])


def _has_area(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    # NaN compares false. OTB has rows of zeros (Board, Twinnings): truth to be measured, no place to start at.
    return np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
