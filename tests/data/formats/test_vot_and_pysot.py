"""VOT as its publisher has it, and packed by pysot into one JSON, as it packs OTB and others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtrack.data.formats import DatasetName, read_videos
from seqtrack.data.geometry import polygon_hull
from seqtrack.data.storage.trees import DirectoryTree
from seqtrack.errors import DataError
from tests.data.layouts import MemoryTree, read, write_frames, write_text
from tests.data.single_target_layouts import write_pysot, write_vot


class TestVot:
    def test_the_same_as_packed_by_pysot(self, tmp_path: Path) -> None:
        """list.txt and the JSON both say bag first."""
        root = write_vot(tmp_path)
        records = {}
        for video in read("vot", root):
            rows = video.tracks[0].polygons if video.tracks[0].polygons is not None else video.tracks[0].boxes
            names = list(video.frame_names)
            records[video.name] = {"video_dir": video.name, "img_names": names, "gt_rect": rows.tolist()}
        write_text(root / "VOT2018.json", json.dumps(records))
        for a, b in zip(read("vot", root), read("pysot", root), strict=True):
            assert (a.name, a.frame_names, a.size) == (b.name, b.frame_names, b.size)
            np.testing.assert_array_equal(a.tracks[0].boxes, b.tracks[0].boxes)

    @pytest.mark.parametrize("lonely", ["0", "1", " nan ", "2\r"])
    def test_a_row_of_one_number_says_that_no_region_is_known(self, tmp_path: Path, lonely: str) -> None:
        """vot-toolkit's codes; they stand in for as many numbers as the other rows have."""
        for rows in ("1,2,10,8", "1,2,11,2,11,10,1,10"):
            root = tmp_path / str(len(rows))
            write_frames(root / "bag", range(1, 4))
            write_text(root / "bag" / "groundtruth.txt", f"{rows}\n{lonely}\n{rows}\n")
            track = read("vot", root)[0].tracks[0]
            assert track.present.tolist() == [True, False, True]
            assert track.boxes[2].tolist() == [1, 2, 10, 8]

    def test_nothing_but_single_numbers_is_a_mistake(self, tmp_path: Path) -> None:
        write_frames(tmp_path / "bag", [1, 2])
        write_text(tmp_path / "bag" / "groundtruth.txt", "0\n0\n")
        with pytest.raises(DataError, match=r"groundtruth.txt, row 1: 1 numbers where 4 or 8 are expected"):
            read("vot", tmp_path)

    def test_masks_are_refused(self, tmp_path: Path) -> None:
        write_frames(tmp_path / "bag", [1])
        write_text(tmp_path / "bag" / "groundtruth.txt", "m10,20,3,4,0,5\n")
        with pytest.raises(DataError, match=r"groundtruth.txt, row 1: 'm10,20,3,4,0,5' is not 4 or 8 numbers"):
            read("vot", tmp_path)

    def test_a_list_that_is_no_text(self, tmp_path: Path) -> None:
        root = write_vot(tmp_path)
        (root / "list.txt").write_bytes(b"bag\n\xff\xfe\n")
        with pytest.raises(DataError, match=r"list.txt, row 2: sequence '.*' is not there"):
            read("vot", root)

    def test_what_the_list_leaves_out_may_lack_labels(self, tmp_path: Path) -> None:
        root = write_vot(tmp_path)
        write_frames(root / "unfinished", [1, 2])
        assert [video.name for video in read("vot", root)] == ["bag", "ants"]
        (root / "list.txt").unlink()
        with pytest.raises(DataError, match=r"unfinished: frames, but no groundtruth.txt for them"):
            read("vot", root)


class TestPysot:
    def records(self, root: Path, name: str = "VOT2018") -> dict[str, Any]:
        records: dict[str, Any] = json.loads((root / f"{name}.json").read_text())
        return records

    def replace(self, root: Path, **values: object) -> None:
        """Of the sequence conduction1; None removes a key."""
        records = self.records(root)
        records["conduction1"] |= values
        records["conduction1"] = {key: value for key, value in records["conduction1"].items() if value is not None}
        write_text(root / "VOT2018.json", json.dumps(records))

    def test_polygons_boxes_sizes_and_tags(self, tmp_path: Path) -> None:
        ants, conduction = read("pysot", write_pysot(tmp_path))
        assert ants.tracks[0].boxes[0].tolist() == [1, 2, 10, 8]
        assert ants.tracks[0].polygons is not None
        assert ants.tracks[0].present.tolist() == [True, True, True, False]
        assert ants.tracks[0].occluded.tolist() == [False, False, False, True]
        assert conduction.tracks[0].boxes.tolist() == [[1, 2, 10, 8]] * 5
        assert conduction.tracks[0].polygons is None
        assert conduction.frame_names[-1] == "conduction1/color/00000005.jpg"

    def test_benchmarks_of_matlab_count_from_one(self, tmp_path: Path) -> None:
        (root := tmp_path / "OTB100").mkdir()
        write_pysot(root, "OTB100")
        assert read("pysot", root)[1].tracks[0].boxes[0].tolist() == [0, 1, 10, 8]

    def test_the_name_says_which_of_several(self, tmp_path: Path) -> None:
        write_pysot(tmp_path, "OTB100")
        one = self.records(tmp_path, "OTB100")
        del one["ants1"]
        write_text(tmp_path / "OTB50.json", json.dumps(one))

        def names(folder: str) -> list[str]:
            return [
                video.name for video in read_videos(DatasetName("pysot", folder), DirectoryTree(tmp_path, folder))
            ]

        assert names("OTB50") == names("otb50") == ["conduction1"]
        assert names("OTB100") == ["ants1", "conduction1"]
        with pytest.raises(DataError, match=r"which of OTB100.json, OTB50.json\? Call the data set by"):
            names("mine")

    def test_paths_below_the_videos_folder(self, tmp_path: Path) -> None:
        root = write_pysot(tmp_path)
        self.replace(root, img_names=[f"color/{t:08d}.jpg" for t in range(1, 6)])
        assert read("pysot", root)[1].frame_names[0] == "conduction1/color/00000001.jpg"

    def test_copies_that_pysot_asks_for_need_not_be_made(self, tmp_path: Path) -> None:
        write_frames(tmp_path / "Jogging" / "img", [1, 2], "{:04d}.jpg")
        records = {
            f"Jogging-{k}": {
                "video_dir": f"Jogging-{k}",
                "img_names": [f"Jogging-{k}/img/{t:04d}.jpg" for t in (1, 2)],
                "gt_rect": [[k, 2, 10, 8]] * 2,
            }
            for k in (1, 2)
        }
        write_text(tmp_path / "CVPR13.json", json.dumps(records))
        videos = read("pysot", tmp_path)
        assert [(video.name, video.tracks[0].boxes[0, 0]) for video in videos] == [("Jogging-1", 0), ("Jogging-2", 1)]
        assert videos[1].frame_names == ["Jogging/img/0001.jpg", "Jogging/img/0002.jpg"]

    def test_labels_of_the_first_frame_only(self, tmp_path: Path) -> None:
        root = write_pysot(tmp_path)
        self.replace(root, gt_rect=[[1, 2, 10, 8]])
        assert read("pysot", root)[1].tracks[0].frames.tolist() == [0]

    def test_flags_of_absence(self, tmp_path: Path) -> None:
        root = write_pysot(tmp_path)
        self.replace(root, absent=[0, 1, 0, 0, 0])
        track = read("pysot", root)[1].tracks[0]
        assert track.present.tolist() == [True, False, True, True, True]

    def test_sizes_come_from_a_frame_where_the_file_has_none(self, tmp_path: Path) -> None:
        root = write_pysot(tmp_path)
        self.replace(root, width=None, height=None)
        assert read("pysot", root)[1].size == (32, 24)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"gt_rect": [[1, 2, 10, 8]] * 3}, "3 rows for 5 frames; rows and frames must match"),
            ({"gt_rect": [[1, 2, 10, 8]] * 4 + [[1, 2]]}, "row 5: [1, 2] is not 4 or 8 numbers"),
            ({"gt_rect": [[1, 2, 10, "8"]] * 5}, "row 1: [1, 2, 10, '8'] is not 4 or 8 numbers"),
            ({"gt_rect": [[1, 2, 10, 8]] * 4 + [[1, 2, -10, 8]]}, "row 5: box x=1 y=2 width=-10 height=8: negative"),
            ({"gt_rect": [[1, 2, 10, 10**400]] * 5}, "row 1: [1, 2, 10, 1000"),
            ({"gt_rect": None}, "expected gt_rect, a list of rows"),
            ({"gt_rect": {"0": 1}}, "expected gt_rect, a list of rows"),
            ({"img_names": None}, "expected img_names, a list of paths"),
            ({"img_names": [1, 2]}, "expected img_names, a list of paths"),
            ({"img_names": ["gone/1.jpg"]}, "no frame gone/1.jpg"),
            (
                {"img_names": [f"conduction1/color/{t:08d}.jpg" for t in (1, 2, 3, 4, 9)]},
                "no frame conduction1/color/00000009.jpg; add it",
            ),
            ({"occlusion": [0] * 6}, "occlusion has to be a list of 5 flags"),
            ({"width": 0}, "width 0 and height 24 are no size of a frame"),
        ],
    )
    def test_mistakes_name_file_and_sequence(self, tmp_path: Path, values: dict[str, object], words: str) -> None:
        root = write_pysot(tmp_path)
        self.replace(root, **values)
        with pytest.raises(DataError) as caught:
            read("pysot", root)
        message = str(caught.value)
        assert message.startswith(f"{root / 'VOT2018.json'}, sequence conduction1")
        assert words in message
        assert "\n" not in message

    @pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": [1]}', "[" * 100_000])
    def test_what_is_no_such_json(self, tmp_path: Path, text: str) -> None:
        write_text(tmp_path / "OTB100.json", text)
        with pytest.raises(DataError, match=r"OTB100.json") as caught:
            read("pysot", tmp_path)
        assert "\n" not in str(caught.value)

    def test_the_real_annotations_of_vot2018(self, shared: Path) -> None:
        """60 sequences: 59 of polygons and one of boxes, with frames that are stood in for."""
        packed = (shared / "results" / "vot2018" / "VOT2018.json").read_bytes()
        records = json.loads(packed)
        frames = {name: b"" for record in records.values() for name in record["img_names"]}
        tree = MemoryTree("vot2018", frames | {"VOT2018.json": packed})
        videos = list(read_videos(DatasetName("pysot", "vot2018"), tree))
        assert len(videos) == 60
        assert sum(video.tracks[0].polygons is None for video in videos) == 1
        for video in videos:
            record = records[video.name]
            assert video.size == (record["width"], record["height"])
            rows = np.array(record["gt_rect"])
            hulls = polygon_hull(rows) if rows.shape[1] == 8 else rows
            np.testing.assert_array_equal(video.tracks[0].boxes, hulls)


def test_two_readers_of_bag(shared: Path, tmp_path: Path) -> None:
    """The real sequence: hulls of its polygons are what its own groundtruth_rect.txt has, to the printed digits."""
    folder = shared / "data" / "vot" / "bag"
    (bag,) = read("vot", folder)
    hulls = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",")
    np.testing.assert_allclose(bag.tracks[0].boxes, hulls, atol=1e-2)
