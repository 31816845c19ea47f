"""The family of a tracker that is not ours: ``--model tracker:module:Class``. There is nothing to learn, so its run
has no steps, and its trials differ in their seeds alone.

The keyword arguments of the class are ``--model_params``: with the name they are what the run id is made of, and the
file of the class is part of the code fingerprint, as for any ``--model`` of a person's own.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.schema import nearest

if TYPE_CHECKING:
    import torch

    from seqtrack.tracking.base import Tracker
    from seqtrack.training.task import Task

PREFIX = "tracker:"


def is_external(model: str) -> bool:
    """``tracker:module:Class``; ``tracker:Class`` would be a family in a module called tracker."""
    return model.startswith(PREFIX) and ":" in model.removeprefix(PREFIX)


class ExternalFamily:
    """``name`` is ``module:Class``. UserError where there is none such, or it is no tracker."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tracker_class = _find(name)

    def resolve_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments as they are given; defaults are the class's own and part of its code."""
        try:
            inspect.signature(self.tracker_class).bind(**params)
        except TypeError as error:
            known = [name for name in inspect.signature(self.tracker_class).parameters if name not in params]
            unknown = [name for name in params if name not in inspect.signature(self.tracker_class).parameters]
            hint = f"; {nearest(unknown[0], known)}" if unknown and known else ""
            raise UserError(f"--tracker_params: {self.name} does not take them: {error}{hint}") from error
        except ValueError:  # a class made in C, say, which does not say what it takes
            pass
        return dict(params)

    def resolve_tracker_params(self, params: dict[str, Any]) -> dict[str, Any]:
        if params:
            raise UserError(f"--tracker_params: those of {self.name} are what it is made with; give --model_params")
        return {}

    def files(self, params: dict[str, Any]) -> list[str]:
        return []

    def task(self, params: dict[str, Any], with_files: bool) -> Task:
        from seqtrack.training.task import NothingToLearn

        return NothingToLearn(params)

    def tracker(self, task: Task, tracker_params: dict[str, Any], device: torch.device, precision: str) -> Tracker:
        """Where it runs, and in which arithmetic, is the class's own business."""
        return self.made_with(task.params)  # type: ignore[attr-defined]

    def made_with(self, params: dict[str, Any]) -> Tracker:
        """With complete keyword arguments."""
        from seqtrack.tracking.external import ExternalTracker

        try:
            inner = self.tracker_class(**params)
        except (Exception, SystemExit) as error:
            text = " ".join(str(error).split())[:200]
            raise UserError(f"{self.name} cannot be made: {type(error).__name__}: {text}") from error
        return ExternalTracker(inner, self.name)


def _find(name: str) -> Any:
    module, _, class_name = name.partition(":")
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a person's module does when it is imported
        text = " ".join(str(error).split())[:200]
        raise UserError(f"--tracker: cannot import {module!r} ({type(error).__name__}: {text})") from error
    found = getattr(imported, class_name, None)
    if not isinstance(found, type):
        classes = [key for key, value in vars(imported).items() if isinstance(value, type)]
        raise UserError(f"--tracker: {module} has no class {class_name!r}; {nearest(class_name, classes)}")
    for method, call in (("init", "init(image, box)"), ("update", "update(image)")):
        function = getattr(found, method, None)
        if not callable(function):
            raise UserError(f"--tracker: {name} has no {method}: a tracker has init(image, box) and update(image)")
        try:
            inspect.signature(function).bind(*range(call.count(",") + 2))  # self, and the arguments
        except TypeError as error:
            raise UserError(f"--tracker: {name} cannot be called as {call}: {error}") from error
        except ValueError:
            pass
    return found
