"""An assessment that several processes share, killed: the same command goes on, to the same bytes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seqtrack.runs import attempts
from tests.workbench import Result, Workbench, all_events, is_gone, leftovers, named, results_of, wait_for

pytestmark = pytest.mark.slow

FLAGS = ("--num_steps=0", "--eval_tre_num=3")


def stopped_helper(bench: Workbench, other_than: int | None = None) -> psutil.Process | None:
    """The process that helps the trial, stopped before it is done with its run."""
    if not list(bench.cache.glob("*/train.yaml")):
        return None
    trial = bench.run_folder().trial(0)
    attempt = attempts.live(trial)
    owner = attempts.read_owner(attempt) if attempt else None
    # Before that, children are others: commands that tell of the machine.
    if owner is None or not named(all_events(trial)[-1], "assess"):
        return None
    try:
        for helper in psutil.Process(owner.pid).children():
            if helper.pid != other_than and not any("resource_tracker" in word for word in helper.cmdline()):
                helper.suspend()
                return helper
    except psutil.Error:
        pass
    return None


def test_a_helper_killed_and_then_the_trial_itself(
    tmp_path: Path, tars: Path, repository: Path, slow_disk: Callable[[float], dict[str, str]]
) -> None:
    whole, attacked = (Workbench(tmp_path / name, repository, tars) for name in ("whole", "attacked"))
    result = whole.train(*FLAGS, "--eval_workers=1")
    assert result.code == 0, result
    tracked: list[int] = []

    def attack() -> tuple[psutil.Process, Callable[[], Result]]:
        """Starts the command, stops its helper in the middle of a run, and waits for a run of the trial's own."""
        before = len(all_events(attacked.run_folder().trial(0))) if attacked.cache.exists() else 0
        # A spawned helper stopped before its exec would hold up its parent, which no kill of a person's does.
        environment = {**slow_disk(0.1), "SEQTRACK_START_METHOD": "fork"}
        driver = attacked.start_train(*FLAGS, "--eval_workers=2", **environment)
        helper = wait_for(lambda: stopped_helper(attacked), "helper", driver)
        trial = attacked.run_folder().trial(0)
        wait_for(lambda: named(all_events(trial)[before], "sequence"), "sequence", driver)

        def ended() -> Result:
            out, err = driver.communicate()
            tracked.append(len(named(all_events(trial)[before], "sequence")))
            return Result(driver.returncode, out, err)

        return helper, ended

    first, ended = attack()
    first.kill()
    helper = wait_for(lambda: stopped_helper(attacked, other_than=first.pid), "another helper")
    trial = psutil.Process(helper.ppid())
    trial.send_signal(signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        helper.resume()  # it was stopped as soon as it was there, perhaps before it could ask to die with the trial
    wait_for(lambda: is_gone(helper.pid), "the end of the helper")
    result = ended()
    assert result.code == 1, result
    assert "killed by SIGKILL" in result.err
    log = attacked.run_folder().trial(0).attempts()[-1].log.read_text()
    assert "a process that helps this trial was killed by SIGKILL (out of memory?); another takes its place" in log

    result = attacked.train(*FLAGS, "--eval_workers=2")
    assert result.code == 0, result
    last = all_events(attacked.run_folder().trial(0))[-1]
    assert sum(tracked) + len(named(last, "sequence")) in (6, 7)  # one may have been written and not been told
    assert results_of(attacked.run_folder()) == results_of(whole.run_folder())
    assert leftovers(attacked.folder / "cache") == []
