"""Rows of numbers: the quick parser gives what the careful one gives, to the last bit, or leaves it to that one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqtrack.data.formats.rows import _careful_rows, _clean_rows, parse_rows
from seqtrack.errors import DataError

DECIMAL = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?|-?\.[0-9]{1,17}", fullmatch=True)
FLOAT = st.floats(allow_infinity=False).map(repr)
DELIMITER = st.sampled_from([",", "\t", " ", ";", ", ", " ,\t"])


@settings(max_examples=300)
@given(st.lists(st.tuples(DECIMAL, DECIMAL, FLOAT | DECIMAL, DECIMAL), min_size=1, max_size=5), DELIMITER)
def test_numbers_are_what_float_says(rows: list[tuple[str, ...]], delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in rows)
    expected = np.array([[float(word) for word in row] for row in rows])
    read = parse_rows(text.encode(), "x", (4,))
    # As bytes, so that -0 is not 0; nan is nan whatever its payload.
    assert np.where(np.isnan(read), 0, read).tobytes() == np.where(np.isnan(expected), 0, expected).tobytes()
    assert (np.isnan(read) == np.isnan(expected)).all()


@settings(max_examples=500)
@given(st.text("0123456789.-+eE,; \t\n\rnaN_\ufeffx", max_size=40))
@example("1-2 3 4 -")
@example("1 2\n3 4 5\n6")
@example("\n1 2")
@example("1,2\n\n")
@example("1 2\r3 4")
@example("1_0 2")
@example("- 2")
@example(". 2")
@example("- 2..")
@example("1.5 25\n.125 3..")
@example("0.5 1.25 3.5\n12.5 -0.125 7.0")
@example("1e999 2")
def test_what_the_quick_parser_takes_the_careful_one_takes_too(text: str) -> None:
    quick = _clean_rows(text.encode(), (2, 3))
    if quick is not None:
        np.testing.assert_array_equal(quick, _careful_rows(text.encode(), "x", (2, 3)))


@pytest.mark.parametrize(
    "text",
    ["1,2,3,4\n5,6,7,8\n", "1.5\t-2\t3\t4\r\n5\t6\t7\t8", "1 2 3 4", "nan,nan,nan,nan\n1,2,3,4\n", "1e2,2,3,4\n"],
)
def test_files_as_benchmarks_have_them_are_read_quickly(text: str) -> None:
    assert _clean_rows(text.encode(), (4,)) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x: no rows; expected 2 numbers in each"),
        ("1 2\n3\n4 5 6\n", "x, row 2: 1 numbers where 2 are expected; mend that row"),
        ("1 2\n\n3 4\n", "x, row 2: 0 numbers where 2 are expected; mend that row"),
        ("1 2\n3 1e400\n", "x, row 2: an infinite number; mend that row"),
        ("1 2\n3 4x\n", "x, row 2: '3 4x' is not 2 numbers; mend that row"),
        ("1 2\n3 1-2\n", "x, row 2: '3 1-2' is not 2 numbers; mend that row"),
    ],
)
def test_mistakes_name_the_row(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_rows(text.encode(), "x", (2,))
    assert str(caught.value) == message
