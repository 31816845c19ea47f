"""Tracker families: what ``--model`` names. One line here for each, or a person's own ``module:Class``, or a finished
tracker of somebody else's, ``tracker:module:Class``.

A family says how its parameters are read, which Task learns it, and which Tracker runs it. Imports of torch
happen only when a task or tracker is made.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from seqtrack.errors import UserError
from seqtrack.pipeline import external
from seqtrack.schema import nearest, plain

if TYPE_CHECKING:
    import torch

    from seqtrack.tracking.base import BatchTracker, Tracker
    from seqtrack.training.task import Task

log = logging.getLogger(__name__)


class Family(Protocol):
    """The interface of a tracker family; a class of static methods will do (docs/guide.md has an example)."""

    def resolve_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Complete ``--model_params``, defaults included; UserError names an unknown key. Imports no torch."""

    def resolve_tracker_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Complete ``--tracker_params``, likewise."""

    def files(self, params: dict[str, Any]) -> list[str]:
        """Paths among the parameters whose content is part of what is learned."""

    def task(self, params: dict[str, Any], with_files: bool) -> Task:
        """The task at its start. ``with_files`` is False where a checkpoint replaces the weights anyway."""

    def tracker(self, task: Task, tracker_params: dict[str, Any], device: torch.device, precision: str) -> Tracker:
        """A tracker with the task's networks as they are now."""


@runtime_checkable
class BatchFamily(Family, Protocol):
    """A family that also has a tracker of many targets at a time, which a GPU needs to be busy."""

    def batch_tracker(
        self, task: Task, tracker_params: dict[str, Any], device: torch.device, precision: str, slots: int
    ) -> BatchTracker:
        """As ``tracker``, for so many targets. Each must be found where ``tracker`` finds it, to 1e-3 px."""


class SiamFCFamily:
    """Bertinetto et al. 2016. A family that learns the same network otherwise overrides ``task_class``."""

    #: A subclass of ``SiamFCTask``; None for that class itself, which is imported with torch.
    task_class: type[Task] | None = None

    def resolve_params(self, params: dict[str, Any]) -> dict[str, Any]:
        from seqtrack.models.params import parse_model_params

        return plain(parse_model_params("siamfc", params))

    def resolve_tracker_params(self, params: dict[str, Any]) -> dict[str, Any]:
        from seqtrack.tracking.params import parse_tracker_params

        return plain(parse_tracker_params(params))

    def files(self, params: dict[str, Any]) -> list[str]:
        path = params["feature_model_file"]
        if path and ".ckpt" in Path(path).name:
            # Perhaps TensorFlow's, which is better said now than by a worker: only then is torch worth the wait.
            from seqtrack.models.weights import read_tensors

            read_tensors(Path(path))
        return [path] if path else []

    def task(self, params: dict[str, Any], with_files: bool) -> Task:
        from seqtrack.models.params import parse_model_params
        from seqtrack.training.siamfc import SiamFCTask

        task_class: Any = self.task_class or SiamFCTask
        task: SiamFCTask = task_class(parse_model_params("siamfc", params))
        if with_files and params["feature_model_file"]:
            from seqtrack.models.weights import load_feature_weights

            report = load_feature_weights(task.network.features.trunk, params["feature_model_file"])
            log.info("%s: %s", params["feature_model_file"], report)
        return task

    def tracker(self, task: Task, tracker_params: dict[str, Any], device: torch.device, precision: str) -> Tracker:
        from seqtrack.tracking.params import parse_tracker_params
        from seqtrack.tracking.siamfc import SiamFCTracker

        network: Any = task.networks["siamfc"]
        return SiamFCTracker(network, parse_tracker_params(tracker_params), precision, device)

    def batch_tracker(
        self, task: Task, tracker_params: dict[str, Any], device: torch.device, precision: str, slots: int
    ) -> BatchTracker:
        from seqtrack.tracking.params import parse_tracker_params
        from seqtrack.tracking.siamfc import SiamFCBatchTracker

        network: Any = task.networks["siamfc"]
        return SiamFCBatchTracker(network, parse_tracker_params(tracker_params), precision, device, slots)


FAMILIES: dict[str, Callable[[], Family]] = {"siamfc": SiamFCFamily}


def find(model: str) -> Family:
    """The family that ``--model`` names; UserError if there is none."""
    if model in FAMILIES:
        return FAMILIES[model]()
    if external.is_external(model):
        return external.ExternalFamily(model.removeprefix(external.PREFIX))
    module, colon, name = model.partition(":")
    if not colon:
        raise UserError(f"--model: {model!r} is not known; {nearest(model, FAMILIES)} (or module:Class)")
    try:
        family: Family = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise UserError(f"--model: cannot import {model!r} ({error}); expected module:Class") from error
    return family


def plugin(model: str) -> str | None:
    """``module:Class`` if the model is a person's own."""
    if external.is_external(model):
        return model.removeprefix(external.PREFIX)
    return model if ":" in model else None
