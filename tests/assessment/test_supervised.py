"""EAO, accuracy and robustness: equal to pysot and vot-toolkit on real results, to hand-made values, to the laws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.assessment.scores import Floats, Labels, SetScores
from seqtrack.assessment.supervised import SupervisedRun, by_tag, lengths, measure, score
from seqtrack.errors import UserError
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED
from tests.assessment.vot2018 import nanotrack

CONVENTIONS = ("pysot", "vot")
Set = tuple[list[Labels], list[list[SupervisedRun]]]


@pytest.fixture(scope="module")
def vot2018(shared: Path) -> Set:
    return nanotrack(shared)


@pytest.fixture(scope="module")
def references(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "results" / "reference_scores.json").read_text())
    return found["vot2018"]["NanoTrack"]


def check_per_sequence(scores: SetScores, reference: dict[str, Any]) -> None:
    assert set(scores.sequences) == set(reference["per_sequence"])
    for metric in ("accuracy", "failures"):
        expected = [reference["per_sequence"][name][metric] for name in scores.sequences]
        assert scores.per_sequence[metric] == pytest.approx(expected, abs=1e-12), metric


def test_vot2018_as_pysot_has_it(vot2018: Set, references: dict[str, Any]) -> None:
    scores = score(*vot2018, "pysot", "vot2018")
    overall = references["pysot"]["overall"]
    assert scores.overall["EAO"] == pytest.approx(overall["eao"], abs=1e-9)
    assert scores.overall["accuracy"] == pytest.approx(overall["accuracy"], abs=1e-12)
    assert scores.overall["robustness"] == pytest.approx(overall["robustness"], abs=1e-12)
    assert scores.overall["failures"] == overall["lost_number"]
    check_per_sequence(scores, references["pysot"])


def test_vot2018_as_vot_toolkit_has_it(vot2018: Set, references: dict[str, Any]) -> None:
    scores = score(*vot2018, "vot", "vot2018")
    overall = references["vot_toolkit_0.9.0"]["overall"]
    assert scores.overall["EAO"] == pytest.approx(overall["eao_mean_100_356"], abs=1e-8)  # it sums in float32
    assert scores.overall["accuracy"] == pytest.approx(overall["accuracy"], abs=1e-12)
    assert scores.overall["robustness"] == pytest.approx(overall["failures_weighted_mean"], abs=1e-12)
    assert scores.overall["failures"] == overall["total_failures"]
    check_per_sequence(scores, references["vot_toolkit_0.9.0"])


def test_eao_by_tag_as_pysot_has_it(vot2018: Set) -> None:
    """pysot's EAOBenchmark run on the same files, its mask of frames without a tag set right."""
    found = by_tag(*vot2018, "pysot", "vot2018")
    assert {tag: values["EAO"] for tag, values in found.items()} == pytest.approx(
        {
            "camera_motion": 0.3004899293996017,
            "empty": 0.33439143976116925,
            "illum_change": 0.2259570009977437,
            "motion_change": 0.3060392395879508,
            "occlusion": 0.24252020993817178,
            "size_change": 0.3276436723159909,
        },
        abs=1e-8,
    )
    assert found["occlusion"]["failures"] == 14
    assert list(found["occlusion"]) == ["EAO", "accuracy", "robustness", "failures"]
    assert list(by_tag(*vot2018, "vot", "vot2018")["occlusion"]) == ["accuracy", "robustness", "failures"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_permuting_sequences_changes_nothing(vot2018: Set, convention: str) -> None:
    labels, runs = (part[:12] for part in vot2018)
    order = np.random.default_rng(0).permutation(len(labels))
    scores = score(labels, runs, convention, "vot2019")
    other = score([labels[i] for i in order], [runs[i] for i in order], convention, "vot2019")
    assert other.overall == pytest.approx(scores.overall, rel=1e-12)
    for metric, values in scores.per_sequence.items():
        assert np.array_equal(other.per_sequence[metric], values[order]), metric


def test_a_draw_of_sequences_scores_as_the_set_of_them(vot2018: Set) -> None:
    labels, runs = (part[:8] for part in vot2018)
    drawn = [0, 0, 3, 5, 5, 5, 6, 7]
    counts = np.bincount(drawn, minlength=8)[None].astype(float)
    statistics = score(labels, runs, "vot", "vot2019").statistics
    expected = score([labels[i] for i in drawn], [runs[i] for i in drawn], "vot", "vot2019").overall
    assert {name: statistic.value(counts)[0] for name, statistic in statistics.items()} == pytest.approx(expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_repetitions_that_are_equal_change_nothing(vot2018: Set, convention: str) -> None:
    labels, runs = (part[:6] for part in vot2018)
    once = score(labels, runs, convention, "vot2019").overall
    assert score(labels, [own * 3 for own in runs], convention, "vot2019").overall == pytest.approx(once)


# A square of 20 that stands still in an image of 100; a tracker that is off by some pixels to the right.
SQUARE = np.array([40.0, 40.0, 20.0, 20.0])


def shifted(pixels: float) -> Floats:
    return np.array([SQUARE[0] + pixels, *SQUARE[1:]])


def still(length: int, name: str = "still") -> Labels:
    return Labels(name, np.tile(SQUARE, (length, 1)), np.ones(length, bool), (100, 100))


def run(length: int, failures: Sequence[int] = (), offset: float = 0.0) -> SupervisedRun:
    """Fails at those frames and starts again five later, as long as there is a frame to start on."""
    codes = np.full(length, TRACKED, np.uint8)
    codes[0] = START
    for failure in failures:
        codes[failure] = FAILED
        codes[failure + 1 : failure + 5] = SKIPPED
        codes[failure + 5 : failure + 6] = START
    return SupervisedRun(codes, np.tile(shifted(offset), (length, 1)))


@pytest.mark.parametrize(("convention", "typical"), [("pysot", range(45, 291)), ("vot", range(46, 292))])
def test_one_failure_by_hand(convention: str, typical: range) -> None:
    """Perfect but for a failure at frame 30 of 300. After k frames the first fragment, of 29 good frames (pysot's
    first fragment goes on through the failure, with zeros), has a mean of min(29, k) / k, the second one 1 as far
    as it goes: 264 frames from its start at 35, after which only the first counts. 291 frames are reached."""
    scores = score([still(300)], [[run(300, [30])]], convention, "vot2019")
    end = 300 if convention == "pysot" else 265  # vot-toolkit's curve is as long as its longest fragment
    expected = [(29 / k + 1) / 2 if k <= 264 else 29 / k for k in typical if k < end]
    assert scores.overall["EAO"] == pytest.approx(np.mean(expected))
    assert scores.overall["accuracy"] == 1.0
    assert scores.overall["failures"] == 1.0
    assert scores.overall["robustness"] == pytest.approx(100 / 300 if convention == "pysot" else 1.0)


def test_ten_frames_from_a_start_do_not_count_in_the_accuracy() -> None:
    own = run(40, [20])
    own.regions[[3, 9, 26, 34]] = shifted(10)  # within the ten frames from 0 and from 25
    assert score([still(40)], [[own]]).overall["accuracy"] == 1.0
    own.regions[10] = shifted(10)
    # 10 … 19 and 35 … 39 count; off by 10 shares 11 of 31 columns of pixels.
    assert score([still(40)], [[own]]).overall["accuracy"] == pytest.approx((14 + 11 / 31) / 15)


def test_accuracy_weighs_frames_under_pysot_and_lengths_under_vot() -> None:
    labels, runs = [still(110), still(60)], [[run(110)], [run(60, [30], offset=10)]]
    apart = {"pysot": 11 / 31, "vot": 10 / 30}
    assert score(labels, runs, "pysot").overall["accuracy"] == pytest.approx((100 + 35 * apart["pysot"]) / 135)
    assert score(labels, runs, "vot").overall["accuracy"] == pytest.approx((110 + 60 * apart["vot"]) / 170)
    assert score(labels, runs, "vot").overall["robustness"] == pytest.approx(60 / 170)
    assert score(labels, runs, "vot").per_sequence["robustness"].tolist() == [0.0, 1.0]


def test_a_failure_too_near_the_end_for_another_start() -> None:
    """Under pysot it ends no fragment: what is left of the video, failure included, is one. Under vot it does."""
    late = score([still(60)], [[run(60, [57])]], "pysot", "vot2019").overall["EAO"]
    assert late == pytest.approx(np.mean([min(56, k) / k for k in range(45, 60)]))
    assert score([still(60)], [[run(60, [57])]], "vot", "vot2019").overall["EAO"] == 1.0


@pytest.mark.parametrize("again", [60, 300])
def test_a_start_that_waits_for_the_target_begins_the_next_fragment_of_pysot(again: int) -> None:
    """Perfect but for a failure at frame 30, after which the target is out of view until frame 60, or to the end."""
    own = run(300, [30])
    own.codes[35:again] = SKIPPED
    own.codes[again : again + 1] = START
    left = 300 - again - 1
    expected = [(29 / k + 1) / 2 if k <= left else 29 / k for k in range(45, 291)]
    assert score([still(300)], [[own]], "pysot", "vot2019").overall["EAO"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tags_count_frames(convention: str) -> None:
    tagged = np.zeros(60, bool)
    tagged[20:40] = True
    labels = Labels("a", still(60).boxes, np.ones(60, bool), (100, 100), tags={"occlusion": tagged})
    found = by_tag([labels], [[run(60, [30, 50], offset=10)]], convention)
    assert list(found) == ["occlusion", "empty"]
    assert [found[tag]["failures"] for tag in found] == [1.0, 1.0]
    assert found["occlusion"]["robustness"] == pytest.approx(5.0 if convention == "pysot" else 1.0)
    assert found["occlusion"]["accuracy"] == pytest.approx(11 / 31 if convention == "pysot" else 1 / 3)


def test_no_tags_no_table() -> None:
    assert by_tag([still(20)], [[run(20)]]) == {}


@pytest.mark.parametrize(
    ("dataset", "interval"),
    [
        ("vot2013", (100, 356)), ("vot2015", (108, 371)), ("vot2016", (108, 371)),
        ("vot2017", (100, 356)), ("VOT2018", (100, 356)), ("vot2019", (46, 291)),
    ],
)  # fmt: skip
def test_the_interval_is_the_challenge_s(dataset: str, interval: tuple[int, int]) -> None:
    low, high = interval
    assert lengths("vot", dataset) == slice(low, high + 1)
    assert lengths("pysot", dataset) == slice(low - 1, high)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_sequences_shorter_than_the_interval_have_no_eao(convention: str) -> None:
    scores = score([still(60)], [[run(60)]], convention, "vot2018")
    assert np.isnan(scores.overall["EAO"])
    assert scores.overall["accuracy"] == 1.0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_failed_frame_counts_by_its_code_whatever_box_it_has(convention: str) -> None:
    own = run(60, [30])
    blank = SupervisedRun(own.codes, np.where((own.codes == TRACKED)[:, None], own.regions, np.nan))
    assert score([still(60)], [[own]], convention).overall == pytest.approx(
        score([still(60)], [[blank]], convention).overall, nan_ok=True
    )


def test_pysot_lets_the_image_of_its_accuracy_be_a_pixel_larger() -> None:
    """Both reach the right border; the truth's last column 100 is in the image of the accuracy, not in EAO's."""
    labels = Labels("edge", np.tile([80.0, 40, 20, 20], (20, 1)), np.ones(20, bool), (100, 100))
    found = SupervisedRun(run(20).codes, np.tile([90.0, 40, 20, 20], (20, 1)))
    [outcome] = measure([labels], [[found]], "pysot")
    assert outcome.overlap[15] == pytest.approx(10 / 20, abs=1e-7)
    assert outcome.accuracy[15] == pytest.approx(11 / 21, abs=1e-7)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(UserError, match="convention 'pysott': unknown for supervised runs; did you mean pysot"):
        score([still(20)], [[run(20)]], "pysott")
    with pytest.raises(ValueError, match="still: expected 20 rows, got 19"):
        score([still(20)], [[run(19)]])
    with pytest.raises(ValueError, match="at least one run"):
        score([still(20)], [[]])


@settings(max_examples=30)
@given(st.lists(st.integers(50, 400), min_size=1, max_size=5), st.sampled_from(CONVENTIONS))
def test_a_perfect_tracker_has_an_eao_of_1(durations: list[int], convention: str) -> None:
    scores = score([still(n) for n in durations], [[run(n)] for n in durations], convention, "vot2019")
    assert scores.overall == {"EAO": 1.0, "accuracy": 1.0, "robustness": 0.0, "failures": 0.0}


@settings(max_examples=30)
@given(st.integers(60, 320), st.data(), st.floats(0, 15), st.sampled_from(CONVENTIONS))
def test_of_two_equally_exact_trackers_the_one_that_fails_has_no_higher_eao(
    length: int, data: st.DataObject, offset: float, convention: str
) -> None:
    failure = data.draw(st.integers(1, length - 1))
    without = score([still(length)], [[run(length, offset=offset)]], convention, "vot2019").overall["EAO"]
    fails = score([still(length)], [[run(length, [failure], offset)]], convention, "vot2019").overall["EAO"]
    assert fails <= without + 1e-12 or np.isnan(fails)
