"""An assessment that several processes share, killed: the same command goes on, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from seqtrack.runs import attempts
from seqtrack.runs.paths import TrialFolder
from tests.workbench import (
    Result,
    Workbench,
    all_events,
    is_gone,
    kill_and_wait,
    leftovers,
    named,
    results_of,
    wait_for,
)

pytestmark = pytest.mark.slow

# Where HELD says so, a process that helps stands still in the middle of its run, for good.
TRACKER = """
import multiprocessing, os, time
import numpy as np

class Wanders:
    def init(self, image, box):
        self.box, self.frames = np.array(box), 0

    def update(self, image):
        self.frames += 1
        held = os.environ.get("HELD")
        if held and self.frames == 5 and multiprocessing.parent_process() is not None:
            open(os.path.join(held, str(os.getpid())), "w").close()
            while True:
                time.sleep(1)
        self.box += np.random.normal(size=4).clip(-1, 1) * [1, 1, 0, 0]
        return self.box
"""
FLAGS = ("--model=tracker:wanders:Wanders", "--model_params={}", "--num_steps=0", "--eval_tre_num=3")
RUNS = 6  # three starts in each of two videos


def test_a_helper_killed_and_then_the_trial_itself(tmp_path: Path, tars: Path, repository: Path) -> None:
    plugin, held = tmp_path / "plugin", tmp_path / "held"
    for folder in (plugin, held):
        folder.mkdir()
    (plugin / "wanders.py").write_text(TRACKER)
    whole, attacked = (Workbench(tmp_path / name, repository, tars) for name in ("whole", "attacked"))
    result = whole.train(*FLAGS, "--eval_workers=1", PYTHONPATH=str(plugin))
    assert result.code == 0, result

    def helper(number: int) -> psutil.Process:
        """The one that arrives so many others have."""
        wait_for(lambda: len(list(held.iterdir())) > number, "helper in the middle of a run", driver)
        return psutil.Process(int(max(held.iterdir(), key=lambda path: path.stat().st_mtime_ns).name))

    def tracked(trial: TrialFolder) -> int:
        return len(named(all_events(trial)[-1], "sequence"))

    driver = attacked.start_train(*FLAGS, "--eval_workers=2", PYTHONPATH=str(plugin), HELD=str(held))
    first = helper(0)
    trial = attacked.run_folder().trial(0)
    wait_for(lambda: tracked(trial) > 0, "run of the trial's own", driver)
    first.kill()
    second = helper(1)
    wait_for(lambda: tracked(trial) == RUNS - 1, "every run but the helper's", driver)
    owner = attempts.read_owner(trial.attempts()[-1])
    assert owner is not None
    kill_and_wait(psutil.Process(owner.pid))
    wait_for(lambda: is_gone(second.pid), "the end of the helper")
    out, err = driver.communicate()
    result = Result(driver.returncode, out, err)
    assert result.code == 1, result
    assert "killed by SIGKILL" in result.err
    log = trial.attempts()[-1].log.read_text()
    assert "a process that helps this trial was killed by SIGKILL (out of memory?); another takes its place" in log

    result = attacked.train(*FLAGS, "--eval_workers=2", PYTHONPATH=str(plugin))
    assert result.code == 0, result
    assert tracked(trial) == 1
    assert results_of(attacked.run_folder()) == results_of(whole.run_folder())
    assert leftovers(attacked.folder / "cache") == []
