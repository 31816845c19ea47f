"""Nested JSON parameters: names, types and ranges, each mistake in one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from seqtrack.errors import UserError
from seqtrack.schema import Checked, bounded, chosen_by, lookup, nearest, parse, plain


@dataclass(frozen=True)
class Inner:
    padding: Literal["SAME", "VALID"] = "SAME"
    blocks: int = 4


@dataclass(frozen=True)
class Deep(Inner):
    blocks: int = 9


@dataclass(frozen=True)
class Outer(Checked):
    size: int = bounded(127, low=1)
    context: float = bounded(0.5, low=0, high=4)
    rate: float = bounded(0.5, above=0, below=1)
    betas: tuple[float, float] = bounded((0.9, 0.999), low=0, below=1)
    file: str | None = None
    gain: float | None = bounded(None, high=8)
    color: str = bounded("red", choices=("red", "green"))
    inner: Inner = field(default_factory=Inner)
    arch: str = "shallow"
    arch_params: Inner = chosen_by("arch", {"shallow": Inner, "deep": Deep}, Inner)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise ValueError(f"size: expected an odd number, got {self.size}")


def test_what_is_left_out_keeps_its_default() -> None:
    assert parse(Outer, {}, "--p") == Outer()
    assert parse(Outer, {"inner": {"padding": "VALID"}}, "--p").inner == Inner("VALID", 4)


def test_a_whole_number_serves_as_a_number() -> None:
    value = parse(Outer, {"context": 1}, "--p").context
    assert value == 1.0
    assert isinstance(value, float)


def test_one_key_chooses_the_class_of_another_and_its_defaults() -> None:
    assert parse(Outer, {"arch": "deep"}, "--p").arch_params == Deep("SAME", 9)
    assert parse(Outer, {"arch_params": {"blocks": 2}, "arch": "deep"}, "--p").arch_params == Deep("SAME", 2)


def test_plain_and_parse_are_inverse() -> None:
    value = parse(Outer, {"size": 63, "betas": [0.5, 0.6], "file": "x", "arch": "deep"}, "--p")
    assert plain(value) == {
        "size": 63,
        "context": 0.5,
        "rate": 0.5,
        "betas": [0.5, 0.6],
        "file": "x",
        "gain": None,
        "color": "red",
        "inner": {"padding": "SAME", "blocks": 4},
        "arch": "deep",
        "arch_params": {"padding": "SAME", "blocks": 9},
    }
    assert parse(Outer, plain(value), "--p") == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"siez": 1}, "--p: 'siez' is not a parameter; did you mean size?"),
        ({"inner": {"paddin": 1}}, "--p.inner: 'paddin' is not a parameter; did you mean padding?"),
        ({"size": 1.5}, "--p.size: expected a whole number, got 1.5"),
        ({"size": True}, "--p.size: expected a whole number, got True"),
        ({"size": 0}, "--p.size: expected 1 or more, got 0"),
        ({"size": 2}, "--p.size: expected an odd number, got 2"),
        ({"context": "wide"}, "--p.context: expected a number, got 'wide'"),
        ({"context": float("nan")}, "--p.context: expected a number, got nan"),
        ({"context": 5}, "--p.context: expected 0 to 4, got 5"),
        ({"rate": 1}, "--p.rate: expected more than 0 and less than 1, got 1"),
        ({"betas": [1]}, "--p.betas: expected 2 values, got [1]"),
        ({"betas": [0.5, 1.5]}, "--p.betas: expected 0 or more and less than 1, got 1.5"),
        ({"gain": 9.5}, "--p.gain: expected at most 8, got 9.5"),
        ({"color": "Gren"}, "--p.color: 'Gren' is not known; did you mean green?"),
        ({"inner": {"padding": "VALD"}}, "--p.inner.padding: 'VALD' is not known; did you mean VALID?"),
        ({"arch": "depe"}, "--p.arch: 'depe' is not known; did you mean deep?"),
        ({"arch": "deep", "arch_params": {"blcks": 1}}, "--p.arch_params: 'blcks' is not a parameter; did you mean"),
        ([], "--p: expected a JSON object, got []"),
    ],
)
def test_a_mistake_names_the_key_and_the_nearest(value: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(Outer, value, "--p")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_bounds_hold_for_what_is_made_without_parsing_too() -> None:
    with pytest.raises(ValueError, match=r"^context: expected 0 to 4, got -1$"):
        Outer(context=-1.0)


def test_lookup_answers_or_names_the_nearest() -> None:
    assert lookup({"adam": 1, "sgd": 2}, "sgd", "--optimizer") == 2
    with pytest.raises(UserError, match=r"^--optimizer: 'adma' is not known; did you mean adam\?$"):
        lookup({"adam": 1, "sgd": 2}, "adma", "--optimizer")
    with pytest.raises(UserError, match=r"^--optimizer: \['adam'\] is not known; did you mean adam\?$"):
        lookup({"adam": 1, "sgd": 2}, ["adam"], "--optimizer")


@pytest.mark.parametrize(
    ("word", "valid", "hint"),
    [
        ("auk", ["AUC", "mean_iou"], "did you mean AUC?"),
        ("lr", ["lr_init", "batchsz"], "did you mean lr_init?"),
        ("zzz", ["b", "a"], "expected one of b, a"),
        ("zzz", [*"abcdefghijklm"], "expected one of a, b, c, d, e, f, g, h, i, j, k, l, …"),
        ("zzz", [], "there are none"),
    ],
)
def test_nearest(word: str, valid: list[str], hint: str) -> None:
    assert nearest(word, valid) == hint
