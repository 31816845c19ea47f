"""Messages and filters of commands on finished runs: made-up ones, where nothing is trained or tracked."""

from __future__ import annotations

import csv
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqtrack.cluster import driver
from seqtrack.pipeline import reproduction
from seqtrack.pipeline.request import read_submission
from seqtrack.runs.paths import RunFolder
from seqtrack.runs.status import trial_status
from seqtrack.tools import cli, reproduce, train
from tests import madeup

Give = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two trials of one step on two sets, called ``it``. Not to be changed."""
    sets = {"uav123": 3, "otb_50": 2}
    return madeup.write_run(
        tmp_path_factory.mktemp("cache"), seeds=2, steps=(100,), frames=12, eval_sets=sets, name="it",
        optimize_dataset="uav123",
    )  # fmt: skip


@pytest.fixture
def run(finished: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of it, with checkpoints."""
    folder = tmp_path / "cache" / finished.run_id
    shutil.copytree(finished.path, folder)
    for trial in RunFolder(folder).trials():
        trial.checkpoint(100).path.mkdir(parents=True)
    return RunFolder(folder)


@pytest.fixture
def give(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Give:
    """Gives a command beside the cache and answers its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def command(verb: str, *words: str) -> tuple[int, str, str]:
        code = cli.run(importlib.import_module(f"seqtrack.tools.{verb}").main, list(words))
        return (code, *capsys.readouterr())

    return command


@pytest.fixture
def data_at_hand(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Every data set is there, with these digests."""
    found = {"index": "uav123"}
    monkeypatch.setattr("seqtrack.data.datasets.prepare", lambda *_: None)
    monkeypatch.setattr("seqtrack.data.datasets.fingerprint", lambda *_: found)
    now = {"seqtrack/tracking/siamfc.py": "1" * 64}  # all that made-up assessments know
    monkeypatch.setattr("seqtrack.pipeline.request.Request.assessment_code", now)
    return found


# seqtrack assess


def test_data_and_code_that_changed_since_are_named_and_accepted_once(
    run: RunFolder, give: Give, data_at_hand: dict[str, str]
) -> None:
    words = ("it", "--eval_datasets", "uav123", "--eval_samplers=full")
    data_at_hand["index"] = "another"
    code, out, err = give("assess", *words)
    assert (code, out) == (2, "")
    assert err == (
        f"error: seed 0 of run {run.run_id} was assessed before its code changed: seqtrack/tracking/siamfc.py; data"
        " changed: uav123: give --accept_changes to reuse these results (the summary will say so); if they are other"
        " data, name the set otherwise\n"
    )
    code, out, err = give("assess", *words, "--accept_changes")
    assert (code, err) == (0, "") and "2 of 2 trials completed" in out
    assert give("assess", *words)[0] == 0, "what was accepted is accepted"


def test_ctrl_c_says_how_to_go_on_and_leaves_the_trial_done(
    run: RunFolder, give: Give, data_at_hand: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqtrack.pipeline.assess_trial.assess", interrupted)
    code, out, err = give("assess", "it", "--seed=1", "--eval_datasets", "otb:toy")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted; the same command goes on with the sequences that are left"
    assert [trial_status(trial).state for trial in run.trials()] == ["done", "done"]
    assert [trial_status(trial).detail for trial in run.trials()] == ["", ""]


# A name that another run has.


def test_a_name_that_is_taken_is_told_with_both_ids(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no mistake: a name may stand for several runs, and ids tell them apart."""

    def leaves(*_: Any) -> None:
        raise driver.Detached("bye")

    monkeypatch.setattr(driver, "run", leaves)
    other = madeup.write_run(run.path.parent, seeds=1, steps=(100,), eval_sets={"uav123": 2}, name="it", lr_init=0.5)
    assert train.carry_out(read_submission(other)) == cli.EXIT_INTERRUPTED
    assert capsys.readouterr().out == (
        f"note: it is also a name of run {run.run_id}: tell them apart by id (this is {other.run_id})\n"
    )


# submissions.jsonl

DAMAGES = {
    "empty": "",
    "no text": "\x00\ufffd not JSON\n",
    "another thing": '{"id": "x"}\n',
    "lists where objects were": '{"id": "x", "train": [], "assess": [], "execution": [], "files": [], "code": []}\n',
}
COMMANDS = [
    ("assess", "RUN", "--eval_datasets", "uav123"), ("status", "RUN"), ("report", "RUN", "--no-frames"), ("list",),
    ("compare", "RUN", "RUN2"), ("diff", "RUN", "RUN2"), ("export_results", "RUN", "--format=otb"),
    ("clean", "--only=checkpoints"), ("reproduce", "RUN", "--dry_run"), ("logs", "RUN"), ("cancel", "RUN"),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_became_of_the_submissions_no_command_ends_in_a_traceback(
    run: RunFolder, give: Give, data_at_hand: dict[str, str], damage: str
) -> None:
    shutil.copytree(run.path, run.path.with_name("another"))
    run.submissions.write_text(DAMAGES[damage])
    for verb, *words in COMMANDS:
        names = {"RUN": run.run_id, "RUN2": "cache/another"}
        code, _, err = give(verb, *(names.get(word, word) for word in words))
        assert code in (0, 1, 2), verb
        assert code == 0 or (err.startswith("error: ") and err.count("\n") == 1), (verb, err)


def test_without_submissions_a_step_can_be_assessed(run: RunFolder, give: Give, data_at_hand: dict[str, str]) -> None:
    run.submissions.unlink()
    words = (run.run_id, "--eval_datasets", "uav123", "--eval_samplers=full", "--accept_changes")
    code, _, err = give("assess", *words)
    assert code == 2
    assert err == (
        f"error: cache/{run.run_id}/submissions.jsonl: is missing or damaged; give --step, or the command of the run"
        " again\n"
    )
    code, out, err = give("assess", *words, "--step=100")
    assert (code, err) == (0, "") and "uav123-full  AUC" in out


# seqtrack report


def test_a_report_and_its_table_are_of_the_sets_and_scores_that_were_named(run: RunFolder, give: Give) -> None:
    named = ("it", "--no-frames", "--eval_set", "uav123", "--metric", "auc", "precision_20", "--table=table.csv")
    assert give("report", *named)[0] == 0
    (head, _) = csv.reader(Path("table.csv").read_text().splitlines())
    columns = [f"{metric} {part}" for metric in ("AUC", "precision_20") for part in ("mean", "std", "n")]
    assert head == ["run", *(f"uav123-full {column}" for column in [*columns, "convention"])]
    page = (run.path / "report.html").read_text()
    assert "uav123-full" in page and "otb_50-full" not in page.partition('<section id="configuration">')[0]
    code, _, err = give("report", "it", "--no-frames", "--metric", "AUK", "--table=other.csv")
    assert (code, err) == (2, "error: --metric: 'AUK' is not known here; did you mean AUC?\n")
    assert not Path("other.csv").exists()


# seqtrack reproduce


def test_data_that_moved_are_looked_for_where_data_paths_says(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One set is somewhere else; of the others the recorded places count."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    last = json.loads(run.submissions.read_text())
    last["execution"]["data_paths"] = {"uav123": "/old/uav", "otb_50": "/old/otb"}
    run.submissions.write_text(json.dumps(last) + "\n")
    made = reproduction.recipe(run)

    def paths(*words: str) -> Any:
        return reproduce._values(made, reproduce.build_parser().parse_args(["it", *words]))["data_paths"]

    assert paths() == {"uav123": "/old/uav", "otb_50": "/old/otb"}
    assert paths("--data_paths", "otb_50=here", "vot2018=~/vot") == {
        "uav123": "/old/uav", "otb_50": f"{tmp_path}/here", "vot2018": "/home/me/vot",
    }  # fmt: skip


def test_data_paths_without_a_name_are_a_mistake(run: RunFolder, give: Give) -> None:
    code, _, err = give("reproduce", "it", "--dry_run", "--data_paths", "/data")
    assert (code, err) == (2, "error: --data_paths: expected name=DIR, got '/data'\n")
