"""Fixtures that several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real sequences and results that lie beside the project where it is developed and in CI."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data (real sequences), which is not beside this clone")
    return SHARED


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
