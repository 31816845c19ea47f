"""What to draw training tracks from: one data set, several as if they were one, or a weighted mixture.

    "otb_50"                                       one data set
    ["otb_50", "vot2018"]                          their concatenation: every track equally likely
    [[0.7, "otb_50"], [0.3, ["a", "b"]]]           seven pairs in ten from the first, three from the concatenation
    [[0.5, "a"], [0.5, [[0.9, "b"], [0.1, "c"]]]]  mixtures nest; weights multiply

Pure: names are not looked up here.
"""

import math
from dataclasses import dataclass
from typing import Any

from seqtrack.errors import UserError

Group = tuple[float, tuple[str, ...]]


@dataclass(frozen=True)
class Mixture:
    """groups: ((weight, (names…)), …), weights positive, summing to 1.

    A group is drawn by weight; within it, all the tracks of its data sets are alike.
    """

    groups: tuple[Group, ...]

    def names(self) -> list[str]:
        """Names of the data sets, each once, in order of appearance."""
        return list(dict.fromkeys(name for _, names in self.groups for name in names))


def parse_mixture(value: Any, flag: str = "--train_dataset") -> Mixture:
    """A Mixture from the forms above; UserError names the flag and the part that is wrong."""
    groups = _parse(value, flag)
    total = sum(weight for weight, _ in groups)
    return Mixture(tuple((weight / total, names) for weight, names in groups))


def _parse(value: Any, flag: str) -> list[Group]:
    if isinstance(value, str):
        return [(1.0, (_name(value, flag),))]
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{flag}: expected a name, a list of names or [[weight, name], …], not {value!r}")
    if all(isinstance(item, str) for item in value):
        names = tuple(_name(item, flag) for item in value)
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise UserError(f"{flag}: {min(repeated)!r} appears twice in {list(value)!r}; give it a weight instead")
        return [(1.0, names)]
    groups: list[Group] = []
    for item in value:
        if not isinstance(item, list | tuple) or len(item) != 2 or not _is_number(item[0]):
            raise UserError(f"{flag}: expected [weight, name] in a mixture, not {item!r}")
        weight = float(item[0])
        if not (math.isfinite(weight) and weight > 0):
            raise UserError(f"{flag}: the weight of {item[1]!r} must be a positive number, not {item[0]!r}")
        inner = _parse(item[1], flag)
        total = sum(part for part, _ in inner)
        groups.extend((weight * part / total, names) for part, names in inner)
    return groups


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(text: str, flag: str) -> str:
    if not text.strip():
        raise UserError(f"{flag}: the name of a data set must not be empty")
    return text
