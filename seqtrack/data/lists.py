"""``NAME@FILE``: a data set restricted to the sequences that a file lists, one per line, in any order.

A line is a sequence's name, or the last part of it (``airplane-1`` for ``airplane/airplane-1``). A file of whole
numbers only gives rows, counted from 0, of the sequences as their publisher orders them; so do the split files of LTR
(visionml/pytracking, ``ltr/data_specs/got10k_vottrain_split.txt``: SPOT's ``vottrain``). ``#`` begins a comment.

The index stays that of the whole data set. A list counts by what it says, not by where it lies: its digest is the
same whatever the order of lines and the comments.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from seqtrack.data.formats import DatasetName, parse_dataset_name
from seqtrack.errors import UserError
from seqtrack.schema import nearest

MARK = "@"
DIGEST_DIGITS = 8  # of a list's digest, in the name of what it makes of a data set
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ROW = re.compile(r"0|[1-9][0-9]{0,17}")
_UNPRINTED = re.compile(r"[^A-Za-z0-9_.+]+")


class Videos(Protocol):
    """What is needed of ``seqtrack.data.indexing.index.Index``."""

    @property
    def name(self) -> str: ...
    @property
    def num_videos(self) -> int: ...
    def video_name(self, video: int, /) -> str: ...


@dataclass(frozen=True)
class VideoList:
    """What a file lists.

    Attributes:
        file: as a person named it.
        entries: what its lines say, sorted, each once.
    """

    file: str
    entries: tuple[str, ...]

    @property
    def text(self) -> str:
        """The file without what does not matter."""
        return "".join(f"{entry}\n" for entry in self.entries)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def label(self) -> str:
        """For names of folders: of the file, and of its content."""
        return f"{_UNPRINTED.sub('_', Path(self.file).stem)}-{self.sha256[:DIGEST_DIGITS]}"

    def members(self, index: Videos) -> list[int]:
        """The videos (numbers, increasing) of a data set that are listed. UserError names one that is not there."""
        names = [index.video_name(video) for video in range(index.num_videos)]
        numbers: dict[str, list[int]] = {}
        for video, name in enumerate(names):
            for called in {name, name.rpartition("/")[2]}:
                numbers.setdefault(called, []).append(video)
        if all(_ROW.fullmatch(entry) and entry not in numbers for entry in self.entries):
            return self._rows(index)
        return sorted({self._find(entry, names, numbers, index.name) for entry in self.entries})

    def _rows(self, index: Videos) -> list[int]:
        rows = sorted({int(entry) for entry in self.entries})
        if rows[-1] >= index.num_videos:
            raise UserError(
                f"{self.file}: row {rows[-1]} is beyond the {index.num_videos} sequences of {index.name}, which are"
                " counted from 0; is the list of another version of it?"
            )
        return rows

    def _find(self, entry: str, names: list[str], numbers: dict[str, list[int]], dataset: str) -> int:
        found = numbers.get(entry, [])
        exact = [video for video in found if names[video] == entry]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            meant = " or ".join(names[video] for video in found[:4])
            raise UserError(f"{self.file}: {entry!r} may mean {meant} of {dataset}; give the whole name")
        raise UserError(f"{self.file}: {dataset} has no sequence {entry!r}; {nearest(entry, names)}")


def read_list(path: Path, file: str) -> VideoList:
    """The list at ``path``, which a person called ``file``. UserError where there is none, or nothing in it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{file}: cannot read this list of sequences ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not a text file; expected one sequence per line") from error
    entries = {_COMMENT.sub("", line).strip() for line in lines} - {""}
    if not entries:
        raise UserError(f"{file}: no sequence in this list; expected one per line")
    return VideoList(file, tuple(sorted(entries)))


def to_plain(name: DatasetName) -> dict[str, Any]:
    """For JSON and YAML, complete: ``from_plain`` needs no file beside it."""
    if name.only is None:
        return {"name": str(name)}
    whole = str(dataclasses.replace(name, only=None))
    return {"name": whole, "list": Path(name.only.file).name, "only": list(name.only.entries)}


def from_plain(value: Mapping[str, Any]) -> DatasetName:
    """What ``to_plain`` made plain. UserError, KeyError or TypeError where it is something else."""
    whole = parse_dataset_name(value["name"])
    if "only" not in value:
        return whole
    return dataclasses.replace(whole, only=VideoList(value["list"], tuple(map(str, value["only"]))))


def split(text: str) -> tuple[str, str]:
    """(NAME, FILE) of ``NAME@FILE``; FILE is empty where nothing is restricted."""
    name, mark, file = text.partition(MARK)
    if mark and not file:
        raise UserError(f"data set {text!r}: expected the file of a list of sequences after {MARK}")
    return name, file


def parse_restricted(text: str, path: Path | None = None) -> DatasetName:
    """``NAME`` or ``NAME@FILE``; see ``parse_dataset_name``.

    Args:
        path: where the list lies, if not at FILE.
    """
    name, file = split(text)
    whole = parse_dataset_name(name)
    if not file:
        return whole
    return dataclasses.replace(whole, only=read_list(path or Path(file).expanduser(), file))
