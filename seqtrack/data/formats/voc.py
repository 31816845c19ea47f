"""PASCAL VOC's XML, in which ImageNet's VID and DET are annotated: the objects of one picture."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from seqtrack.errors import DataError

Box = tuple[float, float, float, float]


class Object(NamedTuple):
    category: str
    box: Box
    """x y w h, 0-based and continuous."""
    track: str
    """``trackid``, the same in all frames of a video; '' where there is none."""
    occluded: bool


class Picture(NamedTuple):
    size: tuple[int, int] | None
    """(width, height); None where the file does not say."""
    objects: list[Object]


def parse_picture(data: bytes, where: str) -> Picture:
    """What one annotation file says.

    ``bndbox`` names the first and the last pixel that belong to the object, counted from 0 (ImageNet has objects with
    xmin 0, and ymax 719 in pictures of 720 rows), so its width is xmax - xmin + 1.

    Raises:
        DataError: not XML, a document type (entities could expand to gigabytes), or an object without a box.
    """
    root = _parse(data, where)
    if root.tag != "annotation":
        raise DataError(f"{where}: <{root.tag}> where <annotation> is expected; fetch the file again")
    size = (_size(root, "width"), _size(root, "height"))
    objects = [_object(node, f"{where}, object {k}") for k, node in enumerate(root.findall("object"), start=1)]
    return Picture(size if min(size) > 0 else None, objects)


def _parse(data: bytes, where: str) -> Element:
    def refuse(*_: object) -> None:
        raise DataError(f"{where}: it has a document type, which no annotation needs; refused: fetch the file again")

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{where}: not XML ({error}); fetch the file again") from error
    return builder.close()


def _size(root: Element, axis: str) -> int:
    text = (root.findtext(f"size/{axis}") or "").strip()
    return int(text) if text.isdecimal() and len(text) < 7 else 0


def _object(node: Element, where: str) -> Object:
    category = (node.findtext("name") or "").strip()
    if not category:
        raise DataError(f"{where}: no <name>; mend the file")
    left, top, right, bottom = (_pixel(node, name, where) for name in ("xmin", "ymin", "xmax", "ymax"))
    if right < left or bottom < top:
        raise DataError(f"{where}: the box ends at ({right:g}, {bottom:g}), before it begins; mend the file")
    return Object(
        category=category,
        box=(left, top, right - left + 1, bottom - top + 1),
        track=(node.findtext("trackid") or "").strip(),
        occluded=(node.findtext("occluded") or "").strip() == "1",
    )


def _pixel(node: Element, name: str, where: str) -> float:
    text = (node.findtext(f"bndbox/{name}") or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: <{name}> is {text[:60]!r} where a number is expected; mend the file")
    return value
