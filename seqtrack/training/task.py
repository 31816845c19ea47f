"""What the train loop knows of a tracker: named networks, a loss, and what must survive a kill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """The loss of one step.

    Attributes:
        total: scalar tensor to differentiate.
        scalars: further scalar tensors (detached) to report under their names.
    """

    total: Tensor
    scalars: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class PairSizes:
    """What a task wants of its training pairs: sides of the square crops in pixels, and the context around
    the target as a share of its mean side (SiamFC: 0.5)."""

    exemplar: int
    search: int
    context: float


class Task(ABC):
    """One way of learning a tracker. SiamFC has one network; distillation has a teacher and a student.

    The loop calls, for each step: ``loss``, the optimiser, ``after_step``; and ``at_boundary`` before each
    step that is a multiple of ``boundary_every``. Everything that changes over steps must live in
    ``networks``, in the optimiser, or in ``state_dict`` — nothing else is in a checkpoint.
    """

    #: Steps between boundaries at which ``sampler_state`` may change; None if sampling is not learned.
    boundary_every: int | None = None

    @property
    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """By name; all of them are saved."""

    @property
    @abstractmethod
    def pair_sizes(self) -> PairSizes: ...

    @abstractmethod
    def loss(self, batch: Batch, step: int) -> Loss:
        """The loss of a batch. A pure function of networks, state, batch and step (and torch's RNG, which the
        loop seeds from seed and step). ``batch``: see ``PairSource.batch``; where it has ``is_positive``, some pairs
        are negative."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups; ``lr_scale`` multiplies the scheduled rate of a group."""
        parameters = [p for network in self.networks.values() for p in network.parameters() if p.requires_grad]
        return [{"params": parameters}]

    def after_step(self, step: int) -> None:
        """After the optimiser has moved (a teacher follows its student here)."""

    def at_boundary(self, step: int) -> None:
        """Before step ``step``: the only place where ``sampler_state`` may change."""

    def sampler_state(self) -> dict[str, Any]:
        """What learned sampling knows, as numpy arrays and plain values; handed to ``PairSource.batch``."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold beside networks and optimiser: tensors and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, but the checkpoint holds {sorted(state)}")

    def preview(self, batch: Batch) -> Mapping[str, Tensor]:
        """``response`` and ``labels``, each (B, R, R) float, for pictures of what the network sees."""
        raise NotImplementedError(f"{type(self).__name__} draws no previews")

    def set_mode(self, training: bool) -> None:
        """Training or evaluation mode of the networks (a task may keep a teacher in evaluation mode)."""
        for network in self.networks.values():
            network.train(training)

    def to(self, device: torch.device) -> None:
        for network in self.networks.values():
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class NothingToLearn(Task):
    """What a tracker that is finished has to learn. ``params`` are what it is made with."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {}

    @property
    def pair_sizes(self) -> PairSizes:
        raise ValueError("it sees no pairs")

    def loss(self, batch: Batch, step: int) -> Loss:
        raise ValueError("there is nothing to learn")
