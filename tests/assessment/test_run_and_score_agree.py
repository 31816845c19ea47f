"""What a run says of itself is what its exported files score: one data set per layout, each convention."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.assessment import conventions
from seqtrack.assessment.benchmark import benchmark_of
from seqtrack.assessment.exchange.annotations import from_data
from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import read_results
from seqtrack.assessment.exchange.scored import score_results
from seqtrack.assessment.exchange.writing import export, publish
from seqtrack.assessment.protocols import PROTOCOLS, Run, own_sampler, runs, sequences
from seqtrack.assessment.results import SequenceResult
from seqtrack.assessment.run_scores import score_runs
from seqtrack.data.datasets import open_dataset
from seqtrack.data.formats import DatasetName, parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.pipeline.track_runs import run_sequence
from seqtrack.tracking.static import StaticTracker

FRAMES = 60  # VOT2019's EAO is about lengths from 46 on
IMAGE = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()


def truth(first_pixel: float) -> np.ndarray:
    """(T, 4) to the left border and over it, with three empty boxes, and out of the tracker's reach from frame 30 on;
    in coordinates that count from 0 but for the frames at the border, which are 0 in the publisher's."""
    boxes = np.tile([8.0, 9.0, 12.0, 10.0], (FRAMES, 1))
    boxes[:, 0] -= np.arange(FRAMES) % 12
    boxes[:, :2] += first_pixel
    boxes[[3, 14, 15], 0] = [0, 1, -0.5]
    boxes[4, 1] = boxes[17, 0] = first_pixel
    boxes[[6, 7, 20]] = 0
    boxes[30:, 0] += 30
    return boxes


def flags(*frames: int) -> np.ndarray:
    return np.isin(np.arange(FRAMES), frames).astype(int)


def lines(rows: np.ndarray) -> str:
    return "".join(",".join(map(str, np.atleast_1d(row))) + "\n" for row in rows.tolist())


def otb(root: Path, first_pixel: float = 1) -> None:
    write_frames(root / "Walk/img", "{:04d}.jpg")
    (root / "Walk/groundtruth_rect.txt").write_text(lines(truth(first_pixel)))


def uav_of_pysot(root: Path) -> None:
    write_frames(root / "walk", "{:06d}.jpg")
    names = [f"walk/{k:06d}.jpg" for k in range(1, FRAMES + 1)]
    record = {
        "video_dir": "walk",
        "img_names": names,
        "gt_rect": truth(1).tolist(),
        "init_rect": truth(1)[0].tolist(),
    }
    (root / f"{root.name}.json").write_text(json.dumps({"walk": record}))


def lasot(root: Path) -> None:
    """Frames 6 and 20 are empty without a flag, 7 has one, and 8 and 9 have boxes."""
    write_frames(root / "cat/cat-1/img", "{:08d}.jpg")
    for name, content in (
        ("groundtruth", lines(truth(0))),
        ("full_occlusion", flags(8)),
        ("out_of_view", flags(7, 9)),
    ):
        text = content if isinstance(content, str) else ",".join(map(str, content))
        (root / f"cat/cat-1/{name}.txt").write_text(text)


def got10k(root: Path) -> None:
    """Frame 10 is absent and covered, 11 and 12 say that some of the target is seen and that it is absent."""
    folder = root / "GOT-10k_Val_000001"
    write_frames(folder, "{:08d}.jpg")
    (folder / "groundtruth.txt").write_text(lines(truth(0)))
    (folder / "absence.label").write_text(lines(flags(10, 11, 12)))
    (folder / "cover.label").write_text(lines(np.where(flags(10, 13), 0, np.where(flags(11, 12), 3, 8))))
    (folder / "meta_info.ini").write_text("[METAINFO]\nresolution: (64, 48)\n")


def vot(root: Path) -> None:
    write_frames(root / "walk/color", "{:08d}.jpg")
    (root / "walk/groundtruth.txt").write_text(lines(truth(0)))


def write_frames(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        (folder / name.format(number)).write_bytes(IMAGE)


MAKERS: dict[str, Callable[[Path], None]] = {
    "otb:mine": otb, "pysot:UAV123": uav_of_pysot, "lasot:videos": lasot, "got10k:my": got10k, "vot:VOT2019": vot,
    "vot:walk_LongTerm": vot,
}  # fmt: skip


@dataclass(frozen=True)
class Tracked:
    name: DatasetName
    locations: Locations
    runs: list[Run]
    results: list[SequenceResult]
    files: Path


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Tracked]:
    """A set assessed with a tracker that stands still, and exported; each once."""
    made: dict[tuple[str, str], Tracked] = {}

    def make(text: str, sampler: str) -> Tracked:
        if (text, sampler) not in made:
            name, folder = parse_dataset_name(text), tmp_path_factory.mktemp("set")
            MAKERS[text](folder / name.folder)
            locations = Locations(data_paths={name.folder: folder / name.folder}, cache_dir=folder / "index")
            dataset = open_dataset(name, locations, lambda text: None)
            found = runs(sequences(dataset.index, sampler), sampler)
            results = [run_sequence(StaticTracker(), dataset, run, protocol=PROTOCOLS[sampler]) for run in found]
            exported = export("otb" if sampler == "full" else "vot", name, sampler, results, "still", 0)
            publish(folder / "results", exported, zipped=False, overwrite=False)
            made[text, sampler] = Tracked(name, locations, found, results, folder / "results" / exported.folder)
        return made[text, sampler]

    return make


@pytest.mark.parametrize("sampler", ["full", "supervised", "longterm"])
@pytest.mark.parametrize("dataset", MAKERS)
def test_a_run_and_its_exported_files_have_the_same_scores(
    tracked: Callable[[str, str], Tracked], dataset: str, sampler: str
) -> None:
    one, protocol = tracked(dataset, sampler), PROTOCOLS[sampler]
    labels = from_data(one.name, one.locations)
    (files,) = find_trackers(one.files, None)
    results = read_results(files, labels, one.name)
    for asked in (None, *conventions.names(protocol)):
        convention = conventions.find(protocol, asked, benchmark_of(one.name)).name
        own = score_runs(one.runs, one.results, protocol, convention, one.name)
        scored = score_results(results, labels, one.name, asked)
        assert scored.convention.name == convention
        said = {name: float(statistic.value()) for name, statistic in own.statistics.items()}
        assert said == pytest.approx(dict(scored.overall), abs=1e-9, nan_ok=True), convention


def test_the_sets_tell_conventions_and_coordinates_apart(tracked: Callable[[str, str], Tracked]) -> None:
    """Else the test above would pass whatever was done."""
    one = tracked("otb:mine", "full")
    names = conventions.names("ope")
    found = {
        as_if: [
            float(score_runs(one.runs, one.results, "ope", name, parse_dataset_name(as_if)).statistics["AUC"].value())
            for name in names
        ]
        for as_if in ("otb:mine", "nfs:mine")
    }
    differ = {name for name, a, b in zip(names, *found.values(), strict=True) if a != b}
    assert {"pytracking", "lasot"} <= differ
    assert own_sampler(benchmark_of(one.name)) == "full"
