"""Pickles from outside are data: what they hold is read as pickle reads it, and what they ask for is never done."""

from __future__ import annotations

import os
import pickle
import pickletools
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.formats.restricted_pickle import loads
from seqtrack.errors import DataError

WHERE = "set_clean.pkl"


def plain(value: Any) -> Any:
    """Arrays as (dtype, shape, values), for comparing."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


CONTENT = {
    "categories": [{"id": 1, "name": "bär"}],
    "seqs": [
        {
            "frame_id": list(range(300)),
            "bboxes": [np.arange(12, dtype=np.float32).reshape(2, 6), np.zeros((0, 6)), np.ones(3, ">i2")],
            "frames": ["a", "b" * 300],
            "category": np.int64(7),
            "numbers": (1, -2, 3.5, 10**30, True, None, b"\xff\0", {1, 2}),
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        }
    ],
}


class TestPlainData:
    @pytest.mark.parametrize("protocol", range(6))
    def test_every_protocol_gives_what_pickle_gives(self, protocol: int) -> None:
        data = pickle.dumps(CONTENT, protocol)
        assert plain(loads(data, WHERE)) == plain(pickle.loads(data))

    def test_arrays_of_numpy_before_version_2(self) -> None:
        old = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        assert b"numpy.core.multiarray" in old
        assert np.asarray(loads(old, WHERE)).tolist() == [0.0, 1.0, 2.0]

    def test_what_python_2_wrote(self) -> None:
        """Array bytes and names are byte strings there (STRING, BINSTRING), read as Latin-1."""
        raw = np.array([1.5, -2.0]).tobytes()
        data = (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02(K\x01K\x02"
            b"\x85cnumpy\ndtype\nq\x03U\x02f8K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            b"\x89U" + bytes([len(raw)]) + raw + b"tb."
        )
        assert np.asarray(loads(data, WHERE)).tolist() == [1.5, -2.0]

    @settings(deadline=None, max_examples=60)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
            lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
            max_leaves=30,
        ),
        st.integers(0, 5),
    )
    def test_any_plain_data(self, value: Any, protocol: int) -> None:
        assert loads(pickle.dumps(value, protocol), WHERE) == value


class Calls:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class TestHostile:
    @pytest.mark.parametrize("protocol", range(6))
    def test_a_command_is_refused_by_name_and_not_run(self, tmp_path: Path, protocol: int) -> None:
        proof = tmp_path / "executed"
        data = pickle.dumps({"seqs": [Calls(os.system, f"touch {proof}")]}, protocol)
        with pytest.raises(DataError, match=rf"^{WHERE}: refused: the pickle asks for posix.system; only"):
            loads(data, WHERE)
        assert not proof.exists()
        pickle.loads(data)
        assert proof.exists(), "the pickle is not the attack that it should be"

    @pytest.mark.parametrize(
        ("function", "arguments", "named"),
        [
            (eval, ("1",), "__builtin__.eval|builtins.eval"),
            (exec, ("1",), "exec"),
            (getattr, ("a", "upper"), "getattr"),
            (__import__, ("os",), "__import__"),
            (open, ("/etc/passwd",), r"(_io|io)\.open"),
            (np.load, ("x.npy",), "load"),
            (np.frombuffer, (b"",), "frombuffer"),
            (bytearray, (10,), "bytearray"),
            (pickle.loads, (b"N.",), "loads"),
        ],
    )
    def test_any_other_callable_is_refused(self, function: Any, arguments: tuple[Any, ...], named: str) -> None:
        for protocol in (2, 4):
            with pytest.raises(DataError, match=rf"refused: the pickle asks for .*({named})"):
                loads(pickle.dumps(Calls(function, *arguments), protocol), WHERE)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"(S'touch x'\nios\nsystem\n.", "asks for os.system"),
            (b"cos\nsystem\n(S'touch x'\ntR.", "asks for os.system"),
            (b"(cos\nsystem\nS'touch x'\no.", "uses OBJ"),
            (b"\x80\x02cos\nsystem\n)\x81.", "uses NEWOBJ"),
            (b"Pid\n.", "uses PERSID"),
            (b"\x80\x02\x82\x01.", "uses EXT1"),
            (b"\x80\x05\x97.", "uses NEXT_BUFFER"),
            # A name behind an attribute of what is allowed.
            (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", "asks for numpy.ndarray.__init__"),
        ],
    )
    def test_every_way_of_asking(self, data: bytes, words: str) -> None:
        pickletools.dis(data, out=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        with pytest.raises(DataError, match=f"refused: the pickle {words}"):
            loads(data, WHERE)

    @pytest.mark.parametrize(
        "data",
        [
            b"cnumpy\nndarray\n(I1000000000\ntR.",  # a class that may be named is called
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I1\ntS'b'\ntR.",  # an array of another class
            b"cnumpy\ndtype\n(S'O'\nI0\nI1\ntR.",  # objects
            b"cnumpy\ndtype\n(S'99999999999S'\ntR.",
            b"cnumpy\ndtype\n(S'V9'\ntR.",
            b"cnumpy.core.multiarray\n_reconstruct\n}S'__code__'\nNsb.",  # BUILD on a function
            b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRS'abc'\ntR.",
            b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.",
            b"c_codecs\nencode\n(S'x'\ntR(dS'a'\nNsb.",
            b"I1\n0.",
            b"0.",
            b"(.",
            b"h\x07.",
        ],
    )
    def test_what_is_allowed_cannot_be_turned_to_something_else(self, data: bytes) -> None:
        with pytest.raises(DataError, match=r"set_clean.pkl: (a damaged pickle|refused)"):
            loads(data, WHERE)

    def test_an_array_whose_shape_is_not_its_bytes(self) -> None:
        data = pickle.dumps(np.zeros(4, np.uint8), 2)
        with pytest.raises(DataError, match="a damaged pickle"):
            loads(data.replace(b"K\x04\x85", b"K\x7f\x85"), WHERE)

    @pytest.mark.parametrize(
        "data",
        [
            b"Nr\xff\xff\xff\x7f.",  # a memo of 16 GiB in CPython
            b"N" + b"p2000000000\n.",
            b"B\xff\xff\xff\x7f.",  # bytes, texts, integers of 2 GiB and more that are not there
            b"\x8e" + struct.pack("<Q", 1 << 60) + b".",
            b"\x96" + struct.pack("<Q", 1 << 40) + b".",
            b"\x8d" + struct.pack("<Q", 1 << 40) + b".",
            b"\x8b\xff\xff\xff\x7f.",
            b"\x8b\xff\xff\xff\xff.",
            b"\x95" + struct.pack("<Q", 1 << 50) + b".",
        ],
    )
    def test_a_few_bytes_do_not_take_gigabytes(self, data: bytes) -> None:
        tracemalloc.start()
        with pytest.raises(DataError, match=r"cut short|asks for memo|damaged"):
            loads(data, WHERE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20

    @pytest.mark.parametrize(
        ("once", "again"),
        [
            # A text of 100 kB that is encoded, an array of it that is made, and a set of a list, 1,000 times over.
            (b"X\xa0\x86\x01\x00" + b"x" * 100_000 + b"q\x000", b"c_codecs\nencode\nh\x00\x85R"),
            (
                b"X\xa0\x86\x01\x00" + b"x" * 100_000 + b"q\x000cnumpy\ndtype\nU\x02u1K\x00K\x01\x87Rq\x010",
                b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
                b"(K\x01J\xa0\x86\x01\x00\x85h\x01\x89h\x00tb",
            ),
            (
                b"](" + b"".join(b"M" + struct.pack("<H", n) for n in range(40_000)) + b"eq\x000",
                b"c__builtin__\nset\nh\x00\x85R",
            ),
        ],
    )
    def test_what_is_named_again_and_again_does_not_grow(self, once: bytes, again: bytes) -> None:
        few, many = (b"\x80\x02" + once + b"(" + again * times + b"l." for times in (2, 1_000))
        assert len(loads(few, WHERE)) == 2
        tracemalloc.start()
        with pytest.raises(DataError, match=rf"^{WHERE}: refused: the pickle makes far more data than it has$"):
            loads(many, WHERE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 << 20

    def test_deep_nesting_and_lists_in_themselves_end(self) -> None:
        assert loads(b"]" * 100_000 + b"a" * 99_999 + b".", WHERE) is not None
        itself = loads(b"]q\x00h\x00a.", WHERE)
        assert itself[0] is itself

    def test_cut_short_anywhere(self) -> None:
        for protocol in range(6):
            data = pickle.dumps(CONTENT, protocol)
            for length in random.Random(protocol).sample(range(len(data)), 40):
                with pytest.raises(DataError, match=rf"{WHERE}: .*(cut short, at {length} bytes|damaged)"):
                    loads(data[:length], WHERE)

    @settings(deadline=None, max_examples=300)
    @given(
        st.binary(max_size=200) | st.lists(st.sampled_from([*map(bytes, zip(range(256)))]), max_size=60).map(b"".join)
    )
    def test_any_bytes_are_data_or_a_data_error(self, data: bytes) -> None:
        try:
            loads(data + b".", WHERE)
        except DataError as error:
            assert "\n" not in str(error)

    @settings(deadline=None, max_examples=300)
    @given(
        st.integers(0, 5), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5)
    )
    def test_any_damage_is_data_or_a_data_error(self, protocol: int, changes: list[tuple[int, int]]) -> None:
        data = bytearray(pickle.dumps(CONTENT, protocol))
        for at, value in changes:
            data[at % len(data)] = value
        try:
            loads(bytes(data), WHERE)
        except DataError as error:
            assert "\n" not in str(error)
