"""``cache/code/<tree>/``: the code as it was when a job was submitted, shared by all runs of the same code.

Jobs start there, so the checkout may change while they wait. The folder is named by its content, so it is made
once, and whatever lies under that name is checked before it is used again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sysconfig
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.runs import atomic, code
from seqtrack.runs.identity import digest

TREE_DIGITS = 16
MAX_PLUGIN_BYTES = 100 << 20


def freeze(cache_dir: Path, plugin: str | None = None) -> Path:
    """The folder with this package, and a person's own model beside it, as they are now.

    Args:
        plugin: ``module:Class`` of a model of one's own. Its top-level module or package is frozen too, with
            whatever files lie in it, unless it is installed; what that imports from beside it is found where the
            command was given, unfrozen.

    Raises:
        UserError: the cache folder cannot be written.
    """
    files = {f"{code.PACKAGE.name}/{name}": data for name, data in _sources(code.PACKAGE).items()}
    files.update(_plugin_sources(plugin) if plugin else {})
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    tree = cache_dir / "code" / digest(hashes)[:TREE_DIGITS]
    if _hashes(tree) == hashes:
        return tree
    try:
        if tree.exists():  # damaged, or added to
            doomed = atomic.temporary_beside(tree)
            os.rename(tree, doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        with atomic.replacing_folder(tree) as temporary:
            for name, data in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except OSError as error:
        raise UserError(f"--cache_dir: cannot keep the code in {tree} ({error.strerror})") from error
    return tree


def _sources(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def _package_files(folder: Path) -> dict[str, bytes]:
    """All of a person's package: a tracker may read a table, or load a library, that lies beside its modules."""
    found, size = {}, 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not _is_by_product(name):
            size += path.stat().st_size
            if size > MAX_PLUGIN_BYTES:
                raise UserError(
                    f"--model: {folder} holds more than {MAX_PLUGIN_BYTES >> 20} MB, and jobs get a copy of it;"
                    " keep data elsewhere"
                )
            found[str(name)] = path.read_bytes()
    return found


def _is_by_product(name: Path) -> bool:
    return name.suffix == ".pyc" or any(part == "__pycache__" or part.startswith(".") for part in name.parts)


def _plugin_sources(plugin: str) -> dict[str, bytes]:
    path = code.plugin_file(plugin)
    if path is None or _is_installed(path):
        return {}
    *packages, _ = plugin.partition(":")[0].split(".")
    if not packages and path.name != "__init__.py":
        return {path.name: path.read_bytes()}
    top = path.parents[len(packages) - 1 if path.name != "__init__.py" else len(packages)]
    return {f"{top.name}/{name}": data for name, data in _package_files(top).items()}


def _is_installed(path: Path) -> bool:
    places = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")]
    return any(place in path.resolve().parents for place in places)


def _hashes(tree: Path) -> dict[str, str] | None:
    """Of every file there; None where there is no such folder. What Python adds beside them does not count."""
    if not tree.is_dir():
        return None
    names = [path.relative_to(tree) for path in sorted(tree.rglob("*")) if path.is_file()]
    return {
        str(name): hashlib.sha256((tree / name).read_bytes()).hexdigest()
        for name in names
        if not _is_by_product(name)
    }
