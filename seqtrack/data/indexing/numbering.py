"""Names of frames that count up (``img/0001.jpg``, ``img/0002.jpg``, …): millions of them are a few numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import overload

_TRAILING_NUMBER = re.compile(r"(.*?)(\d+)(\.[^./]*)$", re.DOTALL)


@dataclass(frozen=True)
class NumberedNames(Sequence[str]):
    """Name t is ``f"{prefix}{start + t:0{digits}d}{suffix}"``."""

    prefix: str
    start: int
    digits: int
    """At least 1: unpadded names (9.jpg, 10.jpg) are numbers of at least one digit."""
    suffix: str
    length: int

    @classmethod
    def of(cls, names: Sequence[str]) -> NumberedNames | None:
        """What says the same as these names in this order; None if they do not count up."""
        if isinstance(names, cls):
            return names
        found = _TRAILING_NUMBER.fullmatch(names[0]) if names else None
        # 18 digits: the start is kept as int64.
        if found is None or len(found.group(2)) > 18:
            return None
        prefix, number, suffix = found.groups()
        padded = len(number) == len(names[-1]) - len(prefix) - len(suffix)
        numbered = cls(prefix, int(number), len(number) if padded else 1, suffix, len(names))
        is_same = names[-1] == numbered[-1] and "\0".join(names) == numbered._joined("\0")
        return numbered if is_same else None

    def below(self, prefix: str) -> NumberedNames:
        """The same names with something before each of them, such as their folder."""
        return replace(self, prefix=prefix + self.prefix)

    def __eq__(self, other: object) -> bool:
        """Equal to a list of the same names, too: a reader need not know which of them it was given."""
        if isinstance(other, NumberedNames):
            return astuple(self) == astuple(other)
        return list(self) == other if isinstance(other, list) else NotImplemented

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return list(self)[place]
        if not -self.length <= place < self.length:
            raise IndexError(f"there are {self.length} names, not {place}")
        number = self.start + place % self.length
        return f"{self.prefix}{number:0{self.digits}d}{self.suffix}"

    def __iter__(self) -> Iterator[str]:
        return iter([self.prefix + name for name in self._without_prefix()])

    def _joined(self, separator: str) -> str:
        names = self._without_prefix()
        return self.prefix + f"{separator}{self.prefix}".join(names) if names else ""

    def _without_prefix(self) -> list[str]:
        # The folders of a data set hold the same names: to write them anew for each would be half of the time that
        # listing millions takes.
        names = _names(self.start, self.digits, self.suffix)
        known = len(names)
        # In its place, not at the end: two threads may do so at once.
        numbers = range(self.start + known, self.start + self.length)
        names[known : known + len(numbers)] = [f"{number:0{self.digits}d}{self.suffix}" for number in numbers]
        return names[: self.length]


@lru_cache(maxsize=16)
def _names(start: int, digits: int, suffix: str) -> list[str]:
    """The names so far that some video has needed; it grows."""
    return []
