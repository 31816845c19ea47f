"""What publishers say of sequences beside their boxes: tags of single frames, attributes of whole sequences.

    vot      <seq>/camera_motion.tag, … (or .label)   0 or 1 per frame; shorter files are padded with 0
    tc128    <Seq>/<Seq>_att.txt                      abbreviations, such as IV OCC
    uav123   anno/UAV123/att/<sequence>.txt           twelve flags, 0 or 1 (UAV20L has its own)

No index has them, for nothing is learned from them: they are read from the original version when scores are broken
down. A file of attributes in another form counts as none: no score depends on it. Of the other layouts publishers
have none beside the labels (OTB, LaSOT: in their toolkits only; GOT-10k says what moves and how, not what is hard).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.formats import Tree
from seqtrack.data.formats.common import base_of, exists, join, parse_rows

TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")
"""VOT's, as the challenges report them; further files with this ending are not their attributes."""

# The columns, as the head of the table in the publisher's DatasetAnnotation.pdf has them; not those of the paper.
_UAV123 = (
    "Scale Variation", "Aspect Ratio Change", "Low Resolution", "Fast Motion", "Full Occlusion", "Partial Occlusion",
    "Out-of-View", "Background Clutter", "Illumination Variation", "Viewpoint Change", "Camera Motion",
    "Similar Object",
)  # fmt: skip
_BETWEEN = re.compile(r"[\s,;]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z-]*")


class Marks(NamedTuple):
    """tags: name -> (T,) bool. attributes: names of what holds for the whole sequence."""

    tags: dict[str, NDArray[np.bool_]]
    attributes: tuple[str, ...]


def are_published(layout: str) -> bool:
    return layout in ("vot", "tc128", "uav123")


def read_marks(layout: str, part: str, tree: Tree, video: str, track: str, frames: NDArray[np.int64]) -> Marks:
    """Of one sequence; empty where the publisher has none.

    Args:
        tree: the original version.
        frames: (T,) positions in the video's list of frames.

    Raises:
        DataError: names a file of tags and the row that is no number.
    """
    if layout == "vot":
        return Marks(_tags(tree, video, frames), ())
    if layout == "tc128":
        return Marks({}, _names(tree, join(base_of(tree, "Temple-color-128"), video)))
    if layout == "uav123":
        folder = "UAV20L" if part == "uav20l" else "UAV123"
        return Marks({}, _flagged(tree, join(base_of(tree, "UAV123"), f"anno/{folder}/att/{track}.txt")))
    return Marks({}, ())


def _tags(tree: Tree, video: str, frames: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    folder = video if exists(tree, video) else ""  # the tree itself may be the sequence
    there = {*tree.list(folder).files}
    found = {}
    for tag in TAGS:
        for name in (f"{tag}.tag", f"{tag}.label"):
            if name in there:
                rows = _column(tree, join(folder, name))
                flags = np.zeros(max(len(rows), int(frames[-1]) + 1), bool)
                flags[: len(rows)] = rows == 1
                found[tag] = flags[frames]
                break
    return found


def _column(tree: Tree, name: str) -> NDArray[np.float64]:
    text = tree.read(name)
    return parse_rows(text, tree.describe(name), (1,))[:, 0] if text.strip() else np.zeros(0)


def _names(tree: Tree, folder: str) -> tuple[str, ...]:
    name = next((name for name in tree.list(folder).files if name.lower().endswith(("_att.txt", "_attr.txt"))), None)
    if name is None:
        return ()
    words = list(filter(None, _BETWEEN.split(tree.read(join(folder, name)).decode("utf-8-sig", "replace"))))
    return tuple(dict.fromkeys(words)) if all(map(_WORD.fullmatch, words)) else ()


def _flagged(tree: Tree, name: str) -> tuple[str, ...]:
    if not exists(tree, name):
        return ()
    flags = list(filter(None, _BETWEEN.split(tree.read(name).decode("utf-8-sig", "replace"))))
    if len(flags) != len(_UAV123) or not {"0", "1"}.issuperset(flags):
        return ()
    return tuple(attribute for attribute, flag in zip(_UAV123, flags, strict=True) if flag == "1")
