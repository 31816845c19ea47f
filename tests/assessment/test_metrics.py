"""The table of metrics, and how a name in it is found."""

from __future__ import annotations

import pytest

from seqtrack.assessment.conventions import CONVENTIONS
from seqtrack.assessment.metrics import CURVES, METRICS, ONE_PASS, find_metric, metric_names
from seqtrack.errors import UserError


def test_every_metric_has_bounds_a_direction_and_a_definition() -> None:
    for name, metric in METRICS.items():
        low, high = metric.bounds
        assert metric.name == name and low < high and metric.definition
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["robustness", "failures"]


def test_every_metric_belongs_to_a_convention_and_the_other_way_round() -> None:
    assert {name for convention in CONVENTIONS for name in convention.metrics} == set(METRICS)


def test_the_axes_of_the_curves() -> None:
    assert {name: (len(axis), axis[0], axis[-1]) for name, axis in CURVES.items()} == {
        "success": (21, 0.0, 1.0),
        "precision": (51, 0.0, 50.0),
        "norm_precision": (51, 0.0, 0.5),
    }


def test_names_are_found_in_any_case_and_the_nearest_is_named() -> None:
    assert find_metric("auc").name == "AUC"
    assert find_metric("Mean_IoU") == METRICS["mean_iou"]
    with pytest.raises(UserError, match=r"^--optimize_metric: 'sucess_50' is not known; did you mean success_50\?"):
        find_metric("sucess_50")


def test_a_metric_of_another_protocol_is_found_only_where_the_set_has_it() -> None:
    supervised = ("EAO", "accuracy", "robustness", "failures")
    assert find_metric("eao", names=supervised) == METRICS["EAO"]
    with pytest.raises(UserError, match=r"^--optimize_metric: 'EAO' is not known; did you mean mean_iou\?$"):
        find_metric("EAO")


def test_tre_names_exist_where_there_are_several_starts() -> None:
    assert metric_names() == ONE_PASS
    assert len(metric_names(3)) == 2 * len(ONE_PASS)
    metric = find_metric("tre_3_auc", tre_num=3)
    assert (metric.name, metric.higher_is_better) == ("TRE_3_AUC", True)
    with pytest.raises(UserError, match="'TRE_3_AUC' is not known"):
        find_metric("TRE_3_AUC", tre_num=1)
