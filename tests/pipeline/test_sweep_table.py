"""The table of a sweep from the scores of its trials, and its plot."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.pipeline.sweep import table as tables
from seqtrack.pipeline.sweep.sweep import Sweep
from seqtrack.pipeline.sweep.table import best, table, to_csv, to_text
from seqtrack.reporting import parallel, plots
from seqtrack.runs import events
from seqtrack.runs.paths import TrialKey
from tests.pipeline.test_sweep_points import made

FOUND: list[dict[int, float]] = [{0: 0.5, 1: 0.25}, {}, {1: 0.75}]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    random = {"lr_init": {"log_uniform": [1e-4, 1e-1]}, "optimizer": {"choice": ["sgd", "adam"]}}
    return made(tmp_path, {"num_trials": 2}, grid=None, random=random, points=3)


def test_best_first_then_what_has_trials_to_come_and_what_is_not_known_yet_last(sweep: Sweep) -> None:
    ids = [run.run_id for run in sweep.runs]
    found = table(sweep, FOUND, {TrialKey(ids[1], 0): "out of memory"})
    values = [(row["rank"], row["run_id"], row["mean"], row["std"], row["n"]) for row in found["rows"]]
    assert values == [
        (1, ids[0], 0.375, 0.1767766952966369, 2), (None, ids[2], 0.75, None, 1), (None, ids[1], None, None, 0),
    ]  # fmt: skip
    assert (found["done"], found["asked"]) == (3, 6)
    lr = [repr(run.values["lr_init"]) for run in sweep.runs]
    optimizer = [run.values["optimizer"] for run in sweep.runs]
    assert to_csv(found).splitlines() == [
        "rank,lr_init,optimizer,eval_id,metric,mean,std,n,asked,run_id,convention",
        f"1,{lr[0]},{optimizer[0]},otb_50-full,AUC,0.375,0.1767766952966369,2,2,{ids[0]},otb",
        f",{lr[2]},{optimizer[2]},otb_50-full,AUC,0.75,,1,2,{ids[2]},otb",
        f",{lr[1]},{optimizer[1]},otb_50-full,AUC,,,0,2,{ids[1]},otb",
    ]
    text = to_text(found).splitlines()
    assert text[0].split() == ["rank", "lr_init", "optimizer", "AUC", "(otb_50-full)", "n", "run"]
    assert text[1].split() == ["1", lr[0], optimizer[0], "0.375", "±", "0.177", "2", ids[0]]
    assert text[2].split() == ["-", lr[2], optimizer[2], "0.750", "1", "of", "2", ids[2]]
    assert text[-3:] == [
        "3 of 6 trials completed",
        tables.PRELIMINARY,
        f"note: run {ids[1]} seed 0: failed: out of memory",
    ]
    assert best(found) == f"AUC 0.375 ± 0.177 (n = 2; lr_init={lr[0]}, optimizer={optimizer[0]}; run {ids[0]})"
    first = table(sweep, [{}, {}, {1: 0.75}], {})
    assert best(first) == f"AUC 0.750 (n = 1 of 2; lr_init={lr[2]}, optimizer={optimizer[2]}; run {ids[2]})"
    assert best(table(sweep, [{}, {}, {}], {})) == ""


def test_what_is_wider_than_the_screen_has_its_values_below(sweep: Sweep) -> None:
    text = to_text(table(sweep, [{0: 0.5, 1: 0.25}, {}, {}], {}), 50).splitlines()
    run, other, _ = sweep.runs
    assert text[:3] == [
        "rank  AUC (otb_50-full)  n       run",
        f"1     0.375 ± 0.177      2       {run.run_id}",
        f"      lr_init={run.values['lr_init']}, optimizer={run.values['optimizer']}",
    ]
    assert text[3] == f"-     -                  0 of 2  {other.run_id}"
    assert text[7:] == ["convention: otb (otb_50-full)", "2 of 6 trials completed"]


def test_a_trial_without_a_score_leaves_its_point_without_a_mean(sweep: Sweep) -> None:
    """As in the summary of the run: the mean of the others is none of the trials, and must not win."""
    found = table(sweep, [{0: 0.9, 1: math.nan}, {0: 0.5, 1: 0.25}, {}], {})
    ids = [run.run_id for run in sweep.runs]
    rows = [(row["rank"], row["run_id"], row["mean"], row["std"], row["n"]) for row in found["rows"]]
    assert rows[0] == (1, ids[1], 0.375, 0.1767766952966369, 2)
    assert rows[1:] == [(None, ids[0], None, None, 2), (None, ids[2], None, None, 0)]
    assert found["rows"][1]["per_seed"] == {"0": 0.9, "1": None}


def test_of_two_trials_that_end_at_once_neither_is_missing_from_the_table(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that looked first may write last."""
    run_id = sweep.runs[0].run_id
    states = iter([[{}, {}, {}], [{0: 0.5}, {}, {}], [{0: 0.5}, {}, {}]])
    monkeypatch.setattr(tables, "tabulate", lambda sweep, failures: table(sweep, next(states), {}))
    assert tables.write(sweep)["rows"][0]["run_id"] == run_id
    assert json.loads(sweep.folder.json.read_text())["done"] == 1
    assert sweep.folder.csv.read_text().splitlines()[1].endswith(f",0.5,,1,2,{run_id},otb")


def test_a_command_that_was_overtaken_leaves_the_table_to_the_newer_one(tmp_path: Path) -> None:
    """Its file was edited while it ran, and given again."""
    older, newer = (made(tmp_path, grid={"lr_init": values}) for values in ([0.1], [0.1, 0.2]))
    for sweep in (older, newer):
        line = {"runs": [asdict(run) for run in sweep.runs]}
        events.append(sweep.folder.submissions, line)
    tables.write(newer)
    assert len(tables.write(older)["rows"]) == 1
    assert len(json.loads(newer.folder.json.read_text())["rows"]) == 2


def test_a_trial_is_done_when_every_point_that_shares_it_has_its_score(tmp_path: Path) -> None:
    """Two points, one training."""
    shared = made(tmp_path, {"num_trials": 2}, grid={"tracker_params.scale_lr": [0.3, 0.59]})
    found = table(shared, [{0: 0.5, 1: 0.5}, {0: 0.75}], {})
    assert [(row["values"]["tracker_params.scale_lr"], row["mean"]) for row in found["rows"]] == [
        (0.3, 0.5), (0.59, 0.75),
    ]  # fmt: skip
    assert len({row["run_id"] for row in found["rows"]}) == 1
    assert (found["done"], found["asked"]) == (1, 2)


def test_a_plot_has_a_line_for_each_point_and_an_axis_for_each_parameter(sweep: Sweep, tmp_path: Path) -> None:
    found = table(sweep, FOUND, {})
    columns = parallel.scales(found)
    assert [(column.name, column.kind) for column in columns] == [
        ("lr_init", "log"), ("optimizer", "category"), ("AUC\notb_50-full", "linear"),
    ]  # fmt: skip
    shares = [share for _, share in parallel.paths(found, columns)]
    assert shares == [None, 1.0, 0.0]  # the first of the table over the others
    assert [len(heights) for heights, _ in parallel.paths(found, columns)] == [2, 3, 3]
    for name in ("one.svg", "two.svg", "plot.png"):
        plots.write_figure(parallel.figure(found), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    for word in ("lr_init", "sgd", "adam", "AUC", "sweep s"):
        assert f">{word}</text>" in (tmp_path / "one.svg").read_text()
    plots.write_figure(parallel.figure(table(sweep, [{}, {}, {}], {})), tmp_path / "nothing_yet.svg")


@given(st.sampled_from(["linear", "log", "category"]), st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_axes_hold_every_value_and_its_ticks(kind: str, values: list[Any]) -> None:
    scale = parallel.scale("x", kind, values)
    assert all(-1e-9 <= scale.place(value) <= 1 + 1e-9 for value in values)
    assert scale.ticks
    assert all(0 <= y <= 1 for y, _ in scale.ticks)
    if kind != "category":
        order = [scale.place(value) for value in sorted(set(values))]
        assert order == sorted(order)


def test_ticks_are_decades_and_round_numbers() -> None:
    assert [text for _, text in parallel.scale("x", "log", [2e-5, 5e-3]).ticks] == ["0.0001", "0.001"]
    assert [text for _, text in parallel.scale("x", "linear", [0.13, 0.61]).ticks] == [
        "0.2",
        "0.3",
        "0.4",
        "0.5",
        "0.6",
    ]
    assert [text for _, text in parallel.scale("x", "category", [1, 0.5], [1, 0.5, 10]).ticks] == ["0.5", "1", "10"]
    assert [text for _, text in parallel.scale("x", "category", [True], ["a", "b"]).ticks] == ["a", "b", "true"]


def test_long_names_are_as_short_as_leaves_them_apart() -> None:
    long = "model_params.feature_params.arch_params.width"
    assert parallel.short_names([long, "lr_init", "optimizer_params.eps"]) == ["width", "lr_init", "eps"]
    assert parallel.short_names(["a.b.x", "c.b.x", "x"]) == ["a.b.x", "c.b.x", "x"]
    assert parallel.short_names(["lr_params.decay", "decay"]) == ["lr_params.decay", "decay"]
