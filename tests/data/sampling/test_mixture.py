"""Forms of a data-set flag and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.sampling.filters import FilterParams
from seqtrack.data.sampling.mixture import Entry, Mixture, parse_mixture
from seqtrack.data.sampling.samplers import PairRange, Regular, Uniform
from seqtrack.errors import UserError


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("a", ((1.0, ("a",)),)),
        (["a"], ((1.0, ("a",)),)),
        (["a", "b"], ((1.0, ("a", "b")),)),
        ([[3, "a"], [1, "b"]], ((0.75, ("a",)), (0.25, ("b",)))),
        ([[3, "a"], [1, ["b", "c"]]], ((0.75, ("a",)), (0.25, ("b", "c")))),
        ([[1, "a"], [1, [[3, "b"], [1, "c"]]]], ((0.5, ("a",)), (0.375, ("b",)), (0.125, ("c",)))),
    ],
)
def test_every_form_has_one_meaning(value, entries):
    assert parse_mixture(value) == Mixture(tuple(Entry(*entry) for entry in entries))


def test_an_entry_may_say_how_to_draw_from_it():
    value = [
        [3, {"dataset": "a", "sampler": {"kind": "regular"}, "filter": {"min_side": 8}}],
        [1, {"dataset": ["b", "c"], "filter": {"max_per_category": 5}}],
        [4, "d"],
    ]
    assert parse_mixture(value).entries == (
        Entry(0.375, ("a",), Regular(), FilterParams(min_side=8)),
        Entry(0.125, ("b", "c"), None, FilterParams(max_per_category=5)),
        Entry(0.5, ("d",)),
    )


def test_what_an_inner_entry_says_stands_and_the_rest_comes_from_around_it():
    inner = [[1, {"dataset": "a", "sampler": {"kind": "uniform"}}], [1, "b"]]
    value = {"dataset": inner, "sampler": {"kind": "pair_range", "high": 5}, "filter": {"min_length": 2}}
    assert parse_mixture(value).entries == (
        Entry(0.5, ("a",), Uniform(), FilterParams(min_length=2)),
        Entry(0.5, ("b",), PairRange(high=5), FilterParams(min_length=2)),
    )


names = st.sampled_from("abcdef")
filters = st.builds(lambda side, cap: {"min_side": side, "max_per_category": cap}, st.integers(0, 9), st.none())
objects = st.fixed_dictionaries(
    {"dataset": names | st.lists(names, min_size=1, unique=True)},
    optional={
        "filter": filters,
        "sampler": st.sampled_from([{}, {"kind": "uniform"}, {"kind": "regular", "freq": 3}]),
    },
)


@given(st.lists(st.tuples(st.floats(0.1, 10), names | objects), min_size=1, max_size=4))
def test_the_canonical_spelling_means_the_same_and_is_its_own(value):
    mixture = parse_mixture(value)
    again = parse_mixture(mixture.canonical())
    assert [entry.weight for entry in again.entries] == pytest.approx([entry.weight for entry in mixture.entries])
    assert [(e.names, e.sampler, e.filters) for e in again.entries] == [
        (e.names, e.sampler, e.filters) for e in mixture.entries
    ]


def test_plain_names_are_spelt_as_they_always_were():
    assert parse_mixture("a").canonical() == "a"
    assert parse_mixture([[2, ["a"]]]).canonical() == "a"
    assert parse_mixture([[3, "a"], [1, ["b", "c"]]]).canonical() == [[0.75, "a"], [0.25, ["b", "c"]]]


def test_names_come_once_and_in_order():
    assert parse_mixture([[1, "b"], [1, ["a", "b"]]]).names() == ["b", "a"]


@given(weights=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5))
def test_weights_are_proportions(weights):
    entries = parse_mixture([[weight, f"d{k}"] for k, weight in enumerate(weights)]).entries
    assert sum(entry.weight for entry in entries) == pytest.approx(1)
    assert [entry.weight * sum(weights) for entry in entries] == pytest.approx(weights)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a name, a list of names"),
        ({}, '"dataset" is missing in {}'),
        ({"dataset": "a", "samplr": {}}, "'samplr' is no part of an entry; did you mean sampler?"),
        (
            [[1, {"dataset": "a", "filter": {"min_sid": 3}}]],
            "'a': filter: 'min_sid' is not a parameter; did you mean",
        ),
        ({"dataset": "a", "sampler": {"kind": "regular", "freq": 0}}, "'a': sampler.freq: expected 1 or more, got 0"),
        ({"dataset": "a", "filter": 3}, "'a': filter: expected a JSON object, got 3"),
        ({"dataset": 3}, "not 3"),
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
