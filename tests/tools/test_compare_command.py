"""``seqtrack compare``: the table, what else differs, and what is refused, on made-up runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import seqtrack
from seqtrack.assessment import results
from seqtrack.assessment.comparison import compare
from seqtrack.reporting.run_comparison import reported
from seqtrack.tools import cli
from seqtrack.tools.compare import main
from tests import madeup
from tests.workbench import tree_of

SETS = {"otb_50": 16, "uav123": 6}
ONE_STEP = {"steps": (100,), "frames": 12}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs by name; what each differs in from ``base`` is said here. Not to be changed."""
    folder = tmp_path_factory.mktemp("cache")

    def make(name: str, sets: dict[str, int] = SETS, **flags: Any) -> None:
        madeup.write_run(folder, name=name, eval_sets=sets, **{"seeds": 3, **ONE_STEP, **flags})

    make("base")
    make("better", lr_init=0.01, skill=0.8)
    make("alike", optimizer_params={"betas": [0.8, 0.999]}, skill=0.51)
    make("single", batchsz=16, seeds=1, sets={"otb_50": 16, "lasot_test": 2})
    make(
        "much", lr_init=0.04, tracker_params={"scale_lr": 0.3}, model_params={"context": 0.25},
        code={"seqtrack/training/loop.py": "4" * 64}, data={"index": "9" * 64, "frames": "3" * 64},
    )  # fmt: skip
    make("fewer", variant="fewer", seeds=1, sets={"otb_50": 6})
    make("other", variant="other", seeds=1, sets={"dtb70": 2})
    make("unfinished", variant="unfinished", seeds=1, unfinished=(0,))
    return folder


@pytest.fixture
def told(cache: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Gives a command and answers its exit code, lines of output, and line of error."""

    def give(*words: str, where: Path = cache) -> tuple[int, list[str], str]:
        code = cli.run(main, [*words, f"--cache_dir={where}"])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.strip()

    return give


@pytest.fixture(autouse=True)
def in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def answer(told: Any) -> Any:
    def give(*words: str, **options: Any) -> dict[str, Any]:
        code, out, err = told(*words, "--json", **options)
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads("\n".join(out))
        return found

    return give


def test_the_table_says_which_is_better(told: Any) -> None:
    code, lines, _ = told("base", "better", "--differs_in", "lr_init")
    assert code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if line.startswith(("otb_50", "uav123"))]
    assert [row[:2] for row in rows] == [["otb_50-full", "AUC"], ["uav123-full", "AUC"]]
    assert [row[-1] for row in rows] == ["B is better", "B is better"]
    assert not [line for line in lines if line.startswith("warning")]
    assert "convention: otb (otb_50-full, uav123-full)" in lines
    assert any(re.fullmatch(r"lr_init +0\.001 +0\.01 *", line) for line in lines)
    assert any(line.startswith("mind: A has 3 and B has 3 trials") for line in lines)


def test_swapped_it_says_the_opposite_and_of_like_runs_nothing(answer: Any) -> None:
    one, other = answer("base", "better")["comparisons"][0], answer("better", "base")["comparisons"][0]
    assert (one["verdict"], other["verdict"]) == ("B is better", "A is better")
    assert one["difference"] == -other["difference"]
    assert one["interval_95"] == pytest.approx([-x for x in reversed(other["interval_95"])], abs=1e-12)
    assert answer("base", "alike", "--eval_set=uav123")["comparisons"][0]["verdict"] == "cannot tell them apart"


def test_numbers_are_those_of_the_summaries_and_of_the_bootstrap(answer: Any, cache: Path) -> None:
    a, b = (seqtrack.load_run(name, cache) for name in ("base", "better"))
    for row in answer("base", "better", "--metric", "auc", "precision_20")["comparisons"]:
        for side, run in (("a", a), ("b", b)):
            told = run.summary["results"][row["eval_set"]][row["metric"]]
            assert row[side] == pytest.approx(told["mean"], abs=1e-12) and row[f"trials_{side}"] == told["n"]
        loaded = [
            {item.seed: results.load_scores(item.path)[row["metric"]] for item in run[row["eval_set"]].items}
            for run in reported([a, b])
        ]
        names = list(
            dict.fromkeys(r.name for r in results.load_sequences(reported([a])[0][row["eval_set"]].items[0].path))
        )
        found = compare(*loaded, names)
        assert row["interval_95"] == list(found.interval) and row["share_b_better"] == found.share_b
        assert row["difference"] == pytest.approx(row["b"] - row["a"])
        assert row["num_sequences"] == SETS[row["eval_set"].removesuffix("-full")] == len(row["per_sequence"])
        first = names[0]
        rows = a.sequences[(a.sequences["sequence"] == first) & (a.sequences["metric"] == row["metric"])]
        assert row["per_sequence"][first][0] == pytest.approx(rows["value"].mean(), abs=1e-12)


def test_every_protocol_by_its_own_score(answer: Any, tmp_path: Path) -> None:
    sets = {"got10k_val": 4, "vot2018": 4, "vot2018_longterm": 3}
    for name, flags in (("weak", {"skill": 0.2}), ("strong", {"skill": 0.9, "lr_init": 0.01})):
        madeup.write_run(
            tmp_path,
            name=name,
            seeds=1,
            steps=(100,),
            frames=110,
            eval_sets=sets,
            eval_samplers=["benchmark"],
            **flags,
        )
    rows = {(row["eval_set"], row["metric"]): row for row in answer("weak", "strong", where=tmp_path)["comparisons"]}
    assert set(rows) == {
        ("got10k_val-full", "AO"), ("vot2018-supervised", "EAO"), ("vot2018_longterm-longterm", "F_score"),
    }  # fmt: skip
    run = seqtrack.load_run("strong", tmp_path)
    for (eval_id, metric), row in rows.items():
        assert row["b"] == run.summary["results"][eval_id][metric]["mean"] > row["a"]
        assert row["interval_95"][0] <= row["difference"] <= row["interval_95"][1]
    (failures,) = answer("weak", "strong", "--metric=failures", where=tmp_path)["comparisons"]
    assert failures["a"] > failures["b"] and not failures["higher_is_better"]
    assert failures["share_b_better"] > failures["share_a_better"]
    assert failures["sequences_won_by_b"] > failures["sequences_won_by_a"]


def test_sets_are_named_in_full_or_by_data_set(answer: Any) -> None:
    for name in ("otb_50", "otb_50-full"):
        assert [row["eval_set"] for row in answer("base", "better", f"--eval_set={name}")["comparisons"]] == [
            "otb_50-full"
        ]


def test_one_trial_and_sets_that_only_one_has_are_said(answer: Any) -> None:
    found = answer("base", "single")
    assert [row["eval_set"] for row in found["comparisons"]] == ["otb_50-full"]
    assert found["comparisons"][0]["caveats"][0] == (
        "B has one trial, so only sequences were resampled: how much seeds matter is not in it"
    )
    assert found["notes"][:2] == [
        "only base was assessed on uav123-full", "only single was assessed on lasot_test-full",
    ]  # fmt: skip


def test_a_set_without_truth_is_passed_over_unless_it_is_named(
    answer: Any, told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth_of = madeup.truth_of

    def hidden(name: str, frames: int) -> Any:
        boxes = truth_of(name, frames)
        boxes[1:] = np.nan if name.startswith("got10k_test") else boxes[1:]
        return boxes

    monkeypatch.setattr(madeup, "truth_of", hidden)
    for name, flags in (("one", {}), ("two", {"lr_init": 0.01})):
        madeup.write_run(tmp_path, name=name, seeds=1, eval_sets={"otb_50": 3, "got10k_test": 2}, **ONE_STEP, **flags)
    found = answer("one", "two", where=tmp_path)
    assert [row["eval_set"] for row in found["comparisons"]] == ["otb_50-full"]
    assert "got10k_test-full was tracked, but not scored: its truth is on a server" in found["notes"]
    code, _, err = told("one", "two", "--eval_set=got10k_test", where=tmp_path)
    assert code == 2 and "got10k_test-full: AO cannot be compared: the metric has no value" in err


def test_what_was_assessed_later_is_compared_too_like_with_like(answer: Any, told: Any, tmp_path: Path) -> None:
    """A set of its own, the same set by other rules, and rules of which one run has two, the other one."""
    flags = {"seeds": 2, "eval_sets": {"uav123": 4}, **ONE_STEP}
    one = madeup.write_run(tmp_path, name="one", **flags)
    two = madeup.write_run(tmp_path, name="two", lr_init=0.01, eval_convention="pysot", **flags)
    for run in (one, two):
        madeup.assess_later(run, {"otb:toy": 3}, seeds=[0, 1], eval_convention="otb")
    code, _, err = told("one", "two", where=tmp_path)
    assert code == 2 and "uav123-full: one was scored by the convention otb, two by pysot: assess one of them" in err
    for run, convention in ((one, "pysot"), (two, "otb")):
        madeup.assess_later(run, {"otb:apart": 2}, seeds=[0], eval_convention=convention)
    assert told("one", "two", "--eval_set=apart", where=tmp_path)[2] == (
        "error: --eval_set: 'apart': only one was assessed on apart-full; only two was assessed on apart-full (otb)"
    )
    madeup.assess_later(two, {"uav123": 4}, seeds=[0], frames=12, eval_convention="otb")
    found = answer("one", "two", where=tmp_path)
    assert [(row["eval_set"], row["convention"], row["trials_b"]) for row in found["comparisons"]] == [
        ("toy-full", "otb", 2), ("uav123-full", "otb", 1),
    ]  # fmt: skip
    later = "assessed later by seqtrack assess (or by an earlier command), not in the run's summary"
    assert found["notes"][:5] == [
        "only one was assessed on apart-full",
        "only two was assessed on apart-full (otb), uav123-full (pysot)",
        f"one: toy-full: {later}",
        f"two: toy-full: {later}",
        f"two: uav123-full: {later}; 1 of 2 trials have it; checkpoints were selected on these videos",
    ]
    madeup.assess_later(one, {"uav123": 4}, seeds=[0, 1], frames=12, eval_convention="pysot")
    found = answer("one", "two", "--eval_set=uav123", where=tmp_path)
    assert [row["eval_set"] for row in found["comparisons"]] == ["uav123-full", "uav123-full (pysot)"]
    told("one", "two", "--eval_set=uav123", f"--out={tmp_path / 'x.svg'}", where=tmp_path)
    assert {path.name for path in tmp_path.glob("*.svg")} == {"x-uav123-full-AUC.svg", "x-uav123-full-pysot-AUC.svg"}


def test_everything_that_differs_is_listed(answer: Any) -> None:
    found = answer("base", "much", "--differs_in", "lr_init", "optimizer")
    by_name = {difference["name"]: (difference["a"], difference["b"]) for difference in found["differences"]}
    assert by_name.pop("code.training")[0].endswith(" (seqtrack/training/loop.py)")
    assert by_name == {
        "lr_init": ("0.001", "0.04"),
        "model_params.context": ("0.5", "0.25"),
        "tracker_params.scale_lr": ("0.59", "0.3"),
        "data.vot2018": ("index 22222222", "index 99999999"),
    }
    assert found["warnings"] == [
        "they do not differ in optimizer",
        "they differ in more than lr_init, optimizer: model_params.context, tracker_params.scale_lr, code.training,"
        " data.vot2018",
    ]
    every = ("lr_init", "model_params", "tracker_params.scale_lr", "code", "data")
    assert answer("base", "much", "--differs_in", *every)["warnings"] == []
    assert answer("base", "better")["warnings"] == []  # one difference needs no name


def test_values_are_shown_as_they_are(told: Any) -> None:
    _, lines, _ = told("base", "alike")
    assert any(re.fullmatch(r"optimizer_params\.betas +\[0\.9, 0\.999\] +\[0\.8, 0\.999\] *", line) for line in lines)


def test_more_starts_change_no_score_of_the_same_name(answer: Any, cache: Path, tmp_path: Path) -> None:
    copied = tmp_path / "cache"
    shutil.copytree(cache, copied)
    run = seqtrack.load_run("better", copied)
    before = answer("base", "better", where=copied)
    for item in run.assessments:
        path = item.path / "sequences.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines, *(line.replace(",0,0,12,", ",1,6,6,") for line in lines[1:])]) + "\n")
    assert answer("base", "better", where=copied) == before


def test_machines_differ_too(answer: Any, cache: Path, tmp_path: Path) -> None:
    copied = tmp_path / "cache"
    shutil.copytree(cache, copied)
    run = seqtrack.load_run("better", copied)
    path = run.path / "seed_1" / "trial.json"
    record = json.loads(path.read_text())
    record["environment"].update(device="NVIDIA A100", python="3.12.1")
    path.write_text(json.dumps(record))
    found = {d["name"]: (d["a"], d["b"]) for d in answer("base", "better", where=copied)["differences"]}
    assert found["environment.gpu"] == ("NVIDIA H100", "NVIDIA A100, NVIDIA H100")
    assert found["environment.python"] == ("3.11.7", "3.11.7, 3.12.1")


def test_a_file_differs_by_what_it_holds(answer: Any, cache: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    for name, content in (("first", b"one"), ("second", b"two")):
        weights.write_bytes(content)
        madeup.write_run(tmp_path, name=name, seeds=1, eval_sets={"otb_50": 2}, init_from=str(weights), **ONE_STEP)
    (found,) = answer("first", "second", where=tmp_path)["differences"]
    assert found["name"] == "init_from"
    assert found["a"].startswith("sha256:") and found["b"].startswith("sha256:") and found["a"] != found["b"]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_figure_has_a_point_for_each_sequence(told: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"difference.{suffix}"
    _, lines, _ = told("base", "better", "--eval_set=uav123", f"--out={path}")
    assert lines[-1] == f"figure: {path}"
    before = path.read_bytes()
    told("base", "better", "--eval_set=uav123", f"--out={path}")
    assert path.read_bytes() == before
    if suffix == "svg":
        root = ElementTree.fromstring(before)
        texts = ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]
        assert {"base: AUC", "better: AUC", "uav123-full"} <= set(texts)
        assert any(re.fullmatch(r"uav123_\d+", text) for text in texts)
        assert any(re.fullmatch(r"better better on \d+", text) for text in texts)
        assert len(list(root.iter("{http://www.w3.org/2000/svg}use"))) >= SETS["uav123"]
    else:
        assert before.startswith(b"\x89PNG")


def test_several_rows_are_several_figures(told: Any, tmp_path: Path) -> None:
    told("base", "better", f"--out={tmp_path / 'x.svg'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x-otb_50-full-AUC.svg", "x-uav123-full-AUC.svg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("base", "base"), "RUN_B: base is the same run as RUN_A, {base}; name another"),
        (("base", "nobody"), "RUN_B: no run 'nobody' in {cache}; expected one of"),
        (("base", "unfinished"), "unfinished: no trial of run {unfinished} is complete yet; see seqtrack status"),
        (("base", "other"), "base, other: there is no eval set that both have; only base was assessed on"),
        (("base", "fewer"), "otb_50-full: 10 sequences are only in base (otb_50_006, otb_50_007, otb_50_008, …)"),
        (("base", "single", "--eval_set=uav123"), "--eval_set: 'uav123': only base was assessed on uav123-full"),
        (("base", "better", "--eval_set=uav"), "--eval_set: 'uav': did you mean uav123-full?"),
        (("base", "better", "--metric=AUK"), "--metric: 'AUK' is not known here; did you mean AUC?"),
        (("base", "better", "--differs_in=lr"), "--differs_in: 'lr' is no flag that scores depend on; did you mean"),
        (("base", "better", "--out=x.gif"), "--out: x.gif: expected a name that ends in .svg, .png, .pdf"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(told: Any, cache: Path, words: tuple[str, ...], message: str) -> None:
    ids = {name: seqtrack.load_run(name, cache).run_id for name in ("base", "unfinished")}
    code, out, err = told(*words)
    assert (code, out) == (2, [])
    assert err.startswith("error: " + message.format(cache=cache, **ids)) and "\n" not in err


@pytest.mark.parametrize(
    ("what", "there", "message"),
    [
        ("convention", "pysot", "was scored by the convention otb, better by pysot: assess one of them again"),
        ("protocol", "longterm", "was scored by the protocol ope, better by longterm: assess one of them again"),
    ],
)
def test_what_was_scored_otherwise_is_not_compared(
    told: Any, cache: Path, tmp_path: Path, what: str, there: str, message: str
) -> None:
    copied = tmp_path / "cache"
    shutil.copytree(cache, copied)
    for path in seqtrack.load_run("better", copied).path.glob("seed_*/assess/otb_50-full/*/summary.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), what: there}))
    code, _, err = told("base", "better", where=copied)
    assert code == 2 and err.startswith(f"error: otb_50-full: base {message}")
    assert told("base", "better", "--eval_set=uav123", where=copied)[0] == 0


def test_the_same_videos_of_other_lengths_are_not_compared(told: Any, cache: Path, tmp_path: Path) -> None:
    copied = tmp_path / "cache"
    shutil.copytree(cache, copied)
    for path in seqtrack.load_run("better", copied).path.glob("seed_*/assess/uav123-full/*/sequences.csv"):
        path.write_text(path.read_text().replace("uav123_003,0,0,12,", "uav123_003,0,0,11,"))
    code, _, err = told("base", "better", where=copied)
    assert code == 2 and err.startswith("error: uav123-full: uav123_003 has other frames in base than in better")


def test_it_reads_and_does_not_write(cache: Path) -> None:
    before = tree_of(cache)
    words = [sys.executable, "-m", "seqtrack", "compare", "base", "better", "--cache_dir", str(cache)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "B is better" in done.stdout
    assert tree_of(cache) == before


@pytest.mark.parametrize("width", [250, 100, 80, 40])
def test_however_narrow_nothing_is_cut(told: Any, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """What does not fit beside the numbers stands above and below them."""
    _, wide, _ = told("base", "better", "--eval_set=otb_50")
    (row,) = [re.split(r"\s{2,}", line.strip()) for line in wide if line.startswith("otb_50")]
    monkeypatch.setenv("COLUMNS", str(width))
    code, lines, err = told("base", "better", "--eval_set=otb_50")
    assert (code, err) == (0, "") and "…" not in "".join(lines)
    (at,) = [k for k, line in enumerate(lines) if line.startswith("otb_50")]
    numbers = lines[at].removeprefix("otb_50-full   AUC").strip() if width >= 80 else lines[at + 1]
    assert re.split(r"\s{2,}", numbers)[:5] == row[2:7]
    if width < 250:
        assert f"  {row[8]}: {row[7]}" in lines[at : at + 3]
