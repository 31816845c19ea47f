"""What is known of a benchmark without its data: its sequences and which of their frames are labelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seqtrack.assessment.benchmark import benchmark_of
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

_VOT_ALL = """
    ball2 basketball birds1 bolt1 book butterfly car1 dinosaur fernando fish1 fish2 girl glove godfather
    graduate gymnastics1 gymnastics2 gymnastics3 hand handball1 handball2 helicopter iceskater1 iceskater2
    leaves matrix motocross1 nature pedestrian1 rabbit road shaking singer2 singer3 soccer1 soccer2 soldier
    tiger wiper
"""
_VOT_15 = """
    bag ball1 birds2 blanket bmx bolt2 car2 crossing fish3 fish4 gymnastics4 marching motocross2 octopus
    pedestrian2 racing sheep singer1 sphere traffic tunnel
"""
_VOT_17 = """
    ants1 ants3 bag ball1 blanket bmx bolt2 conduction1 crabs1 crossing drone1 drone_across drone_flip fish3
    flamingo1 frisbee motocross2 racing sheep traffic zebrafish1
"""
_VOT_19 = """
    agility ants1 ball3 conduction1 crabs1 dribble drone1 drone_across drone_flip flamingo1 frisbee hand2
    lamb marathon monkey polo rabbit2 rowing surfing wheel zebrafish1
"""
VOT: dict[str, frozenset[str]] = {
    name: frozenset(f"{_VOT_ALL} {own}".split())
    for name, own in (
        ("vot2015", _VOT_15),
        ("vot2016", _VOT_15),
        ("vot2017", _VOT_17),
        ("vot2018", _VOT_17),
        ("vot2019", _VOT_19),
    )
}
"""The sequences of VOT's challenges, to tell them apart; subsets are scored as any other set."""

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


def same_sequences(name: DatasetName, there: Iterable[str]) -> list[str]:
    """Published benchmarks that have exactly these sequences, where the one named has not: wrong annotations.

    VOT2015 and 2016 have the same ones, and so have VOT2017 and 2018.
    """
    own, names, published = benchmark_of(name), frozenset(there), {of: parse_dataset_name(of) for of in PUBLISHED}
    known = {of: frozenset(sequences_of(other) or ()) for of, other in published.items()} | VOT
    found = [of for of, sequences in known.items() if sequences == names]
    # All that lies in OTB's folder is otb_100, and as well scored under the name otb.
    is_whole = name.layout != "vot" and any(published[of].layout == name.layout for of in found) and not name.part
    return [] if own not in PUBLISHED or own in found or is_whole else found


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
        if not found:
            raise DataError(f"{where}: none of the {len(known)} sequences of {name} is there; is it the right place?")
        have = "has" if len(missing) == 1 else "have"
        raise DataError(
            f"{where}: {len(missing)} of the {len(known)} sequences of {name} {have} no {what}"
            f" ({', '.join(missing)}); add them, or name another benchmark"
        )
    return found
