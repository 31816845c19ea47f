"""``seqtrack datasets``: what there is, what is here, and nothing read that need not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqtrack.data.catalogue import Entry
from seqtrack.data.formats import DatasetName
from seqtrack.data.formats.published import PUBLISHED, Published
from seqtrack.data.locations import Source
from seqtrack.tools import datasets, index
from seqtrack.tools.cli import run
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


NAMES = [
    "otb", "otb_50", "otb_100", "otb_cvpr13", "tc128", "tc128_ce", "vot2013", "vot2014", "vot2015", "vot2016",
    "vot2017", "vot2018", "vot2018_longterm", "vot2019", "got10k_train", "got10k_val", "got10k_test",
    "lasot_train", "lasot_test", "lasot_ext", "trackingnet_train", "trackingnet_test", "uav123", "uav20l",
    "dtb70", "nfs_30", "nfs_240", "nuspro", "alov", "tlp", "ilsvrc_train", "ilsvrc_val", "det_train",
    "ytbb_train", "ytbb_val", "coco_train", "coco_val", "davis", "ytbvos", "coco_clean", "got10k_train_clean",
    "lasot_train_clean", "trackingnet_clean",
]  # fmt: skip
"""Of the ancestor's data sets, those since, and PySiamTracking's: what commands and papers spell."""


def test_every_published_name_is_listed_with_what_is_here(
    capsys: pytest.CaptureFixture[str], places: list[str], tmp_path: Path
) -> None:
    assert index.main(["build", "otb:mine", *places]) == 0
    found = listed(capsys, *places)
    assert list(found)[: len(NAMES)] == NAMES
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


def test_what_is_here_comes_first_and_then_where_to_get_the_others(
    capsys: pytest.CaptureFixture[str], places: list[str]
) -> None:
    index.main(["build", "otb:mine", *places])
    capsys.readouterr()
    assert datasets.main(places) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "here      videos  tracks  boxes  versions",
        "otb:mine       2       2      8  original (dir)",
        "?:other        –       –      –  resize_fit_64x64 (tar)",
        "otb_50         –       –      –  original (dir), resize_fit_64x64 (tar)",
        "–: not counted yet; seqtrack index build NAME does it",
        "?: in a layout that you know; say LAYOUT:FOLDER once, as to seqtrack index build",
        "",
    ]
    assert lines[7].split(maxsplit=2) == ["not", "here", "where to get it"]
    missing = dict(line.split() for line in lines[8:])
    assert missing == {name: known.home for name, known in PUBLISHED.items() if name != "otb_50"}
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)


def test_versions_are_folded_on_a_terminal_only(places: list[str], tmp_path: Path) -> None:
    found = tuple(Source(DatasetName("otb", "mine"), f"crop_{side}", tmp_path, "tar") for side in range(100, 120))
    entries = [Entry("otb:mine", Published("otb"), found, None)]
    folded = list(datasets._table(entries, 80))
    assert len(folded) > 5
    assert max(map(len, folded)) <= 80
    assert "".join(folded).count("(tar)") == len(found)
    assert len(list(datasets._table(entries, None))) == 3


@pytest.mark.parametrize("flag", ["data_dir", "tar_dir"])
def test_a_place_that_is_no_folder_is_a_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str
) -> None:
    (tmp_path / "file").touch()
    for name, what in (("nowhere", "not there"), ("file", "not a folder")):
        for words in ([], ["otb_50"]):
            assert run(datasets.main, [*words, f"--{flag}={tmp_path / name}"]) == 2
            assert capsys.readouterr().err == f"error: --{flag}: {tmp_path / name} is {what}\n"


def test_a_folder_of_data_sets_is_not_taken_for_one_of_versions(
    capsys: pytest.CaptureFixture[str], places: list[str], tmp_path: Path
) -> None:
    words = [f"--data_dir={tmp_path}/data/original", f"--tar_dir={tmp_path}/tars/resize_fit_64x64"]
    assert run(datasets.main, words) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"--data_dir: {tmp_path}/data/original: expected folders of versions in it (original/, …), each with"
        " data sets; found mine, otb_50, so nothing is listed from here",
        f"--tar_dir: {tmp_path}/tars/resize_fit_64x64: expected folders of versions in it (original/, …), each with"
        " data sets; found otb_50.tar, other.tar, so nothing is listed from here",
    ]
    assert said.out.startswith("here      nothing")
    assert "?:" not in said.out


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
    assert "get it" not in out
    assert "licence" not in out


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("coco_val", "annotations CC BY 4.0; the pictures are their owners', from Flickr"),
        ("ilsvrc_train", "non-commercial research and education, after registration"),
        ("otb_100", "none stated that we know of; ask its publisher"),
    ],
)
def test_one_in_detail_says_what_its_publisher_allows(
    capsys: pytest.CaptureFixture[str], name: str, licence: str
) -> None:
    assert datasets.main([name]) == 0
    assert f"\n  licence    {licence}\n" in capsys.readouterr().out
    assert listed(capsys, name)[name]["licence"] == ("" if licence.startswith("none") else licence)


def test_layouts_of_ones_own_are_listed(capsys: pytest.CaptureFixture[str], site: Path) -> None:  # noqa: F811
    install(site, "my-benchmark", "corners = my_benchmark_layout")
    assert listed(capsys)["corners:FOLDER"]["home"] == "installed with my-benchmark 1.2"


def test_an_unknown_name_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(datasets.main, ["otb_500"]) == 2
    assert "did you mean otb_50?" in capsys.readouterr().err
