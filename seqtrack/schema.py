"""Nested JSON parameters checked against a frozen dataclass: names, types and ranges.

The dataclass is the whole description: its annotations give the types, ``bounded`` the ranges, ``chosen_by`` a
nested object whose class another field selects, and a ValueError of its ``__post_init__`` what concerns several
fields. A mistake is one line that begins with the path of the key, such as ``--model_params.feature_params.arch``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from seqtrack.errors import UserError

T = TypeVar("T")

# YAML 1.1 takes 1e-3 for a text: it wants 1.0e-3.
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
_SHOWN = 12  # names in one message
_BOUNDS, _CHOSEN_BY = "bounds", "chosen_by"


def nearest(word: str, valid: Iterable[str]) -> str:
    """'did you mean X?', in any case of letters, or a list of what is valid."""
    names = list(valid)
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)
    # Half a word is closer to its whole than its letters say: ``lr`` means ``lr_init``.
    close = close or [name for name in folded if name.startswith(word.lower())]
    if close:
        return f"did you mean {folded[close[0]]}?"
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"expected one of {shown}" if names else "there are none"


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``1,200 trials``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Bounds:
    """What a value may be: ``low`` and ``high`` are allowed themselves, ``above`` and ``below`` are not."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any) -> None:
        """ValueError if ``value``, or an item of it if it is a tuple, is out of bounds; None passes."""
        for item in value if isinstance(value, tuple) else (value,):
            if item is None:
                continue
            if self.choices and item not in self.choices:
                raise ValueError(f"{item!r} is not known; {nearest(str(item), self.choices)}")
            if (
                (self.low is not None and item < self.low)
                or (self.high is not None and item > self.high)
                or (self.above is not None and item <= self.above)
                or (self.below is not None and item >= self.below)
            ):
                raise ValueError(f"expected {self._range()}, got {_number(item)}")

    def _range(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{_number(self.low)} to {_number(self.high)}"
        limits = {
            "{} or more": self.low, "more than {}": self.above, "at most {}": self.high, "less than {}": self.below,
        }  # fmt: skip
        return " and ".join(text.format(_number(limit)) for text, limit in limits.items() if limit is not None)


def _number(value: float) -> str:
    """As a person writes it: 0 for 0.0."""
    return repr(value).removesuffix(".0")


def bounded(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Iterable[str] = (),
) -> Any:
    """A dataclass field with ``Bounds``, which ``parse`` and ``Checked`` hold it to."""
    bounds = Bounds(low, high, above, below, tuple(choices))
    return dataclasses.field(default=default, metadata={_BOUNDS: bounds})


def chosen_by(key: str, classes: Mapping[str, type[Any]], default_factory: Any) -> Any:
    """A field that ``parse`` reads as ``classes[value of the field key]``; left out, as that with its defaults."""
    return dataclasses.field(default_factory=default_factory, metadata={_CHOSEN_BY: (key, classes)})


class Checked:
    """Base of a dataclass whose bounds hold however it is made: ValueError, as ``"key: expected …"``, otherwise."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            _check(field, getattr(self, field.name))


def lookup(table: Mapping[str, T], name: Any, where: str) -> T:
    """``table[name]``, or UserError that names the nearest."""
    if not isinstance(name, str) or name not in table:
        raise UserError(f"{where}: {name!r} is not known; {nearest(str(name), table)}")
    return table[name]


def parse(cls: type[T], value: Any, where: str) -> T:
    """An instance of the dataclass ``cls`` from a JSON object; fields left out keep their defaults.

    Args:
        where: how a message names the object, e.g. ``--model_params``; nested keys are appended with dots.

    Raises:
        UserError: unknown key (names the nearest), wrong type, out of bounds, or a ValueError of
            ``cls.__post_init__``, whose message should start with the key.
    """
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, got {value!r}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            raise UserError(f"{where}: {key!r} is not a parameter; {nearest(str(key), fields)}")
    read: dict[str, Any] = {}
    try:
        for name, field in fields.items():
            if _CHOSEN_BY in field.metadata:
                key, classes = field.metadata[_CHOSEN_BY]
                chosen = lookup(classes, read.get(key, fields[key].default), f"{where}.{key}")
                read[name] = parse(chosen, value.get(name, {}), f"{where}.{name}")
            elif name in value:
                read[name] = _convert(hints[name], value[name], f"{where}.{name}")
                _check(field, read[name])
        return cls(**read)
    except ValueError as error:
        raise UserError(f"{where}.{error}") from error


def plain(params: Any) -> dict[str, Any]:
    """The complete JSON object of a parameter dataclass, defaults included; ``parse`` gives it back."""
    return {field.name: _plain(getattr(params, field.name)) for field in dataclasses.fields(params)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    if _BOUNDS in field.metadata:
        try:
            field.metadata[_BOUNDS].check(value)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = [argument for argument in arguments if argument is not type(None)]
        return _convert(hint, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise UserError(f"{where}: {value!r} is not known; {nearest(str(value), map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where}: expected a list, got {value!r}")
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise UserError(f"{where}: expected {len(arguments)} values, got {value!r}")
        return tuple(_convert(argument, item, where) for argument, item in zip(arguments, value, strict=True))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any or hint is dict or typing.get_origin(hint) is dict:
        return value
    # JSON writes 1 for 1.0; a flag is not a number though Python calls it one.
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
    right_type = isinstance(value, hint) and not (hint in (int, float) and isinstance(value, bool))
    if not right_type or (hint is float and not math.isfinite(value)):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise UserError(f"{where}: expected {names.get(hint, hint)}, got {value!r}")
    return value
