"""Shows how a run is doing: each trial's state, progress and latest score, and why what failed did; or a sweep."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seqtrack.errors import UserError
from seqtrack.tools import cli
from seqtrack.tools.runs import add_run, find_run_or_sweep

if TYPE_CHECKING:
    from seqtrack.cluster.overview import Overview, Slurm
    from seqtrack.cluster.sweep_overview import SweepOverview
    from seqtrack.reporting.progress import LiveProgress, PlainProgress
    from seqtrack.reporting.sweep_progress import SweepProgress
    from seqtrack.runs.paths import SweepFolder
    from seqtrack.runs.status import TrialStatus

EPILOG = """examples:
  seqtrack status                     # the run submitted last
  seqtrack status 3f2a --watch        # until nothing of it runs any more
  seqtrack status lr_search           # a sweep: a line for each point
  seqtrack status --all               # a line for each run in cache/
  seqtrack status baseline --json | jq '.trials[] | select(.state == "failed") | .cause'

states:
  waiting      not started, and not handed to SLURM
  queued       handed to SLURM, not started yet (or again); the reason is SLURM's word
  starting     its process is there and has not said more
  training, trained, assessing, done
  failed       the cause is below the table
  interrupted  asked to stop; what it had is saved
  died         killed without a word
  superseded   another process took the trial over

Of a sweep, "waiting" counts whatever is neither at work nor done nor failed: queued, trained, interrupted too. Scores
are those of its table so far.

What is shown comes from the disk, so it works on any machine that sees the folder, without SLURM and after SLURM
has forgotten the jobs. If there is a SLURM it is asked once, for at most three seconds, what is in its queue.
"done" means: all that the newest command asks for. exit codes: 0, or 2 if there is no such run."""

Looked = TypeVar("Looked", "Overview", "SweepOverview")

DISK_SECONDS = 1.0
REST_SECONDS = 10.0  # a scheduler may be between two trials
WIDTH_OF_A_PIPE = 250


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack status", description=__doc__, epilog=EPILOG)
    add_run(parser, or_sweep=True)
    parser.add_argument("--all", action="store_true", help="one line for each run, the newest last")
    parser.add_argument("--json", action="store_true", help="for scripts: one object, or with --all a list of them")
    parser.add_argument("--watch", action="store_true", help="show progress until nothing works on the run any more")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.watch and (arguments.json or arguments.all):
        raise UserError("--watch: it shows the progress of one run; leave out --json and --all")
    if arguments.all and arguments.run != "latest":
        raise UserError(f"--all: it shows every run; leave out {arguments.run}")

    from seqtrack.cluster import overview
    from seqtrack.runs import lookup
    from seqtrack.runs.paths import SweepFolder

    slurm = overview.Slurm()
    if arguments.all:
        runs = lookup.all_runs(Path(arguments.cache_dir))
        if not runs:
            raise UserError(f"there is no run in {arguments.cache_dir} (--cache_dir)")
        found = [overview.look(run, slurm) for run in runs]
        _print_json([overview.to_json(one) for one in found]) if arguments.json else _print_all(found)
        return 0
    run = find_run_or_sweep(arguments)
    if isinstance(run, SweepFolder):
        _show_sweep(run, slurm, arguments)
        return 0
    one = overview.look(run, slurm)
    if arguments.json:
        _print_json(overview.to_json(one))
        return 0
    _print_header(one)
    if arguments.watch:
        from seqtrack.reporting.progress import make_progress

        one = _watch(lambda: overview.look(run, slurm), make_progress())
        print()
    _print_trials(one)
    return 0


def _show_sweep(folder: SweepFolder, slurm: Slurm, arguments: argparse.Namespace) -> None:
    from seqtrack.cluster import sweep_overview
    from seqtrack.pipeline.sweep import table

    one = sweep_overview.look(folder, slurm)
    if arguments.json:
        _print_json(sweep_overview.to_json(one))
        return
    print(f"sweep {folder.name}\nin {folder.path}")
    if one.submitted is not None:
        print(f"submitted {_when(one.submitted)}: {one.command}")
    print()
    if arguments.watch:
        from seqtrack.reporting.sweep_progress import SweepProgress

        def look() -> SweepOverview:
            nonlocal one
            one = sweep_overview.look(folder, slurm)
            return one

        _watch(look, SweepProgress(lambda: table.best(one.found)))
        print()
    print(*sweep_overview.to_text(one, cli.screen_width()), "", sep="\n")
    print(f"convention: {one.found['convention']} ({one.found['eval_id']})")
    print(_how_far(one.trials))
    if table.preliminary(one.found):
        print(table.PRELIMINARY)
    for line in (*one.causes, *(f"note: {note}" for note in one.notes)):
        print(line)
    if best := table.best(one.found):
        print(f"best{'' if one.is_done else ' so far'}: {best}")
    print(f"table: {folder.csv}")


def _watch(look: Callable[[], Looked], progress: PlainProgress | LiveProgress | SweepProgress) -> Looked:
    """Shows progress until all is done, or has been at rest for a while; returns the last look."""
    at_work = time.monotonic()
    with progress:
        while True:
            overview = look()
            progress.show(overview.trials)
            now = time.monotonic()
            if not overview.is_at_rest:
                at_work = now
            if overview.is_done or now - at_work > REST_SECONDS:
                return overview
            time.sleep(DISK_SECONDS)


def _how_far(trials: Sequence[TrialStatus]) -> str:
    from seqtrack.reporting.progress import counts
    from seqtrack.schema import counted

    others = [status for status in trials if status.state != "done"]
    rest = f": {counts(others)}" if others else ""
    return f"{len(trials) - len(others):,} of {counted(len(trials), 'trial')} done{rest}"


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False) if sys.stdout.isatty() else Console(width=WIDTH_OF_A_PIPE)


def _print_header(overview: Overview) -> None:
    name, *older = overview.names or ("",)
    sweeps = overview.titles[len(overview.names) :]
    words = [overview.run.run_id, name, f"(was {', '.join(older)})" if older else "", *sweeps, overview.model]
    print(f"run {'  '.join(filter(None, words))}")
    print(f"in {overview.run.path}")
    if overview.submitted is not None:
        print(f"submitted {_when(overview.submitted)}: {overview.command}")
    print()


def _print_trials(overview: Overview) -> None:
    from dataclasses import replace

    from seqtrack.reporting.progress import progress_table

    console = _console()
    # What has a cause says so below, where there is room for it, and so does what is done.
    rows = [replace(s, detail="") if s.seed in overview.causes or s.state == "done" else s for s in overview.trials]
    if rows:
        console.print(progress_table(rows, console.width))
        print()
    print(_how_far(overview.trials))
    for status in overview.trials:
        if cause := overview.causes.get(status.seed):
            print(f"seed {status.seed} {status.state}: {cause.text}")
        elif status.state == "done" and status.detail:
            print(f"seed {status.seed} done; since then {status.detail}")
    for note in overview.notes:
        print(f"note: {note}")
    if overview.causes:
        run = overview.run.run_id if overview.run.path.parent == Path("cache") else overview.run.path
        print(f"their logs: seqtrack logs {run} --seed {min(overview.causes)}")
    for line in _scores(overview):
        print(line)
    if overview.results:
        print(f"table: {overview.results}")


def _scores(overview: Overview) -> list[str]:
    """Mean ± std over the trials of a run that is done, one metric for each eval set."""
    if overview.results is None:
        return []
    from seqtrack.reporting.tables import headlines

    rows = headlines(json.loads(overview.run.summary_json.read_text()))
    return [f"{row.metric} {row.score} ({row.eval_id}, n = {row.n})" for row in rows]


def _print_all(overviews: Sequence[Overview]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from seqtrack.reporting.progress import counts

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("run", "name", "model", "submitted", "trials", "score"):
        table.add_column(name, no_wrap=name in ("run", "submitted"))
    for one in overviews:
        submitted = _when(one.submitted) if one.submitted is not None else ""
        cells = (
            one.run.run_id,
            "".join(one.titles[:1]),
            one.model,
            submitted,
            counts(one.trials),
            "; ".join(_scores(one)),
        )
        table.add_row(*map(Text, cells))
    _console().print(table)
    for note in dict.fromkeys(note for one in overviews for note in one.notes):
        print(f"note: {note}")


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


if __name__ == "__main__":
    sys.exit(cli.run(main))
