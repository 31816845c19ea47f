"""Fixtures for what is looked at in a browser."""

from __future__ import annotations

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        text = f"needs a browser ({BROWSERS[0]}); as root on Debian: SEQTRACK_INSTALL_BROWSER=1 make test"
        if os.environ.get("SEQTRACK_REQUIRE_BROWSER") == "1":
            pytest.fail(text)
        pytest.skip(text)
    return found
