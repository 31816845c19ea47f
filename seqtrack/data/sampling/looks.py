"""What augmentation does to the pixels of a crop and to the box in it; `augment` has the order and the reasons."""

import cv2
import numpy as np
from numpy.typing import NDArray

from seqtrack.data.imaging.crops import Box, Image
from seqtrack.data.sampling.augment import Look

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as JPEG has it


def apply_look(look: Look, image: Image) -> None:
    """Changes a crop (S, S, 3) uint8 RGB in place."""
    colours = _colour_matrix(look, image)
    if colours is not None:
        image[:] = cv2.transform(image, colours)
    if look.blur_length > 1:
        across, down = cv2.blur(image, (look.blur_length, 1)), cv2.blur(image, (1, look.blur_length))
        cv2.addWeighted(across, look.blur_across, down, 1 - look.blur_across, 0, dst=image)
    if look.flip:
        image[:] = cv2.flip(image, 1)


def mirrored(box: Box, size: int) -> Box:
    """A box of a crop of `size` pixels, where it lies after a flip."""
    x, y, w, h = box
    return size - x - w, y, w, h


def _colour_matrix(look: Look, image: Image) -> NDArray[np.float64] | None:
    """(3, 4): the factors and the constant that give the new R, G, B; None where they give the old ones."""
    saturation = 0.0 if look.grey else look.saturation
    if (saturation, look.brightness, look.contrast) == (1, 1, 1) and not any(look.light):
        return None
    # Saturation mixes with luminance and leaves that as it is; contrast mixes with the crop's mean luminance.
    mixed = saturation * np.eye(3) + (1 - saturation) * _LUMINANCE
    constant = np.array(look.light)
    if look.contrast != 1:
        constant += (1 - look.contrast) * look.brightness * float(_LUMINANCE @ cv2.mean(image)[:3])
    return np.concatenate([look.contrast * look.brightness * mixed, constant[:, None]], axis=1)
