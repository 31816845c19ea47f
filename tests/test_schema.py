"""Nested JSON parameters: names, types and ranges, each mistake in one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from seqtrack.errors import UserError
from seqtrack.schema import parse, plain


@dataclass(frozen=True)
class Inner:
    padding: Literal["SAME", "VALID"] = "SAME"
    blocks: int = 4


@dataclass(frozen=True)
class Outer:
    size: int = 127
    context: float = 0.5
    betas: tuple[float, float] = (0.9, 0.999)
    file: str | None = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size: expected 1 or more, got {self.size}")


def test_what_is_left_out_keeps_its_default() -> None:
    assert parse(Outer, {}, "--p") == Outer()
    assert parse(Outer, {"inner": {"padding": "VALID"}}, "--p").inner == Inner("VALID", 4)


def test_a_whole_number_serves_as_a_number() -> None:
    value = parse(Outer, {"context": 1}, "--p").context
    assert value == 1.0
    assert isinstance(value, float)


def test_plain_and_parse_are_inverse() -> None:
    value = parse(Outer, {"size": 63, "betas": [0.5, 0.6], "file": "x"}, "--p")
    assert plain(value) == {
        "size": 63,
        "context": 0.5,
        "betas": [0.5, 0.6],
        "file": "x",
        "inner": {"padding": "SAME", "blocks": 4},
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
        ({"context": "wide"}, "--p.context: expected a number, got 'wide'"),
        ({"context": float("nan")}, "--p.context: expected a number, got nan"),
        ({"betas": [1]}, "--p.betas: expected 2 values, got [1]"),
        ({"inner": {"padding": "VALD"}}, "--p.inner.padding: 'VALD' is not known; did you mean VALID?"),
        ([], "--p: expected a JSON object, got []"),
    ],
)
def test_a_mistake_names_the_key_and_the_nearest(value: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(Outer, value, "--p")
    assert str(error.value) == message
