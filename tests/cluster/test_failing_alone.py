"""One trial that fails never costs another its work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqtrack.runs import attempts
from tests.handmade import programs
from tests.workbench import EVAL, NUM_STEPS, Workbench, all_events, named

PLUGIN = '''
"""A tracker of a person's own: SiamFC, but seed 1 meets a bug at step 12."""

import sys

from seqtrack.pipeline import families
from seqtrack.training.siamfc import SiamFCTask
from seqtrack.models.params import parse_model_params

siamfc = families.find("siamfc")


class Task(SiamFCTask):
    def loss(self, batch, step):
        if step == 12 and sys.argv[2] == "1":  # train_work RUN SEED
            raise ZeroDivisionError("a bug of the plug-in")
        return super().loss(batch, step)


class Family:
    resolve_params = staticmethod(siamfc.resolve_params)
    resolve_tracker_params = staticmethod(siamfc.resolve_tracker_params)
    files = staticmethod(siamfc.files)
    tracker = staticmethod(siamfc.tracker)

    def task(self, params, with_files):
        return Task(parse_model_params("siamfc", params))
'''


@pytest.mark.slow
def test_the_others_complete_and_the_cause_is_told(bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "buggy.py").write_text(PLUGIN)
    flags = ["--num_trials=2", "--model=buggy:Family"]

    result = bench.train(*flags, PYTHONPATH=str(folder))

    assert result.code == 1, result
    run = bench.run_folder()
    first, *rest = result.err.splitlines()
    assert first == "seed 1 failed: ZeroDivisionError: a bug of the plug-in"
    assert rest  # the last lines of its log
    assert all(line.startswith("  | ") for line in rest)
    assert rest[-1] == "  | ZeroDivisionError: a bug of the plug-in"
    assert "1 of 2 trials completed" in result.out
    summary = json.loads(run.summary_json.read_text())
    assert (summary["num_trials"], summary["completed"]) == (2, 1)
    done, failed = summary["trials"]
    assert (done["seed"], done["state"], done["selected_step"]) == (0, "completed", NUM_STEPS)
    assert (failed["seed"], failed["state"], failed["selected_step"]) == (1, "failed", None)
    assert failed["error"] == "ZeroDivisionError: a bug of the plug-in"
    assert list(summary["results"][f"{EVAL}-full"]["AUC"]["per_seed"]) == ["0"]

    # Mended, the same command goes on from the checkpoint; the file is part of what is learned, so it asks.
    (folder / "buggy.py").write_text(PLUGIN.replace("step == 12", "step == -1"))
    refused = bench.train(*flags, PYTHONPATH=str(folder))
    assert refused.code == 2, refused
    assert "buggy.py" in refused.err
    accepted = bench.train(*flags, "--accept_changes", PYTHONPATH=str(folder))
    assert accepted.code == 0, accepted
    trial = run.trial(1)
    assert [event["step"] for event in named(all_events(trial)[-1], "train")] == [10]
    assert attempts.ended(trial.attempts()[-1])["state"] == "done"  # type: ignore[index]


def test_a_diverging_loss_says_what_to_do(bench: Workbench) -> None:
    result = bench.train("--lr_init=1e30", "--optimizer=sgd")

    assert result.code == 1, result
    assert "seed 0 failed: the loss is nan at step 4: training diverged; lower --lr_init" in result.err
    assert "0 of 1 trial completed" in result.out


def test_a_tar_that_is_told_to_stop_together_with_its_trial_is_no_failure(bench: Workbench, tmp_path: Path) -> None:
    """SLURM's SIGTERM goes to every process of a job, also to those that a trial has started."""
    told = programs(tmp_path / "bin", tar="kill -TERM $PPID; exit 143")
    flags = ["--untar", f"--tmp_data_dir={tmp_path / 'local'}", "--num_steps=4", "--period_ckpt=4"]

    result = bench.train(*flags, **told)

    assert result.code == 1, result
    assert "asked to stop (SIGTERM)" in result.err
    assert attempts.ended(bench.run_folder().trial(0).attempt(0))["state"] == "interrupted"  # type: ignore[index]
    assert bench.train(*flags).code == 0
