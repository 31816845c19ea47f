"""Experiments and runs below a folder, as ``aux/workspace/init-experiment.sh`` and ``--cache_dir`` lay them out."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack.runs import submissions
from seqtrack.runs.paths import RunFolder

# What is never looked into: data, code, and what a run keeps to itself.
_CLOSED = {"repo", "code", "reproduced", "dataset_cache", "node_modules", "__pycache__"}
_DEPTH = 6


@dataclass(frozen=True)
class Experiment:
    """A folder that is pinned to a commit, and the runs in it; or a folder of runs that is not.

    Attributes:
        commit: of ``commit.txt``; None where there is none.
    """

    path: Path
    commit: str | None
    runs: tuple[RunFolder, ...]


def below(root: Path) -> list[Experiment]:
    """In order of path; runs in the order in which they were submitted last. What cannot be listed is passed over."""
    homes: dict[Path, list[RunFolder]] = {}
    for folder, is_run in _walk(root, None, _DEPTH):
        if is_run is None:
            homes.setdefault(folder, [])
        else:
            homes.setdefault(is_run, []).append(RunFolder(folder))
    return [
        Experiment(path, _commit(path), tuple(sorted(runs, key=lambda run: (submitted(run), run.run_id))))
        for path, runs in sorted(homes.items())
    ]


def _walk(folder: Path, home: Path | None, depth: int) -> Iterator[tuple[Path, Path | None]]:
    """(experiment, None), and (run, its experiment or the folder of its cache)."""
    if _is_file(folder / "train.yaml"):
        # cache/<run_id>: the folder that the cache lies in.
        yield folder, home or (folder.parent.parent if folder.parent.name == "cache" else folder.parent)
        return
    if _commit(folder) is not None:
        home = folder
        yield folder, None
    if depth == 0:
        return
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        if name not in _CLOSED and not name.startswith("."):
            yield from _walk(folder / name, home, depth - 1)


def _commit(folder: Path) -> str | None:
    if not _is_file(folder / "remote.txt"):
        return None
    try:
        return (folder / "commit.txt").read_text().strip() or None
    except (OSError, ValueError):
        return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that is somebody else's
        return False


def submitted(run: RunFolder) -> float:
    """When its newest command was given, seconds since the epoch; 0 if none was."""
    last = submissions.newest(run)
    time = last.get("time")
    return float(time) if isinstance(time, (int, float)) else 0.0


def command(record: Mapping[str, Any]) -> str:
    """The command line of a submission, as it can be given again; empty if it is not recorded.

    The console command has its verb among the words that are recorded, ``python -m seqtrack.tools.VERB`` has not.
    """
    words = [str(word) for word in record.get("argv") or ()]
    if not words:
        return ""
    is_tracker = any(word == "--tracker" or word.startswith("--tracker=") for word in words)
    verb = "sweep" if record.get("sweep") else "assess" if is_tracker else "train"
    return shlex.join(["seqtrack", *([] if words[0] == verb else [verb]), *words])


def code_of(run: RunFolder) -> Mapping[str, Any]:
    """What git had of the code of the newest command; empty if it was not asked."""
    try:
        return dict(json.loads(run.snapshot_json.read_text()))
    except (OSError, ValueError, TypeError):
        return {}
