"""What the markers of a JPEG say before its pixels begin (ITU-T T.81, annex B); nothing is decoded here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

START = b"\xff\xd8"
_BASELINE = (0xC0, 0xC1)
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset([0x01, *range(0xD0, 0xD8)])  # markers without a length
_RESTARTS, _SCAN, _END = 0xDD, 0xDA, 0xD9


class JpegHeader(NamedTuple):
    """``height_at``: offset of the two bytes that hold the height."""

    width: int
    height: int
    height_at: int
    unit_height: int
    """Rows of pixels in one row of the smallest coded units."""
    can_stop_early: bool
    """Baseline, all components in one scan, no restart intervals: one stream of codes from top to bottom."""


def read_jpeg_header(data: bytes | memoryview) -> JpegHeader | None:
    """The header of a JPEG; None if ``data`` is none or its markers make no sense (then decoding will say why)."""
    if data[:2] != START:
        return None
    header, components, restarts = None, 0, False
    for marker, at in _segments(data):
        if marker == _RESTARTS:
            restarts = True
        elif marker in _FRAME_HEADERS and header is None:
            if at + 8 > len(data):
                return None
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            if not (height and width and at + 8 + 3 * components <= len(data)):
                return None
            # One component is stored block by block whatever its sampling factors say (T.81, A.2.2).
            sampling = [data[at + 9 + 3 * c] & 15 for c in range(components)] if components > 1 else [1]
            header = JpegHeader(width, height, at + 3, 8 * max(sampling), can_stop_early=False)
            if marker not in _BASELINE:
                return header
        elif marker == _SCAN and header is not None:
            stops = not restarts and at + 2 < len(data) and data[at + 2] == components
            return JpegHeader(*header[:4], stops)
    return header


def _segments(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """(marker, offset of the length behind it), up to the first scan or to what is no marker."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # any number of fill bytes may precede a marker
            at += 1
            continue
        at += 2
        if marker in _ALONE:
            continue
        yield marker, at
        if marker in (_SCAN, _END):
            return
        at += int.from_bytes(data[at : at + 2], "big")
