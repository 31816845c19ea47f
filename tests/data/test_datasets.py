"""From flags to opened data: where data sets are found, what is said when they are not, and that all ways agree."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from seqtrack.config import build
from seqtrack.data.datasets import (
    Dataset,
    open_dataset,
    open_index_of,
    prepare,
)
from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations, locate, locations_of
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import boxes_text, jpeg, manifest_bytes, small_data_set, write_sequence

ROOT = Path(__file__).parents[2]
NAME = parse_dataset_name("otb:small")


@pytest.fixture
def places(tmp_path: Path) -> Locations:
    """The data set ``small`` as a folder below ``data`` and as a tar below ``tars``."""
    folder = small_data_set(tmp_path / "data" / "original" / "small")
    pack(NAME, folder, tmp_path / "tars" / "original" / "small.tar")
    return Locations(
        data_dir=tmp_path / "data",
        tar_dir=tmp_path / "tars",
        tmp_data_dir=str(tmp_path / "node"),
        cache_dir=tmp_path / "cache",
    )


def silent(_: str) -> None:
    """Messages are tested where they are made."""


def frames(dataset: Dataset) -> list[bytes]:
    index = dataset.index
    return [dataset.read_frame(v, t) for v in range(index.num_videos) for t in range(index.video_length(v))]


def test_labels_are_those_of_the_copy_that_is_read(places: Locations, tmp_path: Path) -> None:
    """The folder and the tar may differ: one of them may be old."""
    write_sequence(tmp_path / "data" / "original" / "small" / "Late", (1, 2), boxes_text(2))
    for flags, videos in (({}, 4), ({"storage": "tar"}, 3), ({"stage_mode": "tar"}, 3), ({"data_dir": None}, 3)):
        dataset = open_dataset(NAME, replace(places, **flags), silent)  # type: ignore[arg-type]
        assert dataset.index.num_videos == videos
        assert len(frames(dataset)) > 0
        dataset.close()


class TestLocate:
    def test_order(self, places: Locations, tmp_path: Path) -> None:
        folder, tar = tmp_path / "data/original/small", tmp_path / "tars/original/small.tar"
        assert locate(NAME, places).path == folder
        assert locate(NAME, replace(places, stage_mode="untar")).path == tar
        assert locate(NAME, replace(places, stage_mode="untar")).stage_mode == "untar"
        in_place = locate(NAME, replace(places, data_dir=None))
        assert (in_place.path, in_place.kind, in_place.stage_mode) == (tar, "tar", "none")
        own = replace(places, data_paths={"small": tmp_path / "own"})
        (tmp_path / "own").mkdir()
        assert locate(NAME, own).path == tmp_path / "own"
        assert locate(NAME, replace(places, tar_dir=None, stage_mode="untar")).path == folder

    def test_data_paths_are_of_the_original(self, tmp_path: Path) -> None:
        places = Locations(data_paths={"small": tmp_path}, preproc="crop_446")
        with pytest.raises(UserError) as caught:
            locate(NAME, places)
        assert str(caught.value) == (
            "data set otb:small: --data_paths has its original version; for --preproc crop_446 give the folder of"
            " crop_446/small.tar as --tar_dir"
        )

    def test_missing_names_every_place_with_its_flag(self, places: Locations, tmp_path: Path) -> None:
        with pytest.raises(UserError) as caught:
            locate(parse_dataset_name("otb_50"), places)
        assert str(caught.value) == (
            f"data set otb_50: not found; looked for {tmp_path}/data/original/otb_50/ (--data_dir)"
            f" and {tmp_path}/tars/original/otb_50.tar (--tar_dir)"
            f" and {tmp_path}/tars/original/otb_50.zip (--tar_dir)"
            f" and {tmp_path}/tars/original/otb_50.array_record/ (--tar_dir)"
        )
        with pytest.raises(
            UserError, match=r"nowhere to look for it; give --data_dir, --tar_dir, or --data_paths otb_50=DIR"
        ):
            locate(parse_dataset_name("otb_50"), Locations())
        with pytest.raises(UserError, match=r"^--data_paths: small=.*/typo is not there"):
            locate(NAME, replace(places, data_paths={"small": tmp_path / "typo"}))

    def test_from_the_configuration(self) -> None:
        config = build({"untar": True, "tar_dir": "/t", "data_paths": ["a=/x"], "preproc": "resize_fit_8x8"})
        locations = locations_of(config)
        assert (locations.stage_mode, locations.tar_dir, locations.preproc) == ("untar", Path("/t"), "resize_fit_8x8")
        assert locations.data_paths == {"a": Path("/x")}
        assert locations.cache_dir == Path("dataset_cache")


class TestOpen:
    def test_every_way_gives_the_same_frames_and_labels(self, places: Locations, tmp_path: Path) -> None:
        ways = {
            "folder": replace(places, tar_dir=None),
            "tar in place": replace(places, data_dir=None),
            "untar": replace(places, stage_mode="untar"),
            "tar copied": replace(places, stage_mode="tar"),
            "own folder": Locations(
                data_paths={"small": tmp_path / "data/original/small"}, cache_dir=places.cache_dir
            ),
            "own tar": Locations(
                data_paths={"small": tmp_path / "tars/original/small.tar"}, cache_dir=places.cache_dir
            ),
        }
        opened = {way: open_dataset(NAME, locations, silent) for way, locations in ways.items()}
        expected = frames(opened["folder"])
        assert len(expected) == 12
        for way, dataset in opened.items():
            assert frames(dataset) == expected, way
            assert dataset.index.fingerprint == opened["folder"].index.fingerprint, way
            assert dataset.data_fingerprint["index"] == dataset.index.fingerprint
        digests = {dataset.data_fingerprint.get("frames") for way, dataset in opened.items() if "folder" not in way}
        assert len(digests) == 1
        assert None not in digests
        assert "frames" not in opened["folder"].data_fingerprint
        for dataset in opened.values():
            dataset.close()

    def test_after_untar_the_folder_of_copies_is_a_data_dir(self, places: Locations, tmp_path: Path) -> None:
        first = open_dataset(NAME, replace(places, stage_mode="untar"), silent)
        expected = frames(first)
        first.close()
        later = open_dataset(NAME, Locations(data_dir=tmp_path / "node", cache_dir=places.cache_dir), silent)
        assert frames(later) == expected
        assert later.data_fingerprint == first.data_fingerprint

    def test_messages_name_video_frame_and_file(self, places: Locations, tmp_path: Path) -> None:
        folder = tmp_path / "data/original/small"
        dataset = open_dataset(NAME, replace(places, tar_dir=None), silent)
        assert dataset.describe_frame(1, 2) == f"small: video Seq1, frame 2 ({folder}/Seq1/img/0003.jpg)"
        (folder / "Seq1/img/0003.jpg").unlink()
        with pytest.raises(DataError, match=r"Seq1/img/0003.jpg: cannot read it"):
            dataset.read_frame(1, 2)

    @pytest.mark.parametrize("mode", ["none", "untar", "tar"])
    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_in_loader_workers(self, places: Locations, mode: str, method: str) -> None:
        dataset = open_dataset(NAME, replace(places, data_dir=None, stage_mode=mode), silent)  # type: ignore[arg-type]
        expected = frames(dataset)
        with multiprocessing.get_context(method).Pool(2, initializer=_use, initargs=(dataset,)) as pool:
            assert pool.map(_read, [(v, t) for v in range(3) for t in range(4)]) == expected
        assert frames(dataset) == expected
        dataset.close()


class TestPreprocessed:
    """Resized frames, annotations as published: sizes must come from the original version or a manifest."""

    PREPROC = "resize_force_36x36"

    @pytest.fixture
    def resized(self, places: Locations, tmp_path: Path) -> Path:
        folder = tmp_path / "data" / self.PREPROC / "small"
        for number in range(3):
            write_sequence(folder / f"Seq{number}", range(1, 5), boxes_text(4, first=number + 1), size=(36, 36))
        return folder

    def test_the_index_is_that_of_the_original(self, places: Locations, resized: Path) -> None:
        original = open_dataset(NAME, places, silent)
        dataset = open_dataset(NAME, replace(places, preproc=self.PREPROC), silent)
        assert dataset.index.fingerprint == original.index.fingerprint
        assert dataset.index.video_size(0) == (32, 24)
        assert dataset.read_frame(0, 0) == jpeg(36, 36, 1)

    def test_or_of_the_manifest(self, resized: Path, tmp_path: Path) -> None:
        sizes = {f"Seq{number}": (32, 24) for number in range(3)}
        (resized / "seqtrack-manifest.json").write_bytes(manifest_bytes("otb", sizes))
        pack(NAME, resized, tmp_path / "alone" / self.PREPROC / "small.tar")
        alone = Locations(tar_dir=tmp_path / "alone", preproc=self.PREPROC, cache_dir=tmp_path / "cache2")
        index = open_index_of(NAME, alone, silent)
        assert index.video_size(2) == (32, 24)
        original = Locations(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache2")
        assert index.fingerprint == open_index_of(NAME, original, silent).fingerprint

    def test_else_the_error_names_both(self, resized: Path, tmp_path: Path) -> None:
        (tmp_path / "only").mkdir()
        (tmp_path / "only" / self.PREPROC).mkdir()
        resized.rename(tmp_path / "only" / self.PREPROC / "small")
        only = Locations(data_dir=tmp_path / "only", preproc=self.PREPROC, cache_dir=tmp_path / "cache2")
        with pytest.raises(UserError) as caught:
            prepare(NAME, only, silent)
        assert str(caught.value) == (
            f"data set otb:small: its index needs the original version, {tmp_path}/only/original/small/,"
            f" or seqtrack-manifest.json inside {tmp_path}/only/{self.PREPROC}/small; neither is there"
        )

    def test_an_index_made_before_the_original_was_removed_is_used(self, places: Locations, resized: Path) -> None:
        before = open_index_of(NAME, places, silent)
        messages: list[str] = []
        only = Locations(data_dir=places.data_dir, preproc=self.PREPROC, cache_dir=places.cache_dir)
        (resized.parents[1] / "original").rename(resized.parents[1] / "gone")
        assert open_index_of(NAME, only, messages.append).fingerprint == before.fingerprint
        assert messages == [f"otb:small: the original version is not here; using the index made from {before.source}"]


_DATASET: list[Dataset] = []


def _use(dataset: Dataset) -> None:
    _DATASET[:] = [dataset]


def _read(place: tuple[int, int]) -> bytes:
    return _DATASET[0].read_frame(*place)


class TestCommandLine:
    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "seqtrack.tools.index", *words],
            cwd=cwd, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(cwd)},
        )  # fmt: skip

    def test_build_show_verify(self, places: Locations, tmp_path: Path) -> None:
        where = ("otb:small", "--tar_dir", str(places.tar_dir), "--data_cache_dir", "cache")
        built = self.run("build", *where, cwd=tmp_path)
        assert built.returncode == 0, built.stderr
        assert "otb:small: 3 videos, 3 tracks, 12 frames; cache/small.otb-" in built.stdout
        shown = self.run("show", *where, cwd=tmp_path).stdout
        assert "Seq1: 32x24, 4 frames from Seq1/img/0001.jpg, 4 labelled, 4 present" in shown
        assert self.run("verify", *where, cwd=tmp_path).returncode == 0

    def test_verify_finds_a_frame_of_another_size(self, places: Locations, tmp_path: Path) -> None:
        (tmp_path / "data/original/small/Seq2/img/0004.jpg").write_bytes(jpeg(8, 8))
        done = self.run("verify", "otb:small", "--data_dir", str(places.data_dir), cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("error: small: video Seq2, frame 3 (")
        assert "8x8, expected 32x24" in done.stderr

    def test_mistakes(self, places: Locations, tmp_path: Path) -> None:
        for words, text in (
            (("build", "otb_51"), "error: data set 'otb_51' is not known; did you mean otb_50?"),
            (("build", "otb_50", "--tar_dir", "t"), "looked for t/original/otb_50.tar (--tar_dir)"),
            (("biuld", "otb_50"), "build"),
        ):
            done = self.run(*words, cwd=tmp_path)
            assert done.returncode == 2
            assert text in done.stderr.splitlines()[0]
            assert "Traceback" not in done.stderr

    def test_paths_of_the_machine_are_known(self, places: Locations, tmp_path: Path) -> None:
        (tmp_path / "seqtrack.local.yaml").write_text(f"data_paths:\n  small: {tmp_path}/data/original/small\n")
        assert self.run("show", "otb:small", cwd=tmp_path).returncode == 0
