"""What the disk says of a trial, and what a queue adds to it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from seqtrack.runs import events
from seqtrack.runs.paths import TrialFolder
from seqtrack.runs.status import Queue, TrialStatus, trial_status
from tests.handmade import STARTED, Task, assess, assessed, attempt, checkpoint, end, job, progress, train

LEDGER = [job("12", "train"), job("13", "assess")]
NOW = STARTED + 1e6


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    return TrialFolder(tmp_path / "seed_1")


def queue(*tasks: Task, asked: float = NOW) -> Queue:
    return Queue.of(tasks, asked)


# The disk alone.


def test_no_attempt_and_nothing_handed_over(trial: TrialFolder) -> None:
    assert trial_status(trial) == TrialStatus(1, "waiting")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], TrialStatus(1, "starting")),
        ([train(40)], TrialStatus(1, "training", 40, 1000)),
        ([train(), progress(300)], TrialStatus(1, "training", 300, 1000, 0.5, 10.0)),
        ([train(), progress(300), checkpoint(320)], TrialStatus(1, "training", 320, 1000, 0.5, 10.0)),
        (
            [train(), progress(1000), assess()],
            TrialStatus(1, "assessing", 1000, 1000, 0.5, 10.0, None, "otb_50-full at step 1000: 5/24 frames"),
        ),
        ([train(), end("failed", "a bug")], TrialStatus(1, "failed", 0, 1000, detail="a bug")),
        ([train(), end("interrupted")], TrialStatus(1, "interrupted", 0, 1000)),
        ([end("superseded", "by attempt 1")], TrialStatus(1, "superseded", detail="by attempt 1")),
        ([assessed(0.6), end("done")], TrialStatus(1, "done", score=("otb_50-full", "AUC", 0.6))),
    ],
)  # fmt: skip
def test_the_events_add_up(trial: TrialFolder, told: list[dict[str, object]], expected: TrialStatus) -> None:
    attempt(trial, *told, is_here=True)
    assert trial_status(trial) == replace(expected, attempt=0, stage="all")


@pytest.mark.parametrize("before", ["done", "failed"])
def test_an_assessment_by_the_way_leaves_a_trial_where_it_was(trial: TrialFolder, before: str) -> None:
    """``seqtrack assess`` of a trial: while it lives, and once it was killed, which is no restart of the trial."""
    attempt(trial, train(), assessed(0.6), end(before, "a bug" if before == "failed" else None))
    start = {"event": "start", "stage": "assess", "before": {"state": before, "error": None}}
    killed = attempt(trial, start, assess(), stage="assess")
    assert trial_status(trial).state == "assessing"
    os.utime(killed.heartbeat, (0, 0))
    found = trial_status(trial)
    assert (found.state, found.score) == (before, ("otb_50-full", "AUC", 0.6))
    assert found.detail == (
        "seqtrack assess was killed at otb_50-full at step 1000: 5/24 frames; the same command goes on"
    )
    restarts = found.restarts
    attempt(trial, start, assess(), assessed(0.5), end(before), stage="assess")
    found = trial_status(trial)
    assert (found.state, found.detail, found.restarts) == (before, "", restarts if before == "done" else 2)


def test_without_a_process_or_a_heartbeat_it_died(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(300), beats=False)
    assert trial_status(trial).state == "died"
    assert trial_status(trial).step == 300
    assert trial_status(trial).seconds_left is None


def test_time_left_is_that_of_training(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(300, rate=7.0))
    assert trial_status(trial).seconds_left == 100.0


def test_an_assess_attempt_knows_what_training_came_to(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(400, loss=0.9), end("interrupted"), job="12_1", stage="train", node="node1")
    attempt(trial, train(400), progress(1000, loss=0.3), end("done"), job="12_1", stage="train", node="node1")
    attempt(trial, assessed(0.61), assess(), job="13_1", stage="assess", node="node3")

    status = trial_status(trial)

    assert (status.state, status.step, status.total, status.loss) == ("assessing", 1000, 1000, 0.3)
    assert status.score == ("otb_50-full", "AUC", 0.61)
    assert (status.stage, status.attempt, status.node, status.job) == ("assess", 2, "node3", "13_1")


def test_the_latest_score_outlives_its_attempt(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(1000), assessed(0.5), assessed(0.6), end("interrupted"))
    attempt(trial)
    assert trial_status(trial).score == ("otb_50-full", "AUC", 0.6)
    assert trial_status(trial).step == 1000


def test_a_restart_is_an_attempt_after_one_that_did_not_end_well(trial: TrialFolder) -> None:
    attempt(trial, train(), beats=False)  # killed
    attempt(trial, train(), end("interrupted"), stage="train")
    attempt(trial, train(), end("done"), stage="train")
    attempt(trial, assess(), stage="assess")  # goes on as planned
    assert trial_status(trial).restarts == 2


def test_trained_is_not_done(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(1000), end("done"), stage="train")
    assert trial_status(trial).state == "trained"
    attempt(trial, assessed(0.6), end("done"), stage="assess")
    assert trial_status(trial).state == "done"


def test_the_node_is_that_of_a_job_or_of_another_machine(trial: TrialFolder) -> None:
    attempt(trial, is_here=True, node="vm")
    assert trial_status(trial).node == ""
    attempt(trial, is_here=True, node="node2", job="12_1")
    assert trial_status(trial).node == "node2"
    attempt(trial, node="elsewhere")
    assert trial_status(trial).node == "elsewhere"


def test_a_long_assessment_does_not_hide_the_training_before_it(trial: TrialFolder) -> None:
    folder = attempt(trial, train(), progress(1000))
    for done in range(900):  # more than is read of a tail
        events.append(folder.events, assess(done))
    assert folder.events.stat().st_size > events.TAIL_BYTES
    status = trial_status(trial)
    assert (status.state, status.step, status.total, status.loss) == ("assessing", 1000, 1000, 0.5)


def test_what_is_appended_is_seen(trial: TrialFolder) -> None:
    folder = attempt(trial, train())
    for step in (100, 200):
        events.append(folder.events, progress(step))
        assert trial_status(trial).step == step


# With what was handed to SLURM.


def test_handed_over_and_not_begun_is_queued(trial: TrialFolder) -> None:
    status = trial_status(trial, LEDGER)
    assert (status.state, status.detail, status.job) == ("queued", "", "12_1")
    # An intent without an id, or a job of other seeds, is none of its.
    assert trial_status(trial, [job(None, "train"), job("14", "train", (0, 2))]).state == "waiting"


def test_the_queue_gives_the_reason(trial: TrialFolder) -> None:
    status = trial_status(trial, LEDGER, queue(Task("12_1", reason="Priority"), Task("13_1", reason="Dependency")))
    assert (status.state, status.detail) == ("queued", "waits for Priority")


def test_it_starts_before_it_says_so(trial: TrialFolder) -> None:
    status = trial_status(trial, LEDGER, queue(Task("12_1", "RUNNING", "None", "node3"), Task("13_1")))
    assert (status.state, status.node, status.job) == ("starting", "node3", "12_1")


def test_while_an_attempt_is_at_work_nothing_is_queued(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(300), job="12_1", stage="train")
    for known in (None, queue(Task("12_1", "RUNNING"), Task("13_1"))):
        assert trial_status(trial, LEDGER, known).state == "training"


def test_trained_and_its_assessment_queued(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(1000), end("done"), job="12_1", stage="train")

    status = trial_status(trial, LEDGER)
    assert (status.state, status.detail, status.job, status.step) == ("queued", "to be assessed", "13_1", 1000)
    assert status.node == ""  # it may be any
    status = trial_status(trial, LEDGER, queue(Task("13_1", reason="Resources")))
    assert (status.state, status.detail) == ("queued", "to be assessed, waits for Resources")
    status = trial_status(trial, LEDGER, queue())
    assert (status.state, status.detail) == ("trained", "its assessment left SLURM's queue before it began")


def test_a_failed_training_has_nothing_queued_behind_it(trial: TrialFolder) -> None:
    attempt(trial, train(), end("failed", "a bug"), job="12_1", stage="train")
    assert trial_status(trial, LEDGER).state == "failed"
    assert trial_status(trial, LEDGER, queue(Task("13_1", reason="DependencyNeverSatisfied"))).state == "failed"
    # Until the same command hands it over again.
    again = [*LEDGER, job("15", "train", (1,), NOW), job("16", "assess", (1,), NOW)]
    assert trial_status(trial, again).state == "queued"
    assert trial_status(trial, again).job == "15_0"


@pytest.mark.parametrize("last", [[train(), end("interrupted")], [train(), progress(200)]])
def test_slurm_starts_it_again(trial: TrialFolder, last: list[dict[str, object]]) -> None:
    """A requeue has the old name. The disk alone knows nothing of it."""
    attempt(trial, *last, job="12_1", stage="train", beats=False)
    assert trial_status(trial, LEDGER).state in ("interrupted", "died")
    status = trial_status(trial, LEDGER, queue(Task("12_1", reason="BeginTime"), Task("13_1", reason="Dependency")))
    assert (status.state, status.detail, status.job) == ("queued", "waits for BeginTime", "12_1")


def test_a_fresh_heartbeat_without_a_job_is_dead(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(200), job="12_1", stage="train")
    assert trial_status(trial, LEDGER, queue(Task("13_1"))).state == "died"
    # What was handed over after the queue was asked is not known to it; nor does SLURM speak for other processes.
    assert trial_status(trial, LEDGER, queue(asked=STARTED - 100)).state == "training"
    attempt(trial, train(), progress(300))
    assert trial_status(trial, LEDGER, queue()).state == "training"


def test_a_silent_heartbeat_with_a_job_that_runs_is_only_silent(trial: TrialFolder) -> None:
    attempt(trial, train(), progress(200), job="12_1", stage="train", beats=False)
    status = trial_status(trial, LEDGER, queue(Task("12_1", "RUNNING", "None", "node2")))
    assert (status.state, status.detail) == ("training", "silent, but SLURM says that it runs")


def test_gone_from_the_queue_before_it_began(trial: TrialFolder) -> None:
    status = trial_status(trial, LEDGER, queue())
    assert (status.state, status.detail) == ("died", "left SLURM's queue before it began")
    assert trial_status(trial, LEDGER, queue(asked=STARTED - 100)).state == "queued"


def test_done_and_asked_for_more(trial: TrialFolder) -> None:
    attempt(trial, train(), assessed(0.6), end("done"))
    more = [job("20", "assess", (1,), NOW)]
    assert trial_status(trial, more).state == "queued"
    assert trial_status(trial, more, queue(Task("20_0"), asked=NOW + 1)).state == "queued"
    assert trial_status(trial, more, queue(asked=NOW + 1)).state == "done"
    # What was handed over before is what it has done, whatever its attempt was called.
    assert trial_status(trial, LEDGER).state == "done"
