"""Which two frames of a track make a training pair: pure functions of a generator and the track's frame numbers.

Kinds and their parameters (JSON of `--sampler_params`; the names are the ancestor's, torrvision/seqtrack
`sample.py`):

    {"kind": "uniform"}                                   any two different frames
    {"kind": "regular", "freq": 10}                       two frames `freq` apart
    {"kind": "freq_range", "min_freq": 10, "max_freq": 60, "use_log": true}
                                                          as regular, the step drawn anew for each pair
    {"kind": "pair_range", "low": 1, "high": 100}         between `low` and `high` frames apart, either order

Distances count frames of the *video*, whatever is missing from the track. Only frames in which the target is present
are used. A track too short for the distance yields its own longest one; a track of one frame yields that frame twice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seqtrack.errors import DataError
from seqtrack.schema import Checked, bounded, lookup, parse

FLAG = "--sampler_params"
# SiamFC's own: pairs at most 100 frames apart (Bertinetto et al. 2016, section 2.3).
DEFAULT_KIND = "pair_range"


@dataclass(frozen=True)
class Uniform:
    """Two different present frames, every ordered pair equally likely."""

    kind: Literal["uniform"] = "uniform"


@dataclass(frozen=True)
class Regular(Checked):
    """A present frame, then the one `freq` frames later (the nearest present one where that is absent)."""

    kind: Literal["regular"] = "regular"
    freq: int = bounded(10, low=1)


@dataclass(frozen=True)
class FreqRange(Checked):
    """As `Regular`, the step drawn for each pair from [min_freq, max_freq]; uniform in its logarithm if use_log."""

    kind: Literal["freq_range"] = "freq_range"
    min_freq: int = bounded(10, low=1)
    max_freq: int = 60
    use_log: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_freq < self.min_freq:
            raise ValueError(f"max_freq: expected {self.min_freq} (min_freq) or more, got {self.max_freq}")


@dataclass(frozen=True)
class PairRange(Checked):
    """Two present frames with low <= distance <= high, every such ordered pair equally likely (SiamFC: up to 100)."""

    kind: Literal["pair_range"] = "pair_range"
    low: int = bounded(1, low=0)
    high: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.high < self.low:
            raise ValueError(f"high: expected {self.low} (low) or more, got {self.high}")


SamplerParams = Uniform | Regular | FreqRange | PairRange
KINDS: dict[str, type[SamplerParams]] = {
    "uniform": Uniform,
    "regular": Regular,
    "freq_range": FreqRange,
    "pair_range": PairRange,
}


def parse_sampler_params(value: Mapping[str, Any], where: str = FLAG) -> SamplerParams:
    """Validated parameters from their JSON (see DEFAULT_KIND); UserError names the wrong key or value."""
    kind = value.get("kind", DEFAULT_KIND) if isinstance(value, Mapping) else DEFAULT_KIND
    return parse(lookup(KINDS, kind, f"{where}.kind"), value, where)


def sample_pair(
    rng: Generator, present: NDArray[Any], frames: NDArray[np.integer[Any]], params: SamplerParams
) -> tuple[int, int]:
    """Positions (i, j) in the track of the exemplar frame and of the search frame.

    present: (N,) bool, or the positions (M,) int, ascending, that may be used.
    frames: (N,) int, ascending: the number in the video of each position.
    Raises DataError if no position may be used.
    """
    where = np.flatnonzero(present) if present.dtype == np.bool_ else present
    count = len(where)
    if count == 0:
        raise DataError("a track has no frame in which its target is present; it cannot be sampled")
    if count == 1:
        return int(where[0]), int(where[0])
    match params:
        case Uniform():
            a, b = _uniform(rng, count)
        case Regular(freq=freq):
            a, b = _step_apart(rng, frames[where], freq)
        case FreqRange():
            a, b = _step_apart(rng, frames[where], _draw_step(rng, params))
        case PairRange(low=low, high=high):
            a, b = _within_range(rng, frames[where], low, high)
    return int(where[a]), int(where[b])


def _below(rng: Generator, n: int) -> int:
    # A tenth of the cost of rng.integers; biased by n / 2^53, which nobody can measure.
    return int(rng.random() * n)


def _uniform(rng: Generator, count: int) -> tuple[int, int]:
    a = _below(rng, count)
    b = _below(rng, count - 1)
    return a, b + (b >= a)


def _draw_step(rng: Generator, params: FreqRange) -> int:
    low, high = params.min_freq, params.max_freq
    u = float(rng.random())
    # Rounding [low - 1/2, high + 1/2] gives the ends the same share as the others (of the logarithm, or not).
    if params.use_log:
        step = math.exp(math.log(low - 0.5) + u * (math.log(high + 0.5) - math.log(low - 0.5)))
    else:
        step = low - 0.5 + u * (high - low + 1)
    return min(max(math.floor(step + 0.5), low), high)


def _step_apart(rng: Generator, numbers: NDArray[Any], step: int) -> tuple[int, int]:
    """`numbers` (M >= 2,) are ascending. Starts are those from which `step` does not pass the last number."""
    starts = int(np.searchsorted(numbers, numbers[-1] - step, side="right"))
    if starts == 0:
        return 0, len(numbers) - 1
    a = _below(rng, starts)
    wanted = numbers[a] + step
    b = int(np.searchsorted(numbers, wanted))
    if b - 1 > a and wanted - numbers[b - 1] < numbers[b] - wanted:
        b -= 1
    return a, b


def _within_range(rng: Generator, numbers: NDArray[Any], low: int, high: int) -> tuple[int, int]:
    """`numbers` (M >= 2,) are ascending. Counts for every start its partners ahead, then draws one of all pairs."""
    first = numbers.searchsorted(numbers + low, side="left")
    beyond = numbers.searchsorted(numbers + high, side="right")
    ends = (beyond - first).cumsum()
    total = int(ends[-1])
    flip = rng.random() < 0.5
    if total == 0:
        a, b = _closest_to_range(numbers, low, high)
    else:
        chosen = _below(rng, total)
        a = int(ends.searchsorted(chosen, side="right"))
        b = int(beyond[a] - (ends[a] - chosen))
    return (b, a) if flip else (a, b)


def _closest_to_range(numbers: NDArray[Any], low: int, high: int) -> tuple[int, int]:
    """The first pair whose distance misses [low, high] by least; the ends of a track that is too short."""
    if numbers[-1] - numbers[0] < low:
        return 0, len(numbers) - 1
    starts = np.arange(len(numbers) - 1)
    after = np.clip(np.searchsorted(numbers, numbers[:-1] + low), starts + 1, len(numbers) - 1)
    before = np.maximum(after - 1, starts + 1)
    best: tuple[int, int, int] | None = None
    for ends in (before, after):
        distance = numbers[ends] - numbers[:-1]
        miss = np.maximum(low - distance, distance - high)
        a = int(np.argmin(miss))
        if best is None or miss[a] < best[0]:
            best = (int(miss[a]), a, int(ends[a]))
    if best is None:
        raise ValueError("no pair in a track of one frame")
    return best[1], best[2]
