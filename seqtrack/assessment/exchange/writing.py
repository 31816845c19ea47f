"""Tracks written as the field's toolkits and servers read them.

    otb, pysot, lasot   {dataset}/{tracker}/{seq}.txt                    x,y,w,h
    trackingnet      {dataset}/{tracker}/{seq}.txt                       the server takes a zip of them
    got10k           {GOT-10k}/{tracker}/{seq}/{seq}_{rep:03d}.txt       and {seq}_time.txt; the server takes a zip
                     {OTB2015}/{tracker}/{seq}.txt                       its other experiments: got10k's own names
    pytracking       {tracker}/default_{seed:03d}/{seq}.txt              tabs, and {seq}_time.txt
    vot              {dataset}/{tracker}/baseline/{seq}/{seq}_{rep:03d}.txt   with codes; longterm/, unsupervised/

Coordinates are those of the benchmark's publisher (OTB: from 1). Numbers are written with all their digits: a rounded
box may lie on the other side of a threshold, and then another toolkit's score is not ours.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.benchmark import first_pixel
from seqtrack.assessment.scores import Floats, moved
from seqtrack.data.formats import DatasetName
from seqtrack.errors import UserError
from seqtrack.runs import atomic
from seqtrack.tracking.courses import FAILED, SKIPPED, START

FORMATS = ("otb", "pysot", "pytracking", "got10k", "lasot", "trackingnet", "vot")

# What VOT's files say of a frame without a region.
_VOT_CODES = {START: "1", FAILED: "2", SKIPPED: "0"}
_EXPERIMENTS = {"supervised": "baseline", "longterm": "longterm", "full": "unsupervised"}
# Folders of the got10k toolkit's experiments.
_OF_GOT10K = {
    "otb_cvpr13": "OTB2013", "otb_50": "OTBtb50", "otb_100": "OTB2015", "tc128": "TColor128", "dtb70": "DTB70",
    "nfs_30": "NfS/30", "nfs_240": "NfS/240", "uav123": "UAV123", "uav20l": "UAV20L", "lasot_test": "LaSOT",
    "got10k_train": "GOT-10k", "got10k_val": "GOT-10k", "got10k_test": "GOT-10k",
}  # fmt: skip
_PREFIX_OF_PYTRACKING = {"uav123": "uav_", "nfs": "nfs_", "tc128": "tpl_"}
_DATE = (1980, 1, 1, 0, 0, 0)


class Tracked(Protocol):
    """What is needed of ``results.SequenceResult``."""

    @property
    def name(self) -> str: ...
    @property
    def frames(self) -> NDArray[np.int64]: ...
    @property
    def boxes(self) -> Floats: ...
    @property
    def scores(self) -> Floats: ...
    @property
    def codes(self) -> NDArray[np.uint8]: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Export:
    """Files of one tracker: ``folder`` relative to the place for results, ``files`` relative to that."""

    folder: str
    files: Mapping[str, str]

    def zipped(self) -> bytes:
        """A zip of the files themselves, of equal bytes for equal files."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, text in sorted(self.files.items()):
                packed.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def takes(format: str, sampler: str) -> bool:
    """Whether the format has a place for results of this eval sampler."""
    return sampler == "full" or (format == "vot" and sampler in _EXPERIMENTS)


def export(
    format: str,
    dataset: DatasetName,
    sampler: str,
    runs: Sequence[Tracked],
    name: str,
    seed: int,
) -> Export:
    """One seed's results on one data set.

    Args:
        runs: of each sequence its repetitions, in order, all from its first frame.
        name: what the tracker is to be called.

    Raises:
        UserError: the format has no place for such results.
    """
    if sampler not in _EXPERIMENTS:
        raise UserError(
            f"{dataset.folder}-{sampler}: toolkits want whole sequences; assess with --eval_samplers full"
        )
    if not takes(format, sampler):
        raise UserError(f"--format {format}: {sampler} results are VOT's; give --format vot")
    writer = _Writer(format, dataset, sampler)
    files: dict[str, str] = {}
    for sequence, repetitions in _by_sequence(runs).items():
        files |= writer.files(sequence, repetitions)
    tracker = f"{name}_seed{seed}"
    if format == "pytracking":
        return Export(f"{name}/default_{seed:03d}", files)
    of_set = _OF_GOT10K.get(str(dataset), dataset.folder) if format == "got10k" else dataset.folder
    return Export(f"{of_set}/{tracker}", files)


def _by_sequence(runs: Sequence[Tracked]) -> dict[str, list[Tracked]]:
    """The runs of each sequence, by its name as a file."""
    found: dict[str, list[Tracked]] = {}
    full: dict[str, str] = {}
    for run in runs:
        name = run.name.rpartition("/")[2]
        if full.setdefault(name, run.name) != run.name:
            raise UserError(
                f"sequences {full[name]} and {run.name} would have one file, {name}.txt; assess them apart"
            )
        if name in ("", ".", "..") or "\0" in name:
            raise UserError(f"sequence {run.name!r} cannot be the name of a file")
        found.setdefault(name, []).append(run)
    return found


@dataclass(frozen=True)
class _Writer:
    format: str
    dataset: DatasetName
    sampler: str

    def files(self, sequence: str, runs: Sequence[Tracked]) -> dict[str, str]:
        name = self._spelled(sequence)
        if self.format == "vot":
            return self._of_vot(name, runs)
        if self.format == "got10k" and self.dataset.layout == "got10k":
            times = np.stack([_seconds(run) for run in runs], axis=1)
            boxes = {f"{name}/{name}_{k:03d}.txt": self._boxes(run) for k, run in enumerate(runs, start=1)}
            return {**boxes, f"{name}/{name}_time.txt": _rows(times, ",")}
        if len(runs) > 1:
            raise UserError(
                f"--format {self.format}: it has one file per sequence, but {sequence} was tracked {len(runs)} times;"
                " give --format vot, or assess with --eval_repeats 1"
            )
        if self.format == "pytracking":
            times = _seconds(runs[0])[:, None]
            return {f"{name}.txt": self._boxes(runs[0], "\t"), f"{name}_time.txt": _rows(times, ",")}
        return {f"{name}.txt": self._boxes(runs[0])}

    def _spelled(self, sequence: str) -> str:
        """The toolkit's own spelling; those of index and pysot are Jogging-1, Human4-2."""
        layout = self.dataset.layout
        base, _, number = sequence.rpartition("-")
        if self.format == "got10k" and layout == "otb" and base:
            return base if base == "Human4" else f"{base}.{number}"
        if self.format == "pytracking":
            spelled = f"{base}_{number}" if layout == "otb" and base else sequence
            return _PREFIX_OF_PYTRACKING.get(layout, "") + spelled
        return sequence

    def _boxes(self, run: Tracked, delimiter: str = ",") -> str:
        if not np.isfinite(run.boxes).all():
            frame = int(np.argmin(np.isfinite(run.boxes).all(axis=1)))
            raise UserError(
                f"--format {self.format}: {run.name} has no box in frame {int(run.frames[frame])}, which its toolkit"
                " cannot read; only --format vot can say so"
            )
        return _rows(self._in_own_coordinates(run.boxes), delimiter)

    def _in_own_coordinates(self, boxes: Floats) -> Floats:
        return moved(boxes, first_pixel(self.dataset))

    def _of_vot(self, name: str, runs: Sequence[Tracked]) -> dict[str, str]:
        files = {}
        for number, run in enumerate(runs, start=1):
            lines = [",".join(map(repr, row)) for row in self._in_own_coordinates(run.boxes).tolist()]
            for k in np.flatnonzero(~np.isfinite(run.boxes).all(axis=1)):
                lines[k] = "0"
            for k in np.flatnonzero(run.codes):
                lines[k] = _VOT_CODES[int(run.codes[k])]
            stem = f"{_EXPERIMENTS[self.sampler]}/{name}/{name}_{number:03d}"
            files[f"{stem}.txt"] = "\n".join(lines) + "\n"
            files[f"{stem}_time.value"] = _rows(_seconds(run)[:, None], ",")
            if self.sampler != "supervised":
                # The first frame, which is given, has none.
                values = (repr(score) if np.isfinite(score) else "" for score in run.scores.tolist())
                files[f"{stem}_confidence.value"] = "\n".join(values) + "\n"
        return files


def _rows(rows: Floats, delimiter: str) -> str:
    return "".join(delimiter.join(map(repr, row)) + "\n" for row in rows.tolist())


def _seconds(run: Tracked) -> Floats:
    """(T,) what is known of each frame: its share of the whole."""
    return np.full(len(run.frames), run.seconds / max(len(run.frames), 1))


def publish(place: Path, found: Export, *, zipped: bool, overwrite: bool) -> tuple[Path, bool]:
    """Writes the files as a whole, or as one zip; answers where, and whether they were there already.

    Raises:
        UserError: other files are there, and are not to be overwritten.
    """
    path = place / found.folder
    if zipped:
        path = path.with_name(f"{path.name}.zip")
    aside = path.with_name(f".replaced-{path.name}")
    _settle(path, aside)
    if path.exists():
        if _is_same(path, found, zipped):
            return path, True
        if not overwrite:
            raise UserError(
                f"--out: {path} is there with other results; replace it with --overwrite, or give another"
            )
    if zipped:
        atomic.write_bytes(path, found.zipped())
        return path, False

    def set_aside() -> None:  # last of all: what was there stays if the new files cannot be written
        if path.exists():
            path.rename(aside)

    try:
        with atomic.replacing_folder(path, guard=set_aside) as folder:
            for name, text in found.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
    finally:
        _settle(path, aside)
    return path, False


def _settle(path: Path, aside: Path) -> None:
    """What was set aside goes back to its place if nothing took it, and else away: two folders cannot be exchanged in
    one step everywhere, so a command may have been killed in between."""
    if not aside.exists():
        return
    if not path.exists():
        aside.rename(path)
    elif aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def _is_same(path: Path, found: Export, zipped: bool) -> bool:
    if zipped:
        return path.is_file() and path.read_bytes() == found.zipped()
    there = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    return there.keys() == found.files.keys() and all(
        file.read_bytes() == found.files[name].encode() for name, file in there.items()
    )
