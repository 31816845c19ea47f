"""The sequences with the worst scores: overlap over time, and a few frames around where they were lost.

Which moments tell how a target was lost is decided from overlaps alone (``moments``, pure); pictures are small, and
all of them together bounded, so that a report can be sent by mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.assessment.metrics import decimals
from seqtrack.assessment.protocols import Sequence
from seqtrack.data.datasets import Dataset
from seqtrack.data.geometry import iou
from seqtrack.data.imaging.images import RegionDecoder
from seqtrack.errors import DataError, UserError
from seqtrack.reporting.film_strip import small_picture
from seqtrack.reporting.page import picture
from seqtrack.reporting.report.markup import heading, paragraph, score_text, section, swatch
from seqtrack.reporting.report.material import Material
from seqtrack.reporting.report.subject import Subject, higher_is_better

Floats = NDArray[np.float64]
LOST, FOUND = 0.1, 0.5  # overlap below which a target counts as lost, above which as followed
MOMENTS = 6
MAX_BYTES = 5 << 20  # of pictures, in the page
_QUALITY = 70  # of JPEG
_POINTS = 400  # of an overlap's line
_WIDTH, _HEIGHT = 600, 60


@dataclass(frozen=True)
class Followed:
    """What one run did on a sequence. run: its number. seed: of the trial shown. boxes: (T, 4) and overlaps: (T,),
    NaN where there is no truth, at the positions ``rows`` (T,) of the sequence's frames."""

    run: int
    seed: int
    mean: float
    std: float
    rows: NDArray[np.int64]
    boxes: Floats
    overlaps: Floats


def worst_names(subject: Subject, eval_id: str, count: int) -> list[str]:
    """The worst first, by the metric of sequences, mean over seeds and then runs; sequences that every run has."""
    metric = subject.of_sequence(eval_id)
    means = [subject.sequence_scores(k, eval_id, metric)["mean"].to_dict() for k in range(len(subject.runs))]
    means = [found for found in means if found]
    shared = [name for name in means[0] if all(name in found for found in means)] if means else []
    sign = 1 if higher_is_better(metric) else -1
    total = {name: sign * sum(found[name] for found in means) for name in shared}
    return sorted((name for name in shared if np.isfinite(total[name])), key=lambda name: total[name])[:count]


def worst(
    subject: Subject,
    material: Mapping[str, Material | str],
    count: int,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> str:
    """The section; with one line per eval set whose frames are not at hand."""
    chosen = {eval_id: worst_names(subject, eval_id, count) for eval_id in subject.eval_ids}
    total, done, left = sum(map(len, chosen.values())), 0, MAX_BYTES
    parts = []
    for eval_id, names in chosen.items():
        found = material.get(eval_id, "")
        if names:
            parts.append(heading(eval_id))
        if names and (isinstance(found, str) or found.dataset is None):
            why = found if isinstance(found, str) else found.why_no_frames
            parts.append(paragraph(f"No frames: {why or 'they were not asked for (--no-frames)'}."))
        for name in names:
            text, spent = _article(subject, eval_id, name, found, left)
            parts.append(text)
            done, left = done + 1, left - spent
            on_progress(done, total)
    lead = (
        "The worst scores, mean over seeds. Of each run the trial nearest to that mean is shown: its overlap over "
        "time (gray where the target is out of view), and frames from the start to the end, chosen around the "
        "longest time that the target was lost. Under a frame stand its number and, after the dot, its overlap."
    )
    return section("Worst sequences", _legend(subject), *parts, lead=lead) if parts else ""


def _legend(subject: Subject) -> str:
    """Of the colours of boxes and lines."""
    runs = [("the tracker" if subject.is_single else name, f"run-{k}") for k, name in enumerate(subject.names)]
    entries = "".join(
        f'<span><i class="{kind}"></i>{escape(name)}</span>' for name, kind in [("truth", "truth"), *runs]
    )
    return f'<p class="legend">{entries}</p>'


def moments(overlaps: Floats, count: int = MOMENTS) -> list[int]:
    """Positions, rising, that tell how a target was lost: the first frame; the last in which it was followed (overlap
    over 0.5) before the longest time that it was lost (overlap under 0.1), the first of that time, its middle and its
    end; the last frame. Where it was never lost: around the lowest overlap. Fewer than ``count`` if they coincide.

    overlaps: (T,), NaN where there is no truth.
    """
    total = len(overlaps)
    known = np.flatnonzero(np.isfinite(overlaps))
    if not len(known):
        return sorted({0, total - 1})
    begin, end = _longest(overlaps[known] < LOST)
    if begin == end:
        low = int(known[np.argmin(overlaps[known])])
        picks = [0, (0 + low) // 2, low, min(low + 1, total - 1), (low + total - 1) // 2, total - 1]
    else:
        first, last = int(known[begin]), int(known[end - 1])
        before = np.flatnonzero(overlaps[:first] > FOUND)
        followed = int(before[-1]) if len(before) else 0
        picks = [0, followed, first, (first + last) // 2, last, total - 1]
    return sorted(set(picks))[:count]


def _longest(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """[begin, end) of the longest stretch of true, the first of equally long ones; (0, 0) for none."""
    found = _stretches(flags)
    return max(found, key=lambda stretch: stretch[1] - stretch[0], default=(0, 0))


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[begin, end) of each stretch of true, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _article(subject: Subject, eval_id: str, name: str, found: Material | str, left: int) -> tuple[str, int]:
    """One sequence, and how many bytes its pictures have."""
    metric = subject.of_sequence(eval_id)
    sequence = None if isinstance(found, str) else found.sequences.get(name)
    runs = [one for k in range(len(subject.runs)) if (one := _follow(subject, k, eval_id, name, sequence))]
    scores = "".join(
        f"<span>{'' if subject.is_single else swatch(one.run)}{_named(subject, one)} {metric} "
        f"{score_text(one.mean, one.std, decimals(metric, (one.mean,) if np.isnan(one.std) else ()))}</span>"
        for one in runs
    )
    head = f"<h4>{escape(name)}</h4><p>{scores}</p>"
    if sequence is None or not any(len(one.rows) for one in runs):
        return f'<article class="lost">{head}</article>', 0
    lead = min(runs, key=lambda one: one.mean)  # the one that did worst chooses the moments
    picks = [int(lead.rows[place]) for place in moments(lead.overlaps)]
    timeline = _timeline(name, sequence, runs, picks)
    tiles, spent = "", 0
    if not isinstance(found, str) and found.dataset is not None:
        if left <= 0:
            tiles = paragraph(f"No frames: those of the sequences above have {MAX_BYTES >> 20} MB already.")
        else:
            tiles = "".join(_tile(subject, found, found.dataset, sequence, runs, row) for row in picks)
            spent = len(tiles)
            tiles = f'<div class="strip">{tiles}</div>'
    return f'<article class="lost">{head}{timeline}{tiles}</article>', spent


def _follow(subject: Subject, run: int, eval_id: str, name: str, sequence: Sequence | None) -> Followed | None:
    """The trial of a run whose score on the sequence is nearest to the mean over trials."""
    metric = subject.of_sequence(eval_id)
    rows = subject.by_sequence(run, eval_id)
    rows = rows[(rows["metric"] == metric) & (rows["sequence"] == name)].set_index("seed")["value"].dropna()
    if not len(rows):
        return None
    mean, std = float(rows.mean()), float(rows.std())
    seed = int((rows - mean).abs().idxmin())
    nothing = np.empty(0)
    if sequence is None:
        return Followed(run, seed, mean, std, nothing.astype(np.int64), nothing, nothing)
    try:
        track: Any = subject.track(run, eval_id, name, seed)
    except (UserError, DataError):
        return Followed(run, seed, mean, std, nothing.astype(np.int64), nothing, nothing)
    places = np.searchsorted(sequence.frames, track["frame"].to_numpy())
    is_known = (places < len(sequence.frames)) & (
        sequence.frames[np.minimum(places, len(sequence.frames) - 1)] == track["frame"].to_numpy()
    )
    track, places = track[is_known], places[is_known]
    boxes = track[["x", "y", "w", "h"]].to_numpy(np.float64)
    if "overlap" in track:
        overlaps = track["overlap"].to_numpy(np.float64)
    else:
        overlaps = iou(boxes, sequence.boxes[places])
    overlaps = np.where(sequence.present[places], overlaps, np.nan)
    return Followed(run, seed, mean, std, places.astype(np.int64), boxes, overlaps)


def _named(subject: Subject, one: Followed) -> str:
    return f"seed {one.seed}:" if subject.is_single else escape(f"{subject.names[one.run]}, seed {one.seed}:")


def _timeline(name: str, sequence: Sequence, runs: list[Followed], picks: list[int]) -> str:
    """Overlap over the frames of the sequence, a line per run."""
    total = max(len(sequence.frames) - 1, 1)
    absent = "".join(
        f'<rect x="{(begin - 0.5) / total * _WIDTH:.1f}" y="0" width="{(end - begin) / total * _WIDTH:.1f}"'
        f' height="{_HEIGHT}"/>'
        for begin, end in _stretches(~sequence.present)
    )
    lines = ""
    for one in runs:
        step = max(1, len(one.rows) // _POINTS)
        x, y = one.rows[::step] / total * _WIDTH, (1 - one.overlaps[::step]) * _HEIGHT
        for begin, end in _stretches(np.isfinite(y)):
            points = " ".join(f"{x[k]:.1f},{y[k]:.1f}" for k in range(begin, end))
            lines += f'<polyline class="run-{one.run}" points="{points}"/>'
    marks = "".join(f'<path d="M{row / total * _WIDTH:.1f} 0V{_HEIGHT}"/>' for row in picks)
    label = escape(f"overlap with the truth over the {len(sequence.frames)} frames of {name}")
    return (
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{label}">{absent}{marks}{lines}</svg>'
    )


def _tile(
    subject: Subject, found: Material, dataset: Dataset, sequence: Sequence, runs: list[Followed], row: int
) -> str:
    """One frame with the truth and the box of each run, and their overlaps below."""
    frame = int(sequence.frames[row])
    overlaps, boxes = [], []
    width, height = found.index.video_size(sequence.video)
    if sequence.present[row]:
        boxes.append((sequence.boxes[row], "truth"))
    for one in runs:
        place = int(np.searchsorted(one.rows, row))
        if place < len(one.rows) and one.rows[place] == row:
            boxes.append((one.boxes[place], f"run-{one.run}"))
            value = one.overlaps[place]
            said = "out of view" if not sequence.present[row] else f"{value:.2f}" if np.isfinite(value) else "–"
            what = "overlap " if subject.is_single and said[0].isdigit() else ""
            overlaps.append(f"{'' if subject.is_single else swatch(one.run)}{what}{said}")
    caption = f"<figcaption>frame {frame} · {' '.join(overlaps)}</figcaption>"
    try:
        data = dataset.read_frame(sequence.video, frame)
        image, _ = small_picture(RegionDecoder(), data, lambda: dataset.describe_frame(sequence.video, frame))
    except DataError as error:
        return f'<figure class="broken"><div class="picture">{escape(str(error))}</div>{caption}</figure>'
    scale = np.array([image.shape[1] / width, image.shape[0] / height] * 2)
    drawn = [((np.asarray(box) * scale).tolist(), kind) for box, kind in boxes]
    shown = picture(image, drawn, f"frame {frame} of {sequence.name}", _QUALITY)
    return f"<figure>{shown}{caption}</figure>"
