"""Lists the data sets of the field, and a person's own: what is here of each, and where to get it."""

from __future__ import annotations

import json
import sys
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
_HEADER = ("name", "layout", "here", "videos", "tracks", "boxes", "where to get it", "licence")
_NONE = "–"


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.datasets", description=__doc__, epilog=_EPILOG)
    parser.add_argument("name", nargs="?", help="one of them, or LAYOUT:FOLDER, in detail")
    parser.add_argument("--json", action="store_true", help="for other programs")
    places.add_places(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.catalogue import catalogue, entry_of
    from seqtrack.data.formats import parse_dataset_name

    locations = places.places_of(args)
    name = parse_dataset_name(args.name) if args.name else None
    entries = catalogue(locations) if name is None else [entry_of(name, locations)]
    if args.json:
        print(json.dumps([_plain(entry) for entry in entries], indent=1, ensure_ascii=False))
    elif name is not None:
        print("\n".join(_details(name, entries[0], locations)))
    else:
        _print_table(entries)
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


def _row(entry: Entry) -> list[str]:
    counts = (
        [f"{n:,}" for n in (entry.totals.videos, entry.totals.tracks, entry.totals.boxes)] if entry.totals else []
    )
    return [
        entry.name,
        entry.published.layout,
        ", ".join(f"{source.preproc} ({source.kind})" for source in entry.found) or _NONE,
        *(counts or [_NONE] * 3),
        entry.published.home or _NONE,
        entry.published.licence or _NONE,
    ]


def _print_table(entries: Iterable[Entry]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in _HEADER:
        is_number = title in ("videos", "tracks", "boxes")
        table.add_column(title, justify="right" if is_number else "left", no_wrap=is_number or title == "name")
    for entry in entries:
        table.add_row(*map(escape, _row(entry)))
    # A line per data set where it goes to a program; on a terminal the long columns are folded.
    Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)


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
    yield f"  get it     {published.home or _NONE}"
    yield f"  licence    {published.licence or _NONE}"


if __name__ == "__main__":
    sys.exit(run(main))
