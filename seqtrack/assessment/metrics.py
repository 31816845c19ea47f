"""The metrics by name: which values each takes, which end is good, and what it says.

How the frames are counted is the convention's affair (``conventions.py``), for the field's toolkits disagree on
identical files (docs/metrics.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from seqtrack.errors import UserError
from seqtrack.schema import nearest


@dataclass(frozen=True)
class Metric:
    """One number per set of sequences: what it is called, which values it takes and which end is good.

    ``definition`` is a phrase for tables and reports; ``digits`` after the point tell trackers apart.
    """

    name: str
    bounds: tuple[float, float]
    higher_is_better: bool
    definition: str
    digits: int = 3
    is_count: bool = False


_SHARE = (0.0, 1.0)
_ANY = (0.0, math.inf)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("AUC", _SHARE, True, "mean over t = 0, 0.05, ..., 1 of the share of frames with IoU > t"),
            Metric("success_50", _SHARE, True, "share of frames with IoU > 0.5"),
            Metric("success_70", _SHARE, True, "share of frames with IoU > 0.7"),
            Metric("success_75", _SHARE, True, "share of frames with IoU > 0.75"),
            Metric("precision_20", _SHARE, True, "share of frames with centre error <= 20 px"),
            Metric(
                "norm_precision", _SHARE, True,
                "share of frames with centre error <= 0.20, x and y divided by the truth's width and height "
                "(got10k: the mean of that share over t = 0, 0.01, ..., 0.5)",
            ),
            Metric("mean_iou", _SHARE, True, "mean IoU over the frames"),
            Metric("AO", _SHARE, True, "mean IoU over all frames of all sequences but the first of each"),
            Metric("SR_50", _SHARE, True, "share of all those frames with IoU > 0.5"),
            Metric("SR_75", _SHARE, True, "share of all those frames with IoU > 0.75"),
            Metric("EAO", _SHARE, True, "expected average overlap over the typical lengths of a sequence"),
            Metric("accuracy", _SHARE, True, "mean overlap while the target is not lost, burn-in left out"),
            Metric("robustness", _ANY, False, "failures per 100 frames (pysot); failures per sequence (vot)"),
            Metric("failures", _ANY, False, "number of failures", digits=1, is_count=True),
            Metric("F_score", _SHARE, True, "the best 2 PR / (P + R) over the thresholds of confidence"),
            Metric("LT_precision", _SHARE, True, "mean overlap where the tracker reports the target, at the best F"),
            Metric("LT_recall", _SHARE, True, "mean overlap where the target is in view, at the best F"),
        )
    }
)  # fmt: skip

# What one pass through each sequence gives under all conventions but GOT-10k's own.
ONE_PASS: tuple[str, ...] = (
    "AUC", "success_50", "success_70", "success_75", "precision_20", "norm_precision", "mean_iou",
)  # fmt: skip

# All toolkits compute these as k * 0.05 (numpy's linspace(0, 1, 21) and arange(0, 1.05, 0.05) have the same bits), of
# which some are a bit above the decimal number: an IoU of 0.3 or 0.7 is not above its threshold.
SUCCESS_THRESHOLDS: tuple[float, ...] = tuple(k * 0.05 for k in range(21))
# The horizontal axes of the curves: IoU, pixels, and sizes of the truth.
CURVES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "success": SUCCESS_THRESHOLDS,
        "precision": tuple(float(k) for k in range(51)),
        "norm_precision": tuple(k / 100 for k in range(51)),
    }
)


def metric_names(tre_num: int = 1, names: Iterable[str] = ONE_PASS) -> tuple[str, ...]:
    """The keys of an assessment's summary: ``names``, and ``TRE_<n>_<metric>`` if n = ``tre_num`` > 1."""
    plain = tuple(names)
    return (*plain, *(tre_name(tre_num, name) for name in plain if tre_num > 1))


def decimals(name: str, together: Iterable[float | None] = ()) -> int:
    """Digits after the point that a metric is printed with, TRE's too.

    together: the values that are printed side by side, where each is one trial's or sequence's and no mean over
        several: counts that are all whole (failures) are printed as whole numbers.
    """
    metric = METRICS.get(name) or METRICS.get(name.split("_", 2)[-1])
    if metric is None:
        return 3
    known = [value for value in together if value is not None and math.isfinite(value)]
    is_whole = metric.is_count and known and all(float(value).is_integer() for value in known)
    return 0 if is_whole else metric.digits


def tre_name(tre_num: int, metric: str) -> str:
    return f"TRE_{tre_num}_{metric}"


def find_metric(name: str, tre_num: int = 1, names: Iterable[str] = ONE_PASS) -> Metric:
    """The metric that ``--optimize_metric`` calls ``name``, in any case; UserError names the nearest.

    names: the metrics of the convention under which the set is assessed.
    """
    known = {each.lower(): each for each in metric_names(tre_num, names)}
    if name.lower() not in known:
        raise UserError(f"--optimize_metric: {name!r} is not known; {nearest(name, known.values())}")
    found = known[name.lower()]
    return replace(METRICS.get(found) or METRICS[found.split("_", 2)[2]], name=found)
