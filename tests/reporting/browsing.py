"""A real browser that looks at a page, and tells what it saw."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

from tests.workbench import PATIENCE_SECONDS

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip
# Runs before anything of the page.
_WATCH = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
</script>"""


def visit(browser: str, page: str, folder: Path, width: int = 1400) -> Any:
    """What the page itself, opened in a window so wide, has put into its title as JSON by the end of ``load``."""
    text = _start(browser, page, folder, f"--window-size={width},900", "--dump-dom")
    return _title(text)


def visit_at(browser: str, page: str, folder: Path, widths: Sequence[int], probe: str) -> Any:
    """One page in windows of several widths, in one start of the browser: what ``probe`` returns, the body of a
    function of ``windows``. A window's ``errors`` has what went wrong in it."""
    watched = page.replace("<head>", "<head>" + _WATCH)
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px" srcdoc="{escape(watched)}"></iframe>' for width in widths
    )
    script = f"""<script>addEventListener("load", () => {{
      const windows = Array.from(document.querySelectorAll("iframe"), (frame) => frame.contentWindow);
      const probe = (windows) => {{ {probe} }};
      try {{ document.title = JSON.stringify(probe(windows)); }}
      catch (error) {{ document.title = JSON.stringify(String(error.stack)); }}
    }});</script>"""
    text = _start(browser, f"<title></title><style></style>{script}{frames}", folder, "--dump-dom")
    return _title(text)


def _title(text: str) -> Any:
    (title,) = re.findall("<title>(.*?)</title>", text.split("</style>")[0], re.DOTALL)
    return json.loads(unescape(title))


def _start(browser: str, page: str, folder: Path, *flags: str) -> str:
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return subprocess.run(
        [browser, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, file.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    ).stdout  # fmt: skip
