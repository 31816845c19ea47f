"""seqtrack list: what there is below a folder."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from seqtrack.cluster.sbatch import job_comment
from seqtrack.runs import attempts
from seqtrack.tools import cli
from seqtrack.tools.list import main
from tests.handmade import hand_over, job, programs
from tests.madeup import write_run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experiments, one of them without a run, and a cache folder that belongs to none."""
    root = tmp_path_factory.mktemp("root")
    for name in ("2026-01-02-baseline", "2026-01-03-nothing"):
        folder = root / "experiments" / name
        (folder / "workspace").mkdir(parents=True)
        (folder / "commit.txt").write_text(f"{COMMIT}\n")
        (folder / "remote.txt").write_text("/lab/seqtrack.git\n")
        write_run(folder / "repo" / "cache", seeds=1, name="of_the_code_not_of_the_experiment")
    cache = root / "experiments" / "2026-01-02-baseline" / "workspace" / "cache"
    write_run(cache, seeds=2, name="first")
    second = write_run(cache, seeds=3, unfinished=[2], lr_init=0.5, name="second")
    second.snapshot_json.write_text(json.dumps({"head": "feedbeef" * 5, "changed": ["a.py", "b.py"]}))
    point = write_run(root / "elsewhere" / "cache", seeds=1)
    point.sweep_marks.mkdir()
    (point.sweep_marks / "lr_search").touch()
    return root


def listed(root: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main([str(root), "--json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_experiments_and_their_runs_with_code_progress_and_scores(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere, baseline, nothing = listed(root, capsys)
    assert Path(str(elsewhere["path"])) == root / "elsewhere" and elsewhere["commit"] is None
    assert (baseline["commit"], nothing["commit"], nothing["runs"]) == (COMMIT, COMMIT, [])
    first, second = baseline["runs"]  # type: ignore[misc]
    assert (first["names"], first["done"], first["num_trials"]) == (["first"], 2, 2)
    assert (second["names"], second["done"], second["num_trials"]) == (["second"], 2, 3)
    assert (second["commit"], second["changed_files"], second["at_work"]) == ("feedbeef" * 5, 2, 0)
    summary = json.loads((Path(first["path"]) / "summary.json").read_text())["results"]
    assert [(s["eval_id"], s["metric"], s["mean"], s["n"]) for s in first["scores"]] == [
        (eval_id, "AUC", summary[eval_id]["AUC"]["mean"], 2) for eval_id in ("otb_50-full", "uav123-full")
    ]


def test_the_table_has_a_line_for_each(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(root)]) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert ["experiments/2026-01-02-baseline", "01234567"] in lines
    assert ["no", "run", "yet"] in lines
    (second,) = [words for words in lines if "second" in words]
    assert second[3:5] == ["feedbeef*", "2/3"]
    assert [words[1:3] for words in lines if "lr_search" in words] == [["sweep", "lr_search"]]
    assert "of_the_code" not in text


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"null", b"[]", b'{"results": [], "changed": 0}', b"{"])
def test_damaged_files_cost_what_they_say_and_no_more(
    root: Path, text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "experiments" / "2026-01-02-baseline", tmp_path / "a")
    for name in ("commit.txt", "workspace/cache/*/s*.json*"):
        for path in (tmp_path / "a").glob(name):
            path.write_bytes(text)
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [experiment for experiment in listed(tmp_path, capsys) if experiment["runs"]]
    (runs,) = [experiment["runs"] for experiment in found]
    assert [(run["commit"], run["scores"]) for run in runs] == [(None, [])] * 2  # type: ignore[attr-defined]


def test_a_folder_with_nothing_in_it_and_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert "no experiment and no run below" in capsys.readouterr().out
    assert cli.run(main, [str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err == f"error: ROOT: there is no folder {tmp_path / 'nowhere'}\n"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("submissions.jsonl", '{"id": "x", "time": "yesterday", "execution": "no", "argv": 3}'),
        ("submissions.jsonl", "{}"),
        ("seed_0/attempts/0/events.jsonl", '{"time": 3}'),
        ("seed_0/attempts/0/events.jsonl", '{"event": "train"}'),
        ("seed_0/attempts/0/owner.json", '{"host": "a", "boot": "b", "pid": "c", "started": null, "job": null}'),
        ("slurm/jobs.jsonl", '{"event": "intent"}'),
    ],
)
def test_a_run_that_holds_something_else_is_listed_and_so_are_the_others(
    tmp_path: Path, name: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "cache", seeds=1, name="good")
    bad = write_run(tmp_path / "cache", seeds=1, lr_init=0.5, name="bad").path / name
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text(f"{line}\n")
    (experiment,) = listed(tmp_path, capsys)
    assert len(experiment["runs"]) == 2  # type: ignore[arg-type]
    assert main([str(tmp_path)]) == 0
    assert "good" in capsys.readouterr().out


def test_a_set_whose_truth_is_on_a_server_has_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "cache", seeds=1)
    summary = json.loads(run.summary_json.read_text())
    summary["results"]["otb_50-full"]["AUC"].update(mean=None, std=None)
    run.summary_json.write_text(json.dumps(summary))
    assert main([str(tmp_path)]) == 0
    assert "otb_50-full AUC —" in capsys.readouterr().out


def test_who_is_at_work_and_who_waits_in_a_queue_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one command: a trial that is done, one that this process is at, one that SLURM has yet to start."""
    run = write_run(tmp_path / "cache", seeds=3, unfinished=[1, 2])
    at_work = attempts.claim(run.trial(1))
    assert at_work is not None
    (handed,) = hand_over(run, job("12", "train", (2,), time.time()))
    comment = job_comment(run.run_id, "train", handed.tag)
    squeue = f"echo '12|0|PENDING||Priority|{comment}'"
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", squeue=squeue)["PATH"])
    with at_work:
        at_work.event("train", step=0, total=100)
        ((found,),) = (experiment["runs"] for experiment in listed(tmp_path, capsys))  # type: ignore[misc]
        assert [found[key] for key in ("num_trials", "done", "at_work", "queued")] == [3, 1, 1, 1]
        assert main([str(tmp_path)]) == 0
        assert " 1/3, 1 at work, 1 queued " in capsys.readouterr().out
        at_work.event("end", state="interrupted", error=None)
