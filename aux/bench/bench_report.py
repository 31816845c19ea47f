"""The report of 5 seeds × 10 checkpoints × 3 benchmarks (100, 123, 280 sequences), all checkpoints assessed on all.

Made-up runs, written by the code that writes real ones; the frames of one benchmark are at hand, so that its worst
sequences have film strips. Timed as a person gives it: a command in a process of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from table import Row, main

from seqtrack.data.datasets import prepare
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from tests import madeup
from tests.data.otb_layout import jpeg

SETS = {"otb:otb_made": 100, "uav123": 123, "lasot_test": 280}
SEEDS, STEPS, FRAMES = 5, range(10_000, 110_000, 10_000), 50
ROUNDS = 3


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = _frames(folder)
        run = madeup.write_run(
            folder / "cache", seeds=SEEDS, steps=STEPS, eval_sets=SETS, frames=FRAMES, name="made", **places
        )
        for words, target in (((), 10.0), (("--no-frames",), 10.0)):
            before = os.times()
            seconds = statistics.median(_report(folder, *words) for _ in range(ROUNDS))
            spent = os.times()
            cpu = (
                spent.children_user + spent.children_system - before.children_user - before.children_system
            ) / ROUNDS
            size = (run.path / "report.html").stat().st_size
            note = f"{size / 1e6:.1f} MB, {cpu:.1f} s of one core"
            what = "without frames" if words else "frames of one set at hand"
            yield Row(f"one run, {what}", seconds, "s", f"< {target:g}", seconds < target, note)


def _frames(folder: Path) -> dict[str, object]:
    """A data set in the layout of OTB: every frame is the same picture, a link."""
    root = folder / "otb_made"
    picture = folder / "frame.jpg"
    picture.write_bytes(jpeg(640, 480, 90))
    for k in range(SETS["otb:otb_made"]):
        images = root / f"otb_made_{k:03d}" / "img"
        images.mkdir(parents=True)
        boxes = madeup.truth_of(images.parent.name, FRAMES) + 1.0
        lines = "".join(",".join(map(repr, row)) + "\n" for row in boxes.tolist())
        (images.parent / "groundtruth_rect.txt").write_text(lines)
        for frame in range(1, FRAMES + 1):
            os.link(picture, images / f"{frame:04d}.jpg")
    cache = folder / "indexes"
    prepare(
        parse_dataset_name("otb:otb_made"), Locations(data_paths={"otb_made": root}, cache_dir=cache), lambda _: None
    )
    return {"data_paths": {"otb_made": str(root)}, "data_cache_dir": str(cache)}


def _report(folder: Path, *words: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-m", "seqtrack", "report", "made", "--cache_dir=cache", *words]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(rows)
