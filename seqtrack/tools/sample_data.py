"""Generates a small data set of videos, packed as tars, to try everything on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.tools.cli import Parser, run

if TYPE_CHECKING:
    from seqtrack.data.synthetic import Part

_EPILOG = """\
Writes DIR/tars/original/sample_train.tar and DIR/tars/original/sample_eval.tar (OTB layout), byte for byte the
same on every call with the same flags.

example:
  python -m seqtrack.tools.sample_data --out sample
  python -m seqtrack.tools.train --train_dataset otb:sample_train --eval_datasets otb:sample_eval \\
      --tar_dir sample/tars --num_steps=300 --period_ckpt=100
"""

NAMES: dict[Part, str] = {"train": "sample_train", "eval": "sample_eval"}


def build_parser() -> Parser:
    parser = Parser(prog="python -m seqtrack.tools.sample_data", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to; made if absent")
    parser.add_argument("--num_train", type=int, default=12, metavar="N", help="training videos (default 12)")
    parser.add_argument("--num_eval", type=int, default=6, metavar="N", help="evaluation videos (default 6)")
    parser.add_argument("--num_frames", type=int, default=60, metavar="N", help="frames in each (default 60)")
    parser.add_argument("--size", default="320x240", metavar="WxH", help="size of the frames (default 320x240)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other videos (default 0)")
    return parser


def parse_size(text: str) -> tuple[int, int]:
    width, times, height = text.partition("x")
    if not (times and width.isdecimal() and height.isdecimal() and 96 <= min(int(width), int(height)) <= 4096):
        raise UserError(f"--size: expected WIDTHxHEIGHT, each from 96 to 4096, such as 320x240, not {text!r}")
    return int(width), int(height)


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    size = parse_size(args.size)
    for flag, least in (("num_train", 1), ("num_eval", 1), ("num_frames", 2), ("seed", 0)):
        if getattr(args, flag) < least:
            raise UserError(f"--{flag}: expected a whole number, at least {least}, not {getattr(args, flag)}")
    counts: dict[Part, int] = {"train": args.num_train, "eval": args.num_eval}
    for path in write_sample(Path(args.out), counts, args.num_frames, size, args.seed):
        print(path)
    return 0


def write_sample(out: Path, counts: dict[Part, int], num_frames: int, size: tuple[int, int], seed: int) -> list[Path]:
    """Writes both tars; returns their paths. A tar appears whole or not at all."""
    import cv2
    from rich.console import Console
    from rich.progress import track

    from seqtrack.data.synthetic import make_video

    cv2.setNumThreads(1)
    console = Console(stderr=True)
    paths = []
    for part, count in counts.items():
        path = out / "tars" / "original" / f"{NAMES[part]}.tar"
        numbers: Iterable[int] = track(
            range(count), f"{NAMES[part]}: {count} videos", console=console, disable=not console.is_terminal
        )
        videos = (make_video(part, number, num_frames, size, seed) for number in numbers)
        files = (file for video in videos for file in video.files())
        write_tar(path, NAMES[part], files)
        paths.append(path)
    return paths


def write_tar(path: Path, folder: str, files: Iterable[tuple[str, bytes]]) -> None:
    """An uncompressed tar of `folder` with these files, in which nothing says when and by whom it was made."""
    import io
    import tarfile

    from seqtrack.runs.atomic import replacing

    try:
        with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in files:
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size, member.mode = len(data), 0o644
                tar.addfile(member, io.BytesIO(data))
    except OSError as error:
        raise UserError(f"--out: cannot write {path} ({error.strerror or error}); give another folder") from error


if __name__ == "__main__":
    sys.exit(run(main))
