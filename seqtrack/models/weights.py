"""Pretrained weights of a trunk, from torch or safetensors files.

A file is matched by name and shape after common prefixes are stripped, and what matched is reported. Files
are read as data only (``weights_only=True``): a checkpoint that would run code is refused.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqtrack.errors import UserError

# Where published checkpoints keep their tensors, and what they put before the trunk's own names.
_CONTAINERS = ("state_dict", "model_state_dict", "net", "model")
_PREFIXES = ("module.", "model.", "net.", "backbone.", "features.", "feature_extractor.", "trunk.")


@dataclass(frozen=True)
class Report:
    """Names of the trunk that were loaded, that the file lacks (or has in another shape), and the file's others."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]  # the subset of ``missing`` that the file has in another shape

    def __str__(self) -> str:
        text = f"{len(self.matched)} of {len(self.matched) + len(self.missing)} tensors loaded"
        for word, names in (("missing", self.missing), ("unused in the file", self.unexpected)):
            if names:
                text += f"; {len(names)} {word}: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
        return text


def load_feature_weights(module: nn.Module, path: str | os.PathLike[str]) -> Report:
    """Copies the tensors of ``path`` that fit into ``module`` (a trunk) in place, and says what did and did not.

    Takes ``.safetensors`` and torch files (``.pth``, ``.pth.tar``, ``.pkl``, ``.pt``) that hold a state
    dict, bare or under ``state_dict``, ``net``, ``model_state_dict`` or ``model``. Raises ``UserError`` in
    one line for a file that is missing, corrupt, a TensorFlow checkpoint, or of which nothing matches.
    """
    path = Path(path)
    found = {_strip(name): value for name, value in read_tensors(path).items()}
    # Buffers that only count steps do not decide whether a file fits.
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")}
    matched = {name: found[name] for name, value in wanted.items() if _fits(found.get(name), value)}
    if not any(matched[name].ndim > 1 for name in matched):
        example, theirs = next(iter(wanted), "?"), next(iter(found), "none")
        raise UserError(
            f"--model_params.feature_model_file: nothing in {path} matches this trunk "
            f"(it wants names like {example!r}, the file has {theirs!r}); check arch and arch_params"
        )
    with torch.no_grad():
        for name, value in matched.items():
            wanted[name].copy_(value)
    missing = [name for name in wanted if name not in matched]
    ignored = set(matched) | {name for name in found if name.endswith("num_batches_tracked")}
    reshaped = [name for name in missing if name in found]
    unexpected = [name for name in found if name not in ignored and name not in reshaped]
    return Report(tuple(matched), tuple(missing), tuple(unexpected), tuple(reshaped))


def read_tensors(path: Path, flag: str = "--model_params.feature_model_file") -> dict[str, torch.Tensor]:
    """The named tensors of a torch or safetensors file, on the CPU; ``UserError`` where there are none."""
    where = f"{flag}: {path}"
    if _is_tensorflow(path):
        raise UserError(
            f"{where} is a TensorFlow checkpoint, which cannot be read yet; give a torch or safetensors file"
        )
    if not path.is_file():
        raise UserError(f"{where} does not exist or is no file; give the path of a torch or safetensors file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it is corrupt, or holds Python objects besides tensors, which are not loaded for safety"
        raise UserError(f"{where} cannot be read: {reason} ({_first_line(error)})") from None
    # torch and safetensors raise RuntimeError, ValueError, EOFError, KeyError, types of their own …
    except Exception as error:
        raise UserError(f"{where} cannot be read: {type(error).__name__}: {_first_line(error)}") from None
    for name in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise UserError(f"{where} holds a {type(content).__name__}, not a dictionary of named tensors")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(f"{where} holds no named tensors")
    return tensors


def _fits(found: torch.Tensor | None, wanted: torch.Tensor) -> bool:
    return found is not None and found.shape == wanted.shape


def _strip(name: str) -> str:
    prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
    return name if prefix is None else _strip(name.removeprefix(prefix))


def _is_tensorflow(path: Path) -> bool:
    # A V2 checkpoint "x.ckpt" exists only as x.ckpt.index and x.ckpt.data-00000-of-00001; a step may follow:
    # x.ckpt-1000. Lightning also writes ".ckpt", but those are torch's zip files.
    return (
        ".ckpt" in path.name and path.suffix not in (".pth", ".pt", ".safetensors") and not zipfile.is_zipfile(path)
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no reason given"
