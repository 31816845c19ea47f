"""What a tracker is run on: the eval samplers, the truth of what they choose, and the runs over it.

    full          every labelled frame of every track            protocol ope
    sampling      one clip per track                              protocol ope
    supervised    as full, started again after each failure       protocol supervised (VOT2013 to 2019)
    longterm      as full, the confidence matters                 protocol longterm (VOT-LT)

Pure functions of the index: every trial, on every machine, is assessed on the same frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scores import Labels
from seqtrack.data.sampling.rng import generator
from seqtrack.errors import DataError, UserError
from seqtrack.schema import nearest

OPE, SUPERVISED, LONGTERM = "ope", "supervised", "longterm"
# The protocol that each sampler belongs to.
PROTOCOLS = {"full": OPE, "sampling": OPE, "supervised": SUPERVISED, "longterm": LONGTERM}
SAMPLERS = tuple(PROTOCOLS)
BENCHMARK = "benchmark"  # whichever of them the data set's authors use
FIRST_ONLY = ("got10k", "trackingnet")  # layouts whose test part has the first box only
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
    def visibility(self) -> NDArray[np.float16]: ...


class IndexView(Protocol):
    """What is needed of ``seqtrack.data.indexing.index.Index``."""

    @property
    def name(self) -> str: ...
    @property
    def layout(self) -> str: ...
    @property
    def num_videos(self) -> int: ...
    def video_length(self, video: int) -> int: ...
    def video_size(self, video: int) -> tuple[int, int]: ...
    def tracks_of(self, video: int) -> Iterable[int]: ...
    def track_name(self, track: int) -> str: ...
    def track(self, track: int) -> TrackView: ...
    def polygons(self, track: int) -> NDArray[np.float64] | None: ...


@dataclass(frozen=True)
class Sequence:
    """What is assessed of one track: T frames and their truth.

    frames: (T,) int64, increasing positions in the video's frame list.
    """

    name: str
    video: int
    track: int
    frames: NDArray[np.int64]
    labels: Labels

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(T, 4) x y w h in pixels of the original image."""
        return self.labels.boxes

    @property
    def present(self) -> NDArray[np.bool_]:
        """(T,) the target is in view and has a box with area: a tracker can be started there."""
        return self.labels.in_view


@dataclass(frozen=True)
class Run:
    """A tracker over a sequence from position ``start`` to its end.

    number: which of the sequence's runs this is (starts of TRE, repetitions, in the order of ``runs``).
    """

    sequence: Sequence
    number: int
    start: int

    @property
    def key(self) -> tuple[str, int]:
        """Its name in files."""
        return self.sequence.name, self.number

    @property
    def frames(self) -> NDArray[np.int64]:
        return self.sequence.frames[self.start :]

    @property
    def labels(self) -> Labels:
        """The truth from the start on."""
        return rows_of(self.sequence.labels, slice(self.start, None))


def runs(sequences: Iterable[Sequence], sampler: str, tre_num: int = 1, repeats: int = 1) -> list[Run]:
    """What a tracker is run on, in the order of ``sequences``.

    In ``ope`` each sequence has the starts of ``tre_starts``, elsewhere one: the first frame in view. All of that
    ``repeats`` times, for trackers that draw lots: with k starts, repetition r of start i is number r * k + i.
    """
    found = []
    for sequence in sequences:
        starts = tre_starts(sequence, tre_num if PROTOCOLS[sampler] == OPE else 1)
        found += [Run(sequence, number, start) for number, start in enumerate(starts * repeats)]
    return found


def own_sampler(benchmark: str) -> str:
    """The sampler by which a data set's authors assess: what ``benchmark`` stands for. Takes its ``benchmark_of``."""
    if benchmark.endswith(("_longterm", "-lt")):  # pysot's JSON is called VOT2018-LT
        return "longterm"
    return "supervised" if benchmark.startswith("vot") else "full"


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

    Every labelled frame of every track, and every frame of those whose benchmark publishes the first box only; with
    ``sampling`` one clip per track (``sample_clip``).
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
            sequence = _whole_track(index, video, number)
            if not sequence.present.any():
                continue
            if sampler == "sampling":
                picks = sample_clip(index.name, sequence.name, sequence.present)
                labels = rows_of(sequence.labels, picks)
                sequence = replace(sequence, frames=sequence.frames[picks], labels=labels)
            chosen.append(sequence)
    if not chosen:
        raise DataError(f"data set '{index.name}': no track has a frame with its target in view: nothing to assess")
    return chosen


def _whole_track(index: IndexView, video: int, number: int) -> Sequence:
    frames, labels = np.asarray(index.track(number).frames, np.int64), labels_of(index, video, number)
    if index.layout in FIRST_ONLY and len(frames) == 1 < index.video_length(video):
        # The truth is on a server, which wants the whole track.
        frames = np.arange(frames[0], index.video_length(video), dtype=np.int64)
        boxes = np.concatenate([labels.boxes, np.full((len(frames) - 1, 4), np.nan)])
        labels = replace(labels, boxes=boxes, present=np.arange(len(frames)) == 0)
    return Sequence(labels.name, video, number, frames, labels)


def labels_of(index: IndexView, video: int, number: int) -> Labels:
    """The truth of a track as its index has it, in coordinates that count from 0."""
    track, regions = index.track(number), index.polygons(number)
    return Labels(
        name=index.track_name(number),
        boxes=np.asarray(track.boxes, np.float64),
        # An index has a visibility for every data set: what the benchmark says of it without asking for a box.
        present=np.asarray(track.visibility > 0, np.bool_),
        size=index.video_size(video),
        regions=None if regions is None else np.asarray(regions, np.float64),
    )


def rows_of(labels: Labels, picks: NDArray[np.int64] | slice) -> Labels:
    """The truth of some of the frames; ``picks``: their positions, rising, or a slice (no copies)."""
    return replace(
        labels,
        boxes=labels.boxes[picks],
        present=labels.present[picks],
        regions=None if labels.regions is None else labels.regions[picks],
        tags={name: rows[picks] for name, rows in labels.tags.items()},
    )


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
