"""One run summarised: the table over seeds, from what lies on disk, by whoever finishes."""

from __future__ import annotations

from typing import Any

from seqtrack.assessment import results
from seqtrack.assessment.summary import COMPLETED, TrialOutcome, run_summary
from seqtrack.pipeline import plan, record
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import Request
from seqtrack.reporting import tables
from seqtrack.runs import atomic, attempts
from seqtrack.runs.paths import TrialFolder


def summarise(request: Request, failures: dict[int, str] | None = None) -> dict[str, Any]:
    """Writes ``summary.json`` and ``summary.csv`` of the request's trials and returns the summary.

    Args:
        failures: cause by seed, for trials that the caller knows to have failed.
    """
    failures = failures or {}
    scores: dict[str, dict[int, Any]] = {item.eval_id: {} for item in request.eval_sets}
    outcomes, notes = [], record.accepted(request.run)
    for seed in request.seeds:
        trial = request.run.trial(seed)
        selected = plan.selected_step(request, trial)
        if selected is not None and plan.is_complete(request, trial):
            candidates = len(plan.candidate_steps(request, trial))
            if unknown := plan.unknown_steps(request, trial):
                steps = ", ".join(map(str, unknown[:8])) + (", …" if len(unknown) > 8 else "")
                notes.append(f"seed {seed}: it has no checkpoint of step {steps}, which selection asks for")
            outcomes.append(TrialOutcome(seed, COMPLETED, selected, candidates=candidates))
            for item in request.eval_sets:
                folder = plan.final_folder(request, trial, Assessment(item, selected))
                scores[item.eval_id][seed] = results.load_scores(folder)
        else:
            outcomes.append(TrialOutcome(seed, *_unfinished(trial, failures.get(seed))))
    summary = run_summary(
        request.run_id,
        outcomes,
        scores,
        {item.eval_id: item.convention for item in request.eval_sets},
        request.selection.eval_id,
        request.selection_metric.name,
        notes,
    )
    atomic.sweep(request.run.path)
    atomic.write_json(request.run.summary_json, summary)
    atomic.write_text(request.run.summary_csv, tables.to_csv(summary))
    return summary


def _unfinished(trial: TrialFolder, failure: str | None) -> tuple[str, None, str | None]:
    attempt = attempts.newest(trial)
    if failure is not None:
        return "failed", None, failure
    if attempt is None:
        return "not started", None, None
    if attempts.is_alive(attempt):
        return "running", None, None
    end = attempts.ended(attempt)
    if end is None:
        return "died", None, "killed without a word; give the same command again"
    return str(end["state"]), None, end.get("error")
