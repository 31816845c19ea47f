"""The train loop: steps, rows of train.csv, checkpoints, boundaries, and an orderly stop."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from seqtrack.data.sampling.rng import generator
from seqtrack.errors import TrialError
from seqtrack.training.checkpoints import Checkpoint
from seqtrack.training.csvlog import TrainCsv
from seqtrack.training.optimization import Schedule
from seqtrack.training.task import Batch, Task

SECONDS_BETWEEN_PROGRESS = 1.0


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know beside the task.

    Attributes:
        save_at: whether a checkpoint is due after so many steps.
        max_grad_norm: None for no clipping.
    """

    seed: int
    num_steps: int
    period_summary: int
    period_preview: int | None
    save_at: Callable[[int], bool]
    max_grad_norm: float | None
    precision: str
    device: torch.device


class Hooks(Protocol):
    """The loop's only way out: everything with an effect on disk or screen."""

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Publishes a checkpoint of the task's networks and this state."""

    def progress(self, step: int, loss: float | None, steps_per_second: float) -> None: ...

    def row(self, step: int, row: Mapping[str, float | int]) -> None: ...

    def preview(self, step: int, batch: Batch) -> None: ...

    def validation_loss(self, step: int) -> float | None: ...

    def should_stop(self) -> bool: ...


@dataclass
class _Pending:
    """Scalars of the steps since the last row. Read from the device only when a row or checkpoint is due."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)
    restored: dict[str, list[float]] = field(default_factory=dict)
    """Those before them, from a checkpoint: on no device at all."""

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        for name, scalar in scalars.items():
            self.values.setdefault(name, []).append(scalar.detach().float())

    def take_means(self) -> dict[str, float]:
        """Means of the exact values, in step order; a checkpoint in between does not change them."""
        means = {name: math.fsum(numbers) / len(numbers) for name, numbers in self.state().items()}
        self.values.clear()
        self.restored.clear()
        return means

    def state(self) -> dict[str, list[float]]:
        since = {name: torch.stack(scalars).tolist() for name, scalars in self.values.items()}
        names = dict.fromkeys([*self.restored, *since])
        return {name: [*self.restored.get(name, []), *since.get(name, [])] for name in names}

    def restore(self, state: Mapping[str, list[float]]) -> None:
        self.restored = {name: list(numbers) for name, numbers in state.items()}


def restore(task: Task, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Puts task and optimiser where the checkpoint was taken."""
    for name, network in task.networks.items():
        network.load_state_dict(checkpoint.networks[name])
    optimizer.load_state_dict(checkpoint.state["optimizer"])
    task.load_state_dict(checkpoint.state["task"])


def seed_torch(seed: int, step: int) -> None:
    """torch's RNG for one step is a function of seed and step, whatever ran before."""
    torch.manual_seed(int(generator(seed, "torch", step=step).integers(2**63)))


def train(
    task: Task,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    batches: Callable[[range, Mapping[str, Any]], Iterator[dict[str, Tensor]]],
    settings: LoopSettings,
    csv: TrainCsv,
    hooks: Hooks,
    checkpoint: Checkpoint | None = None,
) -> int:
    """Trains from ``checkpoint`` (or from the start) to ``num_steps``; returns the steps done.

    Fewer than ``num_steps`` means that ``hooks.should_stop()`` asked for it: the state was saved first.
    """
    pending = _Pending()
    done = 0
    if checkpoint is not None:
        done = checkpoint.step
        restore(task, optimizer, checkpoint)
        pending.restore(checkpoint.state["pending"])
    meter = _Meter(done)

    def save() -> None:
        csv.write()
        state = {"optimizer": optimizer.state_dict(), "task": task.state_dict(), "pending": pending.state()}
        hooks.save(done, state)

    if settings.num_steps == 0 and checkpoint is None:
        save()
    while done < settings.num_steps:
        if task.boundary_every and done % task.boundary_every == 0:
            task.at_boundary(done)
        for batch in batches(_segment(done, settings.num_steps, task.boundary_every), task.sampler_state()):
            moved = {name: tensor.to(settings.device, non_blocking=True) for name, tensor in batch.items()}
            rate = schedule.apply(optimizer, done)
            pending.add(_step(task, optimizer, moved, done, settings))
            done += 1
            if done % settings.period_summary == 0 or done == settings.num_steps:
                row = _row(done, rate, pending.take_means(), hooks.validation_loss(done))
                csv.add(row)
                hooks.row(done, row)
                meter.loss = row["loss"]
            if settings.period_preview and done % settings.period_preview == 0:
                hooks.preview(done, moved)
            stop = done < settings.num_steps and hooks.should_stop()
            if settings.save_at(done) or stop:
                save()
            if meter.is_due() or done == settings.num_steps:
                hooks.progress(done, meter.loss, meter.rate(done))
            if stop:
                return done
    return done


def _segment(done: int, num_steps: int, boundary_every: int | None) -> range:
    """Steps until the next boundary."""
    if not boundary_every:
        return range(done, num_steps)
    return range(done, min(num_steps, (done // boundary_every + 1) * boundary_every))


def _step(
    task: Task, optimizer: torch.optim.Optimizer, batch: Batch, step: int, settings: LoopSettings
) -> dict[str, Tensor]:
    seed_torch(settings.seed, step)
    task.set_mode(training=True)
    optimizer.zero_grad(set_to_none=True)
    with autocast(settings.device, settings.precision):
        loss = task.loss(batch, step)
    loss.total.backward()  # type: ignore[no-untyped-call]
    if settings.max_grad_norm is not None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
    optimizer.step()
    task.after_step(step)
    return {"loss": loss.total, **loss.scalars}


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """bf16 arithmetic on fp32 weights, or nothing."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _row(step: int, rate: float, means: Mapping[str, float], validation_loss: float | None) -> dict[str, float | int]:
    if not math.isfinite(means["loss"]):
        raise TrialError(
            f"the loss is {means['loss']} at step {step}: training diverged; lower --lr_init or set --grad_clip"
        )
    row: dict[str, float | int] = {"step": step, "lr": rate, **means}
    if validation_loss is not None:
        row["val_loss"] = validation_loss
    return row


class _Meter:
    """Steps per second since this process started, and when to speak next."""

    def __init__(self, start: int) -> None:
        self.loss: float | None = None
        self._start = start
        self._started = self._spoke = time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._spoke < SECONDS_BETWEEN_PROGRESS:
            return False
        self._spoke = now
        return True

    def rate(self, done: int) -> float:
        return (done - self._start) / max(time.monotonic() - self._started, 1e-9)
