"""VOT2018 with NanoTrack's results, as a person has them scored."""

from __future__ import annotations

from pathlib import Path

from seqtrack.assessment.exchange.annotations import read_annotations
from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import read_results
from seqtrack.assessment.scores import Labels
from seqtrack.assessment.supervised import SupervisedRun
from seqtrack.data.formats import parse_dataset_name


def nanotrack(shared: Path) -> tuple[list[Labels], list[list[SupervisedRun]]]:
    folder, name = shared / "results" / "vot2018", parse_dataset_name("vot2018")
    labels = read_annotations(folder / "VOT2018.json", name)
    [files] = find_trackers(folder / "trackers")
    runs = []
    for repetitions in read_results(files, labels, name).runs:
        assert all(run.codes is not None for run in repetitions)
        runs.append([SupervisedRun(run.codes, run.boxes) for run in repetitions])
    return labels, runs
