"""A damaged checkpoint is passed over with a warning for the one before it, never for a fresh start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seqtrack.runs.paths import CheckpointFolder, TrialFolder
from tests.workbench import NUM_STEPS, PERIOD_CKPT, Workbench, all_events, named, results_of

NEWEST, BEFORE = NUM_STEPS - PERIOD_CKPT, NUM_STEPS - 2 * PERIOD_CKPT


def cut_short(folder: CheckpointFolder) -> None:
    data = folder.model.read_bytes()
    folder.model.write_bytes(data[: len(data) // 2])


def flip_a_bit(folder: CheckpointFolder) -> None:
    data = bytearray(folder.state.read_bytes())
    data[len(data) // 2] ^= 1
    folder.state.write_bytes(data)


def lose_a_file(folder: CheckpointFolder) -> None:
    folder.meta.unlink()


@pytest.fixture
def half_done(continued: Workbench) -> Workbench:
    """The finished run with seed 0 taken back to its checkpoint at step 35, as after a kill."""
    trial = continued.run_folder().trial(0)
    shutil.rmtree(trial.checkpoint(NUM_STEPS).path)
    shutil.rmtree(trial.path / "assess")
    assert list(trial.checkpoints()) == [BEFORE, NEWEST]
    return continued


def log_of(trial: TrialFolder) -> str:
    return Path(trial.attempts()[-1].log).read_text()


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, lose_a_file])
def test_the_one_before_it_is_used(
    half_done: Workbench, finished: Workbench, damage: Callable[[CheckpointFolder], None]
) -> None:
    trial = half_done.run_folder().trial(0)
    damage(trial.checkpoint(NEWEST))

    result = half_done.train("--num_trials=2")

    assert result.code == 0, result
    assert [event["step"] for event in named(all_events(trial)[-1], "train")] == [BEFORE]
    (warning,) = [line for line in log_of(trial).splitlines() if "WARNING" in line]
    assert f"step_{NEWEST:08d}" in warning
    assert "the one before it is used" in warning
    assert results_of(half_done.run_folder()) == results_of(finished.run_folder())


def test_if_all_are_damaged_a_person_decides(half_done: Workbench) -> None:
    trial = half_done.run_folder().trial(0)
    for step in (BEFORE, NEWEST):
        cut_short(trial.checkpoint(step))
    csv = trial.train_csv.read_bytes()

    result = half_done.train("--num_trials=2")

    assert result.code == 1, result
    assert f"none of the 2 checkpoints in {trial.path / 'checkpoints'} is intact" in result.err
    assert "remove that folder to train this trial from the start" in result.err
    assert "1 of 2 trials completed" in result.out
    assert not named(all_events(trial)[-1], "train")
    assert trial.train_csv.read_bytes() == csv
    assert list(trial.checkpoints()) == [BEFORE, NEWEST]


def test_a_damaged_checkpoint_is_not_assessed(continued: Workbench) -> None:
    trial = continued.run_folder().trial(0)
    flip_a_bit(trial.checkpoint(NUM_STEPS))

    result = continued.train("--num_trials=2", "--eval_samplers", "sampling")

    assert result.code == 1, result
    assert f"{trial.checkpoint(NUM_STEPS).state} does not have its recorded checksum" in result.err
    assert "1 of 2 trials completed" in result.out
