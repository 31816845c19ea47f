"""``seqtrack view``: what it writes, what it says, and what a mistake looks like."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pytest

from seqtrack.config import build
from seqtrack.pipeline.data import opened, pair_source
from seqtrack.pipeline.request import resolve
from seqtrack.reporting import contact_sheet
from seqtrack.tools import preprocess, view
from seqtrack.tools.cli import run
from seqtrack.training.task import PairSizes
from tests.reporting.viewed import write_videos
from tests.workbench import SMALL_MODEL, TRAIN, Workbench

Show = Callable[..., int]


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """The command on ``vot:viewed``; what it writes is in ``tmp_path/out``."""
    write_videos(tmp_path / "viewed")
    flags = [f"--data_paths=viewed={tmp_path / 'viewed'}", f"--data_cache_dir={tmp_path / 'cache'}"]
    return lambda name="vot:viewed", *words: run(view.main, [name, f"--out={tmp_path / 'out'}", *flags, *words])


def test_sheets_and_a_page_are_written_and_bad_frames_come_last(
    show: Show, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show() == 1
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/out/index.html: original, 5 of 5 videos (seed 0)\n"
    last = said.err.splitlines()[-1]
    assert last.startswith("error: 1 of 25 frames does not decode: viewed: video broken, frame 4")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["frames-01.png", "index.html"]
    assert cv2.imread(str(tmp_path / "out/frames-01.png")).shape[1] == 6 + 6 * 166


def test_a_list_and_numbers_say_what_is_shown(show: Show, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.txt").write_text("plain\nhidden\nstill\n")
    assert show(f"vot:viewed@{tmp_path / 'some.txt'}", "--videos=2", "--frames=2", "--seed=3") == 0
    page = (tmp_path / "out/index.html").read_text()
    assert page.count("<article") == 2
    assert "original, 2 of 3 videos (seed 3)" in page
    assert "<dt>videos</dt><dd>3</dd>" in page
    assert 'article data-text="broken' not in page


def test_many_videos_go_on_several_sheets(show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "SHEET_ROWS", 2)
    show()
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [f"frames-0{k}.png" for k in (1, 2, 3)]


def test_pictures_of_an_earlier_run_go_and_nothing_else_does(show: Show, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("frames-01.png", "frames-02.png", "pairs.png", "frames-of-mine.png", "notes.txt"):
        (tmp_path / "out" / name).write_text("old")
    show()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "frames-01.png", "frames-of-mine.png", "index.html", "notes.txt",
    ]  # fmt: skip
    assert (tmp_path / "out/frames-01.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("name", ["frames-01.png", "index.html"])
def test_a_file_that_cannot_be_written_is_named(
    show: Show, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    assert show() == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: --out: cannot write {tmp_path / 'out' / name} (Is a directory); make room, or give another folder"
    )


def test_a_file_is_no_folder_to_write_to(show: Show, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()
    assert show() == 2
    assert capsys.readouterr().err == f"error: --out: {tmp_path / 'out'} is a file, not a folder\n"


def test_the_page_of_crops_says_what_pictures_are(tmp_path: Path, bench: Workbench) -> None:
    places = [f"--tar_dir={bench.tars}", f"--data_cache_dir={tmp_path / 'cache'}"]
    words = [f"--dataset=otb:{TRAIN}", "--preproc=crop_127", "--every=2", f"--out={tmp_path / 'tars'}"]
    assert run(preprocess.main, [*places, *words]) == 0
    words = [f"--tar_dir={tmp_path / 'tars'}", f"--data_cache_dir={tmp_path / 'cache'}", "--preproc=crop_127"]
    assert run(view.main, [f"otb:{TRAIN}", *words, "--videos=2", f"--out={tmp_path / 'out'}"]) == 0
    page = (tmp_path / "out/index.html").read_text()
    (there, labels) = re.findall(r"127×127 crops around a target each: ([\d,]+) of them, for ([\d,]+) labels", page)[
        0
    ]
    assert int(labels) // 2 <= int(there) < int(labels)
    assert "Frames are numbered from 0" in page


def test_pairs_are_those_of_training(bench: Workbench, tmp_path: Path) -> None:
    machine = {"tar_dir": str(bench.tars), "data_cache_dir": str(tmp_path / "cache"), "batchsz": 4}
    learned = {"train_dataset": f"otb:{TRAIN}", "augment_motion": True, "model_params": SMALL_MODEL}
    request = resolve(build({**machine, **learned}))
    with opened(request, request.training_datasets, lambda _: None) as sets:
        sizes = PairSizes(exemplar=87, search=119, context=0.5)
        batches = pair_source(request, sets, f"otb:{TRAIN}", "train_dataset", sizes, seed=7)
        expected = np.concatenate([batches.batch(step)["search"] for step in (0, 1)])[:6]
    pairs, problems = view._pairs(build({**machine, **learned}), 6, 7)
    assert problems == []
    assert np.array_equal(np.stack([pair.search for pair in pairs]), expected)
    assert {re.sub(r"\d+", "#", pair.text) for pair in pairs} <= {f"otb:{TRAIN}: Train#-#, # and #"}


def test_pairs_are_written_and_those_that_cannot_be_made_are_named(
    show: Show, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--pairs=3", "--batchsz=1", "--no-augment_motion", '--sampler_params={"kind": "uniform"}']
    (tmp_path / "plain.txt").write_text("plain\n")
    assert show(f"vot:viewed@{tmp_path / 'plain.txt'}", *words) == 0
    assert (tmp_path / "out/pairs.png").exists()
    page = (tmp_path / "out/index.html").read_text()
    assert page.count('alt="search region"') == 3
    train_dataset = f"vot:viewed@{tmp_path / 'plain.txt'}"
    flags = ["--seed=0", f"--train_dataset={train_dataset}", *words[1:]]
    assert escape(f"With {shlex.join(flags)}; every other flag has its default.") in page
    (tmp_path / "broken.txt").write_text("broken\n")
    for path in (tmp_path / "viewed/broken").glob("*.jpg"):
        path.write_bytes(b"\xff\xd8")
    assert show(f"vot:viewed@{tmp_path / 'broken.txt'}", *words) == 1
    lines = capsys.readouterr().err.splitlines()
    steps = [f"error: the pairs of step {k} cannot be shown:" for k in range(3)]
    assert [line[: len(steps[0])] for line in lines[-4:-1]] == steps
    assert lines[-1].startswith("error: 6 of 6 frames do not decode; the first: viewed: video broken, frame 0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vot:viewed", "--frames=0"], "--frames: expected 1 or more, got 0"),
        (["vot:viewed", "--sampler_parms={}"], "--sampler_parms: no such flag; did you mean --sampler_params?"),
        (["vot:viewed", "--augment_motion"], "--augment_motion: changes nothing but pairs; give --pairs N too"),
        (["vot:viewed", "--sampler_params={}"], "--sampler_params: changes nothing but pairs; give --pairs N too"),
        (["vot:nowhere"], "data set vot:nowhere: nowhere to look for it"),
        (["vot:viewed@missing.txt"], "missing.txt: cannot read this list of sequences"),
        (["vot:viewed", "--out=/proc/x"], "--out: cannot write to /proc/x"),
    ],
)
def test_a_mistake_is_one_line(
    show: Show, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(*words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith(f"error: {message}")


def test_it_is_a_verb(python: str, repository: Path) -> None:
    code = "from seqtrack.tools.main import console; console()"
    answer = subprocess.run(
        [python, "-c", code, "view", "--help"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert "--augment_motion" in answer.stdout
    assert "--num_steps" not in answer.stdout
