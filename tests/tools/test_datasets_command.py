"""``seqtrack datasets``: what there is, what is here, and nothing read that need not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqtrack.data.formats.published import PUBLISHED
from seqtrack.tools import datasets, index
from tests.data.formats.test_plugins import install, site  # noqa: F401 (a fixture)
from tests.data.otb_layout import small_data_set


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """``otb_50`` in two versions, one of them with an index; a folder and a tar of a person's own."""
    small_data_set(tmp_path / "data/original/otb_50")
    small_data_set(tmp_path / "data/original/mine", sequences=2)
    (tmp_path / "tars/resize_fit_64x64").mkdir(parents=True)
    (tmp_path / "tars/resize_fit_64x64/otb_50.tar").write_bytes(b"not opened")
    (tmp_path / "tars/resize_fit_64x64/other.tar").write_bytes(b"not opened")
    flags = [f"--data_dir={tmp_path / 'data'}", f"--tar_dir={tmp_path / 'tars'}"]
    return [*flags, f"--data_cache_dir={tmp_path / 'indexes'}"]


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert datasets.main([*words, "--json"]) == 0
    return {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}


def test_every_published_name_is_listed_with_what_is_here(
    capsys: pytest.CaptureFixture[str], places: list[str], tmp_path: Path
) -> None:
    assert index.main(["build", "otb:mine", *places]) == 0
    found = listed(capsys, *places)
    assert list(found)[: len(PUBLISHED)] == list(PUBLISHED)
    assert found["otb_50"]["found"] == [
        {"preproc": "original", "kind": "dir", "path": str(tmp_path / "data/original/otb_50")},
        {"preproc": "resize_fit_64x64", "kind": "tar", "path": str(tmp_path / "tars/resize_fit_64x64/otb_50.tar")},
    ]
    # Nothing is built to be listed.
    assert (found["otb_50"]["videos"], found["otb_50"]["boxes"]) == (None, None)
    counts = ("videos", "tracks", "frames", "boxes", "absent")
    assert [found["otb:mine"][count] for count in counts] == [2, 2, 8, 8, 0]
    # A folder that nobody has read yet may be of any layout.
    assert found["?:other"]["found"][0]["preproc"] == "resize_fit_64x64"  # type: ignore[index]
    assert found["vot2018"]["found"] == []


def test_the_table_has_a_line_per_data_set(capsys: pytest.CaptureFixture[str], places: list[str]) -> None:
    index.main(["build", "otb:mine", *places])
    capsys.readouterr()
    assert datasets.main(places) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:6] == ["name", "layout", "here", "videos", "tracks", "boxes"]
    (mine,) = [line for line in lines if line.startswith("otb:mine")]
    assert mine.split()[:7] == ["otb:mine", "otb", "original", "(dir)", "2", "2", "8"]
    (missing,) = [line for line in lines if line.startswith("vot2013")]
    assert missing.split()[2:6] == ["–"] * 4


def test_one_in_detail_says_where_it_was_looked_for(
    capsys: pytest.CaptureFixture[str], places: list[str], tmp_path: Path
) -> None:
    assert datasets.main(["vot2018", *places]) == 0
    out = capsys.readouterr().out
    assert "expected   <seq>/groundtruth.txt with frames beside it" in out
    assert f"not here   original: data set vot2018: not found; looked for {tmp_path}/data/original/vot2018/" in out
    assert f"index      none in {tmp_path}/indexes; seqtrack index build vot2018 makes it" in out
    index.main(["build", "otb:mine", *places])
    capsys.readouterr()
    assert datasets.main(["otb:mine", *places]) == 0
    out = capsys.readouterr().out
    assert f"here       original: {tmp_path}/data/original/mine (dir)" in out
    assert "2 videos, 2 tracks, 8 frames, 8 boxes, 0 absent" in out


def test_layouts_of_ones_own_are_listed(capsys: pytest.CaptureFixture[str], site: Path) -> None:  # noqa: F811
    install(site, "my-benchmark", "corners = my_benchmark_layout")
    assert listed(capsys)["corners:FOLDER"]["home"] == "installed with my-benchmark 1.2"


def test_an_unknown_name_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    from seqtrack.tools.cli import run

    assert run(datasets.main, ["otb_500"]) == 2
    assert "did you mean otb_50?" in capsys.readouterr().err
