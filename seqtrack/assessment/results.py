"""Results of an assessment on disk: durable per sequence, then published as one finished folder.

    <partial>/<sequence>-<digest>@<number>.npz   one per run of the tracker as soon as it is done
    <final>/config.yaml                          the complete configuration of the assessment
    <final>/sequences.csv                        one row per run: its scores, all digits
    <final>/summary.json                         the scores of the set, under which convention, and its curves
    <final>/statistics.npz                       what these scores are computed from, per sequence: to draw others
    <final>/tracks.h5                            /<sequence>/start_<number>: one row per frame
    <final>/speed.json                           frames per second: all that depends on the machine

A killed assessment goes on with the sequences that it has; a finished one is never changed. Equal tracks give
equal bytes in every file but speed.json. Tracks are stored without their scores while an assessment lasts: those of
all runs are computed at its end, at once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import urllib.parse
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from seqtrack import yaml_files
from seqtrack.assessment import conventions
from seqtrack.assessment.benchmark import benchmark_of
from seqtrack.assessment.longterm import BestF
from seqtrack.assessment.protocols import OPE, Run
from seqtrack.assessment.run_scores import score_runs
from seqtrack.assessment.scores import Floats, Ratio, Statistic, Total
from seqtrack.data.formats import DatasetName
from seqtrack.errors import DataError
from seqtrack.runs import atomic

CONFIG = "config.yaml"
SEQUENCES = "sequences.csv"
SUMMARY = "summary.json"
STATISTICS = "statistics.npz"
TRACKS = "tracks.h5"
SPEED = "speed.json"
STATISTICS_BY_NAME: Mapping[str, Callable[..., Statistic]] = MappingProxyType(
    {kind.__name__: kind for kind in (Ratio, Total, BestF)}
)
_NUMBERS = [(name, "<f8") for name in ("x", "y", "w", "h", "score")]
TRACK_ROW = np.dtype([("frame", "<i8"), *_NUMBERS, ("present", "?"), ("overlap", "<f8"), ("code", "u1")])
_PARTIAL_VERSION = 2  # of the files of runs; others are done again
_CSV_FIXED = ("sequence", "start", "first_frame", "frames")


@dataclass(frozen=True)
class SequenceResult:
    """What one run of a tracker gave.

    start: ``Run.number``. frames: (T,) int64, positions in the video's frame list. boxes: (T, 4) float64,
    predictions, x y w h in pixels of the original image, NaN where the tracker saw nothing. scores: (T,) float64, its
    confidence. codes: (T,) uint8 of ``tracking.courses``. seconds: time in the tracker, all frames.
    """

    name: str
    start: int
    frames: NDArray[np.int64]
    boxes: Floats
    scores: Floats
    codes: NDArray[np.uint8]
    seconds: float

    def __post_init__(self) -> None:
        total = len(self.frames)
        if self.boxes.shape != (total, 4) or self.scores.shape != (total,) or self.codes.shape != (total,):
            raise ValueError(
                f"{self.name} start {self.start}: {total} frames, boxes {self.boxes.shape}, "
                f"scores {self.scores.shape}, codes {self.codes.shape}"
            )


@dataclass(frozen=True)
class StartScores:
    """A row of ``sequences.csv``: the scores of one run; those it does not have alone are NaN."""

    name: str
    start: int
    first_frame: int
    frames: int
    metrics: Mapping[str, float]


def write_sequence(partial: Path, result: SequenceResult, guard: Callable[[], None] = atomic.no_guard) -> None:
    """Makes one sequence durable. ``guard`` is called right before, and stops it by raising."""
    header = {"version": _PARTIAL_VERSION, "name": result.name, "start": result.start, "seconds": result.seconds}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8),
        frames=np.asarray(result.frames, np.int64),
        boxes=np.asarray(result.boxes, np.float64),
        scores=np.asarray(result.scores, np.float64),
        codes=np.asarray(result.codes, np.uint8),
    )
    atomic.write_bytes(partial / _partial_name(result.name, result.start), buffer.getvalue(), guard)


def read_sequences(partial: Path) -> dict[tuple[str, int], SequenceResult]:
    """All durable sequences by (name, start). What cannot be read whole is deleted, to be done again."""
    found = {}
    for path in sorted(partial.glob("*.npz")) if partial.is_dir() else ():
        if path.name.startswith(atomic.TEMPORARY_PREFIX):
            continue
        result = _read_partial(path)
        if result is None or path.name != _partial_name(result.name, result.start):
            path.unlink(missing_ok=True)
            continue
        found[result.name, result.start] = result
    return found


def finish(
    partial: Path,
    final: Path,
    runs: Sequence[Run],
    config: Mapping[str, Any],
    *,
    eval_id: str,
    dataset: DatasetName,
    step: int,
    protocol: str,
    convention: str,
    tre_num: int = 1,
    guard: Callable[[], None] = atomic.no_guard,
) -> dict[str, Any]:
    """Scores all runs, publishes the finished folder as a whole, removes the partial one, and answers the summary.

    runs: in the order of the files' rows; ValueError if one is not there yet. A ``final`` that is finished already
    stays as it is; one that a version before made is replaced. ``guard`` is called right before the publication.
    """
    if not is_finished(final):
        found = read_sequences(partial)
        missing = [run.key for run in runs if run.key not in found]
        if missing:
            raise ValueError(f"{len(missing)} of {len(runs)} sequences are not there yet, such as {missing[0]}")
        results = [found[run.key] for run in runs]
        with atomic.replacing_folder(final, guard) as folder:
            write_files(
                folder,
                runs,
                results,
                config,
                eval_id=eval_id,
                dataset=dataset,
                step=step,
                protocol=protocol,
                convention=convention,
                tre_num=tre_num,
            )
            if final.exists() and not is_finished(final):
                guard()
                shutil.rmtree(final)
    summary = load_summary(final)
    shutil.rmtree(partial, ignore_errors=True)
    return summary


def write_files(
    folder: Path,
    runs: Sequence[Run],
    results: Sequence[SequenceResult],
    config: Mapping[str, Any],
    *,
    eval_id: str,
    dataset: DatasetName,
    step: int,
    protocol: str,
    convention: str,
    tre_num: int = 1,
) -> None:
    """The files of a finished folder, into an existing one; ``results``: what came of each of ``runs``."""
    scores = score_runs(runs, results, protocol, convention, dataset, tre_num)
    num_frames = sum(len(result.frames) for result in results)
    summary = {
        "eval_id": eval_id,
        "step": step,
        "protocol": protocol,
        "convention": convention,
        "definition": conventions.find(protocol, convention, benchmark_of(dataset)).definition,
        "tre_num": tre_num if protocol == OPE else 1,
        "num_sequences": len({result.name for result in results}),
        "num_frames": num_frames,
        "metrics": {metric: _known(item.value()) for metric, item in scores.statistics.items()},
        "curves": {name: list(map(_known, values)) for name, values in scores.curves.items()},
    }
    if scores.by_tag:
        summary["by_tag"] = {
            tag: {metric: _known(value) for metric, value in found.items()} for tag, found in scores.by_tag.items()
        }
    seconds = sum(result.seconds for result in results)
    speed = {"frames": num_frames, "seconds": seconds, "fps": num_frames / seconds if seconds > 0 else None}

    # By way of JSON, so that tuples become lists and anything that is no plain value raises.
    plain = json.loads(json.dumps(dict(config)))
    atomic.write_text(folder / CONFIG, yaml.safe_dump(plain, sort_keys=True, allow_unicode=True))
    atomic.write_text(folder / SEQUENCES, _csv_text(results, scores.per_run))
    atomic.write_json(folder / SUMMARY, summary)
    atomic.write_bytes(folder / STATISTICS, _statistics_bytes(scores.statistics))
    atomic.write_json(folder / SPEED, speed)
    atomic.write_bytes(folder / TRACKS, _tracks_bytes(runs, results, scores.overlaps))


def _known(value: Any) -> float | None:
    """JSON has no NaN: what is not known is null."""
    return float(value) if np.isfinite(value) else None


def is_finished(final: Path) -> bool:
    """Whether the folder is there; it appears whole or not at all. One that a version before made, which kept no
    statistics, is not: it is made again from the checkpoint."""
    return (final / STATISTICS).is_file()


def load_config(final: Path) -> dict[str, Any]:
    """``config.yaml`` of a finished folder. DataError that names the file."""
    path = final / CONFIG
    try:
        content = yaml_files.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = getattr(error, "problem", None) or repr(error)  # YAML's own repr has addresses of objects
        raise DataError(f"{path}: cannot be read ({why}): remove the folder to assess again") from error
    return dict(content) if isinstance(content, dict) else {}


def load_summary(final: Path) -> dict[str, Any]:
    """``summary.json`` of a finished folder; a metric that has no value is None. DataError that names the file."""
    return _load_json(final / SUMMARY, "metrics")


def load_sequences(final: Path) -> list[StartScores]:
    """The rows of ``sequences.csv``, every bit as measured. Raises DataError that names file and row."""
    path = final / SEQUENCES
    runs: list[StartScores] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name, *numbers = (row.pop(column) for column in _CSV_FIXED)
                start, first, frames = map(int, numbers)
                metrics = {metric: float(value) for metric, value in row.items()}
                runs.append(StartScores(name, start, first, frames, metrics))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path}, row {len(runs) + 2}: no scores there ({error!r}): remove the folder to assess again"
        ) from error
    return runs


def load_scores(final: Path) -> dict[str, Statistic]:
    """metric -> its statistic over the sequences, as ``summary.summarise`` takes them. DataError names the file."""
    path = final / STATISTICS
    parts: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            for key in arrays.files:
                metric, kind, part = key.split("/")
                values = arrays[key]
                parts.setdefault((metric, kind), {})[part] = values if values.ndim else values.item()
        return {metric: STATISTICS_BY_NAME[kind](**found) for (metric, kind), found in parts.items()}
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error!r}): remove the folder to assess again") from error


def load_results(final: Path) -> list[SequenceResult]:
    """Every run in a finished folder; the time of one is its share of the whole.

    Raises:
        DataError: names the file that cannot be read.
    """
    speed = _load_json(final / SPEED, "seconds")
    per_frame = speed["seconds"] / max(speed["frames"], 1)
    found = []
    for run in load_sequences(final):
        track = load_track(final, run.name, run.start)
        boxes = np.stack([track[column] for column in "xywh"], axis=1)
        frames, scores, codes = track["frame"], track["score"], track["code"]
        found.append(SequenceResult(run.name, run.start, frames, boxes, scores, codes, per_frame * len(track)))
    return found


def load_track(final: Path, name: str, start: int = 0) -> NDArray[np.void]:
    """One track of ``tracks.h5``: (T,) records as TRACK_ROW has them. Raises DataError if not there."""
    import h5py

    path = final / TRACKS
    try:
        with h5py.File(path, "r", locking=False) as file:
            if _track_path(name, start) not in file:
                raise DataError(f"{path}: has no track '{name}' from start {start}")
            return np.asarray(file[_track_path(name, start)][...], TRACK_ROW)
    except (OSError, KeyError, ValueError) as error:
        again = f"remove {final} and give the command again"
        raise DataError(f"{path}: is damaged ({error}): {again}") from error


def _partial_name(name: str, start: int) -> str:
    """A file name for any sequence name: readable, at most 60 characters of it, distinct by a digest."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".")[:60]
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{readable}-{digest}@{start}.npz"


def _read_partial(path: Path) -> SequenceResult | None:
    """None where the file is torn, of another version, or not ours."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["version"] != _PARTIAL_VERSION:
                return None
            return SequenceResult(
                name=str(header["name"]),
                start=int(header["start"]),
                frames=arrays["frames"],
                boxes=arrays["boxes"],
                scores=arrays["scores"],
                codes=arrays["codes"],
                seconds=float(header["seconds"]),
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


def _csv_text(results: Collection[SequenceResult], per_run: Mapping[str, Floats]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_CSV_FIXED, *per_run])
    for k, result in enumerate(results):
        values = (repr(float(scores[k])) for scores in per_run.values())
        writer.writerow([result.name, result.start, int(result.frames[0]), len(result.frames), *values])
    return buffer.getvalue()


def _statistics_bytes(statistics: Mapping[str, Statistic]) -> bytes:
    buffer = io.BytesIO()
    parts = {
        f"{metric}/{type(statistic).__name__}/{part}": np.asarray(values)
        for metric, statistic in statistics.items()
        for part, values in vars(statistic).items()
    }
    np.savez(buffer, **parts)  # type: ignore[arg-type]  # metrics are called otherwise; dates in it are constant
    return buffer.getvalue()


def _tracks_bytes(runs: Sequence[Run], results: Sequence[SequenceResult], overlaps: Sequence[Floats]) -> bytes:
    import h5py  # late: 70 ms that those who only ask what is finished (--dry_run) need not wait

    # In memory: on a disk that fills up, HDF5 2.0 (h5py 3.16) ends the process with a segmentation fault.
    buffer = io.BytesIO()
    # Dates of modification are the only thing that would make two files of equal tracks differ.
    with h5py.File(buffer, "w", track_order=False) as file:
        for run, result, overlap in zip(runs, results, overlaps, strict=True):
            rows = np.zeros(len(result.frames), TRACK_ROW)
            rows["frame"], rows["score"], rows["code"] = result.frames, result.scores, result.codes
            rows["present"], rows["overlap"] = run.sequence.present[run.start :], overlap
            for column, values in zip("xywh", result.boxes.T, strict=True):
                rows[column] = values
            dataset = file.create_dataset(_track_path(result.name, result.start), data=rows, track_times=False)
            dataset.attrs["sequence"] = result.name
    return buffer.getvalue()


def _track_path(name: str, start: int) -> str:
    # '/' would nest groups and '.' would be this group: both are escaped, all else stays as it is
    group = urllib.parse.quote(name, safe=" ()[]{}+,;=@!$&'")
    return f"{group.replace('.', '%2E') if not group.strip('.') else group}/start_{start:03d}"


def _load_json(path: Path, key: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        value[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error!r}): remove the folder to assess again") from error
    return dict(value)
