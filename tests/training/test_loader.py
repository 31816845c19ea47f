"""Loader workers leave signals to the trainer, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqtrack.training import loader
from tests.workbench import PATIENCE_SECONDS


class Numbers:
    """Batch *t* is *t*, and that of ``stuck_at`` never comes."""

    def __init__(self, stuck_at: int | None = None) -> None:
        self.stuck_at = stuck_at

    def batch(self, step: int, state: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        if step == self.stuck_at:
            time.sleep(1000)
        return {"step": np.array(step)}


def start(source: Numbers) -> tuple[Iterator[dict[str, Tensor]], list[Any]]:
    """What is left to take after the first batch of each worker, and the workers."""
    batches = loader.batches(source, range(40), {}, 2, pin_memory=False)
    assert [int(next(batches)["step"]) for _ in range(2)] == [0, 1]
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    return batches, workers


def test_what_asks_every_process_to_stop_stops_no_worker() -> None:
    """torch makes SIGTERM the end of a worker, and a worker that ends the end of the trial, with nothing saved."""
    batches, workers = start(Numbers())
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        for worker in workers:
            os.kill(worker.pid, number)
    assert [int(batch["step"]) for batch in batches] == list(range(2, 40))


def test_one_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    batches, workers = start(Numbers(stuck_at=3))
    batches.close()  # type: ignore[attr-defined]
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    assert -signal.SIGKILL in {worker.exitcode for worker in workers} <= {-signal.SIGKILL, 0}
