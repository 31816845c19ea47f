"""The loop does not know what it trains, and an interruption leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqtrack.errors import TrialError
from seqtrack.runs.atomic import no_guard
from seqtrack.runs.paths import TrialFolder
from seqtrack.training import checkpoints, loader, loop
from seqtrack.training.csvlog import TrainCsv
from seqtrack.training.loop import LoopSettings
from seqtrack.training.optimization import Schedule, make_optimizer
from seqtrack.training.params import resolve_lr_params, resolve_optimizer_params
from seqtrack.training.task import Batch, Loss, PairSizes, Task

NUM_STEPS = 22


class Recorder:
    """Hooks that save checkpoints to disk and remember what they were told."""

    def __init__(self, trial: TrialFolder, task: Task, stop_at: int | None = None, die_at: int | None = None) -> None:
        self.trial, self.task, self.stop_at, self.die_at = trial, task, stop_at, die_at
        self.saved: list[int] = []
        self.previews: list[int] = []
        self.steps: list[int] = []

    def save(self, step: int, state: dict[str, Any]) -> None:
        checkpoints.save(self.trial.checkpoint(step), step, self.task.networks, state, no_guard)
        self.saved.append(step)

    def progress(self, step: int, loss: float | None, steps_per_second: float) -> None:
        assert steps_per_second > 0

    def row(self, step: int, row: Mapping[str, float | int]) -> None:
        self.steps.append(step)
        if self.die_at is not None and step >= self.die_at:
            raise KeyboardInterrupt

    def preview(self, step: int, batch: Batch) -> None:
        self.previews.append(step)

    def validation_loss(self, step: int) -> float | None:
        return None

    def should_stop(self) -> bool:
        return self.stop_at is not None and self.steps[-1:] != [] and self.steps[-1] >= self.stop_at


def train(
    trial: TrialFolder,
    task: Task,
    source: Any,
    stop_at: int | None = None,
    die_at: int | None = None,
    workers: int = 0,
    optimizer: str = "adam",
    num_steps: int = NUM_STEPS,
    preview: int | None = None,
) -> Recorder:
    settings = LoopSettings(
        seed=1,
        num_steps=num_steps,
        period_summary=3,
        period_preview=preview,
        save_at=lambda step: step % 5 == 0 or step == num_steps,
        max_grad_norm=1.0,
        precision="fp32",
        device=torch.device("cpu"),
    )

    def batches(steps: range, state: Mapping[str, Any]) -> Iterator[dict[str, Tensor]]:
        return loader.batches(source, steps, state, workers, pin_memory=False)

    checkpoint = checkpoints.load_newest(trial)
    start = checkpoint.step if checkpoint else 0
    hooks = Recorder(trial, task, stop_at, die_at)
    schedule = Schedule("cosine", resolve_lr_params("cosine", {"warmup_steps": 4}), 0.01, num_steps)
    made = make_optimizer(task, optimizer, resolve_optimizer_params(optimizer, {}))
    csv = TrainCsv(trial.train_csv, start, no_guard)
    loop.train(task, made, schedule, batches, settings, csv, hooks, checkpoint)
    return hooks


def result(trial: TrialFolder, num_steps: int = NUM_STEPS) -> tuple[bytes, bytes]:
    return trial.checkpoint(num_steps).model.read_bytes(), trial.train_csv.read_bytes()


@pytest.fixture
def uninterrupted(tmp_path: Path, make_task: Callable[[], Task], toy_source: Any) -> tuple[bytes, bytes]:
    trial = TrialFolder(tmp_path / "whole" / "seed_0")
    train(trial, make_task(), toy_source)
    return result(trial)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any, uninterrupted: tuple[bytes, bytes], workers: int
) -> None:
    trial = TrialFolder(tmp_path / "seed_0")
    train(trial, make_task(), toy_source, workers=workers)
    assert result(trial) == uninterrupted


# 5, 10 … are checkpoints; 4, 8 … are boundaries of sampling; 3, 6 … are rows.
@pytest.mark.parametrize("die_at", [3, 6, 9, 12, 15, 18, 21])
def test_killed_and_repeated_teacher_student_and_learned_sampling_give_the_same_bytes(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any, uninterrupted: tuple[bytes, bytes], die_at: int
) -> None:
    trial = TrialFolder(tmp_path / "seed_0")
    with pytest.raises(KeyboardInterrupt):
        train(trial, make_task(), toy_source, die_at=die_at)
    # A row is written before the checkpoint of its step.
    last_saved = (die_at - 1) // 5 * 5
    assert train(trial, make_task(), toy_source).saved[0] == min(last_saved + 5, NUM_STEPS)
    assert result(trial) == uninterrupted


@pytest.mark.parametrize("stop_at", [3, 9, 12])
def test_asked_to_stop_it_saves_at_once_and_goes_on_from_there(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any, uninterrupted: tuple[bytes, bytes], stop_at: int
) -> None:
    trial = TrialFolder(tmp_path / "seed_0")
    first = train(trial, make_task(), toy_source, stop_at=stop_at)
    assert first.saved[-1] == stop_at
    second = train(trial, make_task(), toy_source)
    assert second.steps[0] == stop_at + 3
    assert result(trial) == uninterrupted


class OnGpu(Tensor):
    """As there, it does not come together with one of the CPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.stack and not all(isinstance(tensor, cls) for tensor in args[0]):
            raise RuntimeError("Expected all tensors to be on the same device")
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_row_that_a_checkpoint_falls_into_may_come_from_a_gpu(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any, uninterrupted: tuple[bytes, bytes]
) -> None:
    def on_gpu() -> Task:
        task = make_task()
        there = task.loss

        def loss(batch: Batch, step: int) -> Loss:
            found = there(batch, step)
            return Loss(
                found.total.as_subclass(OnGpu),
                {name: scalar.as_subclass(OnGpu) for name, scalar in found.scalars.items()},
            )

        task.loss = loss  # type: ignore[method-assign]
        return task

    trial = TrialFolder(tmp_path / "seed_0")
    with pytest.raises(KeyboardInterrupt):
        train(trial, on_gpu(), toy_source, die_at=6)  # step 5 is a checkpoint
    train(trial, on_gpu(), toy_source)
    assert result(trial) == uninterrupted


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw", "rmsprop"])
def test_every_optimiser_resumes_to_the_same_bytes(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any, optimizer: str
) -> None:
    whole, parts = TrialFolder(tmp_path / "whole"), TrialFolder(tmp_path / "parts")
    train(whole, make_task(), toy_source, optimizer=optimizer)
    train(parts, make_task(), toy_source, stop_at=9, optimizer=optimizer)
    train(parts, make_task(), toy_source, optimizer=optimizer)
    assert result(parts) == result(whole)


def test_a_row_is_the_mean_over_its_steps_and_the_rate_is_the_schedules(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any
) -> None:
    trial = TrialFolder(tmp_path / "seed_0")
    hooks = train(trial, make_task(), toy_source, preview=7)
    assert hooks.steps == [3, 6, 9, 12, 15, 18, 21, 22]
    assert hooks.previews == [7, 14, 21]
    lines = trial.train_csv.read_text().splitlines()
    assert lines[0] == "step,lr,loss,distilled"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in hooks.steps]
    # Step 3 is the third of four warm-up steps of a cosine over 22: 0.01 × 3/4 × (1 + cos(2π/22)) / 2.
    assert lines[1].split(",")[1] == repr(0.01 * 0.75 * (0.5 * (1 + math.cos(math.pi * 2 / 22))))


def test_zero_steps_leave_the_start_as_a_checkpoint(
    tmp_path: Path, make_task: Callable[[], Task], toy_source: Any
) -> None:
    trial = TrialFolder(tmp_path / "seed_0")
    assert train(trial, make_task(), toy_source, num_steps=0).saved == [0]


class DivergingTask(Task):
    """Its loss is not a number from the second step on."""

    def __init__(self) -> None:
        self.network = nn.Linear(5, 1)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"net": self.network}

    @property
    def pair_sizes(self) -> PairSizes:
        return PairSizes(127, 255, 0.5)

    def loss(self, batch: Batch, step: int) -> Loss:
        return Loss(self.network(batch["x"]).sum() * (float("nan") if step else 1.0))


def test_a_loss_that_is_no_number_ends_the_trial_with_the_step_and_what_to_try(
    tmp_path: Path, toy_source: Any
) -> None:
    with pytest.raises(TrialError, match="the loss is nan at step 3: training diverged; lower --lr_init"):
        train(TrialFolder(tmp_path / "seed_0"), DivergingTask(), toy_source)


def test_a_task_without_state_refuses_somebody_elses() -> None:
    with pytest.raises(ValueError, match="DivergingTask keeps no state"):
        DivergingTask().load_state_dict({"weights": 1})
