"""SiamFC as the train loop knows it: what it makes of negative pairs."""

from __future__ import annotations

import math

import pytest
import torch

from seqtrack.models.params import parse_model_params
from seqtrack.training.siamfc import SiamFCTask
from tests.workbench import SMALL_MODEL


@pytest.fixture(scope="module")
def task() -> SiamFCTask:
    torch.manual_seed(0)
    return SiamFCTask(parse_model_params("siamfc", SMALL_MODEL))


def pairs(count: int = 4) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {
        "exemplar": torch.randint(0, 256, (count, 87, 87, 3), generator=rng, dtype=torch.uint8),
        "search": torch.randint(0, 256, (count, 119, 119, 3), generator=rng, dtype=torch.uint8),
        "exemplar_box": torch.tensor([[33.5, 33.5, 20, 20]]).repeat(count, 1),
        "search_box": torch.tensor([[49.5, 49.5, 20, 20]]).repeat(count, 1),
    }


def test_a_negative_pair_is_labelled_negative_everywhere(task: SiamFCTask) -> None:
    batch = {**pairs(), "is_positive": torch.tensor([True, False, True, False])}
    labels = task.labels(batch)
    plain = task.labels(pairs())
    assert torch.equal(labels[[0, 2]], plain[[0, 2]])
    assert plain.sum() > 0 and labels[[1, 3]].sum() == 0
    assert labels.dtype == plain.dtype


def test_the_loss_of_negative_pairs_is_finite_and_pushes_the_response_down(task: SiamFCTask) -> None:
    batch = {**pairs(), "is_positive": torch.zeros(4, dtype=torch.bool)}
    optimizer = torch.optim.SGD(task.parameter_groups(), lr=0.01)
    before = float(task.response(batch).detach().mean())
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = task.loss(batch, step).total
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    assert float(task.response(batch).detach().mean()) < before


def test_a_batch_of_positive_pairs_has_the_loss_it_had_without_the_mark(task: SiamFCTask) -> None:
    marked = {**pairs(), "is_positive": torch.ones(4, dtype=torch.bool)}
    assert torch.equal(task.loss(marked, 0).total, task.loss(pairs(), 0).total)
