"""Tracks as toolkits read them: names, delimiters, coordinates, all digits; read again they are the same."""

from __future__ import annotations

import errno
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import read_results
from seqtrack.assessment.exchange.writing import FORMATS, Export, export, publish
from seqtrack.assessment.results import SequenceResult
from seqtrack.assessment.scores import Labels
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import UserError
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED

LASOT, OTB, VOT, GOT10K = (parse_dataset_name(name) for name in ("lasot_test", "otb_100", "vot2018", "got10k_val"))
BOXES = np.array([[1, 2, 30, 40], [2.5, 1 / 3, 30, 40.25], [3, 2.125, 30.1, 41]])


def run(
    name: str, number: int = 0, boxes: np.ndarray = BOXES, codes: tuple[int, ...] = (START, 0, 0)
) -> SequenceResult:
    frames, scores = np.arange(len(boxes)), np.array([np.nan, *np.linspace(0.5, 1, len(boxes) - 1)])
    return SequenceResult(name, number, frames, boxes, scores, np.array(codes, np.uint8), 0.75)


def names(format: str, dataset: str, *sequences: str) -> list[str]:
    found = export(format, parse_dataset_name(dataset), "full", [run(name) for name in sequences], "net", 3)
    return [found.folder, *found.files]


@pytest.mark.parametrize(
    ("format", "dataset", "sequences", "expected"),
    [
        ("otb", "otb_100", ["Jogging-1", "Human4-2"], ["otb_100/net_seed3", "Jogging-1.txt", "Human4-2.txt"]),
        ("got10k", "otb_100", ["Jogging-1", "Human4-2"], ["OTB2015/net_seed3", "Jogging.1.txt", "Human4.txt"]),
        ("got10k", "uav20l", ["bird1"], ["UAV20L/net_seed3", "bird1.txt"]),
        ("got10k", "got10k_test", ["G_1"], ["GOT-10k/net_seed3", "G_1/G_1_001.txt", "G_1/G_1_time.txt"]),
        ("pytracking", "uav123", ["bike1"], ["net/default_003", "uav_bike1.txt", "uav_bike1_time.txt"]),
        ("pytracking", "otb_50", ["Jogging-1"], ["net/default_003", "Jogging_1.txt", "Jogging_1_time.txt"]),
        ("pytracking", "lasot_test", ["cat-1"], ["net/default_003", "cat-1.txt", "cat-1_time.txt"]),
        ("lasot", "lasot_test", ["cat-1"], ["lasot_test/net_seed3", "cat-1.txt"]),
        ("trackingnet", "trackingnet_test", ["TEST/a-Z_0"], ["trackingnet_test/net_seed3", "a-Z_0.txt"]),
    ],
)  # fmt: skip
def test_files_are_called_as_the_toolkit_calls_them(
    format: str, dataset: str, sequences: list[str], expected: list[str]
) -> None:
    assert names(format, dataset, *sequences) == expected


def test_coordinates_are_the_publishers_with_all_digits() -> None:
    files = {name: export("otb", name, "full", [run("a")], "net", 0).files["a.txt"] for name in (OTB, LASOT)}
    assert files[OTB] == "2.0,3.0,30.0,40.0\n3.5,1.3333333333333333,30.0,40.25\n4.0,3.125,30.1,41.0\n"
    assert files[LASOT].splitlines()[1] == "2.5,0.3333333333333333,30.0,40.25"
    assert export("pytracking", LASOT, "full", [run("a")], "net", 0).files == {
        "a.txt": "1.0\t2.0\t30.0\t40.0\n2.5\t0.3333333333333333\t30.0\t40.25\n3.0\t2.125\t30.1\t41.0\n",
        "a_time.txt": "0.25\n" * 3,
    }


def test_repetitions_have_a_file_each_where_there_is_a_place_for_them() -> None:
    files = export("got10k", GOT10K, "full", [run("a"), run("a", 1, BOXES + 1)], "net", 0).files
    assert list(files) == ["a/a_001.txt", "a/a_002.txt", "a/a_time.txt"]
    assert files["a/a_time.txt"] == "0.25,0.25\n" * 3
    with pytest.raises(
        UserError, match=r"^--format otb: it has one file per sequence, but a was tracked 2 times; give"
    ):
        export("otb", OTB, "full", [run("a"), run("a", 1)], "net", 0)


def test_vot_says_what_became_of_each_frame() -> None:
    nothing = [np.nan] * 4
    boxes = np.array([[1, 2, 3, 4], [1, 2, 3, 4], [9, 9, 3, 4], nothing, nothing, nothing, nothing, [1, 2, 3, 4]])
    codes = (START, TRACKED, FAILED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, START)
    found = export("vot", VOT, "supervised", [run("bag", 0, boxes, codes)], "net", 1)
    assert found.folder == "vot2018/net_seed1"
    assert list(found.files) == ["baseline/bag/bag_001.txt", "baseline/bag/bag_001_time.value"]
    assert found.files["baseline/bag/bag_001.txt"].split() == ["1", "1.0,2.0,3.0,4.0", "2", "0", "0", "0", "0", "1"]
    lost = np.array([[1, 2, 3, 4], nothing, [1, 2, 3, 4]])
    files = export("vot", VOT, "longterm", [run("bag", 0, lost)], "net", 1).files
    assert files["longterm/bag/bag_001.txt"] == "1\n0\n1.0,2.0,3.0,4.0\n"
    assert files["longterm/bag/bag_001_confidence.value"] == "\n0.5\n1.0\n"


@pytest.mark.parametrize(
    ("format", "sampler", "message"),
    [
        ("otb", "supervised", "--format otb: supervised results are VOT's; give --format vot"),
        ("otb", "sampling", "vot2018-sampling: toolkits want whole sequences; assess with --eval_samplers full"),
    ],
)
def test_results_that_the_format_has_no_place_for(format: str, sampler: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        export(format, VOT, sampler, [run("bag")], "net", 0)
    assert str(caught.value) == message


def test_frames_without_a_box_and_names_that_clash_are_refused() -> None:
    with pytest.raises(UserError, match=r"^--format lasot: a has no box in frame 1, which its toolkit cannot read"):
        export("lasot", LASOT, "full", [run("a", 0, np.where(np.eye(3, 4, -1) > 0, np.nan, BOXES))], "net", 0)
    with pytest.raises(UserError, match=r"^sequences x/a and y/a would have one file, a.txt"):
        export("lasot", LASOT, "full", [run("x/a"), run("y/a")], "net", 0)
    with pytest.raises(UserError, match=r"cannot be the name of a file"):
        export("lasot", LASOT, "full", [run("x/..")], "net", 0)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("format", "dataset"), [(f, n) for f in FORMATS for n in (OTB, LASOT, GOT10K, VOT)])
def test_what_is_written_is_read_as_it_was(tmp_path: Path, format: str, dataset: object, zipped: bool) -> None:
    assert isinstance(dataset, type(OTB))
    any_of_it = parse_dataset_name("lasot:any")
    found = export(format, dataset, "full", [run("Jogging-1"), run("cat-2")], "net", 0)
    path, was_there = publish(tmp_path, found, zipped=zipped, overwrite=False)
    assert not was_there and not list(tmp_path.rglob(".tmp*"))
    (files,) = find_trackers(path)
    labels = [Labels(name, BOXES, np.ones(3, bool)) for name in ("Jogging-1", "cat-2")]
    read = read_results(files, labels, any_of_it)
    shift = np.array([1, 1, 0, 0]) if dataset == OTB else 0
    for (one,) in read.runs:
        rows = slice(1, None) if format == "vot" else slice(None)
        assert np.array_equal(one.boxes[rows], (BOXES + shift)[rows])


def test_other_results_are_not_replaced_unless_asked(tmp_path: Path) -> None:
    first = export("otb", LASOT, "full", [run("a")], "net", 0)
    other = export("otb", LASOT, "full", [run("a", 0, BOXES + 1)], "net", 0)
    path, _ = publish(tmp_path, first, zipped=False, overwrite=False)
    stamp = (path / "a.txt").stat().st_mtime_ns
    assert publish(tmp_path, first, zipped=False, overwrite=False) == (path, True)
    assert (path / "a.txt").stat().st_mtime_ns == stamp
    with pytest.raises(
        UserError, match=r"^--out: .*net_seed0 is there with other results; replace it with --overwrite"
    ):
        publish(tmp_path, other, zipped=False, overwrite=False)
    publish(tmp_path, other, zipped=False, overwrite=True)
    assert (path / "a.txt").read_text() == other.files["a.txt"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["net_seed0"]


def test_what_was_there_stays_where_the_new_files_cannot_be_written(tmp_path: Path) -> None:
    first = export("otb", LASOT, "full", [run("a")], "net", 0)
    path, _ = publish(tmp_path, first, zipped=False, overwrite=False)
    with pytest.raises(OSError, match="File name too long"):
        publish(tmp_path, Export(first.folder, {"b" * 300: ""}), zipped=False, overwrite=True)
    assert (path / "a.txt").read_text() == first.files["a.txt"]
    assert [p.name for p in path.parent.iterdir()] == ["net_seed0"]


def test_a_zip_for_a_server_has_the_files_at_its_top_and_equal_bytes(tmp_path: Path) -> None:
    found = export("trackingnet", parse_dataset_name("trackingnet_test"), "full", [run("b"), run("a")], "net", 0)
    path, _ = publish(tmp_path, found, zipped=True, overwrite=False)
    assert path == tmp_path / "trackingnet_test/net_seed0.zip"
    with zipfile.ZipFile(path) as packed:
        assert packed.namelist() == ["a.txt", "b.txt"]
    assert path.read_bytes() == found.zipped()
    assert publish(tmp_path, found, zipped=True, overwrite=False) == (path, True)


def test_results_that_are_being_replaced_survive_a_kill_and_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Export("otb_50/net_seed0", {"a.txt": "1"}), Export("otb_50/net_seed0", {"a.txt": "2", "b.txt": "3"})
    path, _ = publish(tmp_path, old, zipped=False, overwrite=False)
    aside = path.with_name(".replaced-net_seed0")

    rename = os.rename

    def fails(source: Path, target: Path) -> None:
        if (target, source) != (path, aside) and target == path:
            assert aside.is_dir() and not path.exists(), "only now is the old one out of the way"
            raise OSError(errno.EIO, "bad disk")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="bad disk"):
        publish(tmp_path, new, zipped=False, overwrite=True)
    monkeypatch.setattr(os, "rename", rename)
    assert publish(tmp_path, old, zipped=False, overwrite=False) == (path, True)

    path.rename(aside)  # killed before the new ones had their place
    assert publish(tmp_path, old, zipped=False, overwrite=False) == (path, True)
    shutil.copytree(path, aside)  # killed before the old ones were gone
    assert publish(tmp_path, new, zipped=False, overwrite=True) == (path, False)
    assert [file.name for file in sorted(path.parent.rglob("*"))] == ["net_seed0", "a.txt", "b.txt"]
