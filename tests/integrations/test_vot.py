"""``seqtrack.integrations.vot`` under the real TraX client (vot-trax), by which vot-toolkit talks to trackers: the
process that the stanza of trackers.ini names, over a pipe."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trax import TraxException
from trax.client import Client
from trax.image import FileImage
from trax.region import Rectangle

from seqtrack.data.imaging import images
from seqtrack.data.synthetic import SyntheticVideo, make_video
from seqtrack.errors import UserError
from seqtrack.integrations import vot
from seqtrack.pipeline.loaded_tracker import load_tracker
from tests.workbench import NUM_STEPS, PATIENCE_SECONDS, Workbench

PATIENCE = round(PATIENCE_SECONDS)

OWN = """
class Drift:
    def __init__(self, speed=1):
        self.speed = speed

    def init(self, image, box):
        print("started on", box)  # no part of the protocol, which leaves such lines alone
        self.box = [float(v) for v in box]

    def update(self, image):
        if self.speed > 50:
            raise ValueError("too fast")
        self.box[0] += self.speed
        return tuple(self.box), image.shape[1] / 8
"""


class Toolkit:
    """What vot-toolkit does: the command split as a shell would, in an empty folder, with the env_ of its stanza."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def initialize(self, file: Path, box: Any) -> Any:
        region = Rectangle.create(*map(float, box))
        return self.client.initialize({"color": FileImage.create(str(file))}, [(region, {})], {})[0][0]

    def frame(self, file: Path) -> Any:
        return self.client.frame({"color": FileImage.create(str(file))}, {}, [])[0][0]


@contextmanager
def toolkit(folder: Path, *words: str) -> Iterator[Toolkit]:
    config = configparser.ConfigParser()
    config.read_string(vot.stanza(vot.build_parser().parse_args(words)))
    (name,) = config.sections()
    assert config[name]["protocol"] == "trax"
    folder.mkdir()
    process = subprocess.Popen(
        shlex.split(config[name]["command"]),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": config[name].get("env_pythonpath", "")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdin is not None and process.stdout is not None
    heard: list[str] = []
    try:
        client = Client(stream=(process.stdin.fileno(), process.stdout.fileno()), timeout=PATIENCE, log=heard.append)
        yield Toolkit(client)
        client.quit()
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


def written(video: SyntheticVideo, folder: Path) -> list[Path]:
    """The frames of a video as files."""
    paths = []
    for name, data in video.files():
        if name.endswith(".jpg"):
            path = folder / Path(name).name
            path.write_bytes(data)
            paths.append(path)
    return paths


def test_a_checkpoint_of_ours_answers_what_it_answers_here(finished: Workbench, tmp_path: Path) -> None:
    """Started twice in one process, as after a failure."""
    checkpoint = finished.run_folder().trial(0).checkpoint(NUM_STEPS).path
    video = make_video("eval", 0, 6, (96, 96))
    files = written(video, tmp_path)
    here = load_tracker(checkpoint, device="cpu")
    with toolkit(tmp_path / "empty", f"--checkpoint={checkpoint}", "--device=cpu") as there:
        for start in (0, 2):
            box = video.boxes[0, start]
            assert there.initialize(files[start], box)[0].bounds() == pytest.approx(tuple(box), abs=1e-3)
            here.init(images.decode(files[start].read_bytes(), ""), box)
            for file in files[start + 1 :]:
                region, properties = there.frame(file)
                expected, score = here.update(images.decode(file.read_bytes(), ""))
                assert region.bounds() == pytest.approx(tuple(expected), abs=1e-3)  # TraX writes four decimals
                assert float(properties["confidence"]) == pytest.approx(score, abs=1e-4)


def test_a_tracker_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module is found from where the stanza was made; its parameters survive the quoting."""
    (tmp_path / "own_drift.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    (file, *_) = written(make_video("eval", 0, 2, (96, 96)), tmp_path)
    words = ["--tracker=own_drift:Drift", '--tracker_params={"speed": 2}', "--name=Drift-2"]
    with toolkit(tmp_path / "empty", *words) as there:
        there.initialize(file, (1, 2, 30, 40))
        for x in (3, 5, 7):
            region, properties = there.frame(file)
            assert region.bounds() == (x, 2, 30, 40)
            assert properties["confidence"] == "12.0"


def test_why_a_tracker_ends_is_told_to_the_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_drift.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    (file, *_) = written(make_video("eval", 0, 2, (96, 96)), tmp_path)
    words = ["--tracker=own_drift:Drift", '--tracker_params={"speed": 51}']
    with pytest.raises(TraxException, match="raised ValueError in update: too fast"):  # noqa: SIM117
        with toolkit(tmp_path / "empty", *words) as there:
            there.initialize(file, (1, 2, 30, 40))
            there.frame(file)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint=nowhere", "--print_config"], "--checkpoint: there is no nowhere; expected"),
        (["--tracker=os:getcwd", "--name=a b", "--print_config"], "--name: 'a b': vot-toolkit takes letters"),
        (["--tracker_params={}"], "one of the arguments --checkpoint --tracker is required"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        vot.main(words)


def test_without_the_package_it_says_what_to_install(tmp_path: Path, repository: Path) -> None:
    """As a process, whose import of trax fails."""
    code = (
        "import sys, runpy; sys.modules['trax'] = None; sys.argv = ['vot', '--tracker=a:B'];"
        " runpy.run_module('seqtrack.integrations.vot', run_name='__main__')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    expected = 'error: seqtrack.integrations.vot needs the package vot-trax: pip install "seqtrack[vot]"\n'
    assert (answer.returncode, answer.stderr) == (2, expected)
