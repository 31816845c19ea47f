"""Writes a data set for other systems: as a TFDS builder, or as a crop-and-pickle set."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.tools import places
from seqtrack.tools.cli import Parser, progress_bar, run

_EPILOG = f"""\
formats:
  tfds   {{out}}/{{name}}/1.0.0/: ArrayRecord shards, a video per example, frames as they are; opens without
         TensorFlow with tfds.data_source("name", data_dir=out), and here as tfds:name (pip install 'seqtrack[tfds]')
  zip    {{out}}/{{name}}_clean.pkl and {{out}}/{{name}}.zip: crops around each target, as PySiamTracking trains
         from; read here as clean:name

The same command again goes on where one was killed. {places.EPILOG}

examples:
  python -m seqtrack.tools.export otb_50 --tar_dir /data/tars --format tfds --out ~/tensorflow_datasets
  python -m seqtrack.tools.export got10k_train --data_dir /data --format zip --crop_size 446 --out /data/pysiam
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.export", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("name", help="a published name, or LAYOUT:FOLDER")
    add("--format", required=True, choices=("tfds", "zip"), help="what to write")
    add("--out", required=True, type=Path, help="folder to write it to")
    add("--split", help="tfds: what the one split is called (default: train)")
    add("--crop_size", type=int, help="zip: side of a picture (default: 446)")
    add("--num_workers", type=int, metavar="N", help="processes (default: one per core; 0: none beside this one)")
    places.add_places(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    for flag, format in (("split", "tfds"), ("crop_size", "zip")):
        if getattr(args, flag) is not None and args.format != format:
            raise UserError(f"--{flag}: belongs to --format {format}; leave it out")
    if args.preproc not in (None, "original"):
        raise UserError("--preproc: what is exported is the original version; leave it out")
    split = "train" if args.split is None else args.split
    crop_size = 446 if args.crop_size is None else args.crop_size
    if not split.isidentifier():
        raise UserError(f"--split: {split!r}: expected a plain word such as train")
    from seqtrack.data.datasets import open_dataset
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.preprocessing.versions import LARGEST, SMALLEST
    from seqtrack.data.processes import usable_cores

    if not SMALLEST <= crop_size <= LARGEST:
        raise UserError(f"--crop_size: expected from {SMALLEST} to {LARGEST} pixels, got {crop_size}")
    if args.num_workers is not None and args.num_workers < 0:
        raise UserError(f"--num_workers: expected 0 or more, got {args.num_workers}")
    workers = usable_cores() if args.num_workers is None else args.num_workers

    out = args.out.expanduser()
    name = parse_dataset_name(args.name)
    dataset = open_dataset(name, places.places_of(args), lambda text: print(text, file=sys.stderr))
    try:
        with progress_bar(f"exporting {name}") as on_progress:
            if args.format == "tfds":
                from seqtrack.data.exchange.export_tfds import export_tfds

                written = [export_tfds(dataset, out, split, workers, on_progress)]
                called = f"tfds:{written[0].parent.name} with --data_dir {out}"
            else:
                from seqtrack.data.exchange.export_crops import export_crops

                written = [*export_crops(dataset, out, crop_size, workers, on_progress)]
                called = f"clean:{name.folder} with --data_dir {out}"
    finally:
        dataset.close()
    for path in written:
        print(path)
    print(f"read here as {called}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
