"""A real browser that looks at a page, and tells what it saw."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip


def visit(browser: str, page: str, folder: Path, width: int = 1400) -> Any:
    """What the page itself, opened in a window so wide, has put into its title as JSON by the end of ``load``."""
    text = _start(browser, page, folder, f"--window-size={width},900", "--dump-dom")
    (title,) = re.findall("<title>(.*?)</title>", text.split("</style>")[0], re.DOTALL)
    return json.loads(title.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _start(browser: str, page: str, folder: Path, *flags: str) -> str:
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return subprocess.run(
        [browser, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
