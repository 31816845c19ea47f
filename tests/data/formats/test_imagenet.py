"""ImageNet VID (``ilsvrc``) and DET (``det``): several objects a picture, in XML that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.formats.voc import parse_picture
from seqtrack.errors import DataError
from tests.data.layouts import Summary, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip

Corners = tuple[int, int, int, int]
CAT, DOG = "n02121808", "n02084071"


def annotation(objects: str, size: str = "<size><width>32</width><height>24</height></size>") -> str:
    head = "<folder>f</folder><filename>000000</filename><source><database>ILSVRC_2015</database></source>"
    return f"<annotation>{head}{size}{objects}</annotation>\n"


def vid_object(track: int, corners: Corners, name: str = CAT, occluded: int = 0) -> str:
    left, top, right, bottom = corners
    return (
        f"<object><trackid>{track}</trackid><name>{name}</name><bndbox><xmax>{right}</xmax><xmin>{left}</xmin>"
        f"<ymax>{bottom}</ymax><ymin>{top}</ymin></bndbox>"
        f"<occluded>{occluded}</occluded><generated>1</generated></object>"
    )


def det_object(corners: Corners, name: str = CAT) -> str:
    left, top, right, bottom = corners
    return (
        f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><xmax>{right}</xmax>"
        f"<ymin>{top}</ymin><ymax>{bottom}</ymax></bndbox></object>"
    )


def write_video(root: Path, below: str, frames: Mapping[int, str]) -> None:
    write_frames(root / "Data" / "VID" / below, frames, "{:06d}.JPEG")
    for number, objects in frames.items():
        write_text(root / "Annotations" / "VID" / below / f"{number:06d}.xml", annotation(objects))


TRAIN = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
VAL = "val/ILSVRC2015_val_00000000"


@pytest.fixture
def vid(tmp_path: Path) -> Path:
    root = tmp_path / "ILSVRC2015"
    first = {
        0: vid_object(0, (0, 2, 9, 11)),
        1: vid_object(0, (1, 2, 10, 11), occluded=1) + vid_object(2, (5, 5, 5, 5), DOG),
        2: "",
        3: vid_object(0, (3, 2, 31, 23)) + vid_object(10, (1, 1, 2, 2)),
        4: vid_object(10, (1, 1, 2, 3)),
    }
    write_video(root, TRAIN, first)
    write_video(root, TRAIN.replace("_0000/", "_0003/").replace("00000000", "00000007"), {0: "", 1: ""})
    write_video(root, VAL, {number: vid_object(0, (1, 1, 4, 4)) for number in range(2)})
    return root


class TestVid:
    def test_the_parts(self, vid: Path) -> None:
        assert summary(read("ilsvrc", vid, "train")) == Summary(videos=2, tracks=3, frames=7, boxes=7, absent=1)
        assert summary(read("ilsvrc", vid, "val")) == Summary(videos=1, tracks=1, frames=2, boxes=2, absent=0)
        assert summary(read("ilsvrc", vid)) == Summary(videos=3, tracks=4, frames=9, boxes=9, absent=1)

    def test_a_tar_and_its_index_hold_the_same(self, vid: Path, tmp_path: Path) -> None:
        assert_round_trip("ilsvrc", vid, "", tmp_path / "packed")

    def test_objects_come_and_go(self, vid: Path) -> None:
        """A track runs from its first to its last sighting; in between it may be absent."""
        video = read("ilsvrc", vid, "train")[0]
        assert video.name == "ILSVRC2015_train_00000000"
        assert video.frame_names[0] == f"Data/VID/{TRAIN}/000000.JPEG"
        found = {track.name.rpartition(".")[2]: track for track in video.tracks}
        assert list(found) == ["0", "2", "10"]
        assert [found[key].frames.tolist() for key in found] == [[0, 1, 2, 3], [1], [3, 4]]
        assert found["0"].present.tolist() == [True, True, False, True]
        assert np.isnan(found["0"].boxes[2]).all()
        assert found["0"].occluded.tolist() == [False, True, False, False]
        assert [found[key].category for key in found] == [CAT, DOG, CAT]

    def test_corners_name_pixels_counted_from_0_that_belong_to_the_object(self, vid: Path) -> None:
        tracks = read("ilsvrc", vid, "train")[0].tracks
        assert tracks[0].boxes[[0, 3]].tolist() == [[0, 2, 10, 10], [3, 2, 29, 22]]
        assert tracks[1].boxes.tolist() == [[5, 5, 1, 1]]

    def test_an_id_that_stands_twice_in_a_frame_counts_once(self, tmp_path: Path) -> None:
        write_video(tmp_path, VAL, {0: vid_object(0, (1, 1, 2, 2)) + vid_object(0, (5, 5, 6, 6))})
        assert read("ilsvrc", tmp_path)[0].tracks[0].boxes.tolist() == [[1, 1, 2, 2]]

    def test_got10k_reads_the_same_boxes(self, vid: Path, tmp_path: Path) -> None:
        """It leaves out absent frames, and tracks of a single frame."""
        datasets = pytest.importorskip("got10k.datasets")
        theirs = datasets.ImageNetVID(str(vid), ("train", "val"), str(tmp_path / "cache"))
        ours = {track.name: (video, track) for video in read("ilsvrc", vid) for track in video.tracks}
        assert set(theirs.seq_names) == {name for name, (_, track) in ours.items() if track.present.sum() > 1}
        assert len(theirs.seq_names) == 3
        for name, (files, boxes) in zip(theirs.seq_names, theirs, strict=True):
            video, track = ours[name]
            assert [str(vid / video.frame_names[t]) for t in track.frames[track.present]] == files
            np.testing.assert_array_equal(track.boxes[track.present], boxes)

    def test_links_that_others_scripts_make_are_not_followed(self, vid: Path) -> None:
        (vid / "Annotations" / "VID" / "train" / "a").symlink_to("ILSVRC2015_VID_train_0000")
        assert len(read("ilsvrc", vid, "train")) == 2

    def test_the_folder_above_will_do(self, vid: Path) -> None:
        assert read("ilsvrc", vid.parent, "val")[0].frame_names[0] == f"ILSVRC2015/Data/VID/{VAL}/000000.JPEG"

    def test_the_size_is_the_annotations_or_else_the_pictures(self, vid: Path) -> None:
        file = vid / "Annotations" / "VID" / VAL / "000000.xml"
        write_text(file, annotation("", "<size><width>1280</width><height>720</height></size>"))
        assert read("ilsvrc", vid, "val")[0].size == (1280, 720)
        write_text(file, annotation("", ""))
        assert read("ilsvrc", vid, "val")[0].size == (32, 24)

    def test_a_missing_annotation_or_frame_is_named(self, vid: Path) -> None:
        (vid / "Annotations" / "VID" / VAL / "000001.xml").unlink()
        with pytest.raises(DataError, match=r"Annotations/VID/val/.*/000001.xml: it is missing, but its frame"):
            read("ilsvrc", vid, "val")
        (vid / "Data" / "VID" / TRAIN / "000004.JPEG").unlink()
        with pytest.raises(DataError, match=r"Annotations/VID/train/.*/000004.xml: no frame for it"):
            read("ilsvrc", vid, "train")

    def test_a_track_needs_an_id(self, vid: Path) -> None:
        write_text(vid / "Annotations" / "VID" / VAL / "000000.xml", annotation(det_object((1, 1, 2, 2))))
        with pytest.raises(DataError, match=r"000000.xml, object 1: no <trackid>; mend the file"):
            read("ilsvrc", vid, "val")


@pytest.fixture
def det(tmp_path: Path) -> Path:
    root = tmp_path / "ILSVRC"
    pictures = {
        "train/ILSVRC2013_train/n02121808/n02121808_1": det_object((0, 0, 31, 23)) + det_object((4, 5, 4, 9), DOG),
        "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000001": det_object((1, 2, 3, 4)),
        "val/ILSVRC2012_val_00000001": "",
    }
    for name, objects in pictures.items():
        folder, _, picture = name.rpartition("/")
        write_frames(root / "Data" / "DET" / folder, [1], picture + ".JPEG")
        write_text(root / "Annotations" / "DET" / f"{name}.xml", annotation(objects))
    write_frames(root / "Data" / "DET" / "train" / "ILSVRC2013_train_extra0", range(2), "extra_{}.JPEG")
    return root


class TestDet:
    def test_each_object_is_a_track_of_one_frame(self, det: Path) -> None:
        videos = read("det", det, "train")
        assert summary(videos) == Summary(videos=2, tracks=3, frames=2, boxes=3, absent=0)
        assert videos[0].frame_names == ["Data/DET/train/ILSVRC2013_train/n02121808/n02121808_1.JPEG"]
        assert [track.name for track in videos[0].tracks] == ["n02121808_1.0", "n02121808_1.1"]
        assert [track.category for track in videos[0].tracks] == [CAT, DOG]
        assert [track.boxes.tolist() for track in videos[0].tracks] == [[[0, 0, 32, 24]], [[4, 5, 1, 5]]]

    def test_a_tar_and_its_index_hold_the_same(self, det: Path, tmp_path: Path) -> None:
        assert_round_trip("det", det, "", tmp_path / "packed")

    def test_everything_holds_pictures_without_objects_too(self, det: Path) -> None:
        assert summary(read("det", det)) == Summary(videos=3, tracks=3, frames=3, boxes=3, absent=0)

    def test_links_that_others_scripts_make_are_not_followed(self, det: Path) -> None:
        (det / "Annotations" / "DET" / "train" / "a").symlink_to("ILSVRC2013_train")
        assert len(read("det", det, "train")) == 2

    def test_a_missing_picture_is_named(self, det: Path) -> None:
        (det / "Data" / "DET" / "val" / "ILSVRC2012_val_00000001.JPEG").unlink()
        with pytest.raises(DataError, match=r"ILSVRC2012_val_00000001.xml: no picture for it; expected .*\.JPEG"):
            read("det", det)


BOMB = (
    '<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><annotation><folder>&i;</folder></annotation>"
)


class TestXml:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "x.xml: not XML (no element found"),
            ("<annotation><object>", "x.xml: not XML (no element found"),
            ("hello", "x.xml: not XML (syntax error: line 1, column 0)"),
            ("<annotation>&nbsp;</annotation>", "x.xml: not XML (undefined entity"),
            ("<html/>", "x.xml: <html> where <annotation> is expected"),
            (BOMB, "x.xml: it has a document type, which no annotation needs; refused"),
            ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "x.xml: it has a document type"),
            (
                annotation("<object><name>n1</name></object>"),
                "x.xml, object 1: <xmin> is '' where a number is expected",
            ),
            (annotation(det_object((1, 2, 3, 4), name=" ")), "x.xml, object 1: no <name>"),
            (
                annotation(det_object((1, 2, 3, 4)) + det_object((1, 2, 3, 4)).replace("<ymax>4", "<ymax>nan")),
                "x.xml, object 2: <ymax> is 'nan' where a number is expected",
            ),
            (annotation(det_object((9, 2, 3, 4))), "x.xml, object 1: the box ends at (3, 4), before it begins"),
        ],
    )
    def test_a_mistake_is_one_line_that_names_file_and_object(self, text: str, message: str) -> None:
        with pytest.raises(DataError) as caught:
            parse_picture(text.encode(), "x.xml")
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)

    @given(st.integers(0, 200), st.binary(max_size=8))
    def test_damage_gives_an_annotation_or_a_data_error(self, place: int, patch: bytes) -> None:
        whole = annotation(vid_object(0, (1, 2, 3, 4))).encode()
        try:
            parse_picture(whole[:place] + patch + whole[place + len(patch) :], "x.xml")
        except DataError as error:
            assert "x.xml" in str(error)


def test_a_box_may_extend_outside_of_its_picture(tmp_path: Path) -> None:
    """As some of ImageNet's own do; one of them must not cost a set of a million."""
    write_video(tmp_path, VAL, {0: vid_object(0, (1, 1, 10, 20)), 1: vid_object(0, (-4, 1, 10, 40))})
    (video,) = read("ilsvrc", tmp_path, "val")
    assert video.tracks[0].boxes.tolist() == [[1, 1, 10, 20], [-4, 1, 15, 40]]
