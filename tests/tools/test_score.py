"""``seqtrack score``: the field's toolkits' own numbers for real result files, and what is said of mistakes."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seqtrack.tools import cli
from seqtrack.tools.main import main
from seqtrack.tools.score_tables import fitted

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
    said = mistake(capsys, shared / "results/vot2018/trackers")
    assert said.endswith("they are on the sequences of vot2017 and vot2018: --benchmark vot2018")


def test_misspelt_names_give_the_nearest(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = shared / "results/otb100/trackers/KCF"
    anno = f"--annotations={shared}/results/otb100/anno"
    assert "did you mean otb_100?" in mistake(capsys, files, "--benchmark=otb100", anno)
    assert "did you mean pysot?" in mistake(capsys, files, "--benchmark=otb_100", "--convention=pysott", anno)
    for short, longer in {"LaSOT": "lasot_test", "uav": "uav123 or uav20l", "nfs": "nfs_30 or nfs_240"}.items():
        expected = f"--benchmark: {short!r} is not known; did you mean {longer}?"
        assert mistake(capsys, files, f"--benchmark={short}", anno) == expected
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


def test_one_message_names_what_is_missing_and_what_is_short_of_all_trackers(
    shared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    truth = tmp_path / "anno"
    truth.mkdir()
    for name, rows in {"Biker": 4, "Bolt": 6, "Woman": 5}.items():
        (truth / f"{name}.txt").write_text("1,2,30,40\n" * rows)
    for tracker in ("A", "B", "C"):
        shutil.copytree(truth, tmp_path / "trackers" / tracker)
    a, b, c = (tmp_path / "trackers" / tracker for tracker in ("A", "B", "C"))
    (a / "Biker.txt").unlink()
    (a / "Woman.txt").write_text("1,2,30,40\n" * 3)
    (b / "Bolt.txt").unlink()
    words = [tmp_path / "trackers", "--benchmark=otb:three", f"--annotations={truth}"]
    assert mistake(capsys, *words) == (
        f"{a}: 1 of the 3 sequences of otb:three has no results (Biker); add them, or count them as failures with"
        " --allow_missing; 1 result file does not fit otb:three (A/Woman.txt has 3 rows for 5 frames); mend it, or"
        f" count rows that are missing as failures with --allow_short; {b}: 1 of the 3 sequences of otb:three has"
        " no results (Bolt); add them, or count them as failures with --allow_missing"
    )
    assert " no results" not in mistake(capsys, *words, "--allow_missing")
    assert "Woman.txt" not in mistake(capsys, *words, "--allow_short")
    assert list(score(capsys, *words, "--allow_missing", "--allow_short")) == ["A", "B", "C"]


def test_the_truth_below_the_results_is_no_tracker(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "results/otb100"
    words = [str(folder), "--benchmark=otb_50", f"--annotations={folder}/anno", "--json"]
    assert cli.run(main, ["score", *words]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)) == ["KCF", "SiamFC-3s", "Staple"]
    assert said.err == f"note: {folder}/anno is the truth and no tracker; found are KCF, SiamFC-3s, Staple\n"


def test_annotations_of_another_year(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "results/vot2018"
    words = [folder / "trackers", f"--annotations={folder}/VOT2018.json"]
    said = mistake(capsys, *words, "--benchmark=vot2019")
    assert (
        said.startswith("--benchmark vot2019: the sequences of ") and "VOT2018.json are those of vot2017 and" in said
    )
    assert mistake(capsys, *words, "--benchmark=vot2018", "--allow_short").startswith(
        "--allow_short: of VOT's superv"
    )


@pytest.mark.parametrize("convention", ["pysot", "vot"])
def test_a_missing_sequence_of_vot_never_pays(
    shared: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, convention: str
) -> None:
    folder = shared / "results/vot2018"
    truth = json.loads((folder / "VOT2018.json").read_text())
    few = {name: truth[name] for name in ("ants1", "fish1", "hand")}  # two that NanoTrack fails on, one it does not
    (tmp_path / "few.json").write_text(json.dumps(few))
    for name in few:
        shutil.copytree(folder / f"trackers/NanoTrack/baseline/{name}", tmp_path / f"T/baseline/{name}")
    words = [
        tmp_path / "T",
        "--benchmark=vot2018",
        f"--annotations={tmp_path}/few.json",
        f"--convention={convention}",
    ]
    whole = score(capsys, *words)
    for name in few:
        (tmp_path / f"T/baseline/{name}").rename(tmp_path / name)
        less = score(capsys, *words, "--allow_missing")
        (tmp_path / name).rename(tmp_path / f"T/baseline/{name}")
        assert less["missing"] == [name] and less["per_sequence"][name]["accuracy"] == 0
        assert less["per_sequence"][name]["failures"] == -(-(len(few[name]["gt_rect"]) - 1) // 6)
        assert less["eao"] < whole["eao"] and less["accuracy"] < whole["accuracy"]
        assert less["robustness"] > whole["robustness"] and less["failures"] > whole["failures"]


@pytest.mark.parametrize("convention", ["pysot", "vot"])
def test_a_missing_sequence_of_long_term_never_pays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, convention: str
) -> None:
    words = [tmp_path / "T", "--benchmark=vot2018_longterm", f"--annotations={tmp_path}/anno"]
    truth = "10,10,20,20\n" * 3 + "nan,nan,nan,nan\n"
    (tmp_path / "anno").mkdir()
    for name, row in {"a": "10,10,20,20", "b": "10,12,20,20", "bad": "90,90,9,9"}.items():
        (tmp_path / f"anno/{name}.txt").write_text(truth)
        folder = tmp_path / f"T/longterm/{name}"
        folder.mkdir(parents=True)
        (folder / f"{name}_001.txt").write_text("1\n" + f"{row}\n" * 3)
        (folder / f"{name}_001_confidence.value").write_text("\n0.9\n0.8\n0.1\n")
    whole = score(capsys, *words, f"--convention={convention}")
    for name in ("b", "bad"):
        (tmp_path / f"T/longterm/{name}").rename(tmp_path / name)
        less = score(capsys, *words, f"--convention={convention}", "--allow_missing")
        assert less["per_sequence"][name]["f_score"] == 0
        assert all(less[m] <= whole[m] for m in ("f_score", "lt_recall"))
        (tmp_path / name).rename(tmp_path / f"T/longterm/{name}")


def test_a_narrow_screen_cuts_no_name_and_no_number() -> None:
    columns = {
        "sequence": ["a", "Jogging-1"],
        **{name: ["0.123", "-"] for name in ("success_50", "success_75", "AUC")},
    }
    assert fitted(columns, 80) == [
        "sequence   success_50  success_75    AUC",
        "─" * 40,
        "a               0.123       0.123  0.123",
        "Jogging-1           -           -      -",
    ]
    assert fitted(columns, 39)[:2] == ["           success_  success_", "sequence         50        75    AUC"]
    assert fitted(columns, 30)[1] == "sequence         50        75"
    assert fitted(columns, 30)[-1] == "(too narrow for AUC; --csv and --json have all)"


def test_output_that_cannot_be_written_is_one_line(shared: Path) -> None:
    folder = shared / "results/otb100"
    words = [f"{folder}/trackers/KCF", "--benchmark=otb_100", f"--annotations={folder}/anno"]
    for extra in (["--json"], []):
        with Path("/dev/full").open("w") as full:
            code = "import sys; from seqtrack.tools.main import console; console()"
            answer = subprocess.run(
                [sys.executable, "-c", code, "score", *words, *extra], stdout=full, stderr=subprocess.PIPE, text=True
            )
        expected = "error: cannot write standard output (No space left on device); make room\n"
        assert (answer.returncode, answer.stderr) == (1, expected)


def test_folders_of_several_benchmarks(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--benchmark=uav123", f"--annotations={shared}/results/uav123/anno", "--json"]
    both = [f"{shared}/results/otb100/trackers/KCF", f"{shared}/results/uav123/trackers/SiamFC"]
    assert cli.run(main, ["score", *both, *words]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["tracker"] == "SiamFC"
    assert said.err == f"note: of another benchmark, so left out: {both[0]}\n"
