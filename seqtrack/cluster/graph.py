"""The job graph: from what is on disk and in the queue to the jobs that are missing, and what each waits for.

    [index] ──afterok──▶ train[i] ──aftercorr──▶ assess[i] ──afterany──▶ summary

The trials may be of one run or of several: an array is a list of them.

Pure: the scheduler gathers the states, asks ``plan_jobs``, and submits what it says in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from seqtrack.runs.jobs import ASSESS, INDEX, SUMMARY, TRAIN
from seqtrack.runs.paths import TrialKey

AFTER_OK, AFTER_ANY, AFTER_CORRESPONDING = "afterok", "afterany", "aftercorr"


@dataclass(frozen=True)
class TrialState:
    """A trial that is not complete.

    Attributes:
        training: task in the queue that trains it (``123_4``).
        assessing: task in the queue that will assess it as this request wants it.
        others: tasks in the queue that assess it for another question.
    """

    trial: TrialKey
    is_trained: bool
    training: str | None = None
    assessing: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dependency:
    """``on`` is the position of another planned job, or the id of a job that SLURM has already."""

    kind: str
    on: int | str


@dataclass(frozen=True)
class PlannedJob:
    stage: str
    trials: tuple[TrialKey, ...] = ()
    after: tuple[Dependency, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Jobs in the order in which they are to be submitted.

    Attributes:
        cancel: tasks in the queue that can come to nothing, or that the plan replaces.
        waiting: trials for which the queue has no room now.
    """

    jobs: list[PlannedJob] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)
    waiting: list[TrialKey] = field(default_factory=list)


def plan_jobs(
    states: Sequence[TrialState],
    *,
    index: bool | str,
    summary: str | None,
    max_array_size: int,
    room: int | None = None,
) -> Plan:
    """What to submit so that every trial gets trained and assessed, and all of it summarised.

    Args:
        states: of the trials that are not complete and may be submitted.
        index: whether an index is missing; or the id of the job in the queue that builds it.
        summary: id of a summary job in the queue.
        max_array_size: most tasks of one array.
        room: how many more jobs may be in the queue; None for any number.
    """
    needy = [state for state in states if (state.training is None and state.assessing is None) or _is_split(state)]
    taken, waiting = _fitting(needy, room, has_index=index is not True, has_summary=summary is not None)
    plan = Plan(waiting=waiting)
    if taken and index is True:
        plan.jobs.append(PlannedJob(INDEX))
    first: tuple[Dependency, ...] = ()
    if index is not False:
        first = (Dependency(AFTER_OK, 0 if index is True else index),)

    for state in taken:
        if not state.is_trained and state.training is None:
            # Its training is gone, so whatever still waits for that waits for nothing.
            plan.cancel.extend(filter(None, [state.assessing, *state.others]))
    untrained = [state.trial for state in taken if not state.is_trained and state.training is None]
    for trials in _chunks(untrained, max_array_size):
        plan.jobs.append(PlannedJob(TRAIN, trials, first))
        # The same list of trials: SLURM pairs tasks by their place in the array.
        plan.jobs.append(PlannedJob(ASSESS, trials, (Dependency(AFTER_CORRESPONDING, len(plan.jobs) - 1),)))
    rest = [state for state in taken if state.is_trained or state.training is not None]
    ready = [state.trial for state in rest if state.training is None and not state.others]
    for trials in _chunks(ready, max_array_size):
        plan.jobs.append(PlannedJob(ASSESS, trials, first))
    for job, trials in _beginnings(rest).items():
        if len(trials) <= max_array_size:
            # Of a submitter that died between the two arrays: the second is made up for as one.
            plan.jobs.append(PlannedJob(ASSESS, trials, (Dependency(AFTER_CORRESPONDING, job),)))
            rest = [state for state in rest if state.trial not in trials]
    for state in rest:
        if state.training is not None or state.others:
            after = [Dependency(AFTER_OK, state.training)] if state.training else list(first)
            after += [Dependency(AFTER_ANY, other) for other in state.others]
            plan.jobs.append(PlannedJob(ASSESS, (state.trial,), tuple(after)))

    assessments = [Dependency(AFTER_ANY, n) for n, job in enumerate(plan.jobs) if job.stage == ASSESS]
    in_queue = dict.fromkeys(_job_id(s.assessing) for s in states if s.assessing and s.assessing not in plan.cancel)
    if assessments or (in_queue and (summary is None or waiting)):
        if summary is not None:
            # It would summarise before the new ones have ended, and not know of those that wait for room.
            plan.cancel.append(summary)
        plan.jobs.append(PlannedJob(SUMMARY, (), (*assessments, *(Dependency(AFTER_ANY, job) for job in in_queue))))
    return plan


def _is_split(state: TrialState) -> bool:
    """Whether only one half of the pair is in the queue and the other has to be found."""
    if state.training is not None:
        return state.assessing is None
    return state.assessing is not None and not state.is_trained


def _beginnings(states: Sequence[TrialState]) -> dict[str, tuple[TrialKey, ...]]:
    """By job, trials that are its first tasks, two or more without a gap: an array over them has their places."""
    found: dict[str, dict[int, TrialKey]] = {}
    for state in states:
        job, _, place = (state.training or "").partition("_")
        if place and not state.others:
            found.setdefault(job, {})[int(place)] = state.trial
    return {
        job: tuple(trials[place] for place in range(len(trials)))
        for job, trials in found.items()
        if len(trials) > 1 and max(trials) == len(trials) - 1
    }


def _fitting(
    states: Sequence[TrialState], room: int | None, has_index: bool, has_summary: bool
) -> tuple[list[TrialState], list[TrialKey]]:
    """Those for which there is room, in their order, and the others."""
    if room is None:
        return list(states), []
    room -= (not has_index) + (not has_summary)
    taken: list[TrialState] = []
    for state in states:
        room -= 1 if state.is_trained or state.training is not None else 2
        if room < 0:
            break
        taken.append(state)
    return taken, [state.trial for state in states[len(taken) :]]


def _chunks(trials: Sequence[TrialKey], size: int) -> Iterator[tuple[TrialKey, ...]]:
    for start in range(0, len(trials), size):
        yield tuple(trials[start : start + size])


def _job_id(task: str) -> str:
    return task.partition("_")[0]


def dependency_text(after: Iterable[Dependency], ids: Sequence[str]) -> str | None:
    """As sbatch takes it: ``afterok:12,afterany:13:14_2``. ``ids`` are of the jobs planned before, by position."""
    found: dict[str, list[str]] = {}
    for dependency in after:
        job = ids[dependency.on] if isinstance(dependency.on, int) else dependency.on
        found.setdefault(dependency.kind, []).append(job)
    return ",".join(f"{kind}:{':'.join(jobs)}" for kind, jobs in found.items()) or None
