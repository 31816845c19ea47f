"""Says what this machine and its SLURM do, and what that means for a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.tools.cli import EXIT_FAILURE, Parser, run

if TYPE_CHECKING:
    from seqtrack.cluster.doctor import Section

_EPILOG = """\
Each line: ok, note (good to know), warn (costs time or safety) or bad (seqtrack does not work so); what was looked
at; what is there; what it means for you. The exit code is 1 if anything is bad. Nothing is changed or left behind.

SLURM is looked at where sbatch is installed; with --slurm it is bad if no controller answers. A login node cannot
know its compute nodes: --probe submits a tiny job, which is cancelled after a minute.
Paths are also taken from ~/.config/seqtrack.yaml and ./seqtrack.local.yaml, as for training.

examples:
  python -m seqtrack.tools.doctor
  python -m seqtrack.tools.doctor --slurm --cache_dir /shared/me/cache
  python -m seqtrack.tools.doctor --probe --slurm_flags partition=gpu gres=gpu:1
  python -m seqtrack.tools.doctor --json > site.json
"""
_WIDEST = 48  # columns for what was found: what is longer pushes the rest of its line aside
_SIGNS = {"ok": "green", "note": "cyan", "warn": "yellow", "bad": "bold red"}


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.doctor", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("--slurm", action="store_true", help="SLURM is meant to work here")
    add("--cache_dir", type=Path, default=Path("cache"), help="folder of results (default: %(default)s)")
    add("--tmp_data_dir", help="node-local folder to stage to (default: as a run chooses it)")
    add("--probe", action="store_true", help="also submit a tiny job that looks at its node (a minute at most)")
    add("--slurm_flags", nargs="+", metavar="KEY=VALUE", help="for that job, e.g. partition=gpu gres=gpu:1")
    add("--report_to", type=Path, help=argparse.SUPPRESS)  # what that job is told
    add("--json", action="store_true", help="print JSON instead of lines")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.slurm_flags and not args.probe:
        raise UserError("--slurm_flags: they are for the job of --probe; give that too")
    from seqtrack.cluster import doctor, doctor_disks, doctor_probe, doctor_slurm, slurm_flags
    from seqtrack.config import machine_values

    flags = slurm_flags.parse("--slurm_flags", args.slurm_flags or [])
    tmp_data_dir = args.tmp_data_dir or machine_values().get("tmp_data_dir")
    if args.report_to:
        doctor_probe.report(args.report_to, args.cache_dir, tmp_data_dir)
        return 0
    slurm = doctor_slurm.checks(args.slurm or args.probe)
    disks = doctor_disks.checks(args.cache_dir, tmp_data_dir, has_slurm=bool(slurm))
    sections = doctor.examine([*doctor.checks(), *disks, *slurm])
    if args.probe and doctor.is_usable(sections[-1:]):
        sections.append(doctor_probe.probe(flags, args.cache_dir, tmp_data_dir, sections))
    if args.json:
        _print_json(sections)
    else:
        (_print_colours if sys.stdout.isatty() else _print_lines)(sections)
        print(doctor.verdict(sections))
    return 0 if doctor.is_usable(sections) else EXIT_FAILURE


def _print_lines(sections: Sequence[Section]) -> None:
    """Aligned, without colours, a line for each finding, for logs and pipes."""
    findings = [finding for section in sections for finding in section.findings]
    about = max(len(f.about) for f in findings)
    found = min(_WIDEST, max(len(f.found) for f in findings))
    for section in sections:
        print(section.title)
        for f in section.findings:
            print(f"  {f.sign:<4}  {f.about:<{about}}  {f.found:<{found}}  {f.means}")


def _print_colours(sections: Sequence[Section]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    about = max(len(f.about) for section in sections for f in section.findings)
    for section in sections:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=6, no_wrap=True)
        table.add_column(width=about, no_wrap=True)
        # The same in every section, so that the columns are under each other.
        table.add_column(width=max(24, (console.width - about - 10) * 2 // 5))
        table.add_column()
        for f in section.findings:
            table.add_row(Text(f"  {f.sign}", _SIGNS[f.sign]), f.about, Text(f.found, "bold"), Text(f.means))
        console.print(Text(section.title, "bold underline"))
        console.print(table)


def _print_json(sections: Sequence[Section]) -> None:
    import dataclasses
    import json

    print(json.dumps([dataclasses.asdict(section) for section in sections], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(run(main))
