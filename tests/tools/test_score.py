"""``seqtrack score``: the field's toolkits' own numbers for real result files, and what is said of mistakes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqtrack.tools import cli
from seqtrack.tools.main import main

AGREES = 1e-6
# What other toolkits call our metrics.
OURS = {
    "success_score": "auc", "success_auc": "auc", "precision_score": "precision_20", "precision_20": "precision_20",
    "normalized_precision_score": "norm_precision", "norm_precision_020": "norm_precision",
    "success_rate": "success_50", "success_rate_050": "success_50", "avg_overlap_valid": "mean_iou",
    "eao": "eao", "eao_mean_100_356": "eao", "accuracy": "accuracy", "robustness": "robustness",
    "failures_weighted_mean": "robustness", "lost_number": "failures", "total_failures": "failures",
    "failures": "failures",
}  # fmt: skip


def score(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert cli.run(main, ["score", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def mistake(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.run(main, ["score", *map(str, words)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err.removeprefix("error: ").rstrip()


def disagreements(found: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Every number of the reference, overall and per sequence, that is not ours."""
    pairs = [("", found, reference["overall"])]
    pairs += [(name, found["per_sequence"][name], values) for name, values in reference["per_sequence"].items()]
    wrong = []
    for name, ours, theirs in pairs:
        known = {key: value for key, value in theirs.items() if key in OURS}
        assert known
        for key, value in known.items():
            mine = ours[OURS[key]]
            same = mine is not None and abs(mine - value) <= AGREES
            wrong += [] if same else [f"{name} {key}: {mine} for {value}"]
    return wrong


@pytest.mark.parametrize("convention", ["got10k", "pysot", "pytracking"])
def test_otb_100_as_three_toolkits_score_it(
    shared: Path, capsys: pytest.CaptureFixture[str], convention: str
) -> None:
    folder = shared / "results/otb100"
    reference = json.loads((shared / "results/reference_scores.json").read_text())["otb100"]
    found = score(
        capsys,
        folder / "trackers",
        "--benchmark=otb_100",
        f"--annotations={folder}/anno",
        f"--convention={convention}",
    )
    assert list(found) == ["KCF", "SiamFC-3s", "Staple"]
    for tracker, values in found.items():
        assert (values["num_sequences"], values["convention"]) == (100, convention)
        assert disagreements(values, reference[tracker][convention]) == []


def test_otb_100_by_its_own_rules_is_what_the_literature_prints(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "results/otb100"
    found = score(capsys, folder / "trackers", "--benchmark=otb_100", f"--annotations={folder}/anno")
    printed = {name: (round(values["auc"], 3), round(values["precision_20"], 2)) for name, values in found.items()}
    assert printed == {"KCF": (0.477, 0.70), "SiamFC-3s": (0.582, 0.77), "Staple": (0.581, 0.78)}
    assert found["KCF"]["convention"] == "otb" and found["KCF"]["num_frames"] == 59_035


@pytest.mark.parametrize("convention", ["got10k", "pysot", "pytracking"])
def test_uav123(shared: Path, capsys: pytest.CaptureFixture[str], convention: str) -> None:
    folder = shared / "results/uav123"
    reference = json.loads((shared / "results/reference_scores.json").read_text())["uav123"]["SiamFC"]
    words = ["--benchmark=uav123", f"--annotations={folder}/anno", f"--convention={convention}"]
    assert disagreements(score(capsys, folder / "trackers/SiamFC", *words), reference[convention]) == []


@pytest.mark.parametrize(
    ("convention", "reference"),
    [
        ("got10k", "got10k_ExperimentLaSOT"),
        ("pysot", "pysot_absent_removed"),
        ("pysot_all_frames", "pysot_all_frames"),
        ("pytracking", "pytracking"),
    ],
)
def test_lasot_with_absent_frames_both_ways(
    shared: Path, capsys: pytest.CaptureFixture[str], convention: str, reference: str
) -> None:
    folder = shared / "results/lasot"
    theirs = json.loads((shared / "results/reference_scores.json").read_text())["lasot_test"]["SiamFC"][reference]
    words = ["--benchmark=lasot_test", f"--annotations={folder}/anno", f"--convention={convention}"]
    assert disagreements(score(capsys, folder / "trackers", *words), theirs) == []


@pytest.mark.parametrize(("convention", "reference"), [("pysot", "pysot"), ("vot", "vot_toolkit_0.9.0")])
def test_vot2018(shared: Path, capsys: pytest.CaptureFixture[str], convention: str, reference: str) -> None:
    folder = shared / "results/vot2018"
    theirs = json.loads((shared / "results/reference_scores.json").read_text())["vot2018"]["NanoTrack"][reference]
    words = ["--benchmark=vot2018", f"--annotations={folder}/VOT2018.json", f"--convention={convention}"]
    found = score(capsys, folder / "trackers/NanoTrack", *words)
    assert disagreements(found, theirs) == []
    assert (found["protocol"], found["layout"], found["tracker"]) == ("supervised", "vot", "NanoTrack")
    assert {"occlusion", "camera_motion", "empty"} <= found["by_tag"].keys()


def test_tags_for_people_and_failures_as_whole_numbers(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "results/vot2018"
    words = ["--benchmark=vot2018", f"--annotations={folder}/VOT2018.json"]
    found = score(capsys, folder / "trackers/NanoTrack", *words)
    assert cli.run(main, ["score", f"{folder}/trackers/NanoTrack", *words, "--by_tag"]) == 0
    whole, _, tags = capsys.readouterr().out.partition("NanoTrack: by tag\n")
    rows = {line.split()[0]: line.split()[1:] for line in tags.splitlines() if "─" not in line}
    assert list(rows) == ["tag", *found["by_tag"]]
    for tag, values in found["by_tag"].items():
        shown = [f"{values[metric]:.3f}" for metric in ("eao", "accuracy", "robustness")]
        assert rows[tag] == [*shown, f"{values['failures']:.0f}"]
    (line,) = (line.split() for line in whole.splitlines() if line.startswith("NanoTrack "))
    assert line[-1] == f"{found['failures']:.0f}"


def test_a_table_for_people(shared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = shared / "results/otb100"
    words = ["--benchmark=otb_cvpr13", f"--annotations={folder}/anno", f"--csv={tmp_path}/all.csv"]
    assert cli.run(main, ["score", f"{folder}/trackers/Staple", f"{folder}/trackers/KCF", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "otb_cvpr13: 51 sequences, 29,486 frames"
    assert lines[1].startswith("convention otb: OTB: the first prediction is overwritten with the truth")
    assert [line.split()[0] for line in lines if line.startswith(("tracker", "Staple", "KCF"))] == [
        "tracker", "Staple", "KCF",
    ]  # fmt: skip
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["tracker"] for row in rows] == ["Staple"] * 51 + ["KCF"] * 51
    assert cli.run(main, ["score", f"{folder}/trackers/KCF", *words[:2]]) == 0
    worst = capsys.readouterr().out.partition("KCF: the worst sequences\n")[2].splitlines()
    lowest = sorted((float(row["AUC"]), row["sequence"]) for row in rows[51:])[:5]
    assert [line.split()[0] for line in worst[2:]] == [name for _, name in lowest]
    assert cli.run(main, ["score", f"{folder}/trackers/KCF", *words[:2], "--per_sequence"]) == 0
    every = capsys.readouterr().out.partition("KCF: all sequences\n")[2].splitlines()
    assert [line.split()[0] for line in every[2:]] == [row["sequence"] for row in rows[:51]]


def test_without_a_benchmark_it_says_what_the_files_look_like(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mistake(capsys, shared / "results/otb100/trackers/SiamFC-3s") == (
        "--benchmark: of which benchmark are these results? they look like otb_100 (100 of its 100 sequences are"
        " there; all of otb_cvpr13, otb_50 is there too): --benchmark otb_100"
    )
    assert mistake(capsys, shared / "results/uav123/trackers").endswith("--benchmark uav123")
    assert "they lie as VOT's do" in mistake(capsys, shared / "results/vot2018/trackers")


def test_misspelt_names_give_the_nearest(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = shared / "results/otb100/trackers/KCF"
    anno = f"--annotations={shared}/results/otb100/anno"
    assert "did you mean otb_100?" in mistake(capsys, files, "--benchmark=otb100", anno)
    assert "did you mean pysot?" in mistake(capsys, files, "--benchmark=otb_100", "--convention=pysott", anno)
    said = mistake(capsys, files, "--benchmark=uav123", f"--annotations={shared}/results/uav123/anno")
    assert said.endswith("they look like otb_100: give --benchmark otb_100")


def test_a_data_set_that_is_not_here(
    shared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    files = shared / "results/otb100/trackers/KCF"
    said = mistake(capsys, files, "--benchmark=otb_100")
    assert said.startswith("data set otb_100 is not here: give its --annotations (a folder of {seq}.txt, or pysot's")
    assert "its labels are not public" in mistake(capsys, files, "--benchmark=got10k_test")
    found = score(capsys, files, "--benchmark=otb:five", "--data_paths", f"five={shared}/data/otb")
    assert list(found["per_sequence"]) == ["Couple", "Crossing", "David", "Football1", "Skiing"]
    alone = score(capsys, files, "--benchmark=otb_100", f"--annotations={shared}/results/otb100/anno")
    assert found["per_sequence"]["David"] == alone["per_sequence"]["David"]


def test_sequences_without_results_may_count_as_failures(
    shared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(shared / "results/otb100/trackers/KCF", tmp_path / "KCF")
    for name in ("Biker", "Woman"):
        (tmp_path / f"KCF/{name}.txt").unlink()
    words = [tmp_path / "KCF", "--benchmark=otb_100", f"--annotations={shared}/results/otb100/anno"]
    assert "2 of the 100 sequences of otb_100 have no results (Biker, Woman)" in mistake(capsys, *words)
    found = score(capsys, *words, "--allow_missing", "--convention=pysot")
    assert found["missing"] == ["Biker", "Woman"] and found["per_sequence"]["Woman"]["auc"] == 0
    whole = score(capsys, shared / "results/otb100/trackers/KCF", *words[1:], "--convention=pysot")
    lost = sum(whole["per_sequence"][name]["auc"] for name in ("Biker", "Woman")) / 100
    assert found["auc"] == pytest.approx(whole["auc"] - lost, abs=1e-12)


def test_folders_of_several_benchmarks(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--benchmark=uav123", f"--annotations={shared}/results/uav123/anno", "--json"]
    both = [f"{shared}/results/otb100/trackers/KCF", f"{shared}/results/uav123/trackers/SiamFC"]
    assert cli.run(main, ["score", *both, *words]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["tracker"] == "SiamFC"
    assert said.err == f"note: of another benchmark, so left out: {both[0]}\n"
