"""Batches for consecutive steps, made in this process or in worker processes.

The unit of work is a step: a worker makes the whole batch of a step, and batch *t* is a pure function of *t*,
so the number of workers changes nothing but speed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqtrack.data.processes import end_by_killing, leave_signals_to_parent, withheld_signals
from seqtrack.errors import SeqtrackError

START_METHOD_VARIABLE = "SEQTRACK_START_METHOD"


class BatchSource(Protocol):
    """``seqtrack.data.sampling.pairs.PairSource``, or anything picklable like it."""

    def batch(self, step: int, state: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]: ...


class _Steps(Dataset["dict[str, Tensor] | SeqtrackError"]):
    """Maps a step to its batch, or to why there is none; what DataLoader calls a data set."""

    def __init__(self, source: BatchSource, state: Mapping[str, Any]) -> None:
        self._source = source
        self._state = state

    def __getitem__(self, step: int) -> dict[str, Tensor] | SeqtrackError:
        try:
            arrays = self._source.batch(step, self._state)
        except SeqtrackError as error:
            # Handed over as a value: DataLoader would put a traceback into the message of what it raises again.
            return error
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def start_method() -> str:
    """``fork`` where the platform has it (a worker starts in milliseconds), else ``spawn``."""
    default = "fork" if "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin" else "spawn"
    return os.environ.get(START_METHOD_VARIABLE, default)


def batches(
    source: BatchSource,
    steps: range,
    state: Mapping[str, Any],
    num_workers: int,
    pin_memory: bool,
) -> Iterator[dict[str, Tensor]]:
    """The batch of each step in order."""
    loader = DataLoader(
        _Steps(source, state),
        batch_size=None,
        sampler=steps,
        num_workers=num_workers,
        pin_memory=pin_memory,
        multiprocessing_context=start_method() if num_workers else None,
        worker_init_fn=_prepare_worker if num_workers else None,
        prefetch_factor=2 if num_workers else None,
    )
    # Before a forked worker gets to say what it does with signals, torch has made SIGTERM the end of it.
    with withheld_signals(start_method()):
        items = iter(loader)
    for worker in getattr(items, "_workers", ()):
        end_by_killing(worker)
    for item in items:
        if isinstance(item, SeqtrackError):
            raise item
        yield item


def _prepare_worker(_: int) -> None:
    leave_signals_to_parent()
    torch.set_num_threads(1)
    # Not 1: that waits for the trainer's pool of threads to shrink, and none of them came through the fork.
    cv2.setNumThreads(0)
