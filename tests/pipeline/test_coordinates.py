"""Boxes survive the way from annotation to view to result, whatever size the network sees.

Two witnesses. The oracle is told the truth: it must come back to the last digit. The eye is told nothing: it
measures where the target is in the pixels it is given, so a shift or scale that annotations and predictions
share would show. Both run through the pipeline's own ``run_sequence``, in OPE and TRE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from seqtrack.assessment import protocols
from seqtrack.assessment.protocols import Sequence
from seqtrack.assessment.results import SequenceResult
from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.formats import DatasetName
from seqtrack.data.geometry import centers, iou
from seqtrack.data.locations import Locations
from seqtrack.pipeline.track_runs import run_sequence
from seqtrack.tracking.base import Image, Tracker
from seqtrack.tracking.static import OracleTracker

FORCED = "resize_force_360x360"
VIEW = (360, 360)
FRAMES = 44
SIZE = (200, 120)
# Where the frames come from and what is done to them before the tracker sees them.
WAYS = pytest.mark.parametrize(
    ("preproc", "view_size"),
    [("original", None), ("original", VIEW), (FORCED, None)],
    ids=["native", "view", "forced"],
)
STARTS = pytest.mark.parametrize("tre_num", [1, 3], ids=["OPE", "TRE_3"])


class Eye:
    """Finds the one bright rectangle of a frame by its pixels: to a fraction of one, as its edges are blurred."""

    def init(self, frame: Image, box: ArrayLike) -> None:
        pass

    def update(self, frame: Image) -> tuple[NDArray[np.float64], float]:
        light = frame[..., 1].astype(np.float64) / 255
        height, width = light.shape
        x, w = _extent(light.max(axis=0), width)
        y, h = _extent(light.max(axis=1), height)
        return np.array([x, y, w, h]), 1.0


def _extent(profile: NDArray[np.float64], length: int) -> tuple[float, float]:
    """Start and length of a blurred box function, where sample k stands for [k, k + 1)."""
    total = profile.sum()
    middle = float(profile @ (np.arange(length) + 0.5) / total)
    return middle - total / 2, float(total)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in OTB's layout whose target is a bright rectangle that covers exactly its box, as PNG; and the
    version that was resized by force, whose annotations are those of the original."""
    root = tmp_path_factory.mktemp("generated")
    rows = []
    for t in range(FRAMES):
        x, y, w, h = 12 + 3 * t, 20 + t, 24 + t // 4, 18 + t // 6
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        image[y : y + h, x : x + w] = 255
        rows.append(f"{x + 1},{y + 1},{w},{h}\n")  # OTB counts pixels from 1
        name = f"moving/Square/img/{t + 1:04d}.png"
        for preproc, shown in (("original", image), (FORCED, cv2.resize(image, VIEW))):
            path = root / preproc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), shown)
    for preproc in ("original", FORCED):
        (root / preproc / "moving/Square/groundtruth_rect.txt").write_text("".join(rows))
    return root


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """The start of a real sequence, and its resized version."""
    root = tmp_path_factory.mktemp("real")
    source = shared / "data" / "otb" / "Couple"
    rows = (source / "groundtruth_rect.txt").read_text().splitlines(keepends=True)[:FRAMES]
    for preproc in ("original", FORCED):
        folder = root / preproc / "moving" / "Couple"
        (folder / "img").mkdir(parents=True)
        (folder / "groundtruth_rect.txt").write_text("".join(rows))
        for t in range(len(rows)):
            frame = cv2.imread(str(source / "img" / f"{t + 1:04d}.jpg"))
            shown = frame if preproc == "original" else cv2.resize(frame, VIEW)
            cv2.imwrite(str(folder / "img" / f"{t + 1:04d}.jpg"), shown)
    return root


Open = Callable[[Path, str], Dataset]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    found = []

    def open_(root: Path, preproc: str) -> Dataset:
        locations = Locations(data_dir=root, preproc=preproc, cache_dir=tmp_path / "dataset_cache")
        found.append(open_dataset(DatasetName("otb", "moving"), locations))
        return found[-1]

    yield open_
    for dataset in found:
        dataset.close()


def assessed(
    dataset: Dataset,
    make_tracker: Callable[[Sequence, int, tuple[int, int]], Tracker],
    view_size: tuple[int, int] | None,
    tre_num: int,
) -> list[tuple[Sequence, int, SequenceResult]]:
    """Every start of every sequence, run by a tracker of its own."""
    found = []
    for sequence in protocols.sequences(dataset.index):
        runs = protocols.runs([sequence], "full", tre_num)
        assert len(runs) == tre_num
        for run in runs:
            tracker = make_tracker(sequence, run.start, dataset.index.video_size(sequence.video))
            result = run_sequence(tracker, dataset, run, view_size)
            assert len(result.boxes) == len(sequence.frames) - run.start
            found.append((sequence, run.start, result))
    return found


def oracle(sequence: Sequence, start: int, size: tuple[int, int]) -> Tracker:
    return OracleTracker(sequence.boxes[start:], size)


def eye(sequence: Sequence, start: int, size: tuple[int, int]) -> Tracker:
    return Eye()


def error_of(sequence: Sequence, start: int, result: SequenceResult) -> NDArray[np.float64]:
    """(T, 2): predicted centre minus true centre, in pixels of the original."""
    return centers(result.boxes) - centers(sequence.boxes[start:])


@WAYS
@STARTS
@pytest.mark.parametrize("source", ["generated", "real"])
def test_what_an_oracle_answers_arrives(
    request: pytest.FixtureRequest,
    opened: Open,
    source: str,
    preproc: str,
    view_size: tuple[int, int] | None,
    tre_num: int,
) -> None:
    dataset = opened(request.getfixturevalue(source), preproc)

    for sequence, start, result in assessed(dataset, oracle, view_size, tre_num):
        # OTB's success counts overlaps above each threshold up to 1.0, which none is: 20 of 21 for perfection.
        assert iou(result.boxes, sequence.boxes[start:]) == pytest.approx(1.0, abs=1e-12)
        assert np.abs(error_of(sequence, start, result)).max() < 1e-9


@WAYS
@STARTS
def test_what_an_eye_sees_is_where_the_annotation_says(
    generated: Path, opened: Open, preproc: str, view_size: tuple[int, int] | None, tre_num: int
) -> None:
    dataset = opened(generated, preproc)

    for sequence, start, result in assessed(dataset, eye, view_size, tre_num):
        error = error_of(sequence, start, result)
        assert iou(result.boxes, sequence.boxes[start:]).min() > 0.95
        assert np.abs(error).max() < 0.5
        # Resampling blurs an edge but does not move it: on average there is nothing left of half a pixel.
        assert np.abs(error[1:].mean(axis=0)).max() < 0.02
        size_error = result.boxes[1:, 2:] - sequence.boxes[start:][1:, 2:]
        assert np.abs(size_error.mean(axis=0)).max() < 0.02
        if view_size is None and preproc == "original":
            assert np.array_equal(result.boxes, sequence.boxes[start:])


class Mistaken:
    """An eye with a mistake in how it states what it sees."""

    def __init__(self, shift: float, scale: float) -> None:
        self._eye, self._shift, self._scale = Eye(), shift, scale

    def init(self, frame: Image, box: ArrayLike) -> None:
        pass

    def update(self, frame: Image) -> tuple[NDArray[np.float64], float]:
        box, score = self._eye.update(frame)
        return (box + np.array([self._shift, self._shift, 0, 0])) * self._scale, score


@WAYS
@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (-0.5, 1.0), (0.0, 1.01)])
def test_half_a_pixel_or_one_percent_would_show(
    generated: Path, opened: Open, preproc: str, view_size: tuple[int, int] | None, shift: float, scale: float
) -> None:
    """The bounds above are tight enough: a mistake of this size is outside them."""
    dataset = opened(generated, preproc)

    ((sequence, start, result),) = assessed(dataset, lambda *_: Mistaken(shift, scale), view_size, 1)

    assert np.abs(error_of(sequence, start, result)[1:].mean(axis=0)).max() > 0.1
    overlaps = iou(result.boxes[1:], sequence.boxes[start:][1:])
    assert overlaps.max() < 1.0


def test_the_index_of_the_resized_version_is_that_of_the_original(generated: Path, opened: Open) -> None:
    """Boxes stay in pixels of the original, 0-based, though the frames on disk have another size."""
    original, forced = opened(generated, "original").index, opened(generated, FORCED).index

    assert forced.fingerprint == original.fingerprint
    assert forced.video_size(0) == SIZE
    assert forced.track(0).boxes[0].tolist() == [12.0, 20.0, 24.0, 18.0]
