"""Published names are preprocessed, mixed by weight and trained from, as the first command of the docs does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.large_set_layouts import write_coco, write_got10k, write_lasot
from tests.data.layouts import write_frames
from tests.workbench import Workbench

WRITERS = {"got10k_train": write_got10k, "lasot_train": write_lasot, "coco_train": write_coco}
WEIGHTS = [[0.5, "got10k_train"], [0.3, "lasot_train"], [0.2, "coco_train"]]


def test_three_published_sets_are_trained_from_by_weight(bench: Workbench, tmp_path: Path) -> None:
    tars = tmp_path / "tars"
    tars.mkdir()
    (tars / "original").symlink_to(bench.tars / "original")
    for name, write in WRITERS.items():
        (folder := tmp_path / name).mkdir()
        source = write(folder)
        if name == "coco_train":  # which has the sizes of its pictures in its labels
            write_frames(source / "train2017", [9, 25], "{:012d}.jpg", (640, 480))
        words = [f"--dataset={name}", f"--source={source}", "--preproc=crop_254", "--num_workers=0"]
        made = bench.call("preprocess", *words, f"--out={tars}")
        assert made.code == 0, made
    result = bench.train(
        f"--train_dataset={json.dumps(WEIGHTS)}", "--preproc=crop_254", "--untar", f"--tar_dir={tars}",
        f"--tmp_data_dir={tmp_path / 'node'}", "--num_steps=3", "--period_ckpt=3", "--period_summary=1",
    )  # fmt: skip
    assert result.code == 0, result
    trial = bench.run_folder().trial(0)
    assert len((trial.path / "train.csv").read_text().splitlines()) == 1 + 3
    assert sorted(path.name for path in (tmp_path / "node/crop_254").iterdir() if path.is_dir()) == sorted(WRITERS)
