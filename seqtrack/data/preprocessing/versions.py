"""The versions of a data set that ``seqtrack preprocess`` makes: what each name of ``--preproc`` means. Pure.

    crop_S              squares around the target, S x S pixels, for training only
    resize_force_WxH    whole frames of exactly W x H pixels, aspect not kept
    resize_fit_WxH      whole frames that fit inside W x H, aspect kept, never enlarged

(The last two are the ancestor's, torrvision/seqtrack; ``crop_446`` is what SiamFC trains on, Bertinetto et al. 2016,
as PySiamTracking spells it out.) ``original`` and folders that a person made otherwise are versions too, which
training accepts under any name; they are not parsed here.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

from seqtrack.data.locations import ORIGINAL
from seqtrack.errors import UserError

SMALLEST, LARGEST = 16, 8192
"""Sides of pictures in pixels."""

EXEMPLAR_SIZE, CONTEXT = 127, 0.5
"""What SiamFC's exemplar square measures in a crop, in pixels; the context of that square."""

_FORMS = {"crop": "crop_S", "resize_force": "resize_force_WxH", "resize_fit": "resize_fit_WxH"}


@dataclass(frozen=True)
class Crop:
    """``crop_S``: the side of its pictures in pixels."""

    side: int


@dataclass(frozen=True)
class Resize:
    """``resize_force_WxH`` and ``resize_fit_WxH``."""

    width: int
    height: int
    fit: bool

    def size_of(self, original: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the picture of a frame of this (width, height)."""
        if not self.fit:
            return self.width, self.height
        width, height = original
        scale = min(self.width / width, self.height / height, 1.0)
        return max(1, round(width * scale)), max(1, round(height * scale))


Version = Crop | Resize


def parse_version(name: str) -> Version:
    """What a name means. UserError with the nearest valid form for one that means nothing."""
    found = re.fullmatch(r"crop_([1-9]\d*)|resize_(force|fit)_([1-9]\d*)x([1-9]\d*)", name)
    if found is None:
        raise UserError(f"--preproc: {name!r} is no version that can be made; {_hint(name)}")
    sides = [int(side) for side in (found[1], found[3], found[4]) if side]
    if not all(SMALLEST <= side <= LARGEST for side in sides):
        raise UserError(f"--preproc: {name!r}: expected from {SMALLEST} to {LARGEST} pixels")
    return Crop(sides[0]) if found[1] else Resize(sides[0], sides[1], fit=found[2] == "fit")


def _hint(name: str) -> str:
    numbers = [number.lstrip("0") for number in re.findall(r"\d+", name)]
    word = re.sub(r"[^a-z]+", "_", name.lower().split("x")[0] if numbers else name.lower()).strip("_")
    close = difflib.get_close_matches(word, _FORMS, n=1, cutoff=0.5)
    if not close:
        return f"expected one of {', '.join(_FORMS.values())}"
    if not numbers or "" in numbers:
        return f"did you mean {_FORMS[close[0]]}?"
    sides = numbers[0] if close[0] == "crop" else f"{numbers[0]}x{numbers[-1]}"
    return f"did you mean {close[0]}_{sides}?"


def picture_size(name: str, original: tuple[int, int]) -> tuple[int, int] | None:
    """(width, height) of a version's pictures of frames of this (width, height), or of the frames that its crops are
    of; None for a version that a person made otherwise."""
    if name == ORIGINAL:
        return original
    try:
        version = parse_version(name)
    except UserError:
        return None
    return version.size_of(original) if isinstance(version, Resize) else original


def is_crop(name: str) -> bool:
    """Whether a version has only surroundings of targets: no frames to assess on."""
    return re.fullmatch(r"crop_\d+", name) is not None


def side_needed(reach: float, context: float) -> int:
    """The smallest ``crop_S`` in which a search region fits around any target.

    Args:
        reach: side of the region / side of the exemplar's square.
        context: of that square, see ``crops.square_around``.
    """
    # The ratio of two squares of unlike context is largest for the one extreme of shapes or the other.
    equal_sides = (0.5 + context) / (0.5 + CONTEXT)
    thin_line = math.sqrt(context * (1 + context) / (CONTEXT * (1 + CONTEXT)))
    return math.ceil(EXEMPLAR_SIZE * reach * max(equal_sides, thin_line) - 1e-6)


def has_room(preproc: str, side: int) -> bool:
    """Whether a version shows ``side_needed`` around each target: all do but a smaller ``crop_S``."""
    return not is_crop(preproc) or int(preproc.removeprefix("crop_")) >= side


def check_room(preproc: str, exemplar: int, search: int, context: float) -> None:
    """Refuses (UserError) a ``crop_S`` that is smaller than every search region of a model with these sizes (pixels),
    as the rest would be of one colour."""
    side = side_needed(search / exemplar, context)
    if not has_room(preproc, side):
        raise UserError(
            f"--preproc: {preproc} is smaller than this model's search regions ({search} pixels where an exemplar has"
            f" {exemplar}, context {context:g}), which would end in one colour; use crop_{side} or larger"
        )


def assessed_version(trained: str, asked: str | None) -> str:
    """The version to assess on: as asked for; else the one that is trained on, or the original of a ``crop_S``."""
    if asked is not None:
        return asked
    return ORIGINAL if is_crop(trained) else trained
