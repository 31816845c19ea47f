"""Parameters of optimisers and learning-rate schedules, checked without importing torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from seqtrack.schema import parse, plain


@dataclass(frozen=True)
class SgdParams:
    weight_decay: float = 0.0


@dataclass(frozen=True)
class MomentumParams:
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected 0 <= momentum < 1, got {self.momentum}")


@dataclass(frozen=True)
class AdamParams:
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: expected two numbers in [0, 1), got {list(self.betas)}")


@dataclass(frozen=True)
class AdamWParams(AdamParams):
    weight_decay: float = 0.01


@dataclass(frozen=True)
class RmspropParams:
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class ConstantParams:
    warmup_steps: int = 0

    def factor(self, step: int, num_steps: int) -> float:
        return 1.0


@dataclass(frozen=True)
class ExponentialParams:
    """``decay_rate ** (step / decay_steps)``; ``decay_steps`` unset means all steps, so that the last step
    has ``decay_rate`` times the initial rate (SiamFC: 1e-2 → 1e-5 is a decay_rate of 1e-3)."""

    decay_rate: float = 0.01
    decay_steps: int | None = None
    staircase: bool = False
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.decay_rate <= 1:
            raise ValueError(f"decay_rate: expected 0 < decay_rate <= 1, got {self.decay_rate}")
        if self.decay_steps is not None and self.decay_steps < 1:
            raise ValueError(f"decay_steps: expected 1 or more, got {self.decay_steps}")

    def factor(self, step: int, num_steps: int) -> float:
        exponent = step / (self.decay_steps or max(num_steps, 1))
        return float(self.decay_rate ** (math.floor(exponent) if self.staircase else exponent))


@dataclass(frozen=True)
class CosineParams:
    """Half a cosine from the initial rate to ``final_factor`` times it (Loshchilov & Hutter, SGDR)."""

    final_factor: float = 0.0
    warmup_steps: int = 0

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
    result: dict[str, Any] = plain(parse(OPTIMIZERS[optimizer], value, "--optimizer_params"))
    return result


def resolve_lr_params(schedule: str, value: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = plain(parse(SCHEDULES[schedule], value, "--lr_params"))
    return result


def learning_rate(schedule: str, params: dict[str, Any], lr_init: float, step: int, num_steps: int) -> float:
    """The rate of a step: linear warm-up (``warmup_steps``) times the schedule, a pure function of both."""
    parsed = parse(SCHEDULES[schedule], params, "--lr_params")
    warmup = min(1.0, (step + 1) / parsed.warmup_steps) if parsed.warmup_steps > 0 else 1.0
    return lr_init * warmup * parsed.factor(step, num_steps)
