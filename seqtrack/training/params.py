"""Parameters of optimisers and learning-rate schedules, checked without importing torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from seqtrack.schema import Checked, bounded, parse, plain


@dataclass(frozen=True)
class SgdParams(Checked):
    weight_decay: float = bounded(0.0, low=0)


@dataclass(frozen=True)
class MomentumParams(Checked):
    momentum: float = bounded(0.9, low=0, below=1)
    nesterov: bool = False
    weight_decay: float = bounded(0.0, low=0)


@dataclass(frozen=True)
class AdamParams(Checked):
    betas: tuple[float, float] = bounded((0.9, 0.999), low=0, below=1)
    eps: float = bounded(1e-8, low=0)
    weight_decay: float = bounded(0.0, low=0)


@dataclass(frozen=True)
class AdamWParams(AdamParams):
    weight_decay: float = bounded(0.01, low=0)


@dataclass(frozen=True)
class RmspropParams(Checked):
    alpha: float = bounded(0.99, low=0, below=1)
    eps: float = bounded(1e-8, low=0)
    momentum: float = bounded(0.0, low=0, below=1)
    weight_decay: float = bounded(0.0, low=0)


@dataclass(frozen=True)
class ConstantParams(Checked):
    warmup_steps: int = bounded(0, low=0)

    def factor(self, step: int, num_steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class ExponentialParams(Checked):
    """``decay_rate ** (step / decay_steps)``; ``decay_steps`` unset means all steps, so that the last step
    has ``decay_rate`` times the initial rate (SiamFC: 1e-2 → 1e-5 is a decay_rate of 1e-3)."""

    decay_rate: float = bounded(0.01, above=0, high=1)
    decay_steps: int | None = bounded(None, low=1)
    staircase: bool = False
    warmup_steps: int = bounded(0, low=0)

    def factor(self, step: int, num_steps: int) -> float:
        exponent = step / (self.decay_steps or max(num_steps, 1))
        return float(self.decay_rate ** (math.floor(exponent) if self.staircase else exponent))


@dataclass(frozen=True)
class CosineParams(Checked):
    """Half a cosine from the initial rate to ``final_factor`` times it (Loshchilov & Hutter, SGDR)."""

    final_factor: float = bounded(0.0, low=0)
    warmup_steps: int = bounded(0, low=0)

    def factor(self, step: int, num_steps: int) -> float:
        wave = 0.5 * (1 + math.cos(math.pi * min(step / max(num_steps, 1), 1.0)))
        return self.final_factor + (1 - self.final_factor) * wave


OptimizerParams = SgdParams | MomentumParams | AdamParams | AdamWParams | RmspropParams
ScheduleParams = ConstantParams | ExponentialParams | CosineParams

OPTIMIZERS: dict[str, type[OptimizerParams]] = {
    "sgd": SgdParams,
    "momentum": MomentumParams,
    "adam": AdamParams,
    "adamw": AdamWParams,
    "rmsprop": RmspropParams,
}
SCHEDULES: dict[str, type[ScheduleParams]] = {
    "constant": ConstantParams,
    "exponential": ExponentialParams,
    "cosine": CosineParams,
}


def resolve_optimizer_params(optimizer: str, value: dict[str, Any]) -> dict[str, Any]:
    """Complete parameters, defaults included; UserError for an unknown or ill-typed one."""
    return plain(parse(OPTIMIZERS[optimizer], value, "--optimizer_params"))


def resolve_lr_params(schedule: str, value: dict[str, Any]) -> dict[str, Any]:
    return plain(parse(SCHEDULES[schedule], value, "--lr_params"))


def learning_rate(schedule: str, params: dict[str, Any], lr_init: float, step: int, num_steps: int) -> float:
    """The rate of a step: linear warm-up (``warmup_steps``) times the schedule, a pure function of both."""
    parsed = parse(SCHEDULES[schedule], params, "--lr_params")
    warmup = min(1.0, (step + 1) / parsed.warmup_steps) if parsed.warmup_steps > 0 else 1.0
    return lr_init * warmup * parsed.factor(step, num_steps)
