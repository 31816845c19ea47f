"""Two people, or one person twice, give the same command at the same time."""

from __future__ import annotations

import pytest

from tests.workbench import EVAL, TRAIN, Result, Workbench, results_of, table_of, trained_attempts


@pytest.mark.slow
def test_two_drivers_share_one_run(bench: Workbench, finished: Workbench) -> None:
    """On an empty dataset_cache/: one builds each index, both finish, no trial runs twice."""
    drivers = [bench.start_train("--num_trials=2") for _ in range(2)]
    results = []
    for driver in drivers:
        out, err = driver.communicate(timeout=180)
        results.append(Result(driver.returncode, out, err))

    assert [result.code for result in results] == [0, 0], "\n".join(map(str, results))
    lines = [line for result in results for line in result.out.splitlines() if "building the index" in line]
    assert sorted(line.partition(": ")[0] for line in lines) == [f"otb:{EVAL}", f"otb:{TRAIN}"]
    assert [trained_attempts(trial) for trial in bench.run_folder().trials()] == [1, 1]
    assert results_of(bench.run_folder()) == results_of(finished.run_folder())
    first, second = (table_of(result.out)[:-1] for result in results)
    assert first == second
