"""A folder for one process at a time."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from seqtrack.data.working_folder import remove, working_folder
from seqtrack.errors import UserError


def test_one_process_at_a_time_and_the_other_is_told_which(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with filelock.FileLock(folder / "lock"), pytest.raises(UserError, match="work: another process is at work on"):
        working_folder(folder, patience=0.1).__enter__()
    (folder / "owner").write_text("process 7 on node3")
    with filelock.FileLock(folder / "lock"), pytest.raises(UserError, match="work: process 7 on node3 is at work on"):
        working_folder(folder, patience=0.1).__enter__()


def test_it_is_removed_with_everything_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    with working_folder(folder):
        (folder / "pieces").mkdir()
        (folder / "pieces/0").touch()
        remove(folder)
    assert not folder.exists()
