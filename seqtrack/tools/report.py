"""Writes a report of one run, of several side by side, or of a sweep's best: one HTML file that needs no other."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.tools import cli
from seqtrack.tools.places import EPILOG as PLACES
from seqtrack.tools.places import add_places, given_places
from seqtrack.tools.runs import OR_SWEEP

if TYPE_CHECKING:
    from seqtrack.reporting.frames import RunFrames
    from seqtrack.reporting.report.material import Material
    from seqtrack.runs.paths import SweepFolder

EPILOG = f"""\
The page has tables that sort when a column is clicked, plots with a band of ± std over seeds, scores by attribute and
by sequence, the worst sequences with film strips, training curves, how each trial went, configuration, code, and why
what failed did. It asks no network for anything, and can be printed.

Attributes need the index of the data set, film strips its frames: they are looked for where these flags say, and then
where the run had them. {PLACES}

examples:
  seqtrack report latest
  seqtrack report baseline better --out both.html --title "Does augmentation help?"
  seqtrack report 3f2a --no-frames --worst 20 --table scores.tex
  seqtrack report lr_search --best 6      # of a sweep
"""
PAGES = (".html", ".htm")
WORST = 4  # sequences of each eval set
BEST = 12  # runs of a sweep: more are hard to tell apart on a page


def build_parser() -> cli.Parser:
    parser = cli.Parser(
        prog="seqtrack report",
        usage="%(prog)s [RUN …] [FLAG …]",
        description=__doc__,
        epilog=EPILOG,
    )
    add = parser.add_argument
    text = f"id prefix, --name, run folder, or latest [latest]{OR_SWEEP}"
    add("runs", metavar="RUN", nargs="*", default=["latest"], help=text)
    add("--best", metavar="N", type=int, help=f"of a sweep: so many of its runs, the best first [{BEST}]")
    add("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    add(
        "--out",
        metavar="FILE",
        type=Path,
        help="where the page goes [report.html in the folder of what is named first]",
    )
    add("--title", metavar="TEXT", default="", help="of the page [the names of the runs]")
    add("--worst", metavar="N", type=int, default=WORST, help=f"worst sequences shown of each eval set [{WORST}]")
    add(
        "--frames", action=argparse.BooleanOptionalAction, default=True, help="film strips; --no-frames: a small page"
    )
    add("--eval_set", nargs="+", default=[], metavar="SET", help="only these [every one that a run was assessed on]")
    add("--metric", nargs="+", default=[], metavar="NAME", help="of --table: only these [all]")
    add("--table", metavar="FILE", type=Path, help="the table of a paper as well: FILE.tex, FILE.md or FILE.csv")
    add_places(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.worst < 0:
        raise UserError(f"--worst: expected a number of sequences, got {arguments.worst}")
    if arguments.best is not None and arguments.best < 1:
        raise UserError(f"--best: expected a number of runs, got {arguments.best}")
    import seqtrack
    from seqtrack.reporting.exports import write_table
    from seqtrack.reporting.report.render import render
    from seqtrack.reporting.report.style import MOST_RUNS
    from seqtrack.runs import lookup
    from seqtrack.runs.atomic import ensure_writable_folder, write_bytes
    from seqtrack.runs.paths import SweepFolder

    named = [lookup.run_or_sweep(Path(arguments.cache_dir), text) for text in arguments.runs]
    if arguments.best is not None and not any(isinstance(one, SweepFolder) for one in named):
        raise UserError("--best: it is for sweeps, and there is none; leave it out")
    asked, title = [], arguments.title
    for text, one in zip(arguments.runs, named, strict=True):
        if isinstance(one, SweepFolder):
            paths, what = _best_of(one, arguments.best or BEST)
            asked += [(text, path) for path in paths]
            _say(what)
            title = title or (f"seqtrack report: {what}" if len(named) == 1 else "")
        else:
            asked.append((text, text))
    runs: list[RunFrames] = []
    for text, path in asked:
        run = seqtrack.load_run(path, arguments.cache_dir)
        if run.run_id in [other.run_id for other in runs]:
            raise UserError(f"RUN: {text} is run {run.run_id}, which is there already")
        runs.append(run)
    if len(runs) > MOST_RUNS:
        raise UserError(f"RUN: {len(runs)} runs are more than {MOST_RUNS}, which colours and dashes tell apart")
    out = (arguments.out or named[0].report).expanduser()
    if out.exists() and not out.is_file():
        what = "a folder" if out.is_dir() else "no regular file"
        raise UserError(f"--out: {out} is {what}; give the name of a file")
    if out.suffix.lower() not in PAGES:
        raise UserError(f"--out: {out}: expected a name that ends in {' or '.join(PAGES)}")
    _check_sets(runs, arguments.eval_set)
    if arguments.metric and arguments.table is None:
        raise UserError("--metric: it belongs to --table; leave it out")
    ensure_writable_folder(out.parent, "out")
    if arguments.table is not None:
        with _writing(arguments.table, "--table"):
            write_table(runs, arguments.table.expanduser(), arguments.metric, arguments.eval_set)
    with cli.progress_bar("report") as progress, _material(runs, arguments) as material:
        page = render(runs, material, title, arguments.worst, progress, arguments.eval_set)
    with _writing(out, "--out"):
        # Names of files may hold bytes that are no text.
        write_bytes(out, page.encode("utf-8", "replace"))
    print(*filter(None, (out, arguments.table)), sep="\n")
    return 0


def _best_of(sweep: SweepFolder, count: int) -> tuple[list[Path], str]:
    """Folders of the runs that have a score, the best first, and which these are, in words."""
    from seqtrack.cluster.sweep_overview import newest_table

    found = newest_table(sweep)
    there = list(dict.fromkeys(row["run_id"] for row in found["rows"]))
    scored = list(dict.fromkeys(row["run_id"] for row in found["rows"] if row["mean"] is not None))
    if not scored:
        raise UserError(f"RUN: no run of sweep {sweep.name} has a score yet; seqtrack status {sweep.name} shows them")
    shown = scored[:count]
    which = "all" if len(shown) == len(there) else f"the best {len(shown)} of {len(there)}"
    by = f"by {found['metric']} ({found['eval_id']})"
    return [sweep.run(run_id).path for run_id in shown], f"sweep {sweep.name}, {which} runs {by}"


def _check_sets(runs: Sequence[Any], wanted: Sequence[str]) -> None:
    from seqtrack.reporting.report.subject import Subject
    from seqtrack.reporting.run_comparison import meant
    from seqtrack.schema import nearest

    everything = Subject(tuple(runs))
    there = {name: everything.eval_id(k, name) for k in range(len(runs)) for name in everything.results(k)}
    for name in wanted:
        if not meant(name, {*there, *there.values()}):
            raise UserError(f"--eval_set: {name!r}: {nearest(name, there)}")


@contextlib.contextmanager
def _material(runs: Sequence[Any], arguments: Any) -> Iterator[dict[str, Material | str]]:
    """What is at hand of each eval set, of the first run that has it."""
    from seqtrack.reporting.report import material
    from seqtrack.reporting.report.subject import Subject

    given = given_places(arguments)
    subject = Subject(tuple(runs), tuple(arguments.eval_set))
    found: dict[str, Material | str] = {}
    try:
        for k, run in enumerate(runs):
            for eval_id in {name: subject.eval_id(k, name) for name in subject.results(k)}.values():
                if eval_id not in found:
                    found[eval_id] = material.find(run, eval_id, given, arguments.frames, _say)
        names = {name: subject.eval_id(k, name) for k in range(len(runs)) for name in subject.results(k)}
        yield {name: found[eval_id] for name, eval_id in names.items()}
    finally:
        for one in found.values():
            if not isinstance(one, str) and one.dataset is not None:
                one.dataset.close()


@contextlib.contextmanager
def _writing(path: Path, flag: str) -> Iterator[None]:
    """Turns what the operating system says of a file into a UserError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{flag}: cannot write {path} ({why}); make room, or give another file") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(cli.run(main))
