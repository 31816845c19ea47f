"""DAVIS and YouTube-VOS: boxes from masks, whose palettes must not turn into colours."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from seqtrack.data.formats.masks import hulls, read_mask
from seqtrack.errors import DataError
from tests.data.layouts import Summary, read, summary, write_frames, write_text
from tests.data.round_trip import assert_round_trip

WIDTH, HEIGHT = 32, 24
RECTANGLES = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 4), st.integers(1, 4))
Rectangles = Mapping[int, tuple[int, int, int, int]]


def mask_of(rectangles: Rectangles) -> NDArray[np.uint8]:
    """x y w h of each object, later ones in front."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (x, y, width, height) in rectangles.items():
        mask[y : y + height, x : x + width] = number
    return mask


def palette_png(mask: NDArray[np.uint8], mode: str = "P") -> bytes:
    image = Image.fromarray(mask)
    if mode == "P":
        # As DAVIS has it: object 1 is dark red, 2 green, …; two colours are equal, so that colours tell nothing.
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 0, 0] + [200] * (252 * 3))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def bare_png(rows: list[bytes], depth: int, colour: int) -> bytes:
    """A PNG made by hand from packed rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, len(rows), depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(3 * 2**depth))) if colour == 3 else b""
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + pixels + chunk(b"IEND", b"")


def write_video(images: Path, masks: Path, frames: int, objects: Mapping[int, Rectangles]) -> None:
    write_frames(images, range(frames), "{:05d}.jpg")
    masks.mkdir(parents=True)
    for number, rectangles in objects.items():
        (masks / f"{number:05d}.png").write_bytes(palette_png(mask_of(rectangles)))


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    root = tmp_path / "DAVIS"
    images, masks = root / "JPEGImages" / "480p", root / "Annotations" / "480p"
    bear = {t: {1: (t, 2, 10, 5)} for t in range(3)}
    dogs: dict[int, Rectangles] = {
        0: {1: (0, 0, 4, 4), 3: (10, 5, 1, 1)},
        1: {3: (11, 5, 1, 1)},
        2: {1: (28, 20, 4, 4), 3: (12, 5, 1, 1), 255: (0, 0, 2, 2)},
        3: {3: (13, 5, 1, 1)},
    }
    write_video(images / "bear", masks / "bear", 3, bear)
    write_video(images / "dogs", masks / "dogs", 4, dogs)
    return root


@pytest.fixture
def ytbvos(tmp_path: Path) -> Path:
    """Every fifth frame is segmented; the second object enters late."""
    root = tmp_path / "ytbvos"
    train = root / "train"
    masks: dict[int, Rectangles] = {
        0: {1: (1, 2, 3, 4)},
        5: {1: (2, 2, 3, 4), 2: (20, 10, 5, 5)},
        10: {2: (21, 10, 5, 5)},
    }
    write_video(train / "JPEGImages" / "003234408d", train / "Annotations" / "003234408d", 13, masks)
    objects = {
        "1": {"category": "penguin", "frames": ["00000", "00005"]},
        "2": {"category": "giant panda", "frames": ["00005", "00010"]},
    }
    write_text(train / "meta.json", json.dumps({"videos": {"003234408d": {"objects": objects}}}))
    return root


class TestDavis:
    def test_one_track_per_object(self, davis: Path) -> None:
        videos = read("masks", davis, "davis")
        assert summary(videos) == Summary(videos=2, tracks=3, frames=7, boxes=10, absent=1)
        assert [track.name for video in videos for track in video.tracks] == ["bear.1", "dogs.1", "dogs.3"]
        assert videos[0].frame_names[0] == "JPEGImages/480p/bear/00000.jpg"

    def test_a_tar_and_its_index_hold_the_same(self, davis: Path, tmp_path: Path) -> None:
        assert_round_trip("masks", davis, "davis", tmp_path / "packed")

    def test_boxes_are_hulls_of_whole_pixels(self, davis: Path) -> None:
        bear, dogs = read("masks", davis, "davis")
        assert bear.tracks[0].boxes.tolist() == [[0, 2, 10, 5], [1, 2, 10, 5], [2, 2, 10, 5]]
        assert dogs.tracks[1].boxes.tolist() == [[t, 5, 1, 1] for t in (10, 11, 12, 13)]

    def test_an_object_that_a_mask_does_not_show_is_absent(self, davis: Path) -> None:
        track = read("masks", davis, "davis")[1].tracks[0]
        assert track.frames.tolist() == [0, 1, 2]
        assert track.present.tolist() == [True, False, True]
        assert np.isnan(track.boxes[1]).all()
        assert track.boxes[2].tolist() == [28, 20, 4, 4]

    def test_255_alone_is_the_one_object_of_davis_2016(self, tmp_path: Path) -> None:
        objects = {0: {255: (3, 4, 5, 6)}}
        write_video(tmp_path / "JPEGImages" / "480p" / "v", tmp_path / "Annotations" / "480p" / "v", 1, objects)
        (video,) = read("masks", tmp_path, "davis")
        assert [track.boxes.tolist() for track in video.tracks] == [[[3, 4, 5, 6]]]

    def test_the_folder_above_will_do(self, davis: Path) -> None:
        assert read("masks", davis.parent)[0].frame_names[0] == "DAVIS/JPEGImages/480p/bear/00000.jpg"


class TestYouTubeVos:
    def test_labels_of_every_fifth_frame_between_sightings(self, ytbvos: Path) -> None:
        (video,) = read("masks", ytbvos, "ytbvos")
        assert summary([video]) == Summary(videos=1, tracks=2, frames=13, boxes=4, absent=0)
        assert [track.frames.tolist() for track in video.tracks] == [[0, 5], [5, 10]]
        assert video.tracks[1].boxes.tolist() == [[20, 10, 5, 5], [21, 10, 5, 5]]
        assert video.frame_names[5] == "train/JPEGImages/003234408d/00005.jpg"

    def test_a_tar_and_its_index_hold_the_same(self, ytbvos: Path, tmp_path: Path) -> None:
        assert_round_trip("masks", ytbvos, "ytbvos", tmp_path / "packed")

    def test_categories(self, ytbvos: Path) -> None:
        (video,) = read("masks", ytbvos, "ytbvos")
        assert [track.category for track in video.tracks] == ["penguin", "giant panda"]
        (ytbvos / "train" / "meta.json").unlink()
        assert [track.category for track in read("masks", ytbvos)[0].tracks] == ["", ""]

    @pytest.mark.parametrize(
        "text",
        ["{}", '{"videos": []}', '{"videos": {"v": {"objects": {"1": {}}}}}', '{"videos": {"v": {"objects": 1}}}'],
    )
    def test_another_meta_file_is_refused(self, ytbvos: Path, text: str) -> None:
        file = write_text(ytbvos / "train" / "meta.json", text)
        with pytest.raises(DataError) as caught:
            read("masks", ytbvos)
        assert str(caught.value).startswith(f'{file}: expected {{"videos": ')


class TestMasks:
    def test_indices_survive_whatever_their_colours(self) -> None:
        mask = mask_of({1: (0, 0, 5, 5), 2: (9, 9, 5, 5), 200: (20, 3, 2, 2), 255: (31, 23, 1, 1)})
        for mode in ("P", "L"):
            assert (read_mask(palette_png(mask, mode), "x.png", (WIDTH, HEIGHT)) == mask).all()

    def test_packed_indices(self) -> None:
        """Encoders store few objects in 1, 2 or 4 bits a pixel."""
        expected = [[0, 1, 2, 3], [3, 2, 1, 0]]
        four = bare_png([b"\x01\x23", b"\x32\x10"], depth=4, colour=3)
        two = bare_png([b"\x1b", b"\xe4"], depth=2, colour=3)
        one = bare_png([b"\x50", b"\xa0"], depth=1, colour=3)
        assert read_mask(four, "x.png", (4, 2)).tolist() == expected
        assert read_mask(two, "x.png", (4, 2)).tolist() == expected
        assert read_mask(one, "x.png", (4, 2)).tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]

    @given(st.dictionaries(st.integers(1, 255), RECTANGLES, max_size=5))
    def test_a_hull_touches_its_object_on_all_sides_and_leaves_none_of_it_out(self, objects: Rectangles) -> None:
        mask = mask_of(objects)
        found = hulls(mask)
        assert set(found) == set(np.unique(mask)) - {0}
        for number, box in found.items():
            x, y, width, height = (int(side) for side in box)
            inside = mask[y : y + height, x : x + width] == number
            assert inside.sum() == (mask == number).sum()
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))

    def test_colours_another_size_and_damage_are_named(self, davis: Path) -> None:
        file = davis / "Annotations" / "480p" / "bear" / "00001.png"
        whole = file.read_bytes()
        colours = io.BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT)).save(colours, "PNG")
        for data, message in [
            (colours.getvalue(), "colours (RGB) where a palette is expected"),
            (palette_png(np.zeros((8, 9), np.uint8)), "9x8 where its frames have 32x24"),
            (whole[: len(whole) // 2], "it does not decode as PNG ("),
            (b"", "it does not decode as PNG ("),
            (b"GIF89a" + whole, "it does not decode as PNG ("),
        ]:
            file.write_bytes(data)
            with pytest.raises(DataError) as caught:
                read("masks", davis, "davis")
            assert str(caught.value).startswith(f"{file}: {message}")
            assert "\n" not in str(caught.value)

    @given(st.integers(0, 1000), st.binary(min_size=1, max_size=8))
    def test_any_damage_gives_a_mask_or_a_data_error(self, place: int, patch: bytes) -> None:
        whole = palette_png(mask_of({1: (0, 0, 5, 5)}))
        place %= len(whole)
        try:
            mask = read_mask(whole[:place] + patch + whole[place + len(patch) :], "x.png", (WIDTH, HEIGHT))
        except DataError as error:
            assert str(error).startswith("x.png: ")
        else:
            assert mask.shape == (HEIGHT, WIDTH)

    def test_a_mask_needs_its_frame_and_a_video_its_frames(self, davis: Path) -> None:
        (davis / "JPEGImages" / "480p" / "bear" / "00002.jpg").unlink()
        with pytest.raises(DataError, match=r"Annotations/480p/bear/00002.png: no frame 00002.jpg for it"):
            read("masks", davis, "davis")
        (davis / "JPEGImages" / "480p" / "bear").rename(davis / "bear")
        with pytest.raises(DataError, match=r"JPEGImages/480p/bear: no frames for .*Annotations/480p/bear; add them"):
            read("masks", davis, "davis")

    def test_an_edited_mask_is_another_source(self, davis: Path, tmp_path: Path) -> None:
        """The index is made anew: masks are annotations, though they are pictures."""
        from seqtrack.data.formats import DatasetName
        from seqtrack.data.indexing.index import ensure_index
        from seqtrack.data.storage.trees import DirectoryTree

        def fingerprint() -> str:
            tree = DirectoryTree(davis, "davis")
            return ensure_index(DatasetName("masks", "davis"), tree, tmp_path / "cache", lambda _: None).fingerprint

        before = fingerprint()
        (davis / "Annotations" / "480p" / "bear" / "00001.png").write_bytes(palette_png(mask_of({1: (0, 0, 2, 2)})))
        assert fingerprint() != before
