"""Shows a data set, and the pairs that training sees: contact sheets as PNG, and a page for a browser."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.config import Config, ExecutionConfig, TrainConfig, build, machine_values
from seqtrack.errors import DataError, UserError
from seqtrack.tools import train
from seqtrack.tools.cli import EXIT_FAILURE, Parser, run

if TYPE_CHECKING:
    from seqtrack.data.datasets import Dataset
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
_TRAINING = tuple(field.name for field in dataclasses.fields(TrainConfig))
_OF_PLACES = ("data_dir", "data_paths", "tar_dir", "untar", "stage_mode", "tmp_data_dir", "data_cache_dir", "storage")
_MADE = re.compile(r"frames-\d{2,}\.png|pairs\.png")  # the pictures that are written


_FRAME_NUMBERS = "Frames are numbered from 0 in the order of the video, whatever their files are called."


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
    if not counts["pairs"] and (idle := [name for name in values if name in _TRAINING and name != "preproc"]):
        raise UserError(f"--{idle[0]}: changes nothing but pairs; give --pairs N too")
    from seqtrack.data.datasets import open_dataset
    from seqtrack.data.lists import parse_restricted
    from seqtrack.data.locations import locations_of
    from seqtrack.reporting import data_page, film_strip
    from seqtrack.runs.atomic import ensure_writable_folder

    if os.path.isfile(out):  # noqa: PTH113 (false, where Path's raises for what may not be looked at)
        raise UserError(f"--out: {out} is a file, not a folder")
    ensure_writable_folder(out, "out")
    name, locations = parse_restricted(text), locations_of(config)
    dataset = open_dataset(name, locations, _say)
    try:
        videos = name.videos(dataset.index)
        numbers = data_page.overview(dataset.index, videos)
        chosen = film_strip.choose(videos, counts["videos"], counts["seed"], dataset.name)
        strips = list(film_strip.film_strips(dataset, chosen, counts["frames"]))
        notes = [_pictures(dataset, locations.preproc, videos), _FRAME_NUMBERS]
    finally:
        dataset.close()
    pairs, problems = _pairs(config, counts["pairs"], counts["seed"]) if counts["pairs"] else ([], [])
    subtitle = f"{locations.preproc}, {len(strips)} of {_count(len(videos), 'video')} (seed {counts['seed']})"
    notes = [subtitle, *filter(None, notes)]
    page = data_page.render(str(name), notes, numbers, strips, pairs, _how(config, values, counts["seed"]))
    _write(out, page, strips, counts["frames"], pairs)
    seen = f", {_count(len(pairs), 'pair')}" if pairs else ""
    print(f"{out / 'index.html'}: {subtitle}{seen}")
    return _report(strips, problems)


def _write(out: Path, page: str, strips: Sequence[Strip], frames: int, pairs: Sequence[Pair]) -> None:
    """Puts everything into the folder, in place of what an earlier run made there."""
    from seqtrack.reporting import contact_sheet
    from seqtrack.reporting.sheet import write_png
    from seqtrack.runs.atomic import write_bytes

    pictures = {
        f"frames-{n:02d}.png": sheet for n, sheet in enumerate(contact_sheet.render_strips(strips, frames), 1)
    }
    if pairs:
        pictures["pairs.png"] = contact_sheet.render_pairs(pairs)
    for name, picture in pictures.items():
        with _writing(out / name) as path:
            write_png(path, picture)
    with _writing(out / "index.html") as path:
        # Names of files may hold bytes that are no text.
        write_bytes(path, page.encode("utf-8", "replace"))
    with _writing(out):
        # They would be taken for pictures of this run.
        for old in out.iterdir():
            if _MADE.fullmatch(old.name) and old.name not in pictures:
                old.unlink()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Turns what the operating system says of a file in --out into a UserError."""
    try:
        yield path
    except OSError as error:
        raise UserError(
            f"--out: cannot write {path} ({error.strerror or error}); make room, or give another folder"
        ) from error


def _pictures(dataset: Dataset, preproc: str, videos: Sequence[int]) -> str:
    """What pictures a preprocessed version has; empty for the original."""
    from seqtrack.data.preprocessing.versions import is_crop

    tracks = [track for video in videos for track in dataset.index.tracks_of(video)]
    stored = [rows for track in tracks if (rows := dataset.stored(track)) is not None]
    if not stored:
        return ""
    there = sum(map(len, stored))
    labels = _count(sum(len(dataset.index.track(track).frames) for track in tracks), "label")
    if not is_crop(preproc):
        return f"There are pictures for {there:,} of {labels}."
    side = preproc.removeprefix("crop_")
    return f"Pictures are {side}×{side} crops around a target each: {there:,} of them, for {labels}."


def _how(config: Config, values: Mapping[str, object], seed: int) -> str:
    """The flags that decide which pairs training sees; those not named have their defaults."""
    words = [f"--seed={seed}", f"--train_dataset={_as_typed(config.train.train_dataset)}"]
    for name in values:
        if name in _TRAINING and name != "train_dataset":
            value = getattr(config.train, name)
            is_switch = isinstance(value, bool)
            words.append(f"--{'' if value else 'no-'}{name}" if is_switch else f"--{name}={_as_typed(value)}")
    return f"With {shlex.join(words)}; every other flag has its default."


def _as_typed(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


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
        what = "does not decode:" if len(broken) == 1 else "do not decode; the first:"
        problems = [*problems, f"{len(broken)} of {_count(len(tiles), 'frame')} {what} {broken[0]}"]
    for line in problems:
        _say(f"error: {line}")
    return EXIT_FAILURE if problems else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(main))
