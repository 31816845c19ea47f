"""Fixtures for command lines that ask SLURM."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from seqtrack.cluster import slurm_queue
from tests.workbench import PATIENCE_SECONDS


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM's clients are waited for, however late their answer: a busy machine is no dead controller. For what
    ``Workbench.call`` does."""
    ask = slurm_queue.ask

    def wait(command: Sequence[str], seconds: float) -> str | None:
        return ask(command, PATIENCE_SECONDS)

    monkeypatch.setattr(slurm_queue, "ask", wait)
    monkeypatch.setattr(slurm_queue, "ANSWER_SECONDS", PATIENCE_SECONDS)
