"""Generated videos: the same every time, tight boxes, targets that travel, nothing shared between the parts."""

import hashlib
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from seqtrack.data.geometry import iou
from seqtrack.data.imaging.images import decode
from seqtrack.data.synthetic import PATTERNS, SHAPES, make_video
from seqtrack.tools.sample_data import main

SIZE = (320, 240)


@pytest.fixture(scope="module")
def videos():
    return {part: [make_video(part, number, 60, SIZE) for number in range(4)] for part in ("train", "eval")}


def test_frames_and_boxes_are_a_function_of_the_arguments(videos):
    again = make_video("train", 2, 60, SIZE)
    assert (again.boxes == videos["train"][2].boxes).all()
    for t in (30, 0):
        assert (again.frame(t) == videos["train"][2].frame(t)).all()
    assert again.frame(0).shape == (240, 320, 3)
    assert (make_video("train", 2, 60, SIZE, seed=1).frame(0) != again.frame(0)).any()
    assert (make_video("eval", 2, 60, SIZE).frame(0) != again.frame(0)).any()


def test_training_annotates_every_object_and_evaluation_one(videos):
    assert [video.boxes.shape for video in videos["train"]] == [(4, 60, 4)] * 4
    assert [video.boxes.shape for video in videos["eval"]] == [(1, 60, 4)] * 4


def test_the_parts_share_neither_pattern_nor_shape():
    assert not set(PATTERNS["train"]) & set(PATTERNS["eval"])
    outlines = {part: [shape() for shape in shapes] for part, shapes in SHAPES.items()}
    assert not any(np.array_equal(a, b) for a in outlines["train"] for b in outlines["eval"])


def test_targets_stay_in_the_frame_and_travel_several_widths(videos):
    for video in videos["train"] + videos["eval"]:
        for boxes in video.boxes:
            centres = boxes[:, :2] + boxes[:, 2:] / 2
            assert (centres > 0).all()
            assert (centres < SIZE).all()
            path = np.linalg.norm(np.diff(centres, axis=0), axis=1)
            assert path.sum() > 3 * boxes[:, 2:].mean()
            assert path.max() < 0.5 * boxes[:, 2:].min()
            assert boxes[:, 2:].min() > 12
            assert boxes[:, 2].max() > 1.1 * boxes[:, 2].min()


def test_a_box_that_never_moves_scores_next_to_nothing(videos):
    for video in videos["eval"]:
        truth = video.boxes[0]
        assert iou(np.repeat(truth[:1], 60, axis=0), truth).mean() < 0.3


def test_boxes_are_tight(videos):
    """Objects are colourful and the background is dull: colour ends where the box does."""
    video = videos["eval"][1]  # odd numbers have no covers
    x, y, w, h = video.boxes[0, 0]
    image = video.frame(0).astype(int)
    saturation = image.max(axis=2) - image.min(axis=2)
    inside = saturation[round(y) : round(y + h), round(x) : round(x + w)]
    ring = saturation[max(round(y) - 6, 0) : round(y + h) + 6, max(round(x) - 6, 0) : round(x + w) + 6]
    assert inside.mean() > 1.3 * (ring.sum() - inside.sum()) / (ring.size - inside.size)


def run(repository, *arguments):
    command = [sys.executable, "-m", "seqtrack.tools.sample_data", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def test_the_tool_writes_the_same_bytes_twice_and_otb_layout(tmp_path, capsys):
    flags = ["--num_train=2", "--num_eval=1", "--num_frames=4", "--size=128x96"]
    digests = []
    for name in ("one", "two"):
        assert main(["--out", str(tmp_path / name), *flags]) == 0
        tars = sorted((tmp_path / name / "tars" / "original").iterdir())
        assert [tar.name for tar in tars] == ["sample_eval.tar", "sample_train.tar"]
        digests.append([hashlib.sha256(tar.read_bytes()).hexdigest() for tar in tars])
    assert digests[0] == digests[1]
    assert capsys.readouterr().out.count("sample_train.tar") == 2
    with tarfile.open(tars[0]) as tar:
        assert tar.getnames() == ["sample_eval/Eval001/groundtruth_rect.txt"] + [
            f"sample_eval/Eval001/img/{t:04d}.jpg" for t in range(1, 5)
        ]
        rows = tar.extractfile("sample_eval/Eval001/groundtruth_rect.txt").read().decode().splitlines()
        image = decode(tar.extractfile("sample_eval/Eval001/img/0001.jpg").read(), "frame 1")
    assert image.shape == (96, 128, 3)
    boxes = make_video("eval", 0, 4, (128, 96)).boxes[0]
    written = np.array([[float(number) for number in row.split(",")] for row in rows])
    assert written - np.array([1, 1, 0, 0]) == pytest.approx(boxes, abs=0.006)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size=320"], "--size: expected WIDTHxHEIGHT"),
        (["--size=32x32"], "--size: expected WIDTHxHEIGHT"),
        (["--num_frames=1"], "--num_frames: expected a whole number, at least 2, not 1"),
        (["--num_train=0"], "--num_train: expected a whole number, at least 1, not 0"),
        (["--num_trian=3"], "--num_trian: no such flag; did you mean --num_train?"),
        ([], ""),
    ],
)
def test_a_mistake_ends_with_one_line_and_exit_code_2(tmp_path, repository, flags, message):
    where = ["--out", str(tmp_path / "out")] if message else []
    result = run(repository, *where, *flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, repository):
    (tmp_path / "file").write_text("")
    flags = ["--num_train=1", "--num_eval=1", "--num_frames=2", "--size=96x96"]
    result = run(repository, "--out", str(tmp_path / "file" / "out"), *flags)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --out: cannot write")
