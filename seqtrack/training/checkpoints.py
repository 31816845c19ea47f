"""Checkpoints: whole, checksummed, and the newest intact one found again.

``model.safetensors`` holds every network (keys ``network/parameter``), ``state.pt`` what else resuming
needs, ``meta.json`` the step and a SHA-256 of each file. The folder is renamed into place when all three are
on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqtrack.errors import TrialError
from seqtrack.runs import atomic
from seqtrack.runs.paths import CheckpointFolder, TrialFolder

log = logging.getLogger(__name__)

KEPT_FOR_RECOVERY = 3
SEPARATOR = "/"
# What json, safetensors and torch raise for a file that is cut short, changed, or asks for more than tensors.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, pickle.UnpicklingError)


class DamagedCheckpoint(Exception):
    """A checkpoint whose files are missing, cut short or changed."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read back: ``step`` steps had been done."""

    step: int
    networks: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(
    folder: CheckpointFolder,
    step: int,
    networks: Mapping[str, nn.Module],
    state: Mapping[str, Any],
    guard: Callable[[], None],
) -> None:
    """Publishes a checkpoint; ``guard`` is called right before it appears and may refuse by raising."""
    tensors = {
        name + SEPARATOR + key: tensor.detach().cpu().contiguous().clone()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    with atomic.replacing_folder(folder.path, guard) as temporary:
        written = CheckpointFolder(temporary)
        save_file(tensors, written.model)
        torch.save(dict(state), written.state)
        # safetensors makes files that only their owner can read; a cache is often shared by a group.
        shutil.copymode(written.state, written.model)
        files = {path.name: _describe(path) for path in (written.model, written.state)}
        written.meta.write_text(json.dumps({"step": step, "files": files}, sort_keys=True, indent=1) + "\n")


def load(folder: CheckpointFolder) -> Checkpoint:
    """Reads and verifies a checkpoint; raises DamagedCheckpoint with the reason."""
    try:
        meta = json.loads(folder.meta.read_text())
        for name, expected in meta["files"].items():
            if _describe(folder.path / name) != expected:
                raise DamagedCheckpoint(f"{folder.path / name} does not have its recorded checksum")
        networks = load_networks(folder)
        state = torch.load(folder.state, map_location="cpu", weights_only=True)
        return Checkpoint(int(meta["step"]), networks, state)
    except DAMAGE as error:
        raise DamagedCheckpoint(f"{folder.path} cannot be read: {error}") from error


def load_networks(folder: CheckpointFolder) -> dict[str, dict[str, Tensor]]:
    """State of each network by name."""
    networks: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(folder.model).items():
        name, _, parameter = key.partition(SEPARATOR)
        networks.setdefault(name, {})[parameter] = tensor
    return networks


def load_newest(trial: TrialFolder) -> Checkpoint | None:
    """The newest intact checkpoint, or None if there never was one.

    A damaged one is set aside with a warning, so that training can put an intact one in its place. If all are
    damaged, they stay and TrialError is raised: to start over from nothing is a person's decision.
    """
    folders = trial.checkpoints()
    damaged = []
    for step in sorted(folders, reverse=True):
        try:
            found = load(folders[step])
        except DamagedCheckpoint as error:
            log.warning("%s; the one before it is used", error)
            damaged.append(folders[step])
        else:
            for folder in damaged:
                set_aside(folder)
            return found
    if folders:
        raise TrialError(
            f"none of the {len(folders)} checkpoints in {trial.path / 'checkpoints'} is intact; remove that"
            " folder to train this trial from the start"
        )
    return None


def prune(trial: TrialFolder, needed: Callable[[int], bool], keep_last: int = KEPT_FOR_RECOVERY) -> None:
    """Removes checkpoints that neither recovery (the last few) nor assessment (``needed(step)``) wants."""
    folders = trial.checkpoints()
    for step in sorted(folders)[:-keep_last]:
        if not needed(step):
            remove(folders[step].path)


def sweep(trial: TrialFolder) -> None:
    """Removes what killed attempts left unfinished. An attempt that still writes there has been superseded."""
    for folder in (trial.path, trial.path / "checkpoints"):
        for leftover in folder.glob(f"{atomic.TEMPORARY_PREFIX}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def set_aside(folder: CheckpointFolder) -> None:
    """Takes a damaged checkpoint out of the way, keeping it for a person to look at."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder.path, folder.damaged(uuid.uuid4().hex[:8]))


def remove(folder: Path) -> None:
    """Takes a folder away as a whole: nobody sees half of it."""
    if doomed := atomic.take_away(folder):
        shutil.rmtree(doomed, ignore_errors=True)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha = hashlib.sha256()
        while block := file.read(1 << 20):
            sha.update(block)
    return {"sha256": sha.hexdigest(), "size": path.stat().st_size}
