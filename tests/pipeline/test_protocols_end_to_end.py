"""One command, several protocols: a VOT data set assessed in one pass and with restarts, then by others' rules."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.assessment import results
from seqtrack.assessment.conventions import find
from seqtrack.reporting.frames import load_run
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED
from tests.workbench import Workbench, all_events, named, table_of

FRAMES = 60  # VOT2019's EAO is about lengths from 46 on


@pytest.fixture(scope="module")
def vot2019(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square that a tracker which was never trained can follow, and one that jumps away in frame 20. The truth is
    polygons."""
    root = tmp_path_factory.mktemp("vot2019")
    for name, jump in (("calm", 0), ("jumps", 60)):
        folder = root / name / "color"
        folder.mkdir(parents=True)
        rows = []
        for t in range(FRAMES):
            x, y = 12 + t // 6 + (jump if t >= 20 else 0), 30
            image = np.full((96, 128, 3), 90, np.uint8)
            image[y : y + 20, x : x + 20] = (20, 200, 240)
            cv2.imwrite(str(folder / f"{t + 1:08d}.jpg"), image)
            corners = [x, y, x + 20, y, x + 20, y + 20, x, y + 20]
            rows.append(",".join(map(str, corners)) + "\n")
        (root / name / "groundtruth.txt").write_text("".join(rows))
    (root / "jumps/motion_change.tag").write_text("0\n" * 20 + "1\n")  # of frame 20; what is missing is 0
    (root / "list.txt").write_text("calm\njumps\n")
    return root


def test_restarts_and_one_pass_in_one_table_and_other_rules_without_tracking_again(
    bench: Workbench, vot2019: Path
) -> None:
    flags = [
        "--eval_datasets", "vot2019", "--eval_samplers", "benchmark", "full", f"--data_paths=vot2019={vot2019}",
        "--num_steps=0",
    ]  # fmt: skip
    result = bench.train(*flags)
    assert result.code == 0, result
    run = bench.run_folder()
    summary = json.loads(run.summary_json.read_text())
    assert summary["eval_sets"] == ["vot2019-supervised", "vot2019-full"]
    assert (summary["optimize_dataset"], summary["optimize_metric"]) == ("vot2019-supervised", "EAO")
    cells = summary["results"]["vot2019-supervised"]
    assert set(cells) == {"EAO", "accuracy", "robustness", "failures"}
    assert 0 < cells["EAO"]["mean"] < 1 and cells["failures"]["mean"] >= 1
    assert "AUC" in summary["results"]["vot2019-full"]
    rows = [line.split()[:2] for line in table_of(result.out) if line.startswith("vot2019")]
    assert rows[:5] == [
        ["vot2019-supervised", "EAO"], ["vot2019-supervised", "accuracy"], ["vot2019-supervised", "robustness"],
        ["vot2019-supervised", "failures"], ["vot2019-full", "AUC"],
    ]  # fmt: skip

    trial = run.trial(0)
    (folder,) = trial.assessments("vot2019-supervised").glob("step_*")
    track = results.load_track(folder, "jumps")
    (failure, *_) = np.flatnonzero(track["code"] == FAILED)
    assert failure == 20 and track["overlap"][failure] == 0
    assert track["code"][failure + 1 : failure + 6].tolist() == [SKIPPED] * 4 + [START]
    assert track["code"][failure + 6] == TRACKED and track["overlap"][failure + 6] > 0
    stored = results.load_summary(folder)
    assert (stored["protocol"], stored["convention"]) == ("supervised", "pysot")
    assert stored["definition"] == find("supervised", "pysot").definition
    assert set(stored["by_tag"]) == {"motion_change", "empty"}
    lost, rest = stored["by_tag"]["motion_change"], stored["by_tag"]["empty"]
    assert (lost["failures"], lost["robustness"], lost["accuracy"]) == (1, 100, None), "one frame, in which it fails"
    assert rest["failures"] == stored["metrics"]["failures"] - 1
    assert rest["accuracy"] == pytest.approx(stored["metrics"]["accuracy"])
    tags = load_run(run.path).by_tag
    assert tags[tags["tag"] == "empty"].set_index("metric")["value"].to_dict() == pytest.approx(rest)

    again = bench.train(*flags, "--eval_convention=pysot")
    assert again.code == 0, again
    last = all_events(trial)[-1]
    assert len(named(last, "reused")) == 4 and not named(last, "sequence"), "scored again, not tracked again"
    other = json.loads(run.summary_json.read_text())
    assert other["results"]["vot2019-supervised"] == cells
    conventions = {results.load_summary(f)["convention"] for f in trial.assessments("vot2019-full").glob("step_*")}
    assert conventions == {"otb", "pysot"}
