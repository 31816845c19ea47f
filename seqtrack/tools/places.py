"""How the tools that look at data are told where they lie: the flags of training, and the machine's files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from seqtrack.tools.cli import Parser

if TYPE_CHECKING:
    from seqtrack.data.locations import Locations

EPILOG = "Paths are also taken from ~/.config/seqtrack.yaml and ./seqtrack.local.yaml, as for training."
_FLAGS = ("data_dir", "tar_dir", "data_paths", "data_cache_dir", "preproc", "storage")


def add_places(parser: Parser) -> None:
    add = parser.add_argument
    add("--data_dir", metavar="PATH", help="folder of {preproc}/{dataset}/ folders")
    add("--tar_dir", metavar="PATH", help="folder of {preproc}/{dataset}.tar files")
    add("--data_paths", nargs="+", metavar="NAME=DIR", help="data sets that lie elsewhere")
    add("--data_cache_dir", metavar="PATH", help="folder of data-set indexes [dataset_cache]")
    add("--preproc", metavar="NAME", help="version of the data [original]")
    add("--storage", metavar="KIND", help="dir, tar, zip or array_record: only where they are stored so [auto]")


def given_places(args: argparse.Namespace) -> dict[str, Any]:
    """Those of these flags that were given."""
    return {flag: value for flag in _FLAGS if (value := getattr(args, flag, None)) is not None}


def places_of(args: argparse.Namespace) -> Locations:
    """By those of these flags that the tool has."""
    from seqtrack.config import build, machine_values
    from seqtrack.data.locations import locations_of

    return locations_of(build(machine_values() | given_places(args)))
