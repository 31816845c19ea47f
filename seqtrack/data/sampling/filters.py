"""Which tracks of a data set training may draw, and which of their frames: pure functions of the labels.

JSON of `--filter_params`, or of "filter" in an entry of the mixture; what is left out refuses nothing:

    {"min_visibility": 0.3, "min_side": 10, "max_aspect": 4, "min_length": 20, "max_per_category": 500}

Frames are judged when their track is drawn: a set of a million tracks costs nothing to open.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.sampling.sources import IndexLike, TrackLike
from seqtrack.schema import Checked, bounded, parse

FLAG = "--filter_params"


@dataclass(frozen=True)
class FilterParams(Checked):
    """min_visibility: share of the target that can be seen (1 where a data set does not say).

    min_side, min_area: shorter side and area of the box, pixels of the original image. min_relative_size:
    sqrt(box area / image area). max_aspect: longer side / shorter side. min_length: frames of the track that pass
    all that. max_per_category: tracks of each category and data set (those without one are not capped), see `capped`.
    """

    min_visibility: float = bounded(0.0, low=0, high=1)
    min_side: float = bounded(0.0, low=0)
    min_area: float = bounded(0.0, low=0)
    min_relative_size: float = bounded(0.0, low=0, high=1)
    max_aspect: float | None = bounded(None, low=1)
    min_length: int = bounded(1, low=1)
    max_per_category: int | None = bounded(None, low=1)


NO_FILTERS = FilterParams()


def parse_filter_params(value: Any, where: str = FLAG) -> FilterParams:
    """Validated parameters from their JSON; UserError names the wrong key or value."""
    return parse(FilterParams, value, where)


def usable_rows(track: TrackLike, image_size: tuple[int, int], params: FilterParams) -> NDArray[np.int64]:
    """Positions (M,), increasing, of the frames that may be drawn; none of a track that is too short.

    image_size: (width, height) of the original frames.
    """
    widths, heights = track.boxes[:, 2], track.boxes[:, 3]
    passes = track.present & (widths > 0) & (heights > 0)  # a box of NaN is larger than nothing
    if params.min_visibility > 0:
        # The index holds float16: a declared 0.3 must not refuse what was written as 0.3.
        passes = passes & (track.visibility >= np.float16(params.min_visibility))
    if params.min_side > 0:
        passes = passes & (widths >= params.min_side) & (heights >= params.min_side)
    min_area = max(params.min_area, params.min_relative_size**2 * math.prod(image_size))
    if min_area > 0:
        passes = passes & (widths * heights >= min_area)
    if params.max_aspect is not None:
        passes = passes & (widths <= heights * params.max_aspect) & (heights <= widths * params.max_aspect)
    (rows,) = passes.nonzero()
    return rows if len(rows) >= params.min_length else rows[:0]


def capped(index: IndexLike, tracks: NDArray[np.int64] | None, limit: int) -> NDArray[np.int64]:
    """Of `tracks` (None: all) at most `limit` in each category, increasing.

    Those with the smallest hash of their names: whatever is added to a data set or taken from it, a track that
    stays within the limit stays in. Tracks without a category are all kept.
    """
    numbers = np.arange(index.num_tracks) if tracks is None else tracks
    categories = np.asarray(index.track_categories)[numbers]
    hashes = np.fromiter((_hash(index, track) for track in numbers.tolist()), np.uint64, len(numbers))
    order = np.lexsort((hashes, categories))
    ordered = categories[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    nameless = [number for number, name in enumerate(index.categories) if not name]
    return np.sort(numbers[order[(rank < limit) | np.isin(ordered, nameless)]])


def _hash(index: IndexLike, track: int) -> int:
    name = f"{index.video_name(index.track_video(track))}\0{index.track_name(track)}"
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "little")
