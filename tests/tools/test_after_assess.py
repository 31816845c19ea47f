"""What ``seqtrack assess RUN`` leaves behind and says on the way: on made-up runs, where nothing is tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

import seqtrack
from seqtrack.cluster.driver import Outcome
from seqtrack.pipeline.request import read_submission
from seqtrack.pipeline.summarise import summarise
from seqtrack.tools import train
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
    auc = seqtrack.load_run(run.path).scores.query("eval_id == 'toy-full' and metric == 'AUC'")["value"].item()
    assert ["toy-full", "AUC", f"{auc:.3f}", "1", "1:", f"{auc:.3f}"] in [line.split() for line in lines]
    assert (
        "note: toy-full: assessed later by seqtrack assess (or by an earlier command), not in the run's summary;"
        " 1 of 2 trials have it" in lines
    )
    assert run.summary_json.read_bytes() == before
