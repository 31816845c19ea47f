"""Checkpoints that a person has chosen, assessed on whatever is asked for: what ``seqtrack assess`` does.

Results lie where the run's own assessments of the same question would, so nothing is tracked twice, and whoever reads
the run finds them. The run itself, its selection and its summary stay as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqtrack import config as configuration
from seqtrack import yaml_files
from seqtrack.assessment import results
from seqtrack.assessment.summary import COMPLETED, TrialOutcome, run_summary
from seqtrack.data import datasets
from seqtrack.errors import SeqtrackError, UserError
from seqtrack.pipeline import loaded_tracker, plan, request
from seqtrack.pipeline.plan import Assessment
from seqtrack.pipeline.request import NamedFile, Request
from seqtrack.runs import attempts, events, submissions
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.jobs import ASSESS
from seqtrack.runs.paths import RunFolder, TrialFolder
from seqtrack.runs.status import trial_status

# Where the run's last command found its data; what is given now, or is a fact of this machine, comes first.
_PLACES = (
    "data_dir", "data_paths", "tar_dir", "untar", "stage_mode", "tmp_data_dir", "tmp_keep", "data_cache_dir",
)  # fmt: skip
# How it measured; what it measured on, and how it chose among checkpoints, does not matter here.
_HOW = (
    "eval_convention", "eval_tre_num", "eval_repeats", "eval_preproc", "max_eval_videos", "tracker_params",
)  # fmt: skip

Watch = Callable[[str], contextlib.AbstractContextManager[Callable[[int, int], object]]]
"""Given a title, a context whose value is told frames done, and frames in all."""


@dataclass(frozen=True)
class Chosen:
    """A checkpoint. candidates: how many it was chosen among, by its trial, on the eval set ``selected_on``."""

    seed: int
    step: int
    candidates: int = 1
    selected_on: str = ""


def request_for(run: RunFolder, given: Mapping[str, Any]) -> Request:
    """The run's request with other things to assess.

    Args:
        given: flags by name. Those of ``_HOW`` and ``_PLACES`` that are missing are as in the run's last command.
    """
    before = submissions.newest(run)
    values = {name: value for name in _PLACES if (value := before.get("execution", {}).get(name)) is not None}
    values |= {name: before["assess"][name] for name in _HOW if name in before.get("assess", {})}
    values |= {**configuration.machine_values(), **given, "cache_dir": str(run.path.absolute().parent)}
    content = yaml_files.read(run.train_yaml)
    train = loaded_tracker.read_train_config(run)
    config = dataclasses.replace(configuration.build(values), train=train)
    files = {name: NamedFile(**file) for name, file in content.get("files", {}).items()}
    return request.complete(config, run.run_id, files)


def selected(run: RunFolder, seeds: Sequence[int] | None) -> list[Chosen]:
    """The checkpoint that each trial is reported at, by the newest command that it has finished.

    Raises:
        UserError: a trial has finished none.
    """
    _check_seeds(run, seeds)
    return [_selected(run, trial) for trial in run.trials() if seeds is None or trial.seed in seeds]


def _selected(run: RunFolder, trial: TrialFolder) -> Chosen:
    for command in reversed(submissions.read(run)):
        asked = request.read_submission(run, command.get("id"))
        step = plan.selected_step(asked, trial) if trial.seed in asked.seeds else None
        if step is not None:
            return Chosen(trial.seed, step, len(plan.candidate_steps(asked, trial)), asked.selection.eval_id)
    if not submissions.read(run):
        raise UserError(f"{run.submissions}: is missing or damaged; give --step, or the command of the run again")
    raise UserError(
        f"RUN: seed {trial.seed} of run {run.run_id} is not finished, so no step is selected: give --step, or the"
        " command of the run again"
    )


def at_step(run: RunFolder, seeds: Sequence[int] | None, step: int) -> list[Chosen]:
    """The checkpoint of that step of each trial. UserError where there is none."""
    _check_seeds(run, seeds)
    trials = [trial for trial in run.trials() if seeds is None or trial.seed in seeds]
    for trial in trials:
        there = trial.checkpoints()
        if step not in there:
            steps = ", ".join(map(str, there)) or "none"
            raise UserError(f"--step: seed {trial.seed} of run {run.run_id} has no checkpoint {step}; it has {steps}")
    return [Chosen(trial.seed, step) for trial in trials]


def _check_seeds(run: RunFolder, seeds: Sequence[int] | None) -> None:
    there = [trial.seed for trial in run.trials()]
    if not there:
        raise UserError(f"RUN: run {run.run_id} has no trials yet")
    for seed in seeds or ():
        if seed not in there:
            known = ", ".join(map(str, there))
            raise UserError(f"--seed: run {run.run_id} has no trial {seed}; there are {known}")


def assess(asked: Request, chosen: Sequence[Chosen], say: Callable[[str], None], watch: Watch) -> dict[str, Any]:
    """Assesses what is missing; returns a summary of all, in the form of a run's ``summary.json``.

    Raises:
        UserError: before anything is tracked: data that is not there, a trial at work, results of other code.
    """
    for name, places, assessed in asked.data_uses:
        if assessed:
            datasets.prepare(name, places, say, assessed)
    missing = {}
    for item in chosen:
        trial = asked.run.trial(item.seed)
        plan.check_assessments(
            asked,
            trial,
            asked.assessment_code,
            lambda name: datasets.fingerprint(name, asked.eval_locations),
            [item.step],
        )
        wanted = [Assessment(eval_set, item.step) for eval_set in asked.eval_sets]
        missing[item] = [work for work in wanted if not plan.is_assessed(asked, trial, work)]
        if missing[item] and attempts.live(trial) is not None:
            raise UserError(_BUSY.format(item.seed, asked.run_id))
        if missing[item] and item.step not in trial.checkpoints():
            raise UserError(f"RUN: the checkpoint of step {item.step} of seed {item.seed} is gone: {trial.path}")
    for item, works in missing.items():
        if works:
            _assess(asked, item, works, watch)
    return _summary(asked, chosen)


_BUSY = "RUN: seed {} of run {} is at work; assess it when it is done (seqtrack status shows it)"


def _assess(asked: Request, item: Chosen, works: Sequence[Assessment], watch: Watch) -> None:
    from seqtrack.pipeline import assess_trial

    trial = asked.run.trial(item.seed)
    before = _before(trial)
    attempt = attempts.claim(trial, ASSESS)
    if attempt is None:
        raise UserError(_BUSY.format(item.seed, asked.run_id))
    with attempt, _logging_to(attempt, asked.execution.loglevel):
        attempt.event("start", stage=ASSESS, before=before)
        try:
            for work in works:
                title = f"seed {item.seed}, step {item.step}: {work.eval_set.eval_id}"
                with watch(title) as show:
                    attempt.on_event = functools.partial(_show, show)
                    assess_trial.assess(asked, attempt, work, lambda: attempt.is_superseded)
        except assess_trial.Stopped:
            attempt.guard()
        except SeqtrackError as error:
            raise type(error)(f"seed {item.seed}, {work.eval_set.eval_id}: {error}") from error
        finally:
            # The trial is where it was before: an assessment by the way says nothing about it.
            attempt.event("end", **before)


def _before(trial: TrialFolder) -> dict[str, str | None]:
    """How the trial's attempts have ended so far: for one whose assessment by the way was killed, before that."""
    newest = attempts.newest(trial)
    for event in events.read(newest.events)[:1] if newest is not None and attempts.ended(newest) is None else ():
        if isinstance(event.get("before"), dict):
            return dict(event["before"])
    status = trial_status(trial)
    return {"state": status.state, "error": status.detail or None}


def _show(show: Callable[[int, int], object], event: Mapping[str, Any]) -> None:
    if event["event"] == "assess":
        show(event["done"], event["total"])


@contextlib.contextmanager
def _logging_to(attempt: Attempt, level: str) -> Iterator[None]:
    attempt.folder.path.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(attempt.folder.log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    old = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.setLevel(old)
        root.removeHandler(handler)
        handler.close()


def _summary(asked: Request, chosen: Sequence[Chosen]) -> dict[str, Any]:
    scores: dict[str, dict[int, Any]] = {
        eval_set.eval_id: {
            item.seed: results.load_scores(
                plan.final_folder(asked, asked.run.trial(item.seed), Assessment(eval_set, item.step))
            )
            for item in chosen
        }
        for eval_set in asked.eval_sets
    }
    outcomes = [TrialOutcome(item.seed, COMPLETED, item.step, candidates=item.candidates) for item in chosen]
    selected_on = chosen[0].selected_on or asked.selection.eval_id
    conventions = {item.eval_id: item.convention for item in asked.eval_sets}
    return run_summary(asked.run_id, outcomes, scores, conventions, selected_on, asked.selection_metric.name)
