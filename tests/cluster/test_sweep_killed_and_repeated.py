"""A sweep on this machine: killed with all its workers, given again, extended; the table of one that nothing
interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seqtrack.runs.paths import RunFolder, SweepFolder
from tests.gates import RENAME, Gate
from tests.workbench import Result, Workbench, all_events, kill_and_wait, leftovers, named, wait_for

pytestmark = pytest.mark.slow

LR = "{{lr_init: [0.01, 0.001{}], tracker_params.scale_lr: [0.3, 0.59]}}"


def write(bench: Workbench, more: str = "") -> list[str]:
    (bench.folder / "sweep.yaml").write_text(f"name: lr\ngrid: {LR.format(more)}\n")
    return ["sweep.yaml", *bench.flags("--num_steps=10", "--max_parallel=2")]


def sweep(bench: Workbench, *more: str) -> Result:
    return bench.run("sweep", *write(bench), *more)


def folder_of(bench: Workbench) -> SweepFolder:
    return SweepFolder(bench.cache / "sweeps" / "lr")


def runs(bench: Workbench) -> list[RunFolder]:
    return [RunFolder(path.parent) for path in sorted(bench.cache.glob("*/train.yaml"))]


def test_killed_and_repeated_it_gives_the_same_table(
    bench: Workbench,
    finished: Workbench,
    tmp_path: Path,
    tars: Path,
    repository: Path,
    gate: Callable[..., Gate],
) -> None:
    whole = Workbench(tmp_path / "whole", repository, tars)
    for each in (bench, whole):
        (each.folder / "dataset_cache").symlink_to(finished.folder / "dataset_cache")
    result = sweep(whole, "--out=sweep.svg")
    assert result.code == 0, result
    assert "2 of 2 trials completed" in result.out  # for four points
    assert ">0.59</text>" in (whole.folder / "sweep.svg").read_text()

    second = gate(RENAME, "*/checkpoints/step_00000010")
    driver = bench.start("sweep", *write(bench), **second.environment)
    wait_for(lambda: len(second.held()) == 2, "second checkpoint of each run", driver)
    driver.kill()
    for worker in second.held():
        kill_and_wait(psutil.Process(worker))
    driver.communicate()
    result = sweep(bench, "--json")
    assert result.code == 0, result
    for run in runs(bench):
        saved = [e["step"] for events in all_events(run.trial(0)) for e in named(events, "checkpoint")]
        assert saved == [5, 10]  # no step that had a checkpoint was computed again
    assert folder_of(bench).json.read_bytes() == folder_of(whole).json.read_bytes()
    assert folder_of(bench).csv.read_bytes() == folder_of(whole).csv.read_bytes()
    assert json.loads(result.out) == json.loads(folder_of(whole).json.read_text())
    assert leftovers(bench.folder) == []

    # A changed file: a point more, and one that is none any more; nothing is deleted.
    grid = "{lr_init: [0.001, 0.1], tracker_params.scale_lr: [0.59, 0.7]}"
    (bench.folder / "sweep.yaml").write_text(f"name: lr\ngrid: {grid}\n")
    result = bench.run("sweep", "sweep.yaml", *bench.flags("--num_steps=10", "--dry_run"))
    assert result.code == 0, result
    first, head, *lines = result.out.splitlines()
    rows = json.loads(folder_of(whole).json.read_text())["rows"]
    (gone,) = {row["run_id"] for row in rows if row["values"]["lr_init"] == 0.01}
    assert len(rows) == 4
    assert first == f"1 run(s) of lr are no longer points of it, and are kept: {gone}"
    assert head == "sweep lr: 4 points of 2 runs x 1 seed"
    assert [line.rpartition(": ")[2] for line in lines] == ["complete"] + ["1 trial to do"] * 3
    assert bench.cache.joinpath(gone, "summary.json").exists()
