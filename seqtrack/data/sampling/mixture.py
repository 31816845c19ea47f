"""What to draw training tracks from: one data set, several as if they were one, or a weighted mixture.

    "otb_50"                                       one data set
    ["otb_50", "vot2018"]                          their concatenation: every track equally likely
    [[0.7, "otb_50"], [0.3, ["a", "b"]]]           seven pairs in ten from the first, three from the concatenation
    [[0.5, "a"], [0.5, [[0.9, "b"], [0.1, "c"]]]]  mixtures nest; weights multiply

Wherever a name or a list may stand, an object may too, which says how to draw from it:

    {"dataset": "coco_train", "sampler": {"kind": "uniform"}, "filter": {"min_side": 20}}

"sampler" and "filter" then take the place of `--sampler_params` and `--filter_params`. Names are not looked up here.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from seqtrack.data.sampling.filters import FilterParams, parse_filter_params
from seqtrack.data.sampling.samplers import SamplerParams, parse_sampler_params
from seqtrack.errors import UserError
from seqtrack.schema import nearest, plain

_KEYS = ("dataset", "sampler", "filter")


@dataclass(frozen=True)
class Entry:
    """One part of a mixture, drawn by weight; within it, all the tracks of its data sets are alike.

    sampler, filters: its own; None: those that hold for all.
    """

    weight: float
    names: tuple[str, ...]
    sampler: SamplerParams | None = None
    filters: FilterParams | None = None


@dataclass(frozen=True)
class Mixture:
    """Entries whose weights are positive and sum to 1."""

    entries: tuple[Entry, ...]

    def names(self) -> list[str]:
        """Names of the data sets, each once, in order of appearance."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.names))

    def canonical(self) -> Any:
        """One spelling per mixture: what `parse_mixture` reads, nothing nested, parameters complete."""
        parts = [(entry.weight, _canonical(entry)) for entry in self.entries]
        return parts[0][1] if len(parts) == 1 else [list(part) for part in parts]


def _canonical(entry: Entry) -> Any:
    names: Any = entry.names[0] if len(entry.names) == 1 else list(entry.names)
    own = {"sampler": entry.sampler, "filter": entry.filters}
    given = {key: plain(params) for key, params in own.items() if params is not None}
    return {"dataset": names, **given} if given else names


def parse_mixture(value: Any, flag: str = "--train_dataset") -> Mixture:
    """A Mixture from the forms above; UserError names the flag and the part that is wrong."""
    entries = _parse(value, flag)
    total = sum(entry.weight for entry in entries)
    return Mixture(tuple(replace(entry, weight=entry.weight / total) for entry in entries))


def _parse(value: Any, flag: str) -> list[Entry]:
    if isinstance(value, str):
        return [Entry(1.0, (_name(value, flag),))]
    if isinstance(value, dict):
        return _parse_object(value, flag)
    if not isinstance(value, list | tuple) or not value:
        raise UserError(f"{flag}: expected a name, a list of names or [[weight, name], …], not {value!r}")
    if all(isinstance(item, str) for item in value):
        names = tuple(_name(item, flag) for item in value)
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise UserError(f"{flag}: {min(repeated)!r} appears twice in {list(value)!r}; give it a weight instead")
        return [Entry(1.0, names)]
    entries: list[Entry] = []
    for item in value:
        if not isinstance(item, list | tuple) or len(item) != 2 or not _is_number(item[0]):
            raise UserError(f"{flag}: expected [weight, name] in a mixture, not {item!r}")
        weight = float(item[0])
        if not (math.isfinite(weight) and weight > 0):
            raise UserError(f"{flag}: the weight of {item[1]!r} must be a positive number, not {item[0]!r}")
        inner = _parse(item[1], flag)
        total = sum(part.weight for part in inner)
        entries.extend(replace(part, weight=weight * part.weight / total) for part in inner)
    return entries


def _parse_object(value: dict[str, Any], flag: str) -> list[Entry]:
    for key in value:
        if key not in _KEYS:
            raise UserError(f"{flag}: {key!r} is no part of an entry; {nearest(str(key), _KEYS)}")
    if "dataset" not in value:
        raise UserError(f'{flag}: "dataset" is missing in {value!r}')
    inner = _parse(value["dataset"], flag)
    where = f"{flag}: {value['dataset']!r}"
    sampler = parse_sampler_params(value["sampler"], f"{where}: sampler") if "sampler" in value else None
    filters = parse_filter_params(value["filter"], f"{where}: filter") if "filter" in value else None
    # What an inner entry says for itself stands.
    return [replace(entry, sampler=entry.sampler or sampler, filters=entry.filters or filters) for entry in inner]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(text: str, flag: str) -> str:
    if not text.strip():
        raise UserError(f"{flag}: the name of a data set must not be empty")
    return text
