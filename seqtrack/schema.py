"""Nested JSON parameters checked against a frozen dataclass: names, types, and the class's own ranges."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from seqtrack.errors import UserError

T = TypeVar("T")


def nearest(word: str, valid: Iterable[str]) -> str:
    """'did you mean X?', or a list of what is valid."""
    names = sorted(valid)
    # Half a word is closer to its whole than its letters say: ``lr`` means ``lr_init``.
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5) or [n for n in names if n.startswith(word)]
    return f"did you mean {close[0]}?" if close else "expected one of " + ", ".join(names)


def parse(cls: type[T], value: Any, where: str) -> T:
    """An instance of the dataclass ``cls`` from a JSON object; fields left out keep their defaults.

    Args:
        where: how a message names the object, e.g. ``--model_params``; nested keys are appended with dots.

    Raises:
        UserError: unknown key (names the nearest), wrong type, or a ValueError of ``cls.__post_init__``,
            whose message should start with the key.
    """
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, got {value!r}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    read = {}
    for key, item in value.items():
        if key not in names:
            raise UserError(f"{where}: {key!r} is not a parameter; {nearest(str(key), names)}")
        read[key] = _convert(hints[key], item, f"{where}.{key}")
    try:
        return cls(**read)
    except ValueError as error:
        raise UserError(f"{where}.{error}") from error


def plain(value: Any) -> Any:
    """The complete JSON value of a parameter dataclass, defaults included (tuples become lists)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


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
    right_type = isinstance(value, hint) and not (hint in (int, float) and isinstance(value, bool))
    if not right_type or (hint is float and not math.isfinite(value)):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise UserError(f"{where}: expected {names.get(hint, hint)}, got {value!r}")
    return value
