"""Conventions: by whose rules frames are counted. One table, and how one is found in it.

The field's toolkits disagree on identical files. A convention has the name of a toolkit and does what that
toolkit does, oddities included; docs/metrics.md lists them, tests compare with the toolkits' own scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.metrics import ONE_PASS
from seqtrack.errors import UserError
from seqtrack.schema import nearest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# From columns of the truth, (4, N) x y w h, to (N,): whether a frame is one of these.
Select = Callable[[Floats], Bools]

PROTOCOLS = ("ope", "supervised", "longterm")

# Of the normalised centre error: k / 100 and k * 0.01 differ in the last bit, which decides ties.
_HUNDREDTHS = np.arange(51) / 100
_LINSPACE = np.linspace(0.0, 0.5, 51)


def _with_numbers(truth: Floats) -> Bools:
    return np.asarray(np.isfinite(truth.sum(axis=0)))


def _sized(truth: Floats) -> Bools:
    return np.asarray((truth[2] > 0) & (truth[3] > 0))


def _positive(truth: Floats) -> Bools:
    """LaSOT's tool and pytracking ask it of all four numbers: a box that leans out at the left or top is none."""
    return np.asarray((truth[0] > 0) & (truth[1] > 0) & (truth[2] > 0) & (truth[3] > 0))


def _centred(truth: Floats) -> Bools:
    return np.asarray((truth[:2] + (truth[2:] - 1) / 2 > 0).all(axis=0))


def _centred_in_sizes(truth: Floats) -> Bools:
    """pysot asks the same of the centre divided by the size, which LaSOT's tiger-6 has once as -11 px."""
    return np.asarray(((truth[:2] + (truth[2:] - 1) / 2) / _not_quite_zero(truth[2:]) > 0).all(axis=0))


def _no_box(pred: Floats) -> Bools:
    return np.asarray((pred[2] == 0) | (pred[3] == 0))


def _no_size(pred: Floats) -> Bools:
    return np.asarray((pred[2] <= 0) | (pred[3] <= 0))


def _at_least_a_pixel(sizes: Floats) -> Floats:
    return np.maximum(sizes, 1.0)


def _not_quite_zero(sizes: Floats) -> Floats:
    return sizes + 1e-16


@dataclass(frozen=True)
class OnePass:
    """How the frames of one pass are counted. A prediction that is not a number is a miss everywhere.

    Attributes:
        norm: the thresholds of the normalised centre error. Those of IoU and pixels are the same for all.
        counted: the frames in every denominator; None: all.
        pooled: GOT-10k's rules. The first frame of each sequence and those where nothing of the target is visible
            do not count, boxes are clipped to the image, and all frames of all sequences weigh the same.
        overlapping: where the overlap is measured; elsewhere it is a failure. None: all.
        located: where centre errors are measured, in pixels and normalised. None: all.
        unlocated: what the error is elsewhere, in pixels and normalised: -1 is a hit at every threshold, inf a miss.
        flagged: frames that the benchmark flags as absent are failures of everything.
        first_is_truth: the first prediction is overwritten with the truth.
        repeated: predictions which stand for the one before them.
        sizes: what the width and height are made before centre errors are divided by them.
        quotients: centres are divided and then subtracted, which rounds otherwise than the other way round.
        norm_mean: the normalised precision is the mean over its thresholds, not the value at 0.20.
        mean_where_overlapping: the mean IoU is over the frames where it is measured.
    """

    norm: Floats
    counted: Select | None = None
    pooled: bool = False
    overlapping: Select | None = None
    located: tuple[Select, Select] | None = None
    unlocated: tuple[float, float] = (np.inf, np.inf)
    flagged: bool = False
    first_is_truth: bool = True
    repeated: Select | None = None
    sizes: Callable[[Floats], Floats] | None = None
    quotients: bool = False
    norm_mean: bool = False
    mean_where_overlapping: bool = False


@dataclass(frozen=True)
class Convention:
    """By whose rules a set is scored.

    Attributes:
        metrics: names in ``metrics.METRICS``, in the order of tables.
        datasets: how the ``benchmark_of`` those data sets begins that it is for; "" is all.
        frames: the rules of one pass; None for other protocols, whose modules know what the name means.
    """

    name: str
    protocol: str
    definition: str
    metrics: tuple[str, ...]
    datasets: str = ""
    frames: OnePass | None = None


_SUPERVISED = ("EAO", "accuracy", "robustness", "failures")
_LONGTERM = ("F_score", "LT_precision", "LT_recall")
_PYSOT = OnePass(
    _HUNDREDTHS, overlapping=_sized, located=(_centred, _centred_in_sizes), unlocated=(-1.0, -1.0),
    first_is_truth=False, sizes=_not_quite_zero, quotients=True,
)  # fmt: skip
_PYTRACKING = OnePass(
    _HUNDREDTHS, overlapping=_positive, located=(_positive, _positive), unlocated=(np.inf, -1.0),
    repeated=_no_box, quotients=True, mean_where_overlapping=True,
)  # fmt: skip
_LASOT = OnePass(
    _HUNDREDTHS, overlapping=_positive, located=(_positive, _positive), unlocated=(-1.0, -1.0),
    repeated=_no_size, quotients=True, flagged=True,
)  # fmt: skip

# Of those with the same protocol and name, the first whose ``datasets`` fits counts.
CONVENTIONS: tuple[Convention, ...] = (
    Convention(
        "otb", "ope",
        "OTB: the first prediction is overwritten with the truth; rows without numbers are left out; absence is not "
        "asked; normalised precision at 0.20",
        ONE_PASS,
        frames=OnePass(_HUNDREDTHS, counted=_with_numbers),
    ),
    Convention(
        "got10k", "ope",
        "GOT-10k: all frames but the first where something of the target is visible, pooled over sequences and "
        "repetitions; boxes clipped to the image",
        ("AO", "SR_50", "SR_75"), "got10k",
        OnePass(_LINSPACE, pooled=True),
    ),
    Convention(
        "got10k", "ope",
        "the got10k toolkit: as otb, but normalised precision is the mean over 0 ... 0.5, with errors divided by "
        "sizes of at least 1 px",
        ONE_PASS,
        frames=OnePass(_LINSPACE, counted=_with_numbers, sizes=_at_least_a_pixel, norm_mean=True),
    ),
    Convention(
        "pysot", "ope",
        "pysot on LaSOT: absent frames are failures; a truth without positive centre is a hit of precision; the "
        "first prediction counts as it is",
        ONE_PASS, "lasot",
        replace(_PYSOT, flagged=True),
    ),
    Convention(
        "pysot", "ope",
        "pysot: all frames count, those whose truth has no numbers as failures of overlap and hits of precision; the "
        "first prediction counts as it is",
        ONE_PASS,
        frames=_PYSOT,
    ),
    Convention(
        "pysot_all_frames", "ope",
        "pysot without flags of absence: all frames count, those whose truth has no numbers as failures of overlap "
        "and hits of precision; the first prediction counts as it is",
        ONE_PASS,
        frames=_PYSOT,
    ),
    Convention(
        "pytracking", "ope",
        "pytracking on LaSOT: all frames count, absent ones as failures; the first prediction is overwritten; a box "
        "of no size is the one before it; mean IoU over valid frames",
        ONE_PASS, "lasot",
        replace(_PYTRACKING, flagged=True),
    ),
    Convention(
        "pytracking", "ope",
        "pytracking on UAV123: all frames count, those without a truth > 0 as failures of overlap and hits of "
        "precision; the first prediction is overwritten; mean IoU over valid frames",
        ONE_PASS, "uav",
        replace(_PYTRACKING, unlocated=(-1.0, -1.0)),
    ),
    Convention(
        "pytracking", "ope",
        "pytracking: all frames count, those without a truth > 0 as failures, but as hits of normalised precision; "
        "the first prediction is overwritten; mean IoU over valid frames",
        ONE_PASS,
        frames=_PYTRACKING,
    ),
    Convention(
        "lasot", "ope",
        "LaSOT's own tool: all frames count, absent ones as failures; the first prediction is overwritten; a truth "
        "not > 0 is a failure of overlap and a hit of precision; normalised precision at 0.20",
        ONE_PASS,
        frames=_LASOT,
    ),
    Convention(
        "pysot", "supervised",
        "pysot's port of the VOT challenge's Matlab toolkit, whose numbers the literature prints: robustness is "
        "failures per 100 frames",
        _SUPERVISED,
    ),
    Convention("vot", "supervised", "vot-toolkit 0.9: failures weighted by length", _SUPERVISED),
    Convention("vot", "longterm", "vot-toolkit: F of the precision-recall curve over all frames", _LONGTERM),
    Convention("pysot", "longterm", "pysot's long-term benchmark: F over its grid of confidences", _LONGTERM),
)  # fmt: skip

_OWN = {"supervised": "pysot", "longterm": "vot"}
_OWN_ONE_PASS = {"lasot": "lasot", "got10k": "got10k"}  # others are scored as OTB


def names(protocol: str) -> tuple[str, ...]:
    """The conventions of a protocol, each once."""
    return tuple(dict.fromkeys(each.name for each in CONVENTIONS if each.protocol == protocol))


def default(dataset: str, protocol: str) -> str:
    """The name of the benchmark's own convention; ``dataset``: its ``benchmark_of``."""
    if protocol != "ope":
        return _OWN[protocol]
    own = (name for beginning, name in _OWN_ONE_PASS.items() if dataset.startswith(beginning))
    return next(own, "otb")


def find(protocol: str, name: str | None = None, dataset: str = "") -> Convention:
    """The convention ``name`` (None: the benchmark's own) as it is on ``dataset`` (``benchmark_of``).

    Raises:
        UserError: names the nearest.
    """
    wanted = default(dataset, protocol) if name is None else name
    for convention in CONVENTIONS:
        same = convention.protocol == protocol and convention.name == wanted
        if same and dataset.startswith(convention.datasets):
            return convention
    raise UserError(f"convention {wanted!r} is not known for {protocol}; {nearest(wanted, names(protocol))}")
