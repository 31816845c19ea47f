"""A tracker that vot-toolkit can run: speaks the TraX protocol over standard input and output.

The toolkit starts this as a process per sequence or failure, hands it paths of images and a rectangle, and asks for
one in each further frame. Coordinates go through as they are: the toolkit's count from 0, as ours do.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from seqtrack import config as configuration
from seqtrack.errors import SeqtrackError, UserError

if TYPE_CHECKING:
    from seqtrack.tracking.base import Image, Tracker

EPILOG = """examples:
  # what to add to the trackers.ini of a workspace of vot-toolkit
  python -m seqtrack.integrations.vot --checkpoint cache/0123456789ab/seed_0/checkpoints/step_00100000 --print_config

  # then, in the workspace
  vot evaluate --workspace . seqtrack

needs the package vot-trax: pip install "seqtrack[vot]\""""
CHANNEL = "color"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m seqtrack.integrations.vot",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", metavar="DIR", help="<run>/seed_K/checkpoints/step_NNNNNNNN")
    what.add_argument("--tracker", metavar="module:Class", help="a tracker of your own, with init and update")
    parser.add_argument("--tracker_params", metavar="JSON", default="{}", help="parameters of the tracker")
    parser.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, mps [auto]")
    parser.add_argument("--name", metavar="NAME", default="seqtrack", help="as the toolkit calls it [seqtrack]")
    parser.add_argument("--print_config", action="store_true", help="print the stanza for trackers.ini, and stop")
    return parser


def stanza(arguments: argparse.Namespace) -> str:
    """The section of trackers.ini. The toolkit starts trackers in an empty folder, so all paths are absolute."""
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", arguments.name):
        raise UserError(f"--name: {arguments.name!r}: vot-toolkit takes letters, digits, '_' and '-' only")
    words = [sys.executable, "-m", "seqtrack.integrations.vot"]
    if arguments.checkpoint:
        words.append(f"--checkpoint={Path(arguments.checkpoint).absolute()}")
    else:
        words.append(f"--tracker={arguments.tracker}")
    if arguments.tracker_params != "{}":
        words.append(f"--tracker_params={arguments.tracker_params}")
    if arguments.device != "auto":
        words.append(f"--device={arguments.device}")
    package = Path(__file__).resolve().parents[2]
    # The tracker's module is found from where this was called; a package that is not installed is where it is.
    places = [str(Path.cwd())] if arguments.tracker else []
    places += [] if _is_installed(package) else [str(package)]
    lines = [
        f"[{arguments.name}]",
        f"label = {arguments.name}",
        "protocol = trax",
        # The toolkit splits it as a shell would, and configparser takes % for its own.
        "command = " + shlex.join(words).replace("%", "%%"),
        "timeout = 300",
    ]
    if places:
        lines.append("env_PYTHONPATH = " + os.pathsep.join(places).replace("%", "%%"))
    return "\n".join(lines)


def _is_installed(package: Path) -> bool:
    return package.name in ("site-packages", "dist-packages")


def load(arguments: argparse.Namespace) -> Tracker:
    params = configuration.read_value("tracker_params", arguments.tracker_params)
    from seqtrack.pipeline.loaded_tracker import external_tracker, load_tracker

    if arguments.checkpoint:
        return load_tracker(arguments.checkpoint, params, arguments.device)
    return external_tracker(arguments.tracker, params)


def serve(tracker: Tracker, name: str) -> None:
    """Answers the toolkit until it has had enough; what goes wrong is its reason for the end."""
    from trax import TraxStatus
    from trax.image import Image as TraxImage
    from trax.region import Rectangle, Region
    from trax.server import Server

    server = Server([Region.RECTANGLE], [TraxImage.PATH], [CHANNEL], name)
    try:
        while (request := server.wait()).type in (TraxStatus.INITIALIZE, TraxStatus.FRAME):
            image = _read(request.image[CHANNEL].path())
            if request.type == TraxStatus.INITIALIZE:
                answer = tuple(request.objects[0][0].bounds())
                tracker.init(image, np.array(answer, np.float64))
                properties = {}
            else:
                box, score = tracker.update(image)
                answer, properties = tuple(box.tolist()), {"confidence": float(score)}
            server.status([(Rectangle.create(*answer), properties)])
    except SeqtrackError as error:
        server.quit(str(error))
        raise
    server.quit()


def _read(path: str) -> Image:
    from seqtrack.data.imaging import images

    return images.decode(Path(path).read_bytes(), path)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.print_config:
        if arguments.checkpoint:
            from seqtrack.pipeline.loaded_tracker import find_checkpoint

            find_checkpoint(arguments.checkpoint)
        print(stanza(arguments))
        return 0
    try:
        import trax  # noqa: F401
    except ImportError:
        raise UserError('seqtrack.integrations.vot needs the package vot-trax: pip install "seqtrack[vot]"') from None
    serve(load(arguments), arguments.name)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SeqtrackError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(2)
