"""Tracking on a CPU: frames per second against the same network run scale by scale in fp32
(``baseline_tracker``).

Speed does not depend on the weights, agreement does: the network is first trained for a while on a
generated video, and tracks are then compared on another one. Everything is generated here, from fixed
seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from baseline_tracker import BaselineTracker
from numpy.typing import NDArray
from table import Row, main, seconds

from seqtrack.data.geometry import iou
from seqtrack.data.imaging.crops import crop, square_around
from seqtrack.models.losses import balanced_logistic_loss, label_map, target_offsets
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking.base import Tracker
from seqtrack.tracking.siamfc import SiamFCTracker

THREADS = 2
TRAIN_STEPS = 60
FRAMES = 40

Frames = NDArray[np.uint8]
Boxes = NDArray[np.float64]


def video(seed: int, length: int, size: tuple[int, int] = (480, 360)) -> tuple[Frames, Boxes]:
    """A textured target that moves, turns about a path and changes size, on a textured background that
    moves too.
    """
    rng = np.random.default_rng(seed)
    width, height = size

    def texture(w: int, h: int, cells: int) -> NDArray[np.uint8]:
        small = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC), np.uint8)

    background, target = texture(2 * width, 2 * height, 24), texture(96, 96, 6)
    phase = rng.uniform(0, 2 * np.pi, 4)
    frames = np.empty((length, height, width, 3), np.uint8)
    boxes = np.empty((length, 4))
    for t in range(length):
        a = 0.06 * t + phase
        left, top = (
            round(width / 2 * (1 + 0.3 * np.cos(a[0] / 3))),
            round(height / 2 * (1 + 0.3 * np.sin(a[1] / 3))),
        )
        frames[t] = background[top : top + height, left : left + width]
        w = h = round(56 * (1 + 0.25 * np.sin(a[2] / 2)))
        x = round((width - w) / 2 * (1 + 0.7 * np.cos(a[3])))
        y = round((height - h) / 2 * (1 + 0.7 * np.sin(a[0])))
        frames[t, y : y + h, x : x + w] = cv2.resize(target, (w, h), interpolation=cv2.INTER_AREA)
        boxes[t] = x, y, w, h
    return frames, boxes


def trained_network() -> SiamFC:
    """Full AlexNet SiamFC after a few steps of bf16 training on generated videos: enough to follow a
    target.
    """
    torch.manual_seed(0)
    model = SiamFC()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    rng = np.random.default_rng(0)
    videos = [video(seed, 60) for seed in range(1, 9)]
    for _ in range(TRAIN_STEPS):
        crops: dict[int, list[NDArray[np.uint8]]] = {127: [], 255: []}
        targets: dict[int, list[tuple[float, ...]]] = {127: [], 255: []}
        for index in rng.integers(0, len(videos), 8):
            frames, boxes = videos[index]
            for size, shift in ((127, 0.0), (255, 24.0)):
                t = int(rng.integers(len(frames)))
                side = square_around(boxes[t]) * size / 127
                cx, cy = boxes[t, :2] + boxes[t, 2:] / 2 + rng.uniform(-shift, shift, 2) * side / size
                pixels, where = crop(frames[t], cx, cy, side, size)
                crops[size].append(pixels)
                targets[size].append(where.to_crop(boxes[t]))
        exemplar, search = (torch.from_numpy(np.stack(c)).permute(0, 3, 1, 2) for c in crops.values())
        offsets = target_offsets(torch.tensor(targets[127]), torch.tensor(targets[255]), 127, 255)
        with torch.autocast("cpu", torch.bfloat16):
            response = model(exemplar, search)
        labels = label_map(offsets, model.response_size, model.stride, 16.0, model.response_center)
        optimizer.zero_grad()
        balanced_logistic_loss(response, labels).backward()
        optimizer.step()
    return model


def run(tracker: Tracker, frames: Frames, boxes: Boxes) -> Boxes:
    tracker.init(frames[0], boxes[0])
    return np.array([boxes[0], *(tracker.update(frame)[0] for frame in frames[1:])])


def has_amx() -> bool:
    """Whether this CPU multiplies bf16 matrices in AMX tiles, which the bf16 targets assume."""
    capabilities = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(capabilities()) if capabilities is not None else False


def rows() -> Iterator[Row]:
    torch.set_num_threads(THREADS)
    model = trained_network()
    frames, boxes = video(100, FRAMES)
    trackers: list[Tracker] = [BaselineTracker(model), SiamFCTracker(model), SiamFCTracker(model, precision="bf16")]
    baseline, fp32, bf16 = (run(tracker, frames, boxes) for tracker in trackers)
    truth = float(iou(fp32[1:], boxes[1:]).mean())
    distance = float(np.abs(fp32 - baseline).max())
    yield Row("tracking: fp32 boxes, distance to the baseline's", distance, "px", "<= 1e-3", distance <= 1e-3)
    overlap = float(iou(bf16[1:], fp32[1:]).mean())
    note = f"mean IoU of fp32 to the truth {truth:.2f}"
    yield Row("tracking: bf16 boxes, mean IoU with fp32", overlap, "", "> 0.95", overlap > 0.95, note)

    # The three take each frame in turn, so that whatever else the machine does falls on all of them alike.
    times: list[list[float]] = [[], [], []]
    for tracker in trackers:
        tracker.init(frames[0], boxes[0])
    for frame in frames[1:]:
        for tracker, took in zip(trackers, times, strict=True):
            took.append(seconds(lambda tracker=tracker, frame=frame: tracker.update(frame)))  # type: ignore[misc]
    ratios = [statistics.median(a / b for a, b in zip(times[0], took, strict=True)) for took in times[1:]]
    fps = [1 / statistics.median(took) for took in times]
    note = f"{fps[0]:.1f} → {fps[1]:.1f} frames/s"
    yield Row("tracking: fp32 against scale by scale, fp32", ratios[0], "×", ">= 1.2", ratios[0] >= 1.2, note)
    note = f"{fps[0]:.1f} → {fps[2]:.1f} frames/s" + ("" if has_amx() else "; no AMX here, which the target assumes")
    passed = ratios[1] >= 4.5 if has_amx() else None
    yield Row("tracking: bf16 against scale by scale, fp32", ratios[1], "×", ">= 4.5", passed, note)


if __name__ == "__main__":
    main(rows)
