"""``seqtrack.tools.pack``: a tar that is whole, deterministic and readable by everything else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import weakref
from pathlib import Path

import pytest

from seqtrack.data.exchange import packing
from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import DatasetName, Layout, Sizes, Tree, VideoAnnotation, read_video, read_videos
from seqtrack.data.storage.trees import TarTree
from seqtrack.errors import DataError
from tests.data.otb_layout import boxes_text, small_data_set, write_sequence

ROOT = Path(__file__).parents[3]


def names(tar: Path) -> list[str]:
    with tarfile.open(tar) as archive:
        return archive.getnames()


def test_one_top_folder_sorted_and_without_times_and_owners(tmp_path: Path) -> None:
    packed = pack(DatasetName("otb", "train"), small_data_set(tmp_path / "data"), tmp_path / "train.tar")
    with tarfile.open(packed.path) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert members[0].name == "train/Seq0/groundtruth_rect.txt"
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert (packed.videos, packed.files) == (3, 15)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = pack(DatasetName("otb", "train"), small_data_set(tmp_path / "a" / "data"), tmp_path / "a.tar")
    second = pack(DatasetName("otb", "train"), small_data_set(tmp_path / "b" / "data"), tmp_path / "b.tar")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_labels_are_let_go_once_a_video_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[VideoAnnotation]] = []

    def watched(layout: Layout, tree: Tree, entry: object, sizes: Sizes) -> VideoAnnotation:
        assert sum(video() is not None for video in seen) <= 1, "the last one only"
        video = read_video(layout, tree, entry, sizes)
        seen.append(weakref.ref(video))
        return video

    monkeypatch.setattr(packing, "read_video", watched)
    data = small_data_set(tmp_path / "data", sequences=5)
    assert pack(DatasetName("otb", "train"), data, tmp_path / "a.tar").videos == len(seen) == 5


def test_real_sequences(shared: Path, tmp_path: Path) -> None:
    chosen = ["Crossing", "Couple", "David", "Skiing"]
    packed = pack(DatasetName("otb", "real_train"), shared / "data" / "otb", tmp_path / "real_train.tar", chosen)
    assert (packed.videos, packed.files) == (4, 120 + 140 + 471 + 81 + 4)
    videos = list(read_videos(DatasetName("otb", "real_train"), TarTree(packed.path, "real_train")))
    assert sorted(video.name for video in videos) == sorted(chosen)


def test_the_folder_of_one_sequence_becomes_a_data_set_of_one(shared: Path, tmp_path: Path) -> None:
    packed = pack(DatasetName("vot", "bag"), shared / "data" / "vot" / "bag", tmp_path / "bag.tar")
    (bag,) = read_videos(DatasetName("vot", "bag"), TarTree(packed.path, "bag"))
    assert (bag.name, bag.frame_names[0]) == ("bag", "bag/img/00000001.jpg")


def test_hidden_files_stay_out(tmp_path: Path) -> None:
    data = small_data_set(tmp_path / "data")
    (data / ".DS_Store").write_bytes(b"")
    (data / "Seq0" / "img" / "._0001.jpg").write_bytes(b"")
    packed = pack(DatasetName("otb", "train"), data, tmp_path / "train.tar")
    assert not [name for name in names(packed.path) if "/." in name]


def test_what_is_no_part_of_it_stays_out_and_what_lies_beside_annotations_comes_along(
    tmp_path: Path,
) -> None:
    data = small_data_set(tmp_path / "data")
    (data / "Seq0" / "attributes.txt").write_text("fast motion\n")
    (data / "results" / "SiamFC").mkdir(parents=True)
    (data / "results" / "SiamFC" / "Seq0.txt").write_text("1,2,3,4\n")
    (data / "Seq1" / "img" / "thumbnails").mkdir()
    (data / "Seq1" / "img" / "thumbnails" / "0001.jpg").write_bytes(b"small")
    packed = pack(DatasetName("otb", "train"), data, tmp_path / "train.tar")
    assert "train/Seq0/attributes.txt" in names(packed.path)
    assert not [name for name in names(packed.path) if "results" in name or "thumbnails" in name]


def test_bad_data_are_not_packed(tmp_path: Path) -> None:
    write_sequence(tmp_path / "data" / "Seq", [1, 2, 3], boxes_text(2))
    with pytest.raises(DataError, match="2 rows for 3 frames"):
        pack(DatasetName("otb", "train"), tmp_path / "data", tmp_path / "out" / "train.tar")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_packing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(
            DatasetName("otb", "t"),
            small_data_set(tmp_path / "data"),
            tmp_path / "out" / "t.tar",
            on_progress=interrupt,
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_progress_counts_all_bytes(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    packed = pack(
        DatasetName("otb", "t"), small_data_set(tmp_path / "data"), tmp_path / "t.tar",
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (packed.size, packed.size)
    assert len(seen) == packed.files


class TestCommandLine:
    def run(self, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "seqtrack.tools.pack",
            "--layout",
            "otb",
            "--source",
            "data",
            "--name",
            "train",
        ]
        return subprocess.run(
            [*command, "--tar_dir", "tars", *words], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    @pytest.fixture(autouse=True)
    def data(self, tmp_path: Path) -> None:
        small_data_set(tmp_path / "data")

    def test_packs_the_sequences_asked_for(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "--sequences", "Seq0", "Seq2")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("tars/original/train.tar: 2 videos, 10 files, ")
        tops = {name.split("/")[1] for name in names(tmp_path / "tars/original/train.tar")}
        assert tops == {"Seq0", "Seq2"}

    def test_another_version_goes_to_its_own_folder(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "--preproc=resize_force_36x36").returncode == 0
        assert (tmp_path / "tars/resize_force_36x36/train.tar").is_file()

    def test_what_is_there_is_replaced_only_on_request(self, tmp_path: Path) -> None:
        assert self.run(tmp_path).returncode == 0
        before = (tmp_path / "tars/original/train.tar").stat()
        again = self.run(tmp_path, "--sequences", "Seq0")
        assert again.returncode == 2
        assert again.stderr.startswith("error: tars/original/train.tar exists already; give --overwrite")
        assert (tmp_path / "tars/original/train.tar").stat().st_ino == before.st_ino
        assert self.run(tmp_path, "--sequences", "Seq0", "--overwrite").returncode == 0
        assert len(names(tmp_path / "tars/original/train.tar")) == 5

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--sequences", "Seq0", "Seqq1"], "--sequences: 'Seqq1' is not in data; did you mean Seq1?"),
            (["--source", "nowhere"], "--source: nowhere is not a folder"),
            (["--name", "a/b"], "data set 'otb:a/b': 'a/b' is not a folder's name"),
            (["--preproc", "../x"], "--preproc: '../x' is not a folder's name"),
            (["--layout", "vott"], "data set 'vott:train': layout 'vott' is not known; did you mean vot?"),
            (["--sequence", "Seq0"], "--sequence: no such flag; did you mean --sequences?"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, words: list[str], message: str) -> None:
        done = self.run(tmp_path, *words)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[0]
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "tars").exists()

    def test_a_destination_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "tars").write_text("a file")
        done = self.run(tmp_path)
        assert done.returncode == 2
        assert "--tar_dir: cannot write tars/original/train.tar (Not a directory)" in done.stderr


@pytest.mark.parametrize("tool", ["pack", "index"])
def test_help_teaches_and_loads_nothing_heavy(tool: str) -> None:
    code = (
        f"import sys; from seqtrack.tools.{tool} import build_parser; text = build_parser().format_help();"
        "print(text); print(sorted({'numpy', 'h5py', 'torch', 'cv2', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.endswith("[]\n")
    assert f"python -m seqtrack.tools.{tool}" in done.stdout
    assert "examples:" in done.stdout
