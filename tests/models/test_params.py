"""The parameters of a model: the seed document's spelling works, and a mistake is named in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqtrack.errors import UserError
from seqtrack.models import geometry
from seqtrack.models.params import AlexNetParams, FeatureParams, ResNetParams, SiamFCParams, parse_model_params
from seqtrack.schema import plain

SEED_DOCUMENT = {
    "template_size": 123,
    "search_size": 251,
    "feature_params": {"arch": "slim_resnet_v1_50", "arch_params": {"padding": "VALID", "num_blocks": 1}},
    "feature_model_file": "path/to/resnet_v1_50.pth",
}


def test_defaults_are_those_of_the_paper() -> None:
    params = parse_model_params("siamfc", {})
    assert (params.template_size, params.search_size, params.context) == (127, 255, 0.5)
    assert params.feature_params == FeatureParams("alexnet", AlexNetParams(width=1.0))
    assert params.response() == geometry.ResponseGeometry(size=17, stride=8, center=8.0)


def test_the_seed_documents_example_gives_17_cells_at_stride_8() -> None:
    params = parse_model_params("siamfc", SEED_DOCUMENT)
    assert params.response() == geometry.ResponseGeometry(size=17, stride=8, center=8.0)


@pytest.mark.parametrize("value", [{}, SEED_DOCUMENT, {"feature_params": {"arch": "resnet18"}}])
def test_the_complete_dictionary_gives_the_same_parameters_again(value: dict[str, Any]) -> None:
    params = parse_model_params("siamfc", value)
    complete = plain(params)
    assert parse_model_params("siamfc", complete) == params
    assert complete["feature_model_file"] == value.get("feature_model_file")
    assert "padding" in complete["feature_params"]["arch_params"] or value == {}


def test_the_complete_dictionary_of_the_defaults() -> None:
    assert plain(SiamFCParams()) == {
        "template_size": 127,
        "search_size": 255,
        "feature_params": {
            "arch": "alexnet",
            "arch_params": {"width": 1.0},
            "normalize": "imagenet",
            "norm": True,
        },
        "feature_model_file": None,
        "context": 0.5,
        "label_radius": 16.0,
        "out_scale": None,
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"templat_size": 127}, ": 'templat_size' is not a parameter; did you mean template_size?"),
        ({"feature_params": {"arhc": "alexnet"}}, ".feature_params: 'arhc' is not a parameter; did you mean arch?"),
        (
            {"feature_params": {"arch": "resnet50", "arch_params": {"num_blcks": 1}}},
            ".feature_params.arch_params: 'num_blcks' is not a parameter; did you mean num_blocks?",
        ),
        (
            {"feature_params": {"arch_params": {"num_blocks": 1}}},
            ".feature_params.arch_params: 'num_blocks' is not a parameter; expected one of width",
        ),
        (
            {"feature_params": {"arch": "alexnte"}},
            ".feature_params.arch: 'alexnte' is not known; did you mean alexnet?",
        ),
        ({"feature_params": {"arch": ["resnet50"]}}, ".feature_params.arch: expected a text, got ['resnet50']"),
        (
            {"feature_params": {"normalize": "imagent"}},
            ".feature_params.normalize: 'imagent' is not known; did you mean imagenet?",
        ),
        ({"feature_params": "alexnet"}, ".feature_params: expected a JSON object, got 'alexnet'"),
        ({"template_size": "127"}, ".template_size: expected a whole number, got '127'"),
        ({"template_size": None}, ".template_size: expected a whole number, got None"),
        ({"context": -1}, ".context: expected 0 to 4, got -1"),
        ({"out_scale": 0}, ".out_scale: expected 1e-09 to 1000, got 0"),
        ({"feature_model_file": 3}, ".feature_model_file: expected a text, got 3"),
        (
            {"feature_params": {"arch": "resnet18", "arch_params": {"padding": "valid"}}},
            ".feature_params.arch_params.padding: 'valid' is not known; did you mean VALID?",
        ),
        (
            {"feature_params": {"arch": "resnet18", "arch_params": {"num_blocks": 5}}},
            ".feature_params.arch_params.num_blocks: expected 1 to 4, got 5",
        ),
        (
            {"template_size": 80},
            ".template_size: 80 is too small for this trunk: no features are left; its smallest is 87",
        ),
        (
            {"template_size": 255},
            ".search_size: 255 gives 22×22 features, template_size 255 22×22: no response map; "
            "make the search larger than the template",
        ),
        (
            {"feature_params": {"arch": "slim_resnet_v1_50", "arch_params": {"num_blocks": 3}}},
            ".template_size: 127 is too small for this trunk: no features are left; its smallest is 291",
        ),
        ([], ": expected a JSON object, got []"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(value: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_model_params("siamfc", value)
    assert str(caught.value) == f"--model_params{message}"


def test_an_unknown_model_names_the_valid_one() -> None:
    with pytest.raises(UserError, match=r"^--model: 'siamfcc' is not known; did you mean siamfc\?$"):
        parse_model_params("siamfcc", {})


def test_construction_is_checked_as_parsing_is() -> None:
    with pytest.raises(ValueError, match=r"^arch_params: AlexNetParams does not fit arch 'resnet18'$"):
        FeatureParams("resnet18", AlexNetParams())
    with pytest.raises(ValueError, match=r"^width: expected 0\.05 to 4, got -1$"):
        AlexNetParams(width=-1.0)


def test_width_scales_channels_in_eights() -> None:
    assert AlexNetParams().channels() == (96, 256, 384, 384, 256)
    assert AlexNetParams(width=0.25).channels() == (24, 64, 96, 96, 64)
    assert AlexNetParams(width=0.05).channels() == (8, 16, 16, 16, 16)


def test_slim_strides_in_the_last_unit_and_torchvision_in_the_first() -> None:
    assert geometry.unit_strides("slim_resnet_v1_50", 0) == [1, 1, 2]
    assert geometry.unit_strides("slim_resnet_v1_50", 1) == [1, 1, 1, 2]
    assert geometry.unit_strides("slim_resnet_v1_50", 3) == [1, 1, 1]
    assert geometry.unit_strides("resnet50", 0) == [1, 1, 1]
    assert geometry.unit_strides("resnet50", 1) == [2, 1, 1, 1]


@pytest.mark.parametrize(("blocks", "stride", "sizes"), [(1, 8, (28, 12)), (2, 16, (10, 2))])
def test_sizes_of_slim_without_padding(blocks: int, stride: int, sizes: tuple[int, int]) -> None:
    layers = geometry.resnet_layers("slim_resnet_v1_50", blocks, same=False)
    assert geometry.total_stride(layers) == stride
    assert (geometry.output_size(layers, 251), geometry.output_size(layers, 123)) == sizes


@pytest.mark.parametrize(("arch", "blocks", "stride"), [("slim_resnet_v1_50", 3, 32), ("slim_resnet_v1_50", 4, 32)])
def test_stride_of_deep_slim(arch: str, blocks: int, stride: int) -> None:
    assert geometry.total_stride(geometry.resnet_layers(arch, blocks, same=True)) == stride


def test_the_centre_follows_the_receptive_fields() -> None:
    # 128 px between the crops' half sizes are 8 cells of stride 8, whatever pads inside.
    for padding in ("SAME", "VALID"):
        features = FeatureParams("resnet50", ResNetParams(num_blocks=2, padding=padding))
        assert SiamFCParams(feature_params=features).response().center == 8.0
    # An odd difference leaves the centre between two cells.
    assert SiamFCParams(search_size=263).response() == geometry.ResponseGeometry(18, 8, 8.5)
    # A search region may leave a remainder that no window reaches: the map's centre is then not its middle.
    assert SiamFCParams(search_size=259).response() == geometry.ResponseGeometry(17, 8, 8.25)


def test_parameters_need_no_torch(repository: Path) -> None:
    code = "import sys, seqtrack.models.params, seqtrack.tracking.params; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0
