"""Toy tasks that ask of the train loop what trackers ask of it, in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqtrack.data.sampling.rng import generator
from seqtrack.training.task import Batch, Loss, PairSizes, Task

NUM_TRACKS = 6


class ToySource:
    """Batches as ``PairSource`` makes them: a pure function of (seed, step, state)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def batch(self, step: int, state: Mapping[str, Any] | None = None) -> dict[str, np.ndarray[Any, Any]]:
        rng = generator(self.seed, "toy", step=step)
        weights = np.asarray((state or {}).get("track_weights", np.ones(NUM_TRACKS)), float)
        tracks = rng.choice(NUM_TRACKS, size=4, p=weights / weights.sum())
        x = rng.normal(size=(4, 5)).astype(np.float32) + tracks[:, None].astype(np.float32)
        return {"x": x, "y": (x.sum(1) > 12).astype(np.float32), "track": tracks.astype(np.int64)}


class TeacherStudentTask(Task):
    """A student learns from labels and from a teacher, which follows it as a moving average; and sampling is
    learned: every four steps the tracks with the larger loss get more weight."""

    boundary_every = 4

    def __init__(self) -> None:
        self.student = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 1))
        self.teacher = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 1))
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.weights = np.ones(NUM_TRACKS)
        self.seen = torch.zeros(NUM_TRACKS, dtype=torch.float64)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"student": self.student, "teacher": self.teacher}

    @property
    def pair_sizes(self) -> PairSizes:
        return PairSizes(127, 255, 0.5)

    def set_mode(self, training: bool) -> None:
        self.student.train(training)
        self.teacher.eval()

    def loss(self, batch: Batch, step: int) -> Loss:
        answer = self.student(batch["x"])[:, 0]
        with torch.no_grad():
            taught = self.teacher(batch["x"])[:, 0]
        each = nn.functional.binary_cross_entropy_with_logits(answer, batch["y"], reduction="none")
        self.seen.index_add_(0, batch["track"], each.detach().double())
        distilled = (answer - taught).square().mean()
        return Loss(each.mean() + 0.1 * distilled, {"distilled": distilled})

    def after_step(self, step: int) -> None:
        with torch.no_grad():
            for mine, theirs in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                mine.lerp_(theirs, 0.1)

    def at_boundary(self, step: int) -> None:
        self.weights = self.weights + self.seen.numpy()
        self.seen = torch.zeros_like(self.seen)

    def sampler_state(self) -> dict[str, Any]:
        return {"track_weights": self.weights}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.from_numpy(self.weights.copy()), "seen": self.seen.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = state["weights"].numpy().copy()
        self.seen = state["seen"].clone()


@pytest.fixture
def make_task() -> Any:
    def make() -> TeacherStudentTask:
        torch.manual_seed(3)
        return TeacherStudentTask()

    return make


@pytest.fixture
def toy_source() -> ToySource:
    return ToySource(seed=5)


def state_of(task: Task) -> dict[str, Tensor]:
    return {f"{name}.{k}": v for name, net in task.networks.items() for k, v in net.state_dict().items()}
