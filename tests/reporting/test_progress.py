"""Progress of trials, on a terminal and in a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from seqtrack.reporting.progress import PlainProgress, counts, describe, duration, progress_table, progress_view
from seqtrack.runs.status import TrialStatus

SCORE = ("otb_50-full", "AUC", 0.6123)
TRAINING = TrialStatus(1, "training", 300, 1000, 0.5, 10.0)
DONE = TrialStatus(0, "done", 1000, 1000, 0.25, 12.5, SCORE)
ON_SLURM = TrialStatus(2, "training", 300, 1000, 0.5, 10.0, None, "", "node2", 1, "train", 1, "12_2")


def lines(renderable: Any, width: int = 160) -> list[str]:
    console = Console(width=width, color_system=None, force_terminal=True, _environ={})
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


def heading(statuses: Sequence[TrialStatus], width: int = 160) -> list[str]:
    return lines(progress_table(statuses, width), width)[0].replace("latest score", "score").split()


def test_trials_on_this_machine() -> None:
    head, _, done, training = lines(progress_table([DONE, TRAINING]))
    assert head.split() == ["seed", "state", "step", "loss", "steps/s", "left", "latest", "score"]
    assert done.split() == ["0", "done", "1000/1000", "0.2500", "12.5", "AUC", "0.612", "(otb_50-full)"]
    assert training.split()[:-1] == ["1", "training", "300/1000", "0.5000", "10.0", "1", "min"]
    assert set(training.split()[-1]) <= {"━", "╸"}


def test_node_and_restarts_are_shown_where_there_are_any() -> None:
    assert heading([TRAINING, ON_SLURM]) == [
        "seed",
        "state",
        "node",
        "step",
        "loss",
        "steps/s",
        "left",
        "restarts",
        "score",
    ]
    assert lines(progress_table([ON_SLURM]))[2].split()[:9] == [
        "2", "training", "node2", "300/1000", "0.5000", "10.0", "1", "min", "1",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_trial_is_one_line_whatever_the_width(width: int) -> None:
    statuses = [
        DONE,
        ON_SLURM,
        TrialStatus(3, "failed", 10, 1000, detail="[Errno 5] a long story\nin two lines " * 5),
    ]
    shown = lines(progress_table(statuses, width), width)
    assert len(shown) == 2 + len(statuses)
    assert all(len(line) <= width for line in shown)
    assert shown[-1].split()[:2] == ["3", "failed"]


def test_where_it_is_narrow_empty_columns_go_first() -> None:
    assert heading([TRAINING], 66) == ["seed", "state", "step", "loss", "steps/s", "left"]
    assert "score" in heading([DONE], 70)
    assert "loss" not in heading([DONE, TRAINING], 70)


def test_more_trials_than_lines_are_counted_and_those_that_matter_shown() -> None:
    states = ["done"] * 40 + ["training"] * 30 + ["failed"] * 2 + ["queued"] * 28
    statuses = [TrialStatus(seed, state, 1, 10) for seed, state in enumerate(states)]

    shown = lines(progress_view(statuses, 100, 24), 100)

    assert len(shown) == 23  # one less than the screen has
    assert shown[-1] == "100 trials, 20 shown: 40 done, 30 training, 28 queued, 2 failed"
    rows = [line.split()[:2] for line in shown[2:-1]]
    assert rows[-2:] == [["70", "failed"], ["71", "failed"]]
    assert {state for _, state in rows[:-2]} == {"training"}


def test_neither_the_failed_nor_those_at_work_crowd_the_others_out() -> None:
    statuses = [TrialStatus(seed, "training" if seed % 2 else "died") for seed in range(100)]
    rows = [line.split()[1] for line in lines(progress_view(statuses, 100, 24), 100)[2:-1]]
    assert (rows.count("died"), rows.count("training")) == (10, 10)


def test_few_trials_are_all_shown() -> None:
    statuses = [TrialStatus(seed, "queued") for seed in range(20)]
    assert len(lines(progress_view(statuses, 100, 24), 100)) == 22


def test_a_line_for_logs() -> None:
    assert describe(TrialStatus(0, "waiting")) == "seed 0: waiting"
    assert describe(TRAINING) == "seed 1: training, step 300/1000, loss 0.5000, 10.0 steps/s, 1 min left"
    assert describe(DONE) == "seed 0: done, step 1000/1000, AUC 0.612 (otb_50-full)"
    assert describe(ON_SLURM).startswith("seed 2: training on node2, step 300/1000")
    assert describe(TrialStatus(3, "queued", detail="waits for Priority")) == "seed 3: queued, waits for Priority"


def test_a_log_has_a_line_per_change_and_one_every_ten_seconds() -> None:
    said: list[str] = []
    now = [0.0]
    progress = PlainProgress(said.append, lambda: now[0])
    for now[0], status in [(0, TrialStatus(1, "starting")), (1, TRAINING), (5, TRAINING), (11, TRAINING), (12, DONE)]:
        progress.show([status])
    assert [line.split(",")[0] for line in said] == [
        "seed 1: starting", "seed 1: training", "seed 1: training", "seed 0: done",
    ]  # fmt: skip


def test_counts_are_in_the_order_of_the_work() -> None:
    states = ["failed", "queued", "done", "training", "done", "waiting", "assessing"]
    assert counts([TrialStatus(0, state) for state in states]) == (
        "2 done, 1 assessing, 1 training, 1 queued, 1 waiting, 1 failed"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (180, "3 min"), (7500, "2 h 05 min"), (273600, "3 d 04 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
