"""Which jobs a command hands to SLURM, and what each of them waits for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from seqtrack.cluster.graph import Dependency, PlannedJob, TrialState, dependency_text, plan_jobs
from seqtrack.runs.paths import TrialKey


def keys(*seeds: int) -> tuple[TrialKey, ...]:
    return tuple(TrialKey("run", seed) for seed in seeds)


def state(seed: int, is_trained: bool = False, *, training: str | None = None, assessing: str | None = None,
          others: tuple[str, ...] = ()) -> TrialState:  # fmt: skip
    return TrialState(TrialKey("run", seed), is_trained, training, assessing, others)


def new(seed: int) -> TrialState:
    return state(seed)


def test_a_new_run_is_two_arrays_over_the_same_seeds_and_a_summary() -> None:
    plan = plan_jobs([new(0), new(1), new(2)], index=False, summary=None, max_array_size=1001)
    assert plan.jobs == [
        PlannedJob("train", keys(0, 1, 2)),
        PlannedJob("assess", keys(0, 1, 2), (Dependency("aftercorr", 0),)),
        PlannedJob("summary", (), (Dependency("afterany", 1),)),
    ]
    assert (plan.cancel, plan.waiting) == ([], [])


def test_a_missing_index_is_built_first_by_one_job() -> None:
    plan = plan_jobs([new(0), state(1, True)], index=True, summary=None, max_array_size=1001)
    assert plan.jobs == [
        PlannedJob("index"),
        PlannedJob("train", keys(0), (Dependency("afterok", 0),)),
        PlannedJob("assess", keys(0), (Dependency("aftercorr", 1),)),
        PlannedJob("assess", keys(1), (Dependency("afterok", 0),)),
        PlannedJob("summary", (), (Dependency("afterany", 2), Dependency("afterany", 3))),
    ]
    # One that is being built is waited for.
    plan = plan_jobs([new(0)], index="77", summary=None, max_array_size=1001)
    assert plan.jobs[0] == PlannedJob("train", keys(0), (Dependency("afterok", "77"),))


def test_repairs_pair_the_right_assessments_with_the_right_trainings() -> None:
    """Seed 2 trained but not assessed, seed 3 not trained, seeds 5–7 new; 0 and 1 complete."""
    states = [state(2, True), new(3), new(5), new(6), new(7)]
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001)
    assert plan.jobs == [
        PlannedJob("train", keys(3, 5, 6, 7)),
        PlannedJob("assess", keys(3, 5, 6, 7), (Dependency("aftercorr", 0),)),
        PlannedJob("assess", keys(2)),
        PlannedJob("summary", (), (Dependency("afterany", 1), Dependency("afterany", 2))),
    ]


def test_nothing_is_submitted_twice() -> None:
    states = [state(0, False, training="12_0", assessing="13_0"), state(1, True, assessing="13_1")]
    assert plan_jobs(states, index=False, summary="14", max_array_size=1001).jobs == []
    # More trials join; the summary moves behind them.
    plan = plan_jobs([*states, new(2)], index=False, summary="14", max_array_size=1001)
    assert plan.jobs == [
        PlannedJob("train", keys(2)),
        PlannedJob("assess", keys(2), (Dependency("aftercorr", 0),)),
        PlannedJob("summary", (), (Dependency("afterany", 1), Dependency("afterany", "13"))),
    ]
    assert plan.cancel == ["14"]
    # A summary that is missing is made up for.
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001)
    assert plan.jobs == [PlannedJob("summary", (), (Dependency("afterany", "13"),))]


def test_a_running_training_whose_assessment_is_gone_gets_one_that_waits_for_it() -> None:
    states = [state(4, False, training="12_1")]
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001)
    assert plan.jobs[0] == PlannedJob("assess", keys(4), (Dependency("afterok", "12_1"),))


def test_an_array_of_trainings_whose_assessments_are_gone_gets_one_array_of_them() -> None:
    """Its submitter died between the two. SLURM pairs tasks by place: they must be the first ones, in that order."""
    states = [state(4, training="12_0"), state(5, training="12_1"), state(6, training="12_2")]
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001)
    assert plan.jobs[0] == PlannedJob("assess", keys(4, 5, 6), (Dependency("aftercorr", "12"),))
    # Where the first has ended, each waits for its own.
    plan = plan_jobs([state(4, True), *states[1:]], index=False, summary=None, max_array_size=1001)
    assert plan.jobs[:3] == [
        PlannedJob("assess", keys(4)),
        PlannedJob("assess", keys(5), (Dependency("afterok", "12_1"),)),
        PlannedJob("assess", keys(6), (Dependency("afterok", "12_2"),)),
    ]


def test_an_assessment_whose_training_is_gone_is_replaced_together_with_it() -> None:
    states = [state(4, False, assessing="13_1")]
    plan = plan_jobs(states, index=False, summary="14", max_array_size=1001)
    assert [job.stage for job in plan.jobs] == ["train", "assess", "summary"]
    assert plan.cancel == ["13_1", "14"]


def test_another_question_waits_until_the_first_is_answered() -> None:
    """Two assessments of one trial never run together."""
    states = [state(0, False, training="12_0", others=("13_0",)), state(1, True, others=("13_1",))]
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001)
    assert plan.jobs[:2] == [
        PlannedJob("assess", keys(0), (Dependency("afterok", "12_0"), Dependency("afterany", "13_0"))),
        PlannedJob("assess", keys(1), (Dependency("afterany", "13_1"),)),
    ]


def test_arrays_larger_than_the_site_allows_are_split_into_pairs() -> None:
    plan = plan_jobs([new(seed) for seed in range(5)], index=False, summary=None, max_array_size=2)
    assert [(job.stage, job.trials) for job in plan.jobs] == [
        ("train", keys(0, 1)), ("assess", keys(0, 1)), ("train", keys(2, 3)), ("assess", keys(2, 3)),
        ("train", keys(4)), ("assess", keys(4)), ("summary", ()),
    ]  # fmt: skip
    assert [job.after for job in plan.jobs[1::2]] == [(Dependency("aftercorr", n),) for n in (0, 2, 4)]


def test_a_queue_with_little_room_takes_some_now_and_the_rest_later() -> None:
    states = [state(0, True), new(1), new(2)]
    plan = plan_jobs(states, index=False, summary=None, max_array_size=1001, room=4)
    assert [(job.stage, job.trials) for job in plan.jobs] == [
        ("train", keys(1)), ("assess", keys(1)), ("assess", keys(0)), ("summary", ()),
    ]  # fmt: skip
    assert plan.waiting == [*keys(2)]
    plan = plan_jobs(states, index=False, summary="9", max_array_size=1001, room=0)
    assert (plan.jobs, plan.cancel, plan.waiting) == ([], [], [*keys(0, 1, 2)])


def test_a_summary_in_the_queue_gives_way_to_one_that_knows_of_the_trials_that_wait() -> None:
    """It submits them when there is room: the one of an earlier command knows only that command's seeds."""
    states = [state(0, False, training="12_0", assessing="13_0"), new(1)]
    plan = plan_jobs(states, index=False, summary="14", max_array_size=1001, room=0)
    assert plan.jobs == [PlannedJob("summary", (), (Dependency("afterany", "13"),))]
    assert (plan.cancel, plan.waiting) == (["14"], [*keys(1)])


def test_how_a_dependency_is_spelled() -> None:
    after = [Dependency("afterok", "7_3"), Dependency("afterany", 0), Dependency("afterany", 1)]
    assert dependency_text(after, ["11", "12"]) == "afterok:7_3,afterany:11:12"
    assert dependency_text([], []) is None


_STATES = st.builds(
    TrialState,
    trial=st.just(TrialKey("run", 0)),
    is_trained=st.booleans(),
    training=st.none() | st.just("1_0") | st.just("5"),
    assessing=st.none() | st.just("2_0"),
    others=st.just(()) | st.just(("3_0",)),
)


@given(st.lists(_STATES, max_size=12), st.integers(1, 5), st.none() | st.integers(0, 20), st.booleans())
def test_whatever_the_state_every_trial_ends_up_with_one_training_and_one_assessment(
    states: list[TrialState], size: int, room: int | None, index: bool
) -> None:
    states = [
        replace(s, trial=TrialKey(f"run{n % 3}", n), training=f"5_{n}" if s.training == "5" else s.training)
        for n, s in enumerate(states)
    ]
    plan = plan_jobs(states, index=index, summary=None, max_array_size=size, room=room)
    for one in states:
        trainings = [job for job in plan.jobs if job.stage == "train" and one.trial in job.trials]
        assessments = [job for job in plan.jobs if job.stage == "assess" and one.trial in job.trials]
        if one.trial in plan.waiting:
            assert trainings + assessments == []
            continue
        trained = one.is_trained or one.training is not None
        assert len(trainings) == (0 if trained else 1)
        assert len(assessments) == (0 if one.assessing and trained else 1)
        for job in trainings:
            position = plan.jobs.index(job)
            assert plan.jobs[position + 1] == PlannedJob("assess", job.trials, (Dependency("aftercorr", position),))
    for position, job in enumerate(plan.jobs):
        assert len(job.trials) <= size
        assert all(dep.on < position for dep in job.after if isinstance(dep.on, int))
    if room is not None:
        assert sum(len(job.trials) or 1 for job in plan.jobs) <= max(room, 1)
