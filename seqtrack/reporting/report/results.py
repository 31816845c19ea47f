"""The head of the report and its tables of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from html import escape
from typing import Any

from seqtrack.assessment.metrics import decimals
from seqtrack.reporting.page import count
from seqtrack.reporting.report.markup import (
    NOTHING,
    Cell,
    Column,
    number,
    paragraph,
    score,
    section,
    swatch,
    table,
    text,
)
from seqtrack.reporting.report.subject import Subject, arrow, definition
from seqtrack.runs.identity import digest

CODE_DIGITS = 8


def head(subject: Subject, title: str) -> str:
    """Names, ids, dates, how far it is, and what a reader must know before any number."""
    cards = []
    for k, run in enumerate(subject.runs):
        failed = [str(seed) for seed in run.trials["seed"][run.trials["error"] != ""]]
        facts = [f"run {run.run_id}", *_submitted(run.submission), _completed(run)]
        problem = (
            f'<p class="problems">Seed {escape(", ".join(failed))} did not end well: <a href="#failures">why</a></p>'
            if failed
            else ""
        )
        notes = "".join(paragraph(f"Note: {note}", "note") for note in subject.notes(k))
        name = subject.names[k]
        cards.append(
            f'<div class="card run-{k}"><h2>{swatch(k)}{escape(name)}</h2><p>{escape(" · ".join(facts))}</p>'
            f"{problem}{notes}</div>"
        )
    return f'<h1>{escape(title)}</h1><div class="cards">{"".join(cards)}</div>'


def results(subject: Subject) -> str:
    """Mean ± std per eval set and run, as papers print it; then every number behind it."""
    if not subject.eval_ids:
        return section("Results", paragraph("No trial has been assessed yet."))
    groups: dict[tuple[str, ...], list[str]] = {}
    for eval_id in subject.eval_ids:
        groups.setdefault(tuple(subject.metrics(eval_id)), []).append(eval_id)
    tables = [_overview(subject, eval_ids, metrics) for metrics, eval_ids in groups.items()]
    lead = (
        "Mean ± sample standard deviation over seeds, each at the checkpoint that was selected for it"
        f"{'' if subject.is_single else '; the best mean of a set is bold, of runs with one convention'}."
    )
    return section("Results", *tables, _every_seed(subject), lead=lead)


def _overview(subject: Subject, eval_ids: list[str], metrics: tuple[str, ...]) -> str:
    columns = [Column("eval set"), Column("convention", "whose rules the scores follow")]
    columns += [] if subject.is_single else [Column("run")]
    columns += [Column("n", "trials", is_number=True)]
    columns += [Column(arrow(metric), definition(metric), is_number=True) for metric in metrics]
    rows = []
    for eval_id in eval_ids:
        best = {metric: subject.best(eval_id, metric) for metric in metrics}
        places = {metric: subject.decimals(eval_id, metric) for metric in metrics}
        for k, name in enumerate(subject.names):
            cells = {metric: subject.cell(k, eval_id, metric) for metric in metrics}
            trials = max((cell["n"] for cell in cells.values() if cell), default=0)
            if not trials:
                continue
            row = [text(eval_id), text(subject.convention(k, eval_id))]
            row += [] if subject.is_single else [Cell(name, swatch=k)]
            row.append(number(trials, 0))
            row += [
                score(cell["mean"], cell["std"], places[metric], k in best[metric]) if cell else number(None)
                for metric, cell in cells.items()
            ]
            rows.append(row)
    return table(columns, rows, f"Scores on {', '.join(eval_ids)}")


def _every_seed(subject: Subject) -> str:
    """A row per (eval set, metric, run)."""
    seeds = sorted(
        {
            int(seed)
            for k in range(len(subject.runs))
            for metrics in subject.results(k).values()
            for cell in metrics.values()
            for seed in cell["per_seed"]
        }
    )
    columns = [Column("eval set"), Column("metric"), *([] if subject.is_single else [Column("run")])]
    columns += [Column("mean ± std", "over seeds", is_number=True)]
    columns += [Column("95 % interval", "of the mean, had other sequences been drawn (bootstrap)", is_number=True)]
    columns += [Column("n", "trials", is_number=True)]
    columns += [Column(f"seed {seed}", is_number=True) for seed in seeds]
    rows = []
    for eval_id in subject.eval_ids:
        for metric in subject.metrics(eval_id):
            best = subject.best(eval_id, metric)
            for k, name in enumerate(subject.names):
                cell = subject.cell(k, eval_id, metric)
                if cell is None:
                    continue
                row = [text(eval_id), text(metric), *([] if subject.is_single else [Cell(name, swatch=k)])]
                row.append(score(cell["mean"], cell["std"], subject.decimals(eval_id, metric), k in best))
                row += [interval(cell, decimals(metric)), number(cell["n"], 0)]
                places = decimals(metric, cell["per_seed"].values())
                row += [number(cell["per_seed"].get(str(seed)), places) for seed in seeds]
                rows.append(row)
    return table(columns, rows, "Scores of every seed", "eval set, metric or run")


def interval(cell: Mapping[str, Any], digits: int = 3) -> Cell:
    """Of a cell of ``summary.json``."""
    found = cell.get("interval_95")
    if not found or any(bound is None or math.isnan(bound) for bound in found):
        return Cell(NOTHING, math.nan)
    return Cell(f"{found[0]:.{digits}f} – {found[1]:.{digits}f}", float(found[0]))


def _submitted(submission: Mapping[str, Any]) -> list[str]:
    if "time" not in submission:
        return []
    when = datetime.fromtimestamp(submission["time"], timezone.utc)
    return [f"started {when:%Y-%m-%d %H:%M} UTC", *code_name(submission)]


def code_name(submission: Mapping[str, Any]) -> list[str]:
    """The code of a command: its commit and how many files differed from it, or the digest of what was imported."""
    snapshot = submission.get("snapshot") or {}
    if snapshot.get("head"):
        changed = len(snapshot.get("changed", ()))
        files = f" and {count(changed, 'changed file')}" if changed else ""
        return [f"code {snapshot['head'][:CODE_DIGITS]}{files}"]
    modules = submission.get("code")
    return [f"code {digest(modules)[:CODE_DIGITS]}"] if modules else []


def _completed(run: Any) -> str:
    done, total = run.summary.get("completed", 0), run.summary.get("num_trials", len(run.seeds))
    return f"{done} of {total} trial{'' if total == 1 else 's'} done"
