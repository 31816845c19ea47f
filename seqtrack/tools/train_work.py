"""Carries one trial of a submitted run as far as it gets. Executors start this; a person may too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from seqtrack.tools import cli

EPILOG = """example:
  python -m seqtrack.tools.train_work latest 0        # seed 0 of the run submitted last

exit codes: 0 complete, 1 failed, 2 a person's mistake (in the command or the data), 3 another process is at work
on this trial, 75 asked to stop (state saved)"""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m seqtrack.tools.train_work", description=__doc__, epilog=EPILOG)
    parser.add_argument("run", metavar="RUN", help="run folder, id prefix, --name, or latest")
    parser.add_argument("seed", metavar="SEED", type=int, help="which trial")
    parser.add_argument("--submission", metavar="ID", help="which submission of the run (unset: the last)")
    parser.add_argument("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)

    from seqtrack.pipeline.request import read_submission
    from seqtrack.pipeline.worker import work
    from seqtrack.runs import lookup
    from seqtrack.runs.paths import RunFolder

    folder = Path(arguments.run)
    run = RunFolder(folder) if folder.is_dir() else lookup.find(Path(arguments.cache_dir), arguments.run)
    return work(read_submission(run, arguments.submission), arguments.seed)


if __name__ == "__main__":
    sys.exit(cli.run(main))
