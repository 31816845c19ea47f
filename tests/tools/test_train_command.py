"""The command line of ``seqtrack.tools.train``: its flags, what it prints without training, and its help."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqtrack.config import FIELDS, SECTIONS
from tests.workbench import NUM_STEPS, Workbench, tree_of

# Every flag by class, with its default. A default of a train flag is part of every run id: to change one here
# is to give all runs that did not set it another id.
TRAIN: dict[str, Any] = {
    "model": "siamfc",
    "model_params": {},
    "init_from": None,
    "preproc": "original",
    "pool_datasets": ("vot2018",),
    "pool_split": 0.8,
    "batchsz": 8,
    "imwidth": None,
    "imheight": None,
    "train_dataset": "pool_train",
    "filter_params": {},
    "num_steps": 100000,
    "optimizer": "adam",
    "optimizer_params": {},
    "lr_init": 1e-3,
    "lr_schedule": "constant",
    "lr_params": {},
    "grad_clip": False,
    "max_grad_norm": 5.0,
    "sampler_params": {},
    "augment_motion": False,
    "motion_params": {},
    "augment_params": {},
    "negative_params": {},
    "precision": "fp32",
    "variant": "",
}
ASSESS: dict[str, Any] = {
    "eval_datasets": ("otb_50",),
    "eval_samplers": ("full",),
    "eval_convention": None,
    "eval_tre_num": 1,
    "eval_repeats": 1,
    "eval_preproc": None,
    "max_eval_videos": None,
    "tracker_params": {},
    "period_assess": 10000,
    "period_skip": 0,
    "assess_all": False,
    "optimize_dataset": None,
    "optimize_metric": "AUC",
}
EXECUTION: dict[str, Any] = {
    "num_trials": 1,
    "first_seed": 0,
    "name": None,
    "data_dir": None,
    "data_paths": {},
    "tar_dir": None,
    "untar": False,
    "stage_mode": None,
    "storage": "auto",
    "from_file": False,
    "tmp_data_dir": None,
    "tmp_keep": True,
    "data_cache_dir": Path("dataset_cache"),
    "cache_dir": Path("cache"),
    "snapshot": True,
    "accept_changes": False,
    "val_dataset": None,
    "period_ckpt": 10000,
    "period_summary": 100,
    "period_preview": None,
    "nosave": False,
    "visualize": False,
    "keep_frames": False,
    "loglevel": "info",
    "verbose_train": False,
    "num_workers": 0,
    "cpu_threads": 2,
    "deterministic": True,
    "pin_memory": False,
    "device": "auto",
    "eval_workers": None,
    "eval_batch": 32,
    "max_parallel": None,
    "detach": False,
    "slurm": False,
    "slurm_flags": (),
    "slurm_assess_flags": (),
    "slurm_summary_flags": (),
    "slurm_throttle": None,
    "slurm_max_submit": None,
    "slurm_setup": (),
    "slurm_exclude_failed_nodes": False,
}
GOLDEN = {"train": TRAIN, "assess": ASSESS, "execution": EXECUTION}
# What an assessment's folder is named after; the other assess flags only choose which ones are made.
KEYED = {
    "eval_convention", "eval_tre_num", "eval_repeats", "eval_preproc", "max_eval_videos", "tracker_params",
}  # fmt: skip
TOOLS = [
    "train", "train_work", "status", "logs", "cancel", "doctor", "index", "pack", "preprocess", "sample_data", "main",
]  # fmt: skip


def test_flags_classes_and_defaults() -> None:
    found = {
        key: {
            field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            for field in dataclasses.fields(section)
        }
        for key, section in SECTIONS.items()
    }

    assert found == GOLDEN
    assert {name for name, field in FIELDS.items() if field.metadata["keyed"]} == KEYED


def test_the_default_run_keeps_its_id(bench: Workbench) -> None:
    """The same flags give the same id, in every version of seqtrack."""
    result = bench.call("train", "--dry_run")

    assert result.code == 0, result
    assert result.out.split()[1] == "8743f099d265:"


def test_every_flag_is_explained(bench: Workbench) -> None:
    text = bench.call("train", "--help").out
    for name, field in FIELDS.items():
        assert f"--{name}" in text
        assert " ".join(field.metadata["help"].split())[:20] in " ".join(text.split())
    for word in ("examples:", "--dry_run", "--print_config", "--config FILE", "[100000]", "pool_train"):
        assert word in text


@pytest.mark.parametrize("tool", TOOLS)
def test_help_needs_nothing_heavy(tool: str, repository: Path) -> None:
    """``--help`` answers at once: none of what takes long to import is imported."""
    code = f"""
import contextlib, io, sys
from seqtrack.tools import {tool}
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        {tool}.main(["--help"])
    except SystemExit as done:
        assert done.code == 0
assert "usage:" in out.getvalue()
heavy = {{"torch", "torchvision", "cv2", "pandas", "matplotlib", "h5py", "numpy", "tensorboard"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_hyphens_are_underscores(bench: Workbench) -> None:
    assert bench.run_id("--lr-init", "0.5") == bench.run_id("--lr_init=0.5")


def test_dry_run_says_what_would_happen_and_stops(bench: Workbench) -> None:
    result = bench.call("train", *bench.flags("--num_trials=2", "--dry_run"))

    assert result.code == 0, result
    assert result.err == ""
    first, second, *seeds = result.out.splitlines()
    assert first.startswith("run ")
    assert first.endswith(f": siamfc, {NUM_STEPS} steps, in {bench.cache / first.split()[1].rstrip(':')}")
    assert second == "trains on otb:sample_train, assesses on sample_eval-full"
    assert seeds == [
        f"seed {seed}: does not exist; would train {NUM_STEPS} steps, and be assessed" for seed in (0, 1)
    ]
    assert sorted(path.name for path in bench.folder.iterdir()) == ["home"]


def test_dry_run_of_a_run_that_exists(continued: Workbench) -> None:
    before = tree_of(continued.folder)

    result = continued.call(
        "train", *continued.flags("--num_trials=3", "--eval_samplers", "full", "sampling", "--dry_run")
    )

    assert result.code == 0, result
    assert result.out.splitlines()[0].split()[1] == f"{continued.run_folder().run_id}:"
    assert result.out.splitlines()[2:] == [
        f"seed 0: trained; would be assessed: sample_eval-sampling at step {NUM_STEPS}",
        f"seed 1: trained; would be assessed: sample_eval-sampling at step {NUM_STEPS}",
        f"seed 2: does not exist; would train {NUM_STEPS} steps, and be assessed",
    ]
    assert tree_of(continued.folder) == before


def test_print_config_is_complete_and_can_be_fed_back(bench: Workbench) -> None:
    flags = ["--lr_init=2e-3", "--optimizer=momentum", "--num_trials=3", "--eval_datasets", "otb:a", "vot:b"]
    flags = bench.flags(*flags, '--train_dataset=[[0.5, "otb:a"], [0.5, "otb:b"]]')
    printed = bench.call("train", *flags, "--print_config")

    assert printed.code == 0, printed
    values = yaml.safe_load(printed.out)
    assert list(values) == [name for section in GOLDEN.values() for name in section]
    assert values["lr_init"] == 0.002
    assert values["eval_datasets"] == ["otb:a", "vot:b"]
    assert values["train_dataset"] == [[0.5, "otb:a"], [0.5, "otb:b"]]
    # Nested parameters are complete too, with defaults that nobody gave.
    assert values["model_params"]["feature_params"]["arch"] == "alexnet"
    assert values["model_params"]["feature_params"]["arch_params"] == {"width": 0.1}
    assert values["optimizer_params"] == {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0}

    (bench.folder / "printed.yaml").write_text(printed.out)
    again = bench.call("train", "--config=printed.yaml", "--print_config")
    assert again.out == printed.out
    run = bench.call("train", "--config=printed.yaml", "--dry_run").out.split()[1].rstrip(":")
    assert printed.out.splitlines()[0] == f"# run {run}"


def test_flags_override_the_file_and_the_file_the_defaults(bench: Workbench) -> None:
    (bench.folder / "mine.yaml").write_text("--lr-init: 0.5\nbatchsz: 3\nmodel_params: {context: 0.3}\n")

    result = bench.call("train", "--config=mine.yaml", "--batchsz=4", "--print_config")

    values = yaml.safe_load(result.out)
    assert (values["lr_init"], values["batchsz"], values["model_params"]["context"]) == (0.5, 4, 0.3)


def test_machine_files_are_read_and_flags_override_them(bench: Workbench) -> None:
    (bench.home / ".config").mkdir()
    (bench.home / ".config" / "seqtrack.yaml").write_text("tar_dir: /home/tars\ntmp_data_dir: /home/tmp\n")
    (bench.folder / "seqtrack.local.yaml").write_text("tmp_data_dir: /local/tmp\ndata_paths: {otb_50: /local/otb}\n")

    result = bench.call("train", "--tar_dir=/flag/tars", "--print_config")

    values = yaml.safe_load(result.out)
    assert values["tar_dir"] == "/flag/tars"
    assert values["tmp_data_dir"] == "/local/tmp"
    assert values["data_paths"] == {"otb_50": "/local/otb"}
    # Where data lie is no part of what is learned.
    assert bench.call("train", "--dry_run").out.split()[1].rstrip(":") == result.out.split()[2]


def test_every_submission_is_recorded(continued: Workbench) -> None:
    run = continued.run_folder()

    assert continued.train("--num_trials=2", "--name=mine").code == 0

    lines = [json.loads(line) for line in run.submissions.read_text().splitlines()]
    assert [line["execution"]["name"] for line in lines] == [None, "mine"]
    assert "--name=mine" in lines[1]["argv"]
    assert lines[0]["train"] == lines[1]["train"]
    values = yaml.safe_load(run.train_yaml.read_text())
    assert values["run_id"] == run.run_id
    assert list(values["train"]) == list(TRAIN)
