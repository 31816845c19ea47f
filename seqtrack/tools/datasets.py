"""Lists the data sets of the field, and a person's own: what is here of each, and where to get it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from seqtrack.tools import places
from seqtrack.tools.cli import Parser, run

if TYPE_CHECKING:
    from seqtrack.data.catalogue import Entry
    from seqtrack.data.formats import DatasetName
    from seqtrack.data.locations import Locations

_EPILOG = f"""\
What a data set holds is known once it has an index (seqtrack index build NAME). A layout of your own, installed as a
package, is listed as LAYOUT:FOLDER (docs/datasets.md). {places.EPILOG}

examples:
  python -m seqtrack.tools.datasets --data_dir /data --tar_dir /slow/tars
  python -m seqtrack.tools.datasets lasot_train --data_paths lasot_train=/data/LaSOT
  python -m seqtrack.tools.datasets --json
"""
_COUNTED = ("videos", "tracks", "boxes")
_NONE = "–"
_FIXED = "\N{NO-BREAK SPACE}"
_WIDTH = 80  # of a line, where no address is longer


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.datasets", description=__doc__, epilog=_EPILOG)
    parser.add_argument("name", nargs="?", help="one of them, or LAYOUT:FOLDER, in detail")
    parser.add_argument("--json", action="store_true", help="for other programs")
    places.add_places(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.catalogue import catalogue, entry_of, one_level_off
    from seqtrack.data.formats import parse_dataset_name

    locations = places.places_of(args)
    name = parse_dataset_name(args.name) if args.name else None
    entries = catalogue(locations) if name is None else [entry_of(name, locations)]
    for line in one_level_off(locations):
        print(line, file=sys.stderr)
    if args.json:
        print(json.dumps([_plain(entry) for entry in entries], indent=1, ensure_ascii=False))
    elif name is not None:
        print("\n".join(_details(name, entries[0], locations)))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(_table(entries, width)))
    return 0


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "layout": entry.published.layout,
        "part": entry.published.part,
        "found": [{"preproc": s.preproc, "kind": s.kind, "path": str(s.path)} for s in entry.found],
        **(
            entry.totals._asdict()
            if entry.totals
            else dict.fromkeys(("videos", "tracks", "frames", "boxes", "absent"))
        ),
        "home": entry.published.home,
        "licence": entry.published.licence,
    }


def _table(entries: Sequence[Entry], width: int | None) -> Iterable[str]:
    """Lines: what is here, people's own first, then where to get what is not.

    ``width``: of a terminal; None for programs, to which each data set is one line.
    """
    from seqtrack.data.formats.published import PUBLISHED

    here = sorted((entry for entry in entries if entry.found), key=lambda entry: entry.name in PUBLISHED)
    missing = [entry for entry in entries if not entry.found]
    if here:
        yield from _here(here, width)
    else:
        yield "here      nothing; --data_dir, --tar_dir and --data_paths say where to look"
    if missing:
        column = max(len(entry.name) for entry in missing)
        yield ""
        yield f"{'not here':<{column}}  where to get it"
        for entry in missing:
            home = entry.published.home or "not where --data_paths says"
            yield f"{entry.name.ljust(min(column, _WIDTH - 2 - len(home)))}  {home}"


def _here(entries: Sequence[Entry], width: int | None) -> Iterable[str]:
    rows = [["here", *_COUNTED]]
    for entry in entries:
        totals = entry.totals._asdict() if entry.totals else {}
        rows.append([entry.name, *(f"{totals[what]:,}" if totals else _NONE for what in _COUNTED)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    versions = [", ".join(f"{source.preproc} ({source.kind})" for source in entry.found) for entry in entries]
    for (name, *counts), last in zip(rows, ["versions", *versions], strict=True):
        begin = "  ".join([f"{name:<{widths[0]}}", *(f"{n:>{w}}" for n, w in zip(counts, widths[1:], strict=True))])
        room = max(width - len(begin) - 2, 20) if width else sys.maxsize
        # Lines break between versions only, not within "original (dir)".
        first, *others = textwrap.wrap(
            last.replace(" (", f"{_FIXED}("), room, break_long_words=False, break_on_hyphens=False
        )
        for line in (f"{begin}  {first}", *(" " * (len(begin) + 2) + other for other in others)):
            yield line.replace(_FIXED, " ")
    if any(entry.totals is None for entry in entries):
        yield f"{_NONE}: not counted yet; seqtrack index build NAME does it"
    if any(entry.name.startswith("?:") for entry in entries):
        yield "?: in a layout that you know; say LAYOUT:FOLDER once, as to seqtrack index build"


def _details(name: DatasetName, entry: Entry, locations: Locations) -> Iterable[str]:
    from seqtrack.data.formats import find_layout
    from seqtrack.data.indexing.index import CachedIndex
    from seqtrack.data.locations import locate
    from seqtrack.errors import UserError

    published, index = entry.published, CachedIndex(name, locations.cache_dir).newest()
    yield f"{entry.name}: layout {published.layout}{published.part and f', part {published.part}'}"
    yield f"  expected   {find_layout(name.layout).EXPECTED}"
    for source in entry.found:
        yield f"  here       {source.preproc}: {source.path} ({source.kind})"
    try:
        locate(name, locations)
    except UserError as error:
        yield f"  not here   {locations.preproc}: {error}"
    if entry.totals and index:
        counts = ", ".join(f"{count:,} {what}" for what, count in entry.totals._asdict().items())
        yield f"  index      {index.path}: {counts}"
    else:
        yield f"  index      none in {locations.cache_dir}; seqtrack index build {entry.name} makes it"
    if published.home:
        yield f"  get it     {published.home}"
        yield f"  licence    {published.licence or 'none stated that we know of; ask its publisher'}"


if __name__ == "__main__":
    sys.exit(run(main))
