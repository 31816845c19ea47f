"""Two people, or one person twice, give the same command at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.cluster.local import ASKED_TO_STOP, LocalScheduler
from seqtrack.cluster.work import Work
from seqtrack.runs import events
from tests.handmade import attempt, train
from tests.pipeline.test_sweep_points import made
from tests.workbench import EVAL, PATIENCE_SECONDS, TRAIN, Result, Workbench, results_of, table_of, trained_attempts


@pytest.mark.slow
def test_two_drivers_share_one_run(bench: Workbench, finished: Workbench) -> None:
    """On an empty dataset_cache/: one builds each index, both finish, no trial runs twice."""
    drivers = [bench.start_train("--num_trials=2") for _ in range(2)]
    results = []
    for driver in drivers:
        out, err = driver.communicate(timeout=PATIENCE_SECONDS)
        results.append(Result(driver.returncode, out, err))

    assert [result.code for result in results] == [0, 0], "\n".join(map(str, results))
    lines = [line for result in results for line in result.out.splitlines() if "building the index" in line]
    assert sorted(line.partition(": ")[0] for line in lines) == [f"otb:{EVAL}", f"otb:{TRAIN}"]
    assert [trained_attempts(trial) for trial in bench.run_folder().trials()] == [1, 1]
    assert results_of(bench.run_folder()) == results_of(finished.run_folder())
    first, second = (table_of(result.out)[:-1] for result in results)
    assert first == second


def test_what_was_cancelled_is_not_started_again_by_who_only_follows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``seqtrack cancel RUN --seed N`` after Ctrl-C and the same command again."""
    sweep = made(tmp_path, grid={"lr_init": [0.1]})
    work = Work(sweep.requests, sweep.folder)
    (key,) = work.trials
    at_work = attempt(work.trial(key), train(), is_here=True)
    started: list[object] = []
    monkeypatch.setattr(LocalScheduler, "_launch", lambda self, trial, gpus: started.append(trial))
    seen: list[str] = []

    def show(statuses: list[object]) -> None:
        seen.append(statuses[0].state)  # type: ignore[attr-defined]
        if len(seen) == 1:
            events.append(at_work.events, {"event": "end", "time": 0, "state": "interrupted", "error": None})

    assert LocalScheduler(work, "submission", show).run() == {key: ASKED_TO_STOP}
    assert (seen, started) == (["training", "failed"], [])
