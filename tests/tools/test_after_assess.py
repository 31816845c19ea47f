"""What ``seqtrack assess RUN`` leaves behind and says on the way: on made-up runs, where nothing is tracked."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

import seqtrack
from seqtrack.cluster.driver import Outcome
from seqtrack.pipeline import reassess
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request, read_submission
from seqtrack.pipeline.summarise import summarise
from seqtrack.runs import attempts
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.paths import RunFolder
from seqtrack.tools import train
from seqtrack.tools.status import main
from tests import madeup

ONE_STEP = {"steps": (100,), "eval_sets": {"uav123": 3}, "frames": 12}


def test_the_run_s_own_command_shows_what_was_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below what it asked for; the summary stays what the command asked for."""
    run = madeup.write_run(tmp_path, seeds=2, **ONE_STEP)
    before = run.summary_json.read_bytes()
    madeup.assess_later(run, {"otb:toy": 2}, seeds=[1])
    request = read_submission(run)
    train._print_outcome(request, summarise(request), Outcome({}, set(), {}))
    lines = capsys.readouterr().out.splitlines()
    assert "convention: otb (uav123-full, toy-full)" in lines
    auc = seqtrack.load_run(run.path).scores.query("eval_id == 'toy-full' and metric == 'AUC'")["value"].item()
    assert ["toy-full", "AUC", f"{auc:.3f}", "1", "1:", f"{auc:.3f}"] in [line.split() for line in lines]
    assert (
        "note: toy-full: assessed later by seqtrack assess (or by an earlier command), not in the run's summary;"
        " 1 of 2 trials have it" in lines
    )
    assert run.summary_json.read_bytes() == before


def test_what_was_added_and_is_damaged_does_not_cost_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = madeup.write_run(tmp_path, seeds=1, **ONE_STEP)
    madeup.assess_later(run, {"otb:toy": 2}, seeds=[0])
    (damaged,) = run.trial(0).path.glob("assess/toy-full/*/summary.json")
    damaged.write_text("{")
    request = read_submission(run)
    train._print_outcome(request, summarise(request), Outcome({}, set(), {}))
    lines = capsys.readouterr().out.splitlines()
    assert "convention: otb (uav123-full)" in lines
    assert [line for line in lines if line.startswith(f"note: what was assessed later is not shown: {damaged}: ")]
    assert lines[-1] == f"results: {run.path}"


def test_of_a_finished_run_status_says_that_an_assessment_died(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that the run is as finished as before."""
    run = madeup.write_run(tmp_path, seeds=2, **ONE_STEP)
    dead = attempts.Owner.current("assess")
    monkeypatch.setattr(attempts.Owner, "current", lambda stage: replace(dead, pid=2**22 + 1))
    begin(run, 1, monkeypatch)
    assert main([f"--cache_dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 trials done\n" in out
    assert (
        "seed 1 done; since then seqtrack assess was killed at toy-full at step 100: 3/24 frames; the same command"
        " goes on\n" in out
    )
    assert "died" not in out
    assert main([f"--cache_dir={tmp_path}", "--all"]) == 0
    assert "2 done" in capsys.readouterr().out


class Killed(BaseException):
    """Nothing that is done at the end is done."""


def begin(run: RunFolder, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``seqtrack assess RUN --seed K``, killed in its first sequence."""

    def killed(request: Request, attempt: Attempt, work: Assessment, should_stop: object) -> None:
        attempt.event("assess", eval_id=work.eval_set.eval_id, step=work.step, done=3, total=24)
        monkeypatch.setattr(attempt, "event", lambda *_, **__: None)
        raise Killed

    monkeypatch.setattr("seqtrack.pipeline.assess_trial.assess", killed)
    monkeypatch.setattr("seqtrack.data.datasets.prepare", lambda *_: None)
    monkeypatch.setattr("seqtrack.data.datasets.fingerprint", lambda *_: {})
    run.trial(seed).checkpoint(100).path.mkdir(parents=True)
    request = reassess.request_for(run, {"eval_datasets": ["otb:toy"], "eval_samplers": ["full"]})
    chosen = reassess.selected(run, [seed])
    with pytest.raises(Killed):
        reassess.assess(request, chosen, print, lambda title: contextlib.nullcontext(lambda done, total: None))
