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
from seqtrack.assessment.summary import (
    StartScores,
    TrialOutcome,
    bootstrap_variance,
    eval_metrics,
    per_sequence,
    run_summary,
    select,
    summarise,
)


def a_run(name: str, start: int, value: float) -> StartScores:
    return StartScores(name, start, 100, dict.fromkeys(METRICS, value))


def test_ope_is_start_0_and_tre_the_mean_over_starts() -> None:
    runs = [
        a_run("b", 0, 0.2),
        a_run("b", 1, 0.4),
        a_run("b", 2, 0.9),
        a_run("a", 0, 0.6),
        a_run("a", 1, 0.8),
    ]
    scores = per_sequence(runs, tre_num=3)
    assert scores["AUC"].tolist() == [0.2, 0.6]
    assert scores["TRE_3_AUC"].tolist() == [0.5, 0.7], "a is too short for 3 starts and enters with its 2"
    assert eval_metrics(scores)["TRE_3_AUC"] == 0.6
    assert list(per_sequence(runs)) == list(METRICS)


def test_a_sequence_without_its_first_start_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence 'a' has no start 0"):
        per_sequence([a_run("a", 1, 0.5)], tre_num=2)


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


def trials(*means: float) -> dict[int, dict[str, np.ndarray]]:
    return {seed: {"AUC": np.array([mean - 0.1, mean + 0.1])} for seed, mean in enumerate(means)}


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


def test_one_trial_has_no_std_and_one_sequence_no_variance_within() -> None:
    cell = summarise({"bag-full": {7: {"AUC": np.array([0.5])}}})["bag-full"]["AUC"]
    assert cell == {
        "mean": 0.5, "std": None, "n": 1, "per_seed": {"7": 0.5}, "within_var": 0.0, "between_var": None,
    }  # fmt: skip


def test_the_bootstrap_approaches_the_variance_of_a_mean() -> None:
    values = np.random.default_rng(3).random((100, 4))
    assert bootstrap_variance(values) == pytest.approx(values.var(axis=0) / 100, rel=0.05)
    assert (bootstrap_variance(values) == bootstrap_variance(values)).all()
    assert (bootstrap_variance(values) != bootstrap_variance(values, seed=1)).all()


def test_the_bootstrap_is_the_textbook_one() -> None:
    values = np.random.default_rng(4).random((7, 2))
    draws = np.random.Generator(np.random.Philox(key=0)).integers(0, 7, size=(7, 500), dtype=np.int32)
    expected = values[draws].mean(axis=0).var(axis=0, ddof=1)
    assert bootstrap_variance(values, resamples=500) == pytest.approx(expected, rel=1e-9)


def test_all_metrics_and_trials_share_the_resamples() -> None:
    x = np.random.default_rng(5).random(50)
    one, two = bootstrap_variance(np.stack([x, 2 * x], axis=1))
    assert two == 4 * one
    assert bootstrap_variance(np.stack([x, x + 1.0, x], axis=1))[0] == bootstrap_variance(np.stack([x, x], axis=1))[1]


def test_a_constant_score_has_no_variance() -> None:
    assert bootstrap_variance(np.full((100, 1), 0.1)) == pytest.approx(0, abs=1e-30)


def many(seeds: list[int]) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    """5 trials x 7 metrics x 100 sequences on two sets, in the order of ``seeds``."""
    scores: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for eval_id in ("otb_50-full", "bag-full"):
        scores[eval_id] = {}
        for seed in seeds:
            rng = np.random.default_rng([seed, len(eval_id)])
            scores[eval_id][seed] = {metric: rng.random(100) for metric in METRICS}
    return scores


def text(seeds: list[int]) -> str:
    outcomes = [TrialOutcome(seed, "completed", 100 * seed) for seed in seeds]
    return json.dumps(run_summary("abc", outcomes, many(seeds), "otb_50-full", "AUC"), sort_keys=True)


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
    scores = {"bag-full": {0: {"AUC": np.zeros(3)}, 1: {"AUC": np.zeros(4)}}}
    with pytest.raises(ValueError, match="bag-full: trials 0 and 1 differ in sequences or metrics"):
        summarise(scores)


def test_the_summary_of_a_run_with_a_failed_trial() -> None:
    outcomes = [
        TrialOutcome(2, "failed", None, "out of memory"),
        TrialOutcome(0, "completed", 200, candidates=2),
        TrialOutcome(1, "completed", 100),
    ]
    found = run_summary("abc", outcomes, {"bag-full": trials(0.5, 0.6)}, "bag", "AUC", notes=["a word"])
    assert {key: value for key, value in found.items() if key not in ("trials", "results", "notes")} == {
        "run_id": "abc", "num_trials": 3, "completed": 2, "optimize_dataset": "bag", "optimize_metric": "AUC",
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
    assert run_summary("abc", chosen, {"bag-full": trials(0.5)}, "bag-full", "AUC")["notes"] == []
    found = run_summary("abc", [TrialOutcome(0, "failed", None, "x")], {"bag-full": {}}, "bag-full", "AUC")
    assert (found["completed"], found["results"], found["notes"]) == (0, {}, [])
    assert run_summary("abc", [], {"bag-full": trials(0.5)}, "otb_50-full", "AUC")["notes"] == []
