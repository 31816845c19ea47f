"""The runs of an assessment, tracked as the machine allows; what is found does not depend on how.

In processes, this one included (more of them only where that pays), which take the runs in shares. On a CPU, where a
batch gains nothing, each tracks one run after the other with one thread. On any other device each takes its share
through a batch in lock-step, if the family has a tracker that can: a GPU is so quick that one process, whose threads
take turns for Python's lock, cannot feed it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from seqtrack.assessment.protocols import OPE, SUPERVISED, Run
from seqtrack.assessment.results import SequenceResult
from seqtrack.data.datasets import Dataset
from seqtrack.data.imaging import images
from seqtrack.data.processes import CannotHelp, Crew, usable_cores
from seqtrack.data.regions import overlaps
from seqtrack.data.sampling.rng import generator
from seqtrack.errors import TrialError
from seqtrack.pipeline.cores import slots_of_one
from seqtrack.pipeline.device import room_for_more, set_determinism
from seqtrack.tracking.base import BatchTracker, Boxes, Image, Tracker
from seqtrack.tracking.courses import Course, OnePass, Supervised
from seqtrack.tracking.lockstep import OneByOne, track_in_lockstep
from seqtrack.tracking.sequence import TrackedRun, track
from seqtrack.training.loader import start_method

log = logging.getLogger(__name__)

# A process has torch to import, where it is not forked, and a checkpoint to load.
WORTH_SECONDS = 4.0
# On a GPU it has that to start as well.
WORTH_SECONDS_ON_DEVICE = 20.0
# Some 20 s of one process there: fewer than these it tracks alone, with all slots.
WORTH_FRAMES_ON_DEVICE = 20_000
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
    changed_code: Callable[[], list[str]] = list
    """Names of files of code that are not what this process began with."""

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


Share = tuple[Run, ...]


class Work(Protocol):
    """How one process tracks. Sent to each as it is."""

    @property
    def setup(self) -> Setup: ...

    def prepare(self) -> Callable[[Share], Iterator[Advance]]:
        """Called there once: what loads a checkpoint, and gives what tracks a share."""


@dataclass(frozen=True)
class OneAfterTheOther:
    """What a process does on a CPU."""

    setup: Setup

    def prepare(self) -> Callable[[Share], Iterator[Advance]]:
        return functools.partial(_track, self.setup, self.setup.new_tracker())


@dataclass(frozen=True)
class InLockstep:
    """What a process does on any other device.

    Attributes:
        load_batch: gives a batch tracker; None: the family has none, and tracks one run after the other.
        decoders: threads that read and decode frames ahead.
    """

    setup: Setup
    load_batch: Callable[[], BatchTracker | None]
    decoders: int

    def prepare(self) -> Callable[[Share], Iterator[Advance]]:
        batch = self.load_batch()
        if batch is not None:
            return functools.partial(_together, self.setup, batch, None, self.decoders)
        alone = self.setup.new_tracker()
        return functools.partial(_together, self.setup, OneByOne(alone), alone, self.decoders)


def on_cpu(setup: Setup, runs: Iterable[Run], processes: int, at_once: bool) -> Generator[Advance]:
    """Tracks every run, the longest first so that cores stay busy to the end. Tells each frame or so how far it is.

    Close it to stop: no process is left behind. If one is killed, its frames are taken back (a negative number) and
    its share is done again, but for runs that had ended.

    Args:
        processes: at most so many, this one included.
        at_once: start them without a look whether that pays.
    """
    shares = [(run,) for run in _longest_first(runs)]
    return _side_by_side(OneAfterTheOther(setup), shares, processes, at_once, WORTH_SECONDS, start_method())


def on_device(
    setup: Setup,
    runs: Iterable[Run],
    load_batch: Callable[[int], BatchTracker | None],
    slots: int,
    processes: int = 1,
    at_once: bool = False,
) -> Generator[Advance]:
    """The same on a GPU.

    Args:
        load_batch: makes a tracker of so many runs at a time, in each process; None of a family that has none.
        slots: of all processes together.
    """
    longest_first = _longest_first(runs)
    if not at_once and sum(len(run.frames) for run in longest_first) < WORTH_FRAMES_ON_DEVICE:
        processes = 1
    own_slots = slots_of_one(slots, processes)
    decoders = min(max(1, usable_cores() // processes), MOST_DECODERS)
    work = InLockstep(setup, functools.partial(load_batch, own_slots), decoders)
    # Of runs that are about as long as each other a batch stays full to their end.
    size = own_slots if processes > 1 else max(1, len(longest_first))
    shares = [tuple(longest_first[i : i + size]) for i in range(0, len(longest_first), size)]
    # A process that is forked cannot use a GPU.
    return _side_by_side(work, shares, processes, at_once, WORTH_SECONDS_ON_DEVICE, "spawn")


def _side_by_side(
    work: Work, shares: Iterable[Share], processes: int, at_once: bool, worth_seconds: float, method: str
) -> Generator[Advance]:
    waiting = deque(shares)
    track_share = work.prepare()
    crew: Crew[Share, Advance] | None = None
    counted: Counter[tuple[str, int]] = Counter()  # of runs that have not ended, by the first of their share
    ended: set[tuple[str, int]] = set()

    def collect(timeout: float = 0.0) -> Iterator[Advance]:
        assert crew is not None
        for share, advance in crew.poll(waiting, timeout):
            if advance is None:  # what is left of it waits again, from its first frame
                left = tuple(run for run in waiting.popleft() if run.key not in ended)
                waiting.extendleft([left] if left else [])
                yield -counted.pop(share[0].key, 0), []
                continue
            frames, finished = advance
            ended.update((result.name, result.start) for result in finished)
            # What has ended stays counted if its process is killed.
            counted[share[0].key] += frames - sum(len(result.frames) for result in finished)
            yield frames, finished

    begun, frames_done = time.monotonic(), 0
    try:
        while waiting or (crew is not None and crew.is_busy):
            if not waiting:
                yield 0, []
                yield from collect(POLL_SECONDS)
                continue
            for advance in track_share(waiting.popleft()):
                frames_done += advance[0]
                if crew is None and min(processes - 1, len(waiting)) > 0:
                    seconds = time.monotonic() - begun
                    frames_left = sum(len(run.frames) for share in waiting for run in share)
                    seconds_left = frames_left * seconds / max(frames_done, 1)
                    if at_once or (seconds > FIRST_LOOK_SECONDS and seconds_left > worth_seconds):
                        helpers = min(processes - 1, len(waiting), room_for_more())
                        if method != "fork" and (files := work.setup.changed_code()):
                            log.warning("code changed meanwhile, so nobody helps: %s", ", ".join(files))
                            helpers = 0
                        crew = Crew(_prepare if method == "fork" else _prepare_anew, work, helpers, method)
                yield advance
                if crew is not None:
                    yield from collect()
    finally:
        if crew is not None:
            crew.close()


def _longest_first(runs: Iterable[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: -len(run.frames))


def _prepare(work: Work) -> Callable[[Share], Iterator[Advance]]:
    """In a process of a crew: what it does with a share. Same arithmetic as in the process that it helps."""
    set_determinism(1, work.setup.deterministic)
    with _room_on_gpu():
        return functools.partial(_seldom, work.prepare())


def _prepare_anew(work: Work) -> Callable[[Share], Iterator[Advance]]:
    """In one that was not forked, and has imported the code as it is now."""
    track_share = _prepare(work)
    if files := work.setup.changed_code():
        raise TrialError(f"code changed while it was assessed: {', '.join(files)}; give the command again")
    return track_share


def _seldom(track_share: Callable[[Share], Iterator[Advance]], share: Share) -> Iterator[Advance]:
    """The same, but it speaks no more often than anybody listens."""
    spoke, frames = time.monotonic(), 0
    with _room_on_gpu():
        for advanced, finished in track_share(share):
            frames += advanced
            if finished or time.monotonic() - spoke > SECONDS_BETWEEN_REPORTS:
                yield frames, finished
                spoke, frames = time.monotonic(), 0


@contextlib.contextmanager
def _room_on_gpu() -> Iterator[None]:
    """Without it a process cannot help. The trial's own has been there before the others."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("out of memory", "busy or unavailable")):
            raise
        raise CannotHelp(str(error).strip().splitlines()[0]) from error


def _track(setup: Setup, tracker: TrackerOfOneRun, share: Share) -> Iterator[Advance]:
    for run in share:
        tracked = setup.begin(run, tracker)
        for advanced in track(tracker, tracked):
            yield advanced, []
        yield 0, [_result(run, tracked)]


def _together(
    setup: Setup, batch: BatchTracker, alone: TrackerOfOneRun | None, decoders: int, share: Share
) -> Iterator[Advance]:
    """``alone``: what ``batch`` asks, where it is a tracker of one run."""
    begun: dict[TrackedRun, Run] = {}

    def begin() -> Iterator[TrackedRun]:
        for run in share:
            tracked = setup.begin(run, alone)
            begun[tracked] = run
            yield tracked

    with contextlib.closing(track_in_lockstep(batch, begin(), decoders)) as ticks:
        for advanced, finished in ticks:
            yield advanced, [_result(begun.pop(tracked), tracked) for tracked in finished]


def run_sequence(
    tracker: Tracker, dataset: Dataset, run: Run, view_size: tuple[int, int] | None = None, protocol: str = OPE
) -> SequenceResult:
    """One run, here and now."""
    setup = Setup(lambda: lambda: tracker, dataset, protocol, 0, view_size)
    *_, (_, (result,)) = _track(setup, setup.new_tracker(), (run,))
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
