"""A run as DataFrames: every number that is on disk, once, in a fixed order, whatever state the run is in."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import seqtrack
from seqtrack.assessment.metrics import CURVES
from seqtrack.errors import DataError, UserError
from seqtrack.reporting import frames
from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder
from tests import madeup
from tests.workbench import Workbench, tree_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Three seeds, three steps, two sets; the third seed failed in the middle of its training. Not to be changed."""
    return madeup.write_run(tmp_path_factory.mktemp("cache"), unfinished=(2,), name="made-up")


@pytest.fixture
def run(folder: RunFolder) -> frames.RunFrames:
    return seqtrack.load_run(folder.path)


def test_a_run_is_found_as_every_tool_finds_it(folder: RunFolder) -> None:
    cache = folder.path.parent
    for text in ("latest", folder.run_id, folder.run_id[:4], "made-up", str(folder.path)):
        assert seqtrack.load_run(text, cache).path == folder.path
    assert seqtrack.load_run(cache_dir=cache).run_id == folder.run_id
    assert seqtrack.load_run("latest", cache).name == "made-up"


def test_no_such_run_names_those_that_are_like_it(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"RUN: no run 'made_up' in .*; did you mean made-up\?"):
        seqtrack.load_run("made_up", folder.path.parent)
    with pytest.raises(UserError, match="there is no run in"):
        seqtrack.load_run(cache_dir=tmp_path)


def test_the_frames_have_the_columns_and_types_that_they_declare(run: frames.RunFrames, tmp_path: Path) -> None:
    for name, columns in frames.COLUMNS.items():
        frame = getattr(run, name)
        assert list(frame)[: len(columns)] == list(columns), name
        assert {c: frame[c].dtype for c in columns} == {c: pd.Series(dtype=t).dtype for c, t in columns.items()}, name


def test_a_run_that_has_not_begun_has_empty_frames_of_the_same_columns(tmp_path: Path) -> None:
    folder = madeup.write_run(tmp_path, seeds=2, unfinished=(0, 1))
    for path in folder.path.glob("seed_*"):
        for file in sorted(path.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        path.rmdir()
    folder.summary_json.unlink()
    run = seqtrack.load_run(folder.path)
    assert run.summary == {} and run.notes == [] and run.assessments == []
    for name, columns in frames.COLUMNS.items():
        frame = getattr(run, name)
        assert list(frame) == list(columns)
        assert len(frame) == (2 if name == "trials" else 0)
        assert {c: frame[c].dtype for c in columns} == {c: pd.Series(dtype=t).dtype for c, t in columns.items()}
    assert list(run.trials["state"]) == ["waiting", "waiting"]
    assert run.trials["seconds_train"].isna().all() and run.trials["selected_step"].isna().all()
    assert len(run.stability) == 2


def test_scores_are_those_of_the_summaries_to_the_last_bit(run: frames.RunFrames, folder: RunFolder) -> None:
    scores = run.scores
    keys = ["seed", "eval_id", "step", "metric"]
    assert not scores.duplicated(keys).any()
    assert scores.equals(scores.sort_values(keys[:3], kind="stable"))
    files = sorted(folder.path.glob("seed_*/assess/*/step_*/summary.json"))
    assert len(files) == 2 * 2 * 3
    told = {}
    for path in files:
        summary = json.loads(path.read_text())
        seed = int(path.parents[3].name.removeprefix("seed_"))
        told.update({(seed, summary["eval_id"], summary["step"], m): v for m, v in summary["metrics"].items()})
    assert dict(zip(scores[keys].itertuples(index=False, name=None), scores["value"], strict=True)) == told


def test_the_selected_scores_are_those_of_the_table(run: frames.RunFrames) -> None:
    selected = run.scores[run.scores["selected"]]
    for eval_id, metrics in run.summary["results"].items():
        for metric, cell in metrics.items():
            rows = selected[(selected["eval_id"] == eval_id) & (selected["metric"] == metric)]
            assert dict(zip(rows["seed"].astype(str), rows["value"], strict=True)) == cell["per_seed"]
            assert rows["value"].mean() == pytest.approx(cell["mean"], abs=1e-15)
            assert rows["value"].std() == pytest.approx(cell["std"], abs=1e-15)


def test_sequences_are_the_rows_of_their_files(run: frames.RunFrames) -> None:
    rows = run.sequences
    item = run.find("uav123-full", seed=1, step=2000)
    mine = rows[(rows["eval_id"] == "uav123-full") & (rows["seed"] == 1) & (rows["step"] == 2000)]
    with (item.path / "sequences.csv").open(newline="") as file:
        told = {
            (row["sequence"], int(row["start"]), metric): float(value)
            for row in csv.DictReader(file)
            for metric, value in row.items()
            if metric not in ("sequence", "start", "first_frame", "frames")
        }
    found = zip(mine[["sequence", "start", "metric"]].itertuples(index=False, name=None), mine["value"], strict=True)
    assert dict(found) == told
    assert set(mine["frames"]) == {25}
    means = mine.groupby("metric")["value"].mean()
    scores = run.scores[(run.scores["eval_id"] == "uav123-full") & (run.scores["seed"] == 1)]
    for _, row in scores[scores["step"] == 2000].iterrows():
        assert means[row["metric"]] == pytest.approx(row["value"], abs=1e-12)


def test_curves_are_those_of_the_summaries_over_their_thresholds(run: frames.RunFrames) -> None:
    item = run.find("otb_50-full", seed=0)
    told = json.loads((item.path / "summary.json").read_text())["curves"]
    assert set(told) == {"success", "precision", "norm_precision"}
    rows = run.curves[(run.curves["eval_id"] == "otb_50-full") & (run.curves["seed"] == 0) & run.curves["selected"]]
    for name, values in told.items():
        curve = rows[rows["curve"] == name]
        assert curve["value"].tolist() == values
        assert curve["threshold"].tolist() == list(CURVES[name])
    success = rows[rows["curve"] == "success"]
    auc = run.scores[(run.scores["metric"] == "AUC") & (run.scores["eval_id"] == "otb_50-full")]
    assert success["value"].mean() == pytest.approx(auc.loc[(auc["seed"] == 0) & auc["selected"], "value"].item())


def test_training_is_train_csv_of_every_seed(run: frames.RunFrames, folder: RunFolder) -> None:
    counts = run.training.groupby("seed")["step"].agg(["count", "max"])
    assert counts.to_dict("index") == {s: {"count": n, "max": 100 * n} for s, n in ((0, 30), (1, 30), (2, 15))}
    with folder.trial(1).train_csv.open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert run.training.loc[run.training["seed"] == 1, "loss"].tolist() == losses


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    folder = madeup.write_run(tmp_path, seeds=1, steps=(300,), eval_sets={"otb_50": 2})
    for path, torn in (
        (folder.trial(0).train_csv, "400"),
        (folder.trial(0).attempt(0).events, '{"event": "pro'),
        (folder.submissions, '{"id": "abc", "tr'),
    ):
        with path.open("a") as file:
            file.write(torn)
    run = seqtrack.load_run(folder.path)
    assert run.training["step"].tolist() == [100, 200, 300]
    assert run.trials["state"].tolist() == ["done"]
    assert run.config["num_steps"] == 300


def test_trials_tell_how_it_went_where_and_on_what(run: frames.RunFrames) -> None:
    trials = run.trials.set_index("seed")
    assert trials["state"].tolist() == ["done", "done", "failed"]
    assert trials["error"].tolist() == ["", "", "CUDA out of memory"]
    assert trials["selected_step"].tolist()[:2] == [3000, 3000] and trials["selected_step"].isna()[2]
    assert (
        set(trials["gpu"]) == {"NVIDIA H100"}
        and set(trials["torch"]) == {"2.6.0"}
        and set(trials["cuda"]) == {"12.4"}
    )
    assert set(trials["attempts"]) == {1} and set(trials["restarts"]) == {0}
    assert trials["fps"].round(6).tolist()[:2] == [80.0, 80.0] and np.isnan(trials["fps"][2])
    assert (trials["seconds_train"] > 0).all()
    assert trials["code"].nunique() == 1 and len(trials["code"][0]) == 8


def test_stability_is_a_row_per_trial_with_its_scores_and_its_machine(run: frames.RunFrames) -> None:
    table = run.stability
    assert list(table) == [
        "seed", "state", "selected_step", "otb_50-full AUC", "uav123-full AUC", "host", "hardware", "torch", "cuda",
        "python", "code", "hours", "restarts",
    ]  # fmt: skip
    per_seed = run.summary["results"]["uav123-full"]["AUC"]["per_seed"]
    assert table["uav123-full AUC"].tolist()[:2] == [per_seed["0"], per_seed["1"]]
    assert np.isnan(table["uav123-full AUC"][2])
    assert set(table["hardware"]) == {"NVIDIA H100"}


def test_a_track_is_the_rows_of_tracks_h5(run: frames.RunFrames) -> None:
    track = run.track("otb_50-full", "otb_50_003", seed=0)
    assert list(track)[:6] == ["frame", "x", "y", "w", "h", "score"]
    assert track["frame"].tolist() == list(range(25))
    truth = madeup.truth_of("otb_50_003", 25)
    assert track.loc[0, ["x", "y", "w", "h"]].tolist() == truth[0].tolist()
    earlier = run.track("otb_50-full", "otb_50_003", seed=0, step=1000)
    assert not earlier.equals(track)
    assert run.track("otb_50-full", "otb_50_003", seed=0, step=3000).equals(track)  # the selected one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("otb_5-full", "otb_50_003", 0), "has no results of 'otb_5-full'; did you mean otb_50-full?"),
        (("otb_50-full", "otb_50_003", 2), "has otb_50-full of seeds 0, 1, not of 2"),
        (("otb_50-full", "otb_50_003", 0, 7), "has otb_50-full at steps 1000, 2000, 3000, not at 7"),
        (("otb_50-full", "Bolt", 0), "sequence: otb_50-full has no 'Bolt'; expected one of otb_50_000, otb_50_001"),
    ],
)
def test_a_track_that_is_not_there_names_those_that_are(
    run: frames.RunFrames, arguments: tuple[str, str, int], message: str
) -> None:
    with pytest.raises(UserError) as error:
        run.track(*arguments)
    assert message in str(error.value)


def test_of_several_ways_to_assess_it_shows_the_newest_commands(tmp_path: Path) -> None:
    small = {"seeds": 1, "steps": (100,), "eval_sets": {"otb_50": 3}}
    first = madeup.write_run(tmp_path, **small)
    one = seqtrack.load_run(first.path).scores
    madeup.write_run(tmp_path, **small, skill=0.9, tracker_params={"scale_lr": 0.3})
    other = seqtrack.load_run(first.path).scores
    assert len(one) == len(other) and one["key"][0] != other["key"][0]
    assert (other["value"] > one["value"]).any()

    both = seqtrack.load_run(first.path, all_keys=True).scores
    assert set(both["key"]) == {one["key"][0], other["key"][0]} and len(both) == len(one) + len(other)

    # A command of which there is nothing yet: all there is, told apart by the key.
    last = json.loads(first.submissions.read_text().splitlines()[-1])
    last["assess"]["tracker_params"]["scale_lr"] = 0.1
    with first.submissions.open("a") as file:
        file.write(json.dumps(last) + "\n")
    everything = seqtrack.load_run(first.path).scores
    assert set(everything["key"]) == {one["key"][0], other["key"][0]}
    assert len(everything) == len(one) + len(other)


def test_a_real_run_can_be_read_and_reading_changes_nothing(finished: Workbench) -> None:
    before = tree_of(finished.cache)
    run = seqtrack.load_run(cache_dir=finished.cache)
    assert run.trials["state"].tolist() == ["done", "done"]
    assert set(run.trials["gpu"]) == {""} and (run.trials["cpu"] != "").all()
    assert run.config["batchsz"] == 4 and run.assess["eval_datasets"] == ["otb:sample_eval"]
    assert len(run.training) == 20 and run.scores["selected"].any() and len(run.sequences)
    assert tree_of(finished.cache) == before


def test_importing_seqtrack_does_not_import_pandas() -> None:
    code = (
        "import sys, seqtrack; before = 'pandas' in sys.modules; seqtrack.load_run; print(before, seqtrack.__all__)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False ['load_run']"


def test_a_run_is_called_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    folder = madeup.write_run(tmp_path, seeds=1, name="old")
    events.append(folder.submissions, {**(events.read_last(folder.submissions) or {}), "execution": {"name": "new"}})
    names = {asked: frames.load_run(asked, tmp_path).name for asked in ("old", "new", "latest", folder.run_id)}
    assert names == {"old": "old", "new": "new", "latest": "new", folder.run_id: "new"}
    with pytest.raises(TypeError, match="load_run: expected an id, a name or a path as text, got 3"):
        frames.load_run(3, tmp_path)  # type: ignore[arg-type]


def test_a_damaged_file_of_tracks_is_called_that(tmp_path: Path) -> None:
    run = frames.RunFrames(madeup.write_run(tmp_path, seeds=1))
    item = run.assessments[0]
    (item.path / "tracks.h5").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"tracks.h5: is damaged \(.*\): remove .* and give the command again"):
        run.track(item.eval_id, run.sequences["sequence"][0], item.seed, item.step)
