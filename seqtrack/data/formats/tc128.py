"""Temple-Color-128: 128 colour videos, 78 of which are not in OTB.

    <Seq>/img/NNNN.jpg
    <Seq>/<Seq>_gt.txt              x y w h per labelled frame, 1-based, comma, tab or spaces
    <Seq>/<Seq>_frames.txt          "first,last": numbers of the labelled files

Part ``ce`` is those that its authors collected themselves, named ``…_ce``, ``…_ce1``, ….

Liang, Blasch, Ling: Encoding color information for visual tracking, TIP 2015. Evaluated with OTB's MATLAB toolkit, so
the first pixel is 1; got10k takes the numbers as they are. Spellings of ``<Seq>`` differ in case between the files of
one sequence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqtrack.data.formats import Listing, Sizes, Tree, VideoAnnotation
from seqtrack.data.formats.common import (
    base_of,
    frames_for,
    join,
    name_below,
    parse_rows,
    positions_of,
    refuse_frames,
    video_of_one_target,
    walk,
)
from seqtrack.errors import DataError

EXPECTED = "<Seq>/img/NNNN.jpg, <Seq>/<Seq>_gt.txt and <Seq>/<Seq>_frames.txt"

_OWN = re.compile(r".*_ce\d*", re.IGNORECASE)


class Entry(NamedTuple):
    sequence: str
    folder: str
    truth: str
    """Relative to the tree, as ``range``."""
    range: str


def find(tree: Tree, part: str) -> Iterator[Entry]:
    """Every folder with a ``*_gt.txt``, of the tree or of ``Temple-color-128`` in it."""
    base = base_of(tree, "Temple-color-128")
    for folder, listing in walk(tree, base, into=lambda _, listing: not _ending(listing, "_gt.txt")):
        truths = _ending(listing, "_gt.txt")
        sequence = name_below(tree, base, folder)
        if part == "ce" and not _OWN.fullmatch(sequence.partition("/")[0]):
            continue
        if not truths:
            refuse_frames(tree, folder, listing, "*_gt.txt")
            continue
        ranges = _ending(listing, "_frames.txt")
        if len(truths) > 1 or len(ranges) != 1:
            raise DataError(
                f"{tree.describe(folder) if folder else tree.source}: {len(truths)} *_gt.txt and {len(ranges)}"
                f" *_frames.txt; expected one of each: {EXPECTED}"
            )
        yield Entry(sequence, folder, join(folder, truths[0]), join(folder, ranges[0]))


def _ending(listing: Listing, suffix: str) -> list[str]:
    return [name for name in listing.files if name.lower().endswith(suffix)]


def read(tree: Tree, entry: Entry, sizes: Sizes) -> VideoAnnotation:
    where, range_file = tree.describe(entry.truth), tree.describe(entry.range)
    frames = frames_for(tree, join(entry.folder, "img"), entry.truth, "NNNN.jpg there")
    first_and_last = parse_rows(tree.read(entry.range), range_file, (2,))
    first, last = first_and_last[0]
    if len(first_and_last) != 1 or not (first.is_integer() and last.is_integer() and 0 <= first <= last):
        raise DataError(f'{range_file}, row 1: expected "first,last", the numbers of the labelled files; mend it')
    boxes = parse_rows(tree.read(entry.truth), where, (4,))
    if len(boxes) != last - first + 1:
        raise DataError(
            f"{where}: {len(boxes)} rows for frames {first:g} to {last:g} of {range_file};"
            " rows and frames must match: mend the data"
        )
    positions = positions_of(np.arange(first, last + 1), frames, where)
    return video_of_one_target(tree, entry.sequence, frames, boxes, where, sizes, first_pixel=1, positions=positions)
