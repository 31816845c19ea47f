"""TC128, DTB70, NfS, NUS-PRO, ALOV and TLP: exact boxes, and what is particular about each."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.data.formats import VideoAnnotation
from seqtrack.errors import DataError
from tests.data.layouts import boxes_text, read, write_frames, write_text
from tests.data.single_target_layouts import (
    vatic,
    write_alov,
    write_dtb70,
    write_nfs,
    write_nuspro,
    write_tc128,
    write_tlp,
)


def by_name(videos: list[VideoAnnotation]) -> dict[str, VideoAnnotation]:
    return {video.name: video for video in videos}


class TestTempleColor:
    def test_labels_of_the_range_of_frames_whatever_the_spelling(self, tmp_path: Path) -> None:
        videos = by_name(read("tc128", write_tc128(tmp_path)))
        assert sorted(videos) == ["Airport_ce", "Bird", "Hurdle_ce2"]
        hurdle = videos["Hurdle_ce2"]
        assert hurdle.frame_names[0] == "Temple-color-128/Hurdle_ce2/img/0001.jpg"
        assert hurdle.tracks[0].frames.tolist() == [2, 3, 4, 5, 6, 7]
        assert hurdle.tracks[0].boxes[0].tolist() == [0, 0, 10, 8]

    def test_its_own_sequences(self, tmp_path: Path) -> None:
        videos = read("tc128", write_tc128(tmp_path), "ce")
        assert [video.name for video in videos] == ["Airport_ce", "Hurdle_ce2"]

    def test_below_the_publishers_folder_or_in_it(self, tmp_path: Path) -> None:
        root = write_tc128(tmp_path)
        names = [video.name for video in read("tc128", root / "Temple-color-128")]
        assert names == [video.name for video in read("tc128", root)]

    @pytest.mark.parametrize("text", ["1", "1,x", "6,1", "1.5,6", "1,6\n1,6", "-1,4", "nan,4"])
    def test_a_range_that_is_none(self, tmp_path: Path, text: str) -> None:
        root = write_tc128(tmp_path)
        file = root / "Temple-color-128" / "Bird" / "bird_frames.txt"
        file.write_text(text)
        with pytest.raises(DataError) as caught:
            read("tc128", root)
        assert str(caught.value).startswith(f"{file}, row 1: ")

    def test_a_range_beyond_the_frames(self, tmp_path: Path) -> None:
        root = write_tc128(tmp_path)
        (root / "Temple-color-128" / "Bird" / "bird_frames.txt").write_text("2,7")
        with pytest.raises(DataError, match=r"Bird_gt.txt, row 6: frame 7 is not among the 6 frames there"):
            read("tc128", root)

    def test_a_range_of_a_thousand_million(self, tmp_path: Path) -> None:
        root = write_tc128(tmp_path)
        (root / "Temple-color-128" / "Bird" / "bird_frames.txt").write_text("1,1e15")
        with pytest.raises(DataError, match=r"Bird_gt.txt: 6 rows for frames 1 to 1e\+15 of .*bird_frames.txt"):
            read("tc128", root)

    def test_two_ground_truths_or_no_range(self, tmp_path: Path) -> None:
        root = write_tc128(tmp_path)
        write_text(root / "Temple-color-128" / "Bird" / "Bird2_gt.txt", boxes_text(6))
        with pytest.raises(DataError, match=r"Bird: 2 \*_gt.txt and 1 \*_frames.txt; expected one of each"):
            read("tc128", root)


def test_dtb70_counts_pixels_from_one(tmp_path: Path) -> None:
    animal, bmx = read("dtb70", write_dtb70(tmp_path))
    assert (animal.name, bmx.name) == ("Animal1", "BMX2")
    assert animal.frame_names[0] == "DTB70/Animal1/img/00001.jpg"
    assert animal.tracks[0].boxes.tolist() == [[t, 2 * t, 10, 8] for t in range(6)]


class TestNeedForSpeed:
    def test_every_row_at_240(self, tmp_path: Path) -> None:
        videos = by_name(read("nfs", write_nfs(tmp_path), "240"))
        bee = videos["bee"]
        assert bee.frame_names[-1] == "bee/240/bee/00044.jpg"
        assert bee.tracks[0].boxes.tolist() == [[t, 2, 10, 8] for t in range(44)]
        assert [t for t in range(44) if not bee.tracks[0].present[t]] == [8]
        assert [t for t in range(44) if bee.tracks[0].occluded[t]] == [7, 8]

    def test_every_eighth_row_at_30_from_the_first_on(self, tmp_path: Path) -> None:
        videos = by_name(read("nfs", write_nfs(tmp_path), "30"))
        track = videos["beach_flipback_person"].tracks[0]
        assert track.boxes.tolist() == [[t, 2, 10, 8] for t in (0, 8, 16, 24, 32, 40)]
        assert track.present.tolist() == [True, False, True, True, True, True]
        assert track.occluded.tolist() == [False, True, False, False, False, False]

    @pytest.mark.parametrize(("frames", "labelled"), [(5, 5), (6, 6), (7, 6)])
    def test_one_frame_or_row_left_over_is_cut_off(self, tmp_path: Path, frames: int, labelled: int) -> None:
        write_frames(tmp_path / "bee" / "30" / "bee", range(1, frames + 1), "{:05d}.jpg")
        write_text(tmp_path / "bee" / "30" / "bee.txt", vatic(44))
        (bee,) = read("nfs", tmp_path, "30")
        assert (len(bee.frame_names), len(bee.tracks[0].frames)) == (labelled, labelled)

    def test_a_file_that_has_30_rows_a_second_itself(self, tmp_path: Path) -> None:
        write_frames(tmp_path / "bee" / "30" / "bee", range(1, 7), "{:05d}.jpg")
        write_text(tmp_path / "bee" / "30" / "bee.txt", vatic(6))
        (bee,) = read("nfs", tmp_path, "30")
        assert bee.tracks[0].boxes[:, 0].tolist() == [0, 1, 2, 3, 4, 5]

    def test_neither_one_nor_eight_rows_a_frame(self, tmp_path: Path) -> None:
        write_frames(tmp_path / "bee" / "240" / "bee", range(1, 21), "{:05d}.jpg")
        write_text(tmp_path / "bee" / "240" / "bee.txt", vatic(44))
        with pytest.raises(DataError, match=r"bee/240/bee.txt: 44 rows for 20 frames, neither one nor 8 a frame"):
            read("nfs", tmp_path, "240")


def test_nuspro_has_opposite_corners_in_either_order(tmp_path: Path) -> None:
    root = write_nuspro(tmp_path)
    write_text(root / "pedestrian_002" / "groundtruth.txt", "3 2 13 10\n13 10 3 2\n13 2 3 10\n0 0 0 0\n")
    track = by_name(read("nuspro", root))["pedestrian_002"].tracks[0]
    assert track.boxes.tolist() == [[3, 2, 10, 8]] * 3 + [[0, 0, 0, 0]]
    assert track.present.tolist() == [True, True, True, False]


class TestAlov:
    def test_every_fifth_frame_and_corners_in_any_order(self, tmp_path: Path) -> None:
        videos = read("alov", write_alov(tmp_path))
        assert [video.name for video in videos] == ["01-Light_video00001", "14-LongDuration_video00002"]
        for video in videos:
            assert len(video.frame_names) == 11
            assert video.tracks[0].frames.tolist() == [0, 5, 10]
        assert [video.tracks[0].boxes[0].tolist() for video in videos] == [[2, 3, 10, 7]] * 2

    def test_rows_may_be_in_any_order(self, tmp_path: Path) -> None:
        root = write_alov(tmp_path)
        file = root / "alov300++_rectangleAnnotation_full" / "01-Light" / "01-Light_video00001.ann"
        file.write_text("6 2 3 12 3 12 10 2 10\n1 1 3 12 3 12 10 1 10\n")
        track = read("alov", root)[0].tracks[0]
        assert track.frames.tolist() == [0, 5]
        assert track.boxes[:, 0].tolist() == [1, 2]

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("16 2 3 12 3 12 10 2 10", "row 2: frame 16 is not among the 11 frames there"),
            ("1 2 3 12 3 12 10 2 10", "row 2: frame 1 is labelled twice"),
            ("6 2 3 12 3 12 90 2 90", "row 2: box x=2 y=3 width=10 height=87: larger than its frame"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, row: str, words: str) -> None:
        root = write_alov(tmp_path)
        file = root / "alov300++_rectangleAnnotation_full" / "01-Light" / "01-Light_video00001.ann"
        file.write_text(f"1 2 3 12 3 12 10 2 10\n{row}\n")
        with pytest.raises(DataError) as caught:
            read("alov", root)
        assert str(caught.value).startswith(f"{file}, {words}")


class TestTlp:
    def test_lost_targets_keep_their_box(self, tmp_path: Path) -> None:
        track = by_name(read("tlp", write_tlp(tmp_path)))["Alladin"].tracks[0]
        assert track.boxes.tolist() == [[t + 1, 2, 10, 8] for t in range(1, 7)]
        assert track.present.tolist() == [True, True, False, True, True, True]

    def test_labels_name_their_frame(self, tmp_path: Path) -> None:
        root = write_tlp(tmp_path)
        file = root / "Alladin" / "groundtruth_rect.txt"
        file.write_text(file.read_text().replace("6,7,2", "7,7,2"))
        with pytest.raises(DataError, match=r"groundtruth_rect.txt, row 6: frame 7 is not among the 6 frames there"):
            read("tlp", root)


def test_a_box_may_reach_beyond_the_frame_or_lie_outside_of_it(tmp_path: Path) -> None:
    """As OTB's and UAV123's do; evaluators count such rows."""
    root = write_dtb70(tmp_path)
    file = root / "DTB70" / "BMX2" / "groundtruth_rect.txt"
    file.write_text("-9,-9,12,12\n25,20,10,8\n50,50,10,8\n1,1,33,25\n1,1,40,30\n")
    boxes = by_name(read("dtb70", root))["BMX2"].tracks[0].boxes
    assert boxes.tolist() == [[-10, -10, 12, 12], [24, 19, 10, 8], [49, 49, 10, 8], [0, 0, 33, 25], [0, 0, 40, 30]]
