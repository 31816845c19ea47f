"""The one JPEG decoder: bytes to RGB pixels, all of them or only as far as a region needs.

JPEG is decoded by simplejpeg (libjpeg-turbo in a wheel); anything else by OpenCV. EXIF orientation is ignored: the
benchmarks' annotations are in stored pixels. Damage of any kind raises DataError: pixels are never made up.

`decode` is exact (accurate DCT, smooth chroma) and serves tracking. `RegionDecoder` serves training, where
decoding is most of the cost of a pair, and saves what the crop cannot show:

- It decodes at 1/2, 1/4 or 1/8 where the crop would be shrunk by that much anyway (`crops.shrink_for`).
- It stops after the last row needed. A baseline JPEG is one stream of Huffman codes from top to bottom, which
  costs more than the rest of decoding, so a header that announces fewer rows makes the decoder stop early: the
  pixels before are the same (tests compare them), and what is left over is reported by libjpeg as "extraneous
  bytes before marker 0xd9". That being its *first* complaint shows that the file is whole and that no marker
  lies where none belongs; after any other complaint the whole frame is decoded again, strictly. So is a file with a
  long run of zero bytes, which is what a lost block leaves. (Single flipped bits go unseen more often than in a
  whole frame, where they upset the count of blocks at the end; JPEG has no checksum.)
- It uses the fast DCT and the fast chroma upsampling, and writes to a buffer that it keeps (no page faults).
"""

import re
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from seqtrack.data.imaging.jpeg import START, JpegHeader, read_jpeg_header
from seqtrack.errors import DataError

Image = NDArray[np.uint8]
Describe = str | Callable[[], str]

# Goes into the environment record of a trial: other pixels, other weights.
DECODER: dict[str, str] = {
    "name": "simplejpeg",
    "version": str(simplejpeg.__version__),
    "other_formats": f"opencv {cv2.__version__}",
    "tracking": "accurate DCT, smooth chroma, full size",
    "training": "fast DCT, fast chroma; 1/k, the largest k of 1 2 4 8 for which region side / k >= crop side",
}

_LOST_BLOCK = bytes(64)
_LEFT_OVER = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9")


def decode(data: bytes | memoryview, describe: Describe) -> Image:
    """All pixels: (H, W, 3) uint8 RGB. describe: data set, video and frame, for the message of a DataError."""
    if data[:2] != START:
        return _decode_other(data, describe)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=True), dtype=np.uint8)
    except ValueError as error:
        raise _damaged(describe, error) from None


def decode_reduced(data: bytes | memoryview, shrink: int, describe: Describe) -> Image:
    """All pixels at 1/shrink (1 2 4 8), rounded up: pixel (i, j) covers [j s, (j+1) s) x [i s, (i+1) s) of the frame.

    A JPEG is never decoded in full for that: libjpeg transforms only the low frequencies of each block, which is as
    good as averaging (as in `decode`: accurate DCT, smooth chroma). Anything else is averaged.
    """
    header = read_jpeg_header(data) if shrink > 1 else None
    if header is not None:
        width, height = -(-header.width // shrink), -(-header.height // shrink)
        try:
            pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height, strict=True)
            return np.asarray(pixels, dtype=np.uint8)
        except ValueError as error:
            raise _damaged(describe, error) from None
    image = decode(data, describe)
    if shrink == 1:
        return image
    height, width = image.shape[:2]
    margins = (0, -height % shrink, 0, -width % shrink)
    whole = np.asarray(cv2.copyMakeBorder(image, *margins, cv2.BORDER_REPLICATE), dtype=np.uint8)
    return resize_view(whole, (whole.shape[1] // shrink, whole.shape[0] // shrink))


def _decode_other(data: bytes | memoryview, describe: Describe) -> Image:
    if len(data) == 0:
        raise _damaged(describe, "the file is empty")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _damaged(describe, error) from None
    if image is None:
        raise _damaged(describe, "neither a JPEG nor any other image that OpenCV reads, or damaged")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), dtype=np.uint8)


def _damaged(describe: Describe, why: object) -> DataError:
    where = describe() if callable(describe) else describe
    reason = " ".join(str(why).split())
    return DataError(f"{where}: the image does not decode ({reason}); restore this file from its source")


def resize_view(image: Image, size: tuple[int, int]) -> Image:
    """The frame resized to exactly `size` (width, height), aspect not kept: by area down, bilinear up."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    shrinks = size[0] * size[1] < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


class RegionDecoder:
    """Decodes frames for crops, into one buffer that each call overwrites: use the pixels before the next one.

    Cheap to make, not picklable by design (make one in each process), not for two threads at once.
    """

    def __init__(self) -> None:
        self._pixels = bytearray()
        self._whole: Image = np.empty((0, 0, 3), np.uint8)
        self._data = b""
        self._describe: Describe = ""
        self._header: JpegHeader | None = None

    def open(self, data: bytes | memoryview, describe: Describe) -> tuple[int, int]:
        """Takes the next frame; returns its (width, height)."""
        self._data, self._describe = bytes(data), describe
        self._header = read_jpeg_header(data)
        if self._header is not None:
            return self._header.width, self._header.height
        self._whole = decode(data, describe)
        return self._whole.shape[1], self._whole.shape[0]

    @property
    def scales(self) -> bool:
        """Whether the frame can be decoded at 1/2, 1/4 and 1/8."""
        return self._header is not None

    def whole(self) -> Image:
        """All pixels of the frame."""
        return self.rows(self._header.height if self._header else 0, 1)

    def rows(self, bottom: int, shrink: int) -> Image:
        """The rows of the frame down to `bottom` (frame pixels) at least, at 1/shrink.

        Pixel (i, j) of the result covers [j s, (j+1) s) x [i s, (i+1) s) of the frame, s being the shrink.
        """
        header = self._header
        if header is None:
            if shrink != 1:
                raise ValueError("only a JPEG is decoded at a reduced size; ask `scales` first")
            return self._whole
        unit = header.unit_height
        needed = min(header.height, -(-max(bottom, 1) // unit) * unit)
        width = -(-header.width // shrink)
        if header.can_stop_early and needed < header.height and _LOST_BLOCK not in self._data:
            patched = bytearray(self._data)
            struct.pack_into(">H", patched, header.height_at, needed)
            height = -(-needed // shrink)
            try:
                return self._decode(patched, width, height)
            except ValueError as error:
                if _LEFT_OVER.fullmatch(str(error)):
                    return np.frombuffer(self._pixels, np.uint8, height * width * 3).reshape(height, width, 3)
        try:
            return self._decode(self._data, width, -(-header.height // shrink))
        except ValueError as error:
            raise _damaged(self._describe, error) from None

    def _decode(self, data: Any, width: int, height: int) -> Image:
        if len(self._pixels) < width * height * 3:
            self._pixels = bytearray(width * height * 3)
        pixels = simplejpeg.decode_jpeg(
            data, "RGB", fastdct=True, fastupsample=True, min_width=width, min_height=height,
            buffer=self._pixels, strict=True,
        )  # fmt: skip
        return np.asarray(pixels, dtype=np.uint8)
