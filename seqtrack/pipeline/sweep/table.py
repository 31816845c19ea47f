"""The table of a sweep: its runs, best first, from what lies on disk."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from seqtrack.assessment.metrics import decimals
from seqtrack.errors import UserError
from seqtrack.pipeline import plan
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.sweep.sweep import Sweep, is_asked_for
from seqtrack.reporting.parallel import short_names
from seqtrack.runs import atomic
from seqtrack.runs.paths import TrialKey
from seqtrack.schema import counted

REASONS_SHOWN = 5
PRELIMINARY = "points without a rank have trials to come: their scores are preliminary, and stand below the others"


def scores(request: Request) -> dict[int, float]:
    """By seed, of the trials that are complete: the selected checkpoint on the selection set."""
    found = {}
    for seed in request.seeds:
        trial = request.run.trial(seed)
        if not trial.path.is_dir():
            continue
        with contextlib.suppress(UserError):  # no checkpoint has a score to select by: the trial says so itself
            step = plan.selected_step(request, trial)
            if step is not None and not plan.missing_assessments(request, trial):
                found[seed] = plan.selection_scores(request, trial)[step]
    return found


def tabulate(sweep: Sweep, failures: Mapping[TrialKey, str] | None = None) -> dict[str, Any]:
    """The content of ``sweep.json``: no date and no host, so that a sweep that was killed gives the same bytes."""
    return table(sweep, [scores(request) for request in sweep.requests], failures or {})


def table(sweep: Sweep, found: list[dict[int, float]], failures: Mapping[TrialKey, str]) -> dict[str, Any]:
    """Pure. found: of each run, the score of each seed that is done."""
    first = sweep.requests[0]
    sign = -1.0 if first.selection_metric.higher_is_better else 1.0
    rows: list[dict[str, Any]] = []
    for run, values in zip(sweep.runs, found, strict=True):
        known = [value for _, value in sorted(values.items()) if math.isfinite(value)]
        if len(known) < len(values):
            known = []  # as in the run's own summary: a mean of those that have a score is no mean of the trials
        rows.append(
            {
                "run_id": run.run_id,
                "points": list(run.numbers),
                "values": dict(run.values),
                "mean": statistics.fmean(known) if known else None,
                "std": statistics.stdev(known) if len(known) > 1 else None,
                "n": len(values),
                "asked": len(first.seeds),
                "per_seed": {
                    str(seed): value if math.isfinite(value) else None for seed, value in sorted(values.items())
                },
            }
        )
    # A mean over fewer trials than the others' is no rival to them yet: of many points the luckiest trial would win.
    rows.sort(key=lambda row: (row["mean"] is None, not _has_all(row), sign * (row["mean"] or 0.0), row["points"][0]))
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank if row["mean"] is not None and _has_all(row) else None
    return {
        "name": sweep.folder.name,
        "eval_id": first.selection.eval_id,
        "metric": first.selection_metric.name,
        "convention": first.selection.convention,
        "higher_is_better": first.selection_metric.higher_is_better,
        "seeds": list(first.seeds),
        "axes": [{"name": axis.name, "scale": axis.scale, "values": list(axis.values)} for axis in sweep.axes],
        "rows": rows,
        "done": _done(sweep, found),
        "asked": len(first.seeds) * len({run.run_id for run in sweep.runs}),
        "notes": [*sweep.same, *_reasons(failures)],
    }


def _has_all(row: Mapping[str, Any]) -> bool:
    return bool(row["n"] == row["asked"])


def _done(sweep: Sweep, found: list[dict[int, float]]) -> int:
    """How many trials have the score of every point that shares them."""
    done: dict[str, set[int]] = {}
    for run, scores in zip(sweep.runs, found, strict=True):
        done[run.run_id] = done.get(run.run_id, set(scores)) & set(scores)
    return sum(map(len, done.values()))


def _reasons(failures: Mapping[TrialKey, str]) -> list[str]:
    lines = [f"run {trial.run} seed {trial.seed}: failed: {why}" for trial, why in sorted(failures.items())]
    more = len(lines) - REASONS_SHOWN
    return lines[:REASONS_SHOWN] + ([f"and {more} more failed"] if more > 0 else [])


def write(sweep: Sweep, failures: Mapping[TrialKey, str] | None = None) -> dict[str, Any]:
    """Refreshes ``sweep.json`` and ``sweep.csv`` and returns the table.

    Of two trials that end at once, the one that writes last may have looked first, so each looks again when it has
    written. A command whose file was changed under it, and given again, leaves the table to the newer one.
    """
    atomic.sweep(sweep.folder.path)
    found = tabulate(sweep, failures)
    while is_asked_for(sweep):
        atomic.write_json(sweep.folder.json, found)
        atomic.write_text(sweep.folder.csv, to_csv(found))
        before, found = found, tabulate(sweep, failures)
        if found == before:
            break
    return found


def spelled(value: Any) -> str:
    """As it would be typed."""
    return value if isinstance(value, str) else json.dumps(value)


def _names(found: Mapping[str, Any]) -> list[str]:
    return [axis["name"] for axis in found["axes"]]


def to_csv(found: Mapping[str, Any]) -> str:
    """A line for each run, every digit, for other programs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = _names(found)
    writer.writerow(["rank", *names, "eval_id", "metric", "mean", "std", "n", "asked", "run_id", "convention"])
    for row in found["rows"]:
        numbers = ["" if row[key] is None else repr(row[key]) for key in ("mean", "std", "n", "asked")]
        rank = "" if row["rank"] is None else row["rank"]
        values = [spelled(row["values"][name]) for name in names]
        writer.writerow(
            [rank, *values, found["eval_id"], found["metric"], *numbers, row["run_id"], found["convention"]]
        )
    return buffer.getvalue()


def trials(row: Mapping[str, Any]) -> str:
    """Over how many a score is: ``3``, or ``1 of 3``."""
    return str(row["n"]) if _has_all(row) else f"{row['n']} of {row['asked']}"


def preliminary(found: Mapping[str, Any]) -> bool:
    """Whether a score is there that is not over all trials."""
    return any(row["mean"] is not None and not _has_all(row) for row in found["rows"])


def score(row: Mapping[str, Any], metric: str) -> str:
    if row["mean"] is None:
        return "-"
    places = decimals(metric)
    return f"{row['mean']:.{places}f}" + ("" if row["std"] is None else f" ± {row['std']:.{places}f}")


def to_text(found: Mapping[str, Any], width: int | None = None) -> str:
    """For a person: aligned columns, and what there is to say under them. width: of the screen, if it is one."""
    lines = laid_out(found, ("n",), [(trials(row),) for row in found["rows"]], width)
    lines.append(f"convention: {found['convention']} ({found['eval_id']})")
    lines.append(f"{found['done']:,} of {counted(found['asked'], 'trial')} completed")
    if preliminary(found):
        lines.append(PRELIMINARY)
    return "\n".join([*lines, *(f"note: {note}" for note in found["notes"])]) + "\n"


def laid_out(
    found: Mapping[str, Any], heading: Sequence[str], more: Sequence[Sequence[str]], width: int | None
) -> list[str]:
    """A line for each row, with ``more`` of it before its run; where that is too wide, its values in lines below."""
    names, rows = _names(found), found["rows"]
    values = [[spelled(row["values"][name]) for name in names] for row in rows]
    first = ["rank", *(str(row["rank"] or "-") for row in rows)]
    last = [[f"{found['metric']} ({found['eval_id']})", *heading, "run"]]
    last += [[score(row, found["metric"]), *cells, row["run_id"]] for row, cells in zip(rows, more, strict=True)]
    middle = [short_names(names), *values]
    lines = _aligned([[f, *m, *rest] for f, m, rest in zip(first, middle, last, strict=True)])
    if width is None or max(map(len, lines)) <= width:
        return lines
    lines = _aligned([[f, *rest] for f, rest in zip(first, last, strict=True)])
    indent = " " * len("rank  ")
    for k, row in reversed(list(enumerate(values, start=1))):
        text = ", ".join(f"{name}={value}" for name, value in zip(middle[0], row, strict=True))
        wrapped = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        lines[k + 1 : k + 1] = wrapped
    return lines


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def best(found: Mapping[str, Any]) -> str:
    """The first row in one line; empty while there is none."""
    row = found["rows"][0]
    if row["mean"] is None:
        return ""
    values = ", ".join(f"{name}={spelled(row['values'][name])}" for name in _names(found))
    return f"{found['metric']} {score(row, found['metric'])} (n = {trials(row)}; {values}; run {row['run_id']})"
