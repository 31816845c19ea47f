"""Prints what a trial has logged, wherever it ran."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seqtrack.errors import UserError
from seqtrack.tools import cli
from seqtrack.tools.runs import add_run, find_run, known_seed, seeds_of

EPILOG = """examples:
  seqtrack logs latest --seed 3             # its newest attempt
  seqtrack logs baseline --seed 3 --follow  # as it comes, over restarts, until it is at rest
  seqtrack logs 3f2a --seed 3 --stage train --lines 20
  seqtrack logs 3f2a --seed 3 --attempt 0   # how the first start went

Each start of a trial is an attempt with a log of its own; a line says whose it is:

  ==> seed 3, attempt 1, train on node2, job 123_3, ended: interrupted <==

What SLURM itself had to say of a task that did not end well comes after it. Before there is an attempt, what the
process said on its way to one is shown, or why there is nothing yet."""

SLURM_LINES = 20


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack logs", description=__doc__, epilog=EPILOG)
    add_run(parser)
    parser.add_argument("--seed", metavar="N", type=int, help="which trial (unset: the only one there is)")
    parser.add_argument("--follow", action="store_true", help="go on printing, until nothing works on the trial")
    parser.add_argument("--stage", metavar="train|assess", choices=("train", "assess"), help="of this only")
    parser.add_argument("--attempt", metavar="N", type=int, help="which start of the trial (unset: the newest)")
    parser.add_argument("--lines", metavar="N", type=int, help="only the last N lines (unset: all)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.lines is not None and arguments.lines < 0:
        raise UserError(f"--lines: expected a number of lines, got {arguments.lines}")
    if arguments.follow and arguments.attempt is not None:
        raise UserError("--follow: it follows the newest attempt and those that come; leave out --attempt")

    from seqtrack.runs import logs

    run = find_run(arguments)
    seed = _which_seed(run, arguments.seed)
    trial = run.trial(seed)
    if arguments.follow:
        status = logs.follow(trial, arguments.stage, arguments.lines, _status(run, seed), _write)
        print(logs.heading(f"seed {seed}", status.state, *filter(None, [status.detail])))
        return 0
    found = logs.of_stage(trial, arguments.stage)
    if arguments.attempt is not None:
        numbers = [attempt.number for attempt in found]
        if arguments.attempt not in numbers:
            there = ", ".join(map(str, numbers)) or "none"
            raise UserError(f"--attempt: seed {seed} has no attempt {arguments.attempt}; there are {there}")
        found = [found[numbers.index(arguments.attempt)]]
    if found:
        _print_attempt(run, trial, found[-1], arguments.lines)
    else:
        _print_before(run, seed, arguments.stage, arguments.lines)
    return 0


def _which_seed(run: Any, seed: int | None) -> int:
    if seed is not None:
        return known_seed(run, seed)
    known = sorted(seeds_of(run))
    if len(known) != 1:
        raise UserError(f"--seed: which trial? run {run.run_id} has {', '.join(map(str, known)) or 'none'}")
    return known[0]


def _status(run: Any, seed: int) -> Callable[[], Any]:
    from seqtrack.cluster.overview import Slurm
    from seqtrack.runs import jobs
    from seqtrack.runs.status import trial_status

    slurm = Slurm()

    def status() -> Any:
        ledger = jobs.read(run)
        return trial_status(run.trial(seed), ledger, slurm.queue() if ledger else None)

    return status


def _print_attempt(run: Any, trial: Any, attempt: Any, lines: int | None) -> None:
    from seqtrack.runs import attempts, logs

    print(logs.title(trial, attempt))
    _write(logs.Tail(attempt.log, lines).more())
    owner, is_alive, end = attempts.read_owner(attempt), attempts.is_alive(attempt), attempts.ended(attempt)
    ended_well = end is not None and end["state"] == "done"
    if owner is not None and owner.job and not is_alive and not ended_well:
        _print_file(run.output(owner.job), f"SLURM on job {owner.job}", SLURM_LINES)


def _print_before(run: Any, seed: int, stage: str | None, lines: int | None) -> None:
    """What there is of a trial, or of a stage of it, without an attempt."""
    from seqtrack.runs import jobs, logs

    files = [
        (run.output(job.task(seed)), f"job {job.task(seed)}")
        for job in reversed(jobs.read(run))
        if seed in job.seeds and job.job_id and stage in (None, job.stage)
    ]
    if stage is None:
        files.append((run.trial(seed).launch_log, "its process"))
    if any(_print_file(path, f"seed {seed}, {who} before there was an attempt", lines) for path, who in files):
        return
    print(f"seed {seed}: {logs.nothing_yet(_status(run, seed)())}")


def _print_file(path: Path, name: str, lines: int | None) -> bool:
    """False if there is nothing in it."""
    from seqtrack.runs.logs import Tail, heading

    text = Tail(path, lines).more()
    if text.strip():
        print(heading(name, str(path)))
        _write(text)
    return bool(text.strip())


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(cli.run(main))
