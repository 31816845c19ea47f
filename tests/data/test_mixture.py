"""Forms of a data-set flag and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.mixture import Mixture, parse_mixture
from seqtrack.errors import UserError


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        ("a", ((1.0, ("a",)),)),
        (["a"], ((1.0, ("a",)),)),
        (["a", "b"], ((1.0, ("a", "b")),)),
        ([[3, "a"], [1, "b"]], ((0.75, ("a",)), (0.25, ("b",)))),
        ([[3, "a"], [1, ["b", "c"]]], ((0.75, ("a",)), (0.25, ("b", "c")))),
        ([[1, "a"], [1, [[3, "b"], [1, "c"]]]], ((0.5, ("a",)), (0.375, ("b",)), (0.125, ("c",)))),
    ],
)
def test_every_form_has_one_meaning(value, groups):
    assert parse_mixture(value) == Mixture(groups)


def test_names_come_once_and_in_order():
    assert parse_mixture([[1, "b"], [1, ["a", "b"]]]).names() == ["b", "a"]


@given(weights=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5))
def test_weights_are_proportions(weights):
    groups = parse_mixture([[weight, f"d{k}"] for k, weight in enumerate(weights)]).groups
    assert sum(weight for weight, _ in groups) == pytest.approx(1)
    assert [weight * sum(weights) for weight, _ in groups] == pytest.approx(weights)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a name, a list of names"),
        ({}, "expected a name, a list of names"),
        (3, "not 3"),
        ("", "must not be empty"),
        (["a", "a"], "'a' appears twice"),
        (["a", [1, "b"]], r"expected \[weight, name\] in a mixture, not 'a'"),
        ([["a", 1]], r"expected \[weight, name\] in a mixture"),
        ([[0, "a"]], "weight of 'a' must be a positive number, not 0"),
        ([[float("nan"), "a"]], "must be a positive number"),
        ([[True, "a"]], r"expected \[weight, name\]"),
    ],
)
def test_a_mistake_is_named(value, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_mixture(value, "--val_dataset")
    assert str(caught.value).startswith("--val_dataset: ")
