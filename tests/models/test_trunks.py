"""Trunks: their sizes are what the geometry says, and their numbers what torchvision and SiamFC's ports give."""

from __future__ import annotations

import pytest
import torch
import torchvision

from seqtrack.models import geometry
from seqtrack.models.backbones import Backbone, Normalize
from seqtrack.models.params import ARCH_PARAMS, FeatureParams, ResNetParams, SlimResNetParams
from seqtrack.models.resnet import ResNetTrunk

CONFIGURATIONS = [
    FeatureParams(),
    *(
        FeatureParams(arch, ARCH_PARAMS[arch](num_blocks=blocks, padding=padding))  # type: ignore[call-arg]
        for arch in ("resnet18", "resnet34", "resnet50", "slim_resnet_v1_50")
        for padding in ("SAME", "VALID")
        for blocks in (1, 2, 3)
        if padding == "SAME" or blocks < 3 or arch == "resnet18"  # the deeper leave nothing of 251 pixels
    ),
]


@pytest.mark.parametrize("params", CONFIGURATIONS, ids=lambda p: f"{p.arch}-{p.arch_params}")
def test_features_have_the_size_that_the_geometry_says(params: FeatureParams) -> None:
    backbone = Backbone(params).eval()
    for size in (251, 254):
        expected = geometry.output_size(params.layers(), size)
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, size, size, dtype=torch.uint8))
        assert features.shape == (1, backbone.out_channels, expected, expected)
    assert backbone.stride == geometry.total_stride(params.layers())


@pytest.mark.parametrize(
    "params",
    [p for p in CONFIGURATIONS if getattr(p.arch_params, "padding", "VALID") == "VALID"],
    ids=lambda p: f"{p.arch}-{p.arch_params}",
)
def test_without_padding_a_shift_by_the_stride_shifts_features_by_one_cell(params: FeatureParams) -> None:
    # Holds exactly only where shortcuts are aligned with the main path and nothing pads.
    torch.manual_seed(0)
    backbone = Backbone(params).eval()
    size, stride = 251, backbone.stride
    image = torch.randint(0, 256, (1, 3, size + stride, size + stride), dtype=torch.uint8)
    with torch.no_grad():
        at_origin, shifted = backbone(image[:, :, :size, :size]), backbone(image[:, :, stride:, stride:])
    torch.testing.assert_close(at_origin[:, :, 1:, 1:], shifted[:, :, :-1, :-1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_padded_resnets_compute_what_torchvision_does(arch: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, arch)().eval()
    ours = ResNetTrunk(arch, ResNetParams(num_blocks=3, padding="SAME")).eval()
    missing = ours.load_state_dict(theirs.state_dict(), strict=False).missing_keys
    assert missing == []
    x = torch.randn(2, 3, 127, 127)
    with torch.no_grad():
        y = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        expected = theirs.layer3(theirs.layer2(theirs.layer1(y)))
        torch.testing.assert_close(ours(x), expected)


def test_slim_strides_the_last_unit_of_a_block_by_subsampling_its_shortcut() -> None:
    # Zeroing the main path of the last unit leaves the shortcut alone: every second cell of what came in.
    trunk = ResNetTrunk("slim_resnet_v1_50", SlimResNetParams(num_blocks=1, padding="SAME")).eval()
    stage = trunk.get_submodule("layer1")
    assert isinstance(stage, torch.nn.Sequential)
    last = stage[-1]
    torch.nn.init.zeros_(last.bn3.weight)  # type: ignore[arg-type, union-attr]
    x = torch.rand(1, 256, 31, 31)
    with torch.no_grad():
        torch.testing.assert_close(last(x), x[:, :, ::2, ::2])


def test_slim_pools_as_tensorflow_does() -> None:
    # TF's SAME pads an even side after only: the first window starts at 0. (An odd one: one cell on either side.)
    pool = ResNetTrunk("slim_resnet_v1_50", SlimResNetParams(padding="SAME")).maxpool
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    assert pool(ramp)[0, 0, 0].tolist() == [2.0, 4.0, 5.0]
    assert pool(ramp[:, :, :5, :5])[0, 0, 0].tolist() == [1.0, 3.0, 4.0]


def test_pixels_are_normalised_inside() -> None:
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = [(0 - 123.675) / 58.395, (128 - 116.28) / 57.12, (255 - 103.53) / 57.375]
    torch.testing.assert_close(Normalize("imagenet")(pixels).flatten(), torch.tensor(expected))
    assert Normalize("raw")(pixels).flatten().tolist() == [0.0, 128.0, 255.0]
    assert not Normalize("imagenet").state_dict()
