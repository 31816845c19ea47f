"""Trains every point of a grid, and points drawn at random, and tabulates them by score."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.config import SECTIONS
from seqtrack.errors import UserError
from seqtrack.tools import cli
from seqtrack.tools.train import TITLES, add_flags, without_dashes

if TYPE_CHECKING:
    from seqtrack.pipeline.sweep.sweep import Sweep

DESCRIPTION = """Search over hyper-parameters: a grid, points drawn at random, or both, with several seeds each.

Every point is an ordinary run, with the id that train would give it: status, logs, report, compare and reproduce
work on each. Points that differ only in tracker_params or eval_preproc share a run, which is trained once. The same
command again is the only recovery there is, as for a run."""

EPILOG = """example, sweep.yaml:
  name: lr_search              # results are in CACHE_DIR/sweeps/lr_search/
  seed: 0                      # of the random points
  points: 50                   # how many of them; left out where there is only a grid
  num_trials: 3                # seeds of each point
  base: {train_dataset: got10k_train, eval_datasets: [otb_50], num_steps: 20000}    # or base_config: FILE
  grid:
    optimizer: [sgd, adam]
    model_params.template_size: [87, 127]
    tracker_params.scale_lr: [0.3, 0.59]
  random:
    lr_init: {log_uniform: [1.0e-5, 1.0e-2]}
    optimizer_params.weight_decay: {uniform: [0, 1.0e-3]}
    batchsz: {int_uniform: [8, 64]}
    lr_schedule: {choice: [constant, cosine]}

examples:
  python -m seqtrack.tools.sweep sweep.yaml --dry_run
  python -m seqtrack.tools.sweep sweep.yaml --max_parallel=4 --out sweep.svg
  python -m seqtrack.tools.sweep sweep.yaml --slurm --slurm_flags partition=gpu time=4:00:00 gres=gpu:1 --detach

Flags of train override base for all points. With --slurm the whole sweep is one array for each stage. Raised points
or num_trials add to a sweep; points that a changed file no longer has leave the table, and nothing is deleted.
exit codes: as train's; 1 if a trial failed."""

OWN_FLAGS = ("dry_run", "json", "out", "help")


def build_parser(prog: str | None = None) -> cli.Parser:
    parser = cli.Parser(
        prog=prog or "python -m seqtrack.tools.sweep",
        usage="%(prog)s FILE [FLAG …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("file", metavar="FILE", help="the sweep, in YAML: see below")
    parser.add_argument("--dry_run", action="store_true", help="say what would run, and stop")
    parser.add_argument("--json", action="store_true", help="print the table as JSON (all else goes to stderr)")
    parser.add_argument("--out", metavar="PLOT", help="draw parallel coordinates: a .svg, .png or .pdf")
    for key, section in SECTIONS.items():
        add_flags(parser.add_argument_group(TITLES[key]), section)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    flags = vars(build_parser().parse_args(without_dashes(words, OWN_FLAGS)))
    file, out = Path(flags.pop("file")), flags.pop("out", None)
    dry_run, as_json = flags.pop("dry_run", False), flags.pop("json", False)
    if out is not None and Path(out).suffix not in (".svg", ".png", ".pdf"):
        raise UserError(f"--out: {out}: a plot is a .svg, .png or .pdf")

    from seqtrack.cluster import driver
    from seqtrack.cluster.work import Work
    from seqtrack.pipeline.sweep import definition as definitions
    from seqtrack.pipeline.sweep import sweep as sweeps
    from seqtrack.pipeline.sweep import table

    say = _say_to(sys.stderr if as_json else sys.stdout)
    definition = definitions.read(file)
    sweep = sweeps.from_definition(definition, flags)
    work = Work(sweep.requests, sweep.folder)
    driver.check(work.execution)
    for line in [*sweep.same, *_about_before(sweep)]:
        say(line)
    if dry_run:
        if not work.execution.accept_changes:  # accepting is written down, and this writes nothing
            driver.check_changes(work)
        _describe(sweep, say)
        return 0
    try:
        if work.execution.detach and not work.execution.slurm:
            say(driver.leave_in_background(work, "seqtrack.tools.sweep", words))
            return 0
        driver.prepare(work, say)
        submission = sweeps.record(sweep, definition)
        table.write(sweep)  # what lies there may be of points that this sweep has no longer
        outcome = driver.carry_out(work, submission, _progress(sweep, say if as_json else None), say)
    except driver.Detached as farewell:
        (say if work.execution.detach else _say_to(sys.stderr))(str(farewell))
        if not work.execution.detach:
            return cli.EXIT_INTERRUPTED
        found = table.write(sweep)
        _show(found, as_json, out) if as_json or out else None
        return 0
    driver.summarise_all(work, outcome)
    _show(table.write(sweep, outcome.failures), as_json, out)
    say(f"results: {sweep.folder.path}")
    if not outcome.failures:
        return 0
    return cli.EXIT_MISTAKE if outcome.mistakes == outcome.failures.keys() else cli.EXIT_FAILURE


def _say_to(stream: Any) -> Callable[[str], None]:
    return lambda line: print(line, file=stream, flush=True)


def _about_before(sweep: Sweep) -> list[str]:
    """What a sweep of this name had that this one has not."""
    from seqtrack.pipeline.sweep.sweep import SHOWN, no_longer

    gone = no_longer(sweep)
    if not gone:
        return []
    shown = ", ".join(gone[:SHOWN]) + (", …" if len(gone) > SHOWN else "")
    return [f"{len(gone)} run(s) of {sweep.folder.name} are no longer points of it, and are kept: {shown}"]


def _describe(sweep: Sweep, say: Callable[[str], None]) -> None:
    from seqtrack.pipeline import plan
    from seqtrack.pipeline.sweep.table import spelled
    from seqtrack.schema import counted

    trained = len({run.run_id for run in sweep.runs})
    points = f"{len(sweep.runs)} points of " if trained < len(sweep.runs) else ""
    seeds = counted(len(sweep.requests[0].seeds), "seed")
    say(f"sweep {sweep.folder.name}: {points}{counted(trained, 'run')} x {seeds}")
    for run, request in zip(sweep.runs, sweep.requests, strict=True):
        left = sum(not plan.has_nothing_left(request, request.run.trial(seed)) for seed in request.seeds)
        values = ", ".join(f"{name}={spelled(value)}" for name, value in run.values.items())
        todo = f"{counted(left, 'trial')} to do" if left else "complete"
        say(f"  run {run.run_id}: {values}: {todo}")


def _progress(sweep: Sweep, say: Callable[[str], None] | None) -> Any:
    from seqtrack.pipeline.sweep import table
    from seqtrack.reporting.sweep_progress import SweepProgress

    def best() -> str:
        try:
            return table.best(json.loads(sweep.folder.json.read_text()))
        except (OSError, ValueError):
            return ""

    return SweepProgress(best, say)


def _show(found: dict[str, Any], as_json: bool, out: str | None) -> None:
    from seqtrack.pipeline.sweep import table

    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(table.to_text(found, cli.screen_width()), end="")
    if out is not None:
        from seqtrack.reporting import parallel, plots

        plots.write_figure(parallel.figure(found), Path(out))


if __name__ == "__main__":
    sys.exit(cli.run(main))
