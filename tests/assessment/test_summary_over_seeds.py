"""Selection, mean ± std, bootstrap: exact values, laws, bytes that do not depend on who finished first."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment.metrics import METRICS
from seqtrack.assessment.scores import Ratio, Statistic
from seqtrack.assessment.summary import TrialOutcome, bootstrap, run_summary, select, summarise


def test_the_best_checkpoint_is_selected_and_the_earliest_of_equals() -> None:
    scores = {300: 0.5, 100: 0.4, 200: 0.5, 400: 0.1}
    assert select(scores) == 200
    assert select(scores, higher_is_better=False) == 400
    assert select({100: math.nan, 200: 0.1}) == 200
    with pytest.raises(ValueError, match="no checkpoint has a score"):
        select({100: math.nan})


@given(st.dictionaries(st.integers(0, 10**6), st.floats(0, 1), min_size=1, max_size=20), st.randoms())
def test_selection_does_not_depend_on_the_order(scores: dict[int, float], random: object) -> None:
    items = list(scores.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    chosen = select(dict(items))
    assert scores[chosen] == max(scores.values())
    assert chosen == min(step for step, score in scores.items() if score == scores[chosen])


def trials(*means: float) -> dict[int, dict[str, Statistic]]:
    return {seed: {"AUC": Ratio.mean(np.array([mean - 0.1, mean + 0.1]))} for seed, mean in enumerate(means)}


def test_three_trials_by_hand() -> None:
    cell = summarise({"bag-full": trials(0.5, 0.6, 0.7)})["bag-full"]["AUC"]
    assert cell["mean"] == pytest.approx(0.6)
    assert cell["std"] == pytest.approx(0.1)  # ddof = 1; ddof = 0 would give 0.0816
    assert cell["between_var"] == pytest.approx(0.01)
    assert cell["n"] == 3
    assert {seed: round(value, 12) for seed, value in cell["per_seed"].items()} == {
        "0": 0.5,
        "1": 0.6,
        "2": 0.7,
    }
    # two sequences 0.1 from their mean: the variance of a mean of two draws is 0.1² / 2
    assert cell["within_var"] == pytest.approx(0.005, rel=0.03)
    # a quarter of the draws has the better one twice, a quarter the worse one
    assert cell["interval_95"] == pytest.approx([0.5, 0.7])
    assert cell["per_seed_interval_95"] == {
        "0": pytest.approx([0.4, 0.6]), "1": pytest.approx([0.5, 0.7]), "2": pytest.approx([0.6, 0.8]),
    }  # fmt: skip


def test_one_trial_has_no_std_and_one_sequence_neither_variance_within_nor_interval() -> None:
    cell = summarise({"bag-full": {7: {"AUC": Ratio.mean(np.array([0.5]))}}})["bag-full"]["AUC"]
    assert cell == {
        "mean": 0.5, "std": None, "n": 1, "per_seed": {"7": 0.5}, "within_var": 0.0, "between_var": None,
        "interval_95": None, "per_seed_interval_95": {"7": None},
    }  # fmt: skip


def test_a_score_that_a_trial_does_not_have_is_null_and_so_is_the_mean() -> None:
    short = Ratio(np.zeros((2, 3)), np.zeros((2, 3)))
    whole = Ratio(np.ones((2, 3)), np.ones((2, 3)))
    cell = summarise({"vot-supervised": {0: {"EAO": whole}, 1: {"EAO": short}}})["vot-supervised"]["EAO"]
    assert cell["per_seed"] == {"0": 1.0, "1": None}
    assert (cell["mean"], cell["std"], cell["within_var"], cell["interval_95"]) == (None, None, None, None)
    json.dumps(cell, allow_nan=False)


def bootstrap_variance(values: np.ndarray, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    return np.asarray(bootstrap([Ratio.mean(column) for column in values.T], resamples, seed).var(axis=1, ddof=1))


def test_the_bootstrap_approaches_the_variance_of_a_mean() -> None:
    values = np.random.default_rng(3).random((100, 4))
    assert bootstrap_variance(values) == pytest.approx(values.var(axis=0) / 100, rel=0.05)
    assert (bootstrap_variance(values) == bootstrap_variance(values)).all()
    assert (bootstrap_variance(values) != bootstrap_variance(values, seed=1)).all()


def test_the_bootstrap_is_the_textbook_one() -> None:
    values = np.random.default_rng(4).random(7)
    frames = np.array([100.0, 3, 50, 8, 1, 700, 20])
    draws = np.random.Generator(np.random.Philox(key=0)).integers(0, 7, size=(7, 500), dtype=np.int32)
    means, pooled = bootstrap([Ratio.mean(values), Ratio(values * frames, frames)], resamples=500)
    assert means == pytest.approx(values[draws].mean(axis=0), rel=1e-14)
    expected = (values * frames)[draws].sum(axis=0) / frames[draws].sum(axis=0)
    assert pooled == pytest.approx(expected, rel=1e-14), "GOT-10k's AO: a sequence drawn brings its frames along"


def test_a_draw_without_a_sequence_that_has_a_score_counts_for_nothing() -> None:
    values = Ratio.mean(np.array([0.5, np.nan]))
    (drawn,) = bootstrap([values], resamples=1000)
    assert set(drawn[np.isfinite(drawn)].tolist()) == {0.5}
    assert 200 < np.isnan(drawn).sum() < 300, "a quarter of the draws has the other one twice"
    cell = summarise({"bag-full": {0: {"AUC": values}}})["bag-full"]["AUC"]
    assert (cell["mean"], cell["within_var"], cell["interval_95"]) == (0.5, 0.0, [0.5, 0.5])


def test_all_metrics_and_trials_share_the_resamples() -> None:
    x = np.random.default_rng(5).random(50)
    one, two = bootstrap([Ratio.mean(x), Ratio.mean(2 * x)])
    assert (two == 2 * one).all()


def test_a_constant_score_has_no_variance() -> None:
    assert bootstrap_variance(np.full((100, 1), 0.1)) == pytest.approx(0, abs=1e-30)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.randoms())
def test_what_is_resampled_does_not_depend_on_the_order_of_addition(values: list[float], random: object) -> None:
    """As BLAS adds in an order of its own on each machine: the bits are those of any order."""
    counts = np.random.default_rng(len(values)).multinomial(len(values), [1 / len(values)] * len(values), size=20)
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    column = np.array(values)
    one = Ratio(column, np.ones_like(column)).value(counts.astype(float))
    other = Ratio(column[order], np.ones_like(column)).value(counts[:, order].astype(float))
    assert one.tobytes() == other.tobytes()
    assert one == pytest.approx(counts @ column / len(values), abs=1e-13)


RULES = {"otb_50-full": "otb", "bag-full": "pysot"}


def many(seeds: list[int]) -> dict[str, dict[int, dict[str, Statistic]]]:
    """5 trials x 7 metrics x 100 sequences on two sets, in the order of ``seeds``."""
    scores: dict[str, dict[int, dict[str, Statistic]]] = {}
    for eval_id in ("otb_50-full", "bag-full"):
        scores[eval_id] = {}
        for seed in seeds:
            rng = np.random.default_rng([seed, len(eval_id)])
            scores[eval_id][seed] = {metric: Ratio.mean(rng.random(100)) for metric in METRICS}
            scores[eval_id][seed]["EAO"] = Ratio(rng.random((100, 50)), np.ones((100, 50)))
    return scores


def text(seeds: list[int]) -> str:
    outcomes = [TrialOutcome(seed, "completed", 100 * seed) for seed in seeds]
    return json.dumps(run_summary("abc", outcomes, many(seeds), RULES, "otb_50-full", "AUC"), sort_keys=True)


def test_the_bytes_do_not_depend_on_the_order_in_which_trials_finished() -> None:
    assert text([0, 1, 2, 3, 4]) == text([3, 0, 4, 2, 1])


def test_the_bytes_do_not_depend_on_threads(repository: object) -> None:
    code = f"from {__name__} import text; print(text([0, 1, 2]))"
    path = os.pathsep.join([str(repository), str(Path(__file__).parent)])
    found = set()
    for threads in ("1", "2"):
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        environ = {**os.environ, **limits, "PYTHONPATH": path}
        found.add(subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True).stdout)
    assert len(found) == 1
    assert json.loads(found.pop())["completed"] == 3


def test_trials_of_different_sequences_are_not_averaged() -> None:
    scores = {"bag-full": {n: {"AUC": Ratio.mean(np.zeros(3 + n))} for n in (0, 1)}}
    with pytest.raises(ValueError, match="bag-full: trials 0, 1 differ in sequences or metrics"):
        summarise(scores)


def test_the_summary_of_a_run_with_a_failed_trial() -> None:
    outcomes = [
        TrialOutcome(2, "failed", None, "out of memory"),
        TrialOutcome(0, "completed", 200, candidates=2),
        TrialOutcome(1, "completed", 100),
    ]
    found = run_summary("abc", outcomes, {"bag-full": trials(0.5, 0.6)}, RULES, "bag", "AUC", notes=["a word"])
    assert {key: value for key, value in found.items() if key not in ("trials", "results", "notes")} == {
        "run_id": "abc", "num_trials": 3, "completed": 2, "optimize_dataset": "bag", "optimize_metric": "AUC",
        "eval_sets": ["bag-full"], "conventions": {"bag-full": "pysot"},
    }  # fmt: skip
    assert found["trials"] == [
        {"seed": 0, "state": "completed", "selected_step": 200, "error": None},
        {"seed": 1, "state": "completed", "selected_step": 100, "error": None},
        {"seed": 2, "state": "failed", "selected_step": None, "error": "out of memory"},
    ]
    assert found["results"]["bag-full"]["AUC"]["n"] == 2
    assert found["notes"][0] == "a word"
    assert "selected by AUC on bag, and the table reports bag-full" in found["notes"][1]
    json.dumps(found, allow_nan=False)


def test_no_trial_done_gives_an_empty_table_and_other_sets_no_note() -> None:
    chosen = [TrialOutcome(0, "completed", 10, candidates=1)]
    assert run_summary("abc", chosen, {"bag-full": trials(0.5)}, RULES, "bag-full", "AUC")["notes"] == []
    found = run_summary("abc", [TrialOutcome(0, "failed", None, "x")], {"bag-full": {}}, RULES, "bag-full", "AUC")
    assert (found["completed"], found["results"], found["notes"]) == (0, {}, [])
    assert run_summary("abc", [], {"bag-full": trials(0.5)}, RULES, "otb_50-full", "AUC")["notes"] == []
