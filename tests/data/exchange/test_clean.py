"""PySiamTracking's crop-and-pickle sets are read as their publisher ships them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtrack.config import build
from seqtrack.data.datasets import open_dataset, open_index_of
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations, locate
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import jpeg
from tests.data.smaller import assert_smaller_versions_agree
from tests.data.storage.test_zip import write_zip

SIDE = 446


def silent(_: str) -> None:
    """Messages are tested elsewhere."""


def content() -> dict[str, Any]:
    """Two sequences as ``preprocessing/converter.py`` writes them: float32 boxes, other objects behind the target."""
    return {
        "categories": [{"id": 1, "name": "bear"}, {"id": 2, "name": "ball"}],
        "seqs": [
            {
                "frame_id": [0, 10, 20],
                "frames": [f"GOT-10k_Train_000001_0_{frame}.jpg" for frame in (0, 10, 20)],
                "bboxes": [
                    np.array([[160.5, 170, 285.5, 280, 2, 0], [0, 0, 9, 9, 1, 0]], np.float32),
                    np.array([[160, 170, 280, 280, 2, 1]], np.float32),
                    np.array([[160, 170, 160.5, 280, 2, 0]], np.float32),
                ],
                "category": 2,
            },
            {"frame_id": [3], "frames": ["v_7_3.jpg"], "bboxes": [np.array([[5.0, 6, 30, 40, 1, 0]])], "category": 1},
        ],
    }  # fmt: skip


def names(annotations: dict[str, Any]) -> list[str]:
    return [name for sequence in annotations["seqs"] for name in sequence["frames"]]


def write_set(
    folder: Path, stem: str = "got10k_train", pictures: str = "got10k_train_images.zip", protocol: int = 3
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    annotations = content()
    (folder / f"{stem}_clean.pkl").write_bytes(pickle.dumps(annotations, protocol))
    files = {name: jpeg(SIDE, SIDE, value) for value, name in enumerate(names(annotations))}
    if pictures.endswith(".zip"):
        write_zip(folder / pictures, files)
    else:
        (folder / pictures).mkdir()
        for name, data in files.items():
            (folder / pictures / name).write_bytes(data)
    return folder


GOT = parse_dataset_name("got10k_train_clean")


def test_smaller_versions_agree(tmp_path: Path) -> None:
    assert_smaller_versions_agree(GOT, write_set(tmp_path / "pysiam"), tmp_path / "smaller")


class TestLabels:
    def test_the_target_is_row_0_in_pixels_of_the_crop(self, tmp_path: Path) -> None:
        places = Locations(data_dir=write_set(tmp_path / "pysiam"), cache_dir=tmp_path / "cache")
        index = open_index_of(GOT, places, silent)
        assert [index.video_name(v) for v in range(2)] == ["GOT-10k_Train_000001_0", "v_7"]
        assert index.video_size(0) == index.video_size(1) == (SIDE, SIDE)
        track = index.track(0)
        assert track.boxes.tolist() == [[160.5, 170, 125, 110], [160, 170, 120, 110], [160, 170, 0.5, 110]]
        # Ignored by its publisher; thinner than a pixel, which its publisher's reader throws out.
        assert track.present.tolist() == [True, False, False]
        assert (track.category, index.track(1).category) == ("ball", "bear")
        assert index.track(1).boxes.tolist() == [[5, 6, 25, 34]]
        assert index.frame_name(0, 1) == "GOT-10k_Train_000001_0_10.jpg"

    @pytest.mark.parametrize("protocol", range(6))
    def test_whatever_protocol_wrote_it(self, tmp_path: Path, protocol: int) -> None:
        places = Locations(data_dir=write_set(tmp_path, protocol=protocol), cache_dir=tmp_path / "cache")
        assert open_index_of(GOT, places, silent).track(0).boxes[0].tolist() == [160.5, 170, 125, 110]


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "stem", "pictures"),
        [
            ("coco_clean", "coco", "COCO.zip"),
            ("coco_clean", "coco", "COCO"),
            ("got10k_train_clean", "got10k_train", "got10k_train_images.zip"),
            ("got10k_train_clean", "got10k_train", "got10k_train"),
            ("lasot_train_clean", "lasot_train", "LaSOT_train_images.zip"),
            ("lasot_train_clean", "lasot_train", "LaSOT_trian_images.zip"),
            ("lasot_train_clean", "lasot_train", "LaSOT_trian_images"),
            ("trackingnet_clean", "trackingnet", "TrackingNet_images.zip"),
            ("trackingnet_clean", "trackingnet", "TrackingNet_images"),
            ("clean:own", "own", "own.zip"),
        ],
    )
    def test_every_name_that_its_publisher_uses(self, tmp_path: Path, name: str, stem: str, pictures: str) -> None:
        folder = write_set(tmp_path / "data", stem, pictures)
        (folder / "other_clean.pkl").write_bytes(b"another set in the same folder")
        dataset = open_dataset(
            parse_dataset_name(name), Locations(data_dir=folder, cache_dir=tmp_path / "cache"), silent
        )
        assert dataset.read_frame(0, 2) == jpeg(SIDE, SIDE, 2)
        assert dataset.frames.describe("v_7_3.jpg") in (
            f"{folder}/{pictures}: v_7_3.jpg", f"{folder}/{pictures}/v_7_3.jpg"
        )  # fmt: skip

    def test_in_a_folder_of_its_own_or_given(self, tmp_path: Path) -> None:
        own = write_set(tmp_path / "data" / "original" / "got10k_train_clean")
        assert locate(GOT, Locations(data_dir=tmp_path / "data")).path == own
        given = write_set(tmp_path / "given")
        places = Locations(data_dir=tmp_path / "data", data_paths={"got10k_train_clean": given})
        assert locate(GOT, places).path == given

    def test_zip_or_folder_as_the_flag_says(self, tmp_path: Path) -> None:
        folder = write_set(tmp_path / "data")
        write_set(folder, pictures="got10k_train")
        places = Locations(data_dir=folder, cache_dir=tmp_path / "cache")
        kinds = {}
        for storage in ("auto", "zip", "dir"):
            chosen = Locations(**{**places.__dict__, "storage": storage})
            dataset = open_dataset(GOT, chosen, silent)
            kinds[storage] = type(dataset.frames).__name__
            assert dataset.read_frame(1, 0) == jpeg(SIDE, SIDE, 3)
        assert kinds == {"auto": "ArchiveFrames", "zip": "ArchiveFrames", "dir": "DirectoryFrames"}

    def test_the_zip_is_staged(self, tmp_path: Path) -> None:
        places = Locations(
            data_dir=write_set(tmp_path / "data"), cache_dir=tmp_path / "cache", stage_mode="tar",
            tmp_data_dir=str(tmp_path / "node"),
        )  # fmt: skip
        dataset = open_dataset(GOT, places, silent)
        assert dataset.staged is not None
        assert dataset.staged.path == tmp_path / "node/original/got10k_train_clean.zip"
        assert dataset.read_frame(1, 0) == jpeg(SIDE, SIDE, 3)
        dataset.close()

    def test_a_preprocessed_version_is_stored_like_everybodys(self, tmp_path: Path) -> None:
        tar = tmp_path / "tars" / "crop_127" / "got10k_train_clean.tar"
        tar.parent.mkdir(parents=True)
        tar.touch()
        found = locate(GOT, Locations(tar_dir=tmp_path / "tars", preproc="crop_127"))
        assert (found.path, found.kind) == (tar, "tar")

    def test_its_zip_may_be_asked_into_memory_with_nothing_but_its_folder(self) -> None:
        assert build({"data_dir": "/data/pysiam", "stage_mode": "memory"}).execution.stage_mode == "memory"
        with pytest.raises(UserError, match=r"there is nothing to stage"):
            build({"data_dir": "/data/pysiam", "untar": True})

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as caught:
            locate(GOT, Locations(data_dir=tmp_path))
        assert str(caught.value) == (
            f"data set got10k_train_clean: not found; looked for {tmp_path}/original/got10k_train_clean/"
            f"got10k_train_clean.pkl (--data_dir) and {tmp_path}/got10k_train_clean.pkl (--data_dir)"
        )
        folder = write_set(tmp_path / "data", pictures="elsewhere.zip")
        with pytest.raises(UserError, match=r"no pictures in .*; expected got10k_train.zip or the folder"):
            open_dataset(GOT, Locations(data_dir=folder, cache_dir=tmp_path / "cache"), silent)

    def test_a_picture_that_is_not_in_the_zip(self, tmp_path: Path) -> None:
        folder = write_set(tmp_path / "data")
        write_zip(folder / "got10k_train_images.zip", {names(content())[0]: jpeg(SIDE, SIDE)})
        dataset = open_dataset(GOT, Locations(data_dir=folder, cache_dir=tmp_path / "cache"), silent)
        with pytest.raises(DataError, match=r"got10k_train_images.zip: v_7_3.jpg: no such member"):
            dataset.read_frame(1, 0)


def set_boxes(annotations: dict[str, Any], boxes: Any) -> None:
    annotations["seqs"][0]["bboxes"][1] = boxes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("seqs"), r"expected \{'categories'"),
        (lambda c: c.update(seqs=[]), "it has no sequences"),
        (lambda c: c.update(categories=5), r"expected \{'categories'"),
        (lambda c: c["seqs"][1].pop("frames"), "sequence 1: expected 'frames'"),
        (lambda c: c["seqs"][1].update(bboxes=[]), "sequence 1: 0 arrays of boxes for 1 pictures"),
        (lambda c: set_boxes(c, np.zeros((0, 6))), "sequence 0: expected 'frames', 'category'"),
        (lambda c: set_boxes(c, np.zeros((1, 4))), r"sequence 0, picture 1 \(GOT.*10.jpg\): 4 numbers"),
        (lambda c: set_boxes(c, [[[0.0] * 300] * 300] * 300), "sequence 0: expected 'frames', 'category'"),
        (lambda c: c["seqs"][1].update(category=9), "sequence 1: category 9 is not in 'categories'"),
        (lambda c: c["seqs"][1].update(frames=["../../x.jpg"]), "sequence 1: a picture's name leads out"),
    ],
)  # fmt: skip
def test_annotations_that_are_not_as_expected_name_the_sequence(tmp_path: Path, change: Any, words: str) -> None:
    folder, annotations = write_set(tmp_path / "data"), content()
    change(annotations)
    (folder / "got10k_train_clean.pkl").write_bytes(pickle.dumps(annotations))
    with pytest.raises(DataError, match=words) as caught:
        open_index_of(GOT, Locations(data_dir=folder, cache_dir=tmp_path / "cache"), silent)
    assert str(caught.value).startswith(f"{folder}/got10k_train_clean.pkl")


def test_a_pickle_that_asks_for_anything_else_is_refused_and_nothing_is_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            import os

            return os.system, (f"touch {tmp_path}/executed",)

    folder = write_set(tmp_path / "data")
    (folder / "got10k_train_clean.pkl").write_bytes(pickle.dumps(content() | {"seqs": [Attack()]}))
    with pytest.raises(DataError, match=r"got10k_train_clean.pkl: refused: the pickle asks for posix.system"):
        open_index_of(GOT, Locations(data_dir=folder, cache_dir=tmp_path / "cache"), silent)
    assert not (tmp_path / "executed").exists()


def test_other_labels_are_another_index(tmp_path: Path) -> None:
    folder, annotations = write_set(tmp_path / "data"), content()
    places = Locations(data_dir=folder, cache_dir=tmp_path / "cache")
    before = open_index_of(GOT, places, silent).fingerprint
    assert open_index_of(GOT, places, lambda text: pytest.fail(text)).fingerprint == before
    annotations["seqs"][1]["bboxes"][0][0, 0] += 1
    (folder / "got10k_train_clean.pkl").write_bytes(pickle.dumps(annotations))
    said: list[str] = []
    assert open_index_of(GOT, places, said.append).fingerprint != before
    assert "its source has changed" in said[0]
