"""The got10k package reads the same small data sets, and gives the same boxes: it takes all numbers as the files have
them, so its x and y are 1 more where a benchmark counts pixels from 1."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqtrack.data.formats import VideoAnnotation
from seqtrack.data.formats.otb import PARTS
from seqtrack.data.formats.uav123 import windows
from tests.data.layouts import boxes_text, read
from tests.data.otb_layout import write_sequence
from tests.data.single_target_layouts import (
    numbered,
    uav123_files,
    write_dtb70,
    write_files,
    write_nfs,
    write_tc128,
    write_vot,
)

got10k = pytest.importorskip("got10k.datasets", reason="needs the got10k package (extra test)")

Read = dict[str, tuple[list[str], NDArray[np.float64]]]


def theirs(dataset: Any, root: Path) -> Read:
    """Files of frames and boxes by sequence."""
    return {
        name: ([Path(file).relative_to(root).as_posix() for file in files], np.asarray(boxes))
        for name, (files, boxes) in zip(dataset.seq_names, dataset, strict=True)
    }


def ours(videos: Iterable[VideoAnnotation], first_pixel: int, separator: str = "-") -> Read:
    return {
        track.name.replace("-", separator).rpartition("/")[2]: (
            [video.frame_names[t] for t in track.frames],
            track.boxes + np.array([first_pixel, first_pixel, 0, 0]),
        )
        for video in videos
        for track in video.tracks
    }


def assert_same(a: Read, b: Read) -> None:
    assert sorted(a) == sorted(b)
    for name in a:
        assert a[name][0] == b[name][0], name
        np.testing.assert_array_equal(a[name][1], b[name][1], err_msg=name)


def test_otb(tmp_path: Path) -> None:
    """Football1's frames without labels, two targets, an empty file, tabs."""
    write_sequence(tmp_path / "Football1", range(1, 82), boxes_text(74))
    write_sequence(tmp_path / "Deer", range(1, 5), boxes_text(4).replace(",", "\t"))
    two = {"groundtruth_rect.1.txt": boxes_text(3), "groundtruth_rect.2.txt": boxes_text(3, first=4)}
    write_sequence(tmp_path / "Jogging", range(1, 4), two)
    write_sequence(tmp_path / "Human4", range(1, 4), two | {"groundtruth_rect.1.txt": ""})
    found = ours(read("otb", tmp_path), first_pixel=1, separator=".")
    found["Human4"] = found.pop("Human4.2")  # got10k numbers what is not empty, and one is not numbered
    assert_same(theirs(got10k.OTB(str(tmp_path), version=2015, download=False), tmp_path), found)


def test_otb_david_begins_at_file_300(tmp_path: Path) -> None:
    files = numbered("David/img", range(1, 775), "{:04d}.jpg")
    files["David/groundtruth_rect.txt"] = boxes_text(471).encode()
    dataset = got10k.OTB(str(write_files(tmp_path, files)), version=2013, download=False)
    assert_same(theirs(dataset, tmp_path), ours(read("otb", files), first_pixel=1))


def test_lists_of_otb() -> None:
    for part, version in (("50", "tb50"), ("100", "tb100"), ("cvpr13", 2013)):
        assert PARTS[part] == sorted(got10k.OTB._OTB__version_dict[version])


def test_vot(tmp_path: Path) -> None:
    """got10k looks for frames beside the ground truth only."""
    write_vot(tmp_path)
    for frame in (tmp_path / "ants" / "color").glob("*.jpg"):
        frame.rename(tmp_path / "ants" / frame.name)
    dataset = got10k.VOT(str(tmp_path), version=2018, anno_type="default", download=False)
    videos = read("vot", tmp_path)
    found = ours(videos, first_pixel=0)
    (ants,) = (video for video in videos if video.name == "ants")
    assert ants.tracks[0].polygons is not None
    found["ants"] = (found["ants"][0], ants.tracks[0].polygons)
    assert_same(theirs(dataset, tmp_path), found)


def test_dtb70(tmp_path: Path) -> None:
    root = write_dtb70(tmp_path) / "DTB70"
    assert_same(theirs(got10k.DTB70(str(root)), root), ours(read("dtb70", root), first_pixel=1))


def test_temple_color(tmp_path: Path) -> None:
    """got10k reads commas only, and knows the files by one spelling."""
    root = write_tc128(tmp_path) / "Temple-color-128"
    for truth in root.rglob("*_gt.txt"):
        truth.write_text(truth.read_text().replace("\t", ",").replace(" ", ","))
    dataset = got10k.TColor128(str(root), download=False)
    assert_same(theirs(dataset, root), ours(read("tc128", root), first_pixel=1))


@pytest.mark.parametrize("part", ["uav123", "uav20l"])
def test_pieces_of_uav_videos(part: str) -> None:
    table = json.loads((Path(got10k.__file__).parent / "uav123.json").read_text())[part.upper()]
    assert windows(part) == {
        name: (row["folder_name"], row["start_frame"], row["end_frame"]) for name, row in table.items()
    }


@pytest.mark.parametrize("version", ["UAV123", "UAV20L"])
def test_uav(tmp_path: Path, version: str) -> None:
    """got10k knows the names of frames without looking for them."""
    files = uav123_files()
    write_files(tmp_path, {name: data for name, data in files.items() if not name.endswith(".jpg")})
    (tmp_path / "UAV123" / "data_seq").mkdir()
    dataset = got10k.UAV123(str(tmp_path / "UAV123"), version=version)
    assert_same(theirs(dataset, tmp_path), ours(read("uav123", files, version.lower()), first_pixel=1))


@pytest.mark.parametrize("fps", [30, 240])
def test_need_for_speed(tmp_path: Path, fps: int) -> None:
    """One row in eight is left over at 30 per second; numpy reads no label with a space."""
    write_nfs(tmp_path)
    for truth in tmp_path.rglob("*.txt"):
        truth.write_text(truth.read_text().replace("person head", "head"))
    (tmp_path / "bee" / "30" / "bee" / "00006.jpg").unlink()
    dataset = got10k.NfS(str(tmp_path), fps=fps)
    assert_same(theirs(dataset, tmp_path), ours(read("nfs", tmp_path, str(fps)), first_pixel=0))
