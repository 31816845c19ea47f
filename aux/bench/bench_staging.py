"""Bringing a tar of 20,000 files (1 GB) to a node, and reading frames in place, from it and every other backend.

Each figure compares with the plain tool (``tar xf``, ``cp``, ``open().read()``) in the same run, in turn, on
generated files with a warm page cache. Staged copies are removed between rounds, outside the time taken.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from table import Row, main, paired

from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import DatasetName
from seqtrack.data.storage import ArchiveFrames, DirectoryFrames, Frames, open_archive
from seqtrack.data.storage.node_local import shared_memory_root
from seqtrack.data.storage.recordset import open_records
from seqtrack.data.storage.staging import stage

FILES, FILE_BYTES, ROUNDS, READS = 20_000, 50_000, 5, 4_000


def generate(tar: Path) -> None:
    """A data set ``big`` of ``FILES`` files in 100 folders."""
    content = random.Random(0).randbytes(FILE_BYTES)
    with tarfile.open(tar, "w") as archive:
        for number in range(FILES):
            info = tarfile.TarInfo(f"big/{number % 100:03d}/img/{number:08d}.jpg")
            info.size = FILE_BYTES
            archive.addfile(info, fileobj=_Bytes(content))


class _Bytes:
    """As much of a file as ``addfile`` needs, without a copy per member."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._position = 0

    def read(self, count: int = 0, /) -> bytes:
        piece = bytes(self._content[self._position : self._position + count])
        self._position += count
        return piece


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def against(
    a: Callable[[], object], b: Callable[[], object], reset: Callable[[], object]
) -> list[tuple[float, float]]:
    """Seconds of a and of b in each round, first the one and then the other; ``reset`` is not timed."""
    rounds = []
    for number in range(ROUNDS):
        taken = {}
        for function in (a, b) if number % 2 == 0 else (b, a):
            reset()
            taken[function] = seconds(function)
        rounds.append((taken[a], taken[b]))
    return rounds


def ratio_of(rounds: list[tuple[float, float]]) -> float:
    return statistics.median(ours / plain for ours, plain in rounds)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tar = folder / "big.tar"
        generate(tar)
        yield from _staging(folder, tar)
        yield from _reading(folder, tar)


def repacked(tar: Path, name: str, into: Path, kind: str) -> Path:
    """A tar of any version of a data set in another backend, as ``seqtrack pack --format`` makes it."""
    return pack(DatasetName("otb", name), tar, into / f"{name}.{kind}").path


def _staging(folder: Path, tar: Path) -> Iterator[Row]:
    node, plain, cache = folder / "node", folder / "plain", folder / "cache"

    def reset() -> None:
        shutil.rmtree(node, ignore_errors=True)
        shutil.rmtree(plain, ignore_errors=True)
        plain.mkdir()
        os.sync()  # the last round's writing must not be charged to this one

    def staged(mode: str, table: Path) -> Callable[[], None]:
        return lambda: stage(tar, node, "original", "big", mode, lambda _: None, table).close()

    def untar_plainly() -> None:
        subprocess.run(["tar", "xf", str(tar), "-C", str(plain)], check=True)

    def copy_plainly() -> None:
        subprocess.run(["cp", str(tar), str(plain / "big.tar")], check=True)

    ratio = ratio_of(against(staged("untar", cache), untar_plainly, reset))
    yield Row("staging: --untar / tar xf", ratio, "×", "<= 1.2", ratio <= 1.2, f"{FILES:,} files, 1 GB")
    reset()
    staged("untar", cache)()
    again = statistics.median(seconds(staged("untar", cache)) for _ in range(ROUNDS))
    yield Row("staging: second job on the node", again, "s", "< 0.2", again < 0.2)
    staged("tar", cache)()  # makes the table of members known
    ratio = ratio_of(against(staged("tar", cache), copy_plainly, reset))
    yield Row("staging: --stage_mode=tar / cp, table known", ratio, "×", "<= 1.3", ratio <= 1.3)
    unknown = iter(range(1000))
    rounds = against(lambda: staged("tar", folder / f"cache_{next(unknown)}")(), copy_plainly, reset)
    extra = statistics.median(ours - 1.3 * plain for ours, plain in rounds)
    yield Row("staging: the same, table unknown, beyond 1.3 × cp", extra, "s", "<= 0.5", extra <= 0.5)
    reset()


def _reading(folder: Path, tar: Path) -> Iterator[Row]:
    stage(tar, folder / "node", "original", "big", "untar", lambda _: None).close()
    root = folder / "node" / "original" / "big"
    inside: ArchiveFrames = open_archive(tar, "big", folder / "cache", mapped=True)  # as a staged copy is
    shared: ArchiveFrames = open_archive(tar, "big", folder / "cache")
    names = inside.table.names()
    random.Random(1).shuffle(names)
    names = names[:READS]
    paths = [str(root / name) for name in names]
    extracted = DirectoryFrames(root)

    def in_place() -> None:
        for name in names:
            inside.read(name)

    def files() -> None:
        for path in paths:
            with open(path, "rb") as file:  # noqa: PTH123  the quickest way that people use
                file.read()

    def unbuffered() -> None:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            os.read(descriptor, FILE_BYTES)
            os.close(descriptor)

    def ours() -> None:
        for name in names:
            extracted.read(name)

    def in_shared_tar() -> None:
        for name in names:
            shared.read(name)

    ratio = paired(in_place, files)
    note = f"{FILE_BYTES // 1000} kB frames, random order, warm"
    yield Row(
        "reading in a staged tar / open().read() of an extracted file", ratio, "×", "<= 0.6", ratio <= 0.6, note
    )
    unstaged = paired(in_shared_tar, files)
    yield Row("reading in a shared tar (pread) / open().read()", unstaged, "×", "<= 0.6", unstaged <= 0.6)
    bare = paired(in_place, unbuffered)
    yield Row("reading in a staged tar / os.open, os.read, os.close", bare, "×", "", None)
    folder_ratio = paired(ours, files)
    yield Row("reading from a folder (ours) / open().read()", folder_ratio, "×", "", None)
    yield from _other_backends(folder, tar, names, files)


def _other_backends(folder: Path, tar: Path, names: list[str], files: Callable[[], object]) -> Iterator[Row]:
    def each(frames: Frames) -> Callable[[], object]:
        def read_all() -> None:
            for name in names:
                frames.read(name)

        return read_all

    archive = repacked(tar, "big", folder, "zip")
    in_place = paired(each(open_archive(archive, "big", folder / "cache")), files)
    yield Row("reading in a shared zip (pread) / open().read()", in_place, "×", "", None)
    root = shared_memory_root()
    if root is not None:
        with stage(archive, root, "bench", "big", "tar", lambda _: None, folder / "cache", keep=False) as staged:
            preloaded = open_archive(staged.path, "big", folder / "cache", staged.digest, mapped=True)
            ratio = paired(each(preloaded), files)
            preloaded.close()
        yield Row("reading in a zip in shared memory / open().read()", ratio, "×", "<= 0.6", ratio <= 0.6)
    records = open_records(repacked(tar, "big", folder, "array_record"))
    yield Row("reading ArrayRecord / open().read()", paired(each(records), files), "×", "", None)


if __name__ == "__main__":
    main(rows)
