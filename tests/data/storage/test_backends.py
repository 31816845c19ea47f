"""One data set in every backend: the same frames, found where --storage says, one copy in memory for everybody."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqtrack.config import build
from seqtrack.data.datasets import Dataset, fingerprint, open_dataset
from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations, locate, locations_of
from seqtrack.data.storage import ArchiveFrames, node_local
from seqtrack.data.storage.backends import open_frames
from seqtrack.data.storage.recordset import open_records
from seqtrack.errors import DataError, UserError
from seqtrack.tools import pack as pack_tool
from tests.data.otb_layout import small_data_set
from tests.data.storage.test_zip import write_zip

NAME = parse_dataset_name("otb:small")
KINDS = ("dir", "tar", "zip", "array_record")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set ``small`` as folder, tar, zip and ArrayRecord. Not to be changed."""
    root = tmp_path_factory.mktemp("packed")
    folder = small_data_set(root / "data" / "original" / "small")
    for kind in KINDS[1:]:
        pack(NAME, folder, root / "tars" / "original" / f"small.{kind}")
    return root


@pytest.fixture
def places(packed: Path, tmp_path: Path) -> Locations:
    return Locations(
        data_dir=packed / "data", tar_dir=packed / "tars", tmp_data_dir=str(tmp_path / "node"),
        cache_dir=tmp_path / "cache",
    )  # fmt: skip


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as this machine's shared memory, on its own memory file system where there is one."""
    root = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    folder = root / f"seqtrack-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(node_local, "SHARED_MEMORY", folder)
    yield folder
    node_local.remove_tree(folder)


def frames(dataset: Dataset) -> list[bytes]:
    index = dataset.index
    return [dataset.read_frame(v, t) for v in range(index.num_videos) for t in range(index.video_length(v))]


def silent(_: str) -> None:
    """Messages are tested where they are made."""


class TestStorage:
    def test_every_kind_gives_the_same_frames_and_labels(self, places: Locations) -> None:
        expected = frames(open_dataset(NAME, places, silent))
        assert len(expected) == 12
        indexes = set()
        for kind in KINDS:
            chosen = replace(places, storage=kind)  # type: ignore[arg-type]
            assert locate(NAME, chosen).kind == kind
            dataset = open_dataset(NAME, chosen, silent)
            assert frames(dataset) == expected, kind
            assert fingerprint(NAME, chosen, silent) == dataset.data_fingerprint
            indexes.add(dataset.index.fingerprint)
            # Alone, the annotations are read out of it too.
            alone = replace(
                chosen, data_dir=None if kind != "dir" else places.data_dir, cache_dir=places.cache_dir / kind
            )
            indexes.add(open_dataset(NAME, alone, silent).index.fingerprint)
        assert len(indexes) == 1

    def test_the_order_without_a_choice(self, places: Locations, tmp_path: Path) -> None:
        assert locate(NAME, places).kind == "dir"
        assert locate(NAME, replace(places, data_dir=None)).kind == "tar"
        assert locate(NAME, replace(places, stage_mode="untar")).kind == "tar"
        assert locate(NAME, replace(places, data_dir=None, storage="zip", stage_mode="tar")).stage_mode == "tar"

    def test_what_is_not_there_in_that_kind_names_the_place(self, places: Locations, tmp_path: Path) -> None:
        with pytest.raises(UserError) as caught:
            locate(parse_dataset_name("otb_50"), replace(places, storage="zip"))
        assert str(caught.value) == (
            f"data set otb_50: not found; looked for {places.tar_dir}/original/otb_50.zip (--tar_dir)"
        )
        with pytest.raises(UserError, match=r"nowhere to look for it of kind --storage=zip; give"):
            locate(NAME, Locations(data_dir=places.data_dir, storage="zip"))
        given = Locations(data_paths={"small": tmp_path}, storage="tar")
        with pytest.raises(UserError, match=rf"^--storage=tar: --data_paths small={tmp_path} is of kind dir"):
            locate(NAME, given)

    def test_a_persons_own_zip(self, packed: Path, tmp_path: Path) -> None:
        own = Locations(data_paths={"small": packed / "tars/original/small.zip"}, cache_dir=tmp_path)
        assert locate(NAME, own).kind == "zip"
        assert len(frames(open_dataset(NAME, own, silent))) == 12

    def test_flags(self) -> None:
        assert locations_of(build({})).storage == "auto"
        assert locations_of(build({"from_file": True})).storage == "dir"
        assert locations_of(build({"storage": "zip"})).storage == "zip"
        with pytest.raises(UserError, match=r"--storage=zip: it contradicts --from_file"):
            build({"from_file": True, "storage": "zip"})
        with pytest.raises(UserError, match=r"--stage_mode=memory: it contradicts --untar"):
            build({"untar": True, "stage_mode": "memory", "tar_dir": "/t"})
        with pytest.raises(UserError, match=r"only tars and zips are staged"):
            build({"untar": True, "from_file": True, "tar_dir": "/t"})

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_records_are_read_after_a_fork_and_after_spawn(self, places: Locations, method: str) -> None:
        dataset = open_dataset(NAME, replace(places, storage="array_record"), silent)
        expected = frames(dataset)  # the readers of this process, with their threads, are open
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(frames, [dataset] * 4) == [expected] * 4
            if method == "fork":
                _INHERITED[:] = [dataset]
        if method == "fork":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(_inherited_frames, range(4)) == [expected] * 4

    def test_records_that_are_cut_short_or_missing(self, packed: Path, tmp_path: Path) -> None:
        folder = tmp_path / "small.array_record"
        shutil.copytree(packed / "tars/original/small.array_record", folder)
        own = Locations(data_paths={"small": folder}, cache_dir=tmp_path / "cache")
        (shard,) = folder.glob("*.array_record-*")
        shard.write_bytes(shard.read_bytes()[:65536])
        with pytest.raises(DataError, match=re.escape(str(folder))):
            open_dataset(NAME, own, silent)
        (folder / "seqtrack-members.h5").unlink()
        with pytest.raises(DataError, match=r"expected what seqtrack pack --format array_record makes"):
            open_records(folder)

    def test_tfds_opens_the_records_too(self, packed: Path) -> None:
        import tensorflow_datasets as tfds

        source = tfds.builder_from_directory(str(packed / "tars/original/small.array_record")).as_data_source("files")
        read = {example["name"].decode(): example["data"] for example in source}
        folder = packed / "data/original/small"
        assert read == {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


_INHERITED: list[Dataset] = []


def _inherited_frames(_: int) -> list[bytes]:
    return frames(_INHERITED[0])


class TestPack:
    @pytest.mark.parametrize("kind", ["zip", "array_record"])
    def test_a_tar_packed_again_is_what_the_folder_gives(self, packed: Path, tmp_path: Path, kind: str) -> None:
        tar = packed / "tars/original/small.tar"
        flags = ["--dataset=otb:small", f"--source={tar}", f"--format={kind}", f"--tar_dir={tmp_path}"]
        assert pack_tool.main(flags) == 0
        again, first = tmp_path / f"original/small.{kind}", packed / f"tars/original/small.{kind}"
        files = sorted(path.relative_to(again) for path in again.rglob("*")) if again.is_dir() else [Path()]
        for file in files:
            assert (again / file).read_bytes() == (first / file).read_bytes(), file
        with pytest.raises(UserError, match="exists already; give --overwrite"):
            pack_tool.main(flags)
        assert pack_tool.main([*flags, "--overwrite"]) == 0

    def test_a_tar_from_a_tar_is_no_work(self, packed: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"small.tar is packed already; give --format"):
            pack(NAME, packed / "tars/original/small.tar", tmp_path / "small.tar")


class TestStagedZip:
    @pytest.mark.parametrize("mode", ["untar", "tar"])
    def test_a_zip_is_staged_like_a_tar(self, places: Locations, tmp_path: Path, mode: str) -> None:
        expected = frames(open_dataset(NAME, places, silent))
        staged = replace(places, storage="zip", stage_mode=mode)  # type: ignore[arg-type]
        said: list[str] = []
        dataset = open_dataset(NAME, staged, said.append)
        assert frames(dataset) == expected
        copy = tmp_path / "node/original" / ("small" if mode == "untar" else "small.zip")
        assert dataset.staged is not None
        assert dataset.staged.path == copy
        assert said[-1].startswith(f"small: staged to {copy} in ")
        dataset.close()
        said.clear()
        again = open_dataset(NAME, staged, said.append)
        assert said == []
        assert frames(again) == expected
        again.close()


class TestMemory:
    @pytest.mark.parametrize("kind", ["tar", "zip"])
    def test_a_tar_or_zip_is_copied_to_memory_once(self, places: Locations, memory: Path, kind: str) -> None:
        staged = replace(places, storage=kind, stage_mode="memory")  # type: ignore[arg-type]
        said: list[str] = []
        first, second = open_dataset(NAME, staged, said.append), open_dataset(NAME, staged, said.append)
        copy = memory / f"seqtrack-{os.getuid()}" / "original" / f"small.{kind}"
        assert sum("staging" in line for line in said) == 1
        assert first.staged is not None
        assert first.staged.path == copy
        assert (memory / f"seqtrack-{os.getuid()}").stat().st_mode & 0o777 == 0o700
        assert frames(first) == frames(second) == frames(open_dataset(NAME, places, silent))
        assert first.data_fingerprint == fingerprint(NAME, staged, silent)
        first.close()
        assert copy.exists()
        second.close()
        assert copy.exists(), "kept for the next job, as other copies are"

    def test_the_last_user_gives_the_memory_back(self, places: Locations, memory: Path) -> None:
        staged = replace(places, storage="zip", stage_mode="memory", keep=False)
        first, second = open_dataset(NAME, staged, silent), open_dataset(NAME, staged, silent)
        copy = memory / f"seqtrack-{os.getuid()}" / "original" / "small.zip"
        first.close()
        assert copy.exists()
        second.close()
        assert not copy.exists()

    def test_too_little_memory_is_one_line_and_the_disk(
        self, places: Locations, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "seqtrack.data.storage.staging.free_bytes", lambda folder: 10 if memory in folder.parents else 1 << 40
        )
        said: list[str] = []
        dataset = open_dataset(NAME, replace(places, storage="zip", stage_mode="memory"), said.append)
        (line,) = [line for line in said if "--stage_mode=memory" in line]
        assert re.fullmatch(
            r"small: --stage_mode=memory: .* has less room than the 0.01 MB of .*small.zip;"
            r" staging to the disk of this machine instead", line,
        )  # fmt: skip
        assert dataset.staged is not None
        assert dataset.staged.path == tmp_path / "node/original/small.zip"
        assert len(frames(dataset)) == 12
        dataset.close()

    def test_a_machine_without_shared_memory(
        self, places: Locations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(node_local, "SHARED_MEMORY", tmp_path / "none")
        said: list[str] = []
        opened = open_frames(locate(NAME, replace(places, storage="tar", stage_mode="memory")), places, said.append)
        assert "this machine has no shared memory that can be written; staging to the disk" in said[0]
        assert opened.staged is not None
        opened.staged.close()

    def test_free_memory_counts_as_well_as_the_limit_of_its_file_system(
        self, memory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import psutil

        (memory / "set").mkdir()
        available = psutil.virtual_memory()._replace(available=12345)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
        assert node_local.free_bytes(memory / "set") == 12345

    @pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc/PID/smaps")
    def test_eight_workers_of_two_trials_hold_one_copy_of_the_bytes(self, tmp_path: Path, memory: Path) -> None:
        """Pss shares each page out among those who map it: the sum over all processes is what the node holds."""
        rng = np.random.default_rng(0)
        members = {f"big/{n:03d}.jpg": rng.bytes(100_000) for n in range(80)}
        archive = write_zip(tmp_path / "big.zip", members)
        size = archive.stat().st_size
        command = [sys.executable, "-c", _TRIAL, str(archive), str(memory), str(tmp_path / "cache")]
        trials = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
            )
            for _ in range(2)
        ]
        # All have read everything before anyone is asked, and are there until all have been.
        assert [_line(trial) for trial in trials] == ["ready\n"] * 2
        mapped = [int(part) for trial in trials for part in _line(trial, ask="\n").split()]
        for trial in trials:
            assert trial.communicate()[0] == ""
        assert len(mapped) == 2 * 9
        assert sum(mapped) <= 1.05 * size
        assert sum(mapped) >= 0.95 * size
        (copy,) = memory.rglob("*.zip")
        assert copy.stat().st_blocks * 512 <= 1.05 * size


def _line(process: subprocess.Popen[str], ask: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(ask)
    process.stdin.flush()
    return process.stdout.readline()


_TRIAL = """
import multiprocessing, sys
from pathlib import Path
from seqtrack.data.storage.staging import stage
from seqtrack.data.storage import open_archive

archive, memory, cache = map(Path, sys.argv[1:])
staged = stage(archive, memory, "original", "big", "tar", lambda _: None, cache)
frames = open_archive(staged.path, "big", cache, staged.digest, mapped=True)

def pss():
    total, ours = 0, False
    for line in open("/proc/self/smaps"):
        if "-" in line.split(" ")[0] and not line.startswith("Pss"):
            ours = line.rstrip().endswith("big.zip")
        elif ours and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total

def work(barrier, go, queue):
    for name in frames.table.names():
        frames.read(name)
    barrier.wait()
    go.wait()
    queue.put(pss())
    barrier.wait()

context = multiprocessing.get_context("fork")
barrier, go, queue = context.Barrier(9), context.Event(), context.Queue()
workers = [context.Process(target=work, args=(barrier, go, queue)) for _ in range(8)]
for worker in workers:
    worker.start()
for name in frames.table.names():
    frames.read(name)
barrier.wait()
print("ready", flush=True)
sys.stdin.readline()
go.set()
print(pss(), *(queue.get() for _ in workers), flush=True)
sys.stdin.read()
barrier.wait()
"""


def test_an_archive_in_place_is_not_mapped(places: Locations) -> None:
    opened = open_frames(locate(NAME, replace(places, storage="zip")), places, silent)
    assert isinstance(opened.frames, ArchiveFrames)
    assert opened.frames._map is None
