"""A tracker from a checkpoint, as assessment makes it and as other programs may want it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from seqtrack import config as configuration
from seqtrack import yaml_files
from seqtrack.config import TrainConfig
from seqtrack.data.geometry import scale_boxes
from seqtrack.data.locations import ORIGINAL
from seqtrack.data.preprocessing.versions import assessed_version, picture_size
from seqtrack.errors import UserError
from seqtrack.pipeline import families
from seqtrack.runs.paths import CheckpointFolder, RunFolder, TrialFolder
from seqtrack.tracking.base import BatchTracker, Boxes, Image, Tracker

if TYPE_CHECKING:
    import torch

    from seqtrack.training.task import Task


def load_tracker(
    checkpoint: str | Path, tracker_params: dict[str, Any] | None = None, device: str = "auto"
) -> Tracker:
    """The tracker of ``cache/<run>/seed_0/checkpoints/step_00100000``, for frames in their original size.

    Args:
        tracker_params: as ``--tracker_params``; None for the defaults.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.

    Raises:
        UserError: there is no checkpoint of a run, or its files are damaged.
    """
    from seqtrack.pipeline.device import find_device
    from seqtrack.training.checkpoints import DamagedCheckpoint

    folder, run = find_checkpoint(checkpoint)
    train = read_train_config(run)
    params = families.find(train.model).resolve_tracker_params(dict(tracker_params or {}))
    try:
        tracker = maker(folder, train, params, find_device(device))()
    except DamagedCheckpoint as error:
        raise UserError(f"--checkpoint: {error}") from error
    return _Resized(tracker, train) if _resizes(train) else tracker


def external_tracker(name: str, params: dict[str, Any] | None = None) -> Tracker:
    """A person's own ``module:Class``, made with these keyword arguments. UserError where it is no tracker."""
    from seqtrack.pipeline.external import ExternalFamily

    family = ExternalFamily(name)
    return family.made_with(family.resolve_params(dict(params or {})))


def find_checkpoint(path: str | Path) -> tuple[CheckpointFolder, RunFolder]:
    """The checkpoint in a folder, and its run. UserError where it is none."""
    folder = CheckpointFolder(Path(path).expanduser().absolute())
    wanted = "expected <run>/seed_K/checkpoints/step_NNNNNNNN"
    if not folder.path.exists():
        raise UserError(f"--checkpoint: there is no {path}; {wanted}")
    missing = [file.name for file in (folder.meta, folder.model, folder.state) if not file.is_file()]
    if missing:
        raise UserError(f"--checkpoint: {path} is no checkpoint: it has no {missing[0]}; {wanted}")
    run = RunFolder(folder.path.parents[2])
    trial = TrialFolder(folder.path.parents[1])
    if not run.train_yaml.is_file() or folder not in trial.checkpoints().values():
        raise UserError(f"--checkpoint: {path} does not lie in a run, whose train.yaml says what it is; {wanted}")
    return folder, run


def read_train_config(run: RunFolder) -> TrainConfig:
    """What a run learns, from its ``train.yaml``."""
    content = yaml_files.read(run.train_yaml)
    if not isinstance(content.get("train"), dict):
        raise UserError(f"{run.train_yaml}: does not say what was trained; give the folder of a run")
    return configuration.build(content["train"]).train


def maker(
    folder: CheckpointFolder, train: TrainConfig, tracker_params: dict[str, Any], device: torch.device
) -> Callable[[], Tracker]:
    """What makes a tracker for each run, with the weights of a checkpoint, which is read here and now.

    Raises ``checkpoints.DamagedCheckpoint``.
    """
    import torch

    family = families.find(train.model)
    task = _task(family, folder, train, device)

    def make() -> Tracker:
        with torch.inference_mode():
            return family.tracker(task, tracker_params, device, train.precision)

    if isinstance(family, families.BatchFamily):
        # Whatever was tracked in a slot before, and whoever is in the others, has no say: one will do for all runs.
        return functools.cache(make)
    return make


def make_batch(
    folder: CheckpointFolder, train: TrainConfig, tracker_params: dict[str, Any], device: torch.device, slots: int
) -> BatchTracker | None:
    """The same of a tracker of so many targets at a time; None where the family has none."""
    import torch

    family = families.find(train.model)
    if not isinstance(family, families.BatchFamily):
        return None
    task = _task(family, folder, train, device)
    with torch.inference_mode():
        return family.batch_tracker(task, tracker_params, device, train.precision, slots)


def _task(family: families.Family, folder: CheckpointFolder, train: TrainConfig, device: torch.device) -> Task:
    from seqtrack.training import checkpoints

    task = family.task(train.model_params, with_files=False)
    checkpoint = checkpoints.load(folder)
    for name, network in task.networks.items():
        network.load_state_dict(checkpoint.networks[name])
    task.to(device)
    task.set_mode(training=False)
    return task


def _resizes(train: TrainConfig) -> bool:
    return train.imwidth is not None or assessed_version(train.preproc, None) != ORIGINAL


class _Resized:
    """Shows a tracker what it was trained to see, and speaks in pixels of the frames that it is given."""

    def __init__(self, tracker: Tracker, train: TrainConfig) -> None:
        self._tracker, self._train = tracker, train

    def init(self, frame: Image, box: ArrayLike) -> None:
        view, size = self._view(frame)
        self._tracker.init(view, scale_boxes(np.asarray(box, np.float64), size, (view.shape[1], view.shape[0])))

    def update(self, frame: Image) -> tuple[Boxes, float]:
        view, size = self._view(frame)
        box, score = self._tracker.update(view)
        return scale_boxes(box, (view.shape[1], view.shape[0]), size), score

    def _view(self, frame: Image) -> tuple[Image, tuple[int, int]]:
        from seqtrack.data.imaging.images import resize_view

        size = (frame.shape[1], frame.shape[0])
        wanted = picture_size(assessed_version(self._train.preproc, None), size) or size
        if self._train.imwidth is not None and self._train.imheight is not None:
            wanted = (self._train.imwidth, self._train.imheight)
        return resize_view(frame, wanted), size
