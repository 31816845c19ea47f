"""TFDS builders are read without TensorFlow, and what seqtrack exports is read by TFDS and by seqtrack again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtrack.data.datasets import Dataset, open_dataset, open_index_of
from seqtrack.data.exchange.export_crops import export_crops
from seqtrack.data.exchange.export_tfds import builder_name, export_tfds, relative
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.indexing.index import Index
from seqtrack.data.locations import Locations, locate
from seqtrack.data.storage.records import serialise, write_info, write_shard
from seqtrack.errors import DataError, UserError
from seqtrack.tools import export as tool
from tests.data.otb_layout import jpeg, write_sequence
from tests.data.smaller import assert_smaller_versions_agree

tfds = pytest.importorskip("tensorflow_datasets")
F = tfds.features


def silent(_: str) -> None:
    """Messages are tested elsewhere."""


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def write_builder(folder: Path, features: Any, splits: Mapping[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(parents=True)
    name = folder.parent.name
    sizes = {
        split: [write_shard(folder / f"{name}-{split}.array_record-00000", examples)]
        for split, examples in splits.items()
    }
    write_info(folder, name, "made for a test", features, sizes)
    return folder


def read(name: str, data_dir: Path, tmp_path: Path) -> Dataset:
    places = Locations(data_dir=data_dir, cache_dir=tmp_path / "cache")
    return open_dataset(parse_dataset_name(name), places, silent)


class TestOthers:
    """Builders as TFDS' own scripts prepare them, by the features of their catalogue pages."""

    @pytest.fixture
    def coco(self, tmp_path: Path) -> Path:
        """coco/2017: objects of single images, none in one of them."""
        features = F.FeaturesDict(
            {
                "image": F.Image(encoding_format="jpeg"),
                "image/filename": F.Text(),
                "objects": F.Sequence(
                    {
                        "area": np.int64, "bbox": F.BBoxFeature(), "id": np.int64, "is_crowd": np.bool_,
                        "label": F.ClassLabel(names=["person", "dog"]),
                    }
                ),
            }
        )  # fmt: skip
        first = {
            "image": [jpeg(40, 20, 1)], "image/filename": [b"1.jpg"], "objects/area": ints(1, 2),
            "objects/bbox": floats(0, 0, 0.5, 0.25, 0.25, 0.5, 0.75, 1.0), "objects/id": ints(1, 2),
            "objects/is_crowd": ints(0, 0), "objects/label": ints(1, 0),
        }  # fmt: skip
        empty = {
            "image": [jpeg(16, 16, 2)], "image/filename": [b"2.jpg"], "objects/area": ints(),
            "objects/bbox": floats(), "objects/id": ints(), "objects/is_crowd": ints(), "objects/label": ints(),
        }  # fmt: skip
        splits = {"train": [first, empty], "validation": [first]}
        return write_builder(tmp_path / "data/coco/2017/1.1.0", features, splits).parents[2]

    def test_objects_of_images_are_tracks_of_one_frame(self, coco: Path, tmp_path: Path) -> None:
        dataset = read("tfds:coco/2017/train", coco, tmp_path)
        index = dataset.index
        assert (index.num_videos, index.num_tracks) == (2, 2)
        assert index.video_size(0) == (40, 20)
        assert index.track(0).boxes.tolist() == [[0, 0, 10, 10]]
        assert index.track(1).boxes.tolist() == [[20, 5, 20, 10]]
        assert [index.track(k).category for k in (0, 1)] == ["dog", "person"]
        assert dataset.read_frame(0, 0) == jpeg(40, 20, 1)
        assert dataset.read_frame(1, 0) == jpeg(16, 16, 2)

    def test_all_splits_and_versions(self, coco: Path, tmp_path: Path) -> None:
        assert read("tfds:coco/2017", coco, tmp_path).index.num_videos == 3
        assert read("tfds:coco/2017/1.1.0/validation", coco, tmp_path).index.num_videos == 1
        assert str(parse_dataset_name("tfds:coco/2017/train")) == "tfds:coco/2017/train"
        given = Locations(data_paths={"coco-2017": coco / "coco/2017/1.1.0"}, cache_dir=tmp_path / "cache")
        assert open_index_of(parse_dataset_name("tfds:coco/2017"), given, silent).num_videos == 3

    def test_smaller_versions_agree(self, coco: Path, tmp_path: Path) -> None:
        name = parse_dataset_name("tfds:coco/2017")
        assert_smaller_versions_agree(name, coco / "coco/2017/1.1.0", tmp_path / "smaller")

    def test_tracks_of_a_video_with_their_frames(self, tmp_path: Path) -> None:
        """youtube_vis and tao: boxes by track, with the numbers of their frames."""
        features = F.FeaturesDict(
            {
                "metadata": F.FeaturesDict({"video_name": F.Text(), "num_frames": np.int32}),
                "video": F.Sequence(F.Image(encoding_format="jpeg")),
                "tracks": F.Sequence(
                    {
                        "bboxes": F.Sequence(F.BBoxFeature()), "category": F.ClassLabel(names=["cat", "owl"]),
                        "frames": F.Sequence(np.int32), "is_crowd": np.bool_,
                    }
                ),
            }
        )  # fmt: skip
        frames = [jpeg(40, 20, value) for value in range(3)]
        example = {
            "metadata/video_name": [b"0a1b"], "metadata/num_frames": ints(3), "video": frames,
            "tracks/bboxes/ragged_flat_values": floats(0, 0, 1, 1, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1),
            "tracks/bboxes/ragged_row_lengths_0": ints(2, 1), "tracks/category": ints(1, 0),
            "tracks/frames/ragged_flat_values": ints(0, 2, 1), "tracks/frames/ragged_row_lengths_0": ints(2, 1),
            "tracks/is_crowd": ints(0, 0),
        }  # fmt: skip
        folder = write_builder(tmp_path / "data/youtube_vis/1.0.0", features, {"train": [example]})
        # Theirs is a Video, which TFDS itself can neither make nor open without TensorFlow.
        written = json.loads((folder / "features.json").read_text())
        written["featuresDict"]["features"]["video"] = {
            "pythonClassName": "tensorflow_datasets.core.features.video_feature.Video",
            "video": {"shape": {"dimensions": ["-1", "-1", "-1", "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"},
        }
        (folder / "features.json").write_text(json.dumps(written))
        dataset = read("tfds:youtube_vis", folder.parents[1], tmp_path)
        index = dataset.index
        assert index.video_name(0) == "0a1b"
        assert [index.track(k).frames.tolist() for k in (0, 1)] == [[0, 2], [1]]
        assert index.track(0).boxes.tolist() == [[0, 0, 40, 20], [0, 0, 20, 10]]
        assert index.track(1).boxes.tolist() == [[20, 10, 20, 10]]
        assert [index.track(k).category for k in (0, 1)] == ["owl", "cat"]
        assert [dataset.read_frame(0, t) for t in range(3)] == frames

    def test_objects_of_frames_with_a_number_of_their_track(self, tmp_path: Path) -> None:
        features = F.FeaturesDict(
            {
                "frames": F.Sequence(
                    {"image": F.Image(), "objects": F.Sequence({"bbox": F.BBoxFeature(), "track_id": np.int64})}
                )
            }
        )
        example = {
            "frames/image": [jpeg(10, 10, 1), jpeg(10, 10, 2)],
            "frames/objects/bbox/ragged_flat_values": floats(0, 0, 1, 1, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1),
            "frames/objects/bbox/ragged_row_lengths_0": ints(2, 1),
            "frames/objects/track_id/ragged_flat_values": ints(7, 9, 9),
            "frames/objects/track_id/ragged_row_lengths_0": ints(2, 1),
        }
        folder = write_builder(tmp_path / "data/mot/1.0.0", features, {"train": [example]})
        index = read("tfds:mot", folder.parents[1], tmp_path).index
        assert [index.track(k).frames.tolist() for k in (0, 1)] == [[0], [0, 1]]
        assert index.track(1).boxes.tolist() == [[0, 0, 5, 5], [5, 5, 5, 5]]

    def test_one_box_for_each_frame_is_one_track(self, tmp_path: Path) -> None:
        features = F.FeaturesDict({"video": F.Sequence(F.Image()), "bbox": F.Sequence(F.BBoxFeature())})
        example = {"video": [jpeg(10, 10)] * 2, "bbox": floats(0, 0, 1, 1, 0, 0, 0.5, 0.5)}
        folder = write_builder(tmp_path / "data/single/1.0.0", features, {"test": [example]})
        assert read("tfds:single", folder.parents[1], tmp_path).index.track(0).boxes.tolist() == [
            [0, 0, 10, 10], [0, 0, 5, 5],
        ]  # fmt: skip

    def test_other_labels_are_another_index(self, coco: Path, tmp_path: Path) -> None:
        before = read("tfds:coco/2017", coco, tmp_path).index.fingerprint
        shard = coco / "coco/2017/1.1.0/2017-train.array_record-00000"
        record = jpeg(40, 20, 1)
        changed = {
            "image": [record], "image/filename": [b"1.jpg"], "objects/area": ints(1),
            "objects/bbox": floats(0, 0, 1, 1), "objects/id": ints(1), "objects/is_crowd": ints(0),
            "objects/label": ints(1),
        }  # fmt: skip
        shard.unlink()
        write_shard(shard, [changed, changed])
        assert read("tfds:coco/2017", coco, tmp_path).index.fingerprint != before


class TestMistakes:
    def test_nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))
        with pytest.raises(UserError) as caught:
            locate(parse_dataset_name("tfds:tao/train"), Locations(data_dir=tmp_path))
        assert str(caught.value) == (
            f"data set tfds:tao/train: not found; looked for {tmp_path}/tao/train/…/dataset_info.json (--data_dir)"
            f" and {tmp_path}/default/tao/train/…/dataset_info.json (TFDS_DATA_DIR)"
        )

    def test_the_default_folder_of_tfds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        features = F.FeaturesDict({"image": F.Image(), "bbox": F.BBoxFeature()})
        example = {"image": [jpeg(10, 10)], "bbox": floats(0, 0, 1, 1)}
        folder = write_builder(tmp_path / "default/one/1.0.0", features, {"train": [example]})
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))
        assert locate(parse_dataset_name("tfds:one"), Locations()).path == folder
        with pytest.raises(UserError, match=r"--storage=zip: data set tfds:one is of kind array_record"):
            locate(parse_dataset_name("tfds:one"), Locations(storage="zip"))

    def test_a_data_set_without_boxes(self, tmp_path: Path) -> None:
        features = F.FeaturesDict({"image": F.Image(), "label": np.int64})
        folder = write_builder(tmp_path / "mnist/1.0.0", features, {"train": [{"image": [jpeg()], "label": ints(3)}]})
        with pytest.raises(DataError, match=r"no bbox feature among image, label; expected a data set of objects"):
            read("tfds:mnist", folder.parents[1], tmp_path)

    def test_records_that_cannot_be_read_at_random(self, tmp_path: Path) -> None:
        features = F.FeaturesDict({"image": F.Image(), "bbox": F.BBoxFeature()})
        folder = write_builder(tmp_path / "old/1.0.0", features, {"train": []})
        info = folder / "dataset_info.json"
        info.write_text(info.read_text().replace("array_record", "tfrecord"))
        with pytest.raises(DataError, match=r"records are tfrecord.*; prepare it with file_format='array_record'"):
            read("tfds:old", folder.parents[1], tmp_path)

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"image": []}, "no picture in image"),
            ({"image": [b"rubbish"]}, "its header does not decode"),
            ({"bbox": floats(0, 0, 1)}, "its boxes do not fit its frames"),
        ],
    )
    def test_a_record_that_does_not_fit_names_itself(self, tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
        features = F.FeaturesDict({"image": F.Image(), "bbox": F.BBoxFeature()})
        good = {"image": [jpeg(10, 10)], "bbox": floats(0, 0, 1, 1)}
        folder = write_builder(tmp_path / "bad/1.0.0", features, {"train": [good, good | wrong]})
        with pytest.raises(DataError, match=words) as caught:
            read("tfds:bad", folder.parents[1], tmp_path)
        assert str(caught.value).startswith(f"{folder}: train/00000001")

    def test_a_damaged_or_missing_shard(self, tmp_path: Path) -> None:
        features = F.FeaturesDict({"image": F.Image(), "bbox": F.BBoxFeature()})
        good = {"image": [jpeg(10, 10)], "bbox": floats(0, 0, 1, 1)}
        folder = write_builder(tmp_path / "bad/1.0.0", features, {"train": [good]})
        (shard,) = folder.glob("*.array_record*")
        whole = shard.read_bytes()
        shard.write_bytes(whole[:100] + b"\xff" * 50 + whole[150:])
        with pytest.raises(DataError, match=str(shard)):
            read("tfds:bad", folder.parents[1], tmp_path)
        shard.unlink()
        with pytest.raises(DataError, match=r"there is no such file; is the data set complete\?"):
            read("tfds:bad", folder.parents[1], tmp_path)

    def test_serialising_is_the_same_every_time(self) -> None:
        example = {"b": ints(1), "a": [b"x"], "c": floats(0.5)}
        assert serialise(example) == serialise(dict(reversed(example.items())))


@pytest.fixture
def original(tmp_path: Path) -> Dataset:
    """Three videos: odd numbers, an absent row, a box beyond the frame, two targets in one video."""
    root = tmp_path / "data" / "original" / "Some-Set"
    rows = "1.25,2.5,10.125,8\n0.1,0.2,10.3,7.7\nnan,nan,nan,nan\n28,20,10,9\n"
    write_sequence(root / "A", range(1, 5), rows)
    two = {"groundtruth_rect.1.txt": "3,3,9,9\n4,4,9,9\n", "groundtruth_rect.2.txt": "9,9,5,5\n9,8,0,0\n"}
    write_sequence(root / "B", range(1, 3), two)
    write_sequence(root / "C", range(1, 3), "5,5,4,4\n6,6,4,4\n", size=(64, 48))
    places = Locations(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    return open_dataset(parse_dataset_name("otb:Some-Set"), places, silent)


def labels(index: Index) -> list[Any]:
    found = []
    for k in range(index.num_tracks):
        track = index.track(k)
        arrays = (track.frames, track.boxes, track.present, track.occluded, track.visibility)
        found.append(
            (index.track_name(k), index.video_name(index.track_video(k)), *(array.tobytes() for array in arrays))
        )
    return found


class TestExport:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_to_tfds_and_back_is_the_same_to_the_bit(
        self, original: Dataset, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("seqtrack.data.exchange.exporting._FRAMES_PER_PIECE", 4)
        done: list[tuple[int, int]] = []
        place = export_tfds(original, tmp_path / "out", "train", workers, lambda *counts: done.append(counts))
        assert place == tmp_path / "out/some_set/1.0.0"
        assert done[0] == (0, 3)
        assert done[-1] == (3, 3)
        assert len(list(place.glob("*.array_record-*"))) == 2
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["some_set"], "nothing is left over"
        back = read("tfds:some_set", tmp_path / "out", tmp_path)
        assert labels(back.index) == labels(original.index)
        for video in range(3):
            assert back.index.video_size(video) == original.index.video_size(video)
            for frame in range(original.index.video_length(video)):
                assert back.read_frame(video, frame) == original.read_frame(video, frame)

    def test_plain_tfds_opens_it_without_tensorflow(self, original: Dataset, tmp_path: Path) -> None:
        export_tfds(original, tmp_path / "out", "train", 1, lambda *_: None)
        program = f"""
import sys
import numpy as np
import tensorflow_datasets as tfds
source = tfds.data_source("some_set", split="train", data_dir={str(tmp_path / "out")!r})
example = source[1]
assert len(source) == 3
assert example["metadata"]["name"] == b"B"
assert example["video"][0].shape == (24, 32, 3)
assert [list(frames) for frames in example["tracks"]["frames"]] == [[0, 1], [0, 1]]
boxes = np.ascontiguousarray(example["tracks"]["xywh_bits"][0]).view(np.float64)
assert boxes.tolist() == [[2, 2, 9, 9], [3, 3, 9, 9]], boxes
assert np.allclose(example["tracks"]["bboxes"][0][0], [2 / 24, 2 / 32, 11 / 24, 11 / 32])
assert tfds.builder_from_directory({str(tmp_path / "out/some_set/1.0.0")!r}).as_data_source("train")[0]
assert "tensorflow" not in sys.modules
"""
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr

    def test_relative_boxes_are_cut_at_the_border(self) -> None:
        boxes = np.array([[-5, -5, 20, 10], [90, 40, 20, 20], [np.nan] * 4])
        assert relative(boxes, (100, 50)).tolist() == [
            [0, 0, np.float32(0.1), np.float32(0.15)], [np.float32(0.8), np.float32(0.9), 1, 1], [0, 0, 0, 0],
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "builder"), [("Some-Set", "some_set"), ("otb_50", "otb_50"), ("2048", "set_2048")]
    )
    def test_names(self, name: str, builder: str) -> None:
        assert builder_name(name) == builder

    def test_what_a_killed_export_has_made_is_not_made_again(
        self, original: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("seqtrack.data.exchange.exporting._FRAMES_PER_PIECE", 2)
        path = tmp_path / "data/original/Some-Set/C/img/0002.jpg"
        whole = path.read_bytes()
        path.write_bytes(b"")
        with pytest.raises(DataError, match=r"Some-Set: video C, frame 1 \(.*0002.jpg\): the file is empty"):
            export_tfds(original, tmp_path / "out", "train", 1, lambda *_: None)
        assert not (tmp_path / "out/some_set").exists()
        path.write_bytes(whole)
        done: list[tuple[int, int]] = []
        export_tfds(original, tmp_path / "out", "train", 1, lambda *counts: done.append(counts))
        assert done == [(2, 3), (3, 3)]
        assert labels(read("tfds:some_set", tmp_path / "out", tmp_path).index) == labels(original.index)

    def test_to_crops_and_back(self, original: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("seqtrack.data.exchange.exporting._FRAMES_PER_PIECE", 3)
        annotations, archive = export_crops(original, tmp_path / "out", 255, 2, lambda *_: None)
        assert (annotations.name, archive.name) == ("Some-Set_clean.pkl", "Some-Set.zip")
        back = read("clean:Some-Set", tmp_path / "out", tmp_path)
        index = back.index
        # Targets that are not in view have no picture: A has 3 of 4, the second target of B 1 of 2.
        assert [index.video_length(v) for v in range(index.num_videos)] == [3, 2, 1, 2]
        assert [index.video_name(v) for v in range(4)] == ["A_0", "B_0", "B_1", "C_0"]
        assert index.frame_name(0, 2) == "A_0_3.jpg"
        assert index.video_size(0) == (255, 255)
        for k in range(4):
            boxes = index.track(k).boxes
            # The exemplar's square, 127 px of 255, but for a rounding to whole pixels of a small original.
            side = np.sqrt(np.prod(boxes[:, 2:] + 0.5 * boxes[:, 2:].sum(axis=1, keepdims=True), axis=1))
            assert np.allclose(side, 127, rtol=0.05)
            assert np.allclose(boxes[:, :2] + boxes[:, 2:] / 2, 127.5, atol=8)
        first = index.track(0).boxes[0]
        assert first[2] / first[3] == pytest.approx(10.125 / 8, abs=1e-12)

    def test_two_at_once_do_not_destroy_each_other_and_the_second_is_told_who_is_at_work(
        self, original: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("seqtrack.data.working_folder.SECONDS_TO_WAIT", 0.05)
        told: list[str] = []

        def the_same_again(done: int, total: int) -> None:
            with pytest.raises(UserError) as caught:
                export_crops(original, tmp_path / "out", 127, 1, lambda *_: None)
            told.append(str(caught.value))

        places = export_crops(original, tmp_path / "out", 127, 1, the_same_again)
        assert set(told) == {told[0]}
        assert f": process {os.getpid()} on " in told[0]
        assert told[0].endswith(" is at work on this; wait for it to end")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in places)
        assert read("clean:Some-Set", tmp_path / "out", tmp_path).index.num_tracks == 4

    def test_pieces_of_another_encoder_are_not_used(
        self, original: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "data/original/Some-Set/C/img/0002.jpg"
        monkeypatch.setattr("seqtrack.data.exchange.exporting._FRAMES_PER_PIECE", 2)
        whole = path.read_bytes()
        path.write_bytes(b"")
        with pytest.raises(DataError, match=r"0002.jpg"):
            export_crops(original, tmp_path / "out", 127, 1, lambda *_: None)
        path.write_bytes(whole)
        monkeypatch.setattr("cv2.__version__", "another")
        done: list[int] = []
        export_crops(original, tmp_path / "out", 127, 1, lambda count, _: done.append(count))
        assert done == [0, 1, 2, 3]

    def test_nothing_is_overwritten(self, original: Dataset, tmp_path: Path) -> None:
        export_tfds(original, tmp_path, "train", 1, lambda *_: None)
        with pytest.raises(UserError, match=r"--out: .*some_set/1.0.0 exists already; move it away"):
            export_tfds(original, tmp_path, "train", 1, lambda *_: None)


class TestCommand:
    def test_export_writes_what_training_finds(
        self, original: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        common = [
            "otb:Some-Set",
            f"--data_dir={tmp_path}/data",
            f"--data_cache_dir={tmp_path}/cache",
            "--num_workers=1",
        ]
        assert tool.main([*common, "--format=tfds", f"--out={tmp_path}/out"]) == 0
        assert tool.main([*common, "--format=zip", "--crop_size=127", f"--out={tmp_path}/out"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{tmp_path}/out/some_set/1.0.0", f"read here as tfds:some_set with --data_dir {tmp_path}/out",
            f"{tmp_path}/out/Some-Set_clean.pkl", f"{tmp_path}/out/Some-Set.zip",
            f"read here as clean:Some-Set with --data_dir {tmp_path}/out",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--format=tfds", "--split=a b"], "--split: 'a b'"),
            (["--format=zip", "--crop_size=3"], "--crop_size: expected from 16 to 8192 pixels, got 3"),
            (["--format=zip", "--crop_size=99999999"], "--crop_size: expected from 16 to 8192 pixels, got 99999999"),
            (["--format=zip", "--num_workers=-1"], "--num_workers: expected 0 or more, got -1"),
            (["--format=csv"], "csv"),
            (["--format=zip", "--split=val"], "--split: belongs to --format tfds"),
            (["--format=zip", "--preproc=resize_fit_9x9"], "--preproc: what is exported is the original version"),
        ],
    )
    def test_mistakes(self, flags: list[str], words: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=words):
            tool.main(["otb:x", f"--out={tmp_path}", f"--data_dir={tmp_path}", *flags])
