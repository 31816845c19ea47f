"""seqtrack clean: what no table needs is shown, and goes only when a person says so; the numbers stay."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest

from seqtrack import config
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.data.storage import staging
from seqtrack.errors import UserError
from seqtrack.pipeline import leftovers, plan
from seqtrack.pipeline.leftovers import Leftover
from seqtrack.pipeline.request import read_submission, read_submissions
from seqtrack.runs import attempts, events, jobs
from seqtrack.runs.paths import RunFolder, TrialKey
from seqtrack.runs.status import Queue
from seqtrack.tools.clean import main
from tests import madeup
from tests.workbench import Workbench, results_of


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_checkpoints_of_complete_trials_go_but_those_that_tables_need(continued: Workbench) -> None:
    run = continued.run_folder()
    code = continued.cache / "code" / "0123456789abcdef"
    (code / "seqtrack").mkdir(parents=True)
    (code / "seqtrack" / "a.py").write_text("A = 1\n")
    code.with_name(f"{code.name}.json").write_text("{}")
    kept_code = continued.cache / "code" / "fedcba9876543210"  # git does not have this one
    kept_code.mkdir()
    (continued.cache / "reproduced" / "abc-def").mkdir(parents=True)
    partial = next((run.trial(0).path / "assess").iterdir()) / ".partial-step_00000040-0123-4567"
    partial.mkdir()
    (partial / "Eval001.npz").write_bytes(b"tracked by code that was edited before it was done")
    before, table = files(continued.cache), results_of(run)
    steps = {trial.seed: list(trial.checkpoints()) for trial in run.trials()}
    assert min(len(found) for found in steps.values()) >= 3

    tmp = f"--tmp_data_dir={continued.folder / 'tmp'}"
    shown = continued.run("clean", tmp)
    assert shown.code == 0, shown
    assert files(continued.cache) == before
    assert "nothing was removed: give --yes" in shown.out
    for word in ("checkpoints: ", "partial: 1", "code: 1", "reproduced: 1"):
        assert word in shown.out

    done = continued.run("clean", tmp, "--yes")
    assert done.code == 0 and "removed " in done.out, done
    assert {trial.seed: list(trial.checkpoints())[-1] for trial in run.trials()} == {0: 40, 1: 40}
    assert all(len(trial.checkpoints()) <= 2 for trial in run.trials())
    assert not code.exists() and not partial.exists() and kept_code.exists()
    assert continued.run("clean", tmp).out == "nothing to remove\n"
    # The same command finds everything that it needs.
    again = continued.train("--num_trials=2")
    assert again.code == 0, again
    assert results_of(run) == table


def remove(cache: Path, slurm: Any = None, found: Iterable[Leftover] | None = None) -> dict[str, bool]:
    """Takes checkpoints away, but not what else this machine has; whether each is gone, by its place in its run."""
    if found is None:
        found = [one for one in leftovers.find(cache, None, slurm)[0] if one.kind == "checkpoints"]
    removed = leftovers.remove(found, cache, None, slurm)
    return {str(one.path.relative_to(one.path.parents[2])): is_gone for one, is_gone in removed}


class Told:
    """A scheduler that has these tasks in its queue."""

    def __init__(self, *tasks: str) -> None:
        self.tasks, self.asked = tasks, 0

    def queue(self) -> Queue | None:
        self.asked += 1
        names = [task.split("_") for task in self.tasks]
        return Queue.of([QueuedTask(job, int(index), "PENDING") for job, index in names], 0)


@pytest.fixture
def complete(tmp_path: Path) -> RunFolder:
    """Two trials with a checkpoint each that may go, at step 10, and one that stays."""
    run = madeup.write_run(tmp_path, seeds=2, steps=(10, 20), eval_sets={"uav123": 3})
    for seed in (0, 1):
        for step in (10, 20):
            run.trial(seed).checkpoint(step).path.mkdir(parents=True)
    return run


def test_how_large_it_is_is_said_before_and_after(complete: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, step, name, size in (
        (0, 10, "model", 1234), (0, 10, "deeper/state", 500), (1, 10, "model", 250), (0, 20, "model", 99_999),
    ):  # fmt: skip
        file = complete.trial(seed).checkpoint(step).path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(size))
    words = [f"--cache_dir={complete.path.parent}", "--only", "checkpoints"]
    assert main(words) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("checkpoints: 2, 2.0 kB (of complete trials, but the selected, ")
    assert lines == [
        f"  {complete.run_id} seed 0: step_00000010, 1.7 kB", f"  {complete.run_id} seed 1: step_00000010, 250 bytes",
        "2.0 kB in all; nothing was removed: give --yes to do it",
    ]  # fmt: skip
    assert main([*words, "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "removed 2.0 kB"


def test_a_trial_that_started_since_it_was_looked_at_keeps_everything(complete: RunFolder) -> None:
    found, _ = leftovers.find(complete.path.parent)
    found = [one for one in found if one.kind == "checkpoints"]
    attempt = attempts.claim(complete.trial(0))
    assert attempt is not None
    with attempt:
        assert remove(complete.path.parent, found=found) == {
            "seed_0/checkpoints/step_00000010": False, "seed_1/checkpoints/step_00000010": False,
        }, "and so does its run: what its other trials are asked for is not known yet"  # fmt: skip
        attempt.event("end", state="done", error=None)
    before = [attempt.number for attempt in complete.trial(0).attempts()]
    assert set(remove(complete.path.parent, found=found).values()) == {True}
    assert [attempt.number for attempt in complete.trial(0).attempts()] == before, "cleaning is no attempt"


def test_while_it_removes_nobody_starts_the_trial(complete: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def take_away(self: Leftover) -> None:
        seen.append(None if self.trial is None else attempts.claim(self.trial))

    monkeypatch.setattr(Leftover, "take_away", take_away)
    assert set(remove(complete.path.parent).values()) == {False}
    assert seen == [None, None]
    assert attempts.claim(complete.trial(0)) is not None


def test_what_was_asked_for_since_stays(complete: RunFolder) -> None:
    """Another command that wants more of the run, and another run that begins from a checkpoint."""
    cache = complete.path.parent
    found = [one for one in leftovers.find(cache)[0] if one.kind == "checkpoints"]
    last = events.read(complete.submissions)[-1]
    more = {**last["assess"], "eval_datasets": ["uav123", "otb:toy"], "optimize_dataset": "uav123"}
    events.append(complete.submissions, {**last, "id": "more", "time": time.time() + 1, "assess": more})
    assert set(remove(cache, found=found).values()) == {False}
    _, kept = leftovers.find(cache)
    assert kept == [f"run {complete.run_id}: seed 0 was asked for a moment ago"]
    events.append(complete.submissions, {**last, "id": "less", "time": time.time() + 2})
    (cache / "other").mkdir()
    (cache / "other" / "train.yaml").touch()
    begun = {"path": str(complete.trial(1).checkpoint(10).model.absolute()), "sha256": "0"}
    events.append(cache / "other" / "submissions.jsonl", {"id": "x", "files": {"it:1:10": begun}})
    assert remove(cache, found=found) == {
        "seed_0/checkpoints/step_00000010": True, "seed_1/checkpoints/step_00000010": False,
    }  # fmt: skip


def test_points_of_a_sweep_that_share_a_run_keep_the_checkpoints_that_each_selects(tmp_path: Path) -> None:
    """One that tracks in another way selects another; as long as it is not assessed in full, nothing goes."""
    run = madeup.write_run(tmp_path, seeds=1, steps=(10, 20, 30), eval_sets={"uav123": 3})
    trial, request = run.trial(0), read_submission(run)
    for step in (10, 20, 30):
        trial.checkpoint(step).path.mkdir(parents=True)
    params = {**request.assess.tracker_params, "scale_lr": 0.3}
    other = dataclasses.replace(request, assess=dataclasses.replace(request.assess, tracker_params=params))
    last = events.read(run.submissions)[-1]
    events.append(run.submissions, {**last, "assess": config.to_dict(other.assess)})
    assert [one.assess for one in read_submissions(run)] == [request.assess, other.assess]
    for step, skill in ((10, 0.9), (20, 0.2), (30, 0.2)):
        assert remove(tmp_path) == {}
        madeup.write_assessment(other, 0, other.selection, step, 3, skill=skill)
    assert (plan.selected_step(request, trial), plan.selected_step(other, trial)) == (30, 10)
    assert remove(tmp_path) == {"seed_0/checkpoints/step_00000020": True}


def test_slurm_is_asked_where_something_was_handed_over_to_it(complete: RunFolder) -> None:
    cache, slurm = complete.path.parent, Told("12_1")
    assert leftovers.find(cache, None, slurm)[1] == [] and slurm.asked == 0
    submission = events.read(complete.submissions)[-1]["id"]
    trials = [TrialKey(complete.run_id, seed) for seed in (0, 1)]
    array = jobs.new(complete.slurm, "train", trials, submission, {complete.run_id: "q"}, None)
    jobs.intend(array)
    jobs.record_id(array, "12")
    for silent in (None, Told("7_0")):
        assert leftovers.find(cache, None, silent)[1] == []
    kept = [f"run {complete.run_id}: SLURM has job 12_1 for it in its queue"]
    assert leftovers.find(cache, None, slurm)[1] == kept and slurm.asked == 1
    found = [one for one in leftovers.find(cache)[0] if one.kind == "checkpoints"]
    assert set(remove(cache, slurm, found).values()) == {False}
    assert set(remove(cache, Told(), found).values()) == {True}


def test_what_needs_a_checkpoint_that_went_is_refused_and_says_what_can_be_done(tmp_path: Path) -> None:
    run = madeup.write_run(tmp_path, seeds=2, steps=(10, 20, 30), eval_sets={"uav123": 3})
    request = read_submission(run)
    trial = run.trial(1)
    kept = plan.selected_step(request, trial)
    for step in (10, 20, 30):
        trial.checkpoint(step).path.mkdir(parents=True)
    gone = remove(tmp_path)
    assert gone == {f"seed_{seed}/checkpoints/step_{step:08d}": True for seed, step in ((1, 10), (1, 20))}
    assert (kept, set(trial.checkpoints())) == (30, {30})
    plan.check_checkpoints(request, trial)  # all that was asked is there

    def refusal(**assess: Any) -> str:
        asked = dataclasses.replace(request, assess=dataclasses.replace(request.assess, **assess))
        with pytest.raises(UserError) as refused:
            plan.check_checkpoints(asked, trial)
        return str(refused.value)

    more = {"eval_datasets": ("uav123", "otb:toy"), "optimize_dataset": "uav123"}
    why = "these checkpoints are gone (seqtrack clean removes those that no table needs)"
    assert refusal(**more) == (
        f"--assess_all: seed 1 of run {run.run_id} cannot be assessed on toy-full at step 10, 20: {why}; leave"
        " --assess_all out to assess step 30 alone, which is selected, or --variant NAME to train again"
    )
    for folder in (tmp_path / run.run_id / "seed_1" / "assess").glob("*/step_00000020-*"):
        numbers = json.loads((folder / "summary.json").read_text())
        numbers["metrics"]["precision_20"] = 2.0
        (folder / "summary.json").write_text(json.dumps(numbers))
    assert refusal(**more, assess_all=False, optimize_metric="precision_20") == (
        f"--optimize_metric: seed 1 of run {run.run_id} cannot be assessed on toy-full at step 20: {why}; give one"
        " that selects among those that are left (30), or --variant NAME to train again"
    )
    trial.checkpoint(20).damaged("1234").mkdir()
    assert "at step 10, 20: these checkpoints are gone (damaged, and set aside); " in refusal(**more)


def test_what_is_unfinished_is_left_alone(continued: Workbench) -> None:
    run = continued.run_folder()
    shutil.rmtree(run.trial(1).path / "assess")
    partial = run.trial(1).path / "assess" / "sample_eval-full" / ".partial-step_00000040-0123-4567"
    partial.mkdir(parents=True)
    before = files(continued.cache)
    result = continued.run(
        "clean", f"--tmp_data_dir={continued.folder / 'tmp'}", "--only", "checkpoints", "partial", "--yes"
    )
    assert result.code == 0, result
    assert partial.exists()  # a repeat goes on there, if it is of the same code
    gone = before - files(continued.cache)
    assert gone and all("/seed_0/" in f"/{name}" for name in gone)


def in_use(bench: Workbench) -> tuple[set[str], list[str]]:
    """Kinds of what would go, and what is left alone."""
    found, kept = leftovers.find(bench.cache, str(bench.folder / "tmp"))
    return {one.kind for one in found}, kept


def test_a_checkpoint_that_another_run_began_from_stays(continued: Workbench) -> None:
    trial = continued.run_folder().trial(0)
    step = min(trial.checkpoints())
    found, _ = leftovers.find(continued.cache)
    assert trial.checkpoint(step).path in {one.path for one in found}
    other = continued.cache / "other"
    other.mkdir()
    (other / "train.yaml").touch()
    files = {"abc:0": {"path": str(trial.checkpoint(step).model.absolute()), "sha256": "0"}}
    (other / "submissions.jsonl").write_text(json.dumps({"id": "x", "files": files}) + "\n")
    found, kept = leftovers.find(continued.cache)
    assert found and trial.checkpoint(step).path not in {one.path for one in found}
    assert len(kept) == 1 and kept[0].startswith("run other: its newest command, or what came of it, cannot be read")


def test_jobs_of_an_earlier_command_keep_code_and_checkpoints(continued: Workbench) -> None:
    run = continued.run_folder()
    (continued.cache / "code" / "0123456789abcdef").mkdir(parents=True)
    (continued.cache / "code" / "0123456789abcdef.json").touch()
    (first,) = events.read(run.submissions)
    events.append(run.submissions, {**first, "id": "second", "execution": {**first["execution"], "num_trials": 1}})
    assert in_use(continued) == ({"checkpoints", "code"}, [])
    trials = [TrialKey(run.run_id, seed) for seed in (0, 1)]
    array = jobs.new(run.slurm, "train", trials, first["id"], {run.run_id: "q"}, None)
    jobs.intend(array)
    jobs.record_id(array, "12")
    assert in_use(continued) == ({"checkpoints", "code"}, []), "all that it asked for is there"
    shutil.rmtree(run.trial(1).path / "assess")
    why = f"run {run.run_id}: seed 1 is not complete, and SLURM may have a job for it"
    assert in_use(continued) == (set(), [why])


def test_what_is_being_made_again_stays_and_so_does_its_code(continued: Workbench) -> None:
    run = continued.run_folder()
    (continued.cache / "code" / "0123456789abcdef").mkdir(parents=True)
    (continued.cache / "code" / "0123456789abcdef.json").touch()
    again = continued.cache / "reproduced" / "abc-def"
    shutil.copytree(run.path, again / run.run_id)
    (again / "config.yaml").touch()
    assert in_use(continued) == ({"checkpoints"}, ["reproduced abc-def: it was begun a moment ago"])
    os.utime(again / "config.yaml", (0, 0))
    assert in_use(continued) == ({"checkpoints", "code", "reproduced"}, [])
    attempt = RunFolder(again / run.run_id).trial(1).attempts()[-1]
    owner = json.loads(attempt.owner.read_text())
    process = psutil.Process()
    attempt.owner.write_text(json.dumps({**owner, "pid": process.pid, "started": process.create_time()}))
    attempt.events.write_text("")
    assert in_use(continued) == ({"checkpoints"}, ["reproduced abc-def: seed 1 is at work"])


def test_staged_copies_go_unless_they_are_in_use(bench: Workbench) -> None:
    root = bench.folder / "tmp"
    tar = bench.tars / "original" / "sample_eval.tar"
    bench.cache.mkdir(parents=True)
    with staging.stage(tar, root, "original", "sample_eval", "untar"):
        busy = bench.run("clean", f"--tmp_data_dir={root}", "--yes")
        assert "is in use" in busy.out, busy
        assert (root / "original" / "sample_eval").is_dir()
    free = bench.run("clean", f"--tmp_data_dir={root}", "--yes")
    assert "removed " in free.out, free
    assert not (root / "original" / "sample_eval").exists()


def test_a_cache_that_is_not_there(bench: Workbench) -> None:
    result = bench.run("clean", "--cache_dir=nowhere")
    assert (result.code, result.err) == (2, "error: --cache_dir: there is no folder nowhere\n")
