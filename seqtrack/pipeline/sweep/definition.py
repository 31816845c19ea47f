"""``sweep.yaml`` read and checked: a mistake is one line that names the file and the key."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack import config as configuration
from seqtrack import yaml_files
from seqtrack.config import FIELDS, TrainConfig
from seqtrack.errors import UserError
from seqtrack.pipeline.sweep import space
from seqtrack.pipeline.sweep.space import Axis, Distribution, Point
from seqtrack.schema import EXPONENT, nearest

KEYS = ("name", "seed", "points", "num_trials", "base", "base_config", "grid", "random")
KINDS = ("uniform", "log_uniform", "int_uniform", "choice")
# How one tracks with what is learned: points that differ in these alone share one training.
TRACKING = ("tracker_params", "eval_preproc")
MAX_POINTS = 10_000
MAX_NAME = 60


@dataclass(frozen=True)
class Definition:
    """A sweep as a person wrote it.

    Attributes:
        file: by which messages call it.
        num_trials: seeds of each point; None: as the flags say.
        base: flags that all points share.
        content: of the file, for the record.
    """

    file: str
    name: str
    seed: int
    num_trials: int | None
    base: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]]
    random: Mapping[str, Distribution]
    count: int
    content: Mapping[str, Any]

    @property
    def points(self) -> list[Point]:
        return space.points(self.seed, self.count, self.grid, self.random)

    @property
    def axes(self) -> list[Axis]:
        return space.axes(self.grid, self.random)

    @property
    def names(self) -> list[str]:
        """Of what is swept."""
        return [*self.grid, *self.random]


def read(path: Path) -> Definition:
    """Raises UserError for what can be wrong without looking at a whole configuration."""
    content = yaml_files.read(path)
    try:
        return _parse(str(path), path.parent, content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _parse(file: str, folder: Path, content: dict[str, Any]) -> Definition:
    for key in content:
        if key not in KEYS:
            raise UserError(f"{key}: no such key; {nearest(key, KEYS)}")
    name = content.get("name")
    if isinstance(name, int | float):
        raise UserError(f'name: {name!r} is no text; put it in quotes: "{name}"')
    if not isinstance(name, str) or not re.fullmatch(rf"[\w.-]{{1,{MAX_NAME}}}", name, re.ASCII) or name[0] in ".-":
        what = "it is missing: results are found by it" if name is None else f"{name!r}"
        raise UserError(f"name: {what}; give letters, digits, '.', '_' and '-', such as lr_search")
    if name == "latest":  # as for --name: to seqtrack cancel it is the run submitted last
        raise UserError("name: 'latest' means the run submitted last; choose another name")
    grid = {n: _values(f"grid.{n}", n, values) for n, values in _mapping("grid", content).items()}
    random = {n: _distribution(f"random.{n}", n, spec) for n, spec in _mapping("random", content).items()}
    _check_names(grid, random)
    for n in random:
        if n in grid:
            raise UserError(f"random.{n}: it is in grid too; leave it in one of the two")
    if not grid and not random:
        raise UserError("grid: there is nothing to sweep; give grid, random or both")
    count = _whole("points", content.get("points"), 1) if random else 1
    if not random and "points" in content:
        raise UserError("points: it is the number of random points, and there is no random; leave it out")
    cells = 1
    for values in grid.values():
        cells *= len(values)
    if cells * count > MAX_POINTS:
        raise UserError(f"{'points' if random else 'grid'}: {cells * count} points; at most {MAX_POINTS} are taken")
    trials = content.get("num_trials")
    return Definition(
        file, name, _whole("seed", content.get("seed", 0), 0),
        None if trials is None else _whole("num_trials", trials, 1),
        _base(folder, content), grid, random, count, content,
    )  # fmt: skip


def _mapping(key: str, content: Mapping[str, Any]) -> dict[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, dict):
        raise UserError(f"{key}: expected 'flag: …' lines, got {found!r}")
    return {str(name).lstrip("-"): value for name, value in found.items()}


def _whole(key: str, value: Any, minimum: int) -> int:
    if value is None:
        raise UserError(f"{key}: how many? give a whole number")
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise UserError(f"{key}: expected a whole number, {minimum} or more, got {value!r}")
    return value


def _base(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    if "base" in content and "base_config" in content:
        raise UserError("base_config: there is a base too; give one of the two")
    file = content.get("base_config")
    if file is not None and not isinstance(file, str):
        raise UserError(f"base_config: expected a file, got {file!r}")
    base = yaml_files.read(folder / file) if file else _mapping("base", content)
    where = f"base_config: {file}: " if file else "base."
    for name in base:
        if name not in FIELDS:
            raise UserError(f"{where}{name}: no such flag; {nearest(name, FIELDS)}")
        if name == "name":
            raise UserError(f"{where}name: it would name every run alike; the sweep has a name of its own")
        _read_value(f"{where}{name}", name, base[name])
    return base


def _check_names(grid: Mapping[str, Any], random: Mapping[str, Any]) -> None:
    names = [(f"{key}.{name}", name) for key, part in (("grid", grid), ("random", random)) for name in part]
    for where, name in names:
        for other_where, other in names:
            if name.startswith(f"{other}."):
                raise UserError(f"{where}: it lies inside of {other_where}, which is swept as a whole; leave one out")


def _check_name(where: str, name: str) -> None:
    """Only what is learned, or how one tracks with it, is to be found by its score."""
    root, dot, _ = name.partition(".")
    if root not in FIELDS:
        raise UserError(f"{where}: no such flag; {nearest(root, _swept())}")
    if FIELDS[root].metadata["keyed"] and root not in TRACKING:
        raise UserError(
            f"{where}: --{root} changes what is measured, so that scores of two points could not be compared; give it"
            " in base, or as a flag"
        )
    if root not in _swept():
        raise UserError(
            f"{where}: --{root} changes nothing that is learned, nor how one tracks with it, so every point would be"
            " the same run; give it in base, or as a flag"
        )
    if root == "variant":
        raise UserError(f"{where}: --variant is only a name and changes nothing that is learned; num_trials repeats")
    if dot and FIELDS[root].metadata["kind"] != "json":
        raise UserError(f"{where}: --{root} has no parameters inside; sweep {root} itself")


def _swept() -> list[str]:
    return [*TrainConfig.__dataclass_fields__, *TRACKING]


def _values(where: str, name: str, values: Any) -> tuple[Any, ...]:
    _check_name(where, name)
    if not isinstance(values, list) or not values:
        inside = next(iter(values), None) if isinstance(values, dict) else None
        hint = "" if inside is None else f"; to sweep what is inside of it, write {name}.{inside}: […]"
        raise UserError(f"{where}: expected a list of values, got {values!r}{hint}")
    found = tuple(map(_number, values))
    for k, value in enumerate(found):
        _read_value(where, name, value)
        if value in found[:k]:
            raise UserError(f"{where}: {value!r} is there twice")
    return found


def _number(value: Any) -> Any:
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    return [_number(item) for item in value] if isinstance(value, list) else value


def _distribution(where: str, name: str, spec: Any) -> Distribution:
    _check_name(where, name)
    if not isinstance(spec, dict) or len(spec) != 1:
        such = f"{{choice: {spec}}}" if isinstance(spec, list) and spec else "{uniform: [0, 1]}"
        raise UserError(f"{where}: expected one of {', '.join(KINDS)}, such as {such}, got {spec!r}")
    ((kind, arguments),) = spec.items()
    if kind not in KINDS:
        raise UserError(f"{where}: {kind!r} is no distribution; {nearest(str(kind), KINDS)}")
    if not isinstance(arguments, list):
        raise UserError(f"{where}.{kind}: expected a list, got {arguments!r}")
    arguments = [_number(item) for item in arguments]
    if kind == "choice":
        if not arguments:
            raise UserError(f"{where}.choice: expected some values")
        found = space.choice(arguments)
    else:
        found = _range(f"{where}.{kind}", kind, arguments)
        if kind != "int_uniform" and FIELDS[name.partition(".")[0]].metadata["kind"].rstrip("?") == "int":
            raise UserError(f"{where}.{kind}: --{name} is a whole number; use int_uniform or choice")
    for value in found.probes:
        _read_value(f"{where}.{kind}", name, value)
    return found


def _range(where: str, kind: str, ends: list[Any]) -> Distribution:
    types = (int,) if kind == "int_uniform" else (int, float)
    if len(ends) != 2 or any(isinstance(end, bool) or not isinstance(end, types) for end in ends):
        what = "two whole numbers" if kind == "int_uniform" else "two numbers"
        raise UserError(f"{where}: expected {what}, [low, high], got {ends!r}")
    low, high = ends
    if not low < high or not abs(high - low) < float("inf"):
        raise UserError(f"{where}: expected low < high, got {ends!r}")
    if kind == "int_uniform":
        return space.int_uniform(low, high)
    if kind == "uniform":
        return space.uniform(float(low), float(high))
    if low <= 0:
        raise UserError(f"{where}: there is no logarithm of {low!r}; give a low end above 0")
    return space.log_uniform(float(low), float(high))


def _read_value(where: str, name: str, value: Any) -> None:
    """What the flag itself says to a value; of a parameter inside of one, the whole configuration says it later."""
    if "." in name and name not in FIELDS:
        return
    try:
        configuration.read_value(name, value)
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix(f'--{name}: ')}") from error


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Sets a flag, or by a dotted name what lies in a JSON one; ``values`` shares nothing that is changed."""
    root, *inside = name.split(".")
    if not inside:
        values[root] = value
        return
    whole = configuration.read_value(root, values.get(root, {}))
    place = whole = copy.deepcopy(whole)
    for key in inside[:-1]:
        below = place.setdefault(key, {})
        if not isinstance(below, dict):
            raise UserError(f"--{root}: {key} is {below!r}, with nothing inside to sweep as {name}")
        place = below
    place[inside[-1]] = value
    values[root] = whole
