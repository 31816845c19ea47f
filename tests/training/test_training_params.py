"""Optimisers and schedules: pure functions of the step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.errors import UserError
from seqtrack.training.params import learning_rate, resolve_lr_params, resolve_optimizer_params


def test_defaults_are_written_out() -> None:
    assert resolve_optimizer_params("momentum", {}) == {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert resolve_optimizer_params("adam", {"betas": [0.8, 0.9]})["betas"] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("optimizer", "value", "message"),
    [
        ("adam", {"momentum": 0.9}, "--optimizer_params: 'momentum' is not a parameter; expected one of betas"),
        ("momentum", {"momentum": 1}, "--optimizer_params.momentum: expected 0 or more and less than 1, got 1"),
        ("adam", {"betas": [0.9, 1.0]}, "--optimizer_params.betas: expected 0 or more and less than 1, got 1"),
    ],
)
def test_a_mistake_names_the_key(optimizer: str, value: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_optimizer_params(optimizer, value)


def rate(schedule: str, step: int, **params: object) -> float:
    return learning_rate(schedule, resolve_lr_params(schedule, params), 1.0, step, 100)


def test_exponential_reaches_its_rate_over_all_steps_or_every_so_many() -> None:
    assert rate("exponential", 0, decay_rate=0.01) == 1.0
    assert rate("exponential", 100, decay_rate=0.01) == pytest.approx(0.01)
    assert rate("exponential", 50, decay_rate=0.01) == pytest.approx(0.1)
    assert [rate("exponential", s, decay_rate=0.5, decay_steps=10, staircase=True) for s in (0, 9, 10, 25)] == [
        1.0, 1.0, 0.5, 0.25,
    ]  # fmt: skip


def test_cosine_goes_from_one_to_its_final_factor() -> None:
    assert rate("cosine", 0) == 1.0
    assert rate("cosine", 50, final_factor=0.2) == pytest.approx(0.6)
    assert rate("cosine", 100, final_factor=0.2) == pytest.approx(0.2)


def test_warm_up_is_linear_and_then_gone() -> None:
    assert [rate("constant", s, warmup_steps=4) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@given(
    schedule=st.sampled_from(["constant", "exponential", "cosine"]),
    step=st.integers(0, 100),
    warmup=st.integers(0, 50),
)
def test_a_rate_is_never_above_the_initial_one_nor_negative(schedule: str, step: int, warmup: int) -> None:
    assert 0 <= rate(schedule, step, warmup_steps=warmup) <= 1
