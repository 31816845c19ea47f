"""The truth from annotations alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seqtrack.assessment.exchange.annotations import from_data, read_annotations
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.errors import DataError, UserError
from tests.data.single_target_layouts import write_tc128, write_vot

OTB = parse_dataset_name("otb_100")
OWN = parse_dataset_name("dtb70")


def test_a_part_of_a_benchmark_takes_its_own_sequences(shared: Path) -> None:
    found = read_annotations(shared / "results/otb100/anno", parse_dataset_name("otb_50"))
    assert len(found) == 50
    assert {"Human4-2", "Skating2-1", "Skating2-2"} <= {one.name for one in found}


def test_pieces_of_uav123_are_not_the_videos_of_uav20l(shared: Path) -> None:
    folder = shared / "results/uav123/anno"
    names = {
        name: {one.name for one in read_annotations(folder, parse_dataset_name(name))}
        for name in ("uav123", "uav20l")
    }
    assert "bird1_1" in names["uav123"] and "bird1" not in names["uav123"]
    assert "bird1" in names["uav20l"] and len(names["uav20l"]) == 20


def test_rows_without_numbers_stay_so(shared: Path) -> None:
    found = {one.name: one for one in read_annotations(shared / "results/uav123/anno", parse_dataset_name("uav123"))}
    absent = ~found["car1_s"].present
    rows = np.genfromtxt(shared / "results/uav123/anno/bird1_1.txt", delimiter=",")
    assert np.array_equal(found["bird1_1"].boxes, rows, equal_nan=True)
    assert np.array_equal(~found["bird1_1"].present, np.isnan(rows).any(axis=1))
    assert not absent.all()


def test_absence_of_lasot_lies_beside(shared: Path) -> None:
    found = read_annotations(shared / "results/lasot/anno", parse_dataset_name("lasot_test"))
    assert len(found) == 280 and found[0].name == "airplane-1"
    flags = np.loadtxt(shared / "results/lasot/absent/airplane-9.txt", delimiter=",").ravel()
    airplane = next(one for one in found if one.name == "airplane-9")
    assert np.array_equal(airplane.present, flags == 0)
    assert sum(int((~one.present).sum()) for one in found) > 10_000


def test_vot_as_one_json(shared: Path) -> None:
    found = read_annotations(shared / "results/vot2018/VOT2018.json", parse_dataset_name("vot2018"))
    assert len(found) == 60
    ants = found[0]
    assert (ants.name, ants.size) == ("ants1", (1024, 1024))
    assert ants.regions is not None and ants.regions.shape == (len(ants.boxes), 8)
    assert sorted(ants.tags) == ["camera_motion", "illum_change", "motion_change", "occlusion", "size_change"]


def test_the_json_of_pysot_marks_what_counts_in_lasot(tmp_path: Path) -> None:
    boxes = [[1, 2, 3, 4]] * 3
    entry = {"video_dir": "a", "gt_rect": boxes, "absent": [1, 0, 1], "attr": ["IV", "SV"]}
    (tmp_path / "LaSOT.json").write_text(json.dumps({"a": entry}))
    (found,) = read_annotations(tmp_path / "LaSOT.json", parse_dataset_name("lasot:mine"))
    assert found.present.tolist() == [True, False, True]
    assert found.attributes == ("IV", "SV")


def test_a_publishers_own_folder_in_its_own_coordinates(shared: Path, tmp_path: Path) -> None:
    truth = np.loadtxt(shared / "data/otb/Crossing/groundtruth_rect.txt", delimiter="\t")
    found = {
        one.name: one
        for one in read_annotations(
            shared / "data/otb", parse_dataset_name("otb:five"), Locations(cache_dir=tmp_path)
        )
    }
    assert sorted(found) == ["Couple", "Crossing", "David", "Football1", "Skiing"]
    assert np.array_equal(found["Crossing"].boxes, truth)
    assert found["Crossing"].size == (360, 240)
    again = from_data(
        parse_dataset_name("otb:five"), Locations(data_paths={"five": shared / "data/otb"}, cache_dir=tmp_path)
    )
    assert np.array_equal(again[0].boxes, found[again[0].name].boxes)


def test_tags_and_attributes_come_from_the_publishers_own_files(tmp_path: Path) -> None:
    write_vot(tmp_path / "vot2018")
    locations = Locations(cache_dir=tmp_path / "indexes")
    bag, ants = read_annotations(tmp_path / "vot2018", parse_dataset_name("vot2018"), locations)
    assert (bag.tags, ants.tags["occlusion"].tolist()) == ({}, [False, True, False, False, False, False])
    write_tc128(tmp_path / "tc128")
    (tmp_path / "tc128/Temple-color-128/Bird/Bird_att.txt").write_text("IV\nSV\n")
    labels = read_annotations(tmp_path / "tc128", parse_dataset_name("tc128"), locations)
    assert {one.name: one.attributes for one in labels} == {"Bird": ("IV", "SV"), "Hurdle_ce2": (), "Airport_ce": ()}


def test_all_annotations_that_are_missing_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "Basketball.txt").write_text("1,2,3,4\n")
    with pytest.raises(
        DataError, match=r"99 of the 100 sequences of otb_100 have no annotation \(Biker, Bird1, .*Woman"
    ):
        read_annotations(tmp_path, OTB)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2,3,4\n1,2,3,4,5,6,7\n", "a.txt, row 2: 7 numbers where 4 are expected; mend that row"),
        ("1,2,3,4,5,6,7\n", "a.txt, row 1: 7 numbers where 4 or 8 are expected; mend that row"),
        ("one two three four\n", "a.txt, row 1: 'one two three four' is not 4 or 8 numbers; mend that row"),
    ],
)
def test_bad_annotations_name_file_and_row(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError) as caught:
        read_annotations(tmp_path, OWN)
    assert str(caught.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"gt_rect": [[1, 2, 3, 4, 5, 6, 7]]}, "gt_rect has rows of 7 numbers, expected 4 or 8"),
        ({"gt_rect": [[1, 2, 3, 4], [1, "x", 3, 4]]}, "row 2: [1, 'x', 3, 4] is not 4 numbers"),
        ({"gt_rect": [[1, 2, 3, 4]], "occlusion": [0, 1]}, "occlusion has to be a list of 1 flags"),
        (7, "expected gt_rect and more in it"),
    ],
)
def test_bad_json_names_the_sequence(tmp_path: Path, record: object, message: str) -> None:
    (tmp_path / "B.json").write_text(json.dumps({"a": record}))
    with pytest.raises(DataError) as caught:
        read_annotations(tmp_path / "B.json", OWN)
    assert str(caught.value).startswith(f"{tmp_path}/B.json, sequence a") and message in str(caught.value)


def test_what_only_a_server_knows_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,2,3,4\n")
    with pytest.raises(
        UserError, match=r"^--benchmark got10k_test: its labels are not public; send the results to its"
    ):
        read_annotations(tmp_path, parse_dataset_name("got10k_test"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for name, content in {"anno/a.txt": "1,2,3,4\n", "small.yaml": "a: 1\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=r"^--annotations: .* holds no \{seq\}.txt of tlp; did you mean .*/anno\?$"):
        read_annotations(tmp_path, parse_dataset_name("tlp"))
    with pytest.raises(
        UserError, match=r"^--annotations: .*/small.yaml is no folder; expected a folder of \{seq\}.txt"
    ):
        read_annotations(tmp_path / "small.yaml", parse_dataset_name("tlp"))
    with pytest.raises(
        DataError, match=r"anno: none of the 100 sequences of otb_100 is there; is it the right place"
    ):
        read_annotations(tmp_path / "anno", parse_dataset_name("otb_100"))
    with pytest.raises(UserError, match=r"^--annotations: .*/none is not there; expected a folder of"):
        read_annotations(tmp_path / "none", OWN)


def test_lasot_and_got10k_as_published_need_no_frames(tmp_path: Path) -> None:
    folder = tmp_path / "LaSOT/cat/cat-1"
    folder.mkdir(parents=True)
    (folder / "groundtruth.txt").write_text("1,2,3,4\n1,2,0,0\n5,6,7,8\n")
    (folder / "full_occlusion.txt").write_text("0,0,0")
    (folder / "out_of_view.txt").write_text("0,0,1")
    (lasot,) = read_annotations(tmp_path / "LaSOT", parse_dataset_name("lasot:mine"))
    # The second frame has no box, but no flag says so: toolkits tell that from a frame that is flagged.
    assert (lasot.name, lasot.present.tolist(), lasot.boxes[2].tolist()) == (
        "cat-1",
        [True, True, False],
        [5, 6, 7, 8],
    )
    (folder / "out_of_view.txt").write_text("0,0")
    with pytest.raises(DataError, match=r"out_of_view.txt, row 1: 2 numbers where 1 or 3 are expected"):
        read_annotations(tmp_path / "LaSOT", parse_dataset_name("lasot:mine"))

    folder = tmp_path / "GOT-10k/val/GOT-10k_Val_000001"
    folder.mkdir(parents=True)
    (folder / "groundtruth.txt").write_text("1,2,3,4\n1,2,3,4\n5,6,7,8\n")
    (folder / "cover.label").write_text("8\n0\n4\n")
    (folder / "meta_info.ini").write_text("[METAINFO]\nurl: x\nresolution: (1920, 1080)\n")
    (got10k,) = read_annotations(tmp_path / "GOT-10k", parse_dataset_name("got10k_val"))
    assert (got10k.size, got10k.present.tolist()) == ((1920, 1080), [True, False, True])
