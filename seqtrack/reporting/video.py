"""A tracked sequence to look at: mp4 with the truth in green, the prediction in red, frame number and IoU."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.scoring import overlap
from seqtrack.errors import UserError
from seqtrack.runs import atomic

Image = NDArray[np.uint8]
TRUTH_COLOUR = (0, 200, 0)  # RGB
PREDICTION_COLOUR = (230, 30, 30)
_MIN_SIDE = 16  # px; the mp4 encoder refuses smaller frames


def write_video(
    path: Path,
    frames: Iterable[Image],
    truth: NDArray[np.float64],
    pred: NDArray[np.float64],
    fps: float = 25.0,
    *,
    original_size: tuple[int, int] | None = None,
    frame_numbers: Iterable[int] | None = None,
    keep_frames: Path | None = None,
) -> int:
    """Writes ``path`` (mp4) atomically and answers the number of frames.

    frames: T images (H, W, 3) uint8 RGB, all of one size, taken one at a time. truth, pred: (T, 4) x y w h in pixels
    of the original image, of ``original_size`` (width, height) where the frames are resized; a row that is not finite
    is not drawn. frame_numbers: what to print, default 0, 1, ... keep_frames: a folder that receives every annotated
    frame as ``NNNNNN.jpg`` beside the video. Raises ValueError if frames and boxes differ in number or size, and
    UserError where the video cannot be written; nothing is left half-written.
    """
    numbers = list(range(len(truth))) if frame_numbers is None else [int(number) for number in frame_numbers]
    if not (len(truth) == len(pred) == len(numbers) > 0):
        raise ValueError(f"as many boxes as frame numbers expected: {len(truth)}, {len(pred)}, {len(numbers)}")
    drawn = _annotated(frames, truth, pred, original_size, numbers)
    if keep_frames is not None:
        drawn = _kept(drawn, keep_frames, numbers)
    # OpenCV chooses the container by the suffix, which atomic.replacing's temporary name has not.
    with atomic.replacing(path) as temporary:
        encoded = temporary.with_name(temporary.name + ".mp4")
        try:
            count = _encode(encoded, drawn, fps, path)
            os.replace(encoded, temporary)
        finally:
            encoded.unlink(missing_ok=True)
        if count != len(numbers):
            raise ValueError(f"{path}: {count} frames for {len(numbers)} boxes")
    return count


def draw_boxes(
    frame: Image,
    truth: NDArray[np.float64] | None,
    pred: NDArray[np.float64] | None,
    caption: str,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Image:
    """A copy of ``frame`` (H, W, 3) RGB with the boxes (4,) times ``scale`` (x, y), and a caption."""
    image: Image = np.array(frame, np.uint8, order="C")
    height, width = image.shape[:2]
    thickness = max(1, round(min(height, width) / 240))
    for box, colour in ((truth, TRUTH_COLOUR), (pred, PREDICTION_COLOUR)):
        if box is None or not np.isfinite(box).all():
            continue
        corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]]) * (*scale, *scale)
        # A diverged box may be astronomically far off, which OpenCV's integers do not hold.
        x0, y0, x1, y1 = np.clip(np.rint(corners), -10_000, 20_000).astype(int).tolist()
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, thickness)
    size = max(0.35, min(height, width) / 600)
    (text_width, text_height), base = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    image[: text_height + base + 4, : text_width + 6] //= 3
    white = (255, 255, 255)
    cv2.putText(image, caption, (3, text_height + 2), cv2.FONT_HERSHEY_SIMPLEX, size, white, 1, cv2.LINE_AA)
    return image


def _annotated(
    frames: Iterable[Image],
    truth: NDArray[np.float64],
    pred: NDArray[np.float64],
    original_size: tuple[int, int] | None,
    numbers: list[int],
) -> Iterator[Image]:
    truth, pred = np.asarray(truth, np.float64), np.asarray(pred, np.float64)
    overlaps = overlap(pred, truth)
    first: tuple[int, ...] | None = None
    for k, frame in enumerate(frames):
        if k >= len(numbers):
            raise ValueError(f"more frames than the {len(numbers)} boxes")
        first = first or frame.shape
        if frame.shape != first:
            raise ValueError(f"frame {numbers[k]}: size {frame.shape}, but {first} before it")
        height, width = frame.shape[:2]
        original = original_size or (width, height)
        seen = bool(np.isfinite(truth[k]).all())
        caption = f"frame {numbers[k]}  IoU {overlaps[k]:.2f}" if seen else f"frame {numbers[k]}  no truth"
        yield draw_boxes(frame, truth[k], pred[k], caption, (width / original[0], height / original[1]))


def _kept(drawn: Iterable[Image], folder: Path, numbers: list[int]) -> Iterator[Image]:
    for number, image in zip(numbers, drawn, strict=False):
        ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not ok:
            raise UserError(f"{folder}: frame {number} could not be encoded as JPEG")
        atomic.write_bytes(folder / f"{number:06d}.jpg", data.tobytes())
        yield image


def _encode(path: Path, images: Iterable[Image], fps: float, shown: Path) -> int:
    writer, count = None, 0
    try:
        for image in images:
            # mp4v wants even sides, and none that is tiny: the last row or column is repeated.
            image = _padded(image)
            if writer is None:
                fourcc = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(path), fourcc, fps, (image.shape[1], image.shape[0]))
                if not writer.isOpened():
                    raise UserError(f"{shown}: this OpenCV cannot write mp4: leave --visualize out or install FFmpeg")
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count


def _padded(image: Image) -> Image:
    height, width = image.shape[:2]
    bottom, right = (max(side + side % 2, _MIN_SIDE) - side for side in (height, width))
    if not (bottom or right):
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
