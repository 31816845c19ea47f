"""The same command again is the only recovery verb: what is finished is reused, what is missing is done.

And what must not be mixed (other code, other data) is not.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from seqtrack.runs import events
from seqtrack.runs.paths import RunFolder
from tests.workbench import (
    EVAL,
    NUM_STEPS,
    SMALL_MODEL,
    TRAIN,
    Workbench,
    all_events,
    named,
    table_of,
    trained_attempts,
    tree_of,
)


def attempts_of(run: RunFolder) -> dict[int, int]:
    """Number of attempts by seed."""
    return {trial.seed: len(trial.attempts()) for trial in run.trials()}


def test_a_finished_run_is_only_reported_again(continued: Workbench, finished: Workbench) -> None:
    run = continued.run_folder()
    before = {trial.seed: tree_of(trial.path) for trial in run.trials()}
    summary = run.summary_json.read_bytes()

    again = continued.train("--num_trials=2")

    assert again.code == 0, again
    assert {trial.seed: tree_of(trial.path) for trial in run.trials()} == before  # no attempt, no event, nothing
    assert run.summary_json.read_bytes() == summary
    assert "2 of 2 trials completed" in again.out
    third = continued.train("--num_trials=2")
    assert table_of(third.out) == table_of(again.out)


def test_a_finished_run_is_reported_without_torch(continued: Workbench, tmp_path: Path) -> None:
    """What makes it end in a second: nothing heavy is imported where nothing is to be done."""
    (tmp_path / "no_torch").mkdir()
    (tmp_path / "no_torch" / "torch.py").write_text("raise ImportError('torch was imported')\n")

    again = continued.train("--num_trials=2", PYTHONPATH=str(tmp_path / "no_torch"))

    assert again.code == 0, again


def test_a_raised_number_of_trials_runs_exactly_the_new_one(continued: Workbench) -> None:
    run = continued.run_folder()
    before = {trial.seed: tree_of(trial.path) for trial in run.trials()}

    result = continued.train("--num_trials=3")

    assert result.code == 0, result
    assert {seed: tree_of(run.trial(seed).path) for seed in before} == before
    assert attempts_of(run) == {0: 1, 1: 1, 2: 1}
    summary = json.loads(run.summary_json.read_text())
    assert (summary["num_trials"], summary["completed"]) == (3, 3)
    assert summary["results"][f"{EVAL}-full"]["AUC"]["n"] == 3
    assert sorted(summary["results"][f"{EVAL}-full"]["AUC"]["per_seed"]) == ["0", "1", "2"]


def test_another_eval_set_is_assessed_and_nothing_trained(continued: Workbench) -> None:
    run = continued.run_folder()
    csv = {trial.seed: trial.train_csv.read_bytes() for trial in run.trials()}

    result = continued.train("--num_trials=1", "--eval_datasets", f"otb:{EVAL}", f"otb:{TRAIN}")

    assert result.code == 0, result
    first, second = all_events(run.trial(0))
    assert not named(second, "train")
    assert not named(second, "checkpoint")
    # Selection stays on the first set, which has been assessed: only the new one is.
    assert [event["eval_id"] for event in named(second, "assessed")] == [f"{TRAIN}-full"]
    assert {trial.seed: trial.train_csv.read_bytes() for trial in run.trials()} == csv
    assert f"{TRAIN}-full" in result.out


@pytest.mark.parametrize(
    "flags",
    [
        ["--lr_init=2e-3"],
        ["--num_steps=41"],
        ["--batchsz=5"],
        ["--precision=bf16"],
        ["--variant=second"],
        ["--imwidth=64", "--imheight=64"],
        ["--model_params=" + json.dumps(SMALL_MODEL | {"context": 0.4})],
    ],
    ids=lambda flags: flags[0].partition("=")[0],
)
def test_another_way_of_learning_is_another_run(continued: Workbench, flags: list[str]) -> None:
    result = continued.train(*flags, "--dry_run")

    assert result.code == 0, result
    assert result.out.split()[1].rstrip(":") != continued.run_folder().run_id
    assert (
        f"seed 0: does not exist; would train {41 if flags == ['--num_steps=41'] else NUM_STEPS} steps" in result.out
    )


@pytest.mark.parametrize(
    "flags",
    [
        ["--lr_init=0.001"],  # the default, spelled out
        ["--model_params=" + json.dumps(SMALL_MODEL | {"context": 0.5})],
        ["--num_workers=2"],
        ["--period_ckpt=7"],
        ["--optimize_metric=mean_iou"],
        ["--num_trials=2", "--first_seed=0", "--max_parallel=1", "--loglevel=error"],
    ],
    ids=lambda flags: flags[0].partition("=")[0],
)
def test_what_does_not_change_learning_keeps_the_run(continued: Workbench, flags: list[str]) -> None:
    result = continued.train(*flags, "--dry_run")

    assert result.out.split()[1].rstrip(":") == continued.run_folder().run_id
    assert f"seed 0: complete at step {NUM_STEPS}; nothing to do" in result.out, result


@pytest.fixture
def edited(continued: Workbench, repository: Path, tmp_path: Path) -> Workbench:
    """The finished run, and a copy of the package that a test may edit."""
    shutil.copytree(repository / "seqtrack", tmp_path / "package" / "seqtrack")
    return Workbench(continued.folder, tmp_path / "package", continued.tars)


def edit(bench: Workbench, name: str) -> None:
    with (bench.package / name).open("a") as file:
        file.write("\n# edited\n")


def test_an_edited_model_stops_and_names_the_two_choices(edited: Workbench) -> None:
    edit(edited, "seqtrack/models/losses.py")
    before = tree_of(edited.cache)

    result = edited.train("--num_trials=2")

    assert result.code == 2, result
    (line,) = result.err.splitlines()
    assert "seqtrack/models/losses.py" in line
    assert "--accept_changes" in line
    assert "--variant" in line
    assert tree_of(edited.cache) == before
    assert edited.train("--dry_run").code == 2


def test_an_accepted_change_is_reused_noted_and_asked_once(edited: Workbench) -> None:
    edit(edited, "seqtrack/models/losses.py")

    accepted = edited.train("--num_trials=2", "--accept_changes")

    assert accepted.code == 0, accepted
    run = edited.run_folder()
    assert attempts_of(run) == {0: 1, 1: 1}  # reused, not made again
    notes = json.loads(run.summary_json.read_text())["notes"]
    for seed in (0, 1):
        assert any(f"seed {seed}" in note and "seqtrack/models/losses.py" in note for note in notes), notes
    later = edited.train("--num_trials=2")
    assert later.code == 0, later
    assert json.loads(run.summary_json.read_text())["notes"] == notes


def test_another_change_after_an_accepted_one_is_asked_again(edited: Workbench) -> None:
    edit(edited, "seqtrack/models/losses.py")
    assert edited.train("--num_trials=2", "--accept_changes").code == 0

    edit(edited, "seqtrack/models/losses.py")

    assert edited.train("--num_trials=2").code == 2


def test_a_variant_gives_fresh_results_beside_the_old(edited: Workbench) -> None:
    edit(edited, "seqtrack/models/losses.py")

    result = edited.train("--variant=edited", "--dry_run")

    assert result.code == 0, result
    assert edited.run_folder().run_id not in result.out
    assert "seed 0: does not exist" in result.out


def test_edited_assessment_code_stops_too(edited: Workbench) -> None:
    edit(edited, "seqtrack/assessment/metrics.py")

    result = edited.train()

    assert result.code == 2, result
    (line,) = result.err.splitlines()
    assert "assessed before" in line
    assert "seqtrack/assessment/metrics.py" in line


def test_code_without_a_say_in_the_numbers_may_change(edited: Workbench) -> None:
    for name in ("cluster/local.py", "reporting/tables.py", "tools/train.py"):
        edit(edited, f"seqtrack/{name}")

    assert edited.train("--num_trials=2").code == 0


@pytest.fixture
def own_tars(continued: Workbench, tmp_path: Path) -> Workbench:
    """The finished run, with a copy of its tars that a test may replace."""
    tars = tmp_path / "own_tars"
    shutil.copytree(continued.tars, tars)
    return Workbench(continued.folder, continued.package, tars)


def other_frames(bench: Workbench, name: str) -> None:
    """A tar with the same annotations whose frames are others: generated from another seed, then swapped in."""
    import io
    import tarfile

    path = bench.tars / "original" / f"{name}.tar"
    members = []
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            members.append((member, content.read() if content else b""))
    frames = [data for member, data in members if member.name.endswith(".jpg")]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members:
            data = frames.pop() if member.name.endswith(".jpg") else data
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(("name", "what"), [(TRAIN, "was made before"), (EVAL, "was assessed before")])
def test_a_replaced_tar_stops_and_names_the_data_set(own_tars: Workbench, name: str, what: str) -> None:
    """The new tar has the same annotations, so only its frames tell."""
    assert own_tars.train("--num_trials=2").code == 0
    other_frames(own_tars, name)

    result = own_tars.train("--num_trials=2")

    assert result.code == 2, result
    assert len(result.err.splitlines()) == 1
    assert what in result.err
    assert f"data changed: {name}" in result.err
    assert "--accept_changes" in result.err
    assert "--variant" in result.err


def test_a_copied_tar_is_the_same_data(own_tars: Workbench) -> None:
    """Content counts: not the path, not the time."""
    for path in own_tars.tars.rglob("*.tar"):
        path.touch()

    assert own_tars.train("--num_trials=2").code == 0


def test_replaced_weights_under_the_same_path_are_another_run(bench: Workbench, finished: Workbench) -> None:
    run, path = finished.run_folder(), bench.folder / "start.safetensors"
    named_by = {
        "init_from": f"--init_from={path}",
        "feature_model_file": "--model_params=" + json.dumps(SMALL_MODEL | {"feature_model_file": str(path)}),
    }
    weights = [run.trial(seed).checkpoint(NUM_STEPS).model for seed in (0, 1)]
    for flag in named_by.values():
        shutil.copyfile(weights[0], path)
        first = bench.run_id(flag)
        shutil.copyfile(weights[1], path)
        second = bench.run_id(flag)
        shutil.copyfile(weights[0], path)

        assert first != second
        assert bench.run_id(flag) == first


def test_the_same_weights_under_another_path_are_the_same_run(bench: Workbench, finished: Workbench) -> None:
    weights = finished.run_folder().trial(0).checkpoint(NUM_STEPS).model
    ids = set()
    for name in ("a.safetensors", "b.safetensors"):
        shutil.copyfile(weights, bench.folder / name)
        ids.add(bench.run_id(f"--init_from={name}"))

    assert len(ids) == 1


def test_training_can_start_from_a_trial_of_another_run(continued: Workbench) -> None:
    """With no steps to train, the weights of the new run are those that it started from."""
    source = continued.run_folder()

    result = continued.train("--num_steps=0", f"--init_from={source.run_id}:1:{NUM_STEPS}", "--name=start")

    assert result.code == 0, result
    run = RunFolder(Path(result.out.splitlines()[-1].removeprefix("results: ")))
    assert run.run_id != source.run_id
    assert events.read_last(run.submissions)["execution"]["name"] == "start"  # type: ignore[index]
    start = run.trial(0).checkpoint(0).model.read_bytes()
    assert start == source.trial(1).checkpoint(NUM_STEPS).model.read_bytes()
    assert trained_attempts(run.trial(0)) == 1


def test_sequences_that_ope_has_tracked_are_not_tracked_again_for_tre(
    continued: Workbench, bench: Workbench, finished: Workbench
) -> None:
    result = continued.train("--num_trials=2", "--eval_tre_num=3")
    assert result.code == 0, result
    trial = continued.run_folder().trial(0)
    reused = named(all_events(trial)[-1], "reused")
    assert [(event["sequence"], event["start"]) for event in reused] == [("Eval001", 0), ("Eval002", 0)]
    # As measured afresh: the folder of the first assessment is gone before the second.
    fresh = Workbench(bench.folder / "fresh", bench.package, bench.tars).adopt(finished)
    for folder in fresh.cache.glob("*/seed_*/assess"):
        shutil.rmtree(folder)
    again = fresh.train("--num_trials=2", "--eval_tre_num=3")
    assert again.code == 0, again
    for path in fresh.cache.glob("*/seed_*/assess/*/step_*/*"):
        if path.name != "speed.json":
            assert (continued.cache / path.relative_to(fresh.cache)).read_bytes() == path.read_bytes()


def test_a_trial_goes_on_validating_on_what_it_started_with(bench: Workbench) -> None:
    """Else the column of its train.csv would change its meaning midway."""
    flags = [f"--val_dataset=otb:{EVAL}", "--num_steps=10"]
    assert bench.train(*flags).code == 0
    trial = bench.run_folder().trial(0)
    before = trial.train_csv.read_bytes()
    shutil.rmtree(trial.checkpoint(10).path)  # as if it had been killed on the way
    shutil.rmtree(trial.path / "assess")

    result = bench.train("--num_steps=10")

    assert result.code == 0, result
    assert trial.train_csv.read_bytes() == before
    assert b"val_loss" in before
    log = trial.attempts()[-1].log.read_text()
    assert f"--val_dataset stays otb:{EVAL}, with which this trial started" in log


def test_two_eval_sets_of_one_name_are_not_taken_for_one(bench: Workbench) -> None:
    result = bench.train("--eval_datasets", f"otb:{EVAL}", f"clean:{EVAL}", "--dry_run")
    assert (result.code, result.err) == (
        2,
        f"error: --eval_datasets: otb:{EVAL} and clean:{EVAL} would both be called {EVAL}-full;"
        " rename one of the folders\n",
    )
