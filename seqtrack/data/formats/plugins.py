"""Layouts of people's own: installed packages that name one in the entry-point group ``seqtrack.layouts``.

Looked up only for a name that is not a layout of ours: reading the metadata of every installed package takes a while.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import DataError, SeqtrackError, UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from seqtrack.data.formats import Layout, Sizes, Tree, VideoAnnotation

GROUP = "seqtrack.layouts"
_NEEDED = ("EXPECTED", "find", "read")


@functools.cache
def plugin_layouts() -> dict[str, EntryPoint]:
    """By name of the layout. UserError where two packages give one name to different things."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        known = found.setdefault(point.name, point)
        if known.value != point.value:
            raise UserError(
                f"layout {point.name!r} is {known.value} in {package_of(known)} and {point.value} in"
                f" {package_of(point)}; remove one of these packages"
            )
    return found


def load(layout: str) -> Layout:
    """What a package registered: a module, or an object, with all that ``Layout`` asks for. UserError otherwise."""
    point = plugin_layouts().get(layout)
    if point is None:
        raise UserError(f"layout {layout!r} is neither ours nor in the group {GROUP} of a package that is installed")
    where = f"layout {layout!r} ({point.value} in {package_of(point)})"
    try:
        loaded: Any = point.load()
    except (ImportError, AttributeError, SyntaxError) as error:
        raise UserError(f"{where}: cannot import it ({error}); mend or reinstall the package") from error
    missing = [name for name in _NEEDED if not hasattr(loaded, name)]
    if missing:
        raise UserError(f"{where}: it has no {' and no '.join(missing)}; see docs/datasets.md for what a layout has")
    return _Guarded(loaded, where)


class _Guarded:
    """A person's own layout, whose bugs are told as what they are."""

    def __init__(self, layout: Any, where: str) -> None:
        self._layout, self._where = layout, where
        self.EXPECTED: str = layout.EXPECTED

    def find(self, tree: Tree, part: str) -> Iterator[Any]:
        with self._telling("find"):
            yield from self._layout.find(tree, part)

    def read(self, tree: Tree, entry: Any, sizes: Sizes) -> VideoAnnotation:
        with self._telling("read"):
            video: VideoAnnotation = self._layout.read(tree, entry, sizes)
            return video

    @contextlib.contextmanager
    def _telling(self, function: str) -> Iterator[None]:
        try:
            yield
        except (SeqtrackError, RecursionError):
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise DataError(
                f"{self._where}: its {function} fails with {type(error).__name__}: {error}"
                f" ({last.filename}, line {last.lineno}); mend the layout, or raise DataError for data that are wrong"
            ) from error


def module_file(layout: str) -> Path:
    """The file of the module that a package registered, or that has the object it did."""
    load(layout)
    return Path(str(importlib.import_module(plugin_layouts()[layout].module).__file__))


def package_of(point: EntryPoint) -> str:
    """Its name and version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
