"""Which frames make the pairs: entry of the mixture, track, two of its frames; or a track and another one.

A negative pair shows in its search crop something that is not the exemplar's target, so that a tracker learns to say
no (DaSiamRPN, Zhu et al. 2018, section 3.2; pysot's NEG). JSON of `--negative_params`, the share of each kind among
all pairs (the rest is positive); what is left out is 0:

    {"same_video": 0.05, "same_class": 0.1, "other_video": 0.05}

same_video: another target of the exemplar's video, in a frame where the exemplar's own lies beyond the search
region. same_class: a target of the exemplar's category in another video of the same entry of the mixture.
other_video: any other pair's target. Where the first has no partner the next takes its place, so that the share of
negative pairs is what was asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seqtrack.data.sampling.filters import NO_FILTERS, FilterParams, capped, usable_rows
from seqtrack.data.sampling.mixture import Entry, Mixture
from seqtrack.data.sampling.samplers import SamplerParams, sample_pair
from seqtrack.data.sampling.sources import DatasetLike, TrackLike
from seqtrack.errors import DataError, UserError
from seqtrack.schema import Checked, bounded, parse

# A track may have no usable frame. This many draws in a row of such tracks: the data set has hardly any other.
_MAX_DRAWS = 1000
# Partners tried before a negative pair becomes one of the next kind.
_MAX_PARTNERS = 10

_SAME_VIDEO, _SAME_CLASS, _OTHER_VIDEO, _POSITIVE = range(4)

Subsets = Mapping[str, Mapping[str, NDArray[Any] | None]]
Weights = list[NDArray[np.float64]] | None


@dataclass(frozen=True)
class NegativeParams(Checked):
    """Shares of the kinds of negative pairs among all pairs."""

    same_video: float = bounded(0.0, low=0, high=1)
    same_class: float = bounded(0.0, low=0, high=1)
    other_video: float = bounded(0.0, low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        total = math.fsum((self.same_video, self.same_class, self.other_video))
        if total > 1 + 1e-9:
            raise ValueError(f"other_video: the shares of negative pairs sum to {total:g}; expected at most 1")


NO_NEGATIVES = NegativeParams()


def parse_negative_params(value: Mapping[str, Any]) -> NegativeParams:
    """Validated parameters from their JSON; UserError names the wrong key or value."""
    return parse(NegativeParams, value, "--negative_params")


class Region(NamedTuple):
    """How far a search crop reaches: `context` as of `crops.square_around`, and the side of the furthest region
    that motion can make, in units of that square's; `view_size` (width, height) of the frames that it is cut from,
    None for those of the version."""

    context: float
    reach: float
    view_size: tuple[int, int] | None = None


class Spot(NamedTuple):
    """One labelled frame of one target. dataset: place among those that are open; row: position in the track."""

    dataset: int
    track: int
    labels: TrackLike
    row: int

    @property
    def frame(self) -> int:
        """Its number in the video."""
        return int(self.labels.frames[self.row])

    @property
    def box(self) -> list[float]:
        return self.labels.boxes[self.row].tolist()  # type: ignore[no-any-return]


class Drawn(NamedTuple):
    """is_positive: both are the same target."""

    exemplar: Spot
    search: Spot
    is_positive: bool

    @property
    def is_still(self) -> bool:
        """Both are one and the same frame of one target."""
        a, b = self.exemplar, self.search
        return (a.dataset, a.track, a.row) == (b.dataset, b.track, b.row)


class _Part(NamedTuple):
    """One data set of an entry, or the chosen tracks of it."""

    dataset: int
    tracks: NDArray[np.int64] | None


class _Classes(NamedTuple):
    """The tracks of an entry by category. category: (total,) 0 where there is none; the tracks of category c are
    order[ends[c - 1] : ends[c]]."""

    category: NDArray[np.int64]
    order: NDArray[np.int64]
    ends: NDArray[np.int64]


class _Group:
    """One entry of the mixture, opened. Its tracks are numbered through: those of `parts[m]` begin at `begins[m]`."""

    def __init__(
        self, parts: Sequence[_Part], counts: Sequence[int], sampler: SamplerParams, filters: FilterParams
    ) -> None:
        self.parts, self.sampler, self.filters = parts, sampler, filters
        self.is_filtered = filters != NO_FILTERS
        self.total = sum(counts)
        self.classes: _Classes | None = None
        self._begins = np.cumsum([0, *counts[:-1]], dtype=np.int64)

    def find(self, number: int) -> tuple[int, int]:
        """(data set, track) of the entry's track `number`."""
        member = int(self._begins.searchsorted(number, side="right")) - 1 if len(self.parts) > 1 else 0
        dataset, tracks = self.parts[member]
        within = number - int(self._begins[member])
        return dataset, within if tracks is None else int(tracks[within])

    def members(self, dataset: int, tracks: Sequence[int]) -> list[int]:
        """Those of a data set's `tracks` that are in the entry: pools and caps leave some out."""
        kept = np.zeros(len(tracks), bool)
        for part in self.parts:
            if part.dataset == dataset:
                kept |= True if part.tracks is None else np.isin(tracks, part.tracks)
        return [track for track, is_kept in zip(tracks, kept, strict=True) if is_kept]


class PairDraws:
    """Draws pairs by entry of the mixture, track and frame. Picklable; see `PairSource` for its arguments."""

    def __init__(
        self,
        datasets: Mapping[str, DatasetLike],
        mixture: Mixture,
        sampler: SamplerParams,
        filters: FilterParams,
        negatives: NegativeParams,
        region: Region,
        subsets: Subsets,
    ) -> None:
        self._names, self._datasets = list(datasets), list(datasets.values())
        fingerprints = [dataset.index.fingerprint for dataset in self._datasets]
        self._firsts = [fingerprints.index(fingerprint) for fingerprint in fingerprints]
        self._region = region
        self._negative_ends = np.cumsum([negatives.same_video, negatives.same_class, negatives.other_video])
        self.has_negatives = negatives != NO_NEGATIVES
        self._groups = [self._group(entry, sampler, filters, subsets) for entry in mixture.entries]
        self._group_ends = np.cumsum([entry.weight for entry in mixture.entries])

    def _group(self, entry: Entry, sampler: SamplerParams, filters: FilterParams, subsets: Subsets) -> _Group:
        filters = entry.filters or filters
        parts, counts = [], []
        for name in entry.names:
            chosen: Mapping[str, NDArray[Any] | None] = subsets.get(name, {name: None})
            for dataset, tracks in chosen.items():
                if dataset not in self._names:
                    known = ", ".join(self._names)
                    raise UserError(f"data set {dataset!r} of the mixture is not open (open: {known})")
                number = self._names.index(dataset)
                index = self._datasets[number].index
                if filters.max_per_category is not None:
                    tracks = capped(index, tracks, filters.max_per_category)
                parts.append(_Part(number, tracks))
                counts.append(index.num_tracks if tracks is None else len(tracks))
        if not sum(counts):
            raise DataError(f"{', '.join(entry.names)}: no tracks to draw training pairs from")
        return _Group(parts, counts, entry.sampler or sampler, filters)

    def weight_ends(self, state: Mapping[str, Any]) -> Weights:
        """For each entry the running sum of its tracks' weights; None where every track weighs the same."""
        given = state.get("track_weights")
        if not given:
            return None
        ends = []
        for group in self._groups:
            weights = []
            for number, tracks in group.parts:
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

    def draw(self, rng: Generator, weights: Weights) -> Drawn:
        """One pair. weights: of `weight_ends`."""
        # Without negatives no number is drawn for them: what was drawn before there were any stays as it was.
        kind = _POSITIVE
        if self.has_negatives:
            kind = int(self._negative_ends.searchsorted(rng.random(), side="right"))
        group, place, spot, usable = self._draw_track(rng, weights)
        if kind == _POSITIVE:
            a, b = sample_pair(rng, usable, spot.labels.frames, group.sampler)
            return Drawn(spot._replace(row=a), spot._replace(row=b), True)
        exemplar = spot._replace(row=_one_of(rng, usable))
        partner = self._of_same_video(rng, exemplar, group) if kind == _SAME_VIDEO else None
        if partner is None and kind != _OTHER_VIDEO:
            partner = self._of_same_class(rng, exemplar, group, place)
        return Drawn(exemplar, partner or self._of_other_video(rng, exemplar, weights), False)

    def _draw_track(self, rng: Generator, weights: Weights) -> tuple[_Group, int, Spot, NDArray[np.int64]]:
        """The entry, the place of the track in it, the track (at no row yet) and the rows that may be drawn."""
        entry = -1
        for _ in range(_MAX_DRAWS):
            chosen = float(rng.random())
            # Filters must not change the weights of entries, so what they refuse is replaced from the same entry.
            if entry < 0 or not self._groups[entry].is_filtered:
                entry = int(self._group_ends[:-1].searchsorted(chosen, side="right"))
            group = self._groups[entry]
            if weights is None:
                place = int(rng.random() * group.total)
            else:
                ends = weights[entry]
                place = min(int(ends.searchsorted(rng.random() * ends[-1], side="right")), group.total - 1)
            spot, usable = self._usable(*group.find(place), group.filters)
            if len(usable):
                return group, place, spot, usable
        names = ", ".join(self._names)
        if self._groups[entry].is_filtered:
            raise DataError(
                f"{names}: {_MAX_DRAWS} tracks in a row have no frame with a target that the filters leave;"
                " loosen them (--filter_params, or those of the entry in --train_dataset)"
            )
        raise DataError(f"{names}: {_MAX_DRAWS} tracks in a row have no frame with a target; check the annotations")

    def _usable(self, number: int, track: int, filters: FilterParams) -> tuple[Spot, NDArray[np.int64]]:
        dataset = self._datasets[number]
        labels = dataset.index.track(track)
        rows = usable_rows(labels, dataset.index.video_size(dataset.index.track_video(track)), filters)
        stored = dataset.stored(track)
        if stored is not None:
            rows = rows[np.isin(rows, stored, assume_unique=True)]
        return Spot(number, track, labels, -1), rows

    def _video(self, spot: Spot) -> tuple[int, int]:
        """The same for spots of one video, even where lists make two data sets of one."""
        return self._firsts[spot.dataset], self._datasets[spot.dataset].index.track_video(spot.track)

    def _of_same_video(self, rng: Generator, exemplar: Spot, group: _Group) -> Spot | None:
        number, index = exemplar.dataset, self._datasets[exemplar.dataset].index
        video = index.track_video(exemplar.track)
        size = self._region.view_size or self._datasets[number].picture_size(video)
        if size is None:  # the frames may have been squeezed until all targets are in sight
            return None
        width, height = index.video_size(video)
        scale = size[0] / width, size[1] / height
        others = group.members(number, index.tracks_of(video))
        others.remove(exemplar.track)
        for _ in range(min(len(others), _MAX_PARTNERS)):
            spot, usable = self._usable(number, others.pop(int(rng.random() * len(others))), group.filters)
            clear = usable[~_in_sight(exemplar.labels, spot.labels, usable, self._region, scale)]
            if len(clear):
                return spot._replace(row=_one_of(rng, clear))
        return None

    def _of_same_class(self, rng: Generator, exemplar: Spot, group: _Group, place: int) -> Spot | None:
        if group.classes is None:
            group.classes = self._classes(group)
        category, order, ends = group.classes
        own = int(category[place])
        if own == 0:
            return None
        first, count = int(ends[own - 1]), int(ends[own] - ends[own - 1])
        for _ in range(_MAX_PARTNERS):
            spot, usable = self._usable(*group.find(int(order[first + int(rng.random() * count)])), group.filters)
            if len(usable) and self._video(spot) != self._video(exemplar):
                return spot._replace(row=_one_of(rng, usable))
        return None

    def _of_other_video(self, rng: Generator, exemplar: Spot, weights: Weights) -> Spot:
        for _ in range(_MAX_DRAWS):
            _, _, spot, usable = self._draw_track(rng, weights)
            if self._video(spot) != self._video(exemplar):
                return spot._replace(row=_one_of(rng, usable))
        name = self._names[exemplar.dataset]
        raise DataError(f"{name}: --negative_params needs targets of two videos; {_MAX_DRAWS} draws were of one")

    def _classes(self, group: _Group) -> _Classes:
        numbers = {"": 0}  # of all data sets of the entry: a category is its name
        pieces = []
        for number, tracks in group.parts:
            index = self._datasets[number].index
            lookup = np.array([numbers.setdefault(name, len(numbers)) for name in index.categories], np.int64)
            own = lookup[index.track_categories]
            pieces.append(own if tracks is None else own[tracks])
        category = np.concatenate(pieces)
        ends = np.cumsum(np.bincount(category, minlength=len(numbers)))
        return _Classes(category, np.argsort(category, kind="stable"), ends)


def _one_of(rng: Generator, rows: NDArray[np.int64]) -> int:
    return int(rows[int(rng.random() * len(rows))])


def _in_sight(
    target: TrackLike, around: TrackLike, rows: NDArray[np.int64], region: Region, scale: tuple[float, float]
) -> NDArray[np.bool_]:
    """(M,) for each of `rows` of the track `around`, whether the search region about it shows `target` too.

    scale: pixels that it is cut from per pixel of the original, across and down. Unequal, they change what a square
    shows.
    """
    frames = around.frames[rows]
    at = np.minimum(target.frames.searchsorted(frames), len(target.frames) - 1)
    labelled = (target.frames[at] == frames) & target.present[at]
    factors = np.array([*scale, *scale])
    boxes, centres = target.boxes[at] * factors, around.boxes[rows] * factors
    pad = region.context * centres[:, 2:].sum(axis=1, keepdims=True)
    sides = np.sqrt((centres[:, 2:] + pad).prod(axis=1, keepdims=True)) * region.reach
    distances = np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - centres[:, :2] - centres[:, 2:] / 2)
    return np.asarray(labelled & (distances < (sides + boxes[:, 2:]) / 2).all(axis=1))
