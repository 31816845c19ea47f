"""SiamFC's tracker on real video and on constructed frames."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from seqtrack.data.geometry import iou
from seqtrack.data.imaging.images import decode
from seqtrack.errors import DataError
from seqtrack.models.params import parse_model_params
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking import siamfc
from seqtrack.tracking.params import TrackerParams
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker


@pytest.fixture(scope="module")
def model() -> SiamFC:
    """Random weights: even these find an unchanged texture again. The statistics are those of textured images."""
    torch.manual_seed(0)
    network = SiamFC(parse_model_params("siamfc", {"feature_params": {"arch_params": {"width": 0.25}}}))
    textures = [torch.from_numpy(textured(seed, 255)).permute(2, 0, 1) for seed in range(8)]
    with torch.no_grad():
        for _ in range(10):
            network.embed(torch.stack(textures))
    return network.eval()


def textured(seed: int, size: int, cells: int = 24) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def frame_with(target: np.ndarray, x: int, y: int, side: int) -> np.ndarray:
    frame = textured(99, 400, 12) // 4 + 96
    frame[y : y + side, x : x + side] = cv2.resize(target, (side, side), interpolation=cv2.INTER_AREA)
    return frame


def test_it_follows_a_moving_target(model: SiamFC) -> None:
    target = textured(7, 128, 8)
    tracker = SiamFCTracker(model)
    tracker.init(frame_with(target, 100, 120, 60), (100, 120, 60, 60))
    for t in range(1, 8):
        x, y = 100 + 9 * t, 120 - 5 * t
        box, score = tracker.update(frame_with(target, x, y, 60))
        assert np.abs(box[:2] + box[2:] / 2 - [x + 30, y + 30]).max() < 4
        assert np.isfinite(score)


def test_it_follows_a_growing_target(model: SiamFC) -> None:
    target = textured(7, 128, 8)
    tracker = SiamFCTracker(model)
    tracker.init(frame_with(target, 170, 170, 60), (170, 170, 60, 60))
    for side in range(62, 92, 2):
        box, _ = tracker.update(frame_with(target, 200 - side // 2, 200 - side // 2, side))
    assert box[2] == box[3]
    assert iou(box[None], np.array([[200 - 45, 200 - 45, 90, 90]]))[0] > 0.7


def test_an_unmoved_target_stays_where_it_is_to_a_fraction_of_a_pixel(model: SiamFC) -> None:
    # A centre on a half pixel is rounded in both crops; remembered offsets must cancel exactly.
    target = textured(7, 128, 8)
    frame = frame_with(target, 151, 140, 61)
    tracker = SiamFCTracker(model, TrackerParams(num_scales=1))
    for start in ((151, 140, 61, 61), (151.3, 140.8, 60.1, 59.2)):
        tracker.init(frame, start)
        for _ in range(3):
            box, _ = tracker.update(frame)
        np.testing.assert_allclose(box, start, atol=0.6)


def test_the_same_frames_give_the_same_bits_and_bf16_much_the_same_boxes(model: SiamFC) -> None:
    target = textured(7, 128, 8)
    frames = [frame_with(target, 100 + 6 * t, 120, 60 + t) for t in range(6)]

    def boxes(tracker: SiamFCTracker) -> np.ndarray:
        tracker.init(frames[0], (100, 120, 60, 60))
        return np.array([tracker.update(frame)[0] for frame in frames[1:]])

    tracker = SiamFCTracker(model)
    first = boxes(tracker)
    np.testing.assert_array_equal(boxes(tracker), first)
    np.testing.assert_array_equal(boxes(SiamFCTracker(model)), first)
    assert iou(boxes(SiamFCTracker(model, precision="bf16")), first).mean() > 0.95


def test_later_training_does_not_reach_a_tracker(model: SiamFC) -> None:
    frame = frame_with(textured(7, 128, 8), 100, 120, 60)
    changing = SiamFC(model.params)
    changing.load_state_dict(model.state_dict())
    tracker = SiamFCTracker(changing)
    with torch.no_grad():
        for parameter in changing.parameters():
            parameter.zero_()
    reference = SiamFCTracker(model)
    for each in (tracker, reference):
        each.init(frame, (100, 120, 60, 60))
    np.testing.assert_array_equal(tracker.update(frame)[0], reference.update(frame)[0])


def test_the_centre_stays_in_the_frame_and_sides_within_their_limits(model: SiamFC) -> None:
    rng = np.random.default_rng(0)
    tracker = SiamFCTracker(model, TrackerParams(scale_step=1.5, scale_lr=1.0, scale_penalty=1.0, scale_limit=2.0))
    tracker.init(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), (150, 100, 30, 40))  # half outside
    for _ in range(30):
        (x, y, w, h), _ = tracker.update(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        assert 0 <= x + w / 2 <= 160 and 0 <= y + h / 2 <= 120
        assert 14.999 <= w <= 60.001 and h / w == pytest.approx(4 / 3)


def test_a_tiny_target_and_a_tiny_frame_can_be_tracked(model: SiamFC) -> None:
    tracker = SiamFCTracker(model)
    frame = textured(3, 16)
    tracker.init(frame, (8, 8, 0.5, 1))
    box, _ = tracker.update(frame)
    assert np.isfinite(box).all() and (box[2:] > 0).all()


@pytest.mark.parametrize("threads", [0, 2])
def test_slots_in_groups_find_what_each_finds_alone(
    model: SiamFC, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """As on a GPU, here of two: a group that is empty for a while, half of one, and a slot that is taken again."""
    monkeypatch.setattr(siamfc, "_slots_of_group", lambda device, slots: 2)
    batch = SiamFCBatchTracker(model, slots=5)
    if threads:
        batch._croppers = ThreadPoolExecutor(threads)
    alone: dict[int, SiamFCTracker] = {}

    def frame(slot: int, t: int) -> np.ndarray:
        return frame_with(textured(slot, 128, 8), 100 + 6 * t, 120 + slot, 60 + t)

    for t, (starts, others) in enumerate(
        [([3], []), ([0, 1], [3]), ([4], [0, 1, 3]), ([0], [1, 3, 4]), ([], [4, 0])]
    ):
        for slot in starts:
            alone[slot] = SiamFCTracker(model)
            alone[slot].init(frame(slot, t), (100 + 6 * t, 120 + slot, 60 + t, 60 + t))
        starting = [(100 + 6 * t, 120 + slot, 60 + t, 60 + t) for slot in starts]
        batch.init([frame(slot, t) for slot in starts], starting, starts)
        if others:
            boxes, scores = batch.update([frame(slot, t) for slot in others], others)
            for slot, box, score in zip(others, boxes, scores, strict=True):
                expected, sure = alone[slot].update(frame(slot, t))
                np.testing.assert_allclose(box, expected, atol=1e-3)
                assert score == pytest.approx(sure, abs=1e-4)


@pytest.mark.parametrize(
    ("device", "slots", "group"), [("cuda", 32, 8), ("mps", 16, 8), ("mps", 3, 8), ("cuda", 1, 1), ("cpu", 32, 32)]
)
def test_the_groups_of_a_gpu_do_not_depend_on_the_number_of_slots(device: str, slots: int, group: int) -> None:
    assert siamfc._slots_of_group(torch.device(device), slots) == group


@pytest.mark.parametrize("box", [(0, 0, 0, 10), (0, 0, 10, -1), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)])
def test_a_box_without_area_is_no_start(model: SiamFC, box: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="it needs a positive width and height"):
        SiamFCTracker(model).init(textured(0, 64), box)


def test_the_fast_path_gives_the_boxes_of_the_plain_one_on_real_video(
    model: SiamFC, shared: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository / "aux" / "bench"))
    from baseline_tracker import BaselineTracker  # type: ignore[import-not-found,unused-ignore]

    folder = shared / "data" / "otb" / "Crossing"
    start = [float(v) for v in re.split(r"[,\s]+", (folder / "groundtruth_rect.txt").read_text().split("\n")[0])]
    start[:2] = start[0] - 1, start[1] - 1
    paths = sorted((folder / "img").glob("*.jpg"))[:12]
    frames = [decode(path.read_bytes(), str(path)) for path in paths]
    ours, plain = SiamFCTracker(model), BaselineTracker(model)
    for tracker in (ours, plain):
        tracker.init(frames[0], start)
    for frame in frames[1:]:
        np.testing.assert_allclose(ours.update(frame)[0], plain.update(frame)[0], atol=1e-3)
