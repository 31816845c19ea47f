"""``--init_from`` and other files that a configuration names by content."""

from __future__ import annotations

from pathlib import Path

import torch

from seqtrack.data.lists import MARK
from seqtrack.errors import UserError
from seqtrack.models.weights import read_tensors
from seqtrack.pipeline.request import Request
from seqtrack.runs.identity import file_digest
from seqtrack.training.checkpoints import SEPARATOR
from seqtrack.training.task import Task


def verify(request: Request) -> None:
    """UserError if a file is not the one that the run id was made from."""
    for text, file in request.files.items():
        if text.startswith(MARK):
            continue  # the run has a copy of its lists
        flag = "init_from" if text == request.train.init_from else "model_params"
        if file_digest(Path(file.path), flag) != file.sha256:
            raise UserError(
                f"{file.path}: its content has changed since this run was started; give the command again,"
                " which makes another run of it"
            )


def load(task: Task, path: str) -> str:
    """Copies the tensors that fit in name and shape; returns what matched and what did not.

    Takes a checkpoint of ours (``network/parameter``), or a state dict of a task's only network.

    Raises:
        UserError: the file cannot be read, or nothing in it matches.
    """
    found = read_tensors(Path(path), "--init_from")
    matched, wanted = [], []
    for name, network in task.networks.items():
        for key, tensor in network.state_dict().items():
            wanted.append(f"{name}{SEPARATOR}{key}")
            candidates = (wanted[-1], key) if len(task.networks) == 1 else (wanted[-1],)
            source = next((found[c] for c in candidates if c in found), None)
            if source is not None and source.shape == tensor.shape:
                with torch.no_grad():
                    tensor.copy_(source)
                matched.append(wanted[-1])
    if not matched:
        raise UserError(
            f"--init_from: nothing in {path} matches this model (it wants names like {wanted[0]!r},"
            f" the file has {next(iter(found), 'none')!r}); is it a checkpoint of the same --model_params?"
        )
    missing = [name for name in wanted if name not in matched]
    text = f"{len(matched)} of {len(wanted)} tensors loaded"
    return text + (f"; missing {', '.join(missing[:4])}{', …' if len(missing) > 4 else ''}" if missing else "")
