"""The benchmarks within OTB: which sequences they are, however a copy of OTB spells or splits them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.data.formats.otb import LABELLED, PARTS
from seqtrack.errors import DataError
from tests.data.layouts import boxes_text, read
from tests.data.single_target_layouts import numbered


def two_targets(folder: str, first: str | None = None) -> dict[str, bytes]:
    texts = {"1": boxes_text(2) if first is None else first, "2": boxes_text(2, first=4)}
    truths = {f"{folder}/groundtruth_rect.{k}.txt": text.encode() for k, text in texts.items()}
    return numbered(f"{folder}/img", [1, 2], "{:04d}.jpg") | truths


def all_of_otb(names: dict[str, str] | None = None) -> dict[str, bytes]:
    """Every folder, with two frames, or with those that are known to be labelled; ``names`` rename folders."""
    files: dict[str, bytes] = {}
    for sequence in PARTS["100"]:
        folder = (names or {}).get(sequence, sequence)
        if sequence in ("Jogging", "Skating2", "Human4"):
            files |= two_targets(folder, first="" if sequence == "Human4" else None)
        else:
            first, last = LABELLED.get(sequence, (1, 2))
            files |= numbered(f"{folder}/img", range(first, last + 1), "{:04d}.jpg")
            files[f"{folder}/groundtruth_rect.txt"] = boxes_text(last - first + 1).encode()
    return files


@pytest.fixture(scope="module")
def otb() -> dict[str, bytes]:
    return all_of_otb()


@pytest.mark.parametrize(("part", "videos", "targets"), [("50", 49, 50), ("100", 98, 100), ("cvpr13", 50, 51)])
def test_benchmarks_are_chosen_out_of_the_folder_of_all(
    otb: dict[str, bytes], part: str, videos: int, targets: int
) -> None:
    found = read("otb", otb, part)
    assert [video.name for video in found] == PARTS[part]
    assert (len(found), sum(len(video.tracks) for video in found)) == (videos, targets)


def test_without_a_benchmark_it_is_whatever_is_there(otb: dict[str, bytes]) -> None:
    assert sorted(video.name for video in read("otb", otb)) == PARTS["100"]


def test_names_of_targets_are_those_of_pysots_result_files(otb: dict[str, bytes], shared: Path) -> None:
    names = {track.name for video in read("otb", otb, "100") for track in video.tracks}
    annotated = {file.stem for file in (shared / "results" / "otb100" / "anno").glob("*.txt")}
    assert annotated == names


def test_names_vary_in_case_between_copies() -> None:
    files = all_of_otb({"FaceOcc1": "Faceocc1", "BlurCar4": "Blurcar4", "Jogging": "jogging"})
    found = {video.name: video for video in read("otb", files, "100")}
    assert {"Faceocc1", "Blurcar4", "jogging"} < set(found)
    assert found["Blurcar4"].frame_names[found["Blurcar4"].tracks[0].frames[0]] == "Blurcar4/img/0018.jpg"
    assert [track.name for track in found["jogging"].tracks] == ["jogging-1", "jogging-2"]


def test_one_folder_for_each_target_as_pysot_wants_them() -> None:
    """Each copy holds the labels of both; beside them or instead of them there may be the publisher's own."""
    files = all_of_otb({"Jogging": "Jogging-1"}) | two_targets("Jogging-2")
    found = {track.name: track for video in read("otb", files, "100") for track in video.tracks}
    assert [name for name in found if "Jogging" in name] == ["Jogging-1", "Jogging-2"]
    assert len(found) == 100
    assert (found["Jogging-1"].boxes[0, 0], found["Jogging-2"].boxes[0, 0]) == (0, 3)
    names = [track.name for video in read("otb", files | two_targets("Jogging"), "100") for track in video.tracks]
    assert len(names) == len(set(names)) == 100


def test_human4_is_one_target_the_second(otb: dict[str, bytes]) -> None:
    (human4,) = (video for video in read("otb", otb, "50") if video.name == "Human4")
    assert [(track.name, track.boxes[0, 0]) for track in human4.tracks] == [("Human4-2", 3)]


def test_sequences_that_are_missing_are_named(otb: dict[str, bytes]) -> None:
    fewer = {name: data for name, data in otb.items() if not name.startswith(("Deer/", "Woman/"))}
    with pytest.raises(DataError, match=r"data: 2 of the 49 sequences of otb_50 are not there \(Deer, Woman\); add"):
        read("otb", fewer, "50")
    with pytest.raises(DataError, match=r"98 of the 98 sequences of otb_100 .* name the folder otb:FOLDER"):
        read("otb", two_targets("mine"), "100")
