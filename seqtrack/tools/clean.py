"""Removes what no table needs: shows first what that is and how large, and does it with --yes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.tools import cli

if TYPE_CHECKING:
    from seqtrack.pipeline.leftovers import Leftover

KINDS = ("checkpoints", "partial", "code", "reproduced", "staged")
EPILOG = """examples:
  seqtrack clean                               # what would go, of cache/ and of this machine's staged copies
  seqtrack clean --yes
  seqtrack clean --only checkpoints --yes

kinds:
  checkpoints  of trials that are complete: all but the selected and the last one, and those that a run of this folder
               began from (--init_from). What was assessed stays; a later --optimize_metric still chooses among all, a
               later --optimize_dataset or --assess_all no longer can
  partial      sequences of assessments that were begun with other code, data or flags, of trials that are complete
  code         cache/code/<tree>/, checked out for jobs; git has it, and it is checked out again when needed
  reproduced   what seqtrack reproduce made
  staged       copies of tars on this machine (--tmp_data_dir, shared memory) that nobody uses at this moment

What something works on, or SLURM may have a job for, is left alone, and looked for again right before each thing
goes. Snapshots in git stay: they cost nothing where nothing had changed; git for-each-ref refs/seqtrack has them."""


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack clean", description=__doc__, epilog=EPILOG)
    parser.add_argument("--cache_dir", metavar="PATH", default="cache", help="folder of results [cache]")
    parser.add_argument(
        "--tmp_data_dir", metavar="PATH", help="node-local folder of staged copies [as train finds it]"
    )
    parser.add_argument("--only", nargs="+", metavar="KIND", choices=KINDS, help=f"of {', '.join(KINDS)} [all]")
    parser.add_argument("--yes", action="store_true", help="remove it")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    cache_dir = Path(arguments.cache_dir)
    if not cache_dir.is_dir():
        raise UserError(f"--cache_dir: there is no folder {cache_dir}")

    from seqtrack.cluster.overview import Slurm
    from seqtrack.pipeline import leftovers

    places = cache_dir, arguments.tmp_data_dir, Slurm()
    everything, kept = leftovers.find(*places)
    found = [one for one in everything if arguments.only is None or one.kind in arguments.only]
    sizes = {one.path: one.size() for one in found}
    _print(found, sizes)
    for reason in kept:
        print(f"left alone: {reason}")
    if not found:
        print("nothing to remove")
        return 0
    if not arguments.yes:
        print(f"{_bytes(sum(sizes.values()))} in all; nothing was removed: give --yes to do it")
        return 0
    freed, in_use = 0, []
    with cli.progress_bar("removing") as show:
        for number, (one, is_gone) in enumerate(leftovers.remove(found, *places)):
            if is_gone:
                freed += sizes[one.path]
            else:
                in_use.append(one)
            show(number + 1, len(found))
    for one in in_use:
        print(f"left alone: {one.path} is in use, or may not be removed")
    print(f"removed {_bytes(freed)}")
    return 0


def _print(found: list[Leftover], sizes: dict[Path, int]) -> None:
    from seqtrack.pipeline.leftovers import KINDS as TEXTS

    for kind, text in TEXTS.items():
        some = [one for one in found if one.kind == kind]
        if not some:
            continue
        print(f"{kind}: {len(some)}, {_bytes(sum(sizes[one.path] for one in some))} ({text})")
        owners: dict[str, list[Leftover]] = {}
        for one in some:
            owners.setdefault(one.of or str(one.path), []).append(one)
        for owner, theirs in owners.items():
            names = ", ".join(one.path.name for one in theirs[:4]) + (", …" if len(theirs) > 4 else "")
            print(f"  {owner}: {names}, {_bytes(sum(sizes[one.path] for one in theirs))}")


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


if __name__ == "__main__":
    sys.exit(cli.run(main))
