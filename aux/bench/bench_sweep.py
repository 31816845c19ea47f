"""How long a person waits until SLURM has a whole sweep: on a private cluster of three nodes that is idle.

Jobs are told to begin in an hour, so that they do not compete with what is timed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import table  # noqa: E402
from bench_slurm import MODEL, Bench  # noqa: E402
from table import Row  # noqa: E402

from aux.slurm.cluster import Cluster, missing  # noqa: E402

ROUNDS = 5
POINTS, SEEDS, TARGET = 50, 3, 3.0
SWEEP = f"""
points: {POINTS}
num_trials: {SEEDS}
base:
  train_dataset: otb:sample_train
  eval_datasets: [otb:sample_eval]
  tar_dir: sample/tars
  cpu_threads: 1
  model_params: {MODEL}
random:
  lr_init: {{log_uniform: [1.0e-5, 1.0e-2]}}
  optimizer_params.weight_decay: {{uniform: [0, 1.0e-3]}}
  batchsz: {{int_uniform: [8, 64]}}
"""


class SweepBench(Bench):
    def sweep(self, number: int) -> None:
        """Given again with the same number it has nothing to hand over."""
        (self.folder / "sweep.yaml").write_text(f"name: sweep{number}\nseed: {number}{SWEEP}")
        self.run(
            sys.executable, "-m", "seqtrack.tools.sweep", "sweep.yaml", "--detach", "--slurm", "--slurm_flags",
            "begin=now+1hour", "time=1:00:00", "gres=gpu:1",
        )  # fmt: skip


def rows() -> Iterator[Row]:
    if why := missing():
        print(f"left out: {why}")
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, Cluster(Path(name) / "cluster") as cluster:
        bench = SweepBench(Path(name), cluster)
        bench.run(sys.executable, "-m", "seqtrack.tools.sample_data", "--out=sample", "--num_train=2", "--num_eval=2",
                  "--num_frames=12", "--size=96x96")  # fmt: skip
        # The first run builds the indexes and freezes the code.
        bench.train("--num_trials=1", "--num_steps=1")
        first, again = [], []
        for number in range(ROUNDS):
            first.append(table.seconds(lambda n=number: bench.sweep(n)))
            again.append(table.seconds(lambda n=number: bench.sweep(n)))
            cluster.cancel_everything()
        taken = statistics.median(first)
        what = f"sweep --detach, {POINTS} points x {SEEDS} seeds"
        yield Row(f"{what}, whole process", taken, "s", f"< {TARGET:g}", taken < TARGET)
        yield Row(f"{what}, given again", statistics.median(again), "s", "", None, "nothing to hand over")


if __name__ == "__main__":
    table.main(rows)
