"""Makes a smaller version of a data set once, as one tar that training reads or stages."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.tools.cli import EXIT_FAILURE, Parser, progress_bar, run
from seqtrack.tools.places import places_of

_EPILOG = """\
versions:
  crop_S             S x S pixels around each target, SiamFC's exemplar square being 127 of them; for training only
  resize_force_WxH   whole frames of exactly W x H pixels
  resize_fit_WxH     whole frames that fit inside W x H, aspect kept, never enlarged

The tar is {out}/{preproc}/{name}.tar. Train from it with --tar_dir=OUT --preproc=VERSION. Boxes stay those of the
original images, exactly; annotations travel inside. Stopped, however, the same command goes on where it was.
Frames that do not decode are listed at the end, and nothing is published unless --skip_unreadable leaves them out.

examples:
  python -m seqtrack.tools.preprocess --dataset got10k_train --source /data/GOT-10k --preproc crop_446 \\
      --out /data/tars
  python -m seqtrack.tools.preprocess --dataset otb_50 --tar_dir /data/tars --preproc resize_fit_640x640 \\
      --out /data/tars
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.preprocess", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help="a published name, or LAYOUT:NAME")
    add(
        "--source", type=Path, help="the publisher's folder, or a tar of it (default: as training finds the original)"
    )
    add("--data_dir", help="where to look without --source: folder of original/{dataset}/")
    add("--tar_dir", help="where to look without --source: folder of original/{dataset}.tar")
    add("--data_paths", nargs="+", metavar="NAME=DIR", help="data sets that lie elsewhere")
    add("--data_cache_dir", help="folder of data-set indexes (default: dataset_cache)")
    add("--preproc", required=True, dest="version", metavar="VERSION", help="crop_446, resize_force_360x360, …")
    add("--out", required=True, type=Path, help="folder of {preproc}/{name}.tar")
    add("--every", type=int, default=1, metavar="N", help="keep every N-th labelled frame of a track (default: 1)")
    add("--jpeg_quality", type=int, default=95, metavar="Q", help="1 to 100 (default: 95); chroma is 4:2:0")
    add("--num_workers", type=int, metavar="N", help="processes (default: one per core; 0: none beside this one)")
    add("--skip_unreadable", action="store_true", help="leave frames out that do not decode")
    add("--overwrite", action="store_true", help="replace a tar that is there already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.datasets import open_dataset
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.preprocessing.picture_maker import Recipe
    from seqtrack.data.preprocessing.preprocess import preprocess
    from seqtrack.data.processes import usable_cores

    recipe = Recipe(args.version, args.every, args.jpeg_quality)
    if args.num_workers is not None and args.num_workers < 0:
        raise UserError(f"--num_workers: expected 0 or more, got {args.num_workers}")
    name = parse_dataset_name(args.dataset)
    locations = places_of(args)
    if args.source is not None:
        if not args.source.expanduser().exists():
            raise UserError(f"--source: {args.source} is not there; expected the data set's folder or tar")
        locations = dataclasses.replace(locations, data_paths={name.folder: args.source})
    dataset = open_dataset(name, locations, _say)
    destination = args.out.expanduser() / args.version / f"{name.folder}.tar"
    workers = usable_cores() if args.num_workers is None else args.num_workers
    with progress_bar(f"{name.folder} → {args.version}") as on_progress:
        outcome = preprocess(
            dataset, recipe, destination, workers, args.skip_unreadable, args.overwrite, on_progress, _say
        )
    for line in outcome.unreadable:
        _say(line)
    if outcome.manifest is None:
        _say(
            f"error: {len(outcome.unreadable)} frames cannot be read, so nothing is published: restore them, or give"
            " --skip_unreadable to leave them out; the same command goes on from here"
        )
        return EXIT_FAILURE
    made, size = outcome.manifest, outcome.path.stat().st_size / 1e6
    left_out = f", {len(made.unreadable)} frames left out as unreadable" if made.unreadable else ""
    done = "done before: " if outcome.was_there else ""
    print(f"{done}{outcome.path}: {made.videos} videos, {made.pictures} pictures{left_out}, {size:.1f} MB")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run(main))
