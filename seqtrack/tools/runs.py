"""How a run and its trials are named to the tools that look at one."""

from __future__ import annotations

import argparse
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.runs import jobs, lookup, submissions
from seqtrack.runs.paths import RunFolder, SweepFolder
from seqtrack.tools import cli

OR_SWEEP = "; or a sweep: its name, or its folder"


def add_run(parser: cli.Parser, is_required: bool = False, or_sweep: bool = False) -> None:
    """RUN, which is the latest if it may be left out, and where runs are."""
    text = "id prefix, --name, run folder, or latest" + ("" if is_required else " [latest]")
    text += OR_SWEEP if or_sweep else ""
    parser.add_argument("run", metavar="RUN", nargs=None if is_required else "?", default="latest", help=text)
    parser.add_argument("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")


def find_run(arguments: argparse.Namespace) -> RunFolder:
    """Raises UserError if there is no such run."""
    return lookup.locate(Path(arguments.cache_dir), arguments.run)


def find_run_or_sweep(arguments: argparse.Namespace) -> RunFolder | SweepFolder:
    """Raises UserError if there is neither, or both."""
    return lookup.run_or_sweep(Path(arguments.cache_dir), arguments.run)


def seeds_of(run: RunFolder) -> set[int]:
    """Of the newest command, of every trial on disk, and of what was handed to SLURM."""
    asked = submissions.newest(run).get("execution", {})
    first = asked.get("first_seed", 0)
    found = set(range(first, first + asked.get("num_trials", 0)))
    return found | {trial.seed for trial in run.trials()} | {seed for job in jobs.read(run) for seed in job.seeds}


def known_seed(run: RunFolder, seed: int) -> int:
    """Raises UserError, with those that there are, if there is no such trial."""
    known = seeds_of(run)
    if seed not in known:
        there = ", ".join(map(str, sorted(known))) or "none"
        raise UserError(f"--seed: run {run.run_id} has no trial {seed}; there are {there}")
    return seed
