"""Results as toolkits lay them out, from folders and archives; what is wrong with them is said in one line."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtrack.assessment.exchange.annotations import read_annotations
from seqtrack.assessment.exchange.doubts import doubts
from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import Results, read_results
from seqtrack.assessment.scores import Labels
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import DataError, UserError
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED

ANY = parse_dataset_name("dtb70")
BOXES = np.array([[1, 2, 30, 40], [2.5, 2, 30, 40.25], [3, 2.125, 30, 41]])


def labels(*names: str, frames: int = 3) -> list[Labels]:
    return [Labels(name, np.tile(BOXES[:1], (frames, 1)), np.ones(frames, bool)) for name in names]


def text(rows: np.ndarray = BOXES, delimiter: str = ",") -> str:
    return "".join(delimiter.join(f"{value:g}" for value in row) + "\n" for row in rows)


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def read(path: Path, *names: str, frames: int = 3, layout: str | None = None, **allow: bool) -> Results:
    (files,) = find_trackers(path, layout)
    return read_results(files, labels(*names, frames=frames), ANY, **allow)


@pytest.mark.parametrize("delimiter", [",", "\t", " ", ", ", "   "])
def test_one_file_per_sequence(tmp_path: Path, delimiter: str) -> None:
    put(tmp_path / "KCF", {"a.txt": text(delimiter=delimiter), "b.txt": text(), "a_time.txt": "0.1\n"})
    found = read(tmp_path / "KCF", "b", "a")
    assert (found.tracker, found.layout, found.repetitions) == ("KCF", "otb", 1)
    assert [run.boxes.tolist() for (run,) in found.runs] == [BOXES.tolist()] * 2


def test_a_fifth_column_is_a_score(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": text(np.c_[BOXES, [1, 0.5, 0.25]])})
    ((run,),) = read(tmp_path, "a").runs
    assert run.boxes.tolist() == BOXES.tolist()
    assert run.scores is not None and run.scores.tolist() == [1, 0.5, 0.25]


def test_polygons_stand_for_their_hulls(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": "1,2,31,2,31,42,1,42\n" * 3})
    ((run,),) = read(tmp_path, "a").runs
    assert run.boxes.tolist() == [[1, 2, 30, 40]] * 3
    assert run.regions is not None and run.regions.shape == (3, 8)


def test_runs_of_pytracking_are_repetitions(tmp_path: Path) -> None:
    for run in range(3):
        put(tmp_path / f"atom/default_{run:03d}", {"a.txt": text(BOXES + run, "\t"), "a_time.txt": "0.1\n" * 3})
    found = read(tmp_path / "atom", "a")
    assert (found.tracker, found.layout, found.repetitions) == ("atom", "pytracking", 3)
    assert [run.boxes[0, 0] for run in found.runs[0]] == [1, 2, 3]
    assert read(tmp_path / "atom/default_000", "a").tracker == "atom"
    put(tmp_path / "atom/default_000", {"b.txt": text()})
    with pytest.raises(DataError) as caught:
        read(tmp_path / "atom", "a", "b")
    alone = f"(b has 1 of 3 repetitions); mend it, or score one run alone ({tmp_path}/atom/default_000)"
    assert str(caught.value).endswith(f"1 result file does not fit dtb70 {alone}")


def got10k_files(tracker: str) -> dict[str, str]:
    names = ("GOT-10k_Val_000001", "GOT-10k_Val_000002")
    files = {f"{tracker}/{name}/{name}_{k:03d}.txt": text(BOXES + k) for name in names for k in (1, 2)}
    return files | {f"{tracker}/{name}/{name}_time.txt": "0.1,0.2\n" * 3 for name in names}


@pytest.mark.parametrize("named", ["results", "results/GOT-10k", "results/GOT-10k/SiamFC"])
def test_got10k_is_found_from_any_folder_above(tmp_path: Path, named: str) -> None:
    put(tmp_path / "results/GOT-10k", got10k_files("SiamFC"))
    found = read(tmp_path / named, "GOT-10k_Val_000002", "GOT-10k_Val_000001")
    assert (found.tracker, found.layout, found.repetitions) == ("SiamFC", "got10k", 2)
    assert [run.boxes[0, 0] for run in found.runs[0]] == [2, 3]


def test_a_zip_for_a_server_is_read_in_place(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "SiamFC.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__MACOSX/._0001.txt", "x")
        packed.writestr("a.txt", text())
        packed.writestr("b.txt", text())
    found = read(tmp_path / "SiamFC.zip", "a", "b")
    assert (found.tracker, found.runs[1][0].boxes.tolist()) == ("SiamFC", BOXES.tolist())


def test_members_that_would_leave_the_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        packed.writestr("../a.txt", text())
    with pytest.raises(DataError, match=r"bad.zip: member '../a.txt' would escape its folder"):
        find_trackers(tmp_path / "bad.zip")


def test_mistakes_in_a_zip_name_the_member_and_row(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as packed:
        packed.writestr("t/a.txt", "1,2,3,4\nnan,nan,nan,nan\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"t.zip: t/a.txt, row 2: nan is no box"):
        read(tmp_path / "t.zip", "a")


@pytest.mark.parametrize("named", [".", "Tracker", "Tracker/baseline"])
def test_vot_supervised_rows_are_regions_or_codes(tmp_path: Path, named: str) -> None:
    rows = "1\n1,2,30,40\n2\n0\n0\n0\n0\n1\n1,2,30,40\n"
    put(tmp_path / "Tracker/baseline/bag", {"bag_001.txt": rows, "bag_001_time.value": "", "bag_001.value": ""})
    found = read(tmp_path / named, "bag", frames=9)
    assert (found.tracker, found.layout) == ("Tracker", "vot")
    ((run,),) = found.runs
    assert run.codes is not None
    assert run.codes.tolist() == [START, TRACKED, FAILED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, START, TRACKED]
    assert np.isnan(run.boxes[:, 0]).tolist() == [True, False, True, True, True, True, True, True, False]


def test_confidences_of_vot_long_term(tmp_path: Path) -> None:
    folder = tmp_path / "T/longterm/car9"
    put(folder, {"car9_001.txt": "1\n0\n1,2,30,40\n", "car9_001_confidence.value": "\n0.25\n0.5\n"})
    found = read(tmp_path / "T", "car9")
    ((run,),) = found.runs
    assert found.layout == "vot_longterm" and run.scores is not None
    assert np.isnan(run.scores[0]) and run.scores[1:].tolist() == [0.25, 0.5]
    put(folder, {"car9_001_confidence.value": "0.5\n"})
    with pytest.raises(DataError, match=r"car9_001_confidence.value: 1 rows for 3 of car9_001.txt; mend it$"):
        read(tmp_path / "T", "car9")


def test_a_start_of_one_pass_is_the_box_that_was_given(tmp_path: Path) -> None:
    put(tmp_path, {"T/unsupervised/bag/bag_001.txt": "1\n9,9,30,40\n9,9,30,40\n"})
    ((run,),) = read(tmp_path, "bag").runs
    assert run.boxes.tolist() == [BOXES[0].tolist(), [9, 9, 30, 40], [9, 9, 30, 40]]


def test_several_trackers_and_a_layout_that_is_forced(tmp_path: Path) -> None:
    put(tmp_path, {"KCF/a.txt": text(), "DSST/a.txt": text(), **got10k_files("SiamFC")})
    assert [(one.tracker, one.layout) for one in find_trackers(tmp_path)] == [
        ("DSST", "otb"), ("KCF", "otb"), ("SiamFC", "got10k"),
    ]  # fmt: skip
    assert [one.tracker for one in find_trackers(tmp_path, "got10k")] == ["SiamFC"]
    assert [one.tracker for one in find_trackers(tmp_path, "pysot")] == ["DSST", "KCF"]
    with pytest.raises(UserError, match=r"^--layout: 'got10' is not known; did you mean got10k"):
        find_trackers(tmp_path, "got10")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2,3,4\n1,2,nan,4\n1,2,3,4\n", "row 2: nan is no box; write the tracker's last box there"),
        ("1,2,3,4\n1,2,3,x\n1,2,3,4\n", "row 2: '1,2,3,x' is not 4 or 5 or 8 numbers; mend that row"),
        ("1,2,3,4,5,6\n" * 3, "row 1: 6 numbers where 4 or 5 or 8 are expected; mend that row"),
        ("1,2,3,4,5,6,7\n" * 3, "row 1: 7 numbers where 4 or 5 or 8 are expected; mend that row"),
        ("1,2,3,4\n1,2,3,4,1\n1,2,3,4\n", "row 2: 5 numbers where 4 are expected; mend that row"),
        ("1,2,3,4\n1,2,inf,4\n1,2,3,4\n", "row 2: an infinite number; mend that row"),
        ("", "no rows; expected 4 or 5 or 8 numbers in each"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, content: str, message: str) -> None:
    put(tmp_path, {"a.txt": content})
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a")
    assert str(caught.value).startswith(f"{tmp_path}/a.txt") and message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n5\n1,2,3,4\n", "row 2: '5' is neither a region nor a code (0 unknown, 1 start, 2 failure)"),
        ("1\n1,2,3,4\n1,2,3,4,5,6,7\n", "row 3: 7 numbers where 4 are expected"),
        ("1\n1,2,nan,4\n0\n", "row 2: nan is no box"),
        ("1\n0\n0\n", "no row is a region of 4 or 8 numbers"),
    ],
)
def test_bad_rows_of_vot_are_named(tmp_path: Path, content: str, message: str) -> None:
    put(tmp_path, {"T/baseline/bag/bag_001.txt": content})
    with pytest.raises(DataError, match=r"bag_001.txt") as caught:
        read(tmp_path, "bag")
    assert message in str(caught.value)


def test_a_folder_of_zips_is_a_folder_of_trackers(tmp_path: Path) -> None:
    for name in ("net_seed0", "net_seed1"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            packed.writestr("a.txt", text())
    assert [(one.tracker, list(one.files)) for one in find_trackers(tmp_path)] == [
        ("net_seed0", ["a"]), ("net_seed1", ["a"]),
    ]  # fmt: skip
    with pytest.raises(UserError, match="expected a folder, zip or uncompressed tar of a tracker's"):
        find_trackers(put(tmp_path, {"x.tar.gz": ""}) / "x.tar.gz")


def test_the_truth_and_lists_beside_trackers_are_none(tmp_path: Path) -> None:
    files = {"readme.txt": "", "anno/a.txt": text(), "anno/b.txt": text(), "absent/a.txt": "0\n"}
    put(tmp_path, files | {f"deep/trackers/{name}/{s}.txt": text() for name in ("KCF", "MOSSE") for s in "ab"})
    assert [one.tracker for one in find_trackers(tmp_path, annotations=tmp_path / "anno")] == ["KCF", "MOSSE"]
    assert [one.tracker for one in find_trackers(tmp_path)] == ["anno", "KCF", "MOSSE"]


def test_two_files_of_one_sequence_have_to_be_the_same(tmp_path: Path) -> None:
    put(tmp_path, {"Jogging-1.txt": text(), "Jogging_1.txt": text()})
    assert len(read(tmp_path, "Jogging-1").runs) == 1
    put(tmp_path, {"Jogging_1.txt": text(BOXES + 1)})
    with pytest.raises(
        DataError, match=r": Jogging-1.txt and Jogging_1.txt are both of Jogging-1, and differ; leave"
    ):
        read(tmp_path, "Jogging-1")


@pytest.mark.parametrize(
    ("meant", "doubt"),
    [
        (lambda b: b, "the results are identical to the annotations; are these the tracker's?"),
        (lambda b: b + np.array([0.5, 0.5, 0, 0]), None),
        (lambda b: np.c_[b[:, :2], b[:, :2] + b[:, 2:]], "{first} they look like x1 y1 x2 y2; write x y w h"),
        (
            lambda b: np.c_[b[:, :2] + b[:, 2:] / 2, b[:, 2:]],
            "{first} x y look like the centre; write the left upper",
        ),
        (lambda b: b - [1, 1, 0, 0], "{first} x and y are off by -1 and -1 everywhere; count pixels from where the"),
        (lambda b: b * [1, 2, 3, 4], "{first} are they x y x y, or counted from another pixel?"),
        (lambda b: np.r_[b[:2], -b[2:]], "2 rows have a negative width or height (a, row 3), which overlaps nothing"),
    ],
)
def test_what_looks_odd_is_said(tmp_path: Path, meant: Callable[[Any], Any], doubt: str | None) -> None:
    truth = labels("a", "b")
    put(tmp_path, {"a.txt": text(meant(truth[0].boxes)), "b.txt": text(meant(truth[1].boxes))})
    (files,) = find_trackers(tmp_path)
    found = doubts(read_results(files, truth, ANY), truth)
    first = "the first boxes differ from the truth in 2 of 2 sequences:"
    assert len(found) == (doubt is not None)
    assert doubt is None or found[0].startswith(doubt.format(first=first))


def test_all_that_is_missing_is_one_message(tmp_path: Path) -> None:
    put(tmp_path, {"b.txt": text()})
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a", "b", "c")
    assert str(caught.value) == (
        f"{tmp_path}: 2 of the 3 sequences of dtb70 have no results (a, c); add them, or count them as failures with"
        " --allow_missing"
    )
    with pytest.raises(DataError, match=r": 1 of the 2 sequences of dtb70 has no results \(c\); add them"):
        read(tmp_path, "b", "c")
    with pytest.raises(DataError, match=r": none of its 1 file \(b\) has the name of a sequence of dtb70 \(c, …\)"):
        read(tmp_path, "c", "d")
    found = read(tmp_path, "a", "b", "c", allow_missing=True)
    assert found.missing == ["a", "c"] and np.isnan(found.runs[0][0].boxes).all()


def test_all_that_do_not_fit_are_one_message(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": text(BOXES[:2]), "b.txt": text(), "c.txt": text(np.r_[BOXES, BOXES])})
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a", "b", "c")
    assert str(caught.value) == (
        f"{tmp_path}: 2 result files do not fit dtb70 (a.txt has 2 rows for 3 frames; c.txt has 6 rows for 3 frames);"
        " mend them, or count rows that are missing as failures with --allow_short"
    )
    with pytest.raises(
        DataError, match=r"1 result file does not fit dtb70 \(c.txt has 6 rows for 3 frames\); mend it$"
    ):
        read(tmp_path, "a", "b", "c", allow_short=True)
    found = read(tmp_path, "a", "b", allow_short=True)
    assert found.short == ["a"] and np.isnan(found.runs[0][0].boxes).any(axis=1).tolist() == [False, False, True]


def test_repetitions_that_are_missing_are_named(tmp_path: Path) -> None:
    put(tmp_path, {"a/a_001.txt": text(), "a/a_002.txt": text(), "b/b_001.txt": text()})
    with pytest.raises(DataError, match=r"\(b has 1 of 2 repetitions\); mend it$"):
        read(tmp_path, "a", "b")


def test_results_of_another_benchmark_say_of_which(shared: Path) -> None:
    (files,) = find_trackers(shared / "results/uav123/trackers/SiamFC")
    with pytest.raises(DataError) as caught:
        read_results(files, labels("a"), ANY)
    assert str(caught.value).endswith(
        "none of its 123 files (uav_bike1, uav_bike2, uav_bike3, …) has the name of a sequence of dtb70 (a, …); they"
        " look like uav123: give --benchmark uav123"
    )


def test_rows_for_every_frame_of_the_video_are_cut_to_those_that_are_labelled(shared: Path, tmp_path: Path) -> None:
    # got10k writes 354 rows for Tiger1, of which OTB evaluates 349 from frame 6 on; David has 770 files, from 300 on.
    otb = parse_dataset_name("otb_100")
    truth = read_annotations(shared / "results/otb100/anno", otb)
    lengths = {one.name: len(one.boxes) for one in truth}
    assert (lengths["Tiger1"], lengths["David"], lengths["Diving"], lengths["Football1"]) == (349, 471, 215, 74)
    copy = tmp_path / "KCF"
    shutil.copytree(shared / "results/otb100/trackers/KCF", copy)
    (before,) = find_trackers(copy)
    expected = read_results(before, truth, otb)
    for name, ahead, behind in (("Tiger1", 5, 0), ("David", 299, 0), ("Diving", 0, 16)):
        content = (copy / f"{name}.txt").read_text().splitlines()
        (copy / f"{name}.txt").write_text("\n".join(["9,9,9,9,9"] * ahead + content + ["9,9,9,9,9"] * behind))
    (after,) = find_trackers(copy)
    found = read_results(after, truth, otb)
    assert all(np.array_equal(a.boxes, b.boxes) for (a,), (b,) in zip(expected.runs, found.runs, strict=True))


def test_real_results_are_read_whatever_their_spelling(shared: Path) -> None:
    otb = parse_dataset_name("otb_100")
    truth = read_annotations(shared / "results/otb100/anno", otb)
    found = {one.tracker: read_results(one, truth, otb) for one in find_trackers(shared / "results/otb100/trackers")}
    assert list(found) == ["KCF", "SiamFC-3s", "Staple"]
    place = [one.name for one in truth].index("Jogging-2")
    files = {"KCF": "Jogging-2", "SiamFC-3s": "Jogging_2", "Staple": "Jogging-2"}
    for tracker, file in files.items():
        path = shared / f"results/otb100/trackers/{tracker}/{file}.txt"
        rows = np.loadtxt(path, delimiter=",")
        assert np.array_equal(found[tracker].runs[place][0].boxes, rows[:, :4])
