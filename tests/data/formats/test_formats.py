"""What is read from each published layout, its known quirks, and what a mistake in a file looks like."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.data.formats import DatasetName, VideoAnnotation, parse_dataset_name, read_videos
from seqtrack.data.formats.common import image_size, parse_rows
from seqtrack.data.formats.otb import LABELLED
from seqtrack.data.storage.trees import DirectoryTree
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import boxes_text, jpeg, manifest_bytes, write_sequence


def read(layout: str, root: Path) -> list[VideoAnnotation]:
    return list(read_videos(DatasetName(layout, root.name), DirectoryTree(root, root.name)))


class TestNames:
    def test_known_and_own(self) -> None:
        assert parse_dataset_name("otb_50") == DatasetName("otb", "otb_50", "50")
        assert parse_dataset_name("vot:my-set.v2") == DatasetName("vot", "my-set.v2")
        assert str(parse_dataset_name("otb_50")) == "otb_50"
        # The whole folder, whatever its name; not the fifty sequences of that benchmark.
        assert str(parse_dataset_name("otb:otb_50")) == "otb:otb_50"
        assert str(parse_dataset_name("vot:otb_50")) == "vot:otb_50"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("otb_500", "did you mean otb_50?"),
            ("votb:x", "did you mean vot?"),
            ("imagenet", "expected one of otb, otb_50, otb_100, otb_cvpr13, tc128"),
            ("otb:a/b", "not a folder's name"),
            ("otb:..", "not a folder's name"),
            ("otb:", "not a folder's name"),
        ],
    )
    def test_mistakes_name_what_is_valid(self, text: str, words: str) -> None:
        with pytest.raises(UserError, match=words.replace("?", r"\?")) as caught:
            parse_dataset_name(text)
        assert repr(text) in str(caught.value)
        assert "\n" not in str(caught.value)


class TestRealSequences:
    def test_otb(self, shared: Path) -> None:
        videos = {video.name: video for video in read("otb", shared / "data" / "otb")}
        assert sorted(videos) == ["Couple", "Crossing", "David", "Football1", "Skiing"]
        crossing = videos["Crossing"]
        assert crossing.size == (360, 240)
        assert crossing.frame_names[0] == "Crossing/img/0001.jpg"
        assert len(crossing.frame_names) == 120
        # The file says 205 151 17 50, counted from 1.
        assert crossing.tracks[0].boxes[0].tolist() == [204, 150, 17, 50]
        assert crossing.tracks[0].boxes.dtype == np.float64

    def test_david_begins_at_file_300(self, shared: Path) -> None:
        (david,) = (v for v in read("otb", shared / "data" / "otb") if v.name == "David")
        assert david.frame_names[0] == "David/img/0300.jpg"
        assert david.tracks[0].frames.tolist() == list(range(471))

    def test_football1_has_fewer_labels_than_frames(self, shared: Path) -> None:
        (football,) = (v for v in read("otb", shared / "data" / "otb") if v.name == "Football1")
        assert len(football.frame_names) == 81
        assert football.tracks[0].frames.tolist() == list(range(74))

    def test_vot_polygons_and_their_hulls(self, shared: Path) -> None:
        (bag,) = read("vot", shared / "data" / "vot")
        track = bag.tracks[0]
        assert (bag.name, bag.size, len(bag.frame_names)) == ("bag", (480, 360), 196)
        assert track.polygons is not None
        assert track.polygons[0].tolist() == [291.827, 203.603, 396.382, 264.289, 442.173, 185.397, 337.618, 124.711]
        assert track.boxes[0] == pytest.approx([291.827, 124.711, 150.346, 139.578])

    def test_the_folder_of_one_sequence_is_a_data_set(self, shared: Path) -> None:
        (bag,) = read("vot", shared / "data" / "vot" / "bag")
        assert (bag.name, bag.frame_names[0]) == ("bag", "img/00000001.jpg")
        (skiing,) = read("otb", shared / "data" / "otb" / "Skiing")
        assert (skiing.name, skiing.frame_names[0]) == ("Skiing", "img/0001.jpg")


class TestOtb:
    @pytest.mark.parametrize(
        "text", ["1,2,3,4\n5,6,7,8\n", "1\t2\t3\t4\n5\t6\t7\t8", "1 2  3 4\r\n5, 6, 7,\t8\r\n\n"]
    )
    def test_delimiters_may_be_mixed(self, tmp_path: Path, text: str) -> None:
        write_sequence(tmp_path / "Seq", [1, 2], text)
        (video,) = read("otb", tmp_path)
        assert video.tracks[0].boxes.tolist() == [[0, 1, 3, 4], [4, 5, 7, 8]]

    def test_nan_and_zero_rows_mean_absent(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "Seq", [1, 2, 3, 4], "1,2,3,4\nNaN,NaN,NaN,NaN\n0,0,0,0\n5,6,7,8\n")
        track = read("otb", tmp_path)[0].tracks[0]
        assert track.present.tolist() == [True, False, False, True]
        assert np.isnan(track.boxes[1]).all()
        assert track.boxes[2].tolist() == [-1, -1, 0, 0]

    def test_two_targets_in_one_folder_are_two_tracks(self, tmp_path: Path) -> None:
        texts = {"groundtruth_rect.1.txt": "1,2,3,4\n" * 2, "groundtruth_rect.2.txt": "5,6,7,8\n" * 2}
        write_sequence(tmp_path / "Jogging", [1, 2], texts)
        (video,) = read("otb", tmp_path)
        assert [track.name for track in video.tracks] == ["Jogging-1", "Jogging-2"]
        assert [track.boxes[0, 0] for track in video.tracks] == [0, 4]

    @pytest.mark.parametrize("name", sorted(LABELLED))
    def test_labels_that_cover_a_part_of_the_frames(self, tmp_path: Path, name: str) -> None:
        """The whole folder from file 1 on, some files beyond the labels too, rows for the labelled part only."""
        first, last = LABELLED[name]
        folder = tmp_path / name
        (folder / "img").mkdir(parents=True)
        for number in range(1, last + 8):
            # One name for one image: nothing but the first header is read.
            (folder / "img" / f"{number:04d}.jpg").symlink_to(tmp_path / "one.jpg")
        (tmp_path / "one.jpg").write_bytes(jpeg())
        (folder / "groundtruth_rect.txt").write_text("1,1,10,8\n" * (last - first + 1))
        (video,) = read("otb", tmp_path)
        frames = video.tracks[0].frames
        assert [video.frame_names[t] for t in (frames[0], frames[-1])] == [
            f"{name}/img/{number:04d}.jpg" for number in (first, last)
        ]
        assert video.tracks[0].boxes[0].tolist() == [0, 0, 10, 8]

    def test_tiger1_leaves_its_first_five_rows_out_as_otb_does(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "tiger1", range(1, 355), boxes_text(354), size=(400, 800))
        track = read("otb", tmp_path)[0].tracks[0]
        assert track.frames[[0, -1]].tolist() == [5, 353]
        assert track.boxes[0].tolist() == [5, 10, 10, 8]

    def test_rows_that_do_not_match_the_frames(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "Seq", [1, 2, 3], boxes_text(2))
        with pytest.raises(DataError, match=r"Seq/groundtruth_rect.txt: 2 rows for 3 frames; .* match"):
            read("otb", tmp_path)

    def test_a_known_quirk_is_no_licence_for_others(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "Football1", range(1, 82), boxes_text(73))
        with pytest.raises(DataError, match=r"73 rows for 81 frames \(of which 74 are known to be labelled\)"):
            read("otb", tmp_path)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ("1,2,3,4\n1,2,x,4\n", "row 2: '1,2,x,4' is not 4 numbers"),
            ("1,2,3,4\n\n1,2,3,4\n", "row 2: 0 numbers where 4 are expected"),
            ("1,2,3,4,5\n", "row 1: 5 numbers where 4 are expected"),
            ("1,2,3,inf\n", "row 1: an infinite number"),
            ("", "no rows"),
        ],
    )
    def test_bad_rows_are_named(self, tmp_path: Path, rows: str, message: str) -> None:
        write_sequence(tmp_path / "Seq", [1, 2], rows)
        with pytest.raises(DataError) as caught:
            read("otb", tmp_path)
        assert str(caught.value).startswith(str(tmp_path / "Seq" / "groundtruth_rect.txt"))
        assert message in str(caught.value)

    def test_frames_without_a_ground_truth_and_the_other_way_round(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "a" / "Seq", [1], {})
        with pytest.raises(DataError, match=r"a/Seq: frames in img/ but no groundtruth_rect.txt"):
            read("otb", tmp_path / "a")
        write_sequence(tmp_path / "b" / "Seq", [], boxes_text(1))
        with pytest.raises(DataError, match=r"b/Seq/img: no frames"):
            read("otb", tmp_path / "b")

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "readme.txt").write_text("hello")
        with pytest.raises(DataError, match=r"no sequence in the otb layout here; expected <Seq>/img"):
            read("otb", tmp_path)

    def test_hidden_files_are_no_frames(self, tmp_path: Path) -> None:
        folder = write_sequence(tmp_path / "Seq", [1, 2], boxes_text(2))
        (folder / "img" / "._0001.jpg").write_bytes(b"resource fork")
        assert len(read("otb", tmp_path)[0].frame_names) == 2

    def test_unpadded_numbers_are_ordered_as_numbers(self, tmp_path: Path) -> None:
        folder = write_sequence(tmp_path / "Seq", [], boxes_text(3))
        for number in (9, 10, 11):
            (folder / "img" / f"{number}.jpg").write_bytes(jpeg())
        names = read("otb", tmp_path)[0].frame_names
        assert names == [f"Seq/img/{number}.jpg" for number in (9, 10, 11)]

    def test_sizes_of_a_preprocessed_version_come_from_its_manifest(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "Seq", [1], boxes_text(1), size=(36, 36))
        (tmp_path / "seqtrack-manifest.json").write_bytes(manifest_bytes("otb", {"Seq": (640, 480)}))
        assert read("otb", tmp_path)[0].size == (640, 480)
        (tmp_path / "seqtrack-manifest.json").write_bytes(manifest_bytes("otb", {"Other": (640, 480)}))
        with pytest.raises(DataError, match="its manifest has no size for video Seq"):
            read("otb", tmp_path)
        (tmp_path / "seqtrack-manifest.json").write_text('{"sizes": [1]}')
        with pytest.raises(DataError, match=r"seqtrack-manifest.json: expected \{"):
            read("otb", tmp_path)


class TestVot:
    def write(self, folder: Path, rows: str, frames: str = "", count: int = 2) -> None:
        (folder / frames).mkdir(parents=True)
        for number in range(1, count + 1):
            (folder / frames / f"{number:08d}.jpg").write_bytes(jpeg())
        (folder / "groundtruth.txt").write_text(rows)

    @pytest.mark.parametrize("frames", ["", "color", "img"])
    def test_coordinates_are_taken_as_they_are(self, tmp_path: Path, frames: str) -> None:
        self.write(tmp_path / "bag", "0,1,2,3\n4,5,6,7\n", frames)
        (video,) = read("vot", tmp_path)
        assert video.tracks[0].boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert video.tracks[0].polygons is None
        assert len(video.frame_names) == 2

    def test_absent_in_long_term(self, tmp_path: Path) -> None:
        self.write(tmp_path / "bag", "0,1,2,3\nnan,nan,nan,nan\n")
        assert read("vot", tmp_path)[0].tracks[0].present.tolist() == [True, False]

    def test_occlusion_tags(self, tmp_path: Path) -> None:
        self.write(tmp_path / "bag", "0,1,2,3\n" * 3, count=3)
        (tmp_path / "bag" / "occlusion.tag").write_text("0\n1\n")
        assert read("vot", tmp_path)[0].tracks[0].occluded.tolist() == [False, True, False]

    def test_the_list_chooses_and_orders(self, tmp_path: Path) -> None:
        for name in ("a", "b", "c"):
            self.write(tmp_path / name, "0,1,2,3\n" * 2)
        (tmp_path / "list.txt").write_text("c\na\n")
        assert [video.name for video in read("vot", tmp_path)] == ["c", "a"]
        (tmp_path / "list.txt").write_text("c\nd\n")
        with pytest.raises(DataError, match=r"list.txt, row 2: sequence 'd' is not there"):
            read("vot", tmp_path)

    def test_rows_must_match_the_frames(self, tmp_path: Path) -> None:
        self.write(tmp_path / "bag", "0,1,2,3\n")
        with pytest.raises(DataError, match=r"bag/groundtruth.txt: 1 rows for 2 frames"):
            read("vot", tmp_path)

    def test_a_mixture_of_boxes_and_polygons_is_a_mistake(self, tmp_path: Path) -> None:
        self.write(tmp_path / "bag", "0,1,2,3\n0,0,1,0,1,1,0,1\n")
        with pytest.raises(DataError, match="row 2: 8 numbers where 4 are expected"):
            read("vot", tmp_path)


class TestImageSize:
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
    def test_agrees_with_a_decoder(self, suffix: str) -> None:
        ok, data = cv2.imencode(suffix, np.zeros((37, 53, 3), np.uint8))
        assert ok
        assert image_size(bytes(data), "x") == (53, 37)

    def test_progressive_jpeg(self) -> None:
        _, data = cv2.imencode(".jpg", np.zeros((37, 53, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
        assert image_size(bytes(data), "x") == (53, 37)

    def test_exif_orientation_is_ignored(self) -> None:
        """Orientation 6 (turned by 90°) in an APP1 segment before everything else."""
        tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
        segment = b"Exif\0\0" + tiff
        plain = jpeg(53, 37)
        turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
        assert image_size(turned, "x") == (53, 37)

    @pytest.mark.parametrize("data", [b"", b"GIF89a", jpeg()[:40], b"\xff\xd8" + b"\xff" * 50, b"\x89PNG\r\n\x1a\n"])
    def test_what_does_not_decode_is_named(self, data: bytes) -> None:
        with pytest.raises(DataError, match=r"^Seq/img/0001.jpg: its header does not decode"):
            image_size(data, "Seq/img/0001.jpg")


def test_rows_of_all_real_annotations_are_read(shared: Path) -> None:
    files = sorted((shared / "results" / "otb100" / "anno").glob("*.txt"))
    assert len(files) > 90
    for file in files:
        rows = parse_rows(file.read_bytes(), str(file), (4,))
        assert rows.shape == (len(file.read_text().strip().splitlines()), 4), file


def test_importing_the_layouts_is_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, seqtrack.data.formats; print([m for m in ('numpy', 'cv2', 'h5py', 'torch') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"
