"""Trains and assesses a tracker with several seeds and prints mean ± std."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from seqtrack import config as configuration
from seqtrack import yaml_files
from seqtrack.config import FIELDS, SECTIONS
from seqtrack.errors import SeqtrackError, UserError
from seqtrack.schema import nearest
from seqtrack.tools import cli

DESCRIPTION = """Train a visual object tracker with several seeds, assess it, print mean ± std over the seeds.

The same command again is the only recovery there is: finished work is reused, running work is followed, failed
work is done again from its last checkpoint, and a raised --num_trials adds trials."""

EPILOG = """examples:
  # two seeds on data packed by seqtrack.tools.sample_data, unpacked to /tmp/seqtrack first
  python -m seqtrack.tools.train --num_trials=2 --train_dataset otb:sample_train --eval_datasets otb:sample_eval \\
      --tar_dir demo_data/tars --untar --tmp_data_dir /tmp/seqtrack --num_steps=400 --batchsz=8

  # frames that lie in folders already: no tars, no staging
  python -m seqtrack.tools.train --data_dir /data --train_dataset otb:my_videos --eval_datasets otb_50 vot2018

  # five seeds on a cluster: two arrays, training and assessment, and a job that summarises; Ctrl-C leaves them to it
  python -m seqtrack.tools.train --num_trials=5 --slurm --slurm_flags partition=devel time=1:00:00 gres=gpu:1 …

  # what would happen, and the complete configuration
  python -m seqtrack.tools.train … --dry_run
  python -m seqtrack.tools.train … --print_config

Results are kept in cache/<run id>/. Machine-specific paths (--data_dir, --tar_dir, --data_paths, --tmp_data_dir)
may be set once in ./seqtrack.local.yaml or ~/.config/seqtrack.yaml. --no-FLAG takes a flag back that a file set.
--print_config shows every parameter inside the JSON ones, with its default. The guide is docs/guide.md."""

OWN_FLAGS = ("config", "dry_run", "print_config", "help")
TITLES = {
    "train": "what is learned (part of the run id)",
    "assess": "what is measured",
    "execution": "where and how it runs (changes no result)",
}


def build_parser(prog: str | None = None) -> cli.Parser:
    """One flag per field of the three configuration classes."""
    parser = cli.Parser(
        prog=prog or "python -m seqtrack.tools.train",
        usage="%(prog)s [FLAG …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of flags; flags given here override it")
    parser.add_argument("--dry_run", action="store_true", help="say what would run, and stop")
    parser.add_argument("--print_config", action="store_true", help="print the complete configuration, and stop")
    for key, section in SECTIONS.items():
        add_flags(parser.add_argument_group(TITLES[key]), section)
    return parser


def add_flags(
    group: Any,
    section: type[Any],
    only: Sequence[str] | None = None,
    without: Sequence[str] = (),
    defaults: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """One flag per field of a configuration class; of all its fields, or of these. ``defaults``: what the help names
    where it is not the class's own."""
    for field in dataclasses.fields(section):
        if (only is None or field.name in only) and field.name not in without:
            _add_flag(group, field, defaults.get(field.name, default_text(field)))


def _add_flag(group: Any, field: dataclasses.Field[Any], default: str) -> None:
    metadata = field.metadata
    kind = metadata["kind"].rstrip("?")
    text = metadata["help"].replace("%", "%%") + (f" [{default}]" if default else "")
    if kind == "flag":
        group.add_argument(f"--{field.name}", action=argparse.BooleanOptionalAction, help=text)
        return
    metavar = "|".join(metadata["bounds"].choices) or {
        "json": "JSON", "dataset": "NAME|JSON", "pairs": "NAME=DIR", "path": "PATH", "int": "N", "float": "X",
    }.get(kind, "NAME")  # fmt: skip
    nargs = "+" if kind in ("texts", "words", "pairs") else None
    group.add_argument(f"--{field.name}", nargs=nargs, metavar=metavar, help=text)


def default_text(field: dataclasses.Field[Any]) -> str:
    """A default as it would be typed; empty where unset."""
    if field.default_factory is not dataclasses.MISSING:
        return ""
    value = field.default
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value in (None, "") else str(value)


def read_config(arguments: dict[str, Any]) -> configuration.Config:
    """The configuration from machine files, ``--config`` and flags, later ones winning."""
    values = configuration.machine_values()
    file = arguments.pop("config", None)
    if file is not None:
        from pathlib import Path

        content = yaml_files.read(Path(file))
        for name in content:
            if name not in FIELDS:
                raise UserError(f"{file}: {name}: no such flag; {nearest(name, FIELDS)}")
        values.update(content)
    values.update(arguments)
    return configuration.build(values)


def without_dashes(words: Sequence[str], own: Sequence[str] = OWN_FLAGS) -> list[str]:
    """The same words, with the dashes taken from sbatch's own options (``--slurm_flags --partition=gpu``).

    A word there that is a flag of ours, as ``--name`` is, stays one.
    """
    found, inside = [], False
    for word in words:
        name = word.partition("=")[0].lstrip("-").replace("-", "_")
        if word.startswith("--") and (name in FIELDS or name.removeprefix("no_") in FIELDS or name in own):
            inside = name.startswith("slurm_") and name.endswith("flags")
        elif inside and word.startswith("--"):
            word = word.removeprefix("--")
        found.append(word)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = vars(build_parser().parse_args(without_dashes(words)))
    dry_run, print_config = arguments.pop("dry_run", False), arguments.pop("print_config", False)
    config = read_config(arguments)

    from seqtrack.pipeline.request import resolve

    request = resolve(config)
    if print_config:
        _print_config(request)
        return 0
    from seqtrack.cluster import driver
    from seqtrack.cluster.work import Work

    driver.check(request.execution)
    if dry_run:
        if not request.execution.accept_changes:  # accepting is written down, and this writes nothing
            driver.check_changes(Work.of(request))
        print("\n".join(driver.describe(request)))
        return 0
    if request.execution.detach and not request.execution.slurm:
        print(driver.leave_in_background(Work.of(request), "seqtrack.tools.train", words))
        return 0
    return carry_out(request)


def carry_out(request: Any) -> int:
    """Runs what is missing of a request, prints its table, and returns the exit code."""
    from seqtrack.cluster import driver
    from seqtrack.runs import lookup

    name = request.execution.name
    if name and (others := lookup.namesakes(request.run, name)):
        same = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        mine = request.run_id
        print(f"note: {name} is also a name of run {same}: tell them apart by id (this is {mine})", flush=True)
    try:
        summary, outcome = driver.run(request, lambda line: print(line, flush=True))
    except driver.Detached as farewell:
        if request.execution.detach:
            print(farewell)
            return 0
        print(farewell, file=sys.stderr)
        return cli.EXIT_INTERRUPTED
    _print_outcome(request, summary, outcome)
    if not outcome.failures:
        return 0
    return cli.EXIT_MISTAKE if outcome.mistakes == outcome.failures.keys() else cli.EXIT_FAILURE


def _print_config(request: Any) -> None:
    import yaml

    values = {"run_id": request.run_id}
    for section in (request.train, request.assess, request.execution):
        values.update(configuration.to_dict(section))
    # The run id is a comment, so that the output is a file for --config.
    print(f"# run {values.pop('run_id')}")
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), end="")


def _print_outcome(request: Any, summary: Any, outcome: Any) -> None:
    mistakes: dict[str, list[int]] = {}
    for trial in sorted(outcome.mistakes):
        mistakes.setdefault(outcome.failures[trial], []).append(trial.seed)
    for text, seeds in mistakes.items():
        print(f"error: {text} (seed {', '.join(map(str, seeds))})", file=sys.stderr)
    for trial, lines in sorted(outcome.logs.items()):
        print(f"seed {trial.seed} failed: {outcome.failures[trial]}", file=sys.stderr)
        for line in lines:
            print(f"  | {line}", file=sys.stderr)
    # Why they failed stands above.
    told = {trial.seed for trial in outcome.failures}
    summary = _and_what_was_assessed_later(request, summary)
    trials = [trial | {"error": None} if trial["seed"] in told else trial for trial in summary["trials"]]
    print_summary({**summary, "trials": trials})
    if summary["completed"]:
        print(f"as a page: seqtrack report {os.path.relpath(request.run.path)}")
    print(f"results: {request.run.path}")


def _and_what_was_assessed_later(request: Any, summary: Any) -> Any:
    from seqtrack.reporting.frames import RunFrames
    from seqtrack.reporting.later import named_later, with_later

    if not summary["completed"]:
        return summary
    try:
        run = RunFrames(request.run)
        (later,) = named_later([run])
        return with_later(run, later)
    except SeqtrackError as error:  # what else lies there and is damaged is no failure of this command
        return {**summary, "notes": [*summary["notes"], f"what was assessed later is not shown: {error}"]}


def print_summary(summary: Any) -> None:
    """The table of a ``summary.json``."""
    from rich.console import Console

    from seqtrack.reporting import tables

    if sys.stdout.isatty():
        tables.print_table(summary, Console())
    else:
        print(tables.to_text(summary), end="")


if __name__ == "__main__":
    sys.exit(cli.run(main))
