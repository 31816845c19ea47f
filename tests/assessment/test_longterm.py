"""Long-term precision, recall and F.

``longterm_scores.json`` holds three made-up sequences and what pysot's ``F1Benchmark`` and vot-toolkit 0.9.0's
``compute_tpr_curves`` give for them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment.longterm import CONVENTIONS, score, thresholds
from seqtrack.assessment.scores import Floats, Labels
from seqtrack.errors import UserError

GOLDEN = json.loads(Path(__file__).with_name("longterm_scores.json").read_text())
Given = tuple[list[Labels], list[Floats], list[Floats]]
BOX = [10.0, 10.0, 20.0, 20.0]


def golden() -> Given:
    sequences = GOLDEN["sequences"]
    truths, found, sure = ([np.array(s[key], float) for s in sequences] for key in ("truth", "found", "sure"))
    labels = [
        Labels(s["name"], truth, np.isfinite(truth[:, 0]), tuple(s["size"]))
        for s, truth in zip(sequences, truths, strict=True)
    ]
    return labels, found, sure


def still(length: int, gone: slice = slice(0, 0)) -> Labels:
    boxes = np.tile(BOX, (length, 1))
    boxes[gone] = np.nan
    return Labels("still", boxes, np.isfinite(boxes[:, 0]), (100, 100))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_scores_are_those_of_the_toolkit(convention: str) -> None:
    scores = score(*golden(), convention)
    assert list(scores.overall) == ["F_score", "LT_precision", "LT_recall"]
    assert list(scores.overall.values()) == pytest.approx(GOLDEN["expected"][convention], abs=1e-12)
    assert scores.per_sequence["F_score"] == pytest.approx(GOLDEN["expected"][f"{convention}_each"], abs=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_confidence_tells_the_good_frames_from_the_bad(convention: str) -> None:
    """Frames 1 … 8 of 17 are right and sure, the target is out of view in the others, where the box is still there
    but less sure: at the right threshold precision is 1 and recall 8 of the 9 frames in view, the first included."""
    sure = np.where(np.arange(17) <= 8, 0.9, 0.2)
    overall = score([still(17, slice(9, 17))], [np.tile(BOX, (17, 1))], [sure], convention).overall
    assert overall == pytest.approx({"F_score": 16 / 17, "LT_precision": 1.0, "LT_recall": 8 / 9})


def test_the_first_frame_is_given_and_counts_as_lost() -> None:
    for convention in CONVENTIONS:
        overall = score([still(10)], [np.tile(BOX, (10, 1))], [np.ones(10)], convention).overall
        assert overall["LT_recall"] == 0.9


def test_nothing_found_where_nothing_is_is_right_under_vot_only() -> None:
    found = np.tile(BOX, (10, 1))
    found[5:] = np.nan
    given = [still(10, slice(5, 10))], [found], [np.ones(10)]
    # The overlaps: 0 in the first frame, which is less sure; 4 × 1; 5 × 1 under vot, 5 × 0 under pysot.
    assert score(*given, "vot").overall == pytest.approx({"F_score": 9 / 7, "LT_precision": 1.0, "LT_recall": 9 / 5})
    assert score(*given, "pysot").overall["LT_precision"] == pytest.approx(4 / 9)


def test_a_draw_of_sequences_scores_as_the_set_of_them() -> None:
    """At the thresholds of the whole set."""
    statistics = score(*golden(), "vot").statistics
    assert statistics["F_score"].value(np.ones((2, 3))) == pytest.approx(float(statistics["F_score"].value()))
    for position in range(3):
        alone = np.eye(3)[position][None] * 4
        for statistic in statistics.values():
            assert statistic.value(alone) == pytest.approx([statistic.per_sequence[position]])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_thresholds_are_confidences_from_inf_down(convention: str) -> None:
    few = thresholds(np.array([0.1, 0.5, np.nan, 0.3]), convention)
    assert few.tolist() == [np.inf, 0.5, 0.3, 0.1, -np.inf]
    many = thresholds(np.arange(1000.0), convention)
    assert len(many) == 100
    assert (np.diff(many) < 0).all()
    # Ten frames at either end are passed over (one of them more or less).
    assert (many[1], many[-2]) == ((989.0, 9.0) if convention == "vot" else (990.0, 9.0))


@given(st.permutations(range(3)), st.sampled_from(CONVENTIONS))
def test_permuting_sequences_changes_nothing(order: list[int], convention: str) -> None:
    overall = score(*golden(), convention).overall
    labels, found, sure = ([part[i] for i in order] for part in golden())
    assert score(labels, found, sure, convention).overall == pytest.approx(overall, rel=1e-12)


@given(st.floats(0.01, 100))
def test_only_the_order_of_confidences_matters_under_vot(scale: float) -> None:
    """But for what is taken for none, which is 0 on any scale."""
    labels, found, sure = golden()
    scaled = [values * scale for values in sure]
    overall = score(labels, found, sure, "vot").overall
    assert score(labels, found, scaled, "vot").overall == pytest.approx(overall)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(UserError, match="convention 'otb': unknown for long-term runs; did you mean vot"):
        score(*golden(), "otb")
    with pytest.raises(ValueError, match="still: expected 10 rows, got 9 and 10"):
        score([still(10)], [np.tile(BOX, (9, 1))], [np.ones(10)])
