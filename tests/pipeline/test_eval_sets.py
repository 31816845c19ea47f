"""Which protocol and convention a data set is assessed under, and which metric selects there: from flags alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqtrack import config
from seqtrack.errors import UserError
from seqtrack.pipeline.request import Request, resolve
from seqtrack.runs.identity import assessment_key


def a_request(tmp_path: Path, *datasets: str, **flags: Any) -> Request:
    return resolve(config.build({"eval_datasets": list(datasets), "cache_dir": str(tmp_path), **flags}))


def test_each_data_set_is_assessed_as_its_authors_do(tmp_path: Path) -> None:
    names = ["otb_100", "lasot_test", "got10k_val", "vot2018", "vot2018_longterm", "uav123"]
    found = a_request(tmp_path, *names, eval_samplers=["benchmark"]).eval_sets
    assert [(item.eval_id, item.protocol, item.convention) for item in found] == [
        ("otb_100-full", "ope", "otb"),
        ("lasot_test-full", "ope", "lasot"),
        ("got10k_val-full", "ope", "got10k"),
        ("vot2018-supervised", "supervised", "pysot"),
        ("vot2018_longterm-longterm", "longterm", "vot"),
        ("uav123-full", "ope", "otb"),
    ]


def test_the_benchmarks_sampler_is_the_one_it_stands_for(tmp_path: Path) -> None:
    found = a_request(tmp_path, "vot2018", eval_samplers=["supervised", "benchmark", "full"]).eval_sets
    assert [item.eval_id for item in found] == ["vot2018-supervised", "vot2018-full"]


def test_asking_for_what_happens_anyway_finds_the_assessments_that_are_there(tmp_path: Path) -> None:
    plain = a_request(tmp_path, "otb_50")
    assert a_request(tmp_path, "otb_50", eval_convention="otb").assessment_key == plain.assessment_key
    assert plain.assessment_key == assessment_key(plain.assess)
    other = a_request(tmp_path, "otb_50", eval_convention="pysot")
    assert other.assessment_key != plain.assessment_key
    assert [item.convention for item in other.eval_sets] == ["pysot"]


def test_a_convention_of_another_protocol_is_refused_by_name(tmp_path: Path) -> None:
    expected = (
        r"^--eval_convention: vot2018-supervised: convention 'got10k' is not known for supervised;"
        r" expected one of pysot, vot$"
    )
    with pytest.raises(UserError, match=expected):
        a_request(tmp_path, "vot2018", eval_samplers=["full", "supervised"], eval_convention="got10k")


@pytest.mark.parametrize(
    ("dataset", "given", "metric", "is_high"),
    [
        ("otb_50", {}, "AUC", True),
        ("got10k_val", {}, "AO", True),
        ("vot2018", {"eval_samplers": ["supervised"]}, "EAO", True),
        ("vot2018", {"eval_samplers": ["supervised"], "optimize_metric": "robustness"}, "robustness", False),
        ("vot2018", {"eval_samplers": ["supervised"], "eval_tre_num": 3}, "EAO", True),
        ("vot2018_longterm", {"eval_samplers": ["longterm"]}, "F_score", True),
        ("got10k_val", {"eval_convention": "otb"}, "AUC", True),
        ("otb_50", {"eval_tre_num": 3, "optimize_metric": "tre_3_auc"}, "TRE_3_AUC", True),
    ],
)
def test_the_metric_that_selects(
    tmp_path: Path, dataset: str, given: dict[str, Any], metric: str, is_high: bool
) -> None:
    found = a_request(tmp_path, dataset, **given).selection_metric
    assert (found.name, found.higher_is_better) == (metric, is_high)


def test_a_metric_that_the_selecting_set_does_not_have_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--optimize_metric: 'EAOO' is not known; did you mean EAO\?$"):
        a_request(tmp_path, "vot2018", "otb_50", eval_samplers=["benchmark"], optimize_metric="EAOO")
    with pytest.raises(UserError, match=r"^--optimize_metric: 'EAO' is not known; "):
        a_request(tmp_path, "otb_50", "vot2018", eval_samplers=["benchmark"], optimize_metric="EAO")


def test_what_a_line_about_a_set_is_about(tmp_path: Path) -> None:
    request = a_request(tmp_path, "otb_50", "vot2018", eval_samplers=["benchmark"], optimize_metric="precision_20")
    assert [request.headline(item) for item in request.eval_sets] == ["precision_20", "EAO"]
