"""Draws the pictures of README.md from what ``make demo`` left in cache/: run it there after the demo.

usage: python aux/readme_pictures.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from seqtrack.assessment import protocols, results
from seqtrack.data.datasets import open_dataset
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.pipeline.track_runs import read_frames
from seqtrack.reporting import tables
from seqtrack.reporting.video import draw_boxes
from seqtrack.runs import lookup

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SEQUENCES, FRAMES = ("Eval001", "Eval003", "Eval004"), (0, 14, 28, 42, 56)
ENLARGED = 2


def table_picture(summary: dict[str, object]) -> str:
    """The table as a terminal shows it, without fonts from the network."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=78, file=nowhere, force_terminal=True)
        tables.print_table({**summary, "notes": []}, console)
    svg = console.export_svg(title="python -m seqtrack.tools.train --num_trials=2 …")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def film(run: object) -> np.ndarray:
    """A row per sequence: frames with the truth in green and the tracker's box in red."""
    dataset = open_dataset(parse_dataset_name("otb:sample_eval"), Locations(tar_dir=Path("demo_data/tars")))
    found = {s.name: s for s in protocols.sequences(dataset.index)}
    folder = next(run.trial(0).assessments("sample_eval-full").glob("step_*[!s]"))  # type: ignore[attr-defined]
    rows = []
    for name in SEQUENCES:
        track = results.load_track(folder, name)
        boxes = np.stack([track[column] for column in "xywh"], axis=1)
        images = read_frames(dataset, found[name].video, np.array(FRAMES))
        rows.append(
            np.hstack(
                [
                    draw_boxes(
                        cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED),
                        found[name].boxes[t],
                        boxes[t],
                        str(t),
                        (ENLARGED, ENLARGED),
                    )
                    for t, image in zip(FRAMES, images, strict=True)
                ]
            )
        )
    return np.vstack(rows)


def main() -> int:
    run = lookup.find(Path("cache"), "demo")
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / "table.svg").write_text(table_picture(json.loads(run.summary_json.read_text())))
    sheet = cv2.resize(cv2.cvtColor(film(run), cv2.COLOR_RGB2BGR), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(IMAGES / "tracks.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(IMAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
