"""Which convention a name means, on which data set, and which is a benchmark's own."""

from __future__ import annotations

import pytest

from seqtrack.assessment.benchmark import benchmark_of, first_pixel
from seqtrack.assessment.conventions import CONVENTIONS, PROTOCOLS, default, find, names
from seqtrack.assessment.supervised import lengths
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import UserError


@pytest.mark.parametrize(
    ("dataset", "protocol", "name"),
    [
        ("otb_100", "ope", "otb"),
        ("tc128", "ope", "otb"),
        ("uav123", "ope", "otb"),
        ("uav20l", "ope", "otb"),
        ("dtb70", "ope", "otb"),
        ("nfs_30", "ope", "otb"),
        ("nuspro", "ope", "otb"),
        ("vot2018", "ope", "otb"),
        ("my_own", "ope", "otb"),
        ("lasot_test", "ope", "lasot"),
        ("lasot_ext", "ope", "lasot"),
        ("got10k_val", "ope", "got10k"),
        ("vot2018", "supervised", "pysot"),
        ("vot2018_longterm", "longterm", "vot"),
    ],
)
def test_the_benchmarks_own(dataset: str, protocol: str, name: str) -> None:
    assert default(dataset, protocol) == name
    assert find(protocol, None, dataset) == find(protocol, name, dataset)


@pytest.mark.parametrize(
    ("dataset", "convention", "interval"),
    [
        ("lasot:videos", "lasot", 100), ("got10k:my", "got10k", 100), ("pysot:LaSOT", "lasot", 100),
        ("clean:got10k_val", "got10k", 100), ("otb:lasot", "otb", 100), ("vot:VOT2019", "otb", 46),
        ("pysot:VOT2016", "otb", 108), ("otb:vot2019", "otb", 100),
    ],
)  # fmt: skip
def test_a_folder_of_ones_own_goes_by_its_layout_and_else_by_its_name_in_any_case(
    dataset: str, convention: str, interval: int
) -> None:
    benchmark = benchmark_of(parse_dataset_name(dataset))
    assert default(benchmark, "ope") == convention
    assert lengths("vot", benchmark).start == interval


@pytest.mark.parametrize(
    ("dataset", "first"), [("otb:my", 1), ("pysot:UAV20L", 1), ("pysot:LaSOT", 0), ("vot:my", 0)]
)
def test_the_first_pixel(dataset: str, first: int) -> None:
    assert first_pixel(parse_dataset_name(dataset)) == first


def test_the_names_of_each_protocol() -> None:
    assert {protocol: names(protocol) for protocol in PROTOCOLS} == {
        "ope": ("otb", "got10k", "pysot", "pysot_all_frames", "pytracking", "lasot"),
        "supervised": ("pysot", "vot"),
        "longterm": ("vot", "pysot"),
    }


def test_a_toolkit_may_count_a_data_set_otherwise() -> None:
    assert find("ope", "got10k", "got10k_val").metrics == ("AO", "SR_50", "SR_75")
    assert "AO" not in find("ope", "got10k", "otb_100").metrics
    uav, lasot, other = (find("ope", "pytracking", dataset) for dataset in ("uav123", "lasot_test", "otb_100"))
    assert len({uav.definition, lasot.definition, other.definition}) == 3
    assert find("ope", "pysot", "lasot_test") != find("ope", "pysot_all_frames", "lasot_test")


def test_every_name_is_known_for_every_data_set_and_only_one_pass_has_rules_of_frames() -> None:
    for convention in CONVENTIONS:
        assert find(convention.protocol, convention.name, "my_own").name == convention.name
        assert (convention.frames is not None) == (convention.protocol == "ope")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"^convention 'pytrack' is not known for ope; did you mean pytracking\?$"):
        find("ope", "pytrack")
    with pytest.raises(UserError) as error:
        find("supervised", "otb")
    assert str(error.value) == "convention 'otb' is not known for supervised; did you mean vot?"
