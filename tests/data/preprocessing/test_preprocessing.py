"""Smaller versions of data sets: the same labels to the last bit, pictures of what they say, the same bytes however
they were made."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.datasets import Dataset, open_dataset, open_index_of, prepare
from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import DatasetName
from seqtrack.data.imaging.crops import square_around
from seqtrack.data.imaging.images import decode, decode_reduced
from seqtrack.data.locations import Locations
from seqtrack.data.preprocessing.picture_maker import Recipe, crop_region
from seqtrack.data.preprocessing.preprocess import PICTURES_PER_BLOCK, blocks_of, preprocess
from seqtrack.data.preprocessing.versions import EXEMPLAR_SIZE
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.samplers import Uniform
from seqtrack.data.working_folder import working_folder
from seqtrack.errors import DataError, UserError
from seqtrack.tools import index as index_tool
from tests.data.otb_layout import boxes_text, jpeg, write_sequence
from tests.data.peculiar_layouts import FIXTURES, SIZE, Fixture, write_otb, write_pictures, write_vot
from tests.data.smaller import (
    VERSIONS,
    assert_same_labels,
    make,
    open_version,
    original,
    pictures_of,
    silent,
    unpacked,
    version,
)

OTB = DatasetName("otb", "small")


def members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]


@pytest.mark.parametrize("preproc", VERSIONS)
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.layout)
def test_labels_and_pictures_are_the_same_in_every_backend(fixture: Fixture, preproc: str, tmp_path: Path) -> None:
    """``assert_round_trip`` has the same for a data set in every layout."""
    name = DatasetName(fixture.layout, "small", fixture.part)
    source = original(fixture.write(tmp_path / "small"), name, tmp_path / "cache")
    made = make(source, tmp_path / "tars", preproc).manifest
    assert made is not None
    elsewhere = tmp_path / "elsewhere"
    ways = {
        "tar": version(tmp_path / "tars", preproc, elsewhere),
        "copied tar": version(tmp_path / "tars", preproc, elsewhere, "tar"),
        "unpacked by us": version(tmp_path / "tars", preproc, elsewhere, "untar"),
        "unpacked": unpacked(tmp_path / "tars", preproc, name, elsewhere),
    }
    for kind in ("zip", "array_record"):
        tar = tmp_path / "tars" / preproc / "small.tar"
        pack(name, tar, tar.with_suffix(f".{kind}"))
        ways[kind] = replace(ways["tar"], storage=kind)  # type: ignore[arg-type]
    expected: dict[tuple[int, int], bytes] = {}
    for way, locations in ways.items():
        dataset = open_version(name, locations)
        assert_same_labels(dataset.index, source.index)
        pictures = pictures_of(dataset)
        expected = expected or pictures
        assert pictures == expected, way
        assert dataset.manifest == made
        dataset.close()
    labels = [source.index.track(track) for track in range(source.index.num_tracks)]
    assert made.boxes == sum(int(track.present.sum()) for track in labels)
    assert made.boxes + made.absent == sum(len(track.frames) for track in labels)
    if preproc.startswith("crop"):
        assert made.pictures == made.boxes == len(expected)
    else:
        assert made.pictures == sum(source.index.video_length(v) for v in range(source.index.num_videos))


@pytest.fixture
def peculiar(tmp_path: Path) -> Dataset:
    return original(write_otb(tmp_path / "small"), OTB, tmp_path / "cache")


class TestTar:
    def test_its_bytes_depend_neither_on_the_workers_nor_on_where_the_original_lies(
        self, tmp_path: Path, many: Dataset
    ) -> None:
        tars = [make(many, tmp_path / str(n), "crop_62", n).path.read_bytes() for n in (0, 1, 3)]
        assert tars[1:] == tars[:1] * 2
        moved = tmp_path / "moved"
        Path(many.index.source).rename(moved)
        again = original(moved, OTB, tmp_path / "cache2")
        assert make(again, tmp_path / "again", "crop_62", 2).path.read_bytes() == tars[0]

    def test_the_index_comes_first_the_manifest_last_and_pictures_in_order_of_video_frame_and_track(
        self, tmp_path: Path, peculiar: Dataset
    ) -> None:
        names = list(members(make(peculiar, tmp_path, "crop_62").path))
        assert names[0] == "small/seqtrack-index.h5"
        assert names[-2:] == ["small/seqtrack-pictures.h5", "small/seqtrack-manifest.json"]
        alone = [f"small/000000/{row:06d}.jpg" for row in (0, 1, 2, 5, 6)]
        pair = [f"small/{track:06d}/{row:06d}.jpg" for row in range(5) for track in (1, 2)]
        assert names[1:-2] == alone + pair

    def test_the_manifest_says_what_it_is_and_the_checksums_are_those_of_the_files(
        self, tmp_path: Path, peculiar: Dataset
    ) -> None:
        out = make(peculiar, tmp_path, "resize_fit_48x48", every=2, jpeg_quality=80)
        content = members(out.path)
        manifest = json.loads(content["small/seqtrack-manifest.json"])
        assert {key: manifest[key] for key in ("schema", "layout", "preproc", "every", "jpeg_quality")} == {
            "schema": 1, "layout": "otb", "preproc": "resize_fit_48x48", "every": 2, "jpeg_quality": 80,
        }  # fmt: skip
        assert (manifest["videos"], manifest["tracks"], manifest["pictures"]) == (2, 3, 7)
        assert (manifest["boxes"], manifest["absent"], manifest["unreadable"]) == (15, 2, [])
        assert manifest["index"] == peculiar.index.fingerprint
        assert manifest["encoder"].endswith(", 4:2:0")
        pictures = open_version(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache")).pictures
        files = [name for name in content if name.endswith(".jpg")]
        assert list(pictures.checksums) == [zlib.crc32(content[name]) for name in files]

    def test_a_version_that_is_there_is_made_again_only_on_request(self, tmp_path: Path, peculiar: Dataset) -> None:
        first = make(peculiar, tmp_path, "crop_62")
        before = first.path.stat().st_ino
        again = make(peculiar, tmp_path, "crop_62")
        assert (again.was_there, again.manifest, first.was_there) == (True, first.manifest, False)
        with pytest.raises(UserError, match=r"small.tar exists already and its every differ; give --overwrite"):
            make(peculiar, tmp_path, "crop_62", every=3)
        assert first.path.stat().st_ino == before
        assert make(peculiar, tmp_path, "crop_62", every=3, overwrite=True).manifest.every == 3  # type: ignore[union-attr]
        assert [path.name for path in first.path.parent.iterdir()] == ["small.tar"]

    def test_verify_closes_it(self, tmp_path: Path, peculiar: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        make(peculiar, tmp_path, "crop_62")
        closed: list[str] = []
        monkeypatch.setattr(Dataset, "close", lambda dataset: closed.append(dataset.name))
        flags = ["--preproc=crop_62", f"--tar_dir={tmp_path}", f"--data_cache_dir={tmp_path}/cache"]
        assert index_tool.main(["verify", "otb:small", *flags]) == 0
        assert closed == ["small"]

    def test_another_file_in_its_place_is_not_taken_for_it(self, tmp_path: Path, peculiar: Dataset) -> None:
        (tmp_path / "crop_62").mkdir()
        with tarfile.open(tmp_path / "crop_62/small.tar", "w") as archive:
            archive.add(Path(peculiar.index.source), "small")
        with pytest.raises(UserError, match="exists already and it was not made by this command"):
            make(peculiar, tmp_path, "crop_62")

    def test_a_finished_version_is_told_without_touching_what_another_process_makes_of_it(
        self, tmp_path: Path, peculiar: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another runs ``--overwrite``; then that is killed, and what it leaves goes."""
        tar = make(peculiar, tmp_path, "crop_62").path
        folder = tar.with_name(".small.tar.unfinished")
        with working_folder(folder):
            (folder / "pictures.tar").touch()
            assert make(peculiar, tmp_path, "crop_62").was_there
            assert (folder / "pictures.tar").exists()
        assert make(peculiar, tmp_path, "crop_62").was_there
        assert not folder.exists()

    @pytest.mark.parametrize("changed", ["cv2.__version__", "PICTURES_PER_BLOCK"])
    def test_what_was_half_made_by_another_opencv_or_in_other_blocks_is_made_again(
        self, tmp_path: Path, many: Dataset, changed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (Path(many.index.source) / "Seq1/img/0040.jpg").write_bytes(b"")
        said: list[str] = []
        arguments = (many, Recipe("crop_62"), tmp_path / "small.tar", 0)
        assert preprocess(*arguments, say=said.append).manifest is None
        assert preprocess(*arguments, say=said.append).manifest is None
        assert said == ["small: going on after 90 of 90 pictures"]
        monkeypatch.setattr(f"seqtrack.data.preprocessing.preprocess.{changed}", 33)
        assert preprocess(*arguments, say=said.append).manifest is None
        assert len(said) == 1

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda text: b"[" * 100_000, "nested too deeply"),
            (lambda text: text.replace(b'"every": 1', b'"every": "2"'), "every: expected int, got '2'"),
            (lambda text: text.replace(b'"unreadable": []', b'"unreadable": 3'), r"unreadable: expected list\[str\]"),
        ],
    )
    def test_a_manifest_of_other_types_is_refused_in_a_line(
        self, tmp_path: Path, peculiar: Dataset, damage: Any, words: str
    ) -> None:
        make(peculiar, tmp_path, "crop_62")
        places = unpacked(tmp_path, "crop_62", OTB, tmp_path / "cache")
        path = tmp_path / "folders/crop_62/small/seqtrack-manifest.json"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(DataError, match=rf"seqtrack-manifest.json: not a manifest .*{words}.*; make the version"):
            open_dataset(OTB, places, silent)

    def test_progress_ends_with_everything(self, tmp_path: Path, many: Dataset) -> None:
        seen: list[tuple[int, int]] = []
        make(many, tmp_path, "crop_62", 2, on_progress=lambda done, total: seen.append((done, total)))
        assert seen == [(32, 90), (64, 90), (90, 90)]


@pytest.fixture
def many(tmp_path: Path) -> Dataset:
    """90 labels in two videos: three blocks, of which one has both videos."""
    for number, length in enumerate((50, 40)):
        write_sequence(tmp_path / "small" / f"Seq{number}", range(1, length + 1), boxes_text(length))
    return original(tmp_path / "small", OTB, tmp_path / "cache")


@given(st.lists(st.integers(0, 90), max_size=12))
def test_blocks_hold_every_picture_once_in_order_and_are_full_but_for_the_last(counts: list[int]) -> None:
    blocks = list(blocks_of(counts))
    pictures = [(piece.video, k) for block in blocks for piece in block for k in range(piece.start, piece.stop)]
    assert pictures == [(video, k) for video, count in enumerate(counts) for k in range(count)]
    sizes = [sum(piece.stop - piece.start for piece in block) for block in blocks]
    assert all(size == PICTURES_PER_BLOCK for size in sizes[:-1])
    assert all(1 <= size <= PICTURES_PER_BLOCK for size in sizes)


class TestCrops:
    BOXES = st.tuples(st.floats(-500, 2500), st.floats(-500, 2500), st.floats(0.5, 1500), st.floats(0.5, 1500))

    @given(BOXES, st.integers(16, 600), BOXES)
    def test_a_box_mapped_into_the_crop_and_back_is_itself(
        self, target: tuple[float, ...], side: int, box: tuple[float, ...]
    ) -> None:
        square, shrink = crop_region(target, side)
        used = square.map_to(side, shrink)
        assert np.abs(np.subtract(used.to_frame(used.to_crop(box)), box)).max() < 1e-6

    @given(BOXES)
    def test_the_target_is_in_the_middle_and_the_exemplar_has_its_size(self, box: tuple[float, ...]) -> None:
        square, shrink = crop_region(box, 446)
        used = square.map_to(446, shrink)
        x, y, w, h = used.to_crop(box)
        # The square is moved by half a pixel (of the frame at 1/shrink) at most.
        assert max(abs(x + w / 2 - 223), abs(y + h / 2 - 223)) <= 0.5 * shrink * used.scale_x + 1e-9
        exemplar = square_around(box) * used.scale_x
        assert exemplar == pytest.approx(EXEMPLAR_SIZE, rel=0.5 / (square.side - 0.5) + 1e-9)

    def test_the_map_that_is_stored_is_the_one_that_was_used(self, tmp_path: Path, peculiar: Dataset) -> None:
        make(peculiar, tmp_path, "crop_62")
        dataset = open_version(OTB, version(tmp_path, "crop_62", tmp_path / "cache"))
        for track, row in pictures_of(dataset):
            square, shrink = crop_region(dataset.index.track(track).boxes[row].tolist(), 62)
            assert dataset.read_target(track, row).crop == square.map_to(62, shrink)

    @pytest.mark.parametrize("size", [(200, 120), (1600, 960)], ids=["enlarged", "decoded at 1/2 or less"])
    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_what_an_eye_sees_in_a_crop_is_where_the_map_says(
        self, tmp_path: Path, size: tuple[int, int], suffix: str
    ) -> None:
        """The target is a bright rectangle that covers its box: middle, corners, and half out of the frame."""
        width, height = size
        w, h = width // 5, height // 4
        places = [(width // 3, height // 3), (0, 0), (width - w, height - h), (-w // 2, 7), (width - w // 2, 11)]
        folder = tmp_path / "small/Square/img"
        folder.mkdir(parents=True)
        for t, (x, y) in enumerate(places):
            image = np.zeros((height, width, 3), np.uint8)
            image[max(y, 0) : y + h, max(x, 0) : x + w] = 255
            cv2.imwrite(str(folder / f"{t + 1:04d}{suffix}"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        rows = "".join(f"{x + 1},{y + 1},{w},{h}\n" for x, y in places)
        (tmp_path / "small/Square/groundtruth_rect.txt").write_text(rows)
        make(original(tmp_path / "small", OTB, tmp_path / "cache"), tmp_path, "crop_254")
        dataset = open_version(OTB, version(tmp_path, "crop_254", tmp_path / "cache"))
        for row, (x, y) in enumerate(places):
            picture, used = dataset.read_target(0, row)
            assert used is not None
            light = decode(picture, "a crop")[..., 1] / 255.0
            seen = (max(x, 0), max(y, 0), min(x + w, width) - max(x, 0), h)
            left, top, across, down = used.to_crop(seen)
            # Beyond the frame is one colour, brighter than the background: look inside the frame only.
            inside = [max(0, round(edge)) for edge in used.to_crop((0, 0, width, height))]
            light = light[inside[1] :, inside[0] :][: inside[3], : inside[2]]
            columns, lines = light.max(axis=0) > 0.5, light.max(axis=1) > 0.5
            assert abs(columns.argmax() + inside[0] - left) <= 1
            assert abs(lines.argmax() + inside[1] - top) <= 1
            assert abs(columns.sum() - across) <= 1.5
            assert abs(lines.sum() - down) <= 1.5

    def test_a_small_target_beside_a_large_one_is_cut_from_the_frame_at_full_size(self, tmp_path: Path) -> None:
        """One decoded frame serves both, as fine as the smaller needs it."""
        rows = {"1": "31,41,12,10\n", "2": "101,21,400,300\n"}
        crops = {}
        for case, targets in (("small", "1"), ("large", "2"), ("both", "12")):
            folder = tmp_path / case / "small" / "Seq"
            write_pictures(folder / "img", range(1, 2), "{:04d}.jpg", (640, 480))
            for k in targets:
                (folder / f"groundtruth_rect.{k}.txt").write_text(rows[k])
            make(original(folder.parent, OTB, tmp_path / "cache"), tmp_path / case, "crop_64")
            dataset = open_version(OTB, version(tmp_path / case, "crop_64", tmp_path / "cache"))
            crops[case] = [decode(data, "").astype(int) for data in pictures_of(dataset).values()]
        assert crop_region((30, 40, 12, 10), 64)[1] == 1
        assert crop_region((100, 20, 400, 300), 64)[1] == 4
        assert (crops["both"][0] == crops["small"][0]).all()
        assert np.abs(crops["both"][1] - crops["large"][0]).mean() < 2

    def test_beyond_the_frame_is_the_mean_colour(self, tmp_path: Path) -> None:
        write_sequence(tmp_path / "small" / "Seq", [100], "1,1,16,16\n")
        make(original(tmp_path / "small", OTB, tmp_path / "cache"), tmp_path, "crop_254")
        crop = decode(open_version(OTB, version(tmp_path, "crop_254", tmp_path / "cache")).read_target(0, 0).data, "")
        assert crop.shape == (254, 254, 3)
        assert np.abs(crop.astype(int) - 100).max() <= 2

    def test_they_are_no_frames(self, tmp_path: Path, peculiar: Dataset) -> None:
        make(peculiar, tmp_path, "crop_62")
        dataset = open_version(OTB, version(tmp_path, "crop_62", tmp_path / "cache"))
        with pytest.raises(DataError) as caught:
            dataset.read_frame(0, 2)
        assert str(caught.value) == (
            "small: video Alone, frame 2, in crop_62: crop_62 has only the surroundings of targets;"
            " for whole frames use the original version (--eval_preproc original)"
        )
        with pytest.raises(UserError, match=r"serves training only .* give --eval_preproc original"):
            prepare(OTB, version(tmp_path, "crop_62", tmp_path / "cache"), silent, assessed=True)

    def test_pairs_are_drawn_from_them(self, tmp_path: Path, peculiar: Dataset) -> None:
        """The target's box in each crop of a pair is what it is when the pair is cut from whole frames."""
        make(peculiar, tmp_path, "crop_446")
        dataset = open_version(OTB, version(tmp_path, "crop_446", tmp_path / "cache"))

        def batch(source: Dataset) -> dict[str, Any]:
            options: dict[str, Any] = {"sampler": Uniform(), "pair": PairParams(), "motion": None}
            pairs = PairSource({"a": source}, parse_mixture("a"), batch_size=16, seed=0, **options)
            return pickle.loads(pickle.dumps(pairs)).batch(3)

        from_crops, from_frames = batch(dataset), batch(peculiar)
        assert (from_crops["sample"] == from_frames["sample"]).all()
        for key in ("exemplar_box", "search_box"):
            # Each crop is moved and scaled to whole pixels: of the frame, or of the picture.
            assert np.abs(from_crops[key] - from_frames[key]).max() < 4.0


class TestWholeFrames:
    def test_a_jpeg_of_the_right_size_is_copied_and_png_becomes_jpeg(self, tmp_path: Path, peculiar: Dataset) -> None:
        make(peculiar, tmp_path, "resize_fit_100x100")
        dataset = open_version(OTB, version(tmp_path, "resize_fit_100x100", tmp_path / "cache"))
        assert dataset.read_frame(0, 3) == peculiar.read_frame(0, 3)
        assert dataset.index.frame_name(1, 0) == "Pair/img/0001.png"
        assert dataset.frames.describe("Pair/img/0001.jpg") in dataset.describe_frame(1, 0)
        assert decode(dataset.read_frame(1, 0), "").shape == (75, 100, 3)

    def test_pictures_have_their_size_and_show_the_frame(self, tmp_path: Path, peculiar: Dataset) -> None:
        for preproc, size in (("resize_force_40x36", (40, 36)), ("resize_fit_48x48", (48, 32))):
            make(peculiar, tmp_path, preproc, jpeg_quality=100)
            dataset = open_version(OTB, version(tmp_path, preproc, tmp_path / "cache"))
            shown = decode(dataset.read_frame(0, 2), "")
            assert shown.shape == (size[1], size[0], 3)
            frame = decode(peculiar.read_frame(0, 2), "")
            expected = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            assert np.abs(shown.astype(int) - expected).mean() < 3

    def test_a_frame_is_decoded_at_a_half_only_if_it_divides(self, tmp_path: Path) -> None:
        """A box at the right edge would be off by a pixel else: the eye finds it where the index says."""
        for width in (200, 201, 203):
            folder = tmp_path / f"w{width}/small/Square/img"
            folder.mkdir(parents=True)
            image = np.zeros((100, width, 3), np.uint8)
            image[30:60, width - 40 :] = 255
            cv2.imwrite(str(folder / "0001.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
            (folder.parent / "groundtruth_rect.txt").write_text(f"{width - 39},31,40,30\n")
            source = original(tmp_path / f"w{width}/small", OTB, tmp_path / "cache")
            make(source, tmp_path / f"w{width}", "resize_force_50x25", jpeg_quality=100)
            dataset = open_version(OTB, version(tmp_path / f"w{width}", "resize_force_50x25", tmp_path / "cache"))
            light = decode(dataset.read_frame(0, 0), "")[..., 1].max(axis=0) / 255.0
            assert light.sum() == pytest.approx(40 * 50 / width, abs=0.15)

    @pytest.mark.parametrize("quality", [75, 95])
    def test_half_a_jpeg_is_as_good_as_the_average_of_all_of_it(self, shared: Path, quality: int) -> None:
        """Decoding at 1/2 and averaging 2 x 2 pixels of the whole differ by less than JPEG itself does."""
        frame = decode((shared / "data/otb/Skiing/img/0001.jpg").read_bytes(), "")
        height, width = frame.shape[0] // 16 * 16, frame.shape[1] // 16 * 16
        frame = np.ascontiguousarray(frame[:height, :width])
        _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        averaged = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(float)
        reduced = decode_reduced(data.tobytes(), 2, "").astype(float)
        whole = cv2.resize(decode(data.tobytes(), ""), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        assert np.square(reduced - averaged).mean() < 2 * np.square(whole - averaged).mean() + 4

    def test_reduced_pixels_of_other_formats_cover_the_same_squares(self) -> None:
        image = np.random.default_rng(0).integers(0, 255, (21, 34, 3), np.uint8)
        _, data = cv2.imencode(".png", image[..., ::-1])
        reduced = decode_reduced(data.tobytes(), 4, "")
        assert reduced.shape == (6, 9, 3)
        assert np.abs(reduced[:5, :8] - image[:20, :32].reshape(5, 4, 8, 4, 3).mean(axis=(1, 3))).max() <= 0.51


class TestEvery:
    @pytest.mark.parametrize("preproc", VERSIONS)
    def test_every_nth_row_of_each_track_has_a_picture(self, tmp_path: Path, peculiar: Dataset, preproc: str) -> None:
        make(peculiar, tmp_path, preproc, every=3)
        dataset = open_version(OTB, version(tmp_path, preproc, tmp_path / "cache"))
        rows = [dataset.stored(track) for track in range(3)]
        # Row 3 of the first track has no target: there is nothing to cut out, but there is a frame.
        first = [0, 6] if preproc.startswith("crop") else [0, 3, 6]
        assert [None if r is None else r.tolist() for r in rows] == [first, [0, 3], [0, 3]]
        assert_same_labels(dataset.index, peculiar.index)
        assert len(pictures_of(dataset)) == len(first) + 4

    def test_frames_in_between_are_not_there(self, tmp_path: Path, peculiar: Dataset) -> None:
        make(peculiar, tmp_path, "resize_fit_48x48", every=3)
        dataset = open_version(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache"))
        assert decode(dataset.read_frame(0, 3), "").shape == (32, 48, 3)
        with pytest.raises(
            DataError, match=r"frame 4 \(.*small/Alone/img/0005.jpg\): it was made with --every 3; for"
        ):
            dataset.read_frame(0, 4)
        with pytest.raises(UserError, match=r"^--eval_preproc: .*small.tar serves training only \(it was made with"):
            prepare(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache"), silent, assessed=True)

    @pytest.mark.parametrize("options", [{"every": 0}, {"jpeg_quality": 0}, {"jpeg_quality": 101}])
    def test_numbers_have_bounds(self, options: dict[str, int]) -> None:
        with pytest.raises(UserError, match=f"^--{next(iter(options))}: expected"):
            Recipe("crop_446", **options)


def cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


class TestUnreadable:
    """Frame 3 of Alone and frame 2 of Pair are damaged."""

    FILES = ("Alone/img/0003.jpg", "Pair/img/0002.png")

    @pytest.fixture
    def damaged(self, tmp_path: Path, peculiar: Dataset) -> Dataset:
        for name in self.FILES:
            path = tmp_path / "small" / name
            (tmp_path / path.name).write_bytes(path.read_bytes())
            path.write_bytes(cut_short(path.read_bytes()))
        return peculiar

    @pytest.mark.parametrize("preproc", VERSIONS)
    def test_all_are_reported_and_nothing_is_published(self, tmp_path: Path, damaged: Dataset, preproc: str) -> None:
        outcome = make(damaged, tmp_path, preproc, 2)
        assert outcome.manifest is None
        assert len(outcome.unreadable) == 2
        for line, name in zip(outcome.unreadable, self.FILES, strict=True):
            assert f"small/{name}" in line
            assert "\n" not in line
        assert not outcome.path.exists()

    @pytest.mark.parametrize("preproc", VERSIONS)
    def test_on_request_they_are_left_out(self, tmp_path: Path, damaged: Dataset, preproc: str) -> None:
        assert make(damaged, tmp_path, preproc).manifest is None
        made = make(damaged, tmp_path, preproc, skip_unreadable=True).manifest
        assert made is not None
        assert tuple(made.unreadable) == self.FILES
        dataset = open_version(OTB, version(tmp_path, preproc, tmp_path / "cache"))
        rows = [dataset.stored(track) for track in range(3)]
        alone = [0, 1, 5, 6] if preproc.startswith("crop") else [0, 1, 3, 4, 5, 6]
        assert [None if r is None else r.tolist() for r in rows] == [alone, [0, 2, 3, 4], [0, 2, 3, 4]]
        assert len(pictures_of(dataset)) == len(alone) + 8
        assert [path.name for path in (tmp_path / preproc).iterdir()] == ["small.tar"]

    def test_reading_one_says_why_it_is_not_there(self, tmp_path: Path, damaged: Dataset) -> None:
        make(damaged, tmp_path, "resize_fit_48x48", skip_unreadable=True)
        dataset = open_version(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache"))
        with pytest.raises(DataError, match=r"Alone/img/0003.jpg\): it was left out as unreadable"):
            dataset.read_frame(0, 2)

    def test_after_they_are_restored_the_same_command_makes_what_it_would_have_made(
        self, tmp_path: Path, damaged: Dataset
    ) -> None:
        assert make(damaged, tmp_path, "crop_62").manifest is None
        for name in self.FILES:
            path = tmp_path / "small" / name
            path.write_bytes((tmp_path / path.name).read_bytes())
        outcome = make(damaged, tmp_path, "crop_62")
        assert outcome.unreadable == []
        assert outcome.path.read_bytes() == make(damaged, tmp_path / "fresh", "crop_62").path.read_bytes()

    def test_a_frame_of_another_size_or_none_is_one_of_them(self, tmp_path: Path, peculiar: Dataset) -> None:
        (tmp_path / "small/Alone/img/0002.jpg").write_bytes(jpeg(48, 32))
        (tmp_path / "small/Alone/img/0006.jpg").unlink()
        lines = make(peculiar, tmp_path, "crop_62").unreadable
        assert len(lines) == 2
        assert f"48x32, expected {SIZE[0]}x{SIZE[1]} as the index has it" in lines[0]
        assert "0006.jpg: cannot read it (No such file or directory)" in lines[1]


class TestOpening:
    @pytest.fixture
    def made(self, tmp_path: Path, peculiar: Dataset) -> Path:
        return make(peculiar, tmp_path, "resize_fit_48x48").path

    def test_the_index_is_the_file_that_the_original_gives(
        self, tmp_path: Path, peculiar: Dataset, made: Path
    ) -> None:
        """Whichever comes first, in either cache there is one file, with the same arrays."""
        original_first = open_index_of(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache"), silent)
        assert original_first.path == peculiar.index.path
        version_first = open_index_of(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache2"), silent)
        assert version_first.path.name == original_first.path.name
        messages: list[str] = []
        there = Locations(data_paths={"small": tmp_path / "small"}, cache_dir=tmp_path / "cache2")
        assert open_index_of(OTB, there, messages.append).path == version_first.path
        assert messages == []

    def test_an_original_with_frames_of_another_size_has_another_index(self, tmp_path: Path, made: Path) -> None:
        for file in (tmp_path / "small/Alone/img").iterdir():
            file.write_bytes(jpeg(48, 32))
        there = Locations(data_paths={"small": tmp_path / "small"}, cache_dir=tmp_path / "cache3")
        other = open_index_of(OTB, there, silent)
        embedded = open_index_of(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "cache3"), silent)
        assert (other.video_size(0), embedded.video_size(0)) == ((48, 32), SIZE)
        assert open_index_of(OTB, there, silent).video_size(0) == (48, 32)

    @pytest.mark.parametrize("file", ["seqtrack-index.h5", "seqtrack-pictures.h5", "seqtrack-manifest.json"])
    def test_damage_is_one_line_that_names_the_file(self, tmp_path: Path, made: Path, file: str) -> None:
        content = members(made)
        content[f"small/{file}"] = bytes(reversed(content[f"small/{file}"]))
        with tarfile.open(made, "w") as archive:
            for name, data in content.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        with pytest.raises(DataError) as caught:
            open_dataset(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "fresh"), silent)
        assert f"small/{file}: " in str(caught.value)
        assert "make" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("preproc", VERSIONS)
    def test_every_picture_is_verified(self, tmp_path: Path, peculiar: Dataset, preproc: str) -> None:
        make(peculiar, tmp_path, preproc)
        locations = unpacked(tmp_path, preproc, OTB, tmp_path / "cache")
        open_version(OTB, locations).verify()
        files = sorted((tmp_path / "folders").rglob("*.jpg"))
        for file in (files[0], files[4], files[-1]):
            data = file.read_bytes()
            file.write_bytes(data[:-9] + bytes(9))
            with pytest.raises(DataError, match=rf"{file}: it does not have its checksum"):
                open_version(OTB, locations).verify()
            file.write_bytes(data)

    def test_a_damaged_cache_is_mended(self, tmp_path: Path, made: Path) -> None:
        locations = version(tmp_path, "resize_fit_48x48", tmp_path / "cache2")
        before = open_version(OTB, locations)
        expected = pictures_of(before)
        for path in (before.index.path, before.pictures.path):
            path.write_bytes(path.read_bytes()[:100])
        assert pictures_of(open_version(OTB, locations)) == expected

    def test_a_changed_tar_is_noticed(self, tmp_path: Path, peculiar: Dataset, made: Path) -> None:
        locations = version(tmp_path, "resize_fit_48x48", tmp_path / "cache")
        before = open_version(OTB, locations).data_fingerprint
        make(peculiar, tmp_path, "resize_fit_48x48", jpeg_quality=50, overwrite=True)
        after = open_version(OTB, locations).data_fingerprint
        assert (before["index"], before["frames"] != after["frames"]) == (after["index"], True)

    def test_a_cache_that_cannot_be_written_is_named(self, tmp_path: Path, made: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"^--data_cache_dir: cannot write .*give a folder"):
            open_dataset(OTB, version(tmp_path, "resize_fit_48x48", tmp_path / "file"), silent)


def test_polygons_travel_along(tmp_path: Path) -> None:
    name = DatasetName("vot", "small")
    source = original(write_vot(tmp_path / "small"), name, tmp_path / "cache")
    make(source, tmp_path, "crop_62")
    dataset = open_version(name, version(tmp_path, "crop_62", tmp_path / "elsewhere"))
    np.testing.assert_array_equal(dataset.index.polygons(0), source.index.polygons(0))
