"""Where TFDS builders lie (the layout ``tfds``), and their records as files.

``tfds:NAME[/CONFIG][/VERSION][/SPLIT]`` is looked for, in this order, at

    --data_paths NAME[-CONFIG…]=DIR      the builder's folder (``dataset_info.json``), or one that holds it as below
    {data_dir}/{NAME}/[{CONFIG}/]{VERSION}/
    $TFDS_DATA_DIR or ~/tensorflow_datasets, likewise

The newest version that is there, unless one is named; all splits, unless one is named. A record is called
``{split}/{record}``, its picture ``{split}/{record}.image``, frame t of its video ``{split}/{record}/{t}.image``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqtrack.data.formats import DatasetName, Listing
from seqtrack.data.locations import Locations, Pictures, Source, Storage, given_path, not_found
from seqtrack.data.storage.builders import open_builder
from seqtrack.data.storage.records import FEATURES, INFO, parse
from seqtrack.data.storage.tarscan import tar_digest
from seqtrack.data.storage.trees import DirectoryTree, Seen, size_and_time
from seqtrack.errors import DataError, UserError

DIGESTS = "shards.json"
"""A file that is not there: the digest of each shard, so that other labels are another source of an index."""
PICTURE = ".image"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NAME = re.compile(r"([^/]+)/(\d+)(?:/\d+)?(?:\.image)?")


def find(name: DatasetName, locations: Locations) -> Source:
    """As ``locations.locate``."""
    if locations.storage not in ("auto", "array_record"):
        raise UserError(f"--storage={locations.storage}: data set {name} is of kind array_record")
    roots = []
    if (given := given_path(name, locations)) is not None:
        roots.append((given, "--data_paths"))
    else:
        if locations.data_dir is not None:
            roots.append((locations.data_dir.expanduser(), "--data_dir"))
        default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
        roots.append((Path(default).expanduser(), "TFDS_DATA_DIR"))
    builder, *words = name.part.split("/")
    for root, flag in roots:
        for folder in (root, *_below(root / builder, words)):
            if (folder / INFO).is_file() and (folder != root or flag == "--data_paths"):
                return Source(name, locations.preproc, folder, "array_record")
    looked = [f"{root}/{'/'.join([builder, *words])}/…/{INFO} ({flag})" for root, flag in roots]
    raise not_found(name, looked, locations)


def _below(root: Path, words: Sequence[str]) -> Iterator[Path]:
    """Folders of versions below a builder's, as these words say; newest first. A last word may be a split."""
    for count in (len(words), len(words) - 1):
        if count >= 0:
            folder = root.joinpath(*words[:count])
            yield folder
            versions = [path for path in folder.glob("*.*.*") if _VERSION.fullmatch(path.name)]
            yield from sorted(versions, key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)


def tree(source: Source, cache_dir: Path | None) -> DirectoryTree:
    return RecordsTree(source)


def pictures(source: Source, cache_dir: Path | None, kind: Storage) -> Pictures:
    return Pictures(frames=open_pictures(source.path))


class Records:
    """The records of all splits of a builder."""

    def __init__(self, folder: Path) -> None:
        self.builder = open_builder(folder)

    def read(self, name: str) -> bytes:
        """A record by ``{split}/{record}…``."""
        found = _NAME.fullmatch(name)
        if found is None or found.group(1) not in self.builder.splits:
            raise DataError(f"{self.builder.folder}: {name}: no such record; is the data set complete?")
        return self.builder.splits[found.group(1)].read(int(found.group(2)))

    def close(self) -> None:
        for shards in self.builder.splits.values():
            shards.close()


class RecordsTree(DirectoryTree):
    """A builder's folder, and its records as files without a suffix."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.path, source.name.folder)
        self._source = source
        self._records: Records | None = None

    def __reduce__(self) -> tuple[type[RecordsTree], tuple[Any, ...]]:
        return RecordsTree, (self._source,)

    @property
    def records(self) -> Records:
        if self._records is None:
            self._records = Records(self.root)
        return self._records

    def files(self) -> Sequence[str]:
        return [INFO, DIGESTS, FEATURES]

    def list(self, folder: str = "") -> Listing:
        return Listing([], [] if folder else [INFO, DIGESTS, FEATURES])

    def read(self, name: str) -> bytes:
        if name == DIGESTS:
            return json.dumps({path.name: tar_digest(path) for path in self._shards()}).encode()
        return super().read(name) if name in (INFO, FEATURES) else self.records.read(name)

    def _shards(self) -> Sequence[Path]:
        return sorted(self.root.glob("*.array_record*"))

    def read_head(self, name: str, size: int) -> bytes:
        return self.read(name)[:size]

    def describe(self, name: str) -> str:
        return f"{self.root}: {name}"

    def stamp(self, seen: Seen) -> dict[str, Any]:
        files = [self.root / INFO, self.root / FEATURES, *self._shards()]
        return {"folders": {}, "files": {path.name: size_and_time(path) for path in files}}


class PictureFrames:
    """Frames inside records. The last record stays parsed: frames of one video are asked for one after another."""

    def __init__(self, folder: Path) -> None:
        from seqtrack.data.formats.tfds import structure

        self.folder = folder
        self._records = Records(folder)
        self._key = structure(self._records.builder.leaves, str(folder)).picture.key
        self._last: tuple[str, Any] = ("", None)

    def __reduce__(self) -> tuple[Callable[..., PictureFrames], tuple[Any, ...]]:
        return open_pictures, (self.folder,)

    def read(self, name: str) -> bytes:
        record_name, slash, _ = name.rpartition("/") if name.count("/") > 1 else (name, "", "")
        if self._last[0] != record_name or not slash:
            self._last = (record_name, parse(self._records.read(name), self.describe(name)))
        values = self._last[1][self._key].bytes_list.value
        frame = int(name.rpartition("/")[2].removesuffix(PICTURE)) if slash else 0
        if frame >= len(values):
            raise DataError(f"{self.describe(name)}: the record has {len(values)} pictures; prepare it again")
        return bytes(values[frame])

    def describe(self, name: str) -> str:
        return f"{self.folder}: {name}"

    def close(self) -> None:
        self._records.close()


def open_pictures(folder: Path) -> PictureFrames:
    return PictureFrames(folder)
