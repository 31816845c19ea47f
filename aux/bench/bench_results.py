"""Result files of LaSOT's size read: 280 of a tracker, and the annotations and flags of absence that they are scored
with (685,360 frames, 22 MB); a tenth of them against ``numpy.loadtxt``.

From `../shared/results/lasot` beside the clone if it is there, else from generated files of the same size.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from table import Row, main, paired

from seqtrack.assessment.exchange.annotations import read_annotations
from seqtrack.assessment.exchange.layouts import find_trackers
from seqtrack.assessment.exchange.reading import Results, read_results
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.formats.lasot import TEST
from seqtrack.data.formats.rows import parse_rows

LASOT = Path(__file__).resolve().parents[2].parent / "shared" / "results" / "lasot"
BENCHMARK = parse_dataset_name("lasot_test")
FRAMES = 2448  # of each sequence, as many as LaSOT has on average
ROUNDS = 5
SHARE = 28


def generate(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in TEST:
        boxes = rng.integers(1, 1200, (FRAMES, 4))
        for place, rows in (("anno", boxes), ("trackers/SiamFC", boxes), ("absent", boxes[:, :1] % 2)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            lines = "\n".join(",".join(map(str, row)) for row in rows.tolist())
            (folder / place / f"{name}.txt").write_text(lines + "\n")
    return folder


def read(folder: Path) -> Results:
    labels = read_annotations(folder / "anno", BENCHMARK)
    (files,) = find_trackers(folder / "trackers" / "SiamFC")
    return read_results(files, labels, BENCHMARK)


def processor_seconds(folder: Path) -> float:
    """One thread, and files that the system has in memory: what others do on the machine does not matter."""
    start = time.process_time()
    read(folder)
    return time.process_time() - start


def rows_of(folder: Path, note: str) -> Iterator[Row]:
    taken = min(processor_seconds(folder) for _ in range(ROUNDS))
    yield Row("LaSOT: 280 results, annotations and absence flags read", taken, "CPU s", "< 1", taken < 1.0, note)
    some = sorted((folder / "trackers" / "SiamFC").glob("*.txt"))[:SHARE]
    delimiter = "," if b"," in some[0].read_bytes() else None
    ratio = paired(
        lambda: [parse_rows(path.read_bytes(), str(path), (4, 5, 8)) for path in some],
        lambda: [np.loadtxt(path, delimiter=delimiter) for path in some],
        ROUNDS,
    )
    yield Row(f"{SHARE} of the result files / numpy.loadtxt", ratio, "x", "< 1", ratio < 1.0, note)


def rows() -> Iterator[Row]:
    if LASOT.is_dir():
        yield from rows_of(LASOT, "real files")
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from rows_of(generate(Path(folder)), "generated files")


if __name__ == "__main__":
    main(rows)
