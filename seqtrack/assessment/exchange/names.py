"""Which file belongs to which sequence, where toolkits spell a sequence's name in their own ways.

    Jogging-1, Jogging_1, Jogging.1, jogging_1    a target of several: OTB's own, pytracking, got10k
    FaceOcc1, Faceocc1                            copies of OTB differ in case
    Human4-2, Human4                              the only target of Human4 is its second
    uav_bike1, nfs_bowling1, tpl_Ball_ce1         pytracking and others put the benchmark before it

No file is ever taken for two sequences, and no sequence has two files: where it could be either, that is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from seqtrack.errors import DataError

_SEPARATORS = re.compile(r"[-_. ]+")
_PREFIX = re.compile(r"(?:uav|nfs|tpl)-(?=.)")
_ALIASES = {"human4": "human4-2"}


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", name.lower()).strip("-")


def _unprefixed(name: str) -> str:
    return _PREFIX.sub("", _plain(name))


def _by_alias(name: str) -> str:
    plain = _unprefixed(name)
    return _ALIASES.get(plain, plain)


# From the strictest on: what is spelled exactly as it should be is nothing else (uav_uav1_1 is no second uav1_1).
_SPELLINGS: tuple[Callable[[str], str], ...] = (str, _plain, _unprefixed, _by_alias)


def match(sequences: Iterable[str], files: Iterable[str], where: str) -> dict[str, str]:
    """Sequence -> file (names without their endings), of those that have one, in the order of ``sequences``.

    Args:
        where: names the folder in messages.

    Raises:
        DataError: several files may be meant by one name.
    """
    wanted, there = list(sequences), set(files)
    found: dict[str, str] = {}
    for spelling in _SPELLINGS:
        names = _grouped(spelling, (name for name in wanted if name not in found))
        spelled = _grouped(spelling, there)
        for key in sorted(names.keys() & spelled.keys()):
            if len(names[key]) > 1 or len(spelled[key]) > 1:
                raise DataError(
                    f"{where}: {_quoted(spelled[key])} may be {_quoted(names[key])}; name the files as the sequences"
                    " are and leave one for each"
                )
            found[names[key][0]] = spelled[key][0]
        there -= set(found.values())
    return {name: found[name] for name in wanted if name in found}


def twins(found: Mapping[str, str], files: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(sequence, its file, another) of files that ``match`` did not take, though they are spelled as one that it did
    but for separators and the case of letters: Jogging_1 beside Jogging-1."""
    taken = {_plain(file): (sequence, file) for sequence, file in found.items()}
    for other in sorted(set(files) - set(found.values())):
        if _plain(other) in taken:
            sequence, file = taken[_plain(other)]
            yield sequence, file, other


def _grouped(spelling: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(spelling(name), []).append(name)
    return groups


def _quoted(names: list[str]) -> str:
    return " or ".join(names)
