"""How long a person waits for --help and --dry_run: whole processes, median of several."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import table  # noqa: E402
from table import Row  # noqa: E402

TOOLS = ("train", "train_work", "status", "logs", "cancel", "doctor", "pack", "index", "sample_data", "main")
ROUNDS = 9


def median_seconds(command: list[str], folder: Path) -> float:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}

    def run() -> None:
        subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True)

    run()
    return statistics.median(table.seconds(run) for _ in range(ROUNDS))


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = median_seconds(["-c", "pass"], folder)
        yield Row("python -c pass", bare, "s", "", None, "for comparison")
        for tool in TOOLS:
            seconds = median_seconds(["-m", f"seqtrack.tools.{tool}", "--help"], folder)
            yield Row(f"seqtrack.tools.{tool} --help", seconds, "s", "< 0.2", seconds < 0.2)
        (folder / "data" / "original" / "otb_50").mkdir(parents=True)
        seconds = median_seconds(
            ["-m", "seqtrack.tools.train", "--data_dir", "data", "--train_dataset", "otb_50", "--dry_run"], folder
        )
        yield Row("seqtrack.tools.train --dry_run", seconds, "s", "< 0.6", seconds < 0.6)


if __name__ == "__main__":
    table.main(rows)
