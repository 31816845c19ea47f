"""What is known of a benchmark without its data: its sequences and which of their frames are labelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seqtrack.assessment.exchange.names import match
from seqtrack.data.formats import DatasetName, lasot, otb, parse_dataset_name, uav123
from seqtrack.data.formats.published import PUBLISHED
from seqtrack.errors import DataError

_TWO_TARGETS = {
    "Jogging": ("Jogging-1", "Jogging-2"),
    "Skating2": ("Skating2-1", "Skating2-2"),
    "Human4": ("Human4-2",),
}
_NUMBERED = {"got10k_val": ("GOT-10k_Val_{:06d}", 180), "got10k_test": ("GOT-10k_Test_{:06d}", 180)}

SERVED = ("got10k_test", "trackingnet_test")
"""Benchmarks whose labels are their servers' secret."""


def sequences_of(name: DatasetName) -> tuple[str, ...] | None:
    """Its sequences, in its own order; None where whatever is there belongs to it."""
    if name.layout == "otb" and name.part:
        return tuple(target for folder in otb.PARTS[name.part] for target in _TWO_TARGETS.get(folder, (folder,)))
    if name.layout == "uav123" and name.part:
        return tuple(sorted(uav123.windows(name.part)))
    if name.layout == "lasot" and name.part == "test":
        return lasot.TEST
    if str(name) in _NUMBERED:
        form, count = _NUMBERED[str(name)]
        return tuple(form.format(number) for number in range(1, count + 1))
    return None


class Guess(NamedTuple):
    benchmark: str
    there: int
    """How many of its sequences have a file."""
    total: int


def guesses(files: Iterable[str]) -> list[Guess]:
    """Benchmarks that these names of files (without endings) may be results of, the likeliest first."""
    names, found = list(files), []
    for benchmark in PUBLISHED:
        known = sequences_of(parse_dataset_name(benchmark))
        if known is None:
            continue
        try:
            there = len(match(known, names, benchmark))
        except DataError:
            continue
        if there:
            found.append(Guess(benchmark, there, len(known)))
    # One that is there as a whole before one that is not; of those the one that explains most files.
    return sorted(found, key=lambda guess: (guess.there == guess.total, guess.there), reverse=True)


def window(name: DatasetName, sequence: str) -> tuple[int, int] | None:
    """Numbers, from 1, of the first and last frame that OTB labels, where these are not all (Tiger1: 6 to 354)."""
    if name.layout != "otb" and not (name.layout == "pysot" and name.folder.lower().startswith(("otb", "cvpr13"))):
        return None
    return next((range_ for known, range_ in otb.LABELLED.items() if known.lower() == sequence.lower()), None)


def in_order(name: DatasetName, there: Sequence[str], where: str, what: str) -> dict[str, str]:
    """Sequence -> name of its file, of all that belong to the benchmark.

    Raises:
        DataError: lists all that are not there.
    """
    known = sequences_of(name)
    if known is None:
        return {entry: entry for entry in there}
    found = match(known, there, where)
    if missing := [sequence for sequence in known if sequence not in found]:
        raise DataError(
            f"{where}: {len(missing)} of the {len(known)} sequences of {name} have no {what}"
            f" ({', '.join(missing)}); add them, or name another benchmark"
        )
    return found
