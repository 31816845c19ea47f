"""Where a version of a data set lies, from the flags that say where data lie.

A data set ``NAME`` in version ``PREPROC`` is looked for, in this order, at

    --data_paths NAME=DIR              the publisher's own folder (or a tar); the original version only
    {tar_dir}/{preproc}/{NAME}.tar     if staging is asked for
    {data_dir}/{preproc}/{NAME}/
    {tar_dir}/{preproc}/{NAME}.tar     read in place
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seqtrack.config import Config, stage_mode
from seqtrack.data.formats import DatasetName
from seqtrack.data.trees import DirectoryTree, TarTree
from seqtrack.errors import UserError

StageMode = Literal["none", "untar", "tar"]
Kind = Literal["dir", "tar"]
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
        if self.kind == "tar":
            return TarTree(self.path, self.name.folder, cache_dir)
        return DirectoryTree(self.path, self.name.folder)


def locate(name: DatasetName, locations: Locations) -> Source:
    """Where this version of the data set lies.

    Raises:
        UserError: nowhere; names every place looked in.
    """
    folder, preproc = name.folder, locations.preproc
    looked = []
    given = locations.data_paths.get(folder)
    if given is not None and preproc == ORIGINAL:
        given = Path(given).expanduser()
        if not given.exists():
            raise UserError(f"--data_paths: {folder}={given} is not there; expected the data set's folder or tar")
        kind: Kind = "tar" if given.is_file() else "dir"
        return Source(name, preproc, given, kind, locations.stage_mode if kind == "tar" else "none")
    tar = locations.tar_dir.expanduser() / preproc / f"{folder}.tar" if locations.tar_dir else None
    if tar is not None and locations.stage_mode != "none" and tar.is_file():
        return Source(name, preproc, tar, "tar", locations.stage_mode)
    if locations.data_dir is not None:
        directory = locations.data_dir.expanduser() / preproc / folder
        if directory.is_dir():
            return Source(name, preproc, directory, "dir")
        looked.append(f"{directory}/ (--data_dir)")
    if tar is not None:
        if tar.is_file():
            return Source(name, preproc, tar, "tar")
        looked.append(f"{tar} (--tar_dir)")
    if not looked:
        raise UserError(
            f"data set {name}: nowhere to look for it; give --data_dir, --tar_dir, or --data_paths {folder}=DIR"
        )
    raise UserError(f"data set {name}: not found; looked for {' and '.join(looked)}")


def located(name: DatasetName, locations: Locations, preproc: str) -> Source | None:
    """Where this version lies, unstaged; None if nowhere."""
    with contextlib.suppress(UserError):
        return locate(name, dataclasses.replace(locations, preproc=preproc, stage_mode="none"))
    return None


def places_of_original(name: DatasetName, locations: Locations) -> str:
    """For messages: where the original version is looked for."""
    places = []
    if locations.data_dir is not None:
        places.append(f"{locations.data_dir / ORIGINAL / name.folder}/")
    if locations.tar_dir is not None:
        places.append(str(locations.tar_dir / ORIGINAL / f"{name.folder}.tar"))
    return " or ".join(places) or f"--data_paths {name.folder}=DIR"
