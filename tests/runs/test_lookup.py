"""RUN on a command line: an id prefix, a name, or latest."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.runs import events, lookup
from seqtrack.runs.paths import RunFolder, SweepFolder


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


def test_a_sweep_is_no_run_but_leads_to_its_own(cache: Path) -> None:
    sweep = cache / "sweeps" / "lr"
    events.append(sweep / "submissions.jsonl", {"runs": [{"run_id": run_id} for run_id in ("abc123", "ffe000")]})
    events.append(sweep / "submissions.jsonl", {"runs": "an editor's"})
    with pytest.raises(UserError) as error:
        lookup.find(cache, "lr")
    assert str(error.value) == (
        f"RUN: lr is a sweep; give one of its runs, abc123, ffe000; its table is {sweep / 'sweep.csv'}"
    )


def test_a_sweep_is_found_by_its_name_or_folder_where_one_may_be_meant(cache: Path) -> None:
    folder = cache / "sweeps" / "baseline"
    events.append(folder / "submissions.jsonl", {"runs": []})
    assert lookup.run_or_sweep(cache, "abc") == RunFolder(cache / "abc123")
    assert lookup.run_or_sweep(cache, str(folder)) == SweepFolder(folder)
    with pytest.raises(UserError) as error:
        lookup.run_or_sweep(cache, "baseline")
    assert str(error.value) == (
        f"RUN: baseline is a sweep, and the name of run abd456; give {folder}, or the run's id"
    )
    folder.rename(folder.with_name("ab"))  # digits of an id are no name
    assert lookup.run_or_sweep(cache, "ab") == SweepFolder(folder.with_name("ab"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab", "'ab' may mean abc123, abd456; give more digits of the id"),
        ("baselin", "no run 'baselin' in .*; did you mean baseline?"),
        # Each once, by name where it has one: those first, and the newest first.
        ("zzz", "no run 'zzz' in .*; expected one of baseline, abc123, ffe000$"),
    ],
)
def test_what_is_not_one_run_is_a_mistake(cache: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        lookup.find(cache, text)


def test_an_empty_cache_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run in"):
        lookup.find(tmp_path, "latest")


def test_names_the_newest_first_and_runs_that_share_one(cache: Path) -> None:
    for run_id, name in (("abd456", "better"), ("ffe000", "baseline"), ("abd456", "baseline"), ("abd456", "better")):
        events.append(cache / run_id / "submissions.jsonl", {"time": 20, "execution": {"name": name}})
    first = lookup.find(cache, "abd456")
    assert lookup.names(first) == ["better", "baseline"]
    assert lookup.namesakes(first, "baseline") == ["ffe000"]
    with pytest.raises(UserError, match=r"'baseline' may mean ffe000, abd456; give the id$"):
        lookup.find(cache, "baseline")
