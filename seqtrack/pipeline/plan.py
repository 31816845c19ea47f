"""What is left to do for a trial, read off the disk: nothing else decides what runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack.assessment import results
from seqtrack.assessment.summary import select
from seqtrack.data.formats import DatasetName
from seqtrack.errors import UserError
from seqtrack.pipeline import record
from seqtrack.pipeline.eval_sets import EvalSet
from seqtrack.pipeline.request import Request
from seqtrack.runs import code
from seqtrack.runs.identity import digest
from seqtrack.runs.paths import TrialFolder


@dataclass(frozen=True)
class Assessment:
    """One checkpoint to assess on one eval set."""

    eval_set: EvalSet
    step: int


def is_trained(request: Request, trial: TrialFolder) -> bool:
    """Whether the last checkpoint is there, or has been and was assessed."""
    return request.train.num_steps in candidate_steps(request, trial)


def candidate_steps(request: Request, trial: TrialFolder) -> list[int]:
    """Steps that selection chooses among: those it asks for of which there is a checkpoint or an assessment."""
    saved = trial.checkpoints()
    return [
        step
        for step in request.assessed_steps
        if step in saved or is_assessed(request, trial, Assessment(request.selection, step))
    ]


def unknown_steps(request: Request, trial: TrialFolder) -> list[int]:
    """Steps that selection asks for but that were never saved, or not kept, by this trial."""
    known = candidate_steps(request, trial)
    return [step for step in request.assessed_steps if step not in known]


def final_folder(request: Request, trial: TrialFolder, assessment: Assessment) -> Path:
    return trial.assessment(assessment.eval_set.eval_id, assessment.step, request.assessment_key)


def is_assessed(request: Request, trial: TrialFolder, assessment: Assessment) -> bool:
    return results.is_finished(final_folder(request, trial, assessment))


def selection_scores(request: Request, trial: TrialFolder) -> dict[int, float]:
    """Score of each candidate that has been assessed on the selection set; NaN where it has none."""
    name = request.selection_metric.name
    scores = {}
    for step in candidate_steps(request, trial):
        assessment = Assessment(request.selection, step)
        if is_assessed(request, trial, assessment):
            score = results.load_summary(final_folder(request, trial, assessment))["metrics"][name]
            scores[step] = math.nan if score is None else score
    return scores


def selected_step(request: Request, trial: TrialFolder) -> int | None:
    """The checkpoint that the trial is reported at; None until every candidate has been assessed.

    Raises:
        UserError: there are several and none has the score that is to choose among them.
    """
    if not is_trained(request, trial):
        return None
    scores = selection_scores(request, trial)
    if len(scores) < len(candidate_steps(request, trial)):
        return None
    if len(scores) == 1:
        return next(iter(scores))
    metric = request.selection_metric
    if all(map(math.isnan, scores.values())):
        raise UserError(
            f"--optimize_metric: seed {trial.seed} has no {metric.name} on {request.selection.eval_id} at any step (a"
            " set may be too small or its videos too short for it); give another metric or --optimize_dataset"
        )
    return select(scores, metric.higher_is_better)


def missing_assessments(request: Request, trial: TrialFolder) -> list[Assessment]:
    """What can be assessed next. Empty once the trial is complete: ask again after doing what it says, since
    the selected step is known only then."""
    if not is_trained(request, trial):
        return []
    steps = candidate_steps(request, trial)
    wanted = [Assessment(request.selection, step) for step in steps]
    selected = selected_step(request, trial)
    if request.assess.assess_all:
        wanted += [Assessment(item, step) for item in request.eval_sets for step in steps]
    elif selected is not None:
        wanted += [Assessment(item, selected) for item in request.eval_sets]
    unique = {(item.eval_set.eval_id, item.step): item for item in wanted}
    return [item for item in unique.values() if not is_assessed(request, trial, item)]


def is_complete(request: Request, trial: TrialFolder) -> bool:
    """Whether the trial has every score that the table wants of it."""
    return selected_step(request, trial) is not None and not missing_assessments(request, trial)


def video_folder(request: Request, trial: TrialFolder, assessment: Assessment) -> Path:
    """Where ``--visualize`` puts the videos of an assessment."""
    final = final_folder(request, trial, assessment)
    return final.with_name(f"{final.name}-videos")


def has_nothing_left(request: Request, trial: TrialFolder) -> bool:
    """Whether a worker would find nothing to do: every score is there, and every video that was asked for."""
    step = selected_step(request, trial)
    if step is None or not is_complete(request, trial):
        return False
    if not request.execution.visualize:
        return True
    folders = [video_folder(request, trial, Assessment(item, step)) for item in request.eval_sets]
    return all(videos_complete(request, folder).exists() for folder in folders)


def videos_complete(request: Request, folder: Path) -> Path:
    """The mark of a folder with every video that was asked for, and every frame if those were."""
    return folder / (".complete-with-frames" if request.execution.keep_frames else ".complete")


def check_checkpoints(request: Request, trial: TrialFolder) -> None:
    """Refuses to assess checkpoints that were there once. UserError says which, and what can be done without them."""
    there = trial.checkpoints()
    gone = [item for item in missing_assessments(request, trial) if item.step not in there]
    if not gone:
        return
    steps, selected = list(dict.fromkeys(item.step for item in gone)), selected_step(request, trial)
    shown = ", ".join(map(str, steps[:8])) + (", …" if len(steps) > 8 else "")
    sets = ", ".join(dict.fromkeys(item.eval_set.eval_id for item in gone))
    is_damaged = any(trial.checkpoint(step).set_aside() for step in steps)
    why = "damaged, and set aside" if is_damaged else "seqtrack clean removes those that no table needs"
    if request.assess.assess_all and selected in there:
        flag, way = "assess_all", f"leave --assess_all out to assess step {selected} alone, which is selected"
    else:
        left = ", ".join(map(str, there)) or "none"
        flag, way = "optimize_metric", f"give one that selects among those that are left ({left})"
    raise UserError(
        f"--{flag}: seed {trial.seed} of run {request.run_id} cannot be assessed on {sets} at step {shown}: these"
        f" checkpoints are gone ({why}); {way}, or --variant NAME to train again"
    )


_OF_AN_ASSESSMENT = f"{record.ACCEPT}; if they are other data, name the set otherwise"


def check_assessments(
    request: Request,
    trial: TrialFolder,
    now: Mapping[str, str],
    data_now: Callable[[DatasetName], dict[str, str]],
    steps: Iterable[int] | None = None,
) -> None:
    """Refuses to mix assessments made by different code or on different data, unless the person accepts it
    (see ``record``).

    Args:
        now: SHA-256 of the modules that an assessment imports.
        data_now: the fingerprint of a data set; asked only about those that an assessment was made on.
        steps: whose assessments; None for those that selection chooses among.
    """
    changes: dict[str, str] = {}
    checked = candidate_steps(request, trial) if steps is None else list(steps)
    for item in request.eval_sets:
        for step in checked:
            folder = final_folder(request, trial, Assessment(item, step))
            if results.is_finished(folder):
                changes.update(_changes(item, results.load_config(folder), dict(now), data_now(item.dataset)))
    changes = {change: what for change, what in changes.items() if not record.is_accepted(request.run, change)}
    for change, what in sorted(changes.items(), key=lambda item: item[1]):
        if not request.execution.accept_changes:
            # Who names the steps (seqtrack assess) has no --variant.
            choices = record.CHOICES if steps is None and request.train.num_steps else _OF_AN_ASSESSMENT
            raise UserError(f"seed {trial.seed} of run {request.run_id} was assessed before its {what}: {choices}")
        record.accept(request.run, f"seed {trial.seed}: assessed before a change ({what})", change)


def _changes(
    item: EvalSet, config: Mapping[str, Any], code_now: dict[str, str], data_now: dict[str, str]
) -> dict[str, str]:
    """What differs from how an assessment was made, by the digest of the difference; empty if nothing does."""
    name, code_then, data_then = item.dataset.folder, config.get("code", {}), config.get("data", {})
    files = code.changed(code_then, code_now)
    datasets = record.changed_data({name: data_then}, {name: data_now})
    what = [f"code changed: {', '.join(files)}"] if files else []
    what += [f"data changed: {', '.join(datasets)}"] if datasets else []
    return {digest([code_then, data_then, code_now, data_now]): "; ".join(what)} if what else {}
