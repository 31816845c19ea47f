"""Durability: what is on disk after kills, torn files and repeats, and what a reader finds."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from seqtrack.assessment import results
from seqtrack.assessment.conventions import find
from seqtrack.assessment.protocols import Run, Sequence
from seqtrack.assessment.results import SequenceResult, finish, read_sequences, write_sequence
from seqtrack.assessment.scores import Labels
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import DataError, SupersededError
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED

CONFIG = {"eval_sampler": "full", "tracker": {"num_scales": 3, "sizes": (127, 255)}}
WHAT = {
    "eval_id": "bag-full",
    "dataset": parse_dataset_name("otb:bag"),
    "step": 300,
    "protocol": "ope",
    "convention": "otb",
}
TOTAL = 5
TRUTH = np.array([[10.0, 10.0, 20.0, 20.0]] * TOTAL)
HITS = (True, False, True, False, False)  # where the tracker is right to the bit; elsewhere it is far away
PERFECT = 20 / 21  # AUC: no overlap exceeds the threshold 1


def a_run(name: str = "Crossing", number: int = 0, total: int = TOTAL) -> Run:
    """Number k starts in frame k."""
    labels = Labels(name, np.resize(TRUTH, (total, 4)), np.arange(total) % 3 != 2)
    return Run(Sequence(name, 0, 0, np.arange(total), labels), number, number)


def a_result(name: str = "Crossing", number: int = 0, hits: tuple[bool, ...] = HITS) -> SequenceResult:
    rng = np.random.default_rng([number, len(name)])
    right = np.array(hits[number:])
    boxes = np.where(right[:, None], TRUTH[0], 1000 + 100 * rng.random((len(right), 4)))
    codes = np.where(np.arange(len(right)) == 0, START, TRACKED).astype(np.uint8)
    return SequenceResult(
        name, number, np.arange(number, len(hits)), boxes, rng.random(len(right)), codes, 0.1 * len(right)
    )


def same(a: SequenceResult, b: SequenceResult) -> bool:
    arrays = all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("frames", "boxes", "scores", "codes"))
    return arrays and (a.name, a.start, a.seconds) == (b.name, b.start, b.seconds)


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


NAMES = [
    "Crossing",
    "class/airplane-1",
    "..",
    "a b,c;\"d'",
    "Grüße",
    "x" * 300,
    "A",
    "a",
    ".hidden",
    "",
    "x:y",
]


def test_what_is_written_is_read_back_bit_for_bit_whatever_the_name(tmp_path: Path) -> None:
    written = {(name, start): a_result(name, start) for name in NAMES for start in (0, 1)}
    for result in written.values():
        write_sequence(tmp_path / "partial", result)
    found = read_sequences(tmp_path / "partial")
    assert found.keys() == written.keys()
    assert all(same(found[key], written[key]) for key in written)
    assert [path.name for path in tmp_path.iterdir()] == ["partial"], "no name leaves the folder"


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_sequences(tmp_path / "partial") == {}


@pytest.mark.parametrize("keep", [0, 1, 50, 0.5, 0.99])
def test_a_torn_file_is_discarded_and_the_others_stay(tmp_path: Path, keep: float) -> None:
    write_sequence(tmp_path, a_result("whole"))
    write_sequence(tmp_path, a_result("torn"))
    (torn,) = tmp_path.glob("torn*")
    data = torn.read_bytes()
    torn.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    assert list(read_sequences(tmp_path)) == [("whole", 0)]
    assert not torn.exists()


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write_sequence(tmp_path, a_result(hits=HITS * 40))
    (path,) = tmp_path.glob("*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert read_sequences(tmp_path) == {}


def test_files_of_another_name_version_or_kind_are_not_taken(tmp_path: Path) -> None:
    write_sequence(tmp_path, a_result("a"))
    (path,) = tmp_path.glob("*.npz")
    path.rename(tmp_path / "b-0123456789@0.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", header=np.array([{"a": 1}], dtype=object))
    (tmp_path / ".tmp-x.npz").write_bytes(b"unfinished")
    assert read_sequences(tmp_path) == {}


def test_lengths_that_differ_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="Crossing start 0: 5 frames"):
        replace(a_result(), scores=np.zeros(4))


def publish(root: Path, keys: list[tuple[str, int]], name: str = "final", **options: object) -> Path:
    for key in keys:
        write_sequence(root / "partial", a_result(*key))
    finish(root / "partial", root / name, [a_run(*key) for key in keys], CONFIG, **WHAT, **options)  # type: ignore[arg-type]
    return root / name


def test_the_finished_folder_holds_everything_and_the_partial_one_is_gone(tmp_path: Path) -> None:
    keys = [("Skiing", 0), ("Skiing", 1), ("class/x", 0), ("class/x", 1)]
    final = publish(tmp_path, keys, tre_num=2)
    assert sorted(tree(tmp_path)) == [
        "config.yaml",
        "sequences.csv",
        "speed.json",
        "statistics.npz",
        "summary.json",
        "tracks.h5",
    ]
    assert not (tmp_path / "partial").exists()
    assert yaml.safe_load((final / "config.yaml").read_text())["tracker"]["sizes"] == [127, 255]
    summary = results.load_summary(final)
    assert summary == json.loads((final / "summary.json").read_text())
    # from frame 0: frames 0 and 2 are right; from frame 1: the first frame is given, and frame 2 is right
    assert summary["metrics"]["AUC"] == pytest.approx(0.4 * PERFECT)
    assert summary["metrics"]["TRE_2_AUC"] == pytest.approx((0.4 + 0.5) / 2 * PERFECT)
    assert {k: v for k, v in summary.items() if k not in ("metrics", "curves")} == {
        "eval_id": "bag-full", "step": 300, "protocol": "ope", "convention": "otb", "tre_num": 2,
        "definition": find("ope", "otb").definition, "num_sequences": 2, "num_frames": 18,
    }  # fmt: skip
    assert summary["curves"]["success"] == pytest.approx([0.4] * 20 + [0.0]), "of the runs from the first start"
    assert json.loads((final / "speed.json").read_text()) == {
        "frames": 18, "seconds": pytest.approx(1.8), "fps": pytest.approx(10.0),
    }  # fmt: skip
    assert [(run.name, run.start, run.first_frame, run.frames) for run in results.load_sequences(final)] == [
        (name, number, number, 5 - number) for name, number in keys
    ]


def test_tracks_hold_one_row_per_frame_with_every_bit(tmp_path: Path) -> None:
    keys = [("class/x", 0), ("class/x", 1), ("..", 0)]
    final = publish(tmp_path, keys)
    for name, number in keys:
        track, expected = results.load_track(final, name, number), a_result(name, number)
        assert track["frame"].tolist() == expected.frames.tolist()
        assert np.stack([track[column] for column in "xywh"], axis=1).tolist() == expected.boxes.tolist()
        assert track["score"].tolist() == expected.scores.tolist()
        assert track["code"].tolist() == expected.codes.tolist()
        assert track["present"].tolist() == [True, True, False, True, True][number:]
        assert track["overlap"].tolist() == [float(hit) for hit in HITS][number:]
    assert [same(found, a_result(*key)) for found, key in zip(results.load_results(final), keys, strict=True)]
    with h5py.File(final / "tracks.h5") as file:
        assert sorted(file) == ["%2E%2E", "class%2Fx"]
        assert file["class%2Fx/start_001"].attrs["sequence"] == "class/x"
    with pytest.raises(DataError, match="has no track 'y' from start 0"):
        results.load_track(final, "y")


def test_scores_are_read_back_with_every_digit(tmp_path: Path) -> None:
    keys = [('a,"b', 0), ("c", 0), ("c", 1)]
    final = publish(tmp_path, keys, tre_num=2)
    runs = results.load_sequences(final)
    assert [run.name for run in runs] == ['a,"b', "c", "c"]
    scores, metrics = results.load_scores(final), results.load_summary(final)["metrics"]
    assert {metric: float(item.value()) for metric, item in scores.items()} == metrics
    assert scores["AUC"].per_sequence.tolist() == [run.metrics["AUC"] for run in runs[:2]]
    assert scores["TRE_2_AUC"].per_sequence[1] == pytest.approx((runs[1].metrics["AUC"] + runs[2].metrics["AUC"]) / 2)


def test_repetitions_are_averaged_within_a_sequence_and_a_start_that_sees_nothing_has_no_say(tmp_path: Path) -> None:
    sequence = a_run().sequence
    again = Run(sequence, 1, 0)
    other = a_run("other")
    for result in (a_result(), replace(a_result(hits=(True,) * 5), start=1), a_result("other", hits=(True,) * 5)):
        write_sequence(tmp_path / "p", result)
    summary = finish(tmp_path / "p", tmp_path / "f", [a_run(), again, other], CONFIG, **WHAT)  # type: ignore[arg-type]
    assert summary["metrics"]["mean_iou"] == pytest.approx(((0.4 + 1.0) / 2 + 1.0) / 2)


def failing(number: int = 0) -> SequenceResult:
    """Right for a third of 120 frames, lost in frame 40, started again in frame 45 and right to the end."""
    codes = np.full(120, TRACKED, np.uint8)
    codes[[0, 45]], codes[40], codes[41:45] = START, FAILED, SKIPPED
    boxes = np.where((codes == SKIPPED)[:, None], np.nan, TRUTH[0])
    boxes[40] = [500, 400, 20, 20]
    return SequenceResult("long", number, np.arange(120), boxes, np.full(120, np.nan), codes, 1.0)


def test_restarts_are_scored_stored_and_read_back(tmp_path: Path) -> None:
    sequence = replace(a_run("long", total=120).sequence)
    runs = [Run(sequence, 0, 0), Run(sequence, 1, 0)]
    never = replace(failing(1), codes=np.where(np.arange(120) == 0, START, TRACKED).astype(np.uint8))
    for result in (failing(), replace(never, boxes=np.resize(TRUTH, (120, 4)))):
        write_sequence(tmp_path / "p", result)
    what = {**WHAT, "eval_id": "vot2018-supervised", "protocol": "supervised", "convention": "pysot", "tre_num": 3}
    summary = finish(tmp_path / "p", tmp_path / "f", runs, CONFIG, **what)  # type: ignore[arg-type]
    assert list(results.load_scores(tmp_path / "f")) == ["EAO", "accuracy", "robustness", "failures"]
    assert summary["tre_num"] == 1, "restarts have no starts of TRE"
    assert summary["metrics"]["failures"] == 0.5, "of a repetition"
    assert summary["metrics"]["robustness"] == pytest.approx(0.5 / 120 * 100)
    assert summary["metrics"]["accuracy"] == 1.0
    rows = results.load_sequences(tmp_path / "f")
    assert [(row.start, row.metrics["failures"]) for row in rows] == [(0, 1.0), (1, 0.0)]
    track = results.load_track(tmp_path / "f", "long")
    assert track["code"].tolist() == failing().codes.tolist()
    assert np.isnan(track["overlap"][[0, 41, 44, 45]]).all() and track["overlap"][40] == 0
    assert track["overlap"][[1, 39, 46, 119]].tolist() == [1.0] * 4
    scores = results.load_scores(tmp_path / "f")
    assert {metric: float(item.value()) for metric, item in scores.items()} == summary["metrics"]
    assert summary["curves"]["expected_overlap"][1] == 1.0


def test_a_score_that_short_videos_do_not_give_is_null_on_disk(tmp_path: Path) -> None:
    write_sequence(tmp_path / "p", a_result())
    what = {**WHAT, "protocol": "supervised", "convention": "vot"}
    summary = finish(tmp_path / "p", tmp_path / "f", [a_run()], CONFIG, **what)  # type: ignore[arg-type]
    assert summary["metrics"]["EAO"] is None and summary["metrics"]["accuracy"] is not None
    assert np.isnan(results.load_scores(tmp_path / "f")["EAO"].value())
    assert np.isnan(results.load_sequences(tmp_path / "f")[0].metrics["EAO"])


def test_the_long_term_asks_for_confidence(tmp_path: Path) -> None:
    """The target is gone in frame 2 of 5, where the tracker is less sure of its box than elsewhere."""
    sure = replace(a_result(hits=(True,) * 5), scores=np.array([np.nan, 0.9, 0.1, 0.8, 0.7]))
    for number in (0, 1):
        write_sequence(tmp_path / "p", replace(sure, start=number))
    run = a_run()
    what = {**WHAT, "protocol": "longterm", "convention": "vot"}
    runs = [Run(run.sequence, number, 0) for number in (0, 1)]
    summary = finish(tmp_path / "p", tmp_path / "f", runs, CONFIG, **what)  # type: ignore[arg-type]
    # the first frame is given and counts as lost: 3 of the 4 frames in view
    assert summary["metrics"] == pytest.approx({"F_score": 6 / 7, "LT_precision": 1.0, "LT_recall": 0.75})
    scores = results.load_scores(tmp_path / "f")
    assert {metric: float(item.value()) for metric, item in scores.items()} == summary["metrics"]
    assert summary["num_sequences"] == 1 and scores["F_score"].per_sequence.shape == (1,)


def test_frames_weigh_the_same_on_got10k_and_repetitions_join_them(tmp_path: Path) -> None:
    long, short = a_run("long", total=21), a_run("short")
    visible = replace(long.sequence.labels, size=(640, 480)), replace(short.sequence.labels, size=(640, 480))
    sequences = [replace(run.sequence, labels=labels) for run, labels in zip((long, short), visible, strict=True)]
    runs = [Run(sequence, number, 0) for sequence in sequences for number in (0, 1)]
    hits = {"long": (True,) * 21, "short": (True, False, False, False, False)}
    for run in runs:
        write_sequence(
            tmp_path / "p", replace(a_result(run.sequence.name, hits=hits[run.sequence.name]), start=run.number)
        )
    what = {**WHAT, "dataset": parse_dataset_name("got10k_val"), "convention": "got10k"}
    summary = finish(tmp_path / "p", tmp_path / "f", runs, CONFIG, **what)  # type: ignore[arg-type]
    # in view but not the first: 13 of 21 frames and 3 of 5
    assert summary["metrics"] == pytest.approx(dict.fromkeys(("AO", "SR_50", "SR_75"), 13 / 16))
    assert results.load_scores(tmp_path / "f")["AO"].per_sequence.tolist() == [1.0, 0.0]


def test_equal_tracks_give_equal_bytes_whenever_and_in_whatever_order_they_came(tmp_path: Path) -> None:
    pairs = [("b", 0), ("a", 0), ("c", 0)]
    first = publish(tmp_path / "1", pairs)
    written = int(time.time())
    while int(time.time()) == written:  # HDF5 dates have a resolution of one second
        time.sleep(0.01)
    for pair in reversed(pairs):
        write_sequence(tmp_path / "2" / "partial", replace(a_result(*pair), seconds=99.0))
    runs = [a_run(*pair) for pair in pairs]
    finish(tmp_path / "2" / "partial", tmp_path / "2" / "final", runs, CONFIG, **WHAT)  # type: ignore[arg-type]
    one, two = tree(first), tree(tmp_path / "2" / "final")
    assert one.pop("speed.json") != two.pop("speed.json")
    assert one == two


def test_a_missing_sequence_stops_the_publication(tmp_path: Path) -> None:
    write_sequence(tmp_path / "partial", a_result("a"))
    with pytest.raises(ValueError, match=r"1 of 2 sequences are not there yet, such as \('b', 0\)"):
        finish(tmp_path / "partial", tmp_path / "final", [a_run("a"), a_run("b")], CONFIG, **WHAT)  # type: ignore[arg-type]
    assert not (tmp_path / "final").exists()
    assert list(read_sequences(tmp_path / "partial")) == [("a", 0)]


def test_a_superseded_attempt_publishes_nothing(tmp_path: Path) -> None:
    def guard() -> None:
        raise SupersededError("a newer attempt has started")

    with pytest.raises(SupersededError):
        write_sequence(tmp_path / "partial", a_result(), guard)
    assert read_sequences(tmp_path / "partial") == {}
    write_sequence(tmp_path / "partial", a_result())
    with pytest.raises(SupersededError):
        publish(tmp_path, [("Crossing", 0)], guard=guard)
    assert [path.name for path in tmp_path.iterdir()] == ["partial"], "nothing half-made is left"
    assert len(read_sequences(tmp_path / "partial")) == 1


def test_a_finished_folder_is_never_changed(tmp_path: Path) -> None:
    final = publish(tmp_path, [("a", 0)])
    before = tree(final)
    write_sequence(tmp_path / "partial", a_result("a", hits=(True,) * 5))
    summary = finish(tmp_path / "partial", final, [a_run("a"), a_run("b")], CONFIG, **WHAT)  # type: ignore[arg-type]
    assert tree(final) == before and summary["metrics"]["mean_iou"] == 0.4
    assert not (tmp_path / "partial").exists(), "left by a kill between publication and removal"


def test_files_that_were_damaged_later_are_named(tmp_path: Path) -> None:
    final = publish(tmp_path, [("a", 0)])
    assert results.is_finished(final) and not results.is_finished(tmp_path)
    (final / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"summary\.json: cannot be read"):
        results.load_summary(final)
    text = (final / "sequences.csv").read_text()
    (final / "sequences.csv").write_text(text.replace("0.4", "a lot", 1))
    with pytest.raises(DataError, match=r"sequences\.csv, row 2: no scores there"):
        results.load_sequences(final)
    damaged = (final / "statistics.npz").read_bytes()
    (final / "statistics.npz").write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(DataError, match=r"statistics\.npz: cannot be read .*: remove the folder to assess again"):
        results.load_scores(final)
    (final / "config.yaml").write_text("assess: [")
    with pytest.raises(
        DataError, match=r"config\.yaml: cannot be read \(did not find expected node content\): remove"
    ):
        results.load_config(final)


def test_a_folder_of_a_version_that_kept_no_statistics_is_made_again(tmp_path: Path) -> None:
    final = publish(tmp_path, [("a", 0)])
    new = tree(final)
    (final / "statistics.npz").unlink()
    (final / "summary.json").write_text("{}")
    assert not results.is_finished(final)
    assert tree(publish(tmp_path, [("a", 0)])) == new


def test_a_disk_that_fills_up_under_the_tracks_leaves_nothing_half_written(tmp_path: Path, small_disk: Path) -> None:
    """HDF5 itself would end the process there."""
    long = a_result(hits=HITS * 6_000)
    write_sequence(tmp_path / "partial", long)
    with pytest.raises(OSError, match="No space left on device"):
        finish(tmp_path / "partial", small_disk / "final", [a_run(total=30_000)], CONFIG, **WHAT)
    assert list(small_disk.iterdir()) == []
    assert read_sequences(tmp_path / "partial").keys() == {("Crossing", 0)}, "to be finished when there is room"
