"""``seqtrack preprocess`` as a person gives it: what it prints, what a kill leaves, what a mistake is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seqtrack.data.datasets import open_index_of
from seqtrack.data.formats import DatasetName
from seqtrack.data.locations import Locations
from tests.data.otb_layout import boxes_text, write_sequence
from tests.gates import OPEN, Gate
from tests.workbench import Result, Workbench, is_gone, wait_for

FRAMES = 120
COMMAND = ("--dataset=otb:small", "--preproc=crop_446", "--out=tars")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 120 frames; beside it a cache with their index. Not to be changed."""
    folder = tmp_path_factory.mktemp("source") / "small"
    for name in ("Seq0", "Seq1"):
        write_sequence(folder / name, range(1, FRAMES + 1), boxes_text(FRAMES), size=(320, 240))
    name = DatasetName("otb", "small")
    open_index_of(name, Locations(data_paths={"small": folder}, cache_dir=folder.parent / "cache"), lambda _: None)
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "bench", Path(__file__).resolve().parents[2], tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, source: Path) -> bytes:
    bench = Workbench(tmp_path_factory.mktemp("uninterrupted"), Path(__file__).resolve().parents[2], source)
    result = bench.run("preprocess", *COMMAND, f"--source={source}", "--num_workers=1")
    assert result.code == 0, result
    return (bench.folder / "tars/crop_446/small.tar").read_bytes()


def preprocess(bench: Workbench, *words: str) -> Result:
    return bench.run("preprocess", *COMMAND, *words)


def files_in(bench: Workbench) -> list[str]:
    return sorted(str(path.relative_to(bench.folder / "tars")) for path in (bench.folder / "tars").rglob("*"))


def lines_of(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def held_after(
    blocks: int, bench: Workbench, source: Path, gate: Callable[..., Gate], workers: int
) -> tuple[subprocess.Popen[str], Gate]:
    """A command so many of whose blocks of 32 are in the journal; the worker that has the next is held in it."""
    video, frame = divmod(32 * blocks + 8, FRAMES)
    block = gate(OPEN, f"*/Seq{video}/img/{frame:04d}.jpg")
    words = [*COMMAND, f"--source={source}", f"--num_workers={workers}"]
    command = bench.start("preprocess", *words, PYTHONWARNINGS="ignore", **block.environment)
    block.wait(command)
    journal = bench.folder / "tars/crop_446/.small.tar.unfinished/journal.jsonl"
    wait_for(lambda: lines_of(journal) == 1 + blocks, "blocks in the journal", command)  # after a line of the index
    return command, block


def test_it_says_what_it_made_and_that_it_was_made_before(empty: Workbench, source: Path) -> None:
    first = preprocess(empty, f"--source={source}")
    assert first.code == 0, first
    assert first.out.startswith("tars/crop_446/small.tar: 2 videos, 240 pictures, ")
    assert files_in(empty) == ["crop_446", "crop_446/small.tar"]
    again = preprocess(empty, f"--source={source}")
    assert (again.code, again.err) == (0, "")
    assert again.out == f"done before: {first.out}"


@pytest.mark.parametrize("blocks", [0, 5])
def test_killed_anywhere_the_same_command_goes_on_to_the_same_bytes(
    empty: Workbench, source: Path, uninterrupted: bytes, blocks: int, gate: Callable[..., Gate]
) -> None:
    """SIGKILL to the command alone: its workers notice, and leave too."""
    command, _ = held_after(blocks, empty, source, gate, workers=2)
    workers = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(signal.SIGKILL)
    command.communicate()
    for worker in workers:
        wait_for(lambda pid=worker.pid: is_gone(pid), "the end of a worker")
    assert not (empty.folder / "tars/crop_446/small.tar").exists()

    result = preprocess(empty, f"--source={source}", "--num_workers=1")

    assert result.code == 0, result
    said = [line for line in result.err.splitlines() if "going on" in line]
    assert said == [f"small: going on after {32 * blocks} of 240 pictures"][: blocks > 0]
    assert (empty.folder / "tars/crop_446/small.tar").read_bytes() == uninterrupted
    assert files_in(empty) == ["crop_446", "crop_446/small.tar"]


def test_killed_again_and_again(
    empty: Workbench, source: Path, uninterrupted: bytes, gate: Callable[..., Gate]
) -> None:
    for blocks in (2, 3, 6):
        command, _ = held_after(blocks, empty, source, gate, workers=1)
        command.kill()
        command.communicate()
    assert preprocess(empty, f"--source={source}").code == 0
    assert (empty.folder / "tars/crop_446/small.tar").read_bytes() == uninterrupted


def test_ctrl_c_is_one_word_and_nothing_is_lost(
    empty: Workbench, source: Path, uninterrupted: bytes, gate: Callable[..., Gate]
) -> None:
    command, block = held_after(1, empty, source, gate, workers=2)
    command.send_signal(signal.SIGINT)
    block.open()  # which is waited for
    out, err = command.communicate()
    assert (command.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert "Traceback" not in err
    assert preprocess(empty, f"--source={source}").code == 0
    assert (empty.folder / "tars/crop_446/small.tar").read_bytes() == uninterrupted


def test_a_worker_that_is_killed_is_said_so(
    empty: Workbench, source: Path, uninterrupted: bytes, gate: Callable[..., Gate]
) -> None:
    command, block = held_after(1, empty, source, gate, workers=2)
    os.kill(block.wait(), signal.SIGKILL)
    _, err = command.communicate()
    assert command.returncode == 1
    assert err.splitlines()[-1].startswith(
        "error: a worker process was killed (out of memory?); give the command again"
    )
    assert preprocess(empty, f"--source={source}").code == 0
    assert (empty.folder / "tars/crop_446/small.tar").read_bytes() == uninterrupted


def test_unreadable_frames_are_a_line_each_at_the_end(empty: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    write_sequence(folder / "Seq", range(1, 7), boxes_text(6))
    for number in (2, 5):
        path = folder / f"Seq/img/{number:04d}.jpg"
        path.write_bytes(path.read_bytes()[:200])
    result = preprocess(empty, f"--source={folder}")
    assert (result.code, result.out) == (1, "")
    lines = result.err.splitlines()
    assert [f"Seq/img/{n:04d}.jpg" in line for n, line in zip((2, 5), lines[-3:-1], strict=True)] == [True, True]
    assert lines[-1].startswith("error: 2 frames cannot be read, so nothing is published: restore them, or give")
    assert not (empty.folder / "tars/crop_446/small.tar").exists()
    skipped = preprocess(empty, f"--source={folder}", "--skip_unreadable")
    assert skipped.code == 0, skipped
    assert "1 videos, 4 pictures, 2 frames left out as unreadable" in skipped.out
    assert files_in(empty) == ["crop_446", "crop_446/small.tar"]


def test_verify_compares_every_picture_with_its_checksum(empty: Workbench, tmp_path: Path) -> None:
    write_sequence(tmp_path / "small/Seq", range(1, 5), boxes_text(4))
    assert preprocess(empty, f"--source={tmp_path}/small").code == 0
    (empty.folder / "data/crop_446").mkdir(parents=True)
    command = ["tar", "xf", empty.folder / "tars/crop_446/small.tar", "-C", empty.folder / "data/crop_446"]
    subprocess.run(command, check=True)
    verify = ("index", "verify", "otb:small", "--preproc=crop_446", "--data_dir=data")
    assert empty.run(*verify).code == 0
    picture = empty.folder / "data/crop_446/small/000000/000002.jpg"
    picture.write_bytes(picture.read_bytes()[:-9] + bytes(9))
    result = empty.run(*verify)
    assert result.code == 2, result
    assert result.err.startswith("error: data/crop_446/small/000000/000002.jpg: it does not have its checksum; make")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preproc=crop446"], "--preproc: 'crop446' is no version that can be made; did you mean crop_446?"),
        (["--dataset=otb_51"], "data set 'otb_51' is not known; did you mean otb_50?"),
        (["--source=nowhere"], "--source: nowhere is not there; expected the data set's folder or tar"),
        (["--every=0"], "--every: expected from 1 to 1,000,000,000, got 0"),
        (["--every=100000000000000000000000"], "--every: expected from 1 to 1,000,000,000, got 1000000"),
        (["--jpeg_quality=200"], "--jpeg_quality: expected from 1 to 100, got 200"),
        (["--num_workers=-1"], "--num_workers: expected 0 or more, got -1"),
        (["--evry=2"], "--evry: no such flag; did you mean --every?"),
        (["--out=/dev/null"], "--out: cannot write /dev/null/crop_446/small.tar (Not a directory)"),
    ],
)
def test_mistakes_are_one_line(empty: Workbench, source: Path, words: list[str], message: str) -> None:
    result = preprocess(empty, f"--source={source}", f"--data_cache_dir={source.parent / 'cache'}", *words)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not (empty.folder / "tars").exists()


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    empty: Workbench, source: Path, small_disk: Path, uninterrupted: bytes
) -> None:
    result = preprocess(empty, f"--source={source}", f"--out={small_disk}", "--jpeg_quality=100")
    assert result.code == 2, result
    assert "No space left on device" in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    assert json.loads((small_disk / "crop_446/.small.tar.unfinished/task.json").read_bytes())["jpeg_quality"] == 100
