"""Builds, shows and verifies the index of a data set."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.tools.cli import Parser, progress_bar, run
from seqtrack.tools.places import EPILOG, add_places, places_of

if TYPE_CHECKING:
    from seqtrack.data.formats import DatasetName
    from seqtrack.data.indexing.index import Index
    from seqtrack.data.locations import Locations

_EPILOG = f"""\
actions:
  build    make the index if it is missing or its source has changed (training does this by itself)
  show     print what the data set holds, one line per track, or in all as JSON
  verify   check every byte of the index, that its source has not changed, and that each frame is there and as
           large as it should be; not its pixels
           (of a version that seqtrack preprocess made: every picture's checksum)

{EPILOG}

examples:
  python -m seqtrack.tools.index build lasot_train --source /data/LaSOT
  python -m seqtrack.tools.index build otb_50 --data_dir ~/data
  python -m seqtrack.tools.index show otb:real_train --tar_dir /data/tars
  python -m seqtrack.tools.index verify vot:bag --data_paths bag=~/vot2018/bag
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.index", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("action", choices=("build", "show", "verify"))
    add("name", help="a published name (seqtrack datasets lists them), or LAYOUT:FOLDER")
    add("--source", metavar="DIR", help="the publisher's folder, or a tar of it, wherever it lies")
    add_places(parser)
    add("--num_workers", type=_positive, metavar="N", help="processes that read (default: one per core, at most 16)")
    add("--json", action="store_true", help="with show: counts in all, and by category, for programs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.datasets import open_index_of
    from seqtrack.data.formats import parse_dataset_name

    if args.json and args.action != "show":
        raise UserError(f"--json: goes with show, not {args.action}")
    name = parse_dataset_name(args.name)
    locations = _locations(args, name)
    with progress_bar(f"reading {name}") as on_progress:
        index = open_index_of(name, locations, _say, on_progress, args.num_workers)
    if args.json:
        print(json.dumps(_summary(index), indent=1))
        return 0
    if args.action == "show":
        for track in range(index.num_tracks):
            video, labels = index.track_video(track), index.track(track)
            width, height = index.video_size(video)
            print(
                f"{index.track_name(track)}: {width}x{height}, {index.video_length(video)} frames"
                f" from {index.frame_name(video, 0)}, {len(labels.frames)} labelled,"
                f" {labels.present.sum()} present"
            )
    if args.action == "verify":
        _verify(name, locations)
    frames = sum(index.video_length(video) for video in range(index.num_videos))
    print(f"{name}: {index.num_videos} videos, {index.num_tracks} tracks, {frames} frames; {index.path}")
    print(f"fingerprint {index.fingerprint}")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a number of processes, got {text!r}")
    return int(text)


def _summary(index: Index) -> dict[str, object]:
    """What ``show --json`` prints: labelled rows are boxes where the target is in view, and absent where not."""
    return {
        "name": index.name,
        "layout": index.layout,
        "source": index.source,
        "fingerprint": index.fingerprint,
        "path": str(index.path),
        **index.totals()._asdict(),
        "categories": dict(sorted(Counter(index.track(k).category for k in range(index.num_tracks)).items())),
    }


def _locations(args: argparse.Namespace, name: DatasetName) -> Locations:
    """As other tools have them; ``--source`` is the data set's own folder, whatever the other flags say."""
    if args.source is None:
        return places_of(args)
    if args.data_paths is not None or args.preproc not in (None, "original"):
        raise UserError("--source: is the original version itself; leave --data_paths and --preproc out")
    if not Path(args.source).expanduser().exists():
        raise UserError(f"--source: {args.source} is not there; expected the data set's folder, tar or zip")
    args.data_paths = [f"{name.folder}={args.source}"]
    return places_of(args)


def _verify(name: DatasetName, locations: Locations) -> None:
    """Every byte of the index, and every frame: that it is there, and as large as the index says."""
    from seqtrack.data.datasets import PreprocessedDataset, open_dataset, open_index_of
    from seqtrack.data.formats.common import image_size
    from seqtrack.data.indexing.index import verify_index
    from seqtrack.errors import DataError

    index = verify_index(open_index_of(name, locations).path)
    total, done = index.totals().frames, 0
    bar = progress_bar(f"verifying {name}")
    with contextlib.closing(open_dataset(name, locations)) as dataset, bar as on_progress:
        if isinstance(dataset, PreprocessedDataset):
            dataset.verify()
            print(f"verified: the index, and the checksum of each of {len(dataset.pictures):,} pictures")
            return
        for video in range(index.num_videos):
            expected = index.video_size(video)
            for frame in range(index.video_length(video)):
                where = dataset.describe_frame(video, frame)
                size = image_size(dataset.read_frame(video, frame), where)
                if locations.preproc == "original" and size != expected:
                    raise DataError(f"{where}: {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]}")
                done += 1
            on_progress(done, total)
    print(f"verified: the index, and that {total:,} frames are there, of the right size")


if __name__ == "__main__":
    sys.exit(run(main))
