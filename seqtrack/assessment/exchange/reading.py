"""A tracker's result files against the labels that they belong to: boxes in the order of the sequences.

What is missing or of the wrong length is collected, so that one message names all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.exchange.benchmarks import guesses, window
from seqtrack.assessment.exchange.layouts import TrackerFiles
from seqtrack.assessment.exchange.names import match, twins
from seqtrack.assessment.scores import Floats, Labels, moved
from seqtrack.data.formats import DatasetName
from seqtrack.data.formats.rows import parse_rows
from seqtrack.data.geometry import polygon_hull
from seqtrack.errors import DataError, UserError
from seqtrack.schema import counted
from seqtrack.tracking.courses import FAILED, SKIPPED, START, VOT_RESTART

COLUMNS = (4, 5, 8)
"""x y w h; the same and a score; x1 y1 … x4 y4."""

_CODES = {
    **dict.fromkeys((b"0", b"0.0", b"0.0000", b"nan"), SKIPPED),
    **dict.fromkeys((b"1", b"1.0", b"1.0000"), START),
    **dict.fromkeys((b"2", b"2.0", b"2.0000"), FAILED),
}

# Frames from a start to the next, of a tracker that fails in the frame after each.
_ROUND = 1 + VOT_RESTART


@dataclass(frozen=True)
class Run:
    """What a tracker said of one sequence, once.

    boxes: (T, 4) x y w h as the file has them, NaN where it has none; of polygons the hull. regions: (T, 8) or None.
    scores: (T,) a fifth column, or what lies beside in a ``_confidence.value``; None without. codes: (T,) uint8 as
    ``tracking.courses`` has them.
    """

    boxes: Floats
    regions: Floats | None = None
    scores: Floats | None = None
    codes: NDArray[np.uint8] | None = None

    def moved(self, by: float) -> Run:
        """As ``Labels.moved``."""
        regions = None if self.regions is None else moved(self.regions, by)
        return replace(self, boxes=moved(self.boxes, by), regions=regions)


@dataclass
class Results:
    """One tracker's files, read.

    Attributes:
        runs: per sequence, in the order of the labels, its repetitions; all sequences have as many.
        missing, short: sequences without a file, and with too few rows, that were allowed: NaN stands there.
    """

    tracker: str
    layout: str
    where: str
    runs: list[list[Run]]
    missing: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    @property
    def repetitions(self) -> int:
        return len(self.runs[0])


def read_results(
    files: TrackerFiles,
    labels: Sequence[Labels],
    benchmark: DatasetName,
    *,
    allow_missing: bool = False,
    allow_short: bool = False,
) -> Results:
    """The results of one tracker for these sequences.

    Raises:
        DataError: a row is no region; two files are of one sequence; or a message that lists every sequence that has
            no file, or one with another number of rows.
        UserError: rows that are missing were allowed of results that have none missing.
    """
    if allow_short and files.layout == "vot":
        raise UserError(
            "--allow_short: of VOT's supervised results nobody knows what rows that are missing would have been"
            " (a start, a failure); leave it out, and mend what does not fit"
        )
    found = match([one.name for one in labels], files.files, files.where)
    if not found or not (allow_missing or are_of(files, labels)):
        raise DataError(_no_match(files, labels, benchmark, len(found)))
    _check_twins(files, found)
    missing = [one.name for one in labels if one.name not in found]
    faults = []
    if missing and not allow_missing:
        have, all_ = "has" if len(missing) == 1 else "have", counted(len(labels), "sequence")
        faults.append(
            f"{len(missing)} of the {all_} of {benchmark} {have} no results ({', '.join(missing)}); add them, or"
            " count them as failures with --allow_missing"
        )
    results = Results(files.tracker, files.layout, files.where, [], missing)
    repetitions = max(len(files.files[name]) for name in found.values())
    misfits: list[str] = []
    for one in labels:
        names = files.files[found[one.name]] if one.name in found else ()
        total = len(one.boxes)
        if names and len(names) != repetitions:
            misfits.append(f"{one.name} has {len(names)} of {repetitions} repetitions")
        runs = []
        for name in names:
            read = _read(files, name)
            run = _windowed(read, window(benchmark, one.name), total)
            if len(run.boxes) < total and allow_short:
                results.short.append(one.name)
                run = _lengthened(run, total)
            elif files.layout == "vot_unsupervised" and len(run.boxes) == total:
                run = _started(run, one)
            if len(run.boxes) != total:
                misfits.append(f"{name} has {len(read.boxes)} rows for {total} frames")
            runs.append(run)
        results.runs.append(runs or [_nothing(total, files.layout)] * repetitions)
    if misfits:
        may_be_short = not allow_short and files.layout != "vot" and any(" rows for " in line for line in misfits)
        does, them = ("does", "it") if len(misfits) == 1 else ("do", "them")
        faults.append(
            f"{counted(len(misfits), 'result file')} {does} not fit {benchmark}"
            f" ({'; '.join(misfits)}); mend {them}"
            + (", or count rows that are missing as failures with --allow_short" if may_be_short else "")
            + _one_run(files, misfits)
        )
    if faults:
        raise DataError(f"{files.where}: {'; '.join(faults)}")
    return results


def _one_run(files: TrackerFiles, misfits: Sequence[str]) -> str:
    """How to score a single run of pytracking's where another has fewer files."""
    if files.layout != "pytracking" or not any(" repetitions" in line for line in misfits):
        return ""
    most = max(files.files.values(), key=len)
    return f", or score one run alone ({files.tree.describe(most[0].rpartition('/')[0]).rstrip('/')})"


def _check_twins(files: TrackerFiles, found: Mapping[str, str]) -> None:
    for sequence, used, other in twins(found, files.files):
        pair = [[files.tree.read(name) for name in files.files[stem]] for stem in (used, other)]
        if pair[0] != pair[1]:
            one, two = (files.files[stem][0] for stem in (used, other))
            raise DataError(
                f"{files.where}: {one} and {two} are both of {sequence}, and differ; leave the one that is meant"
            )


def _nothing(total: int, layout: str) -> Run:
    """Of a sequence without results: a miss in every frame; where trackers are started again, a failure right after
    each start, which is as bad as it can get."""
    codes = None
    if layout == "vot":
        codes = np.full(total, SKIPPED, np.uint8)
        codes[::_ROUND], codes[1::_ROUND] = START, FAILED
    return Run(np.full((total, 4), np.nan), codes=codes)


def are_of(files: TrackerFiles, labels: Sequence[Labels]) -> bool:
    """Whether files are results on these sequences, perhaps not all. Some names are in several benchmarks (Car2)."""
    found = match([one.name for one in labels], files.files, files.where)
    return 2 * len(found) >= min(len(labels), len(files.files)) > 0


def _no_match(files: TrackerFiles, labels: Sequence[Labels], benchmark: DatasetName, found: int) -> str:
    some, total = ", ".join(sorted(files.files)[:3]), len(files.files)
    likely = next((guess.benchmark for guess in guesses(files.files)), str(benchmark))
    hint = "is that the right --benchmark?"
    if likely != str(benchmark):
        hint = f"they look like {likely}: give --benchmark {likely}"
    more = ", …" if total > 3 else ""
    have = f"{found or 'none'} of its {counted(total, 'file')} ({some}{more}) {'have' if found > 1 else 'has'}"
    return f"{files.where}: {have} the name of a sequence of {benchmark} ({labels[0].name}, …); {hint}"


def _read(files: TrackerFiles, name: str) -> Run:
    where, data = files.tree.describe(name), files.tree.read(name)
    if files.layout.startswith("vot"):
        return _vot_run(files, name, data, where)
    return _run_of(_without_nan(parse_rows(data, where, COLUMNS), where))


def _run_of(rows: Floats) -> Run:
    if rows.shape[1] == 8:
        return Run(polygon_hull(rows), rows)
    return Run(np.ascontiguousarray(rows[:, :4]), None, rows[:, 4] if rows.shape[1] == 5 else None)


def _without_nan(rows: Floats, where: str) -> Floats:
    missing = np.isnan(rows if rows.shape[1] == 8 else rows[:, :4])
    if missing.any():
        row = int(np.argmax(missing.any(axis=1))) + 1
        raise DataError(f"{where}, row {row}: nan is no box; write the tracker's last box there, and mend that row")
    return rows


def _vot_run(files: TrackerFiles, name: str, data: bytes, where: str) -> Run:
    """Rows are regions, or one number: 0 no region (skipped), 1 the start, 2 a failure."""
    lines = data.rstrip().split(b"\n")
    widths = [len(line.replace(b",", b" ").split()) for line in lines]
    columns = next((width for width in widths if width > 1), 0)
    if not columns:
        raise DataError(f"{where}: no row is a region of 4 or 8 numbers; expected that of most rows")
    codes = np.zeros(len(lines), np.uint8)
    for number in [number for number, width in enumerate(widths) if width == 1]:
        word = lines[number].strip().lower()
        if word not in _CODES:
            raise DataError(
                f"{where}, row {number + 1}: {word.decode(errors='replace')[:20]!r} is neither a region nor a code"
                " (0 unknown, 1 start, 2 failure); mend that row"
            )
        codes[number] = _CODES[word]
        lines[number] = b",".join([b"nan"] * columns)
    rows = parse_rows(b"\n".join(lines), where, (4, 8))
    if files.layout != "vot_longterm":
        _without_nan(np.where(codes[:, None] > 0, 0.0, rows), where)
    run = _run_of(rows)
    return Run(run.boxes, run.regions, _confidence(files, name, len(rows)), codes)


def _confidence(files: TrackerFiles, name: str, rows: int) -> Floats | None:
    """``{seq}_001_confidence.value`` beside ``{seq}_001.txt``; a row less where the first frame has none."""
    folder, _, file = name.rpartition("/")
    beside = f"{file.removesuffix('.txt')}_confidence.value"
    if beside not in files.tree.list(folder).files:
        return None
    beside = f"{folder}/{beside}" if folder else beside
    where = files.tree.describe(beside)
    text = files.tree.read(beside).decode(errors="replace")
    try:
        # An empty line is the first frame, which is given.
        values = np.array([float(line) if line.strip() else np.nan for line in text.splitlines()])
    except ValueError as error:
        raise DataError(f"{where}: {error}; expected one number per frame") from error
    if len(values) == rows - 1:
        values = np.concatenate([[np.nan], values])
    if len(values) != rows:
        raise DataError(f"{where}: {len(values)} rows for {rows} of {file}; mend it")
    return values


def _windowed(run: Run, labelled: tuple[int, int] | None, total: int) -> Run:
    """The rows of labelled frames, of a file that has a row for every frame of the video (Tiger1: 354 for 349)."""
    if labelled is None or len(run.boxes) <= total or len(run.boxes) < labelled[1]:
        return run
    return _taken(run, slice(labelled[0] - 1, labelled[1]))


def _started(run: Run, truth: Labels) -> Run:
    """The box that was given, where the file only says that the tracker was started."""
    assert run.codes is not None
    return replace(run, boxes=np.where((run.codes == START)[:, None], truth.boxes, run.boxes), regions=None)


def _lengthened(run: Run, total: int) -> Run:
    def padded(values: Floats) -> Floats:
        rest = np.full((total - len(values), *values.shape[1:]), np.nan)
        return np.concatenate([values, rest])

    return Run(
        padded(run.boxes),
        None if run.regions is None else padded(run.regions),
        None if run.scores is None else padded(run.scores),
        None if run.codes is None else np.concatenate([run.codes, np.zeros(total - len(run.codes), np.uint8)]),
    )


def _taken(run: Run, rows: slice) -> Run:
    return Run(
        run.boxes[rows],
        None if run.regions is None else run.regions[rows],
        None if run.scores is None else run.scores[rows],
        None if run.codes is None else run.codes[rows],
    )
