"""The runs of an assessment, tracked as the machine allows; what is found does not depend on how.

On a CPU, where a batch gains nothing, in processes of one thread each, this one included (more of them only where
that pays). On any other device all runs go through one batch in lock-step, if the family has a tracker that can.
"""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from seqtrack.assessment.protocols import OPE, SUPERVISED, Run
from seqtrack.assessment.results import SequenceResult
from seqtrack.data.datasets import Dataset
from seqtrack.data.imaging import images
from seqtrack.data.processes import Crew, usable_cores
from seqtrack.data.regions import overlaps
from seqtrack.data.sampling.rng import generator
from seqtrack.pipeline.device import set_determinism
from seqtrack.tracking.base import BatchTracker, Boxes, Image, Tracker
from seqtrack.tracking.courses import Course, OnePass, Supervised
from seqtrack.tracking.lockstep import OneByOne, track_in_lockstep
from seqtrack.tracking.sequence import TrackedRun, track
from seqtrack.training.loader import start_method

# A process has torch to import, where it is not forked, and a checkpoint to load.
WORTH_SECONDS = 4.0
FIRST_LOOK_SECONDS = 1.0
POLL_SECONDS = 0.2
MOST_DECODERS = 16
SECONDS_BETWEEN_REPORTS = 0.1

Frames = NDArray[np.int64]
Advance = tuple[int, list[SequenceResult]]
"""Frames that were done with since the last time (below 0: those of a run that begins again), and runs that ended."""


@dataclass(frozen=True)
class Setup:
    """What a process must know to track: all that is sent to one.

    ``load`` reads once what all runs share, and gives what makes a tracker for each of them.
    """

    load: Callable[[], Callable[[], Tracker]]
    dataset: Dataset
    protocol: str
    seed: int
    view_size: tuple[int, int] | None = None
    deterministic: bool = True
    rule: str = "pysot"
    """Of the supervised protocol: the convention by whose overlaps a tracker has failed."""

    def begin(self, run: Run, tracker: TrackerOfOneRun | None) -> TrackedRun:
        video = run.sequence.video
        return TrackedRun(
            self._course(run),
            functools.partial(_read, self.dataset, video, run.frames),
            self.dataset.index.video_size(video),
            self.view_size,
            functools.partial(self._prepare, run, tracker),
            functools.partial(_describe, self.dataset, video, run.frames),
        )

    def new_tracker(self) -> TrackerOfOneRun:
        """Loading that draws lots draws the same ones everywhere."""
        _seed(self.seed, "", 0)
        return TrackerOfOneRun(self.load())

    def _prepare(self, run: Run, tracker: TrackerOfOneRun | None) -> None:
        _seed(self.seed, *run.key)
        if tracker is not None:
            tracker.renew()

    def _course(self, run: Run) -> Course:
        boxes, present = run.sequence.boxes[run.start :], run.sequence.present[run.start :]
        if self.protocol != SUPERVISED:
            return OnePass(len(boxes), boxes[0])
        return Supervised(boxes, present, self._overlap(run))

    def _overlap(self, run: Run) -> Callable[[int, Boxes], float]:
        labels, (width, height) = run.labels, self.dataset.index.video_size(run.sequence.video)
        truth = labels.boxes if labels.regions is None else labels.regions
        last = (width - 1, height - 1)
        return lambda at, box: float(overlaps(box[None], truth[at : at + 1], last, self.rule)[0])


class TrackerOfOneRun:
    """A tracker that is made anew for each run, so that what it keeps from one (the state of a generator of its own,
    a memory) says nothing in the next, which another process may be given."""

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self._make = make
        self._tracker: Tracker | None = None

    def renew(self) -> None:
        self._tracker = None  # first: there may be no room for two
        self._tracker = self._make()

    def init(self, frame: Image, box: ArrayLike) -> None:
        assert self._tracker is not None
        self._tracker.init(frame, box)

    def update(self, frame: Image) -> tuple[Boxes, float]:
        assert self._tracker is not None
        return self._tracker.update(frame)


def on_cpu(setup: Setup, runs: Iterable[Run], processes: int, at_once: bool) -> Generator[Advance]:
    """Tracks every run, the longest first so that cores stay busy to the end. Tells each frame or so how far it is.

    Close it to stop: no process is left behind. If one is killed, its frames are taken back (a negative number) and
    its run is done again.

    Args:
        processes: at most so many, this one included.
        at_once: start them without a look whether that pays.
    """
    waiting = _longest_first(runs)
    tracker = setup.new_tracker()
    crew: Crew[Run, Advance] | None = None
    counted: Counter[tuple[str, int]] = Counter()

    def collect(timeout: float = 0.0) -> Iterator[Advance]:
        assert crew is not None
        for run, advance in crew.poll(waiting, timeout):
            if advance is None:  # it waits again, from its first frame
                yield -counted.pop(run.key, 0), []
            else:
                counted[run.key] += advance[0]
                yield advance

    begun, frames_done = time.monotonic(), 0
    try:
        while waiting or (crew is not None and crew.is_busy):
            if not waiting:
                yield 0, []
                yield from collect(POLL_SECONDS)
                continue
            for advance in _track(setup, tracker, waiting.popleft()):
                frames_done += advance[0]
                helpers = min(processes - 1, len(waiting))
                if crew is None and helpers > 0:
                    seconds = time.monotonic() - begun
                    seconds_left = sum(len(run.frames) for run in waiting) * seconds / max(frames_done, 1)
                    if at_once or (seconds > FIRST_LOOK_SECONDS and seconds_left > WORTH_SECONDS):
                        crew = Crew(_prepare, setup, helpers, start_method())
                yield advance
                if crew is not None:
                    yield from collect()
    finally:
        if crew is not None:
            crew.close()


def on_device(setup: Setup, runs: Iterable[Run], batch: BatchTracker | None) -> Generator[Advance]:
    """The same with ``batch``, a tracker of many runs on a GPU; None: one after the other."""
    alone: TrackerOfOneRun | None = None
    tracker = batch
    if tracker is None:
        alone = setup.new_tracker()
        tracker = OneByOne(alone)
    begun: dict[TrackedRun, Run] = {}

    def begin() -> Iterator[TrackedRun]:
        for run in _longest_first(runs):
            tracked = setup.begin(run, alone)
            begun[tracked] = run
            yield tracked

    with contextlib.closing(track_in_lockstep(tracker, begin(), min(usable_cores(), MOST_DECODERS))) as ticks:
        for advanced, finished in ticks:
            yield advanced, [_result(begun.pop(tracked), tracked) for tracked in finished]


def _longest_first(runs: Iterable[Run]) -> deque[Run]:
    return deque(sorted(runs, key=lambda run: -len(run.frames)))


def _prepare(setup: Setup) -> Callable[[Run], Iterator[Advance]]:
    """In a process of a crew: what it does with a run. Same arithmetic as in the process that it helps."""
    set_determinism(1, setup.deterministic)
    return functools.partial(_seldom, setup, setup.new_tracker())


def _seldom(setup: Setup, tracker: TrackerOfOneRun, run: Run) -> Iterator[Advance]:
    """``_track``, but it speaks no more often than anybody listens."""
    spoke, frames = time.monotonic(), 0
    for advanced, finished in _track(setup, tracker, run):
        frames += advanced
        if finished or time.monotonic() - spoke > SECONDS_BETWEEN_REPORTS:
            yield frames, finished
            spoke, frames = time.monotonic(), 0


def _track(setup: Setup, tracker: TrackerOfOneRun, run: Run) -> Iterator[Advance]:
    tracked = setup.begin(run, tracker)
    for advanced in track(tracker, tracked):
        yield advanced, []
    yield 0, [_result(run, tracked)]


def run_sequence(
    tracker: Tracker, dataset: Dataset, run: Run, view_size: tuple[int, int] | None = None, protocol: str = OPE
) -> SequenceResult:
    """One run, here and now."""
    setup = Setup(lambda: lambda: tracker, dataset, protocol, 0, view_size)
    *_, (_, (result,)) = _track(setup, setup.new_tracker(), run)
    return result


def _result(run: Run, tracked: TrackedRun) -> SequenceResult:
    course = tracked.course
    return SequenceResult(*run.key, run.frames, course.boxes, course.scores, course.codes, tracked.seconds)


def _read(dataset: Dataset, video: int, frames: Frames, position: int) -> Image:
    frame = int(frames[position])
    return images.decode(dataset.read_frame(video, frame), functools.partial(dataset.describe_frame, video, frame))


def _describe(dataset: Dataset, video: int, frames: Frames, position: int) -> str:
    return dataset.describe_frame(video, int(frames[position]))


def read_frames(dataset: Dataset, video: int, frames: Frames) -> Iterator[Image]:
    """All of them in turn, decoded."""
    return map(functools.partial(_read, dataset, video, frames), range(len(frames)))


def _seed(seed: int, name: str, number: int) -> None:
    """A tracker that draws lots draws the same ones whenever, and wherever, this run is made."""
    drawn = int(generator(seed, "assessment-run", name, str(number)).integers(2**32))
    random.seed(drawn)
    np.random.seed(drawn)
    torch.manual_seed(drawn)
