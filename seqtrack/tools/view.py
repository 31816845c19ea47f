"""Shows a data set, and the pairs that training sees: contact sheets as PNG, and a page for a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.config import Config, ExecutionConfig, TrainConfig, build, machine_values
from seqtrack.errors import DataError, UserError
from seqtrack.tools import train
from seqtrack.tools.cli import EXIT_FAILURE, Parser, run

if TYPE_CHECKING:
    from seqtrack.reporting.contact_sheet import Pair
    from seqtrack.reporting.film_strip import Strip

_EPILOG = """\
The page needs no network and no other file. Only the frames that are shown are decoded; those that do not decode are
red, and the command ends with 1. --pairs takes the flags of training, and shows the first pairs of that seed.

examples:
  python -m seqtrack.tools.view otb_50 --data_dir /data
  python -m seqtrack.tools.view got10k_train@split.txt --data_dir /data --videos 100 --frames 10 --out split
  python -m seqtrack.tools.view lasot_train --tar_dir /tars --preproc crop_446 --pairs 32 --augment_motion
"""
# Of training's flags, what decides neither which pairs there are nor what they look like.
_NOT_OF_PAIRS = (
    "init_from", "num_steps", "optimizer", "optimizer_params", "lr_init", "lr_schedule", "lr_params", "grad_clip",
    "max_grad_norm", "precision", "variant",
)  # fmt: skip
_OF_PLACES = ("data_dir", "data_paths", "tar_dir", "untar", "stage_mode", "tmp_data_dir", "data_cache_dir", "storage")
SHEET_ROWS = 20  # videos on one contact sheet


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m seqtrack.tools.view",
        usage="%(prog)s DATASET [FLAG …]",
        description=__doc__,
        epilog=_EPILOG,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="a name, LAYOUT:FOLDER, or either with @FILE, a list of sequences")
    add("--videos", type=int, default=24, metavar="N", help="how many, chosen at random [24]")
    add("--frames", type=int, default=6, metavar="N", help="of each of them, evenly spread [6]")
    add("--seed", type=int, default=0, metavar="N", help="of the choice, and of the trial whose pairs are shown [0]")
    add("--pairs", type=int, default=0, metavar="N", help="pairs of crops that training would see [0]")
    add("--out", type=Path, default=Path("view"), metavar="DIR", help="folder of what is written [view]")
    for title, section, names in (
        ("where data lie", ExecutionConfig, _OF_PLACES),
        ("what training would see", TrainConfig, None),
    ):
        train.add_flags(parser.add_argument_group(title), section, names, _NOT_OF_PAIRS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    values = vars(build_parser().parse_args(argv))
    text, out = values.pop("dataset"), values.pop("out").expanduser()
    counts = {name: values.pop(name) for name in ("videos", "frames", "seed", "pairs")}
    for flag, least in (("videos", 1), ("frames", 1), ("seed", 0), ("pairs", 0)):
        if counts[flag] < least:
            raise UserError(f"--{flag}: expected {least} or more, got {counts[flag]}")
    config = build({**machine_values(), "train_dataset": text, **values})
    from seqtrack.data.datasets import open_dataset
    from seqtrack.data.lists import parse_restricted
    from seqtrack.data.locations import locations_of
    from seqtrack.reporting import contact_sheet, data_page, film_strip
    from seqtrack.reporting.sheet import write_png
    from seqtrack.runs.atomic import ensure_writable_folder, write_bytes

    ensure_writable_folder(out, "out")
    name, locations = parse_restricted(text), locations_of(config)
    dataset = open_dataset(name, locations, _say)
    try:
        videos = name.videos(dataset.index)
        numbers = data_page.overview(dataset.index, videos)
        chosen = film_strip.choose(videos, counts["videos"], counts["seed"], dataset.name)
        strips = list(film_strip.film_strips(dataset, chosen, counts["frames"]))
    finally:
        dataset.close()
    pairs, problems = _pairs(config, counts["pairs"], counts["seed"]) if counts["pairs"] else ([], [])
    for number, first in enumerate(range(0, len(strips), SHEET_ROWS), start=1):
        picture = contact_sheet.render_strips(strips[first : first + SHEET_ROWS], counts["frames"])
        write_png(out / f"frames-{number:02d}.png", picture)
    if pairs:
        write_png(out / "pairs.png", contact_sheet.render_pairs(pairs))
    subtitle = f"{locations.preproc}, {len(strips)} of {len(videos):,} videos (seed {counts['seed']})"
    page = data_page.render(str(name), subtitle, numbers, strips, pairs)
    # Names of files may hold bytes that are no text.
    write_bytes(out / "index.html", page.encode("utf-8", "replace"))
    print(f"{out / 'index.html'}: {subtitle}{f', {len(pairs)} pairs' if pairs else ''}")
    return _report(strips, problems)


def _pairs(config: Config, count: int, seed: int) -> tuple[list[Pair], list[str]]:
    """The first pairs of a trial, made as training makes them, and what is wrong with batches that cannot be made."""
    from seqtrack.data.sampling.mixture import parse_mixture
    from seqtrack.pipeline.data import members, opened, pair_source
    from seqtrack.pipeline.request import resolve
    from seqtrack.reporting.contact_sheet import pairs_of

    request = resolve(config)
    sizes = request.family.task(request.train.model_params, with_files=False).pair_sizes
    pairs: list[Pair] = []
    problems: list[str] = []
    with opened(request, request.training_datasets, _say) as sets:
        source = pair_source(request, sets, request.train.train_dataset, "train_dataset", sizes, seed)
        names = members(parse_mixture(request.train.train_dataset), request)
        indexes = {name: sets[name].index for name in names}
        for step in range(-(-count // request.train.batchsz)):
            try:
                pairs += pairs_of(source.batch(step), indexes)
            except DataError as error:
                problems.append(f"the pairs of step {step} cannot be shown: {error}")
    return pairs[:count], problems


def _report(strips: Sequence[Strip], problems: list[str]) -> int:
    tiles = [tile for strip in strips for tile in strip.tiles]
    broken = [tile.problem for tile in tiles if tile.picture is None]
    if broken:
        problems = [f"{len(broken)} of {len(tiles)} frames do not decode; the first: {broken[0]}", *problems]
    for line in problems:
        _say(line)
    return EXIT_FAILURE if problems else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(main))
