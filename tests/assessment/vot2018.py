"""VOT2018 with NanoTrack's results, read in the plainest way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.assessment.scores import Labels
from seqtrack.assessment.supervised import SupervisedRun
from seqtrack.data.regions import hulls
from seqtrack.tracking.courses import FAILED, SKIPPED, START, TRACKED

TAGS = ("camera_motion", "illum_change", "motion_change", "size_change", "occlusion")
CODES = (SKIPPED, START, FAILED)


def nanotrack(shared: Path) -> tuple[list[Labels], list[list[SupervisedRun]]]:
    folder = shared / "results" / "vot2018"
    labels, runs = [], []
    for name, entry in json.loads((folder / "VOT2018.json").read_text()).items():
        labels.append(labels_of(name, entry))
        runs.append([run_of(folder / "trackers" / "NanoTrack" / "baseline" / name / f"{name}_001.txt")])
    return labels, runs


def labels_of(name: str, entry: dict[str, Any]) -> Labels:
    regions = np.array(entry["gt_rect"], float)
    tags = {tag: np.array(entry[tag], bool) for tag in TAGS if entry[tag]}
    size = (entry["width"], entry["height"])
    return Labels(name, hulls(regions), np.ones(len(regions), bool), size, regions, tags=tags)


def run_of(path: Path) -> SupervisedRun:
    rows = [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]
    codes = [TRACKED if len(row) > 1 else CODES[int(row[0])] for row in rows]
    return SupervisedRun(np.array(codes, np.uint8), np.array([row if len(row) > 1 else [np.nan] * 4 for row in rows]))
