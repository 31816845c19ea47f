"""``seqtrack export_results``: from a run's finished assessments to result files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seqtrack.assessment import results
from seqtrack.reporting.frames import load_run
from seqtrack.runs.paths import RunFolder
from seqtrack.tools import cli
from seqtrack.tools.main import main
from tests import madeup


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    cache = tmp_path_factory.mktemp("cache")
    return madeup.write_run(
        cache, seeds=2, steps=(10, 20), eval_sets={"otb_50": 3, "lasot_test": 2}, frames=9, name="toy"
    )


def export(made: RunFolder, *words: str) -> int:
    return cli.run(main, ["export-results", "toy", f"--cache_dir={made.path.parent}", *words])


def test_every_seed_is_a_tracker_on_every_set(
    made: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(made, "--format=otb", f"--out={tmp_path}") == 0
    folders = [f"{tmp_path}/{d}/toy_seed{k}" for d in ("lasot_test", "otb_50") for k in (0, 1)]
    assert capsys.readouterr().out.splitlines() == folders
    (folder,) = (made.trial(1).path / "assess/otb_50-full").glob("step_00000020-*")
    track = results.load_track(folder, "otb_50_002")
    boxes = np.stack([track[column] for column in "xywh"], axis=1)
    written = np.loadtxt(tmp_path / "otb_50/toy_seed1/otb_50_002.txt", delimiter=",")
    assert np.array_equal(written, boxes + np.array([1, 1, 0, 0]))
    assert export(made, "--format=otb", f"--out={tmp_path}") == 0
    assert capsys.readouterr().out.splitlines() == [f"{folder} (was there)" for folder in folders]


def test_another_step_is_other_results(made: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--format=lasot", f"--out={tmp_path}", "--seed", "0", "--eval_set", "lasot_test-full"]
    assert export(made, *words) == 0
    assert export(made, *words, "--step=10") == 2
    assert "is there with other results; replace it with --overwrite" in capsys.readouterr().err
    assert export(made, *words, "--step=10", "--overwrite") == 0
    (folder,) = (made.trial(0).path / "assess/lasot_test-full").glob("step_00000010-*")
    track = results.load_track(folder, "lasot_test_000")
    written = np.loadtxt(tmp_path / "lasot_test/toy_seed0/lasot_test_000.txt", delimiter=",")
    assert np.array_equal(written[:, 0], track["x"])


def test_pytracking_has_all_sets_in_one_folder(made: RunFolder, tmp_path: Path) -> None:
    assert export(made, "--format=pytracking", f"--out={tmp_path}", "--seed", "1", "--name=SiamFC") == 0
    files = sorted(path.name for path in (tmp_path / "SiamFC/default_001").glob("*.txt") if "_time" not in path.name)
    assert files == [
        f"{name}.txt" for name in ("lasot_test_000", "lasot_test_001", "otb_50_000", "otb_50_001", "otb_50_002")
    ]


def test_zips_for_a_server(made: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--format=got10k", "--zip", f"--out={tmp_path}", "--eval_set", "lasot_test-full", "--seed", "0"]
    assert export(made, *words) == 0
    assert capsys.readouterr().out == f"{tmp_path}/LaSOT/toy_seed0.zip\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--eval_set", "otb50-full"],
            "--eval_set: run {id} has no results of 'otb50-full'; did you mean otb_50-full?",
        ),
        (["--seed", "7"], "--seed: run {id} has no results of seed 7; there are 0, 1"),
        (["--step=30"], "--step 30: seed 0 has no lasot_test-full there; there are 10, 20"),
        (["--name=a/b"], "--name: 'a/b': expected letters, digits"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    made: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert export(made, "--format=otb", f"--out={tmp_path}", *words) == 2
    assert capsys.readouterr().err.startswith(f"error: {message.format(id=made.run_id)}")
    assert list(tmp_path.iterdir()) == []


def test_sets_that_the_format_has_no_place_for_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = {"eval_sets": {"otb_50": 2}, "seeds": 1, "steps": (10,), "frames": 9}
    both = madeup.write_run(tmp_path, **sets, eval_samplers=["full", "sampling"])
    assert cli.run(main, ["export_results", str(both.path), "--format=otb", f"--out={tmp_path}/out"]) == 0
    said = capsys.readouterr()
    assert said.err == "note: otb has no place for otb_50-sampling, so left out\n"
    assert said.out == f"{tmp_path}/out/otb_50/{both.run_id}_seed0\n"
    clips = madeup.write_run(tmp_path / "clips", **sets, eval_samplers=["sampling"])
    assert cli.run(main, ["export_results", str(clips.path), "--format=otb", f"--out={tmp_path}/none"]) == 2
    assert "has only otb_50-sampling; it takes whole sequences" in capsys.readouterr().err


def test_a_set_that_was_assessed_later_is_known_by_what_its_assessment_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a flag called it: a folder of one's own in OTB's layout counts pixels from 1; a list that is gone."""
    run = madeup.write_run(tmp_path / "cache", seeds=1, steps=(10,), eval_sets={"tlp": 1}, frames=9)
    (tmp_path / "few.txt").write_text("part_000\n")
    madeup.assess_later(run, {"otb:toy2": 2, f"otb:part@{tmp_path}/few.txt": 1}, seeds=[0])
    (tmp_path / "few.txt").unlink()
    assert cli.run(main, ["export_results", str(run.path), "--format=otb", f"--out={tmp_path}/out"]) == 0
    frames = load_run(run.path)
    restricted = next(item.eval_id for item in frames.assessments if "@" in item.eval_id)
    assert (str(frames.dataset_name("toy2-full")), str(frames.dataset_name("tlp-full"))) == ("otb:toy2", "tlp")
    assert frames.dataset_name(restricted).label + "-full" == restricted
    assert len(capsys.readouterr().out.splitlines()) == 3
    box = frames.track("toy2-full", "toy2_001", 0).loc[3, ["x", "y", "w", "h"]].to_numpy(float)
    written = np.loadtxt(tmp_path / f"out/toy2/{run.run_id}_seed0/toy2_001.txt", delimiter=",")
    assert np.array_equal(written[3], box + np.array([1, 1, 0, 0]))


def test_what_an_earlier_command_measured_in_another_way_is_found_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``assess`` of two sets, then of one of them with other settings: the newest is what an eval id means."""
    run = madeup.write_run(tmp_path / "cache", seeds=1, steps=(10,), eval_sets={"tlp": 2, "trackingnet_test": 2})
    again = madeup.write_run(tmp_path / "cache", seeds=1, steps=(10,), eval_sets={"tlp": 2}, eval_repeats=2)
    assert again.path == run.path

    def exported(*words: str) -> tuple[list[str], str]:
        command = ["export_results", str(run.path), "--format=otb", f"--out={tmp_path}/out", "--name=own", *words]
        code = cli.run(main, command)
        out, err = capsys.readouterr()
        assert (code == 0) == (not err)
        return [line.removeprefix(f"{tmp_path}/out/") for line in out.splitlines()], err

    for name in ("trackingnet_test-full", "trackingnet_test", "trackingnet_test-full (eval_repeats as by default)"):
        folders, _ = exported("--eval_set", name)
        assert [folder.partition(" ")[0] for folder in folders] == ["trackingnet_test/own_seed0"]
    assert exported()[0] == ["tlp/own_seed0", "trackingnet_test/own_seed0 (was there)"]
    assert exported("--eval_set", "tlp")[0] == ["tlp/own_seed0 (was there)"]
    assert exported("--eval_set", "tlp-full (eval_repeats as by default)", "--out", f"{tmp_path}/first")[0] == [
        f"{tmp_path}/first/tlp/own_seed0"
    ]
    assert exported("--eval_set", "tlp-ful")[1] == (
        f"error: --eval_set: run {run.run_id} has no results of 'tlp-ful'; did you mean tlp-full? (there are"
        " tlp-full, tlp-full (eval_repeats as by default), trackingnet_test-full (eval_repeats as by default))\n"
    )


def test_a_set_that_only_has_other_ways_is_left_out_unless_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = madeup.write_run(tmp_path / "cache", seeds=1, steps=(10,), eval_sets={"tlp": 1}, frames=9, name="own")
    for starts in (2, 3):
        madeup.assess_later(run, {"otb:toy": 1}, seeds=[0], frames=9, eval_tre_num=starts)
    several = (
        "toy-full was assessed in 2 ways; give one by name: toy-full (eval_tre_num 2), toy-full (eval_tre_num 3)\n"
    )
    words = ["export_results", str(run.path), "--format=otb", f"--out={tmp_path}"]
    assert cli.run(main, words) == 0
    assert capsys.readouterr() == (f"{tmp_path}/tlp/own_seed0\n", f"note: left out: {several}")
    assert cli.run(main, [*words, "--eval_set", "toy"]) == 2
    assert capsys.readouterr() == ("", f"error: --eval_set: {several}")


def test_a_run_that_is_not_assessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = madeup.write_run(tmp_path, seeds=1, steps=(10,), eval_sets={"otb_50": 1}, unfinished=[0])
    assert cli.run(main, ["export_results", str(run.path), "--format=otb", f"--out={tmp_path}/out"]) == 2
    expected = f"error: run {run.run_id} has no finished assessment; see seqtrack status {run.run_id}\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("format", ["otb", "got10k", "pytracking", "vot"])
def test_exported_results_score_as_the_run_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    sets = {"dtb70": 3, "tlp": 2}  # one counts pixels from 1, the other from 0
    run = madeup.write_run(tmp_path / "cache", seeds=2, steps=(10, 20), eval_sets=sets, frames=30, name="toy")
    words = ["export_results", "toy", f"--cache_dir={tmp_path}/cache", f"--format={format}", f"--out={tmp_path}/out"]
    assert cli.run(main, words) == 0
    scores = load_run(run.path).scores
    for dataset, count in sets.items():
        first = 1.0 if dataset == "dtb70" else 0.0
        folders = {"pytracking": "toy", "got10k": {"dtb70": "DTB70", "tlp": "tlp"}[dataset]}
        for name in [f"{dataset}_{k:03d}" for k in range(count)]:
            (tmp_path / dataset).mkdir(exist_ok=True)
            truth = madeup.truth_of(name, 30) + np.array([first, first, 0, 0])
            (tmp_path / f"{dataset}/{name}.txt").write_text(
                "\n".join(",".join(map(repr, row)) for row in truth.tolist())
            )
        rows = scores[(scores["dataset"] == dataset) & scores["selected"]]
        capsys.readouterr()
        words = [f"--benchmark={dataset}", f"--annotations={tmp_path}/{dataset}"]
        words += [f"--convention={rows['convention'].iloc[0]}", "--json"]
        for seed in (0, 1):
            folder = tmp_path / "out" / folders.get(format, dataset)
            folder /= f"default_{seed:03d}" if format == "pytracking" else f"toy_seed{seed}"
            assert cli.run(main, ["score", str(folder), *words]) == 0
            found = json.loads(capsys.readouterr().out)
            expected = rows[rows["seed"] == seed].set_index("metric")["value"]
            assert len(expected) >= 6
            for metric, value in expected.items():
                assert found[str(metric).lower()] == pytest.approx(value, abs=1e-6), (dataset, metric)
