"""One-pass scores: by hand, against the field's toolkits, against the plain comparison, and laws."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment import conventions
from seqtrack.assessment.metrics import SUCCESS_THRESHOLDS
from seqtrack.assessment.scores import Labels, SetScores
from seqtrack.assessment.scoring import _beyond, overlap, score
from seqtrack.errors import DataError, UserError

ONE_PASS_CONVENTIONS = conventions.names("ope")


def labels(boxes: object, present: object = None, name: str = "walk", **more: object) -> Labels:
    truth = np.asarray(boxes, np.float64)
    seen = np.ones(len(truth), np.bool_) if present is None else np.asarray(present, np.bool_)
    return Labels(name, truth, seen, **more)  # type: ignore[arg-type]


def scored(pred: object, truth: object, convention: str = "otb", dataset: str = "") -> dict[str, float]:
    return score([labels(truth)], [np.asarray(pred, np.float64)], convention, dataset).overall


# --- by hand ------------------------------------------------------------------------------------------------

FIVE_TRUTHS = np.tile([10.0, 10.0, 40.0, 20.0], (5, 1))
FIVE_BOXES = np.array(
    [
        [0.0, 0.0, 1.0, 1.0],  # overwritten with the truth: IoU 1, error 0
        [10.0, 10.0, 40.0, 20.0],  # IoU 1
        [30.0, 10.0, 40.0, 20.0],  # IoU 20*20 / (1600 - 400) = 1/3; 20 px off, 0.5 widths
        [14.0, 10.0, 40.0, 20.0],  # IoU 36*20 / (1600 - 720) = 9/11; 4 px off, 0.1 widths
        [100.0, 100.0, 40.0, 20.0],  # no overlap; far off
    ]
)


def test_five_frames_computed_by_hand() -> None:
    found = scored(FIVE_BOXES, FIVE_TRUTHS)
    # Strictly above t: IoU 1 passes 0 ... 0.95 (20 of 21), 1/3 passes 0 ... 0.30 (7), 9/11 0 ... 0.80 (17).
    assert found["AUC"] == pytest.approx((20 + 20 + 7 + 17 + 0) / 21 / 5, abs=1e-15)
    assert [found[f"success_{t}"] for t in (50, 70, 75)] == [3 / 5, 3 / 5, 3 / 5]
    assert found["precision_20"] == 4 / 5  # exactly 20 px is a hit
    assert found["norm_precision"] == 3 / 5
    assert found["mean_iou"] == pytest.approx((1 + 1 + 1 / 3 + 9 / 11 + 0) / 5, abs=1e-15)


def test_the_first_prediction_counts_as_it_is_under_pysot() -> None:
    found = scored(FIVE_BOXES, FIVE_TRUTHS, "pysot")
    assert found["success_50"] == 2 / 5 and found["precision_20"] == 3 / 5


def test_got10ks_normalised_precision_is_the_mean_of_its_curve() -> None:
    found = scored(FIVE_BOXES, FIVE_TRUTHS, "got10k")
    # Of 51 thresholds two frames pass all, 0.1 those from 0.1 on (41), 0.5 the last.
    assert found["norm_precision"] == pytest.approx((51 + 51 + 41 + 1) / 51 / 5, abs=1e-15)
    assert found["AUC"] == scored(FIVE_BOXES, FIVE_TRUTHS)["AUC"]


@pytest.mark.parametrize("convention", ONE_PASS_CONVENTIONS)
def test_a_perfect_track_has_auc_20_of_21_because_nothing_exceeds_1(convention: str) -> None:
    truth = np.array([[0.1, 0.2, 33.3, 77.7], [5.1, 6.2, 31.7, 70.9]])
    ones = dict.fromkeys(("success_50", "success_70", "success_75", "precision_20", "norm_precision"), 1.0)
    expected = {"AUC": pytest.approx(20 / 21), "mean_iou": pytest.approx(1.0), **ones}
    assert scored(truth, truth, convention) == expected


@pytest.mark.parametrize(("name", "height"), [("success_50", 5), ("success_70", 7), ("success_75", 7.5)])
@pytest.mark.parametrize("convention", ONE_PASS_CONVENTIONS)
def test_a_tie_is_not_above_the_threshold(convention: str, name: str, height: float) -> None:
    truth, pred = [[1.0, 1.0, 10.0, 10.0]] * 2, [[1.0, 1.0, 10.0, 10.0], [1.0, 1.0, 10.0, height]]
    assert scored(pred, truth, convention)[name] == 1 / 2


def test_rows_without_numbers_are_left_out_by_got10k_and_hits_of_precision_for_pysot() -> None:
    truth = np.array([[1, 1, 10, 10], [np.nan] * 4, [1, 1, 10, 10.0]])
    pred = np.array([[1, 1, 10, 10], [500, 500, 1, 1], [500, 500, 10, 10.0]])
    for convention in ("otb", "got10k"):
        found = scored(pred, truth, convention)
        assert (found["success_50"], found["precision_20"]) == (1 / 2, 1 / 2)
    for convention in ("pysot", "pysot_all_frames"):
        found = scored(pred, truth, convention, "uav123")
        assert (found["success_50"], found["precision_20"], found["norm_precision"]) == (1 / 3, 2 / 3, 2 / 3)


def test_pytracking_takes_frames_without_truth_otherwise_on_uav123() -> None:
    truth = np.array([[1, 1, 10, 10], [np.nan] * 4, [1, 1, 10, 10.0]])
    pred = np.array([[1, 1, 10, 10], [500, 500, 1, 1], [500, 500, 10, 10.0]])
    uav, otb = scored(pred, truth, "pytracking", "uav123"), scored(pred, truth, "pytracking", "otb_100")
    assert (uav["precision_20"], otb["precision_20"]) == (2 / 3, 1 / 3)
    assert uav["norm_precision"] == otb["norm_precision"] == 2 / 3
    assert uav["mean_iou"] == otb["mean_iou"] == 1 / 2, "over the frames with a truth"


@pytest.mark.parametrize(
    ("convention", "dataset", "success"),
    [
        ("otb", "lasot_test", 3 / 4),
        ("got10k", "lasot_test", 3 / 4),
        ("pysot_all_frames", "lasot_test", 3 / 4),
        ("pysot", "otb_100", 3 / 4),
        ("pysot", "lasot_test", 2 / 4),
        ("pytracking", "lasot_test", 2 / 4),
        ("lasot", "lasot_test", 2 / 4),
    ],
)
def test_who_asks_whether_the_target_is_flagged_absent(convention: str, dataset: str, success: float) -> None:
    truth = np.tile([1.0, 1.0, 10.0, 10.0], (4, 1))
    pred = np.array([truth[0], truth[0], truth[0], [500, 500, 10, 10.0]])
    found = score([labels(truth, [True, True, False, True])], [pred], convention, dataset).overall
    assert [found[name] for name in ("success_50", "precision_20", "norm_precision")] == [success] * 3


def test_truth_of_no_size_counts_as_a_miss_of_overlap_but_by_its_distance_in_precision() -> None:
    truth = np.array([[0, 0, 10, 10], [0, 0, 0, 0.0]])
    found = scored([[0, 0, 10, 10], [0, 0, 10, 10.0]], truth)
    assert (found["success_50"], found["precision_20"], found["norm_precision"]) == (1 / 2, 1.0, 1 / 2)
    assert scored(truth, truth)["norm_precision"] == 1 / 2, "0 / 0 is no hit"


def test_lasots_tool_and_pytracking_take_a_box_that_leans_out_at_the_top_for_no_truth() -> None:
    truth = np.array([[5.0, 5.0, 10.0, 10.0], [5.0, -2.0, 10.0, 10.0]])
    for convention in ("otb", "got10k", "pysot"):
        assert scored(truth, truth, convention)["success_50"] == 1.0
    lasot, pytracking = scored(truth, truth, "lasot"), scored(truth, truth, "pytracking")
    assert (lasot["success_50"], lasot["precision_20"]) == (1 / 2, 1.0)
    assert (pytracking["success_50"], pytracking["precision_20"], pytracking["norm_precision"]) == (1 / 2, 1 / 2, 1.0)


def test_lasots_tool_and_pytracking_let_a_box_of_no_size_be_the_one_before_it() -> None:
    truth = np.tile([5.0, 5.0, 10.0, 10.0], (4, 1))
    pred = np.array([[50, 50, 10, 10], [5, 5, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0.0]])
    for convention, found in (("otb", 2 / 4), ("pysot", 1 / 4), ("lasot", 1.0), ("pytracking", 1.0)):
        assert scored(pred, truth, convention)["success_50"] == found
    pred = np.array([[50, 50, 10, 10], [0, 0, 0, 0], [5, 5, 10, 10], [5, 5, 10, 10.0]])
    assert scored(pred, truth, "lasot")["success_50"] == 3 / 4, "the first as it was predicted, not the truth"
    assert scored(pred, truth, "lasot")["precision_20"] == 3 / 4


def test_a_box_of_no_size_does_not_reach_back_into_the_sequence_before() -> None:
    truth = np.tile([5.0, 5.0, 10.0, 10.0], (2, 1))
    second = np.zeros((2, 4))
    found = score([labels(truth), labels(truth, name="run")], [truth, second], "lasot")
    assert found.per_sequence["success_50"].tolist() == [1.0, 1 / 2]


# --- GOT-10k ------------------------------------------------------------------------------------------------


def test_got10k_pools_the_frames_of_all_sequences_but_the_first_and_those_with_nothing_visible() -> None:
    box = [10.0, 10.0, 40.0, 20.0]
    short = labels([box] * 3, size=(200, 100), present=np.array([True, True, False]))
    long = labels([box] * 5, name="run", size=(200, 100))
    far = [150.0, 10.0, 40.0, 20.0]
    found = score(
        [short, long], [np.array([box, far, box]), np.array([far, box, box, box, far])], "got10k", "got10k_val"
    )
    assert found.overall == {"AO": 3 / 5, "SR_50": 3 / 5, "SR_75": 3 / 5}
    assert found.per_sequence["AO"].tolist() == [0.0, 3 / 4]
    assert found.set_curves["success"][10] == 3 / 5 and set(found.curves) == {"success"}


def test_got10k_clips_boxes_to_the_image_and_moves_x_without_shrinking_the_width() -> None:
    truth = labels([[0.0, 0.0, 50.0, 50.0]] * 2, size=(100, 50))
    found = score([truth], [np.array([[0, 0, 50, 50], [-20.0, 0, 50, 90]])], "got10k", "got10k_val")
    assert found.overall["AO"] == 1.0, "-20 … 30 becomes 0 … 50, and 90 rows the 50 that there are"


def test_got10k_needs_the_size_of_the_images_and_a_frame_that_counts() -> None:
    with pytest.raises(DataError, match="sequence 'walk': the size of its images is not known"):
        score([labels([[1, 1, 2, 2]] * 2)], [np.ones((2, 4))], "got10k", "got10k_val")
    hidden = labels([[1, 1, 2, 2]] * 2, size=(9, 9), present=np.zeros(2, bool))
    with pytest.raises(DataError, match="sequence 'walk': no frame with a valid truth"):
        score([hidden], [np.ones((2, 4))], "got10k", "got10k_val")
    seen = labels([[1, 1, 2, 2]] * 2, name="run", size=(9, 9))
    found = score([hidden, seen], [np.ones((2, 4)), seen.boxes], "got10k", "got10k_val")
    assert found.overall["AO"] == 1.0 and np.isnan(found.per_sequence["AO"][0])


def test_got10ks_own_package_gives_the_same_scores(tmp_path: Path) -> None:
    got10k = pytest.importorskip("got10k.experiments")
    rng, truths, boxes = np.random.default_rng(0), [], []
    folder, results = tmp_path / "val", tmp_path / "results" / "GOT-10k" / "Walker"
    for name, frames in (("GOT-10k_Val_000001", 40), ("GOT-10k_Val_000002", 7), ("GOT-10k_Val_000003", 90)):
        truth = np.round(rng.uniform([-20, -20, 5, 5], [100, 60, 60, 40], (frames, 4)), 1)  # leaves 120 × 80
        cover = rng.integers(0, 9, frames)
        files = {
            "groundtruth.txt": truth,
            "cover.label": cover,
            "absence.label": cover == 0,
            "cut_by_image.label": cover > 8,
        }
        for file, rows in files.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.savetxt(folder / name / file, rows, delimiter=",", fmt="%.4f")
        (folder / name / "meta_info.ini").write_text("[METAINFO]\nresolution: (120, 80)\n")
        for k in range(1, frames + 1):
            (folder / name / f"{k:08}.jpg").touch()
        (results / name).mkdir(parents=True)
        np.savetxt(results / name / f"{name}_time.txt", np.ones(frames))
        for repetition in range(1, 4):
            pred = np.round(truth + rng.normal(0, 9, truth.shape), 3)
            np.savetxt(results / name / f"{name}_{repetition:03}.txt", pred, delimiter=",", fmt="%.3f")
            truths.append(labels(truth, name=name, size=(120, 80), present=cover > 0))
            boxes.append(pred)
    (folder / "list.txt").write_text("\n".join(sorted(path.name for path in folder.iterdir())))

    experiment = got10k.ExperimentGOT10k(str(tmp_path), "val", str(tmp_path / "results"), str(tmp_path / "reports"))
    theirs = experiment.report(["Walker"])["Walker"]
    ours = score(truths, boxes, "got10k", "got10k_val")
    assert ours.overall["AO"] == pytest.approx(theirs["overall"]["ao"], abs=1e-12)
    assert ours.overall["SR_50"] == pytest.approx(theirs["overall"]["sr"], abs=1e-12)
    assert ours.overall["SR_75"] == pytest.approx(theirs["overall"]["succ_curve"][75], abs=1e-12)
    assert ours.set_curves["success"] == pytest.approx(theirs["overall"]["succ_curve"][::5], abs=1e-12)
    for name, found in theirs["seq_wise"].items():
        mine = [k for k, each in enumerate(ours.sequences) if each == name]
        assert ours.per_sequence["AO"][mine].mean() == pytest.approx(found["ao"], abs=1e-12)


# --- mistakes -----------------------------------------------------------------------------------------------


def test_what_does_not_belong_together_is_refused_by_name() -> None:
    truth = labels(np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"^sequence 'walk': \(3, 4\) truths, but \(2, 4\) boxes$"):
        score([truth], [np.ones((2, 4))], "otb")
    with pytest.raises(ValueError, match=r"^sequence 'walk': \(3, 4\) truths, but \(3, 5\) boxes$"):
        score([truth], [np.ones((3, 5))], "otb")
    with pytest.raises(ValueError, match=r"^sequence 'walk': 3 truths, but \(2,\) flags$"):
        score([labels(np.ones((3, 4)), [True, True])], [np.ones((3, 4))], "otb")
    with pytest.raises(ValueError, match="truths of 1 sequences, boxes of 2"):
        score([truth], [truth.boxes] * 2, "otb")
    with pytest.raises(ValueError, match=r"truth of shape \(T, 4\) expected, got \(0, 4\)"):
        score([labels(np.ones((0, 4)))], [np.ones((0, 4))], "otb")
    with pytest.raises(ValueError, match="no sequence to score"):
        score([], [], "otb")
    with pytest.raises(UserError, match=r"^convention 'otbx' is not known for ope; did you mean otb\?"):
        score([truth], [truth.boxes], "otbx")


def test_a_sequence_without_any_truth_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="sequence 'walk': no frame with a valid truth"):
        scored(np.zeros((2, 4)), np.full((2, 4), np.nan))


@pytest.mark.parametrize("convention", ONE_PASS_CONVENTIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_is_a_miss(convention: str, bad: float) -> None:
    truth = np.tile([10.0, 10.0, 40.0, 20.0], (2, 1))
    found = scored([truth[0], [bad, 10.0, 40.0, 20.0]], truth, convention)
    assert [found[name] for name in ("success_50", "precision_20", "norm_precision", "mean_iou")] == [0.5] * 4


@pytest.mark.parametrize("convention", ONE_PASS_CONVENTIONS)
def test_arguments_are_left_as_they_were(convention: str) -> None:
    pred, truth = np.zeros((2, 4)), labels(np.ones((2, 4)), size=(1, 1))
    for dataset in ("", "got10k_val", "lasot_test"):
        score([truth], [pred], convention, dataset)
    assert not pred.any() and (truth.boxes == 1).all()


# --- against the toolkits -----------------------------------------------------------------------------------

Reference = dict[str, dict[str, dict[str, dict[str, float]]]]
NAMES = {
    "success_score": "AUC", "success_auc": "AUC", "precision_score": "precision_20", "precision_20": "precision_20",
    "normalized_precision_score": "norm_precision", "norm_precision_020": "norm_precision",
    "success_rate": "success_50", "success_rate_050": "success_50", "avg_overlap_valid": "mean_iou",
}  # fmt: skip
CURVE_NAMES = {
    "success_curve": "success", "precision_curve": "precision", "normalized_precision_curve": "norm_precision",
}  # fmt: skip
NOT_SCORES = {"speed_fps"}


def numbers(path: Path) -> np.ndarray:
    """Rows of x y w h; commas, tabs or spaces; a fifth column is a score."""
    text = path.read_text().replace(",", " ")
    columns = len(text.split("\n", 1)[0].split())
    return np.array(text.split(), np.float64).reshape(-1, columns)[:, :4]


@pytest.fixture(scope="module")
def reference(shared: Path) -> tuple[Path, dict]:
    scores = shared / "results" / "reference_scores.json"
    if not scores.is_file():
        pytest.skip("needs ../shared/results (result files and the toolkits' scores), not beside this clone")
    return scores.parent, json.loads(scores.read_text())


@pytest.fixture(scope="module")
def truths(reference: tuple[Path, dict]) -> Callable[[str], list[Labels]]:
    results, references = reference

    @functools.cache
    def read(benchmark: str) -> list[Labels]:
        folder = results / benchmark.removesuffix("_test")
        (tracker, *_) = references[benchmark].values()
        found = []
        for name in tracker["pytracking"]["per_sequence"]:
            boxes, flags = numbers(folder / "anno" / f"{name}.txt"), folder / "absent" / f"{name}.txt"
            absent = np.array(flags.read_text().split(), np.int64) if flags.exists() else np.zeros(len(boxes))
            found.append(labels(boxes, absent == 0, name))
        return found

    return read


TRACKERS, TOOLKITS = ("KCF", "Staple", "SiamFC-3s"), ("got10k", "pysot", "pytracking")
CASES = [
    *[("otb100", tracker, kit, kit) for tracker in TRACKERS for kit in TOOLKITS],
    *[("uav123", "SiamFC", kit, kit) for kit in TOOLKITS],
    ("lasot_test", "SiamFC", "got10k_ExperimentLaSOT", "got10k"),
    ("lasot_test", "SiamFC", "pysot_absent_removed", "pysot"),
    ("lasot_test", "SiamFC", "pysot_all_frames", "pysot_all_frames"),
    ("lasot_test", "SiamFC", "pytracking", "pytracking"),
    # got10k's experiments on OTB and its kin count as OTB's authors do, but for normalised precision.
    *[("otb100", tracker, "got10k", "otb") for tracker in TRACKERS],
    ("uav123", "SiamFC", "got10k", "otb"),
    ("lasot_test", "SiamFC", "got10k_ExperimentLaSOT", "otb"),
]  # fmt: skip
OF_GOT10K_ALONE = {"normalized_precision_score", "normalized_precision_curve"}
LASOT_SCORES = Path(__file__).with_name("lasot_scores.json")


@pytest.fixture(scope="module")
def predictions(reference: tuple[Path, dict], truths: Callable[[str], list[Labels]]) -> Callable[[str, str], list]:
    @functools.cache
    def read(benchmark: str, tracker: str) -> list[np.ndarray]:
        folder = reference[0] / benchmark.removesuffix("_test") / "trackers" / tracker
        files = {path.stem.removeprefix("uav_").replace("_", "-"): path for path in folder.glob("*.txt")}
        return [numbers(files[each.name.replace("_", "-")]) for each in truths(benchmark)]

    return read


@pytest.mark.parametrize(("benchmark", "tracker", "toolkit", "convention"), CASES)
def test_every_score_of_the_toolkits(
    reference: tuple[Path, dict],
    truths: Callable[[str], list[Labels]],
    predictions: Callable[[str, str], list],
    benchmark: str,
    tracker: str,
    toolkit: str,
    convention: str,
) -> None:
    theirs = reference[1][benchmark][tracker][toolkit]
    left_out = NOT_SCORES | (OF_GOT10K_ALONE if convention == "otb" else set())
    ours = score(truths(benchmark), predictions(benchmark, tracker), convention, benchmark)
    assert ours.convention == convention and set(ours.sequences) == set(theirs["per_sequence"])

    overall = {name: value for name, value in theirs["overall"].items() if name not in left_out}
    assert convention != "otb" or {NAMES.get(name) for name in overall} >= {"AUC", "precision_20", "success_50"}
    for name, value in overall.items():
        found = ours.set_curves[CURVE_NAMES[name]] if name in CURVE_NAMES else ours.overall[NAMES[name]]
        assert found == pytest.approx(value, abs=1e-6), name

    rows = ours.per_sequence
    for k, sequence in enumerate(ours.sequences):
        scores = {name: value for name, value in theirs["per_sequence"][sequence].items() if name not in left_out}
        found = {name: rows[NAMES[name]][k] for name in scores}
        assert found == pytest.approx(scores, abs=1e-6), sequence


def test_lasot_is_what_lasots_own_tool_says(
    truths: Callable[[str], list[Labels]], predictions: Callable[[str, str], list]
) -> None:
    golden = json.loads(LASOT_SCORES.read_text())
    found = score(truths("lasot_test"), predictions("lasot_test", "SiamFC"), "lasot", "lasot_test")
    assert set(found.sequences) == set(golden["scores"]) and len(found.sequences) == 280
    theirs = np.array([golden["scores"][name] for name in found.sequences])
    ours = np.stack([found.per_sequence[name] for name in golden["columns"]], axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    overall = [found.overall[name] for name in golden["columns"]]
    np.testing.assert_allclose(overall, theirs.mean(axis=0), rtol=0, atol=1e-12)


def test_what_the_literature_prints_for_these_files(
    truths: Callable[[str], list[Labels]], predictions: Callable[[str, str], list]
) -> None:
    printed = {"KCF": (0.477, 0.695), "Staple": (0.581, 0.784), "SiamFC-3s": (0.582, 0.771)}
    for tracker, values in printed.items():
        found = score(truths("otb100"), predictions("otb100", tracker), "otb", "otb_100").overall
        assert (found["AUC"], found["precision_20"]) == pytest.approx(values, abs=1e-3)


# --- laws ---------------------------------------------------------------------------------------------------

box = st.tuples(*[st.floats(-300, 300)] * 2, *[st.floats(0.5, 300)] * 2)
grid = st.tuples(*[st.integers(-6, 6)] * 2, *[st.integers(1, 12)] * 2)  # many exact ties
pair = st.one_of(st.tuples(box, box), st.tuples(grid, grid))
track = st.lists(pair, min_size=1, max_size=12)


def arrays(pairs: list) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in pairs], np.float64), np.array([t for _, t in pairs], np.float64)


@given(st.lists(pair, min_size=1, max_size=8))
def test_iou_is_symmetric_and_bounded_and_1_of_a_box_with_itself(pairs: list) -> None:
    a, b = arrays(pairs)
    assert overlap(a, b).tolist() == overlap(b, a).tolist()
    assert ((overlap(a, b) >= 0) & (overlap(a, b) <= 1)).all()
    assert overlap(a, a) == pytest.approx(np.ones(len(a)))


@given(track, st.sampled_from(ONE_PASS_CONVENTIONS))
def test_a_curve_from_a_histogram_is_the_direct_comparison(pairs: list, convention: str) -> None:
    pred, truth = arrays(pairs)
    found = score([labels(truth)], [pred], convention)
    rules = conventions.find("ope", convention).frames
    assert rules is not None
    if rules.first_is_truth:
        pred[0] = truth[0]
    overlaps = (
        np.where(rules.overlapping(truth.T), overlap(pred, truth), 0) if rules.overlapping else overlap(pred, truth)
    )
    assert (
        found.curves["success"][0].tolist()
        == (overlaps[:, None] > np.array(SUCCESS_THRESHOLDS)).mean(axis=0).tolist()
    )
    assert found.per_sequence["AUC"][0] == pytest.approx(
        (overlaps[:, None] > np.array(SUCCESS_THRESHOLDS)).mean(), abs=1e-12
    )
    for name in ("precision", "norm_precision"):
        assert (np.diff(found.curves[name][0]) >= 0).all()


@pytest.mark.parametrize("axis", [SUCCESS_THRESHOLDS, np.arange(51.0), np.arange(51) / 100, np.linspace(0, 0.5, 51)])
def test_bins_are_those_of_a_search_at_each_threshold_and_one_bit_beside_it(axis: object) -> None:
    thresholds = np.asarray(axis)
    random = np.random.default_rng(0).uniform(-0.1, 1.1, 10_000) * thresholds[-1]
    beside = [np.nextafter(thresholds, towards) for towards in (-np.inf, np.inf)]
    values = np.concatenate([thresholds, *beside, random, [-1.0, np.inf, -np.inf, np.nan, 1e300, 1e-300]])
    assert _beyond(values, thresholds).tolist() == np.searchsorted(thresholds, values).tolist()


@given(track, st.sampled_from(ONE_PASS_CONVENTIONS), st.data())
def test_raising_an_overlap_never_lowers_auc(pairs: list, convention: str, data: st.DataObject) -> None:
    pred, truth = arrays(pairs)
    before = score([labels(truth)], [pred], convention).overall["AUC"]
    better = pred.copy()
    k = data.draw(st.integers(0, len(pred) - 1))
    others = [*data.draw(st.lists(box | grid, max_size=6)), tuple(truth[k])]
    nearer = [
        box for box in others if overlap(np.array([box], float), truth[k : k + 1])[0] >= overlap(pred, truth)[k]
    ]
    better[k] = data.draw(st.sampled_from(nearer))
    assert score([labels(truth)], [better], convention).overall["AUC"] >= before


@given(st.lists(track, min_size=2, max_size=5), st.sampled_from(ONE_PASS_CONVENTIONS), st.randoms())
def test_the_order_of_the_sequences_changes_nothing(tracks: list, convention: str, random: object) -> None:
    named = [(labels(arrays(pairs)[1], name=str(k)), arrays(pairs)[0]) for k, pairs in enumerate(tracks)]
    shuffled = sorted(named, key=lambda _: random.random())  # type: ignore[attr-defined]
    one, other = (score([t for t, _ in each], [p for _, p in each], convention) for each in (named, shuffled))
    assert one.overall == pytest.approx(other.overall, abs=1e-12, nan_ok=True)
    assert by_name(one) == by_name(other), "each sequence has the very same bits"


def by_name(scores: SetScores) -> dict[str, dict[str, str]]:
    rows = scores.per_sequence
    return {
        name: {metric: repr(values[k]) for metric, values in rows.items()} for k, name in enumerate(scores.sequences)
    }


def test_blocks_of_frames_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truths = [labels(rng.uniform(1, 50, (n, 4)), name=str(n)) for n in range(1, 40)]
    boxes = [each.boxes + rng.normal(0, 3, each.boxes.shape) for each in truths]
    whole = score(truths, boxes, "lasot")
    for block in (1, 7, 100):
        monkeypatch.setattr("seqtrack.assessment.scoring._BLOCK", block)
        parts = score(truths, boxes, "lasot")
        assert parts.overall == whole.overall and by_name(parts) == by_name(whole)
