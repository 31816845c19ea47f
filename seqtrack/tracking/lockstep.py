"""Many runs side by side: each tick takes every one of them a frame further, through one pass of a batch tracker.

A slot that becomes free takes the next run at once, so the batch stays full until no runs wait. Frames are decoded
ahead by threads (simplejpeg and OpenCV let go of Python's lock while they decode), a few per slot.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqtrack.tracking.base import BatchTracker, Boxes, Image, Tracker
from seqtrack.tracking.courses import Step
from seqtrack.tracking.sequence import TrackedRun

# Decoded frames that wait, in all slots together: 5 each of 1280 x 720 in 32. Every slot may have one, though.
AHEAD_BYTES = 512 << 20
MOST_AHEAD = 4


def track_in_lockstep(
    tracker: BatchTracker, runs: Iterable[TrackedRun], decoders: int
) -> Generator[tuple[int, list[TrackedRun]]]:
    """Runs ``tracker`` over all runs, which are begun in this order (the longest first keeps the batch full), each
    taken from ``runs`` when its turn comes.

    Yields after each tick by how many frames all runs together advanced, and which of them are done. The time of a
    tick is shared equally among its runs; resizing to the view is done by the ``decoders`` threads and not in it.
    """
    nothing_to_do: list[TrackedRun] = []
    with ThreadPoolExecutor(max(1, decoders), "decode") as pool:
        lanes = _lanes(runs, pool, tracker.slots, nothing_to_do)
        # One run stands ready, its first frames being decoded, so that a free slot need not wait for them.
        ready = next(lanes, None)
        at_work: dict[int, _Lane] = {}
        try:
            while True:
                for slot in range(tracker.slots):
                    if slot not in at_work and ready is not None:
                        at_work[slot], ready = ready, next(lanes, None)
                if nothing_to_do:
                    yield sum(run.length for run in nothing_to_do), [*nothing_to_do]
                    nothing_to_do.clear()
                if not at_work:
                    return
                yield _tick(tracker, at_work)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _lanes(
    runs: Iterable[TrackedRun], pool: ThreadPoolExecutor, slots: int, nothing_to_do: list[TrackedRun]
) -> Iterator[_Lane]:
    """Of those runs that have a first step; the others are put aside."""
    for run in runs:
        if run.course.next() is None:
            nothing_to_do.append(run)
        else:
            yield _Lane(run, pool, _ahead(run, slots))


def _tick(tracker: BatchTracker, at_work: dict[int, _Lane]) -> tuple[int, list[TrackedRun]]:
    """One frame for each; lanes that have ended are taken out."""
    taken = {slot: lane.take() for slot, lane in sorted(at_work.items())}
    starts = [(slot, view, step.init_box) for slot, (step, view) in taken.items() if step.init_box is not None]
    others = [(slot, view) for slot, (step, view) in taken.items() if step.init_box is None]
    for slot, _, _ in starts:
        at_work[slot].run.prepare_once()
    clock = time.perf_counter()
    if starts:
        boxes = [at_work[slot].run.to_view(box, view) for slot, view, box in starts]
        with at_work[starts[0][0]].run.at_work():  # of one: nobody else's tracker is in a larger batch
            tracker.init([view for _, view, _ in starts], boxes, [slot for slot, _, _ in starts])
        for slot, _, box in starts:
            at_work[slot].run.course.answer(box, float("nan"))
    if others:
        with at_work[others[0][0]].run.at_work():
            found, scores = tracker.update([view for _, view in others], [slot for slot, _ in others])
        for (slot, view), box, score in zip(others, found, scores, strict=True):
            at_work[slot].run.answer(box, float(score), view)
    share = (time.perf_counter() - clock) / len(taken)
    advanced, done = 0, []
    for slot in taken:
        lane = at_work[slot]
        lane.run.seconds += share
        advanced += lane.advance()
        if lane.run.course.next() is None:
            done.append(at_work.pop(slot).run)
    return advanced, done


class OneByOne:
    """A tracker of one target, as a batch of one: its frames, too, are decoded ahead."""

    slots = 1

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def init(self, frames: Sequence[Image], boxes: Sequence[ArrayLike], slots: Sequence[int]) -> None:
        self._tracker.init(frames[0], boxes[0])

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, NDArray[np.float64]]:
        box, score = self._tracker.update(frames[0])
        return np.asarray(box, np.float64).reshape(1, 4), np.array([score], np.float64)


class _Lane:
    """A run and its frames to come. Positions only rise, so those that a course leaves out are decoded in vain: four
    after each failure of a supervised one."""

    def __init__(self, run: TrackedRun, pool: ThreadPoolExecutor, most_ahead: int) -> None:
        self.run = run
        self._pool, self._most = pool, most_ahead
        self._coming: deque[tuple[int, Future[Image]]] = deque()
        self._counted = 0
        step = run.course.next()
        if step is not None:
            self._fill(step.position)

    def take(self) -> tuple[Step, Image]:
        """What is to be done next, and the view of its frame."""
        step = self.run.course.next()
        assert step is not None  # else it would have been taken out
        while self._coming and self._coming[0][0] < step.position:
            self._coming.popleft()[1].cancel()
        self._fill(step.position)
        return step, self._coming.popleft()[1].result()

    def advance(self) -> int:
        """Frames that are done with since the last time that it was asked."""
        before, self._counted = self._counted, self.run.position
        return self._counted - before

    def _fill(self, position: int) -> None:
        start = self._coming[-1][0] + 1 if self._coming else position
        for coming in range(start, min(position + self._most + 1, self.run.length)):
            self._coming.append((coming, self._pool.submit(self._view, coming)))

    def _view(self, position: int) -> Image:
        return self.run.view(self.run.read(position))


def _ahead(run: TrackedRun, slots: int) -> int:
    width, height = run.view_size or run.original_size
    return max(1, min(MOST_AHEAD, AHEAD_BYTES // (slots * width * height * 3)))
