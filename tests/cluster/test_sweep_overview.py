"""``seqtrack status SWEEP``: of each point how far its trials are, from its table and small files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from seqtrack.cluster import overview, sweep_overview
from seqtrack.pipeline.sweep import definition as definitions
from seqtrack.pipeline.sweep import sweep as sweeps
from seqtrack.pipeline.sweep import table
from seqtrack.pipeline.sweep.sweep import Sweep
from seqtrack.runs import jobs
from seqtrack.runs.paths import SweepFolder, TrialKey
from seqtrack.tools import cli, status
from tests.handmade import assess, attempt, end, programs, progress, train
from tests.pipeline.test_sweep_points import written

SCORES: list[dict[int, float]] = [{0: 0.25, 1: 0.5}, {0: 0.75}, {}]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Three points: one done, one with a trial at work, one that failed and has yet to start."""
    definition = definitions.read(written(tmp_path, num_trials=2, grid={"lr_init": [0.1, 0.2, 0.3]}))
    sweep = sweeps.from_definition(definition, {"cache_dir": tmp_path})
    sweeps.record(sweep, definition)
    sweep.folder.json.write_text(json.dumps(table.table(sweep, SCORES, {})))
    for place, seed, *told in [
        (0, 1, train(), end("failed", "before it was done")),  # the table is what counts
        (1, 1, train(), progress(500)),
        (2, 0, train(), end("failed", "out of memory")),
    ]:
        attempt(sweep.requests[place].run.trial(seed), *told)
    return sweep


def test_a_line_for_each_point_and_what_failed(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    words = [sweep.folder.name, f"--cache_dir={sweep.folder.path.parent.parent}"]
    assert cli.run(status.main, words) == 0
    lines = capsys.readouterr().out.splitlines()
    first, second, third = (run.run_id for run in sweep.runs)
    assert lines[:2] == ["sweep s", f"in {sweep.folder.path}"]
    assert [line.split() for line in lines[4:8]] == [
        ["rank", "lr_init", "AUC", "(otb_50-full)", "done", "at", "work", "failed", "waiting", "run"],
        ["1", "0.1", "0.375", "±", "0.177", "2/2", first],
        ["-", "0.2", "0.750", "1/2", "1", second],
        ["-", "0.3", "-", "0/2", "1", "1", third],
    ]
    assert lines[9:] == [
        "convention: otb (otb_50-full)",
        "3 of 6 trials done: 1 training, 1 waiting, 1 failed",
        table.PRELIMINARY,
        f"run {third} seed 0 failed: out of memory",
        f"best so far: AUC 0.375 ± 0.177 (n = 2; lr_init=0.1; run {first})",
        f"table: {sweep.folder.csv}",
    ]


def test_json_has_the_same(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main([str(sweep.folder.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    counts = ("done", "at_work", "failed", "waiting")
    assert [found[name] for name in (*counts, "num_trials", "num_points")] == [3, 1, 1, 1, 6, 3]
    assert (found["sweep"], found["is_done"], found["is_at_rest"], found["notes"]) == ("s", False, False, [])
    assert found["causes"] == [f"run {sweep.runs[2].run_id} seed 0 failed: out of memory"]
    assert [[point[name] for name in counts] for point in found["points"]] == [
        [2, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 1],
    ]
    assert found["points"][1]["values"] == {"lr_init": 0.2}
    assert [(trial["state"], trial["score"]) for trial in found["points"][1]["trials"]] == [
        ("done", 0.75), ("training", None),
    ]  # fmt: skip


def test_watch_ends_when_all_of_it_is_done(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    done = table.table(sweep, [{0: 0.25, 1: 0.5}, {0: 0.75, 1: 0.75}, {0: 0.5, 1: 0.5}], {})
    sweep.folder.json.write_text(json.dumps(done))
    assert status.main([str(sweep.folder.path), "--watch"]) == 0
    best = f"AUC 0.750 ± 0.000 (n = 2; lr_init=0.2; run {sweep.runs[1].run_id})"
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == f"6 trials: 6 done; best so far {best}"
    assert lines[-3:] == ["6 of 6 trials done", f"best: {best}", f"table: {sweep.folder.csv}"]


def test_points_that_share_a_run_count_its_trials_once(tmp_path: Path) -> None:
    """Done is a trial that has the scores of all of them."""
    grid = {"tracker_params.scale_lr": [0.3, 0.59]}
    definition = definitions.read(written(tmp_path, num_trials=2, grid=grid))
    sweep = sweeps.from_definition(definition, {"cache_dir": tmp_path})
    sweeps.record(sweep, definition)
    sweep.folder.json.write_text(json.dumps(table.table(sweep, [{0: 0.25, 1: 0.5}, {0: 0.75}], {})))
    attempt(sweep.requests[0].run.trial(1), train(), assess())
    found = sweep_overview.look(sweep.folder, overview.Slurm())
    assert [point.counts for point in found.points] == [
        {"done": 2, "at_work": 0, "failed": 0, "waiting": 0}, {"done": 1, "at_work": 1, "failed": 0, "waiting": 0},
    ]  # fmt: skip
    assert [(status.seed, status.state) for status in found.trials] == [(0, "done"), (1, "assessing")]


def test_what_was_handed_to_slurm_is_queued(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sweep.runs[2].run_id
    array = jobs.new(sweep.folder.slurm, "train", [TrialKey(run, 1)], "submission", {run: "question"}, None)
    jobs.intend(array)
    jobs.record_id(array, "71")
    for name, text in programs(tmp_path / "bin", squeue="exit 1").items():
        monkeypatch.setenv(name, text)
    found = sweep_overview.look(sweep.folder, overview.Slurm())
    last = found.points[2].trials[1]
    assert (last.state, last.job, found.counts["waiting"]) == ("queued", "71_0", 1)
    assert found.notes == ("SLURM does not answer; this is what the disk says",)


def test_a_table_that_is_not_of_the_newest_command_is_made_again(sweep: Sweep, tmp_path: Path) -> None:
    """Of a command that was killed before it wrote one; what is asked of the trials may be something else."""
    for change in ("{", json.dumps({**json.loads(sweep.folder.json.read_text()), "eval_id": "uav123-full"})):
        sweep.folder.json.write_text(change)
        found = sweep_overview.look(sweep.folder, overview.Slurm())
        assert found.found["eval_id"] == "otb_50-full"
        assert found.counts == {"done": 0, "at_work": 1, "failed": 2, "waiting": 3}


def test_a_damaged_record_is_one_line(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(sweep.folder.path, copy := sweep.folder.path.with_name("copy"))
    (copy / "submissions.jsonl").write_text('{"runs": [7]}\n')
    assert cli.run(status.main, [str(copy)]) == 2
    record = SweepFolder(copy).submissions
    assert capsys.readouterr().err == f"error: {record}: is damaged; give the sweep's command again\n"
