"""Append-only logs that survive a torn write."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from seqtrack.runs import events


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    for number in range(3):
        events.append(path, {"event": "progress", "step": number})
    assert [record["step"] for record in events.read(path)] == [0, 1, 2]
    assert events.read_last(path) == {"event": "progress", "step": 2}


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert events.read(tmp_path / "none") == []
    assert events.read_last(tmp_path / "none") is None


@given(cut=st.integers(min_value=0, max_value=40))
def test_a_torn_last_line_is_dropped_and_the_next_record_survives(tmp_path_factory, cut: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    events.append(path, {"event": "one"})
    whole = path.stat().st_size
    events.append(path, {"event": "two", "text": "ü" * 20})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(max(whole, size - cut))
    expected = ["one", "two"] if cut <= 1 else ["one"]
    assert [record["event"] for record in events.read(path)] == expected
    last = events.read_last(path)
    assert last is not None
    assert last["event"] == expected[-1]
    events.append(path, {"event": "three"})
    assert [record["event"] for record in events.read(path)] == [*expected, "three"]


def test_a_last_record_that_is_longer_than_a_tail_is_read(tmp_path: Path) -> None:
    path = tmp_path / "submissions.jsonl"
    events.append(path, {"event": "one"})
    events.append(path, {"event": "two", "changed": ["a/file.py"] * events.TAIL_BYTES})
    assert (events.read_last(path) or {})["event"] == "two"
