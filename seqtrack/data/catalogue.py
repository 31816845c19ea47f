"""Which data sets there are: those that the field knows by name, and a person's own, with what is here of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seqtrack.data.formats import DatasetName, all_layouts, parse_dataset_name, plugins
from seqtrack.data.formats.published import PUBLISHED, Published
from seqtrack.data.indexing.index import CachedIndex, Totals
from seqtrack.data.locations import ORIGINAL, Locations, Source, located
from seqtrack.data.preprocessing.versions import parse_version
from seqtrack.errors import UserError

ARCHIVES = (".tar", ".zip")


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: as a flag spells it; of a folder whose layout nobody has said yet, ``?:FOLDER``.
        found: where each version lies, the original first.
        totals: from the index that was made last; None where there is none yet.
    """

    name: str
    published: Published
    found: tuple[Source, ...]
    totals: Totals | None


def catalogue(locations: Locations) -> list[Entry]:
    """Every published name, then what else lies where data are looked for, by name, then the layouts of people's own
    that are installed.

    Builds no index and opens no data. UserError where a flag names what is no folder.
    """
    versions = _versions(locations)
    here = {name for version in versions for name in _names_in(version, locations)} | {*locations.data_paths}
    others = [name for folder in sorted(here - {*PUBLISHED}) for name in _readings(folder, locations)]
    entries = [
        entry_of(name, locations, versions) for name in [*(parse_dataset_name(name) for name in PUBLISHED), *others]
    ]
    return entries + [
        Entry(f"{layout}:FOLDER", Published(layout, home=f"installed with {plugins.package_of(point)}"), (), None)
        for layout, point in plugins.plugin_layouts().items()
    ]


def _readings(folder: str, locations: Locations) -> list[DatasetName]:
    """The folder in each layout that it has been read in."""
    names = [DatasetName(layout, folder) for layout in all_layouts()]
    read = [name for name in names if CachedIndex(name, locations.cache_dir).known()]
    return read or [DatasetName("?", folder)]


def entry_of(name: DatasetName, locations: Locations, versions: list[str] | None = None) -> Entry:
    """What is here of one data set."""
    versions = _versions(locations) if versions is None else versions
    found = [located(name, locations, version) for version in versions]
    newest = CachedIndex(name, locations.cache_dir).newest()
    return Entry(
        name=str(name),
        published=PUBLISHED[name.folder] if str(name) in PUBLISHED else Published(name.layout, name.part),
        found=tuple(source for source in found if source is not None),
        totals=newest.totals() if newest else None,
    )


def one_level_off(locations: Locations) -> list[str]:
    """What to tell whoever gave the folder of data sets where the folder of their versions is meant; a line each."""
    return [
        f"--{flag}: {place}: expected folders of versions in it ({locations.preproc}/, …), each with data sets;"
        f" found {', '.join(names[:3])}{', …' if len(names) > 3 else ''}, so nothing is listed from here"
        for flag, place in _places(locations).items()
        if not _has_versions(place, locations)
        and (names := sorted(name for name, is_folder in _listing(place) if is_folder or _is_archive(name)))
    ]


def _has_versions(place: Path, locations: Locations) -> bool:
    """Whether any folder is named like a version; then others are versions too, which may have any name."""
    return any(
        is_folder and (name in (ORIGINAL, locations.preproc) or _can_be_made(name))
        for name, is_folder in _listing(place)
    )


def _can_be_made(version: str) -> bool:
    with contextlib.suppress(UserError):
        return bool(parse_version(version))
    return False


def _versions(locations: Locations) -> list[str]:
    """Names of all versions that anything is there of, the original first."""
    places = [place for place in _places(locations).values() if _has_versions(place, locations)]
    names = {name for place in places for name, is_folder in _listing(place) if is_folder}
    return [ORIGINAL, *sorted(names - {ORIGINAL})]


def _names_in(version: str, locations: Locations) -> Iterator[str]:
    for flag, place in _places(locations).items():
        for name, is_folder in _listing(place / version):
            if is_folder and flag == "data_dir":
                yield name
            elif _is_archive(name) and flag == "tar_dir":
                yield Path(name).stem


def _is_archive(name: str) -> bool:
    return Path(name).suffix in ARCHIVES


def _places(locations: Locations) -> dict[str, Path]:
    """Flag → folder of versions. UserError where it is none."""
    given = {"data_dir": locations.data_dir, "tar_dir": locations.tar_dir}
    places = {flag: place.expanduser() for flag, place in given.items() if place is not None}
    for flag, place in places.items():
        if not os.path.isdir(place):  # noqa: PTH112 (false, where Path's raises for what may not be looked at)
            raise UserError(f"--{flag}: {place} is {'not a folder' if os.path.lexists(place) else 'not there'}")
    return places


def _listing(folder: Path) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of what lies there and is not hidden; nothing where there is no such folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            with os.scandir(folder) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
        except PermissionError as error:
            raise UserError(f"{folder}: cannot list it ({error.strerror})") from error
    return []
