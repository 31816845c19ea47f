"""One tracker on one run: frames in, boxes in pixels of the original image out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seqtrack.data.geometry import scale_boxes
from seqtrack.data.imaging.images import resize_view
from seqtrack.errors import TrialError
from seqtrack.tracking.base import Boxes, Image, Tracker
from seqtrack.tracking.courses import Course
from seqtrack.tracking.external import TrackerError


@dataclass(eq=False)
class TrackedRun:
    """A course on the frames of a video, and the only place that knows both coordinates: the course speaks of pixels
    of the original image, the tracker sees a view and nothing else.

    Attributes:
        read: the frame at a position of the course, (H, W, 3) uint8 RGB as stored. May be called by several threads.
        original_size: (width, height) of the original image.
        view_size: each frame is resized to this first, if given.
        prepare: called before the tracker is started for the first time, but not again after a failure; takes no part
            in ``seconds``.
        describe: what messages call the frame at a position.
        seconds: that the tracker has taken, resizing to the view included where it is done in turn, reading and
            decoding not.
    """

    course: Course
    read: Callable[[int], Image]
    original_size: tuple[int, int]
    view_size: tuple[int, int] | None = None
    prepare: Callable[[], None] | None = None
    describe: Callable[[int], str] = "frame {} of the sequence".format
    seconds: float = 0.0

    @property
    def length(self) -> int:
        return len(self.course.codes)

    @property
    def position(self) -> int:
        """How many frames are done with, those that were skipped included."""
        step = self.course.next()
        return self.length if step is None else step.position

    def prepare_once(self) -> None:
        if self.prepare is not None:
            self.prepare()
            self.prepare = None

    def view(self, frame: Image) -> Image:
        return frame if self.view_size is None else resize_view(frame, self.view_size)

    def to_view(self, box: ArrayLike, view: Image) -> Boxes:
        """(4,) in pixels of ``view``."""
        return scale_boxes(box, self.original_size, (view.shape[1], view.shape[0])).reshape(4)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While the tracker is asked: what goes wrong in somebody else's says where."""
        try:
            yield
        except TrackerError as error:
            raise TrackerError(f"{self.describe(self.position)}: {error}") from error

    def answer(self, found: ArrayLike, score: float, view: Image) -> None:
        """``found`` (4,) in pixels of ``view``. TrialError if it is not finite."""
        box = scale_boxes(found, (view.shape[1], view.shape[0]), self.original_size).reshape(4)
        if not np.isfinite(box).all():
            raise TrialError(
                f"{self.describe(self.position)}: the tracker answered {np.asarray(found)}: the weights may have"
                " diverged; try a lower --lr_init"
            )
        self.course.answer(box, score)


def track(tracker: Tracker, run: TrackedRun) -> Iterator[int]:
    """Runs ``tracker`` to the end, one frame each time that it is asked, and tells by how many the run advanced."""
    before = 0
    while (step := run.course.next()) is not None:
        frame = run.read(step.position)
        if step.init_box is not None:
            run.prepare_once()
        start = time.perf_counter()
        view = run.view(frame)
        if step.init_box is not None:
            with run.at_work():
                tracker.init(view, run.to_view(step.init_box, view))
            run.course.answer(step.init_box, float("nan"))
        else:
            with run.at_work():
                found, score = tracker.update(view)
            run.answer(found, score, view)
        run.seconds += time.perf_counter() - start
        yield run.position - before
        before = run.position
