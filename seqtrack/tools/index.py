"""Builds, shows and verifies the index of a data set."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seqtrack.tools.cli import Parser, run
from seqtrack.tools.places import places_of

if TYPE_CHECKING:
    from seqtrack.data.locations import Locations

_EPILOG = """\
actions:
  build    make the index if it is missing or its source has changed (training does this by itself)
  show     print what the data set holds, one line per track
  verify   check every byte of the index, that its source has not changed, and that the frames are there
           (of a version that seqtrack preprocess made: every picture's checksum)

Paths are also taken from ~/.config/seqtrack.yaml and ./seqtrack.local.yaml, as for training.

examples:
  python -m seqtrack.tools.index build otb_50 --data_dir ~/data
  python -m seqtrack.tools.index show otb:real_train --tar_dir /data/tars
  python -m seqtrack.tools.index verify vot:bag --data_paths bag=~/vot2018/bag
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.index", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("action", choices=("build", "show", "verify"))
    add("name", help="otb_50, otb_100, otb_cvpr13, vot2018, or LAYOUT:FOLDER")
    add("--data_dir", help="folder of {preproc}/{dataset}/ folders")
    add("--tar_dir", help="folder of {preproc}/{dataset}.tar files")
    add("--data_paths", nargs="+", metavar="NAME=DIR", help="data sets that lie elsewhere")
    add("--data_cache_dir", help="folder of data-set indexes (default: dataset_cache)")
    add("--preproc", help="version of the data (default: original)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.data.datasets import open_index_of, prepare
    from seqtrack.data.formats import parse_dataset_name

    name = parse_dataset_name(args.name)
    locations = places_of(args)
    prepare(name, locations, lambda text: print(text, file=sys.stderr))
    index = open_index_of(name, locations)
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
        _verify(args.name, locations)
    frames = sum(index.video_length(video) for video in range(index.num_videos))
    print(f"{name}: {index.num_videos} videos, {index.num_tracks} tracks, {frames} frames; {index.path}")
    print(f"fingerprint {index.fingerprint}")
    return 0


def _verify(text: str, locations: Locations) -> None:
    from seqtrack.data.datasets import PreprocessedDataset, open_dataset, open_index_of
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.formats.common import image_size
    from seqtrack.data.index import verify_index
    from seqtrack.errors import DataError

    name = parse_dataset_name(text)
    index = verify_index(open_index_of(name, locations).path)
    dataset = open_dataset(name, locations)
    if isinstance(dataset, PreprocessedDataset):
        dataset.verify()
        return
    for video in range(index.num_videos):
        for frame in (0, index.video_length(video) - 1):
            where = dataset.describe_frame(video, frame)
            size = image_size(dataset.read_frame(video, frame), where)
            if locations.preproc == "original" and size != index.video_size(video):
                expected = index.video_size(video)
                raise DataError(
                    f"{where}: {size[0]}x{size[1]}, expected {expected[0]}x{expected[1]} as the first frame"
                )
    dataset.close()


if __name__ == "__main__":
    sys.exit(run(main))
