"""Which code made a result: a hash of each module that training, or an assessment, imports.

Found by reading import statements, not by importing, so that it costs milliseconds and no torch.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

# By patterns: to parse a hundred modules takes 0.2 s, half of what a command takes that has nothing to do. A test
# compares them with Python's own parser.
_FROM = re.compile(rb"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(rb"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
_COMMENT, _ALIAS, _WORD = re.compile(rb"#[^\n]*"), re.compile(rb"\bas[ \t]+\w+"), re.compile(rb"\w+")

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent


def closure(modules: Iterable[str], without: Iterable[str] = (), plugin: str | None = None) -> dict[str, str]:
    """SHA-256 of every file of this package that ``modules`` import, directly or not, by path.

    Args:
        modules: dotted names inside the package.
        without: dotted names of rooms that are not followed: what is imported but has no say in the result.
        plugin: ``module:Class`` of a person's own; its file is part of the truth too.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    excluded = tuple(without)
    while waiting:
        name = waiting.pop()
        if name.startswith(excluded):
            continue
        path = _file_of(name)
        if path is None or str(path.relative_to(ROOT)) in found:
            continue
        source = path.read_bytes()
        found[str(path.relative_to(ROOT))] = hashlib.sha256(source).hexdigest()
        waiting.extend(imports_of(source))
    if plugin is not None:
        path = plugin_file(plugin)
        if path is not None:
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Names of files that differ, are new, or are gone."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def plugin_file(plugin: str) -> Path | None:
    """The file of the module in ``module:Class``, found without importing anything."""
    places: list[str] | None = None
    spec = None
    name = ""
    for part in plugin.partition(":")[0].split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec is not None and spec.origin else None


def is_installed(path: Path) -> bool:
    """Whether it lies where packages are installed: not so of an editable one."""
    places = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")]
    return any(place in path.resolve().parents for place in places)


@lru_cache(maxsize=512)
def imports_of(source: bytes) -> tuple[str, ...]:
    """Dotted names in this package that a module of ours imports, sorted; those of single objects among them."""
    names: set[bytes] = set()
    for module, listed in _FROM.findall(source):
        # ``from package import module`` and ``from module import name`` look alike.
        imported = _WORD.findall(_ALIAS.sub(b"", _COMMENT.sub(b"", listed)))
        names.update([module, *(module + b"." + name for name in imported)])
    for listed in _IMPORT.findall(source):
        names.update(part.split()[0] for part in listed.split(b","))
    return tuple(sorted(name.decode() for name in names if name.split(b".")[0].decode() == PACKAGE.name))


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
