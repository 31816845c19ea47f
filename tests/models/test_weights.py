"""Weights of a trunk from files: what matched is reported, and what cannot be used is refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from seqtrack.errors import UserError
from seqtrack.models.alexnet import AlexNetTrunk
from seqtrack.models.params import AlexNetParams, ResNetParams, SlimResNetParams
from seqtrack.models.resnet import ResNetTrunk
from seqtrack.models.weights import load_feature_weights


def trunk(seed: int, width: float = 0.125) -> AlexNetTrunk:
    torch.manual_seed(seed)
    return AlexNetTrunk(AlexNetParams(width=width))


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("name", ["w.pth", "w.pth.tar", "w.pkl", "w.pt", "w.ckpt", "w.safetensors"])
@pytest.mark.parametrize("prefix", ["", "backbone.", "module.features.trunk."])
def test_all_of_a_file_is_loaded_whatever_the_prefix(tmp_path: Path, name: str, prefix: str) -> None:
    source, target = trunk(0), trunk(1)
    tensors = {prefix + key: value for key, value in source.state_dict().items()}
    if name.endswith("safetensors"):
        save_file(tensors, tmp_path / name)
    else:
        torch.save(tensors, tmp_path / name)
    report = load_feature_weights(target, tmp_path / name)
    assert same(source, target)
    assert (report.missing, report.unexpected) == ((), ())
    assert str(report) == f"{len(report.matched)} of {len(report.matched)} tensors loaded"


@pytest.mark.parametrize("container", ["state_dict", "net", "model_state_dict"])
def test_tensors_are_found_in_the_usual_containers(tmp_path: Path, container: str) -> None:
    source, target = trunk(0), trunk(1)
    torch.save({"epoch": 3, container: source.state_dict()}, tmp_path / "w.pth")
    load_feature_weights(target, tmp_path / "w.pth")
    assert same(source, target)


def test_what_did_not_match_is_reported(tmp_path: Path) -> None:
    tensors = trunk(0).state_dict()
    del tensors["conv5.0.bias"]
    tensors["conv1.0.weight"] = torch.zeros(1, 3, 11, 11)
    tensors["head.weight"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "w.pth")
    report = load_feature_weights(trunk(1), tmp_path / "w.pth")
    assert report.missing == ("conv1.0.weight", "conv5.0.bias")
    assert report.reshaped == ("conv1.0.weight",)
    assert report.unexpected == ("head.weight",)
    assert "2 missing: conv1.0.weight, conv5.0.bias; 1 unused in the file: head.weight" in str(report)


@pytest.mark.parametrize(
    ("arch", "params"), [("resnet50", ResNetParams(2)), ("slim_resnet_v1_50", SlimResNetParams(2))]
)
def test_torchvisions_resnet50_loads_into_both_resnets(tmp_path: Path, arch: str, params: ResNetParams) -> None:
    weights = torchvision.models.resnet50().state_dict()
    torch.save(weights, tmp_path / "w.pth")
    target = ResNetTrunk(arch, params)
    report = load_feature_weights(target, tmp_path / "w.pth")
    assert report.missing == ()
    assert "fc.weight" in report.unexpected
    assert torch.equal(target.state_dict()["layer2.3.conv2.weight"], weights["layer2.3.conv2.weight"])


class Unpickled:
    """Stands for a class that a pickle would import and run."""


def write_torch(content: Any) -> Any:
    return lambda path: torch.save(content, path)


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("none.pth", None, "does not exist"),
        ("resnet_v1_50.ckpt", None, "is a TensorFlow checkpoint, which cannot be read yet"),
        ("resnet_v1_50.ckpt", lambda p: p.write_bytes(b"\0TF V1"), "is a TensorFlow checkpoint"),
        ("model.ckpt-1000.index", lambda p: p.write_bytes(b"\0"), "is a TensorFlow checkpoint"),
        ("model.ckpt.data-00000-of-00001", lambda p: p.write_bytes(b"\0"), "is a TensorFlow checkpoint"),
        ("empty.pth", lambda p: p.write_bytes(b""), "cannot be read"),
        ("noise.pth", lambda p: p.write_bytes(b"\x93NUMPY" * 100), "cannot be read"),
        ("noise.safetensors", lambda p: p.write_bytes(b"\xff" * 100), "cannot be read"),
        (
            "code.pth",
            lambda p: p.write_bytes(pickle.dumps(Unpickled(), protocol=2)),
            "cannot be read: it is corrupt, or holds",
        ),
        ("list.pth", write_torch([torch.zeros(1)]), "holds a list, not a dictionary of named tensors"),
        ("words.pth", write_torch({"a": 1}), "holds no named tensors"),
        ("other.pth", write_torch({"fc.weight": torch.zeros(2, 2)}), "nothing in"),
        ("folder.pth", lambda p: p.mkdir(), "does not exist or is no file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, name: str, write: Any, expected: str
) -> None:
    path = tmp_path / name
    if write is not None:
        write(path)
    target, before = trunk(0), trunk(0)
    with pytest.raises(UserError) as caught:
        load_feature_weights(target, path)
    message = str(caught.value)
    assert message.startswith("--model_params.feature_model_file: ")
    assert expected in message
    assert str(path) in message
    assert "\n" not in message
    assert same(target, before)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(trunk(0).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="cannot be read"):
        load_feature_weights(trunk(1), path)


def test_step_counters_alone_are_no_match(tmp_path: Path) -> None:
    torch.save({"conv1.1.num_batches_tracked": torch.tensor(3)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="nothing in"):
        load_feature_weights(trunk(0), tmp_path / "w.pth")
