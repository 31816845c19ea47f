"""Pair loading, one process, one thread, against decoding alone: from full frames and from crops of 446 pixels.

A pair: draw it, read the bytes (in memory), decode two pictures, cut crops of 127 and 255 pixels, arrays. The
rate is relative to decoding those very pictures and doing nothing else with them, interleaved batch by batch: full
frames by `cv2.imdecode`; crops by the decoder that training uses, whole, or the very same rows of them.

Generated frames are 1/f noise in luminance and, weaker, in colour, with sharp-edged shapes over it, at JPEG
qualities 75 and 90 (4:2:0); targets lie anywhere in the frame with sqrt(w h) log-uniform from 8 to 45 % of the
frame's height. Real frames, where the folder `../shared/data/otb` is at hand, come with their annotations.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from table import Row, main, paired

from seqtrack.data.imaging.crops import CropMap, square_around
from seqtrack.data.imaging.images import RegionDecoder
from seqtrack.data.sampling.augment import parse_augment_params
from seqtrack.data.sampling.draws import NegativeParams
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.motion import MotionParams
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.samplers import PairRange

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "otb"
BATCH, BATCHES = 8, 6


@dataclass
class Track:
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    present: NDArray[np.bool_]


@dataclass
class Videos:
    """A data set in memory; it is its own index: one track per video."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    frames: list[list[bytes]] = field(default_factory=list)

    @property
    def index(self) -> "Videos":
        return self

    @property
    def fingerprint(self) -> str:
        return "in memory"

    @property
    def num_tracks(self) -> int:
        return len(self.tracks)

    def picture_size(self, v: int) -> tuple[int, int] | None:
        return self.sizes[v]

    def add(self, size: tuple[int, int], boxes: NDArray[np.float64], frames: list[bytes]) -> None:
        count = len(frames)
        self.sizes.append(size)
        self.tracks.append(Track(np.arange(count), boxes[:count], np.ones(count, bool)))
        self.frames.append(frames)

    def track(self, k: int) -> Track:
        return self.tracks[k]

    def track_video(self, k: int) -> int:
        return k

    def video_size(self, v: int) -> tuple[int, int]:
        return self.sizes[v]

    def stored(self, k: int) -> None:
        return None

    def read_target(self, k: int, row: int) -> tuple[bytes, CropMap | None]:
        return self.frames[k][row], None

    def describe_target(self, k: int, row: int) -> str:
        return f"video {k} frame {row}"


class Crops(Videos):
    """Its pictures are crops of 446 pixels in which the exemplar's square measures 127, as in `crop_446` versions."""

    def read_target(self, k: int, row: int) -> tuple[bytes, CropMap | None]:
        x, y, w, h = self.tracks[k].boxes[row].tolist()
        side = square_around((x, y, w, h)) * 446 / 127
        return self.frames[k][row], CropMap(x + w / 2 - side / 2, y + h / 2 - side / 2, 446 / side, 446 / side)


def noise(rng: np.random.Generator, width: int, height: int, exponent: float) -> NDArray[np.float64]:
    """(height, width) of unit variance whose amplitude falls as 1 / frequency^exponent."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1.0
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width))) / radius**exponent, s=(height, width))
    return np.asarray((plane - plane.mean()) / plane.std())


def photograph(rng: np.random.Generator, width: int, height: int, exponent: float) -> NDArray[np.uint8]:
    luminance = noise(rng, width, height, exponent)[..., None]
    colour = np.stack([noise(rng, width, height, exponent) for _ in range(3)], axis=-1)
    image = np.clip(128 + 45 * luminance + 12 * colour, 0, 255).astype(np.uint8)
    for _ in range(12):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(8, height // 6)), int(rng.integers(8, height // 6)))
        cv2.ellipse(image, centre, axes, float(rng.integers(180)), 0, 360, rng.integers(0, 255, 3).tolist(), -1)
    return image


def generated(width: int, height: int, quality: int, exponent: float, videos: int = 3, length: int = 8) -> Videos:
    result = Videos()
    for seed in range(videos):
        rng = np.random.default_rng(seed)
        frames = []
        for _ in range(length):
            image = photograph(rng, width, height, exponent)
            frames.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
        size = height * np.exp(rng.uniform(np.log(0.08), np.log(0.45), length))
        aspect = np.exp(rng.uniform(-0.5, 0.5, length))
        extent = np.stack([size * aspect, size / aspect], axis=1)
        corner = rng.random((length, 2)) * (np.array([width, height]) - extent)
        result.add((width, height), np.concatenate([corner, extent], axis=1), frames)
    return result


def real(sequences: list[str]) -> Videos:
    result = Videos()
    for name in sequences:
        folder = REAL / name
        text = (folder / "groundtruth_rect.txt").read_text().replace(",", " ").replace("\t", " ")
        boxes = np.array([[float(word) for word in line.split()] for line in text.splitlines() if line.strip()])
        boxes[:, :2] -= 1
        frames = [path.read_bytes() for path in sorted((folder / "img").glob("*.jpg"))[:60]]
        height, width = cv2.imdecode(np.frombuffer(frames[0], np.uint8), cv2.IMREAD_COLOR).shape[:2]
        result.add((width, height), boxes, frames)
    return result


def relative_rate(videos: Videos) -> float:
    """Median over batches of (time of imdecode on the two frames of each pair) / (time of loading the pairs)."""
    cv2.setNumThreads(1)
    source = PairSource({"videos": videos}, parse_mixture("videos"), PairRange(), PairParams(), None, BATCH, seed=0)
    jobs: list[list[NDArray[np.uint8]]] = []
    for step in range(BATCHES):
        rows = source.batch(step)["sample"].tolist()
        jobs.append([np.frombuffer(videos.frames[k][t], np.uint8) for _, k, a, b in rows for t in (a, b)])
    steps = list(range(BATCHES))

    def load() -> None:
        for step in steps:
            source.batch(step)

    def bare() -> None:
        for frames in jobs:
            for data in frames:
                cv2.imdecode(data, cv2.IMREAD_COLOR)

    callables: tuple[Callable[[], None], Callable[[], None]] = (bare, load)
    return paired(*callables)


class RecordingDecoder(RegionDecoder):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, int, int]] = []

    def rows(self, bottom: int, shrink: int) -> NDArray[np.uint8]:
        self.asked.append((self._data, bottom, shrink))
        return super().rows(bottom, shrink)


def crops(quality: int, videos: int = 4, length: int = 12) -> Crops:
    result = Crops()
    rng = np.random.default_rng(0)
    for _ in range(videos):
        pictures = [photograph(rng, 446, 446, 1.7) for _ in range(length)]
        frames = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for image in pictures]
        corner, extent = rng.uniform(200, 800, (length, 2)), rng.uniform(30, 150, (length, 2))
        result.add((1280, 720), np.concatenate([corner, extent], axis=1), frames)
    return result


def crop_rates(data: Crops, **options: Any) -> tuple[float, float]:
    """(time of decoding the pictures whole, time of decoding what of them is needed) / time of loading the pairs."""
    cv2.setNumThreads(1)
    motion = options.pop("motion", None)
    source = PairSource(
        {"crops": data}, parse_mixture("crops"), PairRange(), PairParams(), motion, BATCH, seed=0, **options
    )
    recorder = source._decoder = RecordingDecoder()
    for step in range(BATCHES):
        source.batch(step)
    decoder = source._decoder = RegionDecoder()

    def load() -> None:
        for step in range(BATCHES):
            source.batch(step)

    def whole() -> None:
        for picture, _, _ in recorder.asked:
            decoder.open(picture, "")
            decoder.whole()

    def needed() -> None:
        for picture, bottom, shrink in recorder.asked:
            decoder.open(picture, "")
            decoder.rows(bottom, shrink)

    return paired(whole, load), paired(needed, load)


PYSOT = parse_augment_params(
    {
        "exemplar": {"translate": 4, "log_scale": 0.05, "lighting": 1},
        "search": {"lighting": 1, "blur": 0.2},
        "grey": 0.25,
    }
)
CROP_OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    ", shifted and scaled": {"motion": MotionParams()},
    ", shifted, scaled, pysot's colours and blur": {"motion": MotionParams(), "augment": PYSOT},
    ", a fifth of them negative": {"negatives": NegativeParams(other_video=0.2)},
}


def size_note(videos: Videos) -> str:
    sizes = [len(data) for frames in videos.frames for data in frames]
    return f"mean {sum(sizes) / len(sizes) / 1000:.0f} kB a frame"


def rows() -> Iterator[Row]:
    for quality, exponent, like in ((75, 1.7, "smooth"), (75, 1.4, "detailed"), (90, 1.4, "detailed")):
        videos = generated(1280, 720, quality, exponent)
        rate = relative_rate(videos)
        name = f"pairs, 1280x720 generated, {like}, quality {quality}"
        yield Row(name, rate, "x imdecode", ">= 1.7", rate >= 1.7, size_note(videos))
    stored = crops(90)
    for what, options in CROP_OPTIONS.items():
        whole, needed = crop_rates(stored, **options)
        note = f"{size_note(stored)}; {needed:.2f} x decoding only the rows needed"
        yield Row(f"pairs, crops of 446{what}", whole, "x decoding", ">= 0.75", whole >= 0.75, note)
    for width, height in ((640, 480), (480, 360), (320, 240)):
        videos = generated(width, height, 85, 1.4)
        rate = relative_rate(videos)
        name = f"pairs, {width}x{height} generated"
        yield Row(name, rate, "x imdecode", ">= 0.85", rate >= 0.85, size_note(videos))
    if REAL.is_dir():
        for name in ("Crossing", "Couple", "David", "Football1", "Skiing"):
            videos = real([name])
            rate = relative_rate(videos)
            label = "x".join(map(str, videos.sizes[0]))
            yield Row(f"pairs, {label} OTB {name}", rate, "x imdecode", ">= 0.85", rate >= 0.85, size_note(videos))


if __name__ == "__main__":
    main(rows)
