"""What ``--slurm`` says before there is any SLURM to talk to: mistakes, and sbatch's own spelling."""

from __future__ import annotations

import pytest

from seqtrack.tools.train import build_parser, without_dashes
from tests.workbench import Workbench


def test_without_slurm_on_this_machine_it_says_so_and_what_to_do_instead(bench: Workbench) -> None:
    result = bench.call("train", *bench.flags("--slurm"), PATH="/nowhere")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line == (
        "error: --slurm: there is no SLURM on this machine (sbatch is not on PATH); leave --slurm out to run the"
        " trials here, or give the command on a login node of the cluster"
    )
    assert not bench.cache.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--slurm_flags", "partition=devel", "time=1:00:00", "cpus-per-task=5", "gres=gpu:1"],
        ["--slurm_flags", "--partition=devel", "--time=1:00:00", "--cpus-per-task=5", "--gres=gpu:1"],
        ["--slurm-flags=partition=devel", "--slurm_flags", "partition=devel", "--time=1:00:00", "cpus-per-task=5",
         "--gres=gpu:1"],
    ],
)  # fmt: skip
def test_options_are_written_as_sbatch_knows_them_with_or_without_dashes(words: list[str]) -> None:
    read = vars(build_parser().parse_args(without_dashes(["--slurm", *words, "--num_trials", "5"])))
    assert read["slurm_flags"] == ["partition=devel", "time=1:00:00", "cpus-per-task=5", "gres=gpu:1"]
    assert (read["slurm"], read["num_trials"]) == (True, "5")


def test_a_flag_of_ours_ends_the_list() -> None:
    words = ["--slurm_flags", "--mem=8G", "--name", "x", "--no-untar", "--slurm_assess_flags", "--time=5"]
    words.append("--dry-run")
    read = vars(build_parser().parse_args(without_dashes(words)))
    assert (read["slurm_flags"], read["slurm_assess_flags"]) == (["mem=8G"], ["time=5"])
    assert (read["name"], read["untar"], read["dry_run"]) == ("x", False, True)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--slurm_flags", "partition=devel"], "--slurm_flags: it says how SLURM jobs run; give --slurm too"),
        (["--slurm_throttle=2"], "--slurm_throttle: it says how SLURM jobs run; give --slurm too"),
        (
            ["--slurm", "--max_parallel=2"],
            "--max_parallel: it limits trials on this machine; with --slurm give --slurm_throttle",
        ),
        (["--slurm", "--slurm_max_submit=3"], "--slurm_max_submit: expected 4 or more, got 3"),
    ],
)
def test_flags_that_contradict_each_other(bench: Workbench, flags: list[str], line: str) -> None:
    result = bench.call("train", *bench.flags(*flags))
    assert (result.code, result.err) == (2, f"error: {line}\n")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("partitoin=devel", "partition"),
        ("time=1:00:00:00", "time"),
        ("gres", "gres"),
        ("array=0-3", "array"),
        ("mem=", "mem"),
    ],
)
def test_an_unknown_or_malformed_option_is_refused_before_anything_is_submitted(
    bench: Workbench, word: str, says: str
) -> None:
    """Any sbatch will do: it must not be reached."""
    programs = bench.folder / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text("#!/bin/sh\ntouch reached\n")
    (programs / "sbatch").chmod(0o755)
    result = bench.call("train", *bench.flags("--slurm", "--slurm_flags", word), PATH=f"{programs}:/usr/bin:/bin")
    assert result.code == 2, result
    first, *rest = result.err.splitlines()
    assert first.startswith("error: --slurm_flags: ")
    assert says in first
    assert rest == []
    assert not list(bench.cache.glob("*/slurm"))
