"""Where a version of a data set lies, from the flags that say where data lie.

A data set ``NAME`` in version ``PREPROC`` is looked for, in this order, at

    --data_paths NAME=DIR                       the publisher's own folder, or a tar or zip; the original version only
    {tar_dir}/{preproc}/{NAME}.tar, .zip        if staging is asked for
    {data_dir}/{preproc}/{NAME}/
    {tar_dir}/{preproc}/{NAME}.tar, .zip        read in place
    {tar_dir}/{preproc}/{NAME}.array_record/

``--storage`` leaves only those of one kind. Data sets whose publisher fixes how they are stored (``FOUND_BY_LAYOUT``)
have places of their own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, cast

from seqtrack.config import Config, stage_mode, storage
from seqtrack.data.formats import DatasetName
from seqtrack.data.storage import Frames
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.data.storage.zipscan import is_zip
from seqtrack.errors import UserError

StageMode = Literal["none", "untar", "tar", "memory"]
Kind = Literal["dir", "tar", "zip", "array_record"]
Storage = Literal["auto", "dir", "tar", "zip", "array_record"]
ARCHIVES: tuple[Kind, ...] = ("tar", "zip")
ORIGINAL = "original"


@dataclass(frozen=True)
class Locations:
    """Where data may lie and how they are brought to this node; one field per flag."""

    data_dir: Path | None = None
    data_paths: Mapping[str, Path] = field(default_factory=dict)
    tar_dir: Path | None = None
    tmp_data_dir: str | None = None
    stage_mode: StageMode = "none"
    preproc: str = ORIGINAL
    cache_dir: Path = Path("dataset_cache")
    """``--data_cache_dir``."""
    keep: bool = True
    """``--tmp_keep``: whether staged copies stay for the next job."""
    storage: Storage = "auto"


def locations_of(config: Config) -> Locations:
    """What a configuration says about places."""
    execution = config.execution
    return Locations(
        data_dir=execution.data_dir,
        data_paths={name: Path(path) for name, path in execution.data_paths.items()},
        tar_dir=execution.tar_dir,
        tmp_data_dir=execution.tmp_data_dir,
        stage_mode=stage_mode(execution),  # type: ignore[arg-type]
        preproc=config.train.preproc,
        cache_dir=execution.data_cache_dir,
        keep=execution.tmp_keep,
        storage=storage(execution),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Source:
    """Where one version of a data set was found."""

    name: DatasetName
    preproc: str
    path: Path
    kind: Kind
    stage_mode: StageMode = "none"
    """How it is brought to the node first; ``none`` for a folder."""

    def tree(self, cache_dir: Path | None = None) -> DirectoryTree | TarTree:
        if (own := own_storage(self.name, self.preproc)) is not None:
            return own.tree(self, cache_dir)
        if self.kind == "array_record":
            from seqtrack.data.storage.recordset import RecordTree

            return RecordTree(self.path, self.name.folder)
        if self.kind in ARCHIVES:
            return TarTree(self.path, self.name.folder, cache_dir)
        return DirectoryTree(self.path, self.name.folder)


class Pictures(NamedTuple):
    """Where the frames of such a data set lie: an archive to be opened (and staged), or frames that are open."""

    archive: Path | None = None
    frames: Frames | None = None


class OwnStorage(Protocol):
    """A module for a layout whose publisher fixes how pictures are stored, not only which files lie where."""

    def find(self, name: DatasetName, locations: Locations) -> Source:
        """UserError that names every place looked in."""

    def tree(self, source: Source, cache_dir: Path | None) -> DirectoryTree: ...

    def pictures(self, source: Source, cache_dir: Path | None, kind: Storage) -> Pictures: ...


FOUND_BY_LAYOUT = {"clean": "seqtrack.data.storage.cropset", "tfds": "seqtrack.data.storage.tfdsset"}


def own_storage(name: DatasetName, preproc: str) -> OwnStorage | None:
    """The original of such a data set; its preprocessed versions are stored like everybody's."""
    module = FOUND_BY_LAYOUT.get(name.layout) if preproc == ORIGINAL else None
    return None if module is None else cast(OwnStorage, importlib.import_module(module))


class _Place(NamedTuple):
    path: Path
    kind: Kind
    flag: str

    def is_there(self) -> bool:
        return self.path.is_file() if self.kind in ARCHIVES else self.path.is_dir()

    def __str__(self) -> str:
        return f"{self.path}{'' if self.kind in ARCHIVES else '/'}"


def places(name: DatasetName, locations: Locations) -> Iterator[_Place]:
    """Every place of this version but ``--data_paths``, in order; those to be staged come first and again last."""

    def wanted(path: Path, kind: Kind, flag: str) -> Iterator[_Place]:
        if locations.storage in ("auto", kind):
            yield _Place(path, kind, flag)

    tars = locations.tar_dir.expanduser() / locations.preproc if locations.tar_dir else None
    if tars is not None and locations.stage_mode != "none":
        for kind in ARCHIVES:
            yield from wanted(tars / f"{name.folder}.{kind}", kind, "--tar_dir")
    if locations.data_dir is not None:
        yield from wanted(locations.data_dir.expanduser() / locations.preproc / name.folder, "dir", "--data_dir")
    if tars is not None:
        for kind in (*ARCHIVES, "array_record"):
            yield from wanted(tars / f"{name.folder}.{kind}", kind, "--tar_dir")


def given_path(name: DatasetName, locations: Locations) -> Path | None:
    """What ``--data_paths`` says of this data set; it is of the original version. UserError if it is not there."""
    given = locations.data_paths.get(name.folder)
    if given is None or locations.preproc != ORIGINAL:
        return None
    given = Path(given).expanduser()
    if not given.exists():
        raise UserError(
            f"--data_paths: {name.folder}={given} is not there; expected the data set's folder, tar or zip"
        )
    return given


def locate(name: DatasetName, locations: Locations) -> Source:
    """Where this version of the data set lies.

    Raises:
        UserError: nowhere; names every place looked in.
    """
    if (own := own_storage(name, locations.preproc)) is not None:
        return own.find(name, locations)
    if (given := given_path(name, locations)) is not None:
        kind = _kind_of(given)
        if locations.storage not in ("auto", kind):
            raise UserError(f"--storage={locations.storage}: --data_paths {name.folder}={given} is of kind {kind}")
        return Source(name, locations.preproc, given, kind, locations.stage_mode if kind in ARCHIVES else "none")
    looked = list(places(name, locations))
    for place in looked:
        if place.is_there():
            staged = locations.stage_mode if place.kind in ARCHIVES else "none"
            return Source(name, locations.preproc, place.path, place.kind, staged)
    raise not_found(name, [f"{place} ({place.flag})" for place in looked], locations)


def not_found(name: DatasetName, looked: list[str], locations: Locations) -> UserError:
    if name.folder in locations.data_paths and locations.preproc != ORIGINAL:
        made = f"{locations.preproc}/{name.folder}.tar"
        also = f" (looked for {' and '.join(dict.fromkeys(looked))})" if looked else ""
        return UserError(
            f"data set {name}: --data_paths has its original version; for --preproc {locations.preproc} give the"
            f" folder of {made} as --tar_dir{also}"
        )
    if not looked:
        only = "" if locations.storage == "auto" else f" of kind --storage={locations.storage}"
        return UserError(
            f"data set {name}: nowhere to look for it{only}; give --data_dir, --tar_dir,"
            f" or --data_paths {name.folder}=DIR"
        )
    return UserError(f"data set {name}: not found; looked for {' and '.join(dict.fromkeys(looked))}")


def _kind_of(path: Path) -> Kind:
    if path.is_dir():
        return "array_record" if path.suffix == ".array_record" else "dir"
    return "zip" if is_zip(path) else "tar"


def located(name: DatasetName, locations: Locations, preproc: str) -> Source | None:
    """Where this version lies, unstaged, however it is stored; None if nowhere."""
    with contextlib.suppress(UserError):
        return locate(name, dataclasses.replace(locations, preproc=preproc, stage_mode="none", storage="auto"))
    return None


def places_of_original(name: DatasetName, locations: Locations) -> str:
    """For messages: where the original version is looked for."""
    original = dataclasses.replace(locations, preproc=ORIGINAL, stage_mode="none", storage="auto")
    found = [str(place) for place in places(name, original)]
    return " or ".join(found) or f"--data_paths {name.folder}=DIR"
