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
_FROM = re.compile(rb"^[ \t]*from[ \t]+([\w.]+)[ \t]*\bimport\b[ \t]*(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(rb"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
# What only others write: a statement that goes on in the next line, or begins in the middle of one.
_BROKEN = re.compile(rb"\\\r?\n")
_INNER = re.compile(rb"(?:;|^[ \t]*(?:try|else|finally|if|elif|except|with)\b[^\n\"'#]*:)[ \t]*(?=from|import)", re.M)
_COMMENT, _ALIAS, _WORD = re.compile(rb"#[^\n]*"), re.compile(rb"\bas[ \t]+\w+"), re.compile(rb"\w+")

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent


def closure(modules: Iterable[str], without: Iterable[str] = (), plugin: str | None = None) -> dict[str, str]:
    """SHA-256 of every file of this package that ``modules`` import, directly or not, by path.

    Args:
        modules: dotted names inside the package.
        without: dotted names of rooms that are not followed: what is imported but has no say in the result.
        plugin: ``module:Class`` of a person's own; its files (``plugin_files``), and what those import of this
            package, are part of the truth too.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    excluded = tuple(without)
    if plugin is not None:
        waiting.append(plugin.partition(":")[0])  # it may be of this package
        for name, file in plugin_files(plugin).items():
            source = file.read_bytes()
            found[name] = hashlib.sha256(source).hexdigest()
            waiting.extend(imports_of(_plain(source)) if file.suffix == ".py" else ())
    while waiting:
        name = waiting.pop()
        if name.startswith(excluded):
            continue
        path = _file_of(name) if _is_ours(name) else None
        if path is None or str(path.relative_to(ROOT)) in found:
            continue
        source = path.read_bytes()
        found[str(path.relative_to(ROOT))] = hashlib.sha256(source).hexdigest()
        waiting.extend(imports_of(source))
    return dict(sorted(found.items()))


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Names of files that differ, are new, or are gone."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def plugin_file(plugin: str) -> Path | None:
    """The file of the module in ``module:Class``, found without importing anything."""
    module = plugin.partition(":")[0]
    return _places(module).get(module)


def plugin_files(plugin: str) -> dict[str, Path]:
    """Files of a person's own that the module in ``module:Class`` imports, directly or not, and its own.

    By their path below the folder where Python looks for them, which is unlike any other's: two modules of one name
    cannot both be imported. What is installed is left out, unless it is of the plug-in's own package. What is
    imported by a name that is computed is not found.
    """
    start = plugin.partition(":")[0]
    top = start.partition(".")[0]
    found: dict[str, Path] = {}
    waiting, seen = [start], set()
    while waiting:
        wanted = waiting.pop()
        if wanted in seen or _is_ours(wanted):
            continue
        seen.add(wanted)
        for name, path in _places(wanted).items():
            is_package = path.name.startswith("__init__.")
            folders = name.split(".") if is_package else name.split(".")[:-1]
            key = "/".join([*folders, path.name])
            if key in found or (name.partition(".")[0] != top and is_installed(path)):
                continue
            found[key] = path
            if path.suffix == ".py":
                waiting.extend(_absolute(imported, folders) for imported in _imports(_plain(path.read_bytes())))
    return dict(sorted(found.items()))


def _places(module: str) -> dict[str, Path]:
    """The file of a module and those of the packages that it lies in, outermost first, found without importing."""
    places: list[str] | None = None
    found: dict[str, Path] = {}
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            break
        if spec.origin:
            found[name] = Path(spec.origin)
        places = list(spec.submodule_search_locations or [])
    return found


def _absolute(imported: str, folders: list[str]) -> str:
    """A dotted name as a module in the package ``folders`` imports it; leading dots are steps up."""
    inner = imported.lstrip(".")
    steps = len(imported) - len(inner)
    return ".".join([*folders[: len(folders) - steps + 1], inner]).rstrip(".") if steps else imported


def is_installed(path: Path) -> bool:
    """Whether it lies where packages are installed: not so of an editable one."""
    places = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")]
    parents = path.resolve().parents
    # Those of the system and of the user's home may be on the path besides.
    return any(place in parents for place in places) or any(
        parent.name in ("site-packages", "dist-packages") for parent in parents
    )


@lru_cache(maxsize=512)
def imports_of(source: bytes) -> tuple[str, ...]:
    """Dotted names in this package that a module imports, sorted; those of single objects among them."""
    return tuple(sorted(filter(_is_ours, _imports(source))))


def _plain(source: bytes) -> bytes:
    """With every import statement in a line of its own, or in brackets."""
    return _INNER.sub(b"\n", _BROKEN.sub(b" ", source))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE.name


def _imports(source: bytes) -> set[str]:
    """Every dotted name that is imported, as it is written; those of single objects among them."""
    names: set[bytes] = set()
    for module, listed in _FROM.findall(source):
        # ``from package import module`` and ``from module import name`` look alike.
        imported = _WORD.findall(_ALIAS.sub(b"", _COMMENT.sub(b"", listed)))
        inside = module if module.endswith(b".") else module + b"."
        names.update([module, *(inside + name for name in imported)])
    for listed in _IMPORT.findall(source):
        names.update(part.split()[0] for part in listed.split(b",") if part.strip())
    return {name.decode(errors="replace") for name in names}


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
