"""What the train loop adds to the bare forward, backward and optimiser step.

The loop runs as in a trial: rows of train.csv and progress events to disk, batches through the DataLoader machinery,
torch's RNG seeded per step. Batches come ready-made, since loading is bench_pairs' business. What it adds is measured
in milliseconds with a network of almost no cost, where it can be seen, and set against a step of the real one, where
it drowns in the noise of a shared machine; the direct comparison stands beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

import table  # noqa: E402
from table import Row, paired  # noqa: E402

from seqtrack.models.params import parse_model_params  # noqa: E402
from seqtrack.runs import events  # noqa: E402
from seqtrack.training import loader, loop  # noqa: E402
from seqtrack.training.csvlog import TrainCsv  # noqa: E402
from seqtrack.training.loop import LoopSettings  # noqa: E402
from seqtrack.training.optimization import Schedule, make_optimizer  # noqa: E402
from seqtrack.training.params import resolve_optimizer_params  # noqa: E402
from seqtrack.training.siamfc import SiamFCTask  # noqa: E402
from seqtrack.training.task import Batch, Loss, PairSizes, Task  # noqa: E402

BATCH = 8


class Ready:
    """The same batch for every step."""

    def __init__(self, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
        self.arrays = arrays

    def batch(self, step: int, state: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        return self.arrays


class TinyTask(Task):
    """A step of microseconds."""

    def __init__(self) -> None:
        self.network = nn.Linear(4, 1)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"net": self.network}

    @property
    def pair_sizes(self) -> PairSizes:
        return PairSizes(127, 255, 0.5)

    def loss(self, batch: Batch, step: int) -> Loss:
        return Loss(self.network(batch["x"]).square().mean())


class Hooks:
    """As a trial has them: events to disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: dict[str, Any]) -> None:
        """No checkpoint within the stretch that is timed."""

    def progress(self, step: int, loss: float | None, steps_per_second: float) -> None:
        events.append(self.folder / "events.jsonl", {"event": "progress", "step": step, "loss": loss})

    def row(self, step: int, row: Mapping[str, float | int]) -> None: ...

    def preview(self, step: int, batch: Batch) -> None: ...

    def validation_loss(self, step: int) -> float | None:
        return None

    def should_stop(self) -> bool:
        return False


class Stretch:
    """Some steps of a task, through the loop or bare."""

    def __init__(self, task: Task, arrays: dict[str, np.ndarray[Any, Any]], steps: int, folder: Path) -> None:
        self.task, self.arrays, self.steps, self.folder = task, arrays, steps, folder
        self.optimizer = make_optimizer(task, "adam", resolve_optimizer_params("adam", {}))

    def through_the_loop(self) -> None:
        settings = LoopSettings(1, self.steps, 100, None, lambda step: False, None, "fp32", torch.device("cpu"))

        def batches(steps: range, state: Mapping[str, Any]) -> Iterator[dict[str, Tensor]]:
            return loader.batches(Ready(self.arrays), steps, state, 0, pin_memory=False)

        schedule = Schedule("constant", {"warmup_steps": 0}, 1e-4, self.steps)
        (self.folder / "train.csv").unlink(missing_ok=True)
        csv = TrainCsv(self.folder / "train.csv", 0, lambda: None)
        loop.train(self.task, self.optimizer, schedule, batches, settings, csv, Hooks(self.folder))

    def bare(self) -> None:
        batch = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        self.task.set_mode(training=True)
        for step in range(self.steps):
            self.optimizer.zero_grad(set_to_none=True)
            self.task.loss(batch, step).total.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()


def milliseconds_added(stretch: Stretch, rounds: int = 15) -> float:
    """Per step, median over interleaved rounds."""
    stretch.through_the_loop()
    stretch.bare()
    added = [table.seconds(stretch.through_the_loop) - table.seconds(stretch.bare) for _ in range(rounds)]
    return statistics.median(added) / stretch.steps * 1e3


def siamfc_batch() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    box = np.array([[48, 48, 31, 31]] * BATCH, np.float32)
    return {
        "exemplar": rng.integers(0, 256, (BATCH, 127, 127, 3), dtype=np.uint8),
        "search": rng.integers(0, 256, (BATCH, 255, 255, 3), dtype=np.uint8),
        "exemplar_box": box,
        "search_box": box + np.array([64, 64, 0, 0], np.float32),
    }


def rows() -> Iterator[Row]:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = Stretch(SiamFCTask(parse_model_params("siamfc", {})), siamfc_batch(), 4, folder)
        real.bare()
        start = time.perf_counter()
        real.bare()
        step_ms = (time.perf_counter() - start) / real.steps * 1e3
        tiny = Stretch(TinyTask(), {"x": np.ones((8, 4), np.float32)}, 300, folder)
        added_ms = milliseconds_added(tiny)
        share = added_ms / step_ms * 100
        note = f"{added_ms:.2f} ms beside a step of {step_ms:.0f} ms"
        yield Row("loop: added to a bare step of AlexNet SiamFC, batch 8", share, "%", "< 3", share < 3, note)
        direct = (paired(real.through_the_loop, real.bare, rounds=7) - 1) * 100
        yield Row("loop: the same compared directly", direct, "%", "", None, "within the noise of the machine")


if __name__ == "__main__":
    table.main(rows)
