"""The real got10k package runs our trackers and reads our exported results: its scores are ours."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from got10k import datasets, experiments
from got10k.experiments import ExperimentGOT10k, ExperimentOTB
from PIL import Image

from seqtrack import load_run
from seqtrack.data.synthetic import make_video
from seqtrack.integrations.got10k import Tracker, first_pixel
from seqtrack.pipeline.loaded_tracker import external_tracker
from seqtrack.tools import assess, export_results
from tests.workbench import EVAL, NUM_STEPS, Workbench

# Heeds pixels, and answers in eighths of a pixel, which survive the toolkit's three decimals.
OWN = """
import numpy as np


class Seeker:
    def init(self, image, box):
        self.box = np.round(np.asarray(box) * 8) / 8
        self.level = self.around(image)

    def update(self, image):
        self.box[:2] += np.round(8 * np.clip((self.around(image) - self.level) / 20, -1.5, 1.5)) / 8 + 0.125
        self.box[2:] -= 0.25
        return self.box

    def around(self, image):
        x, y, w, h = np.clip(self.box, 0, 80).astype(int)
        patch = image[y : y + h + 1, x : x + w + 1].astype(float)
        return np.array([patch[..., 0].mean(), patch[..., 2].mean()])
"""
FRAMES, SIZE = 14, (96, 96)


def write_otb(root: Path) -> Path:
    for number, name in enumerate(("Basketball", "Biker")):
        for file, data in make_video("eval", number, FRAMES, SIZE).files():
            path = root / name / file.partition("/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root


def write_got10k(root: Path) -> Path:
    """With a frame of no target, and truth beyond the image, which the toolkit cuts off."""
    names = [f"GOT-10k_Val_{number:06d}" for number in (1, 2)]
    for number, name in enumerate(names):
        video, folder = make_video("eval", 2 + number, FRAMES + number, SIZE), root / "val" / name
        folder.mkdir(parents=True)
        pictures = [data for file, data in video.files() if file.endswith(".jpg")]
        for frame, data in enumerate(pictures, start=1):
            (folder / f"{frame:08d}.jpg").write_bytes(data)
        boxes = video.boxes[0].copy()
        boxes[3] += [-60, 0, 30, 0]
        np.savetxt(folder / "groundtruth.txt", boxes, fmt="%.4f", delimiter=",")
        cover = np.full(len(boxes), 8)
        cover[5] = 0
        np.savetxt(folder / "cover.label", cover, fmt="%d")
        for label in ("absence", "cut_by_image"):
            np.savetxt(folder / f"{label}.label", cover == 0, fmt="%d")
        (folder / "meta_info.ini").write_text(f"[METAINFO]\nobject_class: ball\nresolution: {SIZE}\n")
    (root / "val" / "list.txt").write_text("\n".join(names) + "\n")
    return root


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, but for its download of what it misses, and its pictures."""
    monkeypatch.setattr(datasets.OTB, "_download", lambda *_: None)
    for experiment in (ExperimentOTB, ExperimentGOT10k):
        monkeypatch.setattr(experiment, "plot_curves", lambda *_: None)


def test_its_experiments_score_our_tracker_and_our_exports_as_we_do(
    toolkit: None, bench: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "own_seeker.py").write_text(OWN)
    monkeypatch.chdir(bench.folder)
    monkeypatch.syspath_prepend(str(bench.folder))
    for name in ("HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, bench.environment({})[name])
    data = bench.folder / "data" / "original"
    otb = ExperimentOTB(str(write_otb(data / "two_of_otb")), version=2015)
    otb.result_dir = "results/two_of_otb"  # as seqtrack calls data sets that are not the published one
    got = ExperimentGOT10k(str(write_got10k(data / "got10k_val")), subset="val")

    # Theirs runs ours …
    for experiment in (otb, got):
        experiment.run(Tracker(external_tracker("own_seeker:Seeker"), experiment, name="inside"))
    # … ours runs ours, and exports …
    words = ["--tracker=own_seeker:Seeker", "--data_dir=data", "--eval_datasets", "otb:two_of_otb", "got10k_val"]
    assert assess.main([*words, "--name=exported"]) == 0
    assert export_results.main(["exported", "--format=got10k", "--out=results"]) == 0
    capsys.readouterr()
    # … and theirs reports on both.
    names = ["inside", "exported_seed0"]
    one_pass, average = otb.report(names), got.report(names)

    frames = load_run("exported", bench.cache)
    for name in names:
        theirs = {
            "AUC": ("success_score", one_pass[name]),
            "precision_20": ("precision_score", one_pass[name]),
            "success_50": ("success_rate", one_pass[name]),
            "AO": ("ao", average[name]),
            "SR_50": ("sr", average[name]),
        }
        for metric, (key, report) in theirs.items():
            (ours,) = frames.scores[frames.scores.metric == metric].value
            assert 0.02 < ours < 0.98
            assert report["overall"][key] == pytest.approx(ours, abs=1e-6), (name, metric)
            per_sequence = frames.sequences[frames.sequences.metric == metric].set_index("sequence").value
            assert {k: v[key] for k, v in report["seq_wise"].items()} == pytest.approx(dict(per_sequence), abs=1e-6)


def extracted(tars: Path, folder: Path) -> list[str]:
    """The frames of the first video that is assessed on, as files."""
    with tarfile.open(tars / "original" / f"{EVAL}.tar") as tar:
        tar.extractall(folder, filter="data")
    return sorted(map(str, (folder / EVAL / "Eval001" / "img").iterdir()))


def test_a_checkpoint_tracks_there_as_here(finished: Workbench, tmp_path: Path) -> None:
    """Frame by frame by their loop's calls with PIL's images, and at once by ``track``."""
    run = finished.run_folder()
    expected = load_run(run.path).track(f"{EVAL}-full", "Eval001", 0)[["x", "y", "w", "h"]].to_numpy(copy=True)
    expected[:, :2] += 1  # OTB's first pixel
    files = extracted(finished.tars, tmp_path)
    tracker = Tracker.load(run.trial(0).checkpoint(NUM_STEPS).path, ExperimentOTB, device="cpu")
    boxes, times = tracker.track(files, expected[0])
    assert np.abs(boxes - expected).max() < 1e-3
    assert times.shape == (len(files),) and (times > 0).all()

    def answers() -> Iterator[Any]:
        with Image.open(files[0]) as image:
            tracker.init(image, expected[0])
        for file in files[1:]:
            with Image.open(file) as image:
                yield tracker.update(image)

    assert np.abs(np.stack(list(answers())) - expected[1:]).max() < 0.05  # PIL's decoder is not ours


def test_every_experiment_is_known() -> None:
    """By who counts from 1, as our readers say (``tests/data/formats/test_against_got10k.py``)."""
    kinds = {name: kind for name, kind in vars(experiments).items() if name.startswith("Experiment")}
    one_based = {"ExperimentOTB", "ExperimentTColor128", "ExperimentUAV123", "ExperimentDTB70"}
    assert {name for name, kind in kinds.items() if first_pixel(kind) == 1} == one_based
    assert set(kinds) - one_based == {"ExperimentGOT10k", "ExperimentNfS", "ExperimentVOT"}

    class Mine(ExperimentOTB):  # type: ignore[misc]
        """As people restrict one to their sequences."""

    assert (first_pixel(Mine), first_pixel("ExperimentOTB"), first_pixel(None)) == (1, 1, 0)
