"""Carries one trial of a submitted run as far as it gets. Executors start this; a person may too."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from seqtrack.errors import UserError
from seqtrack.runs.signals import StopFlag
from seqtrack.tools import cli

if TYPE_CHECKING:
    from seqtrack.cluster.work import Work

T = TypeVar("T")

# A node sees what was just written on a shared disk only after a while: NFS keeps what it knows for up to a minute.
NFS_SECONDS = 65.0
STAGES = ("all", "train", "assess", "index", "summary")
EPILOG = """example:
  python -m seqtrack.tools.train_work latest 0        # seed 0 of the run submitted last

exit codes: 0 complete, 1 failed, 2 a person's mistake (in the command or the data), 3 another process is at work
on this trial, 75 asked to stop (state saved)"""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m seqtrack.tools.train_work", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "run",
        metavar="RUN",
        help="run folder, id prefix, --name, or latest; for index and summary a sweep's folder too",
    )
    parser.add_argument("seed", metavar="SEED", type=int, nargs="?", help="which trial")
    parser.add_argument(
        "--stage", metavar="|".join(STAGES), choices=STAGES, default="all",
        help="train or assess alone; or, for the run instead of a trial, index or summary [all]",
    )  # fmt: skip
    parser.add_argument("--submission", metavar="ID", help="which submission of the run (unset: the last)")
    parser.add_argument("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    return parser


def _patiently(read: Callable[[], T], patience: float) -> T:
    """What ``read`` returns; tried again for so many seconds before a file is called missing."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return read()
        except (UserError, OSError):
            if time.monotonic() >= deadline:
                raise
            time.sleep(1.0)


def _of_work(work: Work, arguments: argparse.Namespace) -> int:
    from seqtrack.cluster import run_jobs

    if arguments.stage == "index":
        return run_jobs.index(work)
    return run_jobs.summary(work, work.requests[0].submission or "")


def main(argv: Sequence[str] | None = None) -> int:
    stop = StopFlag().install()
    arguments = build_parser().parse_args(argv)
    of_run = arguments.stage in ("index", "summary")
    if (arguments.seed is None) != of_run:
        raise UserError(f"SEED: --stage={arguments.stage} " + ("is for the whole run" if of_run else "needs one"))

    from seqtrack.cluster import slurm_job
    from seqtrack.cluster.work import Work
    from seqtrack.pipeline.request import read_submissions
    from seqtrack.runs import lookup
    from seqtrack.runs.paths import SWEEPS, RunFolder, SweepFolder

    folder = Path(arguments.run)
    patience = NFS_SECONDS if slurm_job.is_inside() else 0.0
    if of_run and folder.parent.name == SWEEPS:
        from seqtrack.pipeline.sweep.sweep import read

        sweep = _patiently(lambda: read(SweepFolder(folder), arguments.submission), patience)
        return _of_work(Work(sweep.requests, sweep.folder), arguments)
    is_folder = folder.is_absolute() or folder.is_dir()
    run = RunFolder(folder) if is_folder else lookup.find(Path(arguments.cache_dir), arguments.run)
    requests = _patiently(lambda: read_submissions(run, arguments.submission), patience)
    if of_run:
        return _of_work(Work(requests, run), arguments)

    from seqtrack.pipeline import worker

    code = worker.work(requests, arguments.seed, arguments.stage, stop, slurm_job.has_ended, patience)
    stop.end()
    if code == worker.INTERRUPTED and stop.asks_for_requeue and slurm_job.is_inside():
        slurm_job.requeue()
    return code


if __name__ == "__main__":
    sys.exit(cli.run(main))
