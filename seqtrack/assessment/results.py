"""Results of an assessment on disk: durable per sequence, then published as one finished folder.

    <partial>/<sequence>-<digest>@<start>.npz    one per (sequence, start) as soon as it is tracked
    <final>/config.yaml                          the complete configuration of the assessment
    <final>/sequences.csv                        one row per sequence and start: its metrics, all digits
    <final>/summary.json                         the mean over sequences
    <final>/tracks.h5                            /<sequence>/start_<k>: one row per frame
    <final>/speed.json                           frames per second: all that depends on the machine

A killed assessment goes on with the sequences that it has; a finished one is never changed. Equal tracks give
equal bytes in every file but speed.json.
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
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from seqtrack.assessment.metrics import METRICS
from seqtrack.assessment.summary import StartScores, eval_metrics, per_sequence
from seqtrack.errors import DataError
from seqtrack.runs import atomic

CONFIG = "config.yaml"
SEQUENCES = "sequences.csv"
SUMMARY = "summary.json"
TRACKS = "tracks.h5"
SPEED = "speed.json"
TRACK_ROW = np.dtype([("frame", "<i8"), *((name, "<f8") for name in ("x", "y", "w", "h", "score")), ("present", "?")])
_PARTIAL_VERSION = 1
_CSV_FIXED = ("sequence", "start", "first_frame", "frames")


@dataclass(frozen=True)
class SequenceResult:
    """One run of a tracker on one sequence.

    start: which start this is, 0 = OPE's. frames: (T,) int64, positions in the video's frame list. boxes: (T, 4)
    float64, predictions, x y w h in pixels of the original image. scores: (T,) float64. present: (T,) bool, the truth
    has the target in view. metrics: name -> value. seconds: time in the tracker, all T frames.
    """

    name: str
    start: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    present: NDArray[np.bool_]
    metrics: Mapping[str, float]
    seconds: float

    def __post_init__(self) -> None:
        total = len(self.frames)
        if self.boxes.shape != (total, 4) or self.scores.shape != (total,) or self.present.shape != (total,):
            raise ValueError(
                f"{self.name} start {self.start}: {total} frames, boxes {self.boxes.shape}, "
                f"scores {self.scores.shape}, present {self.present.shape}"
            )


def write_sequence(partial: Path, result: SequenceResult, guard: Callable[[], None] = atomic.no_guard) -> None:
    """Makes one sequence durable. ``guard`` is called right before, and stops it by raising."""
    header = {
        "version": _PARTIAL_VERSION,
        "name": result.name,
        "start": result.start,
        "metrics": dict(result.metrics),
        "seconds": result.seconds,
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        header=np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8),
        frames=np.asarray(result.frames, np.int64),
        boxes=np.asarray(result.boxes, np.float64),
        scores=np.asarray(result.scores, np.float64),
        present=np.asarray(result.present, np.bool_),
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
    expected: Collection[tuple[str, int]],
    config: Mapping[str, Any],
    *,
    eval_id: str,
    step: int,
    convention: str,
    tre_num: int = 1,
    guard: Callable[[], None] = atomic.no_guard,
) -> dict[str, Any]:
    """Publishes the finished folder as a whole, removes the partial one, and answers the summary.

    expected: the (name, start) pairs, in the order of the files' rows; ValueError if one is not there yet. A
    ``final`` that exists already stays as it is. ``guard`` is called right before the publication.
    """
    if not is_finished(final):
        found = read_sequences(partial)
        missing = [pair for pair in expected if pair not in found]
        if missing:
            raise ValueError(f"{len(missing)} of {len(expected)} sequences are not there yet, such as {missing[0]}")
        results = [found[pair] for pair in expected]
        with atomic.replacing_folder(final, guard) as folder:
            write_files(folder, results, config, eval_id=eval_id, step=step, convention=convention, tre_num=tre_num)
    summary = load_summary(final)
    shutil.rmtree(partial, ignore_errors=True)
    return summary


def write_files(
    folder: Path,
    results: Collection[SequenceResult],
    config: Mapping[str, Any],
    *,
    eval_id: str,
    step: int,
    convention: str,
    tre_num: int = 1,
) -> None:
    """The files of a finished folder, into an existing one."""
    metrics = eval_metrics(per_sequence((_scores(result) for result in results), tre_num))
    num_frames = sum(len(result.frames) for result in results)
    summary = {
        "eval_id": eval_id,
        "step": step,
        "convention": convention,
        "tre_num": tre_num,
        "num_sequences": len({result.name for result in results}),
        "num_frames": num_frames,
        "metrics": metrics,
    }
    seconds = sum(result.seconds for result in results)
    speed = {"frames": num_frames, "seconds": seconds, "fps": num_frames / seconds if seconds > 0 else None}

    # By way of JSON, so that tuples become lists and anything that is no plain value raises.
    plain = json.loads(json.dumps(dict(config)))
    atomic.write_text(folder / CONFIG, yaml.safe_dump(plain, sort_keys=True, allow_unicode=True))
    atomic.write_text(folder / SEQUENCES, _csv_text(results))
    atomic.write_json(folder / SUMMARY, summary)
    atomic.write_json(folder / SPEED, speed)
    atomic.write_bytes(folder / TRACKS, _tracks_bytes(results))


def is_finished(final: Path) -> bool:
    """Whether the folder is there; it appears whole or not at all."""
    return (final / SUMMARY).is_file()


def load_summary(final: Path) -> dict[str, Any]:
    """``summary.json`` of a finished folder. Raises DataError that names the file."""
    return _load_json(final / SUMMARY, "metrics")


def load_sequences(final: Path) -> list[StartScores]:
    """The rows of ``sequences.csv``, every bit as measured. Raises DataError that names file and row."""
    path = final / SEQUENCES
    runs: list[StartScores] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                metrics = {name: float(row[name]) for name in METRICS}
                runs.append(StartScores(row["sequence"], int(row["start"]), int(row["frames"]), metrics))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path}, row {len(runs) + 2}: no scores there ({error!r}): remove the folder to assess again"
        ) from error
    return runs


def load_scores(final: Path, tre_num: int = 1) -> dict[str, NDArray[np.float64]]:
    """metric -> (S,) per sequence, as ``summary.summarise`` takes them."""
    return per_sequence(load_sequences(final), tre_num)


def load_results(final: Path) -> list[SequenceResult]:
    """Everything in a finished folder, as it was measured; the time of a sequence is its share of the whole.

    Raises:
        DataError: names the file that cannot be read.
    """
    speed = _load_json(final / SPEED, "seconds")
    per_frame = speed["seconds"] / max(speed["frames"], 1)
    found = []
    for run in load_sequences(final):
        track = load_track(final, run.name, run.start)
        boxes = np.stack([track[column] for column in "xywh"], axis=1)
        frames, scores, present = track["frame"], track["score"], track["present"]
        found.append(
            SequenceResult(
                run.name, run.start, frames, boxes, scores, present, dict(run.metrics), per_frame * len(track)
            )
        )
    return found


def load_track(final: Path, name: str, start: int = 0) -> NDArray[np.void]:
    """One track of ``tracks.h5``: (T,) records as TRACK_ROW has them. Raises DataError if not there."""
    import h5py

    path = final / TRACKS
    try:
        with h5py.File(path, "r", locking=False) as file:
            return np.asarray(file[_track_path(name, start)][...], TRACK_ROW)
    except (OSError, KeyError) as error:
        raise DataError(f"{path}: has no track '{name}' from start {start} ({error})") from error


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
                present=arrays["present"],
                metrics={metric: float(header["metrics"][metric]) for metric in METRICS},
                seconds=float(header["seconds"]),
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


def _scores(result: SequenceResult) -> StartScores:
    return StartScores(result.name, result.start, len(result.frames), result.metrics)


def _csv_text(results: Collection[SequenceResult]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_CSV_FIXED, *METRICS])
    for result in results:
        values = (repr(float(result.metrics[metric])) for metric in METRICS)
        writer.writerow([result.name, result.start, int(result.frames[0]), len(result.frames), *values])
    return buffer.getvalue()


def _tracks_bytes(results: Collection[SequenceResult]) -> bytes:
    import h5py  # late: 70 ms that those who only ask what is finished (--dry_run) need not wait

    # In memory: on a disk that fills up, HDF5 2.0 (h5py 3.16) ends the process with a segmentation fault.
    buffer = io.BytesIO()
    # Dates of modification are the only thing that would make two files of equal tracks differ.
    with h5py.File(buffer, "w", track_order=False) as file:
        for result in results:
            rows = np.zeros(len(result.frames), TRACK_ROW)
            rows["frame"], rows["score"], rows["present"] = result.frames, result.scores, result.present
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
