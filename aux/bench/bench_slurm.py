"""How long a person waits for a cluster, and a GPU for its first step: on a private SLURM of three nodes.

The cluster is idle: jobs are told to begin in an hour, so that they do not compete with what is timed.
"""

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

from aux.slurm.cluster import Cluster, missing  # noqa: E402
from seqtrack.runs import events, lookup  # noqa: E402

ROUNDS = 5
MODEL = '{"template_size": 87, "search_size": 119, "feature_params": {"arch_params": {"width": 0.1}}}'


class Bench:
    """Commands in a folder that the nodes see."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self.environment = {**os.environ, **cluster.environment, "PYTHONPATH": str(HERE.parents[1])}
        self.number = 0

    def run(self, *words: str) -> None:
        subprocess.run(words, cwd=self.folder, env=self.environment, check=True, capture_output=True)

    def train(self, *flags: str) -> None:
        self.run(
            sys.executable, "-m", "seqtrack.tools.train", "--train_dataset=otb:sample_train", "--eval_datasets",
            "otb:sample_eval", "--tar_dir=sample/tars", "--cpu_threads=1", f"--model_params={MODEL}", "--slurm",
            *flags,
        )  # fmt: skip

    def submit(self, trials: int) -> None:
        """A run of its own each time."""
        self.number += 1
        begin = ["--slurm_flags", "begin=now+1hour", "time=1:00:00", "gres=gpu:1"]
        self.train("--detach", f"--num_trials={trials}", f"--variant=v{self.number}", *begin)

    def bare_array(self) -> None:
        self.run("sbatch", "--array=0-99", "--begin=now+1hour", "--output=/dev/null", "--wrap=true")


def rows() -> Iterator[Row]:
    if why := missing():
        print(f"left out: {why}")
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, Cluster(Path(name) / "cluster") as cluster:
        bench = Bench(Path(name), cluster)
        bench.run(sys.executable, "-m", "seqtrack.tools.sample_data", "--out=sample", "--num_train=2", "--num_eval=2",
                  "--num_frames=12", "--size=96x96")  # fmt: skip
        # The first run builds the indexes and freezes the code.
        bench.train("--num_trials=1", "--num_steps=1")
        bare = statistics.median(table.seconds(bench.bare_array) for _ in range(ROUNDS))
        yield Row("sbatch of one bare array of 100", bare, "s", "", None, "for comparison")
        for trials, target in ((100, 0.7), (1000, 1.5)):
            rounds = []
            for _ in range(ROUNDS):
                rounds.append(table.seconds(lambda n=trials: bench.submit(n)))
                cluster.cancel_everything()  # SLURM takes ten thousand jobs and then makes sbatch wait
            taken = statistics.median(rounds)
            yield Row(f"--detach, {trials} trials, whole process", taken, "s", f"< {target}", taken < target)
        taken = first_step(bench)
        yield Row("job start to first step, without imports", taken, "s", "< 2", taken < 2)


def first_step(bench: Bench) -> float:
    """Seconds from the script's first line until a step is done and saved, those of torch's import taken off."""
    found = []
    for number in range(ROUNDS):
        started = bench.folder / f"started{number}"
        setup = f"[ -e {started} ] || date +%s.%N > {started}"  # the training is the first of the three jobs
        bench.train("--num_trials=1", "--num_steps=1", f"--variant=first{number}", "--slurm_setup", setup)
        trial = lookup.find(bench.folder / "cache", "latest").trial(0)
        times = {event["event"]: float(event["time"]) for event in events.read(trial.attempt(0).events)}
        imports = times["imported"] - times["start"]
        found.append(times["progress"] - float(started.read_text()) - imports)
    return statistics.median(found)


if __name__ == "__main__":
    table.main(rows)
