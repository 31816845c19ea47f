"""What every page for a browser shares: the skeleton, a style that is readable on a phone, in print and in the dark,
pictures inside of it, and the policy that nothing is asked of any network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_QUALITY = 80  # of JPEG

# The policy makes sure that nothing is asked of any network, whatever a name might contain.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""

BASE_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #666; --truth: #0c2; --bad: #c22; }
@media screen and (prefers-color-scheme: dark) { :root { --soft: #aaa; --bad: #f55; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 100rem; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1.2rem; break-after: avoid; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .2rem 0; color: var(--soft); overflow-wrap: anywhere; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .75rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.picture { position: relative; display: inline-block; max-width: 100%; line-height: 0; vertical-align: bottom; }
.picture img { display: block; max-width: 100%; width: auto; height: auto; }
.picture svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.picture rect { fill: none; stroke: var(--truth); stroke-width: 2; vector-effect: non-scaling-stroke; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .4rem; align-items: end; }
.strip .picture img { max-height: 10rem; }
b.absent { color: var(--bad); }
[hidden] { display: none; }
@media print {
 :root { color-scheme: light; }
 .strip .picture img { max-height: 6rem; }
 * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def document(title: str, body: str, style: str, script: str) -> str:
    """A whole page. ``title`` is text; ``body`` is HTML in which everything from outside is escaped; ``style`` comes
    after BASE_STYLE."""
    return _PAGE.format(title=escape(title), body=body, style=BASE_STYLE + style, script=script)


def count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def picture(image: Image, boxes: Iterable[tuple[Sequence[float], str]], text: str, quality: int = _QUALITY) -> str:
    """An RGB picture with boxes (x y w h in its pixels, and a class for the style) drawn over it; ``text`` is for
    those who do not see it."""
    height, width = image.shape[:2]
    rectangles = "".join(
        f'<rect class="{kind}" x="{box[0]:.1f}" y="{box[1]:.1f}" width="{box[2]:.1f}" height="{box[3]:.1f}"/>'
        for box, kind in boxes
        if np.isfinite(box).all()
    )
    return (
        f'<div class="picture"><img src="{data_uri(image, quality)}" width="{width}" height="{height}"'
        f' alt="{escape(text)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{rectangles}</svg></div>'
    )


def data_uri(image: Image, quality: int = _QUALITY) -> str:
    """An RGB picture as a JPEG inside of a URI."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
