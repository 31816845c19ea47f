"""The optimiser and the learning rate of a task."""

from __future__ import annotations

from typing import Any

import torch

from seqtrack.training.params import learning_rate
from seqtrack.training.task import Task


def make_optimizer(task: Task, optimizer: str, params: dict[str, Any]) -> torch.optim.Optimizer:
    """``params`` are complete (``params.resolve_optimizer_params``); rates are set step by step."""
    groups = task.parameter_groups()
    if optimizer in ("sgd", "momentum"):
        return torch.optim.SGD(groups, lr=0.0, **params)
    if optimizer == "adam":
        return torch.optim.Adam(groups, lr=0.0, **_adam(params))
    if optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, **_adam(params))
    if optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=0.0, **params)
    raise ValueError(f"no optimiser {optimizer!r}")


def _adam(params: dict[str, Any]) -> dict[str, Any]:
    first, second = params["betas"]
    return {**params, "betas": (first, second)}


class Schedule:
    """Sets the rate of each parameter group for a step."""

    def __init__(self, name: str, params: dict[str, Any], lr_init: float, num_steps: int) -> None:
        self._arguments = (name, params, lr_init)
        self._num_steps = num_steps

    def rate(self, step: int) -> float:
        return learning_rate(*self._arguments, step, self._num_steps)

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        rate = self.rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        return rate
