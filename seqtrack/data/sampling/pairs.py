"""From data sets to batches of training pairs: an exemplar crop and a search crop of the same target.

Sample i of batch t is a pure function of (seed, stream, t, i, state): any worker, any order, any number of them gives
the same pixels. A PairSource is picklable (spawned workers make their own decoder and random stream).

`draws` says which frames, `motion` and `augment` how their crops are changed; what is here reads, decodes and crops.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.imaging.crops import Box, crop_square, shrink_for, square_around, whole_square
from seqtrack.data.imaging.images import Image, RegionDecoder, resize_view
from seqtrack.data.sampling.augment import AugmentParams, PairLooks, draw_looks
from seqtrack.data.sampling.draws import NO_NEGATIVES, Drawn, NegativeParams, PairDraws, Region, Spot, Subsets
from seqtrack.data.sampling.filters import NO_FILTERS, FilterParams
from seqtrack.data.sampling.looks import apply_look, mirrored
from seqtrack.data.sampling.mixture import Mixture
from seqtrack.data.sampling.motion import NO_MOTION, Motion, MotionParams, draw_motion
from seqtrack.data.sampling.rng import Stream
from seqtrack.data.sampling.samplers import SamplerParams
from seqtrack.data.sampling.sources import DatasetLike
from seqtrack.errors import UserError

Batch = dict[str, NDArray[Any]]


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


class PairSource:
    """Draws, reads, decodes, crops and augments. See `batch`.

    datasets: by name; every name in the mixture must be there (or in `subsets`).
    sampler, filters: of the entries of the mixture that have none of their own.
    motion: of the search region, None for none. augment: None draws nothing for it.
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
        subsets: Subsets | None = None,
        augment: AugmentParams | None = None,
        filters: FilterParams = NO_FILTERS,
        negatives: NegativeParams = NO_NEGATIVES,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"--batchsz must be at least 1, not {batch_size}")
        self._datasets = list(datasets.values())
        self._pair, self._motion, self._augment = pair, motion, augment
        self._batch_size, self._seed, self._stream_name = batch_size, seed, stream
        self._draws = PairDraws(datasets, mixture, sampler, filters, negatives, _region(pair, motion), subsets or {})
        self._open()

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
        "exemplar_box", "search_box" (B, 4) float32: what each is a crop of, x y w h in pixels of the crop.
        "sample" (B, 4) int64: data set (its place in `datasets`), track, exemplar frame, search frame (in the video).

        Only where there are negative pairs: "is_positive" (B,) bool, whether both boxes are of the same target; and
        "search_track" (B, 2) int64, data set and track of the search crop ("sample" has those of the exemplar).

        state["track_weights"]: {data set: (T,) float64, not negative}; its tracks are drawn in proportion to
        them within each entry of the mixture; tracks of data sets not named weigh 1.
        """
        count, pair = self._batch_size, self._pair
        exemplars = np.empty((count, pair.exemplar_size, pair.exemplar_size, 3), np.uint8)
        searches = np.empty((count, pair.search_size, pair.search_size, 3), np.uint8)
        exemplar_boxes = np.empty((count, 4), np.float32)
        search_boxes = np.empty((count, 4), np.float32)
        weights = self._draws.weight_ends(state or {})
        pairs = []
        for i in range(count):
            rng = self._stream.at(step, i)
            drawn = self._draws.draw(rng, weights)
            # Drawn whatever the frames are like, so that the order of draws never depends on pixels.
            motion = NO_MOTION if self._motion is None else draw_motion(rng, self._motion)
            looks = None if self._augment is None else draw_looks(rng, self._augment, drawn.is_still)
            exemplar_boxes[i], search_boxes[i] = self._cut_pair(drawn, motion, looks, exemplars[i], searches[i])
            pairs.append(drawn)
        batch: Batch = {
            "exemplar": exemplars,
            "search": searches,
            "exemplar_box": exemplar_boxes,
            "search_box": search_boxes,
            "sample": np.array([(*a[:2], a.frame, b.frame) for a, b, _ in pairs], np.int64),
        }
        if self._draws.has_negatives:
            batch["is_positive"] = np.array([drawn.is_positive for drawn in pairs])
            batch["search_track"] = np.array([drawn.search[:2] for drawn in pairs], np.int64)
        return batch

    def _cut_pair(
        self, drawn: Drawn, motion: Motion, looks: PairLooks | None, exemplar: Image, search: Image
    ) -> tuple[Box, Box]:
        """Writes both crops; returns the targets' boxes in them."""
        ratio = self._pair.search_size / self._pair.exemplar_size
        if looks is None:
            exemplar_box = self._cut(drawn.exemplar, 1.0, NO_MOTION, exemplar)
            return exemplar_box, self._cut(drawn.search, ratio, motion, search)
        exemplar_box = self._cut(drawn.exemplar, 1.0, looks.exemplar_motion, exemplar)
        search_box = self._cut(drawn.search, ratio, looks.search_motion or motion, search)
        apply_look(looks.exemplar, exemplar)
        apply_look(looks.search, search)
        return (
            mirrored(exemplar_box, exemplar.shape[1]) if looks.exemplar.flip else exemplar_box,
            mirrored(search_box, search.shape[1]) if looks.search.flip else search_box,
        )

    def _cut(self, spot: Spot, ratio: float, motion: Motion, out: Image) -> Box:
        """Writes the crop to `out`; returns the target's box in it. ratio: side of the crop / of the exemplar."""
        decoder, out_size = self._decoder, out.shape[0]
        dataset, track, row, box = self._datasets[spot.dataset], spot.track, spot.row, spot.box
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


def _region(pair: PairParams, motion: MotionParams | None) -> Region:
    """The furthest search region that is cut around a target that is not the exemplar's."""
    reach = pair.search_size / pair.exemplar_size
    if motion is not None:
        reach *= motion.reach(pair.search_size)
    return Region(pair.context, reach, pair.view_size)
