"""``make demo``: from nothing to a table of mean ± std in a few minutes.

Generates a small tar-packed data set, trains SiamFC on it with two seeds, and sets the table beside two things
that it must beat: its own untrained start, and a box that never moves. Given again, it says the same in seconds.

``--slurm`` runs the same as SLURM jobs (``make slurm-demo``); the flags after it are for sbatch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = '{"feature_params": {"arch_params": {"width": 0.25}}}'
SAMPLER = '{"kind": "pair_range", "low": 1, "high": 50}'
NUM_STEPS = 300
STAGED = str(Path(tempfile.gettempdir()) / "seqtrack-demo")


def where(words: list[str]) -> list[str]:
    """The flags that say where it runs: nothing, or what ``--slurm`` and sbatch's flags behind it come to."""
    if words[:1] != ["--slurm"]:
        return []
    at_a_time = max(1, (os.cpu_count() or 2) // 2)  # the nodes are this machine
    flags = words[1:] or ["time=30", "cpus-per-task=2", "gres=gpu:1"]
    return ["--slurm", f"--slurm_throttle={at_a_time}", "--slurm_flags", *flags]


def command(num_steps: int, *more: str) -> list[str]:
    """What a person would type."""
    return [
        "-m", "seqtrack.tools.train", "--num_trials=2", f"--num_steps={num_steps}", "--batchsz=8",
        "--train_dataset", "otb:sample_train", "--eval_datasets", "otb:sample_eval",
        "--tar_dir", "demo_data/tars", "--untar", "--tmp_data_dir", STAGED,
        "--model_params", MODEL, "--sampler_params", SAMPLER,
        "--lr_schedule=cosine", "--period_ckpt=100", "--period_summary=10", *more,
    ]  # fmt: skip


def run(arguments: list[str]) -> None:
    shown = " ".join(f"'{word}'" if " " in word else word for word in arguments)
    print(f"\n$ python {shown}", flush=True)
    code = subprocess.call([sys.executable, *arguments])
    if code:
        sys.exit(code)


def trained_auc(name: str) -> float:
    from seqtrack.runs import lookup

    summary = json.loads(lookup.find(Path("cache"), name).summary_json.read_text())
    return float(summary["results"]["sample_eval-full"]["AUC"]["mean"])


def still_auc() -> float:
    """AUC of a box that stays where it started."""
    from seqtrack.assessment.protocols import runs, sequences
    from seqtrack.assessment.run_scores import score_runs
    from seqtrack.data.datasets import open_dataset
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.locations import Locations
    from seqtrack.pipeline.track_runs import run_sequence
    from seqtrack.tracking.static import StaticTracker

    name = parse_dataset_name("otb:sample_eval")
    dataset = open_dataset(name, Locations(tar_dir=Path("demo_data/tars")))
    found = runs(sequences(dataset.index), "full")
    tracked = [run_sequence(StaticTracker(), dataset, run, None) for run in found]
    return float(score_runs(found, tracked, "ope", "otb", name).statistics["AUC"].value())


def main() -> int:
    started = time.monotonic()
    if not Path("demo_data/tars/original/sample_eval.tar").exists():
        run(["-m", "seqtrack.tools.sample_data", "--out", "demo_data"])
    slurm = where(sys.argv[1:])
    run(command(0, "--name=untrained", *slurm))
    run(command(NUM_STEPS, "--name=demo", *slurm))
    if slurm:
        run(["-m", "seqtrack.tools.status", "demo"])
        run(["-m", "seqtrack.tools.logs", "demo", "--seed", "1", "--stage", "train", "--lines", "5"])
    trained, untrained, still = trained_auc("demo"), trained_auc("untrained"), still_auc()
    print(f"\nAUC on videos whose textures training never showed: trained {trained:.3f},")
    print(
        f"untrained {untrained:.3f}, a box that never moves {still:.3f}. {time.monotonic() - started:.0f} s in all."
    )
    print("The same command again takes seconds. Next: docs/guide.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
