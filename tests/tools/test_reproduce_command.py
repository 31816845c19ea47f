"""seqtrack reproduce: a run made again from the code and configuration that it recorded."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.pipeline import reproduction
from seqtrack.pipeline.reproduction import Recipe, code_folder
from seqtrack.runs import code
from seqtrack.runs.paths import RunFolder, TrialFolder
from seqtrack.tools.reproduce import _verdict, main
from tests.workbench import EVAL, Workbench, check_that_boxes_alone_moved, move_every_box


def make_checkout(folder: Path, repository: Path) -> Path:
    shutil.copytree(repository / "seqtrack", folder / "seqtrack", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".gitignore").write_text("__pycache__/\n")
    commit = "git init -q -b main && git add -A && git -c user.name=me -c user.email=me@here commit -q -m it"
    subprocess.run(commit, shell=True, cwd=folder, check=True)
    return folder


def test_code_that_was_broken_since_is_had_again_and_gives_the_same_bits(
    bench: Workbench, finished: Workbench, repository: Path, tmp_path: Path
) -> None:
    bench.package = make_checkout(tmp_path / "checkout", repository)
    move_every_box(bench.package)
    assert bench.train("--num_trials=2", "--snapshot").code == 0
    scratch = bench.run_folder()
    check_that_boxes_alone_moved(scratch, finished.run_folder())
    recorded = json.loads(scratch.snapshot_json.read_text())
    assert recorded["changed"] == ["seqtrack/tracking/response.py"]
    (bench.package / "seqtrack" / "tracking" / "response.py").write_text("this is no longer Python\n")
    # The command itself is of the code at hand.
    bench.package = repository
    result = bench.run("reproduce", "latest")
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[0].startswith(f"run {scratch.run_id}: code of commit {recorded['head'][:12]} with 1 changed file")
    assert lines[-1].startswith("the same numbers, to the bit (")
    assert [line.split(",")[0] for line in lines if line.startswith("seed 1: ") and "same" in line] == [
        "seed 1: train.csv: the same", "seed 1: weights: the same", "seed 1: sample_eval-full: the same",
    ]  # fmt: skip


def test_what_differs_is_said_with_its_size(continued: Workbench) -> None:
    run = continued.run_folder()
    assessment = sorted(run.trial(0).path.glob("assess/*/step_*"))[-1]
    summary = json.loads((assessment / "summary.json").read_text())
    summary["metrics"]["AUC"] += 0.25
    (assessment / "summary.json").write_text(json.dumps(summary))
    (assessment / "sequences.csv").write_text("other\n")
    train = run.trial(0).train_csv
    train.write_text(train.read_text().replace("4,", "4,1", 1))

    result = continued.run("reproduce", "latest", "--seed=0")
    assert result.code == 1, result
    last = result.out.splitlines()[-1]
    assert last.startswith("not the same bits; the largest difference of a score is 0.25 (")
    assert "seed 0: train.csv: DIFFERENT, from row 1 on" in result.out
    assert "seed 0: weights: the same" in result.out


CHANGED = {"python": "3.1.4", "cuda": "9.9", "driver": "1.2.3", "libc": "else 1", "cpu": "Z80", "device": "TPU"}


def test_whatever_machine_or_version_differs_is_said(
    continued: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command says it once the run has been made again: by a copy of it."""
    run = continued.run_folder()
    made = Recipe(run, "1", {}, {}, None)
    shutil.copytree(run.path, made.folder / run.run_id)
    record = json.loads(run.trial(0).record.read_text())
    now = record["environment"]
    cases = {name: ({name: value}, f"{name}: {value} → {now[name]}") for name, value in CHANGED.items()}
    for name, version in now["packages"].items():
        packages = {**now["packages"], name: "0.0.1"}
        cases[name] = ({"packages": packages}, f"{name}: 0.0.1 → {version}")
    for before, expected in cases.values():
        run.trial(0).record.write_text(json.dumps({**record, "environment": {**now, **before}}))
        assert _verdict(run, made, [0]) == 0
        said = [line for line in capsys.readouterr().out.splitlines() if "not as it was" in line]
        assert said == [f"seed 0: not as it was: {expected}"]


def test_an_unfinished_run_and_scores_that_a_set_does_not_have(continued: Workbench, tmp_path: Path) -> None:
    before = continued.run_folder().trial(0)
    shutil.copytree(before.path, tmp_path / "seed_0")
    after = TrialFolder(tmp_path / "seed_0")
    (assessment,) = before.path.glob("assess/*/step_*")
    summary = json.loads((assessment / "summary.json").read_text())
    summary["metrics"].update(AUC=None)
    (assessment / "summary.json").write_text(json.dumps(summary))
    rows = before.train_csv.read_text().splitlines(keepends=True)
    before.train_csv.write_text("".join(rows[:-2]))
    csv, weights, scores = reproduction.compare(before, after)
    assert (csv.same, csv.text) == (True, f"{len(rows) - 3} rows, where the run ends")
    assert (weights.same, scores.same, scores.difference) == (True, False, 0.0)
    assert "AUC nan → 0." in scores.text
    shutil.copy(assessment / "summary.json", next(after.path.glob("assess/*/step_*")))
    assert reproduction.compare(before, after)[-1].same, "none is the same as none"


def test_a_run_is_named_by_the_folder_that_one_is_in(
    continued: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = continued.run_folder()
    monkeypatch.chdir(run.path)
    assert main([".", "--seed=1", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"run {run.run_id}: code of ")
    assert f"would train seeds 1; results would go to {continued.cache}/reproduced/{run.run_id}-" in out


def test_a_list_of_sequences_that_is_gone_is_had_from_the_run_by_its_own_name(bench: Workbench) -> None:
    (bench.folder / "few.txt").write_text("Eval001\n")
    flags = ("--num_steps=5", "--eval_datasets", f"otb:{EVAL}@few.txt")
    assert bench.train(*flags).code == 0
    (bench.folder / "few.txt").unlink()
    result = bench.run("reproduce", "latest")
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[-2].startswith(f"seed 0: {EVAL}@few-") and "-full: the same, step 5: AUC 0." in lines[-2]
    assert lines[-1] == "the same numbers, to the bit (3 comparisons)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "RUN: no run 'nothing' in cache"),
        (["latest", "--seed=7"], "--seed: run "),
        (["latest", "--repository=nowhere"], ""),
    ],
)
def test_mistakes_are_one_line(continued: Workbench, words: list[str], message: str) -> None:
    result = continued.run("reproduce", *words, "--dry_run")
    if message:
        assert result.code == 2, result
        assert result.err.startswith(f"error: {message}")
        assert len(result.err.splitlines()) == 1
    else:  # nothing of git is needed where this is the code
        assert result.code == 0, result


def test_code_that_cannot_be_had_is_named(continued: Workbench) -> None:
    submissions = continued.run_folder().submissions
    lines = [json.loads(line) for line in submissions.read_text().splitlines()]
    lines[-1]["code"]["seqtrack/errors.py"] = "0" * 64
    lines[-1]["snapshot"] = {"root": str(continued.folder), "tree": "1" * 40, "changed": []}
    submissions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = continued.run("reproduce", "latest")
    assert result.code == 2, result
    assert "does not have the tree 111111111111 of its snapshot; --repository DIR" in result.err
    assert "1 of its files differ here (seqtrack/errors.py)" in result.err


def test_a_tracker_of_ones_own_has_to_be_what_it_was_with_all_that_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seeker_of_mine.py").write_text("import help_of_mine\n\n\nclass Seeker: ...\n")
    helper = tmp_path / "help_of_mine.py"
    helper.write_text("OFFSET = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    known = code.closure([], plugin="seeker_of_mine:Seeker")
    made = Recipe(RunFolder(tmp_path / "0123"), "1", {"model": "tracker:seeker_of_mine:Seeker"}, known, snapshot=None)
    assert code_folder(made) == code.ROOT
    helper.write_text("OFFSET = 2\n")
    with pytest.raises(UserError) as caught:
        code_folder(made)
    assert str(caught.value) == f"--model: {helper} has changed since run 0123 was made by it"
