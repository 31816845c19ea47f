"""The benchmarks within OTB: which sequences they are, however a copy of OTB spells or splits them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.data.formats.otb import LABELLED, PARTS
from seqtrack.errors import DataError
from tests.data.layouts import boxes_text, read, write_text
from tests.data.otb_layout import write_sequence
from tests.data.single_target_layouts import link_frames

TWO = {"groundtruth_rect.1.txt": boxes_text(2), "groundtruth_rect.2.txt": boxes_text(2, first=4)}


def write_all(root: Path, names: dict[str, str] | None = None) -> Path:
    """All of OTB-100, two frames each, but for those whose labels are known to cover a part of the frames."""
    for sequence in PARTS["100"]:
        folder = root / (names or {}).get(sequence, sequence)
        if sequence in ("Jogging", "Skating2"):
            write_sequence(folder, [1, 2], TWO)
        elif sequence == "Human4":
            write_sequence(folder, [1, 2], TWO | {"groundtruth_rect.1.txt": ""})
        else:
            first, last = LABELLED.get(sequence, (1, 2))
            link_frames(folder / "img", range(first, last + 1), "{:04d}.jpg")
            write_text(folder / "groundtruth_rect.txt", boxes_text(last - first + 1))
    return root


@pytest.fixture(scope="module")
def otb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("otb") / "OTB100")


@pytest.mark.parametrize(("part", "videos", "targets"), [("50", 49, 50), ("100", 98, 100), ("cvpr13", 50, 51)])
def test_benchmarks_are_chosen_out_of_the_folder_of_all(otb: Path, part: str, videos: int, targets: int) -> None:
    found = read("otb", otb, part)
    assert [video.name for video in found] == PARTS[part]
    assert (len(found), sum(len(video.tracks) for video in found)) == (videos, targets)


def test_without_a_benchmark_it_is_whatever_is_there(otb: Path) -> None:
    assert sorted(video.name for video in read("otb", otb)) == PARTS["100"]


def test_names_of_targets_are_those_of_pysots_result_files(otb: Path, shared: Path) -> None:
    names = {track.name for video in read("otb", otb, "100") for track in video.tracks}
    annotated = {file.stem for file in (shared / "results" / "otb100" / "anno").glob("*.txt")}
    assert annotated == names


def test_names_vary_in_case_between_copies(tmp_path: Path) -> None:
    root = write_all(tmp_path / "otb", {"FaceOcc1": "Faceocc1", "BlurCar4": "Blurcar4", "Jogging": "jogging"})
    found = {video.name: video for video in read("otb", root, "100")}
    assert {"Faceocc1", "Blurcar4", "jogging"} < set(found)
    assert found["Blurcar4"].frame_names[found["Blurcar4"].tracks[0].frames[0]] == "Blurcar4/img/0018.jpg"
    assert [track.name for track in found["jogging"].tracks] == ["jogging-1", "jogging-2"]


def test_one_folder_for_each_target_as_pysot_wants_them(tmp_path: Path) -> None:
    """Each copy holds the labels of both; beside them or instead of them there may be the publisher's own."""
    root = write_all(tmp_path / "otb", {"Jogging": "Jogging-1"})
    write_sequence(root / "Jogging-2", [1, 2], TWO)
    names = [track.name for video in read("otb", root, "100") for track in video.tracks]
    assert [name for name in names if "Jogging" in name] == ["Jogging-1", "Jogging-2"]
    assert len(names) == 100
    boxes = {video.name: video.tracks[0].boxes[0, 0] for video in read("otb", root, "100")}
    assert (boxes["Jogging-1"], boxes["Jogging-2"]) == (0, 3)
    write_sequence(root / "Jogging", [1, 2], TWO)
    names = [track.name for video in read("otb", root, "100") for track in video.tracks]
    assert len(names) == len(set(names)) == 100


def test_human4_is_one_target_the_second(otb: Path) -> None:
    (human4,) = (video for video in read("otb", otb, "50") if video.name == "Human4")
    assert [(track.name, track.boxes[0, 0]) for track in human4.tracks] == [("Human4-2", 3)]


def test_sequences_that_are_missing_are_named(tmp_path: Path) -> None:
    root = write_all(tmp_path / "otb")
    for name in ("Deer", "Woman"):
        (root / name).rename(tmp_path / name)
    with pytest.raises(DataError, match=r"otb: 2 of the 49 sequences of otb_50 are not there \(Deer, Woman\); add"):
        read("otb", root, "50")
    other = write_sequence(tmp_path / "mine" / "Seq", [1, 2], boxes_text(2)).parent
    with pytest.raises(DataError, match=r"98 of the 98 sequences of otb_100 .* name the folder otb:FOLDER"):
        read("otb", other, "100")
