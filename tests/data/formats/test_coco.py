"""COCO: each object that is not a crowd is a track of one frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seqtrack.errors import DataError
from tests.data.layouts import Summary, manifest_bytes, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip


def instances() -> dict[str, Any]:
    size = {"width": 640, "height": 480}
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 9, "file_name": "000000000009.jpg", **size, "license": 3},
            {"id": 25, "file_name": "000000000025.jpg", **size},
            {"id": 30, "file_name": "000000000030.jpg", **size},
            {"id": 34, "file_name": "000000000034.jpg", **size},
        ],
        "annotations": [
            {"id": 7, "image_id": 25, "category_id": 44, "bbox": [1.08, 187, 611.59, 285.84], "iscrowd": 0},
            {"id": 8, "image_id": 9, "category_id": 1, "bbox": [0, 0, 10, 20.5], "iscrowd": 0, "area": 3.5},
            {"id": 6, "image_id": 9, "category_id": 44, "bbox": [5, 6, 7, 0], "iscrowd": 0},
            {"id": 900100, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"id": 900101, "image_id": 30, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}, {"id": 44, "name": "wine glass"}],
    }


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    for name in ("train2017", "val2017"):
        write_frames(root / name, [9, 25, 30, 34], "{:012d}.jpg", (640, 480))
        write_text(root / "annotations" / f"instances_{name}.json", json.dumps(instances()))
        write_text(root / "annotations" / f"captions_{name}.json", "{}")
    return root


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_parts(coco: Path, part: str) -> None:
    videos = read("coco", coco, part)
    assert summary(videos) == Summary(videos=2, tracks=3, frames=2, boxes=3, absent=1)
    assert [video.name for video in videos] == [f"{part}2017/000000000009", f"{part}2017/000000000025"]
    assert videos[0].frame_names == [f"{part}2017/000000000009.jpg"]


def test_a_tar_and_its_index_hold_the_same(coco: Path, tmp_path: Path) -> None:
    assert_round_trip("coco", coco, "val", tmp_path / "packed")


def test_a_box_of_many_frames_is_a_mistake(coco: Path) -> None:
    """Its search region would take gigabytes."""
    wrong = instances()
    wrong["annotations"][1]["bbox"] = [0, 0, 60000, 60000]
    write_text(coco / "annotations/instances_train2017.json", json.dumps(wrong))
    with pytest.raises(DataError, match=r"000000000009\.8, row 1: more than twice the frame of 640x480"):
        read("coco", coco, "train")


def test_swapped_width_and_height_leave_the_picture(coco: Path) -> None:
    wrong = instances()
    wrong["annotations"][1]["bbox"] = [10, 10, 300, 600]
    write_text(coco / "annotations/instances_train2017.json", json.dumps(wrong))
    with pytest.raises(
        DataError, match=r"000000000009\.8, row 1: beyond the frame of 640x480 \(width and height swap"
    ):
        read("coco", coco, "train")


def test_boxes_are_taken_as_they_are_and_one_without_area_is_absent(coco: Path) -> None:
    first, second = read("coco", coco, "train")
    assert [track.boxes.tolist() for track in first.tracks] == [[[0, 0, 10, 20.5]], [[5, 6, 7, 0]]]
    assert [track.present.tolist() for track in first.tracks] == [[True], [False]]
    assert second.tracks[0].boxes.tolist() == [[1.08, 187, 611.59, 285.84]]
    assert [track.category for track in first.tracks] == ["person", "wine glass"]
    assert [track.name for track in first.tracks] == ["train2017/000000000009.8", "train2017/000000000009.6"]


def test_the_size_is_the_files_also_in_a_resized_version(coco: Path) -> None:
    assert read("coco", coco, "train")[0].size == (640, 480)
    (coco / "seqtrack-manifest.json").write_bytes(manifest_bytes("coco", {}))
    assert read("coco", coco, "train")[0].size == (640, 480)


def test_pictures_may_lie_in_images_and_the_newest_year_counts(coco: Path) -> None:
    (coco / "images").mkdir()
    (coco / "train2017").rename(coco / "images" / "train2017")
    write_frames(coco / "train2014", [9], "COCO_train2014_{:012d}.jpg")
    write_text(coco / "annotations" / "instances_train2014.json", json.dumps(instances()))
    assert read("coco", coco, "train")[0].frame_names == ["images/train2017/000000000009.jpg"]


def test_a_year_without_pictures_does_not_count(coco: Path) -> None:
    write_text(coco / "annotations" / "instances_train2018.json", "{}")
    assert len(read("coco", coco, "train")) == 2


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.pop("images"), ": expected an object with lists images, annotations, categories"),
        (lambda data: data["images"].append([]), ", images[4]: expected an object with id, file_name, width, height"),
        (lambda data: data["images"][0].pop("width"), ", images[0]: width is None, not int"),
        (lambda data: data["images"][0].update(height=-480), ", images[0]: size 640x-480"),
        (lambda data: data["images"][1].update(file_name="../x.jpg"), ", images[1]: no '../x.jpg' in "),
        (lambda data: data["images"][1].update(file_name="\ud800"), ", images[1]: file_name is '\\ud800', not str"),
        (lambda data: data["images"].pop(0), ": image_id 9 of an annotation is not among the images"),
        (lambda data: data["annotations"][1].update(bbox=[1, 2, 3]), ", annotations[1]: bbox is [1, 2, 3], not four"),
        (lambda data: data["annotations"][1].update(bbox=[1, 2, -3, 4]), ", annotations[1]: bbox is [1, 2, -3, 4]"),
        (
            lambda data: data["annotations"][1].update(bbox=[1, 2, 3, 10**400]),
            ", annotations[1]: bbox is [1, 2, 3, 1",
        ),
        (lambda data: data["annotations"][1].update(bbox=[1, 2, 3, float("nan")]), ", annotations[1]: bbox is [1, 2"),
        (lambda data: data["annotations"][2].update(category_id=2), ", annotations[2]: category_id 2 is not among"),
        (lambda data: data["annotations"][2].update(id=True), ", annotations[2]: id is True, not int"),
        (lambda data: data["categories"][0].update(name=5), ", categories[0]: name is 5, not str"),
    ],
)
def test_a_mistake_names_the_record(coco: Path, edit: Any, message: str) -> None:
    data = instances()
    edit(data)
    file = write_text(coco / "annotations" / "instances_train2017.json", json.dumps(data))
    with pytest.raises(DataError) as caught:
        read("coco", coco, "train")
    assert str(caught.value).startswith(f"{file}{message}")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"images": [}', "\x00"])
def test_what_is_not_json_is_named(coco: Path, text: str) -> None:
    file = write_text(coco / "annotations" / "instances_train2017.json", text)
    with pytest.raises(DataError) as caught:
        read("coco", coco, "train")
    assert str(caught.value).startswith(f"{file}: not JSON (")
