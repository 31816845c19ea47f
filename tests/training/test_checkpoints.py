"""Checkpoints: intact, or passed over with a word."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from seqtrack.errors import SupersededError, TrialError
from seqtrack.runs.atomic import no_guard
from seqtrack.runs.paths import TrialFolder
from seqtrack.training import checkpoints


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    """Checkpoints at steps 10, 20, 30, 40; every weight of the network is the step."""
    trial = TrialFolder(tmp_path / "seed_0")
    for step in (10, 20, 30, 40):
        save(trial, step)
    return trial


def save(trial: TrialFolder, step: int) -> None:
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    nn.init.constant_(network.weight, step)
    checkpoints.save(trial.checkpoint(step), step, {"net": network}, {"optimizer": {"lr": 0.5}}, no_guard)


def test_what_is_saved_comes_back(trial: TrialFolder) -> None:
    found = checkpoints.load_newest(trial)
    assert found is not None
    assert (found.step, found.state) == (40, {"optimizer": {"lr": 0.5}})
    assert torch.equal(found.networks["net"]["weight"], torch.full((4, 3, 3, 3), 40.0))
    assert sorted(os.listdir(trial.checkpoint(40).path)) == ["meta.json", "model.safetensors", "state.pt"]


def test_no_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    assert checkpoints.load_newest(TrialFolder(tmp_path / "seed_0")) is None


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_one_is_passed_over_with_a_warning(
    trial: TrialFolder, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = trial.checkpoint(40).path / file
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = checkpoints.load_newest(trial)
    if file == "meta.json" and damage == "flip" and found is not None and found.step == 40:
        return  # the flipped bit was white space
    assert found is not None
    assert found.step == 30
    assert "step_00000040" in caplog.text
    assert "the one before it is used" in caplog.text


def test_if_all_are_damaged_nobody_starts_over_silently(trial: TrialFolder) -> None:
    for folder in trial.checkpoints().values():
        folder.model.write_bytes(b"")
    with pytest.raises(TrialError, match=r"none of the 4 checkpoints in .* is intact; remove that folder"):
        checkpoints.load_newest(trial)


def test_pruning_keeps_the_last_few_and_what_assessment_needs(trial: TrialFolder) -> None:
    save(trial, 50)
    checkpoints.prune(trial, needed=lambda step: step == 20)
    assert list(trial.checkpoints()) == [20, 30, 40, 50]


def test_a_superseded_attempt_publishes_no_checkpoint(trial: TrialFolder) -> None:
    def guard() -> None:
        raise SupersededError("attempt 0 was superseded")

    with pytest.raises(SupersededError):
        checkpoints.save(trial.checkpoint(60), 60, {"net": nn.Linear(1, 1)}, {}, guard)
    assert list(trial.checkpoints()) == [10, 20, 30, 40]
    assert len(os.listdir(trial.checkpoint(10).path.parent)) == 4


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    one, two = TrialFolder(tmp_path / "a"), TrialFolder(tmp_path / "b")
    for trial in (one, two):
        torch.manual_seed(0)
        checkpoints.save(trial.checkpoint(1), 1, {"net": nn.Linear(3, 3)}, {}, no_guard)
    assert one.checkpoint(1).model.read_bytes() == two.checkpoint(1).model.read_bytes()


def test_a_pickle_that_asks_for_more_than_tensors_is_refused(trial: TrialFolder) -> None:
    import hashlib
    import json
    import pickle

    class Evil:
        def __reduce__(self) -> object:
            return (os.system, ("true",))

    folder = trial.checkpoint(40)
    folder.state.write_bytes(pickle.dumps(Evil(), protocol=2))
    meta = json.loads(folder.meta.read_text())
    data = folder.state.read_bytes()
    meta["files"]["state.pt"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    folder.meta.write_text(json.dumps(meta))
    with pytest.raises(checkpoints.DamagedCheckpoint):
        checkpoints.load(folder)
