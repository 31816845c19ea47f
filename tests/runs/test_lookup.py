"""RUN on a command line: an id prefix, a name, or latest."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.runs import events, lookup


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for number, (run_id, name) in enumerate([("abc123", None), ("abd456", "baseline"), ("ffe000", None)]):
        folder = tmp_path / run_id
        folder.mkdir()
        (folder / "train.yaml").write_text("")
        events.append(folder / "submissions.jsonl", {"time": 10 - number, "execution": {"name": name}})
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"), [("abc", "abc123"), ("f", "ffe000"), ("baseline", "abd456"), ("latest", "abc123")]
)
def test_a_run_is_found(cache: Path, text: str, found: str) -> None:
    assert lookup.find(cache, text).run_id == found


@pytest.mark.parametrize(
    ("text", "message"),
    [("ab", "'ab' may mean abd456, abc123"), ("baselin", "no run 'baselin' in .*; did you mean baseline?")],
)
def test_what_is_not_one_run_is_a_mistake(cache: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        lookup.find(cache, text)


def test_an_empty_cache_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run in"):
        lookup.find(tmp_path, "latest")
