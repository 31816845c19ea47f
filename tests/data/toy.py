"""A data set made by hand: flat frames, any labels. It is its own index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np


@dataclass
class Track:
    frames: np.ndarray
    boxes: np.ndarray
    present: np.ndarray
    visibility: np.ndarray
    video: int
    category: str


@dataclass
class Toy:
    """Every pixel of a frame is (10 video, 10 frame, 100) in RGB; `paint(image, video, frame)` draws over it."""

    size: tuple[int, int] = (320, 240)
    original: tuple[int, int] = (320, 240)
    extension: str = ".png"
    tracks: list[Track] = field(default_factory=list)
    bad: set[tuple[int, int]] = field(default_factory=set)
    encoded: dict[tuple[int, int], bytes] = field(default_factory=dict)
    paint: Callable[[np.ndarray, int, int], object] | None = None

    @property
    def index(self):
        return self

    @property
    def fingerprint(self):
        return str(id(self))

    @property
    def num_tracks(self):
        return len(self.tracks)

    @property
    def categories(self):
        return sorted({track.category for track in self.tracks})

    @property
    def track_categories(self):
        return np.array([self.categories.index(track.category) for track in self.tracks], np.int32)

    def add(self, boxes, present=None, visibility=None, video=None, category="", frames=None):
        boxes = np.array(boxes, np.float64)
        shown = np.ones(len(boxes), bool) if present is None else np.array(present)
        seen = shown if visibility is None else visibility
        numbers = np.arange(len(boxes)) if frames is None else np.array(frames)
        video = len(self.tracks) if video is None else video
        self.tracks.append(Track(numbers, boxes, shown, np.asarray(seen, np.float16), video, category))
        return self

    def track(self, k):
        return self.tracks[k]

    def track_video(self, k):
        return self.tracks[k].video

    def tracks_of(self, v):
        return [k for k, track in enumerate(self.tracks) if track.video == v]

    def video_name(self, v):
        return f"video {v}"

    def track_name(self, k):
        return f"track {k}"

    def video_size(self, v):
        return self.original

    def read_frame(self, v, t):
        if (v, t) not in self.encoded:
            self.encoded[v, t] = self._encode(v, t)
        return self.encoded[v, t]

    def _encode(self, v, t):
        width, height = self.size
        image = np.full((height, width, 3), (10 * v, 10 * t, 100), np.uint8)
        if self.paint is not None:
            self.paint(image, v, t)
        data = cv2.imencode(self.extension, image[:, :, ::-1])[1].tobytes()
        return data[: len(data) // 2] if (v, t) in self.bad else data

    def picture_size(self, v):
        return self.size

    def stored(self, k):
        return None

    def read_target(self, k, row):
        return self.read_frame(self.tracks[k].video, int(self.tracks[k].frames[row])), None

    def describe_target(self, k, row):
        return f"toy video {self.tracks[k].video} frame {self.tracks[k].frames[row]}"
