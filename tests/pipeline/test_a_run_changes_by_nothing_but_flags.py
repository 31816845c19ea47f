"""What is deleted, damaged or edited behind the back of a run changes no number silently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.workbench import NUM_STEPS, PERIOD_CKPT, TRAIN, Workbench, results_of, table_of

EVERY_CHECKPOINT = f"--period_assess={PERIOD_CKPT}"


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory, tars: Path, repository: Path) -> Workbench:
    """A finished seed, selected among all its checkpoints. Not to be changed."""
    found = Workbench(tmp_path_factory.mktemp("selected"), repository, tars)
    result = found.train(EVERY_CHECKPOINT)
    assert result.code == 0, result
    return found


def test_deleted_checkpoints_that_were_assessed_leave_the_table_alone(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    trial = bench.run_folder().trial(0)
    before = bench.run_folder().summary_json.read_bytes()
    for folder in trial.checkpoints().values():
        shutil.rmtree(folder.path)
    result = bench.train(EVERY_CHECKPOINT)
    assert result.code == 0, result
    assert bench.run_folder().summary_json.read_bytes() == before
    assert len(trial.attempts()) == 1


def test_a_damaged_checkpoint_that_training_passes_again_is_replaced(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    run, expected = bench.run_folder(), results_of(selected.run_folder())
    trial = run.trial(0)
    shutil.rmtree(trial.path / "assess")
    for step, folder in trial.checkpoints().items():
        if step > 3 * PERIOD_CKPT:
            shutil.rmtree(folder.path)
    trial.checkpoint(3 * PERIOD_CKPT).model.write_bytes(b"cut")
    result = bench.train(EVERY_CHECKPOINT)
    assert result.code == 0, result
    assert results_of(run) == expected


def test_the_last_checkpoint_found_damaged_by_assessment_is_trained_again(
    bench: Workbench, selected: Workbench
) -> None:
    bench.adopt(selected)
    trial = bench.run_folder().trial(0)
    shutil.rmtree(trial.path / "assess")
    trial.checkpoint(NUM_STEPS).model.write_bytes(b"cut")
    first = bench.train(EVERY_CHECKPOINT)
    assert first.code == 1, first
    assert "it is set aside: the same command goes on from the one before it" in first.err
    second = bench.train(EVERY_CHECKPOINT)
    assert second.code == 0, second
    assert results_of(bench.run_folder()) == results_of(selected.run_folder())


def test_steps_that_were_never_saved_are_named(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    result = bench.train(f"--period_assess={PERIOD_CKPT - 1}")
    assert result.code == 0, result
    assert f"it has no checkpoint of step {PERIOD_CKPT - 1}, " in "\n".join(table_of(result.out))


def test_one_mixture_is_one_run_however_it_is_spelt(bench: Workbench) -> None:
    spellings = [f"otb:{TRAIN}", f'["otb:{TRAIN}"]', f'[[3, "otb:{TRAIN}"]]', f'[[1, ["otb:{TRAIN}"]]]']
    assert len({bench.run_id(f"--train_dataset={spelling}") for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--max_grad_norm=2", "--max_grad_norm: it is the norm that --grad_clip clips at; give that too"),
        ('--motion_params={"translate": 3}', "--motion_params: they belong to --augment_motion; give that too"),
        ("--pool_split=0.5", "--pool_split: neither --train_dataset nor --val_dataset uses pool_train or pool_val"),
        ("--init_from=latest", "--init_from: 'latest' would mean another run next time; give its id, "),
        ("--name=latest", "--name: 'latest' means the run submitted last; choose another name"),
    ],
)
def test_a_flag_that_would_do_nothing_or_drift_is_refused(continued: Workbench, flag: str, message: str) -> None:
    result = continued.train(flag)
    assert (result.code, result.err.startswith(f"error: {message}")) == (2, True), result


def test_a_worker_refuses_other_code_than_the_command_was_given_with(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    run = bench.run_folder()
    shutil.rmtree(run.trial(0).path / "assess")
    records = [json.loads(line) for line in run.submissions.read_text().splitlines()]
    records[-1]["code"]["seqtrack/models/losses.py"] = "0" * 64
    run.submissions.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = bench.run("train_work", str(run.path), "0")
    assert result.code == 2, result
    log = run.trial(0).attempts()[-1].log.read_text()
    assert "code changed since the command was given: seqtrack/models/losses.py; give it again" in log


def test_the_worker_that_finishes_last_writes_the_summary(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    run = bench.run_folder()
    before = run.summary_json.read_bytes()
    run.summary_json.unlink()
    shutil.rmtree(run.trial(0).path / "assess")
    result = bench.run("train_work", str(run.path), "0")
    assert result.code == 0, result
    assert run.summary_json.read_bytes() == before


def test_frames_of_videos_can_be_asked_for_later(bench: Workbench, selected: Workbench) -> None:
    bench.adopt(selected)
    for flags in (["--visualize"], ["--visualize", "--keep_frames"]):
        result = bench.train(EVERY_CHECKPOINT, *flags)
        assert result.code == 0, result
    (videos,) = bench.run_folder().trial(0).path.glob("assess/*/*-videos")
    assert {path.suffix for path in videos.iterdir() if path.name[0] != "."} == {".mp4", ""}
    assert len(list(videos.glob("*/*.jpg"))) == 24
