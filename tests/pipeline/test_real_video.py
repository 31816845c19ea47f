"""The main job on real sequences: pack, train two seeds from tars, assess, and what lies on disk afterwards."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np

from seqtrack.assessment import results
from tests.workbench import Workbench

STEPS = 40
NARROW = '{"feature_params": {"arch_params": {"width": 0.1}}}'


def test_from_real_sequences_to_a_table(bench: Workbench, shared: Path) -> None:
    data = shared / "data"
    otb = ["--layout=otb", f"--source={data / 'otb'}", "--tar_dir=tars"]
    packed = [
        bench.run("pack", *otb, "--name=real_train", "--sequences", "Crossing", "Couple", "David", "Skiing"),
        bench.run("pack", *otb, "--name=real_eval", "--sequences", "Football1"),
        bench.run("pack", "--layout=vot", f"--source={data / 'vot'}", "--tar_dir=tars", "--name=bag_eval"),
    ]
    assert [result.code for result in packed] == [0, 0, 0], packed
    flags = [
        "--num_trials=2", "--train_dataset=otb:real_train", "--eval_datasets", "otb:real_eval", "vot:bag_eval",
        "--tar_dir=tars", "--untar", "--tmp_data_dir=staged", f"--num_steps={STEPS}", "--period_summary=10",
        "--model_params", NARROW, "--lr_init=3e-3", "--cpu_threads=1",
    ]  # fmt: skip
    result = bench.run("train", *flags)
    assert result.code == 0, result
    run = bench.run_folder()
    for seed in (0, 1):
        trial = run.trial(seed)
        with trial.train_csv.open() as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        assert losses[-1] < 0.8 * losses[0]
        # Football1 has labels for 74 of its 81 frames, bag for all its 196.
        for eval_id, sequence, frames in (("real_eval-full", "Football1", 74), ("bag_eval-full", "bag", 196)):
            (folder,) = trial.assessments(eval_id).glob("step_*")
            track = results.load_track(folder, sequence)
            assert track["frame"].tolist() == list(range(frames))
            assert np.isfinite([track[column] for column in "xywh"]).all()
            with h5py.File(folder / "tracks.h5") as file:
                assert list(file) == [sequence]
    summary = json.loads(run.summary_json.read_text())
    assert (summary["completed"], summary["num_trials"]) == (2, 2)
    assert list(summary["results"]) == ["bag_eval-full", "real_eval-full"]
    for metrics in summary["results"].values():
        per_seed = metrics["AUC"]["per_seed"]
        assert list(per_seed) == ["0", "1"]
        assert metrics["AUC"]["mean"] == np.mean(list(per_seed.values()))
        assert np.isclose(metrics["AUC"]["std"], np.std(list(per_seed.values()), ddof=1))
    assert "real_eval-full" in result.out
    assert "AUC" in result.out
