"""Assesses checkpoints, or a tracker that is not ours, on any data sets, and prints the table."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seqtrack import config as configuration
from seqtrack.config import AssessConfig, ExecutionConfig
from seqtrack.errors import UserError
from seqtrack.tools import cli, train

DESCRIPTION = """Assess trained checkpoints, or a tracker of somebody else's, on any data sets.

By default as the benchmark's authors do (--eval_samplers benchmark): VOT's with restarts, all others in one pass.
What is tracked is kept where the same assessment by seqtrack train would be, so nothing is tracked twice. Killed at
any moment, the same command goes on with the sequences that are left, to the same numbers."""

EPILOG = """examples:
  # one checkpoint
  seqtrack assess --checkpoint cache/0123456789ab/seed_0/checkpoints/step_00100000 --eval_datasets otb_100 vot2018

  # every trial of a run at its selected step; or some trials at a step
  seqtrack assess 0123456789ab --eval_datasets lasot_test got10k_val
  seqtrack assess 0123456789ab --seed 0 1 --step 50000 --eval_datasets lasot_test

  # a class of your own with init(image, box) and update(image) -> box, three times with different random numbers
  seqtrack assess --tracker my_tracker:Tracker --tracker_params '{"speed": 2}' --num_trials 3 --eval_datasets otb_100

How a run is assessed (--tracker_params, --eval_tre_num, --max_eval_videos, …) and where its data lie is as its last
command had it, unless it is given here, or the places in ~/.config/seqtrack.yaml or ./seqtrack.local.yaml."""

HOW = (
    "eval_datasets", "eval_samplers", "eval_convention", "eval_tre_num", "eval_repeats", "eval_preproc",
    "max_eval_videos", "tracker_params",
)  # fmt: skip
WHERE = (
    "data_dir", "data_paths", "tar_dir", "untar", "stage_mode", "tmp_data_dir", "tmp_keep", "data_cache_dir",
    "cache_dir", "accept_changes", "device", "eval_workers", "eval_batch", "loglevel",
)  # fmt: skip
DEFAULTS = {"eval_datasets": "", "eval_samplers": "benchmark"}
OF_A_TRACKER = ("num_trials", "first_seed", "name", "max_parallel")


def build_parser() -> cli.Parser:
    parser = cli.Parser(
        prog="seqtrack assess",
        usage="%(prog)s [RUN | --checkpoint DIR | --tracker module:Class] --eval_datasets NAME … [FLAG …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="id prefix, --name, run folder, or latest")
    parser.add_argument("--checkpoint", metavar="DIR", help="<run>/seed_K/checkpoints/step_NNNNNNNN")
    parser.add_argument("--tracker", metavar="module:Class", help="a tracker that is not ours (docs/guide.md)")
    of_run = parser.add_argument_group("of RUN")
    of_run.add_argument("--seed", metavar="K", type=int, nargs="+", help="these trials [all]")
    of_run.add_argument("--step", metavar="N", type=int, help="at this step [the one that each trial selected]")
    train.add_flags(parser.add_argument_group("what is measured"), AssessConfig, only=HOW, defaults=DEFAULTS)
    train.add_flags(parser.add_argument_group("where and how it runs"), ExecutionConfig, only=WHERE)
    train.add_flags(parser.add_argument_group("of --tracker"), ExecutionConfig, only=OF_A_TRACKER)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    given = vars(build_parser().parse_args(argv))
    what = [name for name in ("run", "checkpoint", "tracker") if name in given]
    if len(what) != 1:
        both = "RUN" if not what else " and ".join("RUN" if name == "run" else f"--{name}" for name in what)
        raise UserError(f"{both}: give one of RUN, --checkpoint and --tracker")
    for names, owner in ((("seed", "step"), "run"), (OF_A_TRACKER, "tracker")):
        for name in names:
            if name in given and owner not in given:
                raise UserError(f"--{name}: it belongs to {'RUN' if owner == 'run' else '--tracker'}; leave it out")
    if "eval_datasets" not in given:
        raise UserError("--eval_datasets: name what to assess on")
    given.setdefault("eval_samplers", [DEFAULTS["eval_samplers"]])
    if "tracker" in given:
        return _assess_tracker(given)
    return _assess_checkpoints(given)


def _assess_tracker(given: dict[str, Any]) -> int:
    """An ordinary run without steps: see ``pipeline/external.py``."""
    from seqtrack.pipeline.external import PREFIX
    from seqtrack.pipeline.request import resolve

    name = given.pop("tracker")
    module, _, class_name = name.partition(":")
    if module.endswith(".py"):
        meant = ".".join(Path(module).with_suffix("").parts)
        raise UserError(f"--tracker: {name!r}: expected module:Class; did you mean {meant}:{class_name or 'Class'}?")
    if not (module and class_name):
        raise UserError(f"--tracker: {name!r}: expected module:Class")
    # Here, so that what is wrong with it is said of the flag that was typed.
    params = configuration.read_value("tracker_params", given.pop("tracker_params", {}))
    values = {"model": PREFIX + name, "num_steps": 0, "model_params": params}
    request = resolve(configuration.build({**configuration.machine_values(), **given, **values}))
    return train.carry_out(request)


def _assess_checkpoints(given: dict[str, Any]) -> int:
    from seqtrack.pipeline import loaded_tracker, reassess
    from seqtrack.runs import lookup
    from seqtrack.runs.paths import TrialFolder

    seeds, step = given.pop("seed", None), given.pop("step", None)
    cache = Path(configuration.read_value("cache_dir", given.pop("cache_dir", "cache")))
    if "checkpoint" in given:
        folder, run = loaded_tracker.find_checkpoint(given.pop("checkpoint"))
        trial = TrialFolder(folder.path.parents[1])
        steps = {found.path: number for number, found in trial.checkpoints().items()}
        chosen = [reassess.Chosen(trial.seed, steps[folder.path])]
    else:
        run = lookup.locate(cache, given.pop("run"))
        chosen = reassess.selected(run, seeds) if step is None else reassess.at_step(run, seeds, step)
    request = reassess.request_for(run, given)
    try:
        summary = reassess.assess(request, chosen, lambda line: print(line, flush=True), _watch)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with the sequences that are left", file=sys.stderr)
        return cli.EXIT_INTERRUPTED
    train.print_summary(summary)
    print(f"as a page: seqtrack report {os.path.relpath(run.path)}")
    print(f"results: {run.path}")
    return 0


def _watch(title: str) -> contextlib.AbstractContextManager[Callable[[int, int], object]]:
    """A bar on a terminal; elsewhere a line at once, and one now and then."""
    if not sys.stderr.isatty():
        print(title, file=sys.stderr, flush=True)
    return cli.progress_bar(title)


if __name__ == "__main__":
    sys.exit(cli.run(main))
