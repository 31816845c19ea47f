"""Generated videos: textured objects that wander, turn and change size over a moving, cluttered background.

They make the demonstration and the tests run where there is no data. What makes them hard enough to be worth
learning:

- every object is followed by others of its size and often of its shape or pattern (distractors);
- the background carries clutter of high contrast, to which features that were never trained respond most;
- brightness and tint drift; objects are covered for a few frames by pieces of the background;
- the target travels many box widths, so that a box that stays where it was scores next to nothing.

The two parts share no pattern, no shape and no seed: evaluation shows only textures that training never did.
Pure: a video is a function of (part, number, frames, size, seed). In training every object is annotated, in
evaluation one; boxes are tight around the whole outline, also where it is covered, as in OTB.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seqtrack.data.sampling.rng import generator

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Part = Literal["train", "eval"]

OBJECTS = 4
JPEG_QUALITY = 92
_SPRITE = 96  # side of the square in which an object is painted before it is scaled into the frame


@dataclass(frozen=True)
class SyntheticVideo:
    """boxes: (K, T, 4) float64, x y w h in pixels, 0-based; K = 4 annotated objects in training, 1 in evaluation."""

    name: str
    boxes: NDArray[np.float64]
    _draw: Callable[[int], Image]

    def frame(self, t: int) -> Image:
        """Frame t: (H, W, 3) uint8 RGB. Any order, as often as wanted."""
        return self._draw(t)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The video in OTB's layout: (path below the data set's folder, content), sorted by path."""
        for k, boxes in enumerate(self.boxes):
            suffix = f".{k + 1}" if len(self.boxes) > 1 else ""
            rows = [f"{x + 1:.2f},{y + 1:.2f},{w:.2f},{h:.2f}\n" for x, y, w, h in boxes]
            yield f"{self.name}/groundtruth_rect{suffix}.txt", "".join(rows).encode()
        for t in range(self.boxes.shape[1]):
            encoded = cv2.cvtColor(self.frame(t), cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", encoded, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            yield f"{self.name}/img/{t + 1:04d}.jpg", data.tobytes()


def make_video(part: Part, number: int, num_frames: int, size: tuple[int, int], seed: int = 0) -> SyntheticVideo:
    """Video `number` of a part. size: (width, height) of the frames, at least 96 x 96."""
    rng = generator(seed, "synthetic", part, step=number)
    width, height = size
    background = _background(rng, part, (width + 2 * _margin(size), height + 2 * _margin(size)))
    objects = _objects(rng, part, num_frames, size)
    pan = _wander(rng, num_frames, np.array([_margin(size)] * 2), 1.5) + _margin(size)
    light = _light(rng, num_frames)
    covers = _covers(rng, objects[0], num_frames) if number % 2 == 0 else {}
    patches = [_background(rng, part, (_SPRITE, _SPRITE)) for _ in range(2)]
    annotated = objects if part == "train" else objects[:1]
    boxes = np.stack([item.boxes() for item in annotated])

    def draw(t: int) -> Image:
        centre = (width / 2 + float(pan[t, 0]), height / 2 + float(pan[t, 1]))
        canvas = cv2.getRectSubPix(background, size, centre).astype(np.float32)
        # The target is drawn after its distractors, and only a cover hides it, so its box is what one sees.
        for item in reversed(objects):
            item.paint(canvas, t)
        if t in covers:
            _cover(canvas, patches[covers[t][0]], covers[t][1])
        noise = generator(seed, "synthetic noise", part, step=number, sample=t).standard_normal(
            canvas.shape, np.float32
        )
        shown: Image = np.clip(canvas * light[t] + 3.0 * noise, 0, 255).astype(np.uint8)
        return shown

    return SyntheticVideo(f"{'Train' if part == 'train' else 'Eval'}{number + 1:03d}", boxes, draw)


def _margin(size: tuple[int, int]) -> int:
    return max(size) // 4


# ------------------------------------------------------------------------------------------------ objects


@dataclass(frozen=True)
class _Object:
    texture: NDArray[np.float32]  # (S, S, 3)
    mask: Plane  # (S, S), 0..1
    outline: NDArray[np.float64]  # (M, 2), in units of the radius
    centres: NDArray[np.float64]  # (T, 2)
    radii: NDArray[np.float64]  # (T, 2): half width and half height before turning
    angles: NDArray[np.float64]  # (T,)

    def _matrix(self, t: int) -> NDArray[np.float64]:
        """(2, 2): from units of the radius to pixels of the frame."""
        cos, sin = math.cos(self.angles[t]), math.sin(self.angles[t])
        return np.array([[cos, -sin], [sin, cos]]) @ np.diag(self.radii[t])

    def boxes(self) -> NDArray[np.float64]:
        """(T, 4): the hull of the outline."""
        points = np.stack([self.outline @ self._matrix(t).T for t in range(len(self.centres))])
        low, high = points.min(axis=1), points.max(axis=1)
        return np.concatenate([self.centres + low, high - low], axis=1)

    def paint(self, canvas: NDArray[np.float32], t: int) -> None:
        height, width = canvas.shape[:2]
        reach = float(np.hypot(*self.radii[t])) + 2
        x0, y0 = (int(max(math.floor(c - reach), 0)) for c in self.centres[t])
        x1 = int(min(math.ceil(self.centres[t, 0] + reach), width))
        y1 = int(min(math.ceil(self.centres[t, 1] + reach), height))
        if x0 >= x1 or y0 >= y1:
            return
        half = _SPRITE / 2
        matrix = self._matrix(t) / half
        # Centres of pixels lie at half-integers in our coordinates and at integers in OpenCV's.
        offset = self.centres[t] - np.array([x0, y0]) - 0.5 - matrix @ np.array([half - 0.5, half - 0.5])
        affine = np.concatenate([matrix, offset[:, None]], axis=1)
        extent = (x1 - x0, y1 - y0)
        colour = cv2.warpAffine(self.texture, affine, extent, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(self.mask, affine, extent)[..., None]
        region = canvas[y0:y1, x0:x1]
        region += alpha * (colour - region)


def _objects(rng: Generator, part: Part, num_frames: int, size: tuple[int, int]) -> list[_Object]:
    """The target first. Distractors borrow its shape, its pattern or its colours, never all three."""
    shapes, patterns = SHAPES[part], PATTERNS[part]
    shape, pattern = int(rng.integers(len(shapes))), int(rng.integers(len(patterns)))
    palette = _palette(rng)
    base = min(size) * float(rng.uniform(0.075, 0.11))
    items = []
    for k in range(OBJECTS):
        own_shape = shape if k in (0, 1, 2) else int(rng.integers(len(shapes)))
        own_pattern = pattern if k in (0, 1) else (pattern + int(rng.integers(1, len(patterns)))) % len(patterns)
        own_palette = palette if k in (0, 2) else _palette(rng)
        outline = shapes[own_shape]()
        aspect = math.exp(float(rng.uniform(-0.3, 0.3)))
        growth = np.exp(_wander(rng, num_frames, np.array([0.3]), 0.02))
        radii = base * growth * np.array([math.sqrt(aspect), 1 / math.sqrt(aspect)])
        reach = np.array(size) / 2 - 1.6 * base
        step = base * float(rng.uniform(0.14, 0.24))
        centres = np.array(size) / 2 + _wander(rng, num_frames, reach, step)
        angles = _wander(rng, num_frames, np.array([0.3]), 0.02)[:, 0]
        items.append(
            _Object(patterns[own_pattern](rng, own_palette), _mask(outline), outline, centres, radii, angles)
        )
    return items


def _wander(rng: Generator, num_frames: int, reach: NDArray[Any], speed: float) -> NDArray[np.float64]:
    """(T, D) smooth path inside ±reach that moves by about `speed` per frame and is reflected at the ends."""
    dimensions = len(reach)
    start = rng.uniform(-1, 1, dimensions) * reach
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.12, num_frames))
    if dimensions == 1:
        direction = np.sign(np.cos(heading[:1]))[:, None].repeat(num_frames, axis=0)
    else:
        direction = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    path = start + np.cumsum(direction * speed * rng.uniform(0.7, 1.3), axis=0)
    # A triangle wave of period 4 reach is the identity on ±reach and reflects beyond it.
    reach = np.maximum(reach, 1e-6)
    folded = np.abs((path + reach) % (4 * reach) - 2 * reach) - reach
    return np.asarray(-folded)


def _palette(rng: Generator) -> NDArray[np.float32]:
    """(3, 3) RGB: saturated colours, well apart in hue."""
    hues = (rng.uniform(0, 180) + np.array([0, 50, 110]) + rng.uniform(-15, 15, 3)) % 180
    saturation, value = rng.uniform(140, 255, 3), rng.permutation([90, 170, 240]) + rng.uniform(-15, 15, 3)
    hsv = np.stack([hues, saturation, value], axis=1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(np.float32))


# ------------------------------------------------------------------------------------------------ shapes


def _polygon(*radii: float, turns: float = 0.0) -> NDArray[np.float64]:
    angles = 2 * math.pi * (np.arange(len(radii)) + turns) / len(radii)
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _filled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled so that the outline touches ±1 in both directions."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray(2 * (points - low) / (high - low) - 1)


SHAPES: dict[Part, list[Callable[[], NDArray[np.float64]]]] = {
    "train": [
        lambda: _filled(_polygon(*[1.0] * 48)),  # ellipse
        lambda: _filled(_polygon(1, 1, 1, 1, turns=0.5)),  # rectangle
        lambda: _filled(_polygon(1, 1, 1, 1, 1, 1)),  # hexagon
        lambda: _filled(_polygon(1, 1, 1, turns=0.25)),  # triangle
    ],
    "eval": [
        lambda: _filled(_polygon(1, 1, 1, 1)),  # rhombus
        lambda: _filled(_polygon(*[1.0, 0.6] * 6)),  # star
        lambda: _filled(_polygon(1, 1, 1, 1, 1, turns=0.25)),  # pentagon
    ],
}


def _mask(outline: NDArray[np.float64]) -> Plane:
    fine = 4 * _SPRITE
    points = np.rint((outline + 1) / 2 * fine).astype(np.int32)
    mask = np.zeros((fine, fine), np.float32)
    cv2.fillPoly(mask, [points], 1.0)
    return np.asarray(cv2.resize(mask, (_SPRITE, _SPRITE), interpolation=cv2.INTER_AREA), np.float32)


# ---------------------------------------------------------------------------------------------- patterns


def _grid() -> tuple[Plane, Plane]:
    axis = (np.arange(_SPRITE, dtype=np.float32) + 0.5) / _SPRITE * 2 - 1
    return np.broadcast_to(axis, (_SPRITE, _SPRITE)), np.broadcast_to(axis[:, None], (_SPRITE, _SPRITE))


def _coloured(level: NDArray[Any], palette: NDArray[np.float32]) -> NDArray[np.float32]:
    """level: (S, S) of 0 1 2."""
    return cv2.GaussianBlur(palette[level.astype(np.intp)], (0, 0), 0.8).astype(np.float32)


def _stripes(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    angle, count = rng.uniform(0, math.pi), rng.uniform(1.5, 3)
    return _coloured(np.floor((x * math.cos(angle) + y * math.sin(angle)) * count + 9) % 3, palette)


def _checks(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    count = rng.uniform(1, 2.2)
    return _coloured((np.floor((x + 1.3) * count) + 2 * np.floor((y + 1.1) * count)) % 3, palette)


def _dots(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    count = rng.uniform(1.2, 2.2)
    u, v = (x + 1.2) * count, (y + 1.4) * count
    inside = np.hypot(u % 1 - 0.5, v % 1 - 0.5) < 0.34
    return _coloured(np.where(inside, 1 + (np.floor(u) + np.floor(v)) % 2, 0), palette)


def _halves(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    angle = rng.uniform(0, 2 * math.pi)
    u, v = x * math.cos(angle) + y * math.sin(angle), -x * math.sin(angle) + y * math.cos(angle)
    return _coloured(np.where(u > 0.1, 0, np.where(v > 0, 1, 2)), palette)


def _blobs(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    plane = _noise(rng, (_SPRITE, _SPRITE), 2.2)
    return _coloured(np.digitize(plane, [-0.4, 0.5]), palette)


def _rings(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    return _coloured(np.floor(np.hypot(x - rng.uniform(-0.3, 0.3), y) * rng.uniform(2, 3.2)) % 3, palette)


def _waves(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    if rng.random() < 0.5:
        x, y = y, x
    return _coloured(np.floor((x + 0.3 * np.sin(y * rng.uniform(4, 7))) * rng.uniform(1.5, 2.5) + 9) % 3, palette)


def _sectors(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    turn = (np.arctan2(y - 0.1, x + 0.1) + rng.uniform(0, 6)) / (2 * math.pi)
    return _coloured(np.floor((turn % 1) * 6) % 3, palette)


def _cells(rng: Generator, palette: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y = _grid()
    seeds = rng.uniform(-1, 1, (10, 2))
    nearest = np.argmin([np.hypot(x - sx, y - sy) for sx, sy in seeds], axis=0)
    return _coloured(nearest % 3, palette)


PATTERNS: dict[Part, list[Callable[[Generator, NDArray[np.float32]], NDArray[np.float32]]]] = {
    "train": [_stripes, _checks, _dots, _halves, _blobs],
    "eval": [_rings, _waves, _sectors, _cells],
}


# -------------------------------------------------------------------------------------------- background


def _noise(rng: Generator, size: tuple[int, int], exponent: float) -> Plane:
    """(height, width) of mean 0 and variance 1, amplitude falling as 1 / frequency^exponent."""
    width, height = size
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1.0
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width))) / radius**exponent, s=(height, width))
    return np.asarray((plane - plane.mean()) / plane.std(), np.float32)


def _background(rng: Generator, part: Part, size: tuple[int, int]) -> Image:
    """(height, width, 3): dull noise under grey clutter of high contrast, square in training, round in evaluation."""
    width, height = size
    tint = rng.uniform(-18, 18, 3).astype(np.float32)
    image = 125 + 22 * _noise(rng, size, 1.2)[..., None] + 38 * _noise(rng, size, 2.2)[..., None] + tint
    image += 8 * np.stack([_noise(rng, size, 1.5) for _ in range(3)], axis=-1)
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(width * height // 1500):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        extent = (float(np.exp(rng.uniform(1.1, 3.6))), float(np.exp(rng.uniform(1.1, 3.6))))
        grey = float(rng.choice([5, 40, 215, 255]))
        colour = (np.clip(grey + rng.normal(0, 12, 3), 0, 255)).tolist()
        angle = float(rng.uniform(0, 180))
        if part == "train":
            corners = cv2.boxPoints((at, extent, angle)).astype(np.int32)
            cv2.fillPoly(image, [corners], colour, cv2.LINE_AA)
        else:
            cv2.ellipse(image, (at, extent, angle), colour, int(rng.choice([-1, 2])), cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def _light(rng: Generator, num_frames: int) -> NDArray[np.float32]:
    """(T, 1, 1, 3): brightness between 0.55 and 1.25 and a weak tint, drifting."""
    steps = np.cumsum(rng.normal(0, 0.03, num_frames))
    brightness = 0.9 + 0.35 * np.sin(rng.uniform(0, 6) + steps + np.arange(num_frames) * 0.08)
    tint = 1 + 0.06 * np.sin(rng.uniform(0, 6, 3) + np.arange(num_frames)[:, None] * rng.uniform(0.02, 0.08, 3))
    return (brightness[:, None] * tint).astype(np.float32)[:, None, None, :]


# ------------------------------------------------------------------------------------------------ covers

_Covers = dict[int, tuple[int, tuple[int, int, int, int]]]


def _covers(rng: Generator, target: _Object, num_frames: int) -> _Covers:
    """Frame -> (which piece, its box x y w h): twice, for five frames, a piece hides half of the target."""
    covers: _Covers = {}
    boxes = target.boxes()
    for piece, share in enumerate((0.35, 0.7)):
        middle = int(num_frames * (share + rng.uniform(-0.08, 0.08)))
        x, y, w, h = boxes[middle]
        left = round(float(x + w * rng.uniform(0.1, 0.4)))
        piece_box = (left, round(float(y - 0.2 * h)), max(4, round(float(0.5 * w))), max(4, round(float(1.4 * h))))
        for t in range(max(middle - 2, 0), min(middle + 3, num_frames)):
            covers[t] = (piece, piece_box)
    return covers


def _cover(canvas: NDArray[np.float32], patch: Image, box: tuple[int, int, int, int]) -> None:
    x, y, w, h = box
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, canvas.shape[1]), min(y + h, canvas.shape[0])
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = cv2.resize(patch, (x1 - x0, y1 - y0))
