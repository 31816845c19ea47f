"""Packs a data set as its publisher lays it out into one tar (or zip, or ArrayRecord folder)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.tools.cli import Parser, progress_bar, run

_EPILOG = """\
The tar is {tar_dir}/{preproc}/{name}.tar, uncompressed, with one top folder {name}/. It appears whole or not
at all, and the same files give the same bytes. Annotations are checked first. Training finds it with
--tar_dir=TAR_DIR under the same name. (seqtrack preprocess makes smaller versions, and packs them itself.)
With --format zip it is {name}.zip; with array_record a folder {name}.array_record/ that TFDS opens too. A tar of any
version is packed again in another format when it is the --source.

examples:
  python -m seqtrack.tools.pack --dataset otb_100 --source ~/OTB100 --tar_dir /data/tars
  python -m seqtrack.tools.pack --dataset got10k_train --source ~/GOT-10k --tar_dir /data/tars
  python -m seqtrack.tools.pack --dataset otb:real_train --source ~/OTB100 --sequences Crossing Couple David Skiing \\
      --tar_dir /data/tars
  python -m seqtrack.tools.pack --dataset otb_100 --source /data/tars/crop_255/otb_100.tar --format zip \\
      --preproc crop_255 --tar_dir /data/tars
  python -m seqtrack.tools.pack --layout vot --source ~/vot2018/bag --name bag --tar_dir /data/tars
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.pack", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("--dataset", metavar="NAME", help="a published name (seqtrack datasets lists them), or LAYOUT:NAME")
    add("--layout", help="instead of --dataset, with --name: how the publisher lays it out")
    add(
        "--source",
        required=True,
        type=Path,
        help="folder that holds the sequences, or that of a single one; or a tar",
    )
    add("--sequences", nargs="+", default=[], metavar="SEQ", help="pack only these sequences (default: all)")
    add("--name", help="name of the data set: of the tar and of the folder in it")
    add("--tar_dir", required=True, type=Path, help="folder of {preproc}/{name}.tar")
    add("--format", choices=("tar", "zip", "array_record"), default="tar", help="what to make (default: %(default)s)")
    add("--preproc", default="original", help="version of the data (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace a tar that is there already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.exchange.packing import pack
    from seqtrack.data.formats import parse_dataset_name

    if bool(args.dataset) == bool(args.layout and args.name):
        raise UserError("--dataset: give the data set's name, or --layout and --name")
    name = parse_dataset_name(args.dataset or f"{args.layout}:{args.name}")
    if not args.preproc.replace("_", "").isalnum():
        raise UserError(f"--preproc: {args.preproc!r} is not a folder's name; expected e.g. resize_force_360x360")
    destination = args.tar_dir.expanduser() / args.preproc / f"{name.folder}.{args.format}"
    with progress_bar(f"packing {name.folder}", in_bytes=True) as on_progress:
        packed = pack(name, args.source.expanduser(), destination, args.sequences, args.overwrite, on_progress)
    videos = f"{packed.videos} videos, " if packed.videos else ""
    print(f"{packed.path}: {videos}{packed.files} files, {packed.size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
