"""Decoding: right pixels, of the right frame, or an error that names it; never grey ones."""

import io
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.imaging.images import DECODER, RegionDecoder, decode, resize_view
from seqtrack.data.imaging.jpeg import read_jpeg_header
from seqtrack.errors import DataError

WHERE = "otb_50 video David frame 0300.jpg"
SAMPLING = {"420": 0x221111, "422": 0x211111, "444": 0x111111, "440": 0x121111}


def picture(width=97, height=61, seed=0):
    """(H, W, 3) uint8 RGB, smooth, so that JPEG changes little."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, extension=".jpg", *options):
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(extension, bgr, list(options))
    assert ok
    return data.tobytes()


def by_opencv(data):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_pixels_agree_with_opencv(sampling, progressive):
    options = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling], cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    data = encoded(picture(), ".jpg", *options)
    image = decode(data, WHERE)
    assert (image.shape, image.dtype, image.flags.c_contiguous) == ((61, 97, 3), np.uint8, True)
    assert difference(image, by_opencv(data)).max() <= 2


def test_a_grey_jpeg_has_three_equal_channels():
    grey = picture()[..., 0]
    image = decode(encoded(grey), WHERE)
    assert image.shape == (61, 97, 3)
    assert (image == image[..., :1]).all()
    assert difference(image[..., 0], grey).max() < 20


@pytest.mark.parametrize("extension", [".png", ".bmp"])
def test_other_formats_are_exact(extension):
    assert (decode(encoded(picture(), extension), WHERE) == picture()).all()


def with_orientation(data, orientation):
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]


def test_exif_orientation_is_ignored():
    data = encoded(picture())
    turned = with_orientation(data, 6)
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (97, 61, 3)  # it would count
    assert (decode(turned, WHERE) == decode(data, WHERE)).all()
    assert RegionDecoder().open(turned, WHERE) == (97, 61)


@pytest.mark.parametrize("scheme", [str, lambda text: lambda: text])
@pytest.mark.parametrize("keep", [0, 1, 2, 30, 700, -40, -2])
def test_a_truncated_jpeg_is_an_error_that_names_the_frame(keep, scheme):
    data = encoded(picture())
    for attempt in (decode, lambda part, where: whole(part, where)):
        with pytest.raises(DataError, match=f"^{WHERE}: the image does not decode") as caught:
            attempt(data[:keep], scheme(WHERE))
        assert "\n" not in str(caught.value)


def whole(data, where=WHERE):
    decoder = RegionDecoder()
    decoder.open(data, where)
    return decoder.whole()


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50), encoded(picture(), ".png")[:200]])
def test_what_is_no_image_is_an_error(data):
    with pytest.raises(DataError, match=r"frame 0300\.jpg"):
        decode(data, WHERE)


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    bottom=st.integers(-5, 120),
    shrink=st.sampled_from([1, 2, 4, 8]),
    sampling=st.sampled_from([*SAMPLING, "grey"]),
    progressive=st.booleans(),
    restarts=st.sampled_from([0, 0, 1, 3]),
)
def test_stopping_early_changes_no_pixel_above(size, bottom, shrink, sampling, progressive, restarts):
    width, height = size
    image = picture(width, height)
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_RST_INTERVAL, restarts)
    if sampling == "grey":
        data = encoded(image[..., 0], ".jpg", *options)
    else:
        data = encoded(image, ".jpg", *options, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling])
    decoder = RegionDecoder()
    assert decoder.open(data, WHERE) == size
    everything = decoder.rows(height, shrink).copy()
    assert everything.shape == (-(-height // shrink), -(-width // shrink), 3)
    rows = decoder.rows(bottom, shrink)
    assert rows.shape[1:] == everything.shape[1:]
    assert len(rows) * shrink >= min(max(bottom, 1), height)
    assert (rows == everything[: len(rows)]).all()


def test_a_large_baseline_jpeg_is_decoded_only_as_far_as_needed():
    decoder = RegionDecoder()
    decoder.open(encoded(picture(640, 480)), WHERE)
    assert decoder.rows(100, 1).shape == (112, 640, 3)  # whole units of 16 rows
    assert decoder.rows(100, 2).shape == (56, 320, 3)
    assert decoder.rows(480, 1).shape == (480, 640, 3)


def test_fast_decoding_is_close_to_exact_decoding():
    data = encoded(picture(320, 240))
    assert difference(whole(data), decode(data, WHERE)).mean() < 2


def test_reduced_decoding_is_close_to_averaging():
    data = encoded(picture(320, 240))
    decoder = RegionDecoder()
    decoder.open(data, WHERE)
    for shrink in (2, 4, 8):
        averaged = cv2.resize(decode(data, WHERE), (320 // shrink, 240 // shrink), interpolation=cv2.INTER_AREA)
        assert difference(decoder.rows(240, shrink), averaged).mean() < 2


@pytest.mark.parametrize("damage", ["lost block", "foreign bytes", "cut", "no end"])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_damage_is_found_whether_or_not_its_rows_are_needed(damage, share):
    data = encoded(picture(320, 240), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    at = int(share * len(data))
    bad = {
        "lost block": data[:at] + bytes(512) + data[at + 512 :],
        "foreign bytes": data[:at] + np.random.default_rng(0).bytes(512) + data[at + 512 :],
        "cut": data[:at],
        "no end": data[:-2],
    }[damage]
    decoder = RegionDecoder()
    decoder.open(bad, WHERE)
    with pytest.raises(DataError, match=f"^{WHERE}"):
        decoder.rows(120, 1)
    decoder.open(data, WHERE)
    assert decoder.rows(120, 1).shape == (128, 320, 3)


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), bottom=st.integers(1, 240))
def test_one_wrong_byte_gives_pixels_or_a_data_error_but_no_other_exception(at, value, bottom):
    data = bytearray(encoded(picture(320, 240)))
    data[at % len(data)] = value
    decoder = RegionDecoder()
    try:
        width, height = decoder.open(bytes(data), WHERE)
        if width * height < 10**7:
            decoder.rows(bottom, 1)
    except DataError as error:
        assert re.match(f"^{WHERE}: ", str(error))


def test_the_buffer_is_reused():
    decoder = RegionDecoder()
    decoder.open(encoded(picture(64, 64, seed=1)), WHERE)
    first = decoder.whole()
    decoder.open(encoded(picture(64, 64, seed=2)), WHERE)
    assert np.shares_memory(first, decoder.whole())


def test_only_a_jpeg_is_read_at_a_reduced_size():
    decoder = RegionDecoder()
    assert decoder.open(encoded(picture(), ".png"), WHERE) == (97, 61)
    assert not decoder.scales
    assert (decoder.rows(10, 1) == picture()).all()
    with pytest.raises(ValueError, match="only a JPEG"):
        decoder.rows(10, 2)


def test_header_without_a_frame_is_none():
    assert read_jpeg_header(b"\xff\xd8\xff\xd9" + bytes(20)) is None
    assert read_jpeg_header(b"GIF89a" + bytes(20)) is None


def test_views_are_resized_exactly():
    image = picture(64, 48)
    assert resize_view(image, (64, 48)) is image
    assert (resize_view(image, (32, 24)) == cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)).all()
    assert (resize_view(image, (96, 96)) == cv2.resize(image, (96, 96), interpolation=cv2.INTER_LINEAR)).all()


def test_real_frames_decode_alike(shared):
    for path in sorted((shared / "data" / "otb").glob("*/img/*.jpg"))[::60]:
        data = path.read_bytes()
        assert difference(decode(data, str(path)), by_opencv(data)).max() <= 2
        decoder = RegionDecoder()
        _, height = decoder.open(data, str(path))
        everything = decoder.rows(height, 1).copy()
        part = decoder.rows(height // 2, 1)
        assert len(part) < height
        assert (part == everything[: len(part)]).all()


def test_the_record_names_decoder_and_version():
    assert DECODER["name"] == "simplejpeg"
    assert re.match(r"\d+\.\d+", DECODER["version"])


def test_memory_of_any_kind_is_read():
    data = encoded(picture())
    assert (decode(memoryview(data), WHERE) == decode(data, WHERE)).all()
    assert (decode(io.BytesIO(data).getbuffer(), WHERE) == decode(data, WHERE)).all()
