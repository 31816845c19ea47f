"""The paired bootstrap: laws that hold for any scores, exact answers where everything can be enumerated."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seqtrack.assessment.comparison import Comparison, compare
from seqtrack.assessment.scores import Floats, Ratio, exact

RESAMPLES = 400  # of the laws, which hold for any number
LAW = settings(max_examples=30, deadline=None)

SCORES = st.integers(1, 6).flatmap(
    lambda sequences: st.tuples(
        *(
            hnp.arrays(np.float64, (trials, sequences), elements=st.integers(0, 100).map(lambda k: k / 100))
            for trials in (2, 3)
        )
    )
)


def trials(values: Floats) -> dict[int, Ratio]:
    """Means over sequences. values: (trials, S)."""
    return {seed: Ratio.mean(row) for seed, row in enumerate(values)}


def names(count: int) -> list[str]:
    return [f"sequence {k}" for k in range(count)]


def compared(a: Floats, b: Floats, **options: int) -> Comparison:
    return compare(trials(a), trials(b), names(a.shape[1]), **{"resamples": RESAMPLES, **options})


@LAW
@given(SCORES)
def test_swapping_the_experiments_says_exactly_the_opposite(values: tuple[Floats, Floats]) -> None:
    one, other = compared(*values), compared(*values[::-1])
    assert other.difference == -one.difference
    assert other.interval == pytest.approx([-one.interval[1], -one.interval[0]], abs=1e-12)
    assert (other.share_a, other.share_b, other.ties) == (one.share_b, one.share_a, one.ties)
    assert other.wins == (one.wins[1], one.wins[0], one.wins[2])
    assert np.array_equal(other.per_sequence, -one.per_sequence)


@LAW
@given(SCORES)
def test_a_run_does_not_differ_from_itself(values: tuple[Floats, Floats]) -> None:
    found = compared(values[0], values[0])
    assert found.difference == 0 and not found.per_sequence.any()
    assert found.interval[0] == pytest.approx(-found.interval[1], abs=1e-12)
    assert found.share_a == found.share_b and found.verdict == "cannot tell them apart"
    single = compared(values[0][:1], values[0][:1])
    assert (single.interval, single.ties) == ((0.0, 0.0), 1.0)


@LAW
@given(SCORES)
def test_shares_add_up_and_the_interval_holds_the_median(values: tuple[Floats, Floats]) -> None:
    found = compared(*values)
    assert found.share_a + found.share_b + found.ties == pytest.approx(1, abs=1e-12)
    assert found.interval[0] <= found.median <= found.interval[1]
    assert sum(found.wins) == values[0].shape[1]


@LAW
@given(SCORES, st.randoms(use_true_random=False))
def test_no_order_matters(values: tuple[Floats, Floats], random: object) -> None:
    a, b = values
    found = compare(trials(a), trials(b), names(a.shape[1]), resamples=RESAMPLES)
    order = list(range(a.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = compare(
        dict(reversed(trials(a[:, order]).items())),
        dict(reversed(trials(b[:, order]).items())),
        [names(a.shape[1])[k] for k in order],
        resamples=RESAMPLES,
    )
    assert again.interval == pytest.approx(found.interval, abs=1e-12)
    assert (again.share_a, again.share_b) == pytest.approx((found.share_a, found.share_b), abs=1e-12)
    assert again.sequences == found.sequences
    assert np.array_equal(again.per_sequence, found.per_sequence)


@LAW
@given(SCORES, st.integers(-50, 50))
def test_a_constant_more_is_a_constant_more(values: tuple[Floats, Floats], shift: int) -> None:
    a, b = values
    found, shifted = compared(a, b), compared(a, b + shift)
    assert np.subtract(shifted.interval, found.interval) == pytest.approx(shift, abs=1e-9)


@LAW
@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-1e6, 1e6)), st.randoms(use_true_random=False))
def test_sums_of_draws_do_not_depend_on_their_order(values: Floats, random: object) -> None:
    """Of any sign: nothing rounds, so the sum is the one of exact arithmetic."""
    counts = np.array([[random.randrange(1, 9) for _ in values]], np.float64)  # type: ignore[attr-defined]
    coarse = exact(values, counts)
    assert float((counts @ coarse)[0]) == math.fsum(np.repeat(coarse, counts[0].astype(int)))
    largest = counts.sum() * np.abs(values).max()
    assert (np.abs(coarse - values) <= largest * 2.0**-52 + 1e-200).all()
    terms = counts[0] * coarse
    order = random.sample(range(len(terms)), len(terms))  # type: ignore[attr-defined]
    assert functools.reduce(operator.add, terms[order]) == functools.reduce(operator.add, terms)


def enumerated(a: Mapping[int, Ratio], b: Mapping[int, Ratio], sequences: int) -> Floats:
    """Every difference that can be drawn, each equally likely."""
    found = []
    for draw in itertools.product(range(sequences), repeat=sequences):
        counts = np.bincount(draw, minlength=sequences)[None].astype(np.float64)
        of_a, of_b = ([float(trial.value(counts)[0]) for trial in run.values()] for run in (a, b))
        for drawn_a in itertools.product(of_a, repeat=len(a)):
            found += [np.mean(drawn_b) - np.mean(drawn_a) for drawn_b in itertools.product(of_b, repeat=len(b))]
    return np.array(found)


def weighted(shares: Floats, frames: Floats) -> dict[int, Ratio]:
    return {seed: Ratio(row * frames, frames) for seed, row in enumerate(shares)}


CASES = {
    "means": (
        trials(np.array([[0.2, 0.9, 0.4], [0.3, 0.8, 0.5]])),
        trials(np.array([[0.3, 0.9, 0.3], [0.5, 0.7, 0.6]])),
        3,
    ),
    "frame-weighted, as AO": (
        weighted(np.array([[0.2, 0.9], [0.3, 0.8]]), np.array([100.0, 10.0])),
        weighted(np.array([[0.1, 1.0], [0.6, 0.2]]), np.array([100.0, 10.0])),
        2,
    ),
    "a mean over columns some sequences do not reach, as EAO": (
        {0: Ratio(np.array([[0.5, 0.2], [0.9, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]]))},
        {0: Ratio(np.array([[0.4, 0.4], [0.8, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])),
         1: Ratio(np.array([[0.6, 0.1], [0.7, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]]))},
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_the_enumeration_of_all_draws(case: str) -> None:
    a, b, sequences = CASES[case]
    exact = enumerated(a, b, sequences)
    found = compare(a, b, names(sequences), resamples=10_000)
    # Four standard errors of a share out of 10,000.
    assert found.share_b == pytest.approx((exact > 1e-12).mean(), abs=0.02)
    assert found.share_a == pytest.approx((exact < -1e-12).mean(), abs=0.02)
    spread = exact.std()
    assert found.median == pytest.approx(np.quantile(exact, 0.5), abs=0.3 * spread)
    # Values are discrete: the interval's ends lie among those near the exact quantiles.
    for end, quantile in zip(found.interval, (0.025, 0.975), strict=True):
        nearby = np.quantile(np.repeat(exact, 1000), [max(0, quantile - 0.015), min(1, quantile + 0.015)])
        assert nearby[0] - 1e-9 <= end <= nearby[1] + 1e-9


def test_by_hand_two_sequences_and_one_trial_each() -> None:
    """Four draws of two sequences: differences 0.2, 0.1, 0.1, 0.0."""
    found = compare(trials(np.array([[0.5, 0.5]])), trials(np.array([[0.7, 0.5]])), ["x", "y"])
    assert (found.a, found.b) == (0.5, pytest.approx(0.6)) and found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.0, 0.2)) and found.median == pytest.approx(0.1)
    assert (found.share_b, found.share_a) == (pytest.approx(0.75, abs=0.02), 0.0)
    assert found.ties == pytest.approx(0.25, abs=0.02)
    assert found.wins == (0, 1, 1)
    assert found.verdict == "cannot tell them apart"
    assert found.caveats == [
        "both have one trial, so only sequences were resampled: how much seeds matter is not in it",
        "2 sequences are too few to stand for others",
    ]


def test_it_is_seeded() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (3, 20)), rng.uniform(0, 1, (4, 20))
    one, again, other = compared(a, b), compared(a, b), compared(a, b, seed=1)
    assert (one.interval, one.share_b) == (again.interval, again.share_b)
    assert one.interval != other.interval


def test_what_sequences_share_does_not_count_and_what_seeds_do_does() -> None:
    hardness = np.linspace(0, 0.9, 40)
    a = np.tile(hardness, (5, 1))
    sure = compared(a, a + 0.02, resamples=2000)
    assert sure.interval == pytest.approx((0.02, 0.02), abs=1e-12) and sure.share_b == 1
    assert sure.verdict == "B is better" and sure.caveats == []
    seeds = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])[:, None]
    unsure = compared(a + seeds, a + seeds + 0.02, resamples=2000)
    assert unsure.verdict == "cannot tell them apart"
    # The mean of five drawn seeds has variance 0.005 / 5; two such means differ by sqrt(2) of its root.
    assert (unsure.interval[1] - unsure.interval[0]) / (2 * 1.96) == pytest.approx(np.sqrt(2 * 0.005 / 5), rel=0.1)


def test_where_less_is_better_less_wins() -> None:
    a, b = trials(np.full((5, 12), 3.0)), trials(np.full((5, 12), 2.0))
    found = compare(a, b, names(12), higher_is_better=False, resamples=RESAMPLES)
    assert (found.difference, found.better, found.share_b, found.wins) == (-1.0, "B", 1.0, (0, 12, 0))


def test_a_sequence_without_a_score_is_left_out() -> None:
    a, b = np.array([[0.1, np.nan, 0.3]]), np.array([[0.2, np.nan, 0.4]])
    found = compared(a, b)
    assert found.difference == pytest.approx(0.1) and found.wins == (0, 2, 0)
    assert np.isnan(found.per_sequence).tolist() == [False, True, False]


def test_few_trials_are_said_to_be_few() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (5, 12))
    assert compared(values, values).caveats == []
    assert compared(values[:1], values).caveats == [
        "A has one trial, so only sequences were resampled: how much seeds matter is not in it"
    ]
    assert compared(values[:2], values[:3]).caveats == [
        "A has 2 and B has 3 trials: with fewer than 5 the interval is too narrow"
    ]


@pytest.mark.parametrize(
    ("a", "b", "sequences"),
    [
        ({}, trials(np.ones((1, 2))), ["x", "y"]),
        (trials(np.ones((1, 2))), trials(np.ones((1, 3))), ["x", "y"]),
        (trials(np.ones((1, 2))), trials(np.ones((1, 2))), ["x", "x"]),
        (trials(np.ones((1, 2))), trials(np.ones((1, 2))), ["x"]),
        (trials(np.full((1, 2), np.nan)), trials(np.ones((1, 2))), ["x", "y"]),
    ],
)
def test_what_does_not_belong_together_is_refused(
    a: dict[int, Ratio], b: dict[int, Ratio], sequences: list[str]
) -> None:
    with pytest.raises(ValueError):
        compare(a, b, sequences)
