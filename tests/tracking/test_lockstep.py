"""Many runs side by side find what each of them finds alone, and the batch stays full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from seqtrack.data.geometry import iou
from seqtrack.errors import DataError, TrialError
from seqtrack.models.params import parse_model_params
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking import lockstep
from seqtrack.tracking.base import Boxes, Image
from seqtrack.tracking.courses import FAILED, OnePass, Supervised
from seqtrack.tracking.lockstep import track_in_lockstep
from seqtrack.tracking.sequence import TrackedRun, track
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker
from tests.workbench import PATIENCE_SECONDS, SMALL_MODEL

SIZE = (160, 120)


class Reader:
    """Answers the number that a frame shows, and notes which slots were at work in each tick."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.ticks: list[list[int]] = []
        self.started: list[int] = []

    def init(self, frames: Sequence[Image], boxes: Sequence[Any], slots: Sequence[int]) -> None:
        self.started += [int(frame[0, 0, 1]) for frame in frames]

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, Any]:
        self.ticks.append(list(slots))
        found = [[float(frame[0, 0, 0]), float(frame[0, 0, 1]), 1, 1] for frame in frames]
        return np.array(found), np.zeros(len(found))


def numbered(run: int, length: int, read: list[tuple[int, int]] | None = None) -> TrackedRun:
    """A run each of whose frames shows its position and the number of the run."""

    def frame(position: int) -> Image:
        if read is not None:
            read.append((run, position))
        return np.full((8, 8, 3), (position, run, 0), np.uint8)

    return TrackedRun(OnePass(length, (0, run, 1, 1)), frame, (8, 8))


def test_a_free_slot_takes_the_next_run_at_once() -> None:
    lengths = [9, 5, 4, 3, 3, 1]
    tracker = Reader(2)
    runs = [numbered(number, length) for number, length in enumerate(lengths)]
    done: list[int] = []
    at_a_time: list[int] = []
    for frames, finished in track_in_lockstep(tracker, runs, decoders=2):
        at_a_time.append(frames)
        done += [runs.index(run) for run in finished]
    assert tracker.started == [0, 1, 2, 3, 4, 5]
    assert done == [1, 0, 2, 3, 4, 5]
    assert at_a_time == [2] * 12 + [1]
    for number, run in enumerate(runs):
        assert run.course.boxes.tolist() == [[position, number, 1, 1] for position in range(lengths[number])]
        assert run.seconds > 0


def test_frames_are_decoded_a_few_ahead_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockstep, "AHEAD_BYTES", 2 * 2 * 8 * 8 * 3)  # two frames in each of two slots
    read: list[tuple[int, int]] = []
    ticks = track_in_lockstep(Reader(2), [numbered(number, 50, read) for number in range(4)], decoders=1)
    for position in range(10):
        next(ticks)
        for run in (0, 1):
            assert max(p for r, p in read if r == run) <= position + 2
    assert {r for r, _ in read} == {0, 1, 2}  # the one that is next stands ready
    assert sorted(set(read)) == sorted(read)
    ticks.close()  # type: ignore[attr-defined]


def test_runs_without_a_start_are_done_wherever_they_stand() -> None:
    def unseen() -> TrackedRun:
        course = Supervised(np.zeros((3, 4)), [False] * 3, lambda position, box: 1.0)
        return TrackedRun(course, lambda position: np.zeros((8, 8, 3), np.uint8), (8, 8))

    runs = [numbered(0, 2), unseen(), numbered(1, 1), unseen(), unseen()]
    ticks = list(track_in_lockstep(Reader(1), iter(runs), 1))
    assert sum(frames for frames, _ in ticks) == 12
    assert sorted(runs.index(run) for _, finished in ticks for run in finished) == [0, 1, 2, 3, 4]


def test_a_run_without_a_start_is_done_at_once() -> None:
    unseen = Supervised(np.zeros((3, 4)), [False] * 3, lambda position, box: 1.0)
    nothing = TrackedRun(unseen, lambda position: np.zeros((8, 8, 3), np.uint8), (8, 8))
    some = numbered(1, 2)
    assert list(track_in_lockstep(Reader(1), [nothing, some], 1)) == [(3, [nothing]), (1, []), (1, [some])]


@pytest.mark.parametrize("error", [DataError("otb: frame 3 is damaged"), OSError("disk")])
def test_a_frame_that_cannot_be_read_ends_it_and_says_why(error: Exception) -> None:
    def read(position: int) -> Image:
        if position == 3:
            raise error
        return np.zeros((8, 8, 3), np.uint8)

    ticks = track_in_lockstep(Reader(1), [TrackedRun(OnePass(9, (0, 0, 1, 1)), read, (8, 8))], 2)
    for _ in range(3):
        next(ticks)
    with pytest.raises(type(error), match=str(error)):
        next(ticks)


def test_an_answer_that_is_no_box_ends_it() -> None:
    class Diverged(Reader):
        def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, Any]:
            return np.full((len(frames), 4), np.nan), np.zeros(len(frames))

    with pytest.raises(TrialError, match="frame 1 of the sequence"):
        list(track_in_lockstep(Diverged(1), [numbered(0, 3)], 1))


@pytest.fixture(scope="module")
def model() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC(parse_model_params("siamfc", SMALL_MODEL)).eval()


def video(seed: int, length: int) -> tuple[list[Image], Boxes]:
    """A textured square that wanders over a textured background."""
    rng = np.random.default_rng(seed)

    def texture(width: int, height: int, cells: int) -> Image:
        small = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    background, target = texture(*SIZE, 12) // 2, texture(30, 30, 5)
    frames, boxes = [], []
    for t in range(length):
        side = 24 + t % 6
        x, y = round(60 + 40 * np.cos(0.3 * t + seed)), round(45 + 30 * np.sin(0.2 * t + seed))
        frame = background.copy()
        frame[y : y + side, x : x + side] = cv2.resize(target, (side, side))
        frames.append(frame)
        boxes.append([x, y, side, side])
    return frames, np.array(boxes, np.float64)


VIDEOS = [video(seed, length) for seed, length in enumerate((14, 11, 9, 9, 6, 4, 2, 1))]


def one_pass(view: tuple[int, int] | None) -> list[TrackedRun]:
    return [TrackedRun(OnePass(len(f), boxes[0]), f.__getitem__, SIZE, view) for f, boxes in VIDEOS]


def supervised(view: tuple[int, int] | None) -> list[TrackedRun]:
    def overlap_with(boxes: Boxes) -> Callable[[int, Boxes], float]:
        # Whoever is less than exact has failed, so that many runs fail, at different moments.
        return lambda t, box: float(iou(box[None], boxes[t : t + 1])[0] > 0.6)

    return [
        TrackedRun(Supervised(boxes, [True] * len(f), overlap_with(boxes)), f.__getitem__, SIZE, view)
        for f, boxes in VIDEOS
    ]


@pytest.mark.parametrize(
    ("slots", "runs", "view"),
    [(1, supervised, None), (3, one_pass, (120, 120)), (3, supervised, None), (8, one_pass, None)],
)
def test_siamfc_side_by_side_finds_the_boxes_that_it_finds_one_by_one(
    model: SiamFC,
    runs: Callable[[tuple[int, int] | None], list[TrackedRun]],
    view: tuple[int, int] | None,
    slots: int,
) -> None:
    alone, together = runs(view), runs(view)
    tracker = SiamFCTracker(model)
    for run in alone:
        list(track(tracker, run))

    ticks = list(track_in_lockstep(SiamFCBatchTracker(model, slots=slots), together, decoders=2))

    assert sum(frames for frames, _ in ticks) == sum(len(frames) for frames, _ in VIDEOS)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.course.codes, b.course.codes)
        np.testing.assert_allclose(a.course.boxes, b.course.boxes, rtol=0, atol=1e-3)
        np.testing.assert_allclose(a.course.scores, b.course.scores, rtol=1e-4, atol=1e-4)
    if runs is supervised:
        assert sum((run.course.codes == FAILED).sum() for run in alone) >= 3


def test_what_is_found_does_not_depend_on_who_else_is_in_the_batch(model: SiamFC) -> None:
    """To the last bit: an assessment that was interrupted goes on with other neighbours."""
    tracker = SiamFCBatchTracker(model, slots=4)
    together, fewer = one_pass(None), one_pass(None)[1::2]
    list(track_in_lockstep(tracker, together, 1))
    list(track_in_lockstep(tracker, fewer, 1))
    for a, b in zip(together[1::2], fewer, strict=True):
        np.testing.assert_array_equal(a.course.boxes, b.course.boxes)
        np.testing.assert_array_equal(a.course.scores, b.course.scores)


def test_a_slot_without_a_target_is_said_so(model: SiamFC) -> None:
    with pytest.raises(ValueError, match="slot 1 has no target"):
        SiamFCBatchTracker(model, slots=2).update([VIDEOS[0][0][0]], [1])


def test_slow_decoding_is_shared_by_the_threads() -> None:
    """Four threads wait for a slow disk at a time: none of them goes on before all four do."""
    together = threading.Barrier(4)

    def slow(position: int) -> Image:
        together.wait(PATIENCE_SECONDS)
        return np.zeros((8, 8, 3), np.uint8)

    runs = [TrackedRun(OnePass(6, (0, 0, 1, 1)), slow, (8, 8)) for _ in range(4)]
    assert sum(frames for frames, _ in track_in_lockstep(Reader(4), runs, decoders=4)) == 24
