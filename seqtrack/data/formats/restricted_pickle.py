"""Pickles from outside, read as data: numbers, texts, lists, dicts and numpy arrays, nothing else.

A pickle is a program. ``pickle`` itself looks up and calls whatever the program names; here only the constructors of
numpy's arrays, dtypes and scalars can be named, and each stands for a function of this module that checks what it is
given. Before anything is run, the opcodes are walked through once: those that data do not need are refused, as are
lengths beyond the end of the file and the memo indices by which a pickle of 20 bytes takes gigabytes. What calls make
of a text or list that is named again and again is counted, and may not be much more than the file. Protocols 0 to 5,
Python 2's included (its texts and array bytes are read as Latin-1).
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from seqtrack.errors import DataError

_LEAST_BUDGET, _BYTES_PER_BYTE = 1 << 20, 4
_DTYPE = re.compile(r"[<>|=]?([biufcSU?])(\d{0,4})")
_REFUSED = frozenset(
    {
        "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER",
        "READONLY_BUFFER",
    }
)  # fmt: skip
"""Opcodes of instances, registries and things outside of the pickle."""


class _Opcode:
    """How to skip one opcode's argument: a fixed number of bytes, a length before the bytes, or lines of text."""

    def __init__(self, info: pickletools.OpcodeInfo) -> None:
        kind = info.arg.n if info.arg else 0
        self.name, self.allowed = info.name, info.name not in _REFUSED
        self.fixed = max(kind, 0)
        self.lines = (2 if info.name in ("GLOBAL", "INST") else 1) if kind == pickletools.UP_TO_NEWLINE else 0
        self.prefix = {
            pickletools.TAKEN_FROM_ARGUMENT1: 1,
            pickletools.TAKEN_FROM_ARGUMENT4: 4,
            pickletools.TAKEN_FROM_ARGUMENT4U: 4,
            pickletools.TAKEN_FROM_ARGUMENT8U: 8,
        }.get(kind, 0)
        self.puts = info.name in ("PUT", "BINPUT", "LONG_BINPUT")


_OPCODES = {ord(info.code): _Opcode(info) for info in pickletools.opcodes}


def loads(data: bytes, where: str) -> Any:
    """What the pickle says; arrays are plain ``numpy.ndarray``s once ``numpy.asarray`` has seen them.

    Args:
        where: names the file in messages.

    Raises:
        DataError: it asks for anything but plain data and arrays (the message names what), is cut short or damaged.
    """
    _check(data, where)
    unpickler = _Unpickler(io.BytesIO(data), encoding="latin1")
    unpickler.where, unpickler.names = where, _names(_Budget(len(data), where))
    try:
        return unpickler.load()
    except DataError:
        raise
    except (
        pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, MemoryError,
        OverflowError, RecursionError, AssertionError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{where}: a damaged pickle ({reason}); get it again") from error


def _check(data: bytes, where: str) -> None:
    """Walks through the opcodes without running them."""
    position, end, count = 0, len(data), 0
    opcodes = _OPCODES
    while position < end:
        opcode = opcodes.get(data[position])
        if opcode is None:
            raise DataError(
                f"{where}: a damaged pickle (no opcode {data[position]:#04x} at byte {position}); get it again"
            )
        if not opcode.allowed:
            asked = (
                ".".join(data[position + 1 :].decode("latin1").split("\n", 2)[:2]) if opcode.name == "INST" else ""
            )
            raise DataError(
                f"{where}: refused: the pickle {f'asks for {asked[:80]}' if asked else f'uses {opcode.name}'};"
                " only numpy arrays and plain data are read"
            )
        begin = position + 1
        position = begin + opcode.fixed
        count += 1
        if opcode.prefix:
            position = begin + opcode.prefix
            # Negative lengths (the signed LONG4) read as huge ones here, and end the walk.
            position += int.from_bytes(data[begin:position], "little")
        for _ in range(opcode.lines):
            line_end = data.find(b"\n", position)
            position = end + 1 if line_end < 0 else line_end + 1
        if position > end:
            break
        if opcode.puts:
            _check_memo(opcode, data[begin:position], count, where)
        if opcode.name == "STOP":
            return
    raise DataError(f"{where}: the pickle is cut short, at {end} bytes; get it again")


def _check_memo(opcode: _Opcode, argument: bytes, count: int, where: str) -> None:
    # The memo is an array as long as the greatest index. Whoever pickles counts up from 0.
    try:
        index = int(argument) if opcode.lines else int.from_bytes(argument, "little")
    except ValueError:
        index = -1
    if not 0 <= index <= count:
        raise DataError(f"{where}: refused: the pickle asks for memo {index} after {count} operations")


class _Unpickler(pickle.Unpickler):
    where = ""
    names: Mapping[tuple[str, str], _Named]

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.names[_RENAMED.get(module, module), name]
        except KeyError:
            raise DataError(
                f"{self.where}: refused: the pickle asks for {module[:80]}.{name[:80]};"
                " only numpy arrays and plain data are read"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise DataError(f"{self.where}: refused: the pickle refers to something outside of it")


class _Budget:
    """Bytes that calls may still make. A file without tricks needs at most twice its own: text → bytes → array."""

    def __init__(self, size: int, where: str) -> None:
        self._left, self._where = _LEAST_BUDGET + _BYTES_PER_BYTE * size, where

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise DataError(f"{self._where}: refused: the pickle makes far more data than it has")


class _Dtype:
    """A dtype while it is being read: its kind and size, and the byte order that BUILD brings."""

    def __init__(self, text: Any, align: Any = False, copy: Any = True) -> None:
        found = _DTYPE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"the dtype {str(text)[:40]!r} is not one of numbers or texts")
        self._dtype: np.dtype[Any] = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise ValueError("a dtype with fields")
        self._dtype = self._dtype.newbyteorder(order)

    def resolved(self) -> np.dtype[Any]:
        return self._dtype


class _Array(np.ndarray[Any, Any]):
    """An array while it is being read; empty before BUILD."""

    budget: _Budget

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2
        if not (isinstance(dtype, _Dtype) and isinstance(raw, bytes) and isinstance(shape, tuple)):
            raise ValueError("an array of objects, or without its bytes")
        self.budget.spend(len(raw))
        super().__setstate__((1, shape, dtype.resolved(), bool(fortran), raw))  # type: ignore[arg-type]


class _Named:
    """What a pickle may name: to be called, if ``function`` says how, and never to be changed (BUILD)."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise ValueError("a class is called that need not be")
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a change of what it has named")


def _reconstruct(budget: _Budget, kind: Any, shape: Any, dtype: Any) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("an array of an unknown kind")
    array = np.ndarray.__new__(_Array, (0,), np.uint8)  # numpy says so too; the real shape comes with BUILD
    array.budget = budget
    return array


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if not (isinstance(raw, (bytes, bytearray)) and isinstance(dtype, _Dtype) and order in ("C", "F")):
        raise ValueError("an array without its bytes")
    return np.frombuffer(raw, dtype.resolved()).reshape(shape, order=order)


def _scalar(budget: _Budget, dtype: Any, raw: Any = None) -> Any:
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    if not (isinstance(dtype, _Dtype) and isinstance(raw, bytes) and len(raw) == dtype.resolved().itemsize):
        raise ValueError("a number without its bytes")
    budget.spend(len(raw))
    return np.frombuffer(raw, dtype.resolved())[0]


def _encode(budget: _Budget, text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes in protocols 0 to 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in an unknown encoding")
    budget.spend(len(text))
    return text.encode("latin1")


def _set(budget: _Budget, items: Any = ()) -> set[Any]:
    budget.spend(8 * len(items))
    return set(items)


_NDARRAY = _Named()
_RENAMED = {
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "__builtin__": "builtins",
}
"""Names of numpy 2 and of Python 2 → the one in ``_names``."""


def _names(budget: _Budget) -> Mapping[tuple[str, str], _Named]:
    """What a pickle may name."""
    return {
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "dtype"): _Named(_Dtype),
        ("numpy.core.multiarray", "_reconstruct"): _Named(partial(_reconstruct, budget)),
        ("numpy.core.multiarray", "scalar"): _Named(partial(_scalar, budget)),
        ("numpy.core.numeric", "_frombuffer"): _Named(_frombuffer),
        ("_codecs", "encode"): _Named(partial(_encode, budget)),
        ("builtins", "bytes"): _Named(lambda: b""),  # empty ones, in protocols 0 to 2
        ("builtins", "set"): _Named(partial(_set, budget)),
        ("builtins", "frozenset"): _Named(lambda items=(): frozenset(_set(budget, items))),
    }
