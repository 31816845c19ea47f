"""Lists the experiments and runs below a folder: which code, how far, and what came out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.tools import cli

if TYPE_CHECKING:
    from seqtrack.cluster.overview import Overview, Slurm
    from seqtrack.runs.experiments import Experiment

EPILOG = """examples:
  seqtrack list                                # below this folder
  seqtrack list experiments/
  seqtrack list --json | jq '.[].runs[] | {run_id, done, scores}'

commit: the code that the experiment is pinned to, or that a run was started with; * where it had uncommitted changes.
trials: done / asked for by the newest command; those that are at work now are counted behind.
score: mean ± std over the trials that are done, by the metric that selects checkpoints."""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack list", description=__doc__, epilog=EPILOG)
    parser.add_argument("root", metavar="ROOT", nargs="?", default=".", help="folder to look below [this one]")
    parser.add_argument("--json", action="store_true", help="for scripts: a list of experiments with their runs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    root = Path(arguments.root)
    if not root.is_dir():
        raise UserError(f"ROOT: there is no folder {root}")

    from seqtrack.cluster import overview
    from seqtrack.runs import experiments

    slurm = overview.Slurm()
    found = [_describe(experiment, slurm) for experiment in experiments.below(root)]
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    elif not found:
        print(f"no experiment and no run below {root}; begin one: seqtrack train --help")
    else:
        _print(found, root)
    return 0


def _describe(experiment: Experiment, slurm: Slurm) -> dict[str, Any]:
    from seqtrack.cluster import overview

    return {
        "path": str(experiment.path),
        "commit": experiment.commit,
        "runs": [_describe_run(overview.look(run, slurm)) for run in experiment.runs],
    }


def _describe_run(one: Overview) -> dict[str, Any]:
    from seqtrack.runs import experiments
    from seqtrack.runs.status import AT_WORK

    code = experiments.code_of(one.run)
    return {
        "run_id": one.run.run_id,
        "names": list(one.names),
        "titles": one.titles,
        "path": str(one.run.path),
        "submitted": one.submitted,
        "commit": code.get("head"),
        "changed_files": len(code.get("changed") or ()),
        "num_trials": len(one.trials),
        "done": one.done,
        "at_work": sum(status.state in AT_WORK for status in one.trials),
        "queued": sum(status.state == "queued" for status in one.trials),
        "scores": _scores(one),
        "notes": one.notes,
    }


def _scores(one: Overview) -> list[dict[str, Any]]:
    """One metric per eval set, from the newest table."""
    from seqtrack.reporting.tables import headlines

    try:
        rows = headlines(json.loads(one.run.summary_json.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of another version, or damaged
        return []
    return [
        {"eval_id": row.eval_id, "metric": row.metric, "mean": row.mean, "std": row.std, "n": row.n} for row in rows
    ]


def _print(found: list[dict[str, Any]], root: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("experiment, run", "name", "date", "commit", "trials", "score"):
        table.add_column(name, no_wrap=name not in ("name", "score"))
    for experiment in found:
        path = Path(experiment["path"])
        title = str(path.relative_to(root)) if path != root and path.is_relative_to(root) else str(path)
        table.add_row(Text(title, style="bold"), "", "", (experiment["commit"] or "")[:8], "", "")
        for run in experiment["runs"]:
            commit = (run["commit"] or "")[:8] + ("*" if run["changed_files"] else "")
            date = time.strftime("%Y-%m-%d", time.localtime(run["submitted"])) if run["submitted"] else ""
            busy = f", {run['at_work']} at work" if run["at_work"] else ""
            waiting = f", {run['queued']} queued" if run["queued"] else ""
            trials = f"{run['done']}/{run['num_trials']}{busy}{waiting}"
            scores = "\n".join(f"{s['eval_id']} {s['metric']} {_number(s)}" for s in run["scores"])
            called = Text("".join(run["titles"][:1]))
            table.add_row(f"  {run['run_id']}", called, date, commit, trials, Text(scores))
        if not experiment["runs"]:
            table.add_row("  no run yet", "", "", "", "", "")
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=250, highlight=False)
    console.print(table)
    for run in (run for experiment in found for run in experiment["runs"]):
        for note in run["notes"] if not run["num_trials"] else ():
            print(f"note: {run['run_id']}: {note}")


def _number(score: dict[str, Any]) -> str:
    from seqtrack.assessment.metrics import decimals

    places = decimals(score["metric"])
    if score["mean"] is None:  # tracked, but its truth is on a server
        return "—"
    return f"{score['mean']:.{places}f}" + (f" ± {score['std']:.{places}f}" if score["std"] is not None else "")


if __name__ == "__main__":
    sys.exit(cli.run(main))
