"""Columns that grow give back what was put in, whether it lay in memory, in the spool, or the disk was full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from seqtrack.data.arrays import columns
from seqtrack.data.arrays.columns import Column, Spool, TextColumns

NUMBERS = np.arange(1000).reshape(-1, 10) ** 3
TEXTS = [f"video_{n % 7}/é{n}" + "x" * (n % 13) for n in range(400)] + ["", "\udcff", "a" * 500]


class FullDisk(Spool):
    """Has room for two blocks."""

    room = 2

    def append(self, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        return super().append(data)


@pytest.mark.parametrize("make", [lambda _: None, Spool, FullDisk], ids=["memory", "spool", "full disk"])
def test_what_was_put_in_comes_out(
    make: Callable[[Path], Spool | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_SPOOL_BYTES", 256)
    monkeypatch.setattr(columns, "_SINGLE_NUMBERS", 7)
    spool = make(tmp_path)
    numbers, texts = Column(np.int64, 0, spool), TextColumns(spool)
    for many, one_by_one in NUMBERS.reshape(-1, 2, 10):
        numbers.append(many)
        for number in one_by_one.tolist():
            numbers.add(number)
    for start in range(0, len(TEXTS) - 1, 31):
        texts.add(TEXTS[start])
        texts.append(TEXTS[start + 1 : start + 31])
    for _ in range(2):  # reading takes nothing away
        assert list(numbers) == NUMBERS.ravel().tolist()
        np.testing.assert_array_equal(numbers.array(), NUMBERS.ravel())
        assert list(texts) == TEXTS
    if spool is not None:
        with closing(spool):
            assert getattr(spool, "room", 0) == 0
