"""Whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.runs import atomic
from seqtrack.tools import cli


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic.write_json(path, {"b": 1, "a": 2})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"NaN|nan|Out of range"):
        atomic.write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == before == b'{\n "a": 2,\n "b": 1\n}\n'
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_appears_whole_and_the_first_to_arrive_wins(tmp_path: Path) -> None:
    with atomic.replacing_folder(tmp_path / "done") as first:
        (first / "x").write_text("first")
        assert not (tmp_path / "done").exists()
        with atomic.replacing_folder(tmp_path / "done") as second:
            (second / "x").write_text("second")
    assert (tmp_path / "done" / "x").read_text() == "second"
    assert os.listdir(tmp_path) == ["done"]


def test_a_folder_whose_making_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic.replacing_folder(tmp_path / "done") as folder:
        (folder / "x").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_killed_in_the_middle_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_text("old")
    code = (
        "import signal; from pathlib import Path; from seqtrack.runs import atomic\n"
        f"with atomic.replacing(Path({str(path)!r})) as t:\n"
        "    t.write_bytes(b'new' * 1000); print('writing', flush=True); signal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text() == "old"


def test_of_many_that_create_at_once_exactly_one_does(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from seqtrack.runs import atomic\n"
        "print('here', flush=True); sys.stdin.readline()\n"
        f"print(atomic.create_exclusively(Path({str(tmp_path / 'owner')!r}), sys.argv[1].encode()))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(6)
    ]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["here\n"] * 6
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    answers = [process.stdout.read().strip() for process in processes if process.stdout]
    assert [process.wait() for process in processes] == [0] * 6
    assert sorted(answers) == ["False"] * 5 + ["True"]
    assert (tmp_path / "owner").read_text() == str(answers.index("True"))
    assert os.listdir(tmp_path) == ["owner"]


def test_a_folder_that_cannot_be_written_is_named_with_its_flag(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--cache_dir: cannot write to .*file/cache \(Not a directory\)"):
        atomic.ensure_writable_folder(tmp_path / "file" / "cache", "cache_dir")


def test_what_a_killed_process_began_is_swept_away_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    code = (
        "import signal; from pathlib import Path; from seqtrack.runs import atomic\n"
        f"with atomic.replacing(Path({str(path)!r})) as t:\n"
        "    t.write_bytes(b'x'); print('writing', flush=True); signal.pause()\n"
    )
    killed, alive = (subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2))
    for process in (killed, alive):
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
    killed.kill()
    killed.wait()
    atomic.sweep(tmp_path)
    assert [name.split("-")[-2] for name in os.listdir(tmp_path)] == [str(alive.pid)]
    alive.kill()
    alive.wait()


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    """A rename would do away with a device for the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/full")
    for name in ("pipe", "device"):
        with pytest.raises(UserError, match="is no regular file, and is not replaced by one; give another name"):
            atomic.write_text(tmp_path / name, "text")
    with pytest.raises(IsADirectoryError):
        atomic.write_text(tmp_path, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "pipe"]


def test_a_full_disk_is_one_line_that_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        with atomic.replacing(tmp_path / "summary.json") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("text")
        return 0

    assert cli.run(main, []) == cli.EXIT_FAILURE
    where = tmp_path / "summary.json"
    again = "make room, and give the same command again"
    assert capsys.readouterr().err == f"error: cannot write {where} (No space left on device): {again}\n"
    assert os.listdir(tmp_path) == []
