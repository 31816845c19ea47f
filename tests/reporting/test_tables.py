"""The table as a person sees it: exact text at 80 and 120 columns, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from rich.console import Console

from seqtrack.reporting.tables import headlines, print_table, remarks, table_rows, to_csv, to_text


def a_cell(*values: float) -> dict[str, Any]:
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1) if n > 1 else None
    return {
        "mean": mean,
        "std": None if variance is None else variance**0.5,
        "n": n,
        "per_seed": {str(seed): value for seed, value in enumerate(values)},
        "within_var": 0.001,
        "between_var": variance,
        "interval_95": [mean - 0.06, mean + 0.06],
    }


def a_summary(seeds: int = 2, eval_id: str = "Football1-full", **others: Any) -> dict[str, Any]:
    values = [0.5 + 0.01 * seed for seed in range(seeds)]
    cells = {name: a_cell(*values) for name in ("TRE_3_AUC", "mean_iou", "AUC")}
    trials = [{"seed": seed, "state": "completed", "selected_step": 100, "error": None} for seed in range(seeds)]
    return {
        "num_trials": seeds,
        "completed": seeds,
        "trials": trials,
        "optimize_metric": "AUC",
        "eval_sets": [eval_id, "bag-full"],
        "results": {eval_id: cells, "bag-full": {"AUC": a_cell(*values)}},
        "notes": [],
        **others,
    }


def printed(summary: dict[str, Any], width: int) -> list[str]:
    file = io.StringIO()
    print_table(summary, Console(file=file, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_sets_stand_as_they_were_given_then_ope_before_tre_in_the_order_of_the_metrics() -> None:
    given = a_summary(eval_sets=["bag-full", "Football1-full"])
    assert [row.eval_id for row in table_rows(given)] == ["bag-full", *["Football1-full"] * 3]
    assert [(row.eval_id, row.metric) for row in table_rows(a_summary())] == [
        ("Football1-full", "AUC"),
        ("Football1-full", "mean_iou"),
        ("Football1-full", "TRE_3_AUC"),
        ("bag-full", "AUC"),
    ]


def test_the_table_at_80_columns() -> None:
    assert printed(a_summary(), 80) == [
        "eval set         metric      mean ± std      n   per seed",
        "─" * 67,
        "Football1-full   AUC         0.505 ± 0.007   2   0: 0.500  1: 0.510",
        "                 mean_iou    0.505 ± 0.007   2   0: 0.500  1: 0.510",
        "                 TRE_3_AUC   0.505 ± 0.007   2   0: 0.500  1: 0.510",
        "",
        "bag-full         AUC         0.505 ± 0.007   2   0: 0.500  1: 0.510",
        "",
        "2 of 2 trials completed",
    ]


def test_many_trials_go_over_several_lines_and_long_names_become_headings() -> None:
    summary = a_summary(12, "a_very_long_name_of_folder-sampling")
    lines = printed(summary, 80)
    assert lines[0].split() == ["eval", "set,", "metric", "mean", "±", "std", "n", "per", "seed"]
    at = lines.index("a_very_long_name_of_folder-sampling")
    assert lines[at + 1].startswith("  AUC ") and lines[at + 1].endswith("0: 0.500  1: 0.510")
    assert lines[at + 2].split() == ["2:", "0.520", "3:", "0.530"]
    wide = printed(summary, 120)
    assert wide[2].startswith("a_very_long_name_of_folder-sampling   AUC ")
    assert not any(line.endswith(":") or len(line) > 120 for line in lines + wide), "no pair is torn"


def test_names_are_shown_as_they_are() -> None:
    assert any("[red]set-full" in line for line in printed(a_summary(eval_id="[red]set-full"), 120))


def vot_summary() -> dict[str, Any]:
    cells = {
        "failures": a_cell(12.0, 15.5), "robustness": a_cell(0.3, 0.4), "EAO": a_cell(0.2, 0.3),
        "accuracy": {**a_cell(0.5), "n": 2, "mean": None, "per_seed": {"0": 0.5, "1": None}},
    }  # fmt: skip
    return a_summary(results={"otb_50-full": {"AUC": a_cell(0.5), "mean_iou": a_cell(0.6)}, "vot-supervised": cells})


def test_each_protocol_has_its_metrics_and_counts_have_one_decimal() -> None:
    rows = [(row.metric, row.score, row.pairs()) for row in table_rows(vot_summary())]
    assert rows[2:] == [
        ("EAO", "0.250 ± 0.071", ["0: 0.200", "1: 0.300"]),
        ("accuracy", "—", ["0: 0.500", "1: —"]),
        ("robustness", "0.350 ± 0.071", ["0: 0.300", "1: 0.400"]),
        ("failures", "13.8 ± 2.5", ["0: 12.0", "1: 15.5"]),
    ]


def test_counts_that_are_all_whole_are_whole_numbers_but_for_means_over_trials() -> None:
    def row(*values: float) -> Any:
        (found,) = table_rows(a_summary(results={"vot-supervised": {"failures": a_cell(*values)}}))
        return found.score, found.pairs()

    assert row(70.0) == ("70", ["0: 70"])
    assert row(70.0, 72.0) == ("71.0 ± 1.4", ["0: 70", "1: 72"])
    assert row(70.5) == ("70.5", ["0: 70.5"])


def test_a_line_about_a_set_is_about_the_metric_that_selects_or_its_own_first() -> None:
    found = headlines({**vot_summary(), "optimize_metric": "mean_iou"})
    assert [(row.eval_id, row.metric) for row in found] == [("otb_50-full", "mean_iou"), ("vot-supervised", "EAO")]


def test_one_trial_has_no_std() -> None:
    assert [row.score for row in table_rows(a_summary(1))] == ["0.500"] * 4


def test_a_failed_trial_and_a_note_stand_below() -> None:
    trials = [
        {"seed": 0, "state": "completed", "selected_step": 100, "error": None},
        {"seed": 1, "state": "failed", "selected_step": None, "error": "out of memory"},
    ]
    summary = a_summary(trials=trials, completed=1, notes=["a word"])
    assert remarks(summary) == ["1 of 2 trials completed", "seed 1: failed: out of memory", "note: a word"]
    assert to_text(summary).splitlines()[-3:] == remarks(summary)


def test_by_whose_rules_each_set_is_stands_below_it() -> None:
    rules = {"bag-full": "otb", "Football1-full": "otb", "got10k_val-full": "got10k"}
    of_got10k = {"got10k_val-full": {"AO": a_cell(0.5)}}
    summary = a_summary(conventions=rules, results={**a_summary()["results"], **of_got10k})
    line = "convention: otb (bag-full, Football1-full), got10k (got10k_val-full)"
    assert remarks(summary) == [line, "2 of 2 trials completed"]
    assert printed(summary, 100)[-2] == line and to_text(summary).splitlines()[-2] == line
    rows = csv.DictReader(io.StringIO(to_csv(summary)))
    assert {(row["eval_id"], row["convention"]) for row in rows} == set(rules.items())
    assert remarks({**summary, "results": of_got10k})[0] == "convention: got10k (got10k_val-full)"


def test_nothing_completed_still_says_so() -> None:
    summary = a_summary(results={}, completed=0, conventions={"bag-full": "otb"})
    assert printed(summary, 80)[-1] == "0 of 2 trials completed"
    assert to_text(summary) == "0 of 2 trials completed\n"


def test_plain_text_names_the_set_in_every_row() -> None:
    lines = to_text(a_summary()).splitlines()
    assert lines[0] == "eval set        metric     mean ± std     n  per seed"
    assert lines[2] == "Football1-full  mean_iou   0.505 ± 0.007  2  0: 0.500  1: 0.510"


def test_csv_has_every_digit_and_one_line_per_trial() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(a_summary(3)))))
    assert len(rows) == 12
    assert float(rows[0]["value"]) == 0.5 and [row["seed"] for row in rows[:3]] == ["0", "1", "2"]
    (one,) = [row for row in csv.DictReader(io.StringIO(to_csv(a_summary(1)))) if row["eval_id"] == "bag-full"]
    assert (one["std"], one["between_var"]) == ("", "")
    assert (float(one["mean_low"]), float(one["mean_high"])) == (0.44, 0.56)
