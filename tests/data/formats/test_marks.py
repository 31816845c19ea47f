"""Tags of frames and attributes of sequences, as publishers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.formats.marks import read_marks
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from tests.data.single_target_layouts import write_uav123

FRAMES = np.arange(4)


def tree_with(root: Path, name: str, text: str) -> DirectoryTree:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return DirectoryTree(root, root.name)


@pytest.mark.parametrize("ending", ["tag", "label"])
def test_tags_of_vot_are_a_flag_per_frame_and_shorter_files_go_on_with_none(tmp_path: Path, ending: str) -> None:
    tree = tree_with(tmp_path, f"ants/camera_motion.{ending}", "0\n1\n1\n")
    tree_with(tmp_path, f"ants/size_change.{ending}", "")
    tree_with(tmp_path, f"ants/practice.{ending}", "1\n")
    tags = read_marks("vot", "", tree, "ants", "ants", FRAMES).tags
    assert {name: flags.tolist() for name, flags in tags.items()} == {
        "camera_motion": [False, True, True, False], "size_change": [False] * 4,
    }  # fmt: skip
    picked = read_marks("vot", "", tree, "ants", "ants", np.array([1, 3])).tags
    assert picked["camera_motion"].tolist() == [True, False]


def test_a_tree_that_is_one_sequence(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "occlusion.tag", "1\n")
    assert read_marks("vot", "", tree, tmp_path.name, "", FRAMES).tags["occlusion"].tolist() == [True] + [False] * 3


def test_attributes_of_temple_color_are_names(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "Temple-color-128/Ball_ce2/ball_ce2_att.txt", "IV, OCC\tSV\nFM,\n")
    assert read_marks("tc128", "", tree, "Ball_ce2", "Ball_ce2", FRAMES).attributes == ("IV", "OCC", "SV", "FM")
    assert read_marks("tc128", "", tree, "Bike", "Bike", FRAMES) == ({}, ())
    tree_with(tmp_path, "Temple-color-128/Bike/Bike_attr.txt", "0,1,0\n")
    assert read_marks("tc128", "", tree, "Bike", "Bike", FRAMES) == ({}, ()), "a form that is not known"


@pytest.mark.parametrize(("part", "folder"), [("uav123", "UAV123"), ("uav20l", "UAV20L")])
def test_attributes_of_uav123_are_twelve_flags(tmp_path: Path, part: str, folder: str) -> None:
    tree = tree_with(tmp_path, f"anno/{folder}/att/bike1.txt", "1,0,0,0,0,0,0,0,0,0,0,1\n")
    marks = read_marks("uav123", part, tree, "bike1", "bike1", FRAMES)
    assert marks.attributes == ("Scale Variation", "Similar Object")
    tree_with(tmp_path, f"anno/{folder}/att/bike1.txt", "1,0\n")
    assert read_marks("uav123", part, tree, "bike1", "bike1", FRAMES) == ({}, ()), "a form that is not known"


def test_a_packed_data_set_keeps_them(tmp_path: Path) -> None:
    write_uav123(tmp_path / "uav123")
    truth = next((tmp_path / "uav123").rglob("anno/UAV123/*.txt"))
    attributes = truth.parent / "att" / truth.name
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("0,1,0,0,0,0,0,0,0,0,0,0\n")
    packed = pack(parse_dataset_name("uav123"), tmp_path / "uav123", tmp_path / "uav123.tar")
    marks = read_marks("uav123", "uav123", TarTree(packed.path, "uav123"), "", truth.stem, FRAMES)
    assert marks.attributes == ("Aspect Ratio Change",)
