"""From data sets to batches of training pairs: an exemplar crop and a search crop of the same target.

Sample i of batch t is a pure function of (seed, stream, t, i, state): any worker, any order, any number of them gives
the same pixels. A PairSource is picklable (spawned workers make their own decoder and random stream).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seqtrack.data.crops import Box, CropMap, crop_square, shrink_for, square_around, whole_square
from seqtrack.data.images import Image, RegionDecoder, resize_view
from seqtrack.data.mixture import Mixture
from seqtrack.data.motion import MotionParams, draw_motion
from seqtrack.data.rng import Stream
from seqtrack.data.samplers import SamplerParams, sample_pair
from seqtrack.errors import DataError, UserError

# A track may have no usable frame. This many draws in a row of such tracks: the data set has hardly any other.
_MAX_DRAWS = 1000

Batch = dict[str, NDArray[Any]]


class TrackLike(Protocol):
    """One target through one video; N labelled frames."""

    @property
    def frames(self) -> NDArray[Any]: ...  # (N,) int, number in the video
    @property
    def boxes(self) -> NDArray[Any]: ...  # (N, 4) float64, x y w h in pixels of the original image
    @property
    def present(self) -> NDArray[Any]: ...  # (N,) bool


class IndexLike(Protocol):
    """What is used of seqtrack.data.index.Index."""

    @property
    def num_tracks(self) -> int: ...
    def track(self, k: int, /) -> TrackLike: ...
    def track_video(self, k: int, /) -> int: ...
    def video_size(self, v: int, /) -> tuple[int, int]: ...


class DatasetLike(Protocol):
    """What is used of seqtrack.data.datasets.Dataset."""

    @property
    def index(self) -> IndexLike: ...
    def stored(self, k: int, /) -> NDArray[Any] | None: ...
    def read_target(self, k: int, row: int, /) -> tuple[bytes, CropMap | None]: ...
    def describe_target(self, k: int, row: int, /) -> str: ...


@dataclass(frozen=True)
class PairParams:
    """exemplar_size, search_size: sides of the crops in pixels. context: see `crops.square_around`.

    view_size: (width, height) to which every frame is resized first; None: frames as they are stored.
    """

    exemplar_size: int = 127
    search_size: int = 255
    context: float = 0.5
    view_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        sizes = [self.exemplar_size, self.search_size, *(self.view_size or ())]
        if min(sizes) < 1:
            raise UserError(f"sizes of crops and frames must be positive, not {sizes}")
        if not (math.isfinite(self.context) and self.context >= 0):
            raise UserError(f"context must be a number, at least 0, not {self.context!r}")


class _Group(NamedTuple):
    """One entry of the mixture. Its tracks are numbered through: those of `datasets[m]` begin at `begins[m]`."""

    datasets: list[int]
    begins: NDArray[np.int64]
    total: int


class PairSource:
    """Draws, reads, decodes and crops. See `batch`.

    datasets: by name; every name in the mixture must be there (or in `subsets`).
    subsets: virtual data sets (pools): name in the mixture -> {data set: (M,) track numbers, or None for all}.
    """

    def __init__(
        self,
        datasets: Mapping[str, DatasetLike],
        mixture: Mixture,
        sampler: SamplerParams,
        pair: PairParams,
        motion: MotionParams | None,
        batch_size: int,
        seed: int,
        stream: str = "train",
        subsets: Mapping[str, Mapping[str, NDArray[Any] | None]] | None = None,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"--batchsz must be at least 1, not {batch_size}")
        self._names = list(datasets)
        self._datasets = list(datasets.values())
        self._sampler, self._pair, self._motion = sampler, pair, motion
        self._batch_size, self._seed, self._stream_name = batch_size, seed, stream
        self._parts: list[tuple[int, NDArray[Any] | None]] = []  # (number of the data set, its tracks or all)
        self._groups = [self._group(names, subsets or {}) for _, names in mixture.groups]
        self._group_ends = np.cumsum([weight for weight, _ in mixture.groups])
        self._open()

    def _group(self, names: Sequence[str], subsets: Mapping[str, Mapping[str, NDArray[Any] | None]]) -> _Group:
        first, counts = len(self._parts), []
        for name in names:
            chosen: Mapping[str, NDArray[Any] | None] = subsets.get(name, {name: None})
            for dataset, tracks in chosen.items():
                if dataset not in self._names:
                    raise UserError(
                        f"data set {dataset!r} of the mixture is not open (open: {', '.join(self._names)})"
                    )
                number = self._names.index(dataset)
                self._parts.append((number, tracks))
                counts.append(self._datasets[number].index.num_tracks if tracks is None else len(tracks))
        total = sum(counts)
        if total == 0:
            raise DataError(f"{', '.join(names)}: no tracks to draw training pairs from")
        begins = np.cumsum([0, *counts[:-1]], dtype=np.int64)
        return _Group(list(range(first, len(self._parts))), begins, total)

    def _open(self) -> None:
        self._decoder = RegionDecoder()
        self._stream = Stream(self._seed, self._stream_name)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_decoder", "_stream")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def batch(self, step: int, state: Mapping[str, Any] | None = None) -> Batch:
        """Batch number `step`; B pairs, a pure function of (seed, stream, step, state).

        "exemplar" (B, E, E, 3) and "search" (B, S, S, 3): uint8 RGB.
        "exemplar_box", "search_box" (B, 4) float32: the target, x y w h in pixels of the crop.
        "sample" (B, 4) int64: data set (its place in `datasets`), track, exemplar frame, search frame (in the video).

        state["track_weights"]: {data set: (T,) float64, not negative}; its tracks are drawn in proportion to
        them within each entry of the mixture; tracks of data sets not named weigh 1.
        """
        count, pair = self._batch_size, self._pair
        exemplars = np.empty((count, pair.exemplar_size, pair.exemplar_size, 3), np.uint8)
        searches = np.empty((count, pair.search_size, pair.search_size, 3), np.uint8)
        exemplar_boxes = np.empty((count, 4), np.float32)
        search_boxes = np.empty((count, 4), np.float32)
        samples = np.empty((count, 4), np.int64)
        weights = self._weight_ends(state or {})
        ratio = pair.search_size / pair.exemplar_size
        for i in range(count):
            rng = self._stream.at(step, i)
            number, track_number, track, a, b = self._draw(rng, weights)
            # Drawn whatever the frames are like, so that the order of draws never depends on pixels.
            motion = (0.0, 0.0, 1.0) if self._motion is None else draw_motion(rng, self._motion)
            dataset = self._datasets[number]
            exemplar_boxes[i] = self._cut(
                dataset, track_number, a, track.boxes[a].tolist(), 1.0, (0.0, 0.0, 1.0), exemplars[i]
            )
            search_boxes[i] = self._cut(dataset, track_number, b, track.boxes[b].tolist(), ratio, motion, searches[i])
            samples[i] = (number, track_number, int(track.frames[a]), int(track.frames[b]))
        return {
            "exemplar": exemplars,
            "search": searches,
            "exemplar_box": exemplar_boxes,
            "search_box": search_boxes,
            "sample": samples,
        }

    def _weight_ends(self, state: Mapping[str, Any]) -> list[NDArray[np.float64]] | None:
        """For each group the running sum of its tracks' weights; None where every track weighs the same."""
        given = state.get("track_weights")
        if not given:
            return None
        ends = []
        for group in self._groups:
            weights = []
            for part in group.datasets:
                number, tracks = self._parts[part]
                total = self._datasets[number].index.num_tracks
                own = np.asarray(given.get(self._names[number], np.ones(total)), dtype=np.float64)
                if own.shape != (total,) or not (np.isfinite(own).all() and (own >= 0).all()):
                    raise ValueError(
                        f"track_weights of {self._names[number]!r} must be {total} numbers, not negative"
                    )
                weights.append(own if tracks is None else own[tracks])
            ends.append(np.cumsum(np.concatenate(weights)))
            if not ends[-1][-1] > 0:
                raise ValueError("track_weights leave no track to draw in one entry of the mixture")
        return ends

    def _draw(
        self, rng: Generator, weights: list[NDArray[np.float64]] | None
    ) -> tuple[int, int, TrackLike, int, int]:
        """(data set, track number, track, position of the exemplar, position of the search frame)."""
        for _ in range(_MAX_DRAWS):
            chosen = float(rng.random())
            place = 0 if len(self._groups) == 1 else int(np.searchsorted(self._group_ends[:-1], chosen, side="right"))
            group = self._groups[place]
            if weights is None:
                row = int(rng.random() * group.total)
            else:
                ends = weights[place]
                row = min(int(np.searchsorted(ends, rng.random() * ends[-1], side="right")), group.total - 1)
            member = int(np.searchsorted(group.begins, row, side="right")) - 1
            number, tracks = self._parts[group.datasets[member]]
            within = row - int(group.begins[member])
            track_number = within if tracks is None else int(tracks[within])
            track = self._datasets[number].index.track(track_number)
            usable = np.flatnonzero(track.present & (track.boxes[:, 2:] > 0).all(axis=1))
            stored = self._datasets[number].stored(track_number)
            if stored is not None:
                usable = usable[np.isin(usable, stored, assume_unique=True)]
            if len(usable):
                return number, track_number, track, *sample_pair(rng, usable, track.frames, self._sampler)
        names = ", ".join(self._names)
        raise DataError(f"{names}: {_MAX_DRAWS} tracks in a row have no frame with a target; check the annotations")

    def _cut(
        self,
        dataset: DatasetLike,
        track: int,
        row: int,
        box: list[float],
        ratio: float,
        motion: tuple[float, float, float],
        out: Image,
    ) -> Box:
        """Writes the crop to `out`; returns the target's box in it. ratio: side of the crop / of the exemplar."""
        decoder, out_size = self._decoder, out.shape[0]
        data, crop = dataset.read_target(track, row)
        size = decoder.open(data, lambda: dataset.describe_target(track, row))
        view = self._pair.view_size
        if crop is not None:
            x, y, w, h = crop.to_crop(box)
        else:
            original = dataset.index.video_size(dataset.index.track_video(track))
            width, height = view or size
            fx, fy = width / original[0], height / original[1]
            x, y, w, h = box[0] * fx, box[1] * fy, box[2] * fx, box[3] * fy
        dx, dy, factor = motion
        side = square_around((x, y, w, h), self._pair.context) * ratio * factor
        # The target moves by (dx, dy) in the crop when the region moves the other way.
        cx, cy = x + w / 2 - dx * side / out_size, y + h / 2 - dy * side / out_size
        shrink = shrink_for(side, out_size)
        if view is None and decoder.scales:
            square = whole_square(cx / shrink, cy / shrink, side / shrink)
            image = decoder.rows((square.top + square.side) * shrink, shrink)
            crop_square(image, square, out_size, out=out)
            return square.map_to(out_size, shrink).to_crop((x, y, w, h))
        image = decoder.whole() if view is None else resize_view(decoder.whole(), view)
        square = whole_square(cx, cy, side, shrink)
        crop_square(image, square, out_size, out=out, shrink=shrink)
        return square.map_to(out_size).to_crop((x, y, w, h))
