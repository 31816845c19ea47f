"""Stops a run, some of its trials, or a sweep. What they have saved is kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from seqtrack.tools import cli
from seqtrack.tools.runs import add_run, find_run, find_run_or_sweep, known_seed

EPILOG = """examples:
  seqtrack cancel baseline             # all of it
  seqtrack cancel baseline --seed 3 4  # these trials; the others go on
  seqtrack cancel lr_search            # every run of a sweep; or cache/sweeps/lr_search

SLURM's tasks of the run are taken out of the queue, running or not; trials that run on this machine are asked to
stop. Both save first, and the command that started the run goes on from there. The summary job is taken out only
with the whole run.

exit codes: 0 all stopped, or nothing to stop; 1 something could not be reached (it says what); 2 no such run"""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack cancel", description=__doc__, epilog=EPILOG)
    add_run(parser, is_required=True, or_sweep=True)
    parser.add_argument("--seed", metavar="N", type=int, nargs="+", help="only these trials (unset: the whole run)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)

    from seqtrack.cluster.cancel import cancel, cancel_sweep
    from seqtrack.runs.paths import SweepFolder

    run = find_run_or_sweep(arguments) if arguments.seed is None else find_run(arguments)
    if isinstance(run, SweepFolder):
        return cli.EXIT_FAILURE if cancel_sweep(run, _say).missed else 0
    seeds = None if arguments.seed is None else {known_seed(run, seed) for seed in arguments.seed}
    outcome = cancel(run, seeds, _say)
    return cli.EXIT_FAILURE if outcome.missed else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(cli.run(main))
