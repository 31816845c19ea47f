"""``seqtrack assess``: chosen checkpoints of a run, and trackers that are not ours, on any data set."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqtrack import load_run
from seqtrack.errors import UserError
from seqtrack.runs import attempts
from seqtrack.runs.paths import RunFolder
from seqtrack.runs.status import trial_status
from seqtrack.tools import assess, export_results
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED
from tests.data.formats import test_trackingnet
from tests.data.layouts import write_frames, write_text
from tests.gates import RENAME, Gate
from tests.workbench import (
    EVAL,
    NUM_STEPS,
    TRAIN,
    Workbench,
    all_events,
    named,
    table_of,
    tree_of,
)

OWN = """
import random


class Noisy:
    def __init__(self, noise=1.0, fault=""):
        self.noise, self.fault = noise, fault
        self.own = random.Random(0)

    def init(self, image, box):
        assert image.ndim == 3 and image.dtype == "uint8" and box.shape == (4,)
        self.box, self.frame = box, 0

    def update(self, image):
        self.frame += 1
        if self.frame == 5 and self.fault:
            return eval(self.fault)
        return [v + random.gauss(0, self.noise) + self.own.random() for v in self.box]


class Deaf:
    def init(self, image):
        pass

    def update(self, image):
        pass


class Half:
    def init(self, image, box):
        pass
"""


@pytest.fixture
def own(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A folder with a module of somebody's trackers, in which commands are given."""
    (bench.folder / "own_trackers.py").write_text(OWN)
    monkeypatch.chdir(bench.folder)
    monkeypatch.syspath_prepend(str(bench.folder))
    for name in ("HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, bench.environment({})[name])
    return bench


def found_by(run: RunFolder) -> dict[str, dict[str, str]]:
    """Digests of what every assessment found, but how fast."""
    return {
        str(path.parent.relative_to(run.path)): {
            name: digest for name, digest in tree_of(path.parent).items() if name != "speed.json"
        }
        for path in sorted(run.path.glob("seed_*/assess/*/step_*/summary.json"))
    }


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in table_of(out)[1:] if line.partition(" ")[0].endswith("-full")]


def test_it_finds_what_training_would_and_nothing_is_tracked_twice(
    continued: Workbench, gate: Callable[..., Gate]
) -> None:
    """Killed in between, given again: the numbers of a command that nobody killed."""
    run = continued.run_folder()
    trial, before = run.trial(0), len(run.trial(0).attempts())
    words = [run.run_id, "--eval_datasets", f"otb:{TRAIN}", f"otb:{EVAL}"]
    second_track = gate(RENAME, "*/.partial-*.npz", passing=1)
    command = continued.start("assess", *words, **second_track.environment)
    assert second_track.wait(command) == command.pid
    command.kill()
    command.communicate()
    assert len(named(all_events(trial)[-1], "sequence")) == 1

    answer = continued.run("assess", *words)

    assert answer.code == 0, answer
    tracked = [event["sequence"] for records in all_events(trial)[before:] for event in named(records, "sequence")]
    assert len(tracked) == len(set(tracked)) == 8  # of the eval set nothing, which training had assessed
    assert [row[0] for row in rows(answer.out)[:: len(rows(answer.out)) // 2]] == [f"{TRAIN}-full", f"{EVAL}-full"]
    assert [trial_status(trial).state for trial in run.trials()] == ["done", "done"]
    scores = load_run(run.path).scores
    assert set(scores[scores.dataset == TRAIN].seed) == {0, 1}

    # A training that is asked for both has nothing left to do.
    flags = ["--eval_datasets", f"otb:{TRAIN}", f"otb:{EVAL}", f"--optimize_dataset={EVAL}"]
    trained = continued.train("--num_trials=2", *flags, "--dry_run")
    assert trained.out.count(f"complete at step {NUM_STEPS}; nothing to do") == 2, trained

    # One checkpoint, undisturbed.
    found = found_by(run)
    shutil.rmtree(trial.assessments(f"{TRAIN}-full"))
    again = continued.run("assess", "--checkpoint", str(trial.checkpoint(NUM_STEPS).path), *words[1:3])
    assert again.code == 0, again
    assert found_by(run) == found
    assert all(row[3:5] == ["1", "0:"] and row[5] == row[2] for row in rows(again.out))


def test_a_tracker_that_is_not_ours_is_a_run_of_its_own(own: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    """Trials differ in their random numbers alone, and a sequence draws the same ones whenever it is tracked. A part
    whose truth is on a server is tracked to the end, for that server."""
    hidden = write_hidden(own.folder / "data" / "original" / "got10k_test" / "test")
    words = ["--tracker=own_trackers:Noisy", '--tracker_params={"noise": 2}', "--num_trials=2"]
    data = own.folder / "data" / "original" / "trackingnet_test"
    test_trackingnet.write_video(data / "TEST", "b-Z_0", "1,2,3,4\n", frames=3)
    sets = [f"otb:{EVAL}", "got10k_test", "trackingnet_test"]
    words += [f"--tar_dir={own.tars}", "--data_dir=data", "--eval_datasets", *sets]
    assert assess.main([*words, "--name=noisy"]) == 0
    out = capsys.readouterr().out
    table = rows(out)
    assert (table[0][1], table[0][5]) == ("AUC", "2")
    assert [row[1:] for row in table if row[0] == "got10k_test-full"] == [
        [metric, "—", "2", "0:", "—", "1:", "—"] for metric in ("AO", "SR_50", "SR_75")
    ]
    run = own.run_folder()
    assert [trial_status(trial).state for trial in run.trials()] == ["done", "done"]
    frames = load_run("noisy", own.cache)
    assert (frames.config["model"], frames.config["model_params"]) == ("tracker:own_trackers:Noisy", {"noise": 2})
    first, second = (frames.track(f"{EVAL}-full", "Eval001", seed)["x"].to_numpy() for seed in (0, 1))
    assert first[0] == second[0] and not np.isclose(first[1:], second[1:]).any()

    for layout, folder, files, first in (
        ("got10k", "GOT-10k", {f"{hidden}/{hidden}_001.txt": 7, f"{hidden}/{hidden}_time.txt": 7}, [3, 4, 10, 8]),
        ("trackingnet", "trackingnet_test", {"b-Z_0.txt": 3}, [1, 2, 3, 4]),
    ):
        command = f"export_results {run.run_id} --format {layout} --eval_set {layout}_test-full --zip"
        assert (
            f"note: {layout}_test-full: tracked, but not scored, for its truth is on a server; pack the tracks for"
            f" it: seqtrack {command}"
        ) in out.splitlines()
        assert export_results.main([*command.split()[1:], "--out=out", "--name=noisy"]) == 0
        with zipfile.ZipFile(f"out/{folder}/noisy_seed1.zip") as packed:
            texts = {name: packed.read(name).decode().splitlines() for name in packed.namelist()}
        assert {name: len(lines) for name, lines in texts.items()} == files
        assert [float(number) for number in texts[next(iter(files))][0].split(",")] == first

    found = found_by(run)
    shutil.rmtree(run.trial(0).path / "assess")
    capsys.readouterr()
    assert assess.main([*words, "--eval_workers=3"]) == 0
    assert rows(capsys.readouterr().out) == table
    assert found_by(run) == found

    (own.folder / "own_trackers.py").write_text(OWN + "# edited\n")
    changed = "made before its code changed: own_trackers.py: give --accept_changes"
    with pytest.raises(UserError, match=changed):
        assess.main(words)


def write_hidden(folder: Path) -> str:
    """A sequence of seven frames of GOT-10k's test part, which has the first box only."""
    name = "GOT-10k_Test_000001"
    write_frames(folder / name, range(1, 8))
    write_text(folder / name / "groundtruth.txt", "3,4,10,8\n")
    write_text(folder / "list.txt", f"{name}\n")
    return name


def test_repetitions_of_one_pass_and_of_restarts(own: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    """A repetition draws numbers of its own, and counts as much as another. VOT is measured with restarts unless one
    asks for something else: the target jumps away in frame 8, and the tracker is started again in frame 13."""
    folder = own.folder / "data" / "original" / "vot2018"
    write_frames(folder / "jumps" / "color", range(1, 17))
    write_text(folder / "jumps" / "groundtruth.txt", "3,4,10,8\n" * 8 + "18,14,10,8\n" * 8)
    write_text(folder / "list.txt", "jumps\n")
    words = ["--tracker=own_trackers:Noisy", f"--tar_dir={own.tars}", "--data_dir=data", "--eval_repeats=2"]
    assert assess.main([*words, "--eval_datasets", f"otb:{EVAL}", "vot2018", "--name=twice"]) == 0
    out = capsys.readouterr().out
    run = load_run("twice", own.cache)
    found = run.sequences[run.sequences["metric"] == "AUC"]
    assert list(zip(found["sequence"], found["start"], strict=True)) == [
        ("Eval001", 0), ("Eval001", 1), ("Eval002", 0), ("Eval002", 1),
    ]  # fmt: skip
    assert found["value"].nunique() == 4
    mean = run.summary["results"][f"{EVAL}-full"]["AUC"]["mean"]
    assert mean == pytest.approx(found["value"].mean(), abs=1e-12)
    assert rows(out)[0][1:3] == ["AUC", f"{mean:.3f}"]
    for start in (0, 1):
        codes = run.track("vot2018-supervised", "jumps", 0, start=start)["code"].tolist()
        assert codes == [START, *[TRACKED] * 7, FAILED, *[SKIPPED] * 4, START, TRACKED, TRACKED]
    assert run.summary["results"]["vot2018-supervised"]["failures"]["mean"] == 1
    assert run.summary["conventions"] == {f"{EVAL}-full": "otb", "vot2018-supervised": "pysot"}


def test_a_fault_of_it_is_one_line_that_names_the_frame(own: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    params = '--tracker_params={"fault": "1 // 0"}'
    words = ["--tracker=own_trackers:Noisy", params, f"--tar_dir={own.tars}", "--eval_datasets", f"otb:{EVAL}"]
    assert assess.main(words) == 2
    where = re.escape(f"{EVAL}: video Eval001, frame 5 (")
    what = r"own_trackers:Noisy raised ZeroDivisionError in update: integer division or modulo by zero"
    assert re.fullmatch(rf"error: {where}.*\): {what} \(seed 0\)\n", capsys.readouterr().err)
    log = own.run_folder().trial(0).attempts()[-1].log.read_text()
    assert "Traceback" in log and "eval(self.fault)" in log


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "RUN: give one of RUN, --checkpoint and --tracker"),
        (["RUN", "--tracker=a:B", "--eval_datasets=otb_50"], "RUN and --tracker: give one of RUN,"),
        (["RUN"], "--eval_datasets: name what to assess on"),
        (["RUN", "--eval_datasets=otb_5"], "--eval_datasets: data set 'otb_5' is not known; did you mean otb_50?"),
        (["RUN", "--eval_datasets=otb_50"], "data set otb_50: not found; looked for"),
        (["RUN", "--seed", "0", "7", "--eval_datasets=otb_50"], "--seed: run .* has no trial 7; there are 0, 1$"),
        (["RUN", "--step=7", "--eval_datasets=otb_50"], "--step: seed 0 of run .* has no checkpoint 7; it has .*40$"),
        (["RUN", "--num_trials=2", "--eval_datasets=otb_50"], "--num_trials: it belongs to --tracker; leave it out"),
        (["--checkpoint=nowhere", "--eval_datasets=otb_50"], "--checkpoint: there is no nowhere; expected"),
        (["--checkpoint=.", "--eval_datasets=otb_50"], "--checkpoint: . is no checkpoint: it has no meta.json;"),
        (["--tracker=own_trackers", "--eval_datasets=otb_50"], "--tracker: 'own_trackers': expected module:Class"),
        (["--tracker=own_tracker:A", "--eval_datasets=otb_50"], "--tracker: cannot import 'own_tracker'"),
        (
            ["--tracker=own_trackers:Nois", "--eval_datasets=otb_50"],
            "--tracker: own_trackers has no class 'Nois'; did",
        ),
        (["--tracker=own_trackers:Half", "--eval_datasets=otb_50"], "--tracker: own_trackers:Half has no update: a"),
        (
            ["--tracker=own_trackers:Deaf", "--eval_datasets=otb_50"],
            r"--tracker: own_trackers:Deaf cannot be called as",
        ),
        (
            ["--tracker=own_trackers:Noisy", '--tracker_params={"nois": 1}', "--eval_datasets=otb_50"],
            "--tracker_params: own_trackers:Noisy does not take them: .*; did you mean noise?",
        ),
    ],
)
def test_a_mistake_is_one_line(own: Workbench, finished: Workbench, words: list[str], message: str) -> None:
    run = str(finished.run_folder().path)
    before = tree_of(finished.run_folder().path)
    with pytest.raises(UserError, match=f"^{message}"):
        assess.main([run if word == "RUN" else word for word in words])
    assert tree_of(finished.run_folder().path) == before


def test_a_trial_at_work_is_left_alone(continued: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(continued.folder)
    run = continued.run_folder()
    at_work = attempts.claim(run.trial(1))
    assert at_work is not None
    with at_work, pytest.raises(UserError, match=r"^RUN: seed 1 of run .* is at work; assess it when it is done"):
        assess.main([run.run_id, "--eval_datasets", f"otb:{TRAIN}"])
    assert not (run.trial(0).path / "assess" / f"{TRAIN}-full").exists()
