"""``cache/code/<tree>/``: the code as it was when a job was submitted, shared by all runs of the same code.

Jobs start there, so the checkout may change while they wait. The folder is named by its content, so it is made
once, and whatever lies under that name is checked before it is used again. In a git repository it is the whole tree
as ``repository.take`` found it, else this package.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from seqtrack.errors import UserError
from seqtrack.runs import atomic, code, repository
from seqtrack.runs.identity import digest
from seqtrack.runs.repository import Snapshot

TREE_DIGITS = 16
MAX_PLUGIN_BYTES = 100 << 20


def freeze(cache_dir: Path, plugins: Iterable[str] = (), found: Snapshot | None = None) -> Path:
    """The folder that jobs start in: this package, and a person's own models beside it, as they are now.

    Args:
        plugins: ``module:Class`` of models of one's own. The top-level module or package of each is frozen too, with
            whatever files lie in it, unless it is installed; so are those beside it that it imports. What it imports
            from elsewhere is found where the command was given, unfrozen.
        found: what git has of the code, if it has; of any moment, not only of now.

    Raises:
        UserError: the cache folder cannot be written.
        LookupError: the repository at ``found.root`` does not have that tree.
    """
    beside = {name: data for plugin in plugins for name, data in _plugin_sources(plugin).items()}
    if found is None or found.tree is None:
        files = {f"{code.PACKAGE.name}/{name}": data for name, data in _sources(code.PACKAGE).items()} | beside
        hashes = _hashes_of(files)
        return _place(cache_dir / "code" / digest(hashes)[:TREE_DIGITS], files, hashes, None)
    name = digest([found.tree, _hashes_of(beside)])[:TREE_DIGITS] if beside else found.tree[:TREE_DIGITS]
    tree, inside = cache_dir / "code" / name, Path(found.inside)
    beside = {str(inside / file): data for file, data in beside.items()}
    return _place(tree, beside, _recorded(tree), found) / inside


def _place(tree: Path, files: dict[str, bytes], expected: dict[str, str] | None, found: Snapshot | None) -> Path:
    """``tree`` with everything in it, made if it is not there or not as ``expected``."""
    if expected is not None and _hashes(tree) == expected:
        return tree
    try:
        if tree.exists():  # damaged, or added to
            doomed = atomic.temporary_beside(tree)
            os.rename(tree, doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        with atomic.replacing_folder(tree) as temporary:
            if found is not None and found.tree is not None:
                repository.check_out(Path(found.root), found.tree, temporary)
                for name in found.submodules:
                    if not any((temporary / name).glob("*")):
                        raise LookupError(f"{found.root} does not have its submodule {name}")
            for name, data in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            if found is not None:  # before the folder: one without its record is made anew
                atomic.write_json(_record(tree), _hashes(temporary))
    except OSError as error:
        raise UserError(f"--cache_dir: cannot keep the code in {tree} ({error.strerror})") from error
    return tree


def _record(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.json")


def _recorded(tree: Path) -> dict[str, str] | None:
    """What was checked out there: only git knows how files look on this machine (line ends, filters)."""
    try:
        return dict(json.loads(_record(tree).read_text()))
    except (OSError, ValueError):
        return None


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
    """The top-level module or package of the plug-in, and those that it imports from the same folder."""
    module, path = plugin.partition(":")[0], code.plugin_file(plugin)
    if path is None or code.is_installed(path):
        return {}
    below = len(module.split(".")) - (path.name != "__init__.py")
    folder = path.parents[below]
    tops = {name.partition("/")[0] for name, file in code.plugin_files(plugin).items() if file == folder / name}
    found = {}
    for top in sorted(tops):
        files = {"": (folder / top).read_bytes()} if (folder / top).is_file() else _package_files(folder / top)
        found.update({top + ("/" + name if name else ""): data for name, data in files.items()})
    return found


def _hashes_of(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


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
