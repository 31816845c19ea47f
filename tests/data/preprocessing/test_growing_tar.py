"""A tar that grows block by block: whatever a kill or a power cut leaves, it goes on to the same bytes."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seqtrack.data.preprocessing.growing_tar import GrowingTar, members

TASK = {"what": "a test"}
BLOCKS = [members([(f"set/{number}.txt", bytes([65 + number]) * (300 * number + 1))]) for number in range(5)]
LAST = members([("set/last.json", b"{}")])


def write(folder: Path, published: Path) -> tuple[int, bytes]:
    """How many blocks were there, and the finished tar."""
    folder.mkdir(exist_ok=True)
    tar = GrowingTar(folder, TASK)
    begin = len(tar.records)
    assert [record["number"] for record in tar.records] == list(range(begin))
    for number in range(begin, len(BLOCKS)):
        tar.append(BLOCKS[number], {"number": number})
    tar.publish(LAST, published)
    return begin, published.read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return write(tmp_path / "whole", tmp_path / "whole.tar")[1]


def test_any_tar_program_reads_it(tmp_path: Path, whole: bytes) -> None:
    with tarfile.open(tmp_path / "whole.tar") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [*(f"set/{n}.txt" for n in range(5)), "set/last.json"]
        assert archive.extractfile("set/3.txt").read() == b"D" * 901  # type: ignore[union-attr]
    assert {(m.mtime, m.uid, m.uname, m.mode) for m in members} == {(0, 0, "", 0o644)}
    assert len(whole) % tarfile.RECORDSIZE == 0


def torn_line(folder: Path) -> None:
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'[99999, 12, {"numb')


def line_that_is_no_list(folder: Path) -> None:
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b"99999\n")


def block_without_line(folder: Path) -> None:
    with (folder / "pictures.tar").open("ab") as tar:
        tar.write(BLOCKS[3][:700])


def lines_without_blocks(folder: Path) -> None:
    os.truncate(folder / "pictures.tar", len(BLOCKS[0]) + len(BLOCKS[1]) + 10)


def zeros_in_a_block(folder: Path) -> None:
    with (folder / "pictures.tar").open("r+b") as tar:
        tar.seek(len(BLOCKS[0]) + 512)
        tar.write(bytes(20))


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (nothing, 3),
        (torn_line, 3),
        (line_that_is_no_list, 3),
        (block_without_line, 3),
        (lines_without_blocks, 2),
        (zeros_in_a_block, 1),
    ],
)
def test_it_goes_on_after_the_last_block_that_is_right(
    tmp_path: Path, whole: bytes, damage: Callable[[Path], None], kept: int
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    tar = GrowingTar(folder, TASK)
    for number in range(3):
        tar.append(BLOCKS[number], {"number": number})
    tar.close()
    damage(folder)
    assert write(folder, tmp_path / "again.tar") == (kept, whole)


def test_what_was_cut_off_is_written_anew(tmp_path: Path, whole: bytes) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    tar = GrowingTar(folder, TASK)
    tar.append(BLOCKS[0], {"number": 0})
    tar.append(b"x" * 512, {"number": 1})
    tar.cut(1)
    tar.close()
    assert write(folder, tmp_path / "again.tar") == (1, whole)


def test_nothing_of_another_task_is_used(tmp_path: Path, whole: bytes) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    tar = GrowingTar(folder, {"what": "another"})
    tar.append(b"y" * 1024, {"number": 0})
    tar.close()
    assert write(folder, tmp_path / "again.tar") == (0, whole)
