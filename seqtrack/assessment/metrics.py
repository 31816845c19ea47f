"""What a track is worth against the truth, by the field's definitions.

The field's toolkits disagree on identical files (docs/metrics.md), so every number here belongs to a named
convention and every metric carries its bounds, its direction and its definition. Pure functions on arrays;
boxes are (N, 4) float64, x y w h in pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.geometry import centers, iou
from seqtrack.errors import UserError
from seqtrack.schema import lookup, nearest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# linspace, as got10k has it: pysot's arange(0, 1.05, 0.05) differs in the last bit of some thresholds, which
# decides ties such as IoU = 0.3 (one frame of OTB-100's Freeman3 with KCF).
SUCCESS_THRESHOLDS: tuple[float, ...] = tuple(float(t) for t in np.linspace(0.0, 1.0, 21))
PRECISION_PX = 20.0
NORM_PRECISION = 0.20


@dataclass(frozen=True)
class Metric:
    """One number per track: what it is called, which values it takes and which end is good."""

    name: str
    bounds: tuple[float, float]
    higher_is_better: bool
    definition: str


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("AUC", (0.0, 1.0), True, "mean over t = 0, 0.05, ..., 1 of the share with IoU > t"),
            Metric("success_50", (0.0, 1.0), True, "share of frames with IoU > 0.5"),
            Metric("success_70", (0.0, 1.0), True, "share of frames with IoU > 0.7"),
            Metric("precision_20", (0.0, 1.0), True, "share of frames with centre error <= 20 px"),
            Metric(
                "norm_precision", (0.0, 1.0), True,
                "share of frames with centre error <= 0.20, x and y divided by the truth's width and height",
            ),
            Metric("mean_iou", (0.0, 1.0), True, "mean IoU over the frames"),
        )
    }
)  # fmt: skip


@dataclass(frozen=True)
class Convention:
    """How a benchmark's own tool counts: which frames enter, and whether the first prediction is a gift.

    ``counted(truth, present)`` answers (T,) bool: the frames in the denominator of every share.
    """

    name: str
    definition: str
    counted: Callable[[Floats, Bools], Bools]
    first_is_truth: bool


def _rows_with_numbers(truth: Floats, present: Bools) -> Bools:
    """got10k's ExperimentOTB drops rows with NaN and nothing else: boxes of no size (Board) count."""
    return np.asarray(np.isfinite(truth).all(axis=1))


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        convention.name: convention
        for convention in (
            Convention(
                "otb",
                "OTB as the got10k toolkit counts it: the first prediction is overwritten with the truth, "
                "rows without numbers are left out, presence flags are ignored",
                _rows_with_numbers,
                first_is_truth=True,
            ),
        )
    }
)


def metric_names(tre_num: int = 1) -> tuple[str, ...]:
    """The keys of an assessment's summary: OPE metrics, and ``TRE_<n>_<metric>`` if n = ``tre_num`` > 1."""
    return (*METRICS, *(tre_name(tre_num, name) for name in METRICS if tre_num > 1))


def tre_name(tre_num: int, metric: str) -> str:
    return f"TRE_{tre_num}_{metric}"


def find_metric(name: str, tre_num: int = 1) -> Metric:
    """The metric that ``--optimize_metric`` calls ``name``, in any case; UserError names the nearest."""
    names = {known.lower(): known for known in metric_names(tre_num)}
    if name.lower() not in names:
        raise UserError(f"--optimize_metric: {name!r} is not known; {nearest(name, names.values())}")
    found = names[name.lower()]
    return replace(METRICS.get(found) or METRICS[found.split("_", 2)[2]], name=found)


def sequence_metrics(pred: Floats, truth: Floats, present: Bools, convention: str = "otb") -> dict[str, float]:
    """Every metric of METRICS for one track.

    pred, truth: (T, 4); frame 0 is the one that the tracker was given. present: (T,) bool, the target is in
    view. A prediction that is not a number is a miss. Raises ValueError for arrays that do not belong
    together and where no frame counts; UserError for an unknown convention.
    """
    rule = lookup(CONVENTIONS, convention, "convention")
    pred, truth = np.array(pred, np.float64), np.asarray(truth, np.float64)
    present = np.asarray(present, np.bool_)
    if not (pred.ndim == 2 and pred.shape[1] == 4 and pred.shape == truth.shape and present.shape == pred.shape[:1]):
        raise ValueError(f"boxes (T, 4), (T, 4) and flags (T,) expected: {pred.shape} {truth.shape} {present.shape}")
    counted = rule.counted(truth, present)
    if not counted.any():
        raise ValueError("no frame with a valid truth")
    if rule.first_is_truth:
        pred[0] = truth[0]
    pred, truth = pred[counted], truth[counted]
    overlaps = overlap(pred, truth)
    return {
        "AUC": float(success_curve(overlaps).mean()),
        "success_50": float((overlaps > 0.5).mean()),
        "success_70": float((overlaps > 0.7).mean()),
        "precision_20": float((center_errors(pred, truth) <= PRECISION_PX).mean()),
        "norm_precision": float((normalised_center_errors(pred, truth) <= NORM_PRECISION).mean()),
        "mean_iou": float(overlaps.mean()),
    }


def overlap(pred: Floats, truth: Floats) -> Floats:
    """IoU of (N, 4) with (N, 4): (N,) in [0, 1]; 0 where the prediction is not a number.

    Clipped because (x + w) - x may exceed w by a rounding, and a box would then overlap itself by more than 1
    and pass the last threshold of the success curve.
    """
    return np.clip(np.nan_to_num(iou(pred, truth), nan=0.0), 0.0, 1.0)


def center_errors(pred: Floats, truth: Floats) -> Floats:
    """Distance of the centres in pixels, (N,); inf where the prediction is not a number."""
    return _length(centers(pred) - centers(truth))


def normalised_center_errors(pred: Floats, truth: Floats) -> Floats:
    """Distance of the centres, x and y in units of the truth's width and height (LaSOT), (N,).

    inf where the prediction is not a number or the truth has no size.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _length((centers(pred) - centers(truth)) / truth[:, 2:])


def success_curve(overlaps: Floats) -> Floats:
    """Share of ``overlaps`` (N,) strictly above each of the 21 thresholds, (21,)."""
    return np.asarray((overlaps[:, None] > np.asarray(SUCCESS_THRESHOLDS)).mean(axis=0))


def _length(offsets: Floats) -> Floats:
    lengths = np.sqrt((offsets**2).sum(axis=1))
    return np.where(np.isnan(lengths), np.inf, lengths)
