"""Why a trial ended, from what it said, from accounting, and from SLURM's own file of its task."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from seqtrack.cluster.causes import Cause, Facts, cause, explain
from seqtrack.cluster.slurm_queue import Ending
from seqtrack.runs.paths import RunFolder
from tests.handmade import STARTED, attempt, end, job, train

GOES_ON = "the same command goes on from step 500"
LOG = ("step 499", "step 500")

# As slurmstepd 22.05 writes it, and others do.
AT = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(STARTED + 3600))
EARLIER = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(STARTED - 3600))
TIME_LIMIT = f"slurmstepd-node1: error: *** JOB 12 ON node1 CANCELLED AT {AT} DUE TO TIME LIMIT ***"
STEP_TIME_LIMIT = f"slurmstepd: error: *** STEP 12.0 ON node1 CANCELLED AT {AT} DUE TO TIME LIMIT ***"
PREEMPTED = f"slurmstepd-node1: error: *** JOB 12 ON node1 CANCELLED AT {AT} DUE TO PREEMPTION ***"
NODE_FAILURE = (
    f"slurmstepd: error: *** JOB 12 ON node3 CANCELLED AT {AT} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***"
)
SCANCEL = f"slurmstepd-node1: error: *** JOB 12 ON node1 CANCELLED AT {AT} ***"
REQUEUE = f"slurmstepd: error: *** JOB 12 ON node1 CANCELLED AT {AT} DUE TO JOB REQUEUE ***"
OOM = "slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch. Some of the step tasks have been OOM Killed."
OLD_OOM = (
    "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch cgroup. Some of your processes may have"
    " been killed by the cgroup out-of-memory handler."
)


def facts(**more: object) -> Facts:
    return Facts(**{"node": "node2", "since": STARTED, "saved": 500, "log": LOG, **more})  # type: ignore[arg-type]


# Accounting and the file tell the same deaths: (state by sacct, its node, lines in the file, text, node that failed).
DEATHS = [
    (Ending("OUT_OF_MEMORY", "node2", "0:125"), [OOM],
     "out of memory on node2 (SLURM: OUT_OF_MEMORY): give more with --slurm_flags mem=…", None),
    (Ending("OUT_OF_MEMORY", "node2", "0:125"), [OLD_OOM],
     "out of memory on node2 (SLURM: OUT_OF_MEMORY): give more with --slurm_flags mem=…", None),
    (Ending("TIMEOUT", "node1", "0:0"), [TIME_LIMIT],
     f"time limit reached on node1; {GOES_ON} (more time: --slurm_flags time=…)", None),
    (Ending("TIMEOUT", "node1", "0:0"), ["some words", STEP_TIME_LIMIT, "more words"],
     f"time limit reached on node1; {GOES_ON} (more time: --slurm_flags time=…)", None),
    (Ending("PREEMPTED", "node1", "0:0"), [PREEMPTED],
     f"preempted on node1, and this site cancels what it preempts (PreemptMode=CANCEL); {GOES_ON}", None),
    (Ending("NODE_FAIL", "node3", "0:0"), [NODE_FAILURE],
     f"node3 failed (SLURM: NODE_FAIL); {GOES_ON}", "node3"),
    (Ending("CANCELLED", "node1", "0:0"), [SCANCEL], f"cancelled with scancel; {GOES_ON}", None),
]  # fmt: skip


@pytest.mark.parametrize("interrupted", [False, True], ids=["killed", "saved first"])
@pytest.mark.parametrize(("ending", "said", "text", "node"), DEATHS)
def test_deaths_by_accounting_or_by_the_file(
    ending: Ending, said: list[str], text: str, node: str | None, interrupted: bool
) -> None:
    last = end("interrupted") if interrupted else None
    expected = Cause(text, node, False, LOG)
    assert explain(facts(end=last, ending=ending)) == expected
    assert explain(facts(end=last, said=said)) == expected


def test_accounting_says_who_cancelled() -> None:
    found = explain(facts(ending=Ending("CANCELLED by 0", "node1", "0:0")))
    assert found is not None
    assert found.text == f"cancelled with scancel by root; {GOES_ON}"


def test_what_the_trial_itself_said_comes_first() -> None:
    failed = end("failed", "ZeroDivisionError: a bug")
    assert explain(facts(end=failed, ending=Ending("FAILED", "node2", "1:0"))) == Cause(
        "ZeroDivisionError: a bug", None, False, LOG
    )
    # Accounting adds why a loader worker vanished.
    found = explain(facts(end=end("failed", "RuntimeError: DataLoader worker was killed"), said=[OOM]))
    assert found is not None
    assert found.text == (
        "RuntimeError: DataLoader worker was killed (out of memory on node2 (SLURM: OUT_OF_MEMORY): give more with"
        " --slurm_flags mem=…)"
    )


def test_a_mistake_needs_no_log() -> None:
    failed = end("failed", "otb_50.tar: frame 3 of Basketball is broken", mistake=True)
    assert explain(facts(end=failed)) == Cause("otb_50.tar: frame 3 of Basketball is broken", None, True, ())


def test_an_assessment_asks_for_its_own_flags_and_has_no_step() -> None:
    found = explain(facts(stage="assess", said=[TIME_LIMIT]))
    assert found is not None
    assert found.text == (
        "time limit reached on node1; the same command goes on (more time: --slurm_assess_flags time=…)"
    )


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, f"killed without a word on node2; {GOES_ON}"),
        ({"node": "", "saved": None}, "killed without a word; the same command starts it again"),
        ({"ending": Ending("FAILED", "node2", "0:9")}, f"killed by SIGKILL on node2 (out of memory?); {GOES_ON}"),
        ({"ending": Ending("FAILED", "node2", "0:11")}, f"killed by SIGSEGV on node2; {GOES_ON}"),
        ({"said": [REQUEUE]}, f"killed without a word on node1; {GOES_ON}"),
        ({"end": end("interrupted")}, f"asked to stop; what it had is saved: {GOES_ON}"),
        (
            {"end": end("interrupted"), "ending": Ending("FAILED", "node2", "75:0")},
            f"asked to stop; what it had is saved: {GOES_ON}",
        ),
    ],
)
def test_without_a_word_of_slurm(known: dict[str, object], text: str) -> None:
    assert explain(facts(**known)) == Cause(text, None, False, LOG)


def test_words_about_an_earlier_start_are_not_about_this_one() -> None:
    """SLURM's file goes on over restarts."""
    old = PREEMPTED.replace(AT, EARLIER)
    found = explain(facts(said=[OOM, old]))
    assert found is not None
    assert found.text.startswith("killed without a word on node2")
    found = explain(facts(said=[old, TIME_LIMIT]))
    assert found is not None
    assert found.text.startswith("time limit reached on node1")


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "REQUEUED", "COMPLETING"])
def test_what_goes_on_has_no_cause(state: str) -> None:
    assert explain(facts(end=end("interrupted"), ending=Ending(state, ""))) is None


@pytest.mark.parametrize(
    ("said", "ending", "expected"),
    [
        (["error: --data_dir: no such folder"], None, Cause("--data_dir: no such folder", None, True, ())),
        (
            ["error: --data_dir: no such folder"],
            Ending("FAILED", "node1", "2:0"),
            Cause("--data_dir: no such folder", None, True, ()),
        ),
        (
            ["error: cannot read"],
            Ending("FAILED", "node1", "1:0"),
            Cause("cannot read", None, False, ("error: cannot read",)),
        ),
        (
            ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'torch'", ""],
            None,
            Cause(
                "it failed before it began: ModuleNotFoundError: No module named 'torch'",
                None,
                False,
                ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'torch'", ""),
            ),
        ),
        (
            ["slurm_script: line 14: exec: python3: not found"],
            Ending("FAILED", "node1", "127:0"),
            Cause(
                "it failed before it began: slurm_script: line 14: exec: python3: not found",
                None,
                False,
                ("slurm_script: line 14: exec: python3: not found",),
            ),
        ),
        (
            [],
            Ending("FAILED", "node1", "1:0"),
            Cause(f"it failed before it began (SLURM: FAILED, exit code 1:0); {GOES_ON}"),
        ),
        ([], Ending("FAILED", "node1", "3:0"), Cause(f"another process was at work on it; {GOES_ON}")),
        ([], Ending("CANCELLED by 0", ""), Cause(f"cancelled with scancel by root; {GOES_ON}")),
        ([], Ending("NODE_FAIL", "node1"), Cause(f"node1 failed (SLURM: NODE_FAIL); {GOES_ON}", "node1")),
        ([], Ending("COMPLETED", "node1", "0:0"), None),  # it found nothing left to do
        ([], None, Cause(f"it left SLURM's queue before it began, without a word; {GOES_ON}")),
    ],
)
def test_it_never_came_to_an_attempt(said: list[str], ending: Ending | None, expected: Cause | None) -> None:
    known = facts(has_begun=False, said=said, ending=ending, node="", log=())
    assert explain(known) == expected


# From the disk.


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "0123456789ab")
    found.slurm.mkdir(parents=True)
    return found


def text_of(found: Cause | None) -> str:
    assert found is not None
    return found.text


def test_the_file_of_the_task_is_read(run: RunFolder) -> None:
    attempt(run.trial(1), train(), job="12_1", stage="train", beats=False, log="one\ntwo\n")
    run.trial(1).checkpoint(500).path.mkdir(parents=True)
    (run.slurm / "12_1.out").write_text(f"words\n{NODE_FAILURE}\n")
    found = cause(run, 1, [job("12", "train"), job("13", "assess")], {})
    assert found == Cause(f"node3 failed (SLURM: NODE_FAIL); {GOES_ON}", "node3", False, ("one", "two"))


def test_a_heartbeat_that_is_fresh_still_is_no_life(run: RunFolder) -> None:
    """It is asked of what has left the queue."""
    attempt(run.trial(1), train(), job="12_1", stage="train")
    assert text_of(cause(run, 1, [job("12", "train")], {})).startswith("killed without a word on node2")
    # Of a process that is no job of SLURM's the heartbeat is all there is.
    attempt(run.trial(0), train())
    assert cause(run, 0, [], {}) is None


def test_at_rest_and_all_right(run: RunFolder) -> None:
    assert cause(run, 1, [], {}) is None
    attempt(run.trial(1), train(), end("done"), job="12_1", stage="train")
    assert cause(run, 1, [job("12", "train")], {}) is None
    attempt(run.trial(1), end("done"), job="13_1", stage="assess")
    assert cause(run, 1, [job("12", "train"), job("13", "assess")], {}) is None


def test_an_older_failure_is_not_why_the_newest_job_never_began(run: RunFolder) -> None:
    attempt(run.trial(1), end("failed", "an old story"), job="12_1", stage="train")
    ledger = [job("12", "train"), job("13", "assess"), job("20", "train"), job("21", "assess")]
    assert text_of(cause(run, 1, ledger[:2], {})) == "an old story"
    found = cause(run, 1, ledger, {"20_1": Ending("CANCELLED by 0", "")})
    assert text_of(found) == "cancelled with scancel by root; the same command starts it again"


def test_the_index_job_failed(run: RunFolder) -> None:
    ledger = [
        job("10", "index", ()),
        job("12", "train", after="afterok:10"),
        job("13", "assess", after="aftercorr:12"),
    ]
    (run.slurm / "10.out").write_text("error: /data/otb_50.tar: Basketball has no groundtruth_rect.txt\n")

    found = cause(run, 1, ledger, {})
    assert text_of(found) == "the index job failed: /data/otb_50.tar: Basketball has no groundtruth_rect.txt"
    assert found is not None
    assert found.is_mistake

    found = cause(run, 1, ledger, {"10": Ending("TIMEOUT", "node1"), "12_1": Ending("CANCELLED", "")})
    assert text_of(found).startswith("the index job failed: time limit reached on node1")


def test_an_index_job_that_only_spoke_is_not_to_blame(run: RunFolder) -> None:
    ledger = [job("10", "index", ()), job("12", "train", after="afterok:10")]
    (run.slurm / "10.out").write_text("otb_50: building the index\n")
    assert text_of(cause(run, 1, ledger, {})).startswith("it left SLURM's queue before it began")


def test_not_assessed_because_the_training_ended_badly_after_all(run: RunFolder) -> None:
    attempt(run.trial(1), train(), end("done"), job="12_1", stage="train")
    ledger = [job("12", "train"), job("13", "assess", after="aftercorr:12")]
    found = cause(run, 1, ledger, {"12_1": Ending("NODE_FAIL", "node1"), "13_1": Ending("CANCELLED", "")})
    assert (
        text_of(found) == "its training failed (SLURM: NODE_FAIL), so it was not assessed; the same command goes on"
    )


def test_on_this_machine(run: RunFolder) -> None:
    attempt(run.trial(0), train(), beats=False, log="last words\n")
    assert cause(run, 0, [], {}) == Cause(
        "killed without a word on node2; the same command starts it again", None, False, ("last words",)
    )
