"""Kill anything at any moment, give the same command again, get the same bytes.

The real thing: drivers, workers and loader processes that train SiamFC on video, killed with SIGKILL. Every
result is compared with that of a run which nothing interrupted, and the events must show that no step which
had a checkpoint was computed again and that no two attempts of a trial were ever at work together.

Victims stand still at a gate before they have finished, however fast they are, so that every blow falls.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from seqtrack.runs import attempts
from seqtrack.runs.paths import RunFolder, TrialFolder
from tests.gates import OPEN, RENAME, Gate
from tests.workbench import (
    NUM_STEPS,
    PERIOD_CKPT,
    PERIOD_SUMMARY,
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

INSIDE_A_CHECKPOINT = (
    (OPEN, "*/.tmp-step_{:08d}-*/state.pt"),  # written, to be read back for its checksum
    (OPEN, "*/.tmp-step_{:08d}-*/meta.json"),
    (RENAME, "*/checkpoints/step_{:08d}"),
)
"""Deeds after which none of its files, or not all, or not its name are there."""


def newest_step(trial: TrialFolder) -> int:
    return max(trial.checkpoints(), default=0)


@dataclass
class Victims:
    """A run under attack, and what its disk held when each attempt died."""

    bench: Workbench
    flags: list[str]
    left_at: dict[tuple[int, int], int] = field(default_factory=dict)  # (seed, attempt) -> its newest checkpoint

    @property
    def run(self) -> RunFolder:
        return self.bench.run_folder()

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return self.bench.start_train(*self.flags, **environment)

    def at_work(self) -> dict[int, psutil.Process]:
        """Live workers by seed."""
        if not list(self.bench.cache.glob("*/train.yaml")):
            return {}
        found = {}
        for trial in self.run.trials():
            attempt = attempts.live(trial)
            owner = attempts.read_owner(attempt) if attempt else None
            if owner is not None:
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                    found[trial.seed] = psutil.Process(owner.pid)
        return found

    def kill_trial(self, seed: int, process: psutil.Process) -> None:
        trial = self.run.trial(seed)
        attempt = attempts.newest(trial)
        children = process.children(recursive=True)
        kill_and_wait(process)
        for child in children:  # loader processes die with their trainer
            wait_for(lambda child=child: is_gone(child.pid), "the end of a loader process")
        assert attempt is not None
        self.left_at[seed, attempt.number] = newest_step(trial)

    def finish(self) -> Result:
        """Gives the same command until it succeeds."""
        for _ in range(3):
            result = self.bench.train(*self.flags)
            if result.code == 0:
                return result
        raise AssertionError(f"the run does not finish: {result}")

    def check(self, expected: dict[str, bytes]) -> None:
        """What must hold at the end, wherever the kills fell."""
        found = results_of(self.run)
        assert sorted(found) == sorted(expected)
        assert [name for name in expected if found[name] != expected[name]] == []
        assert leftovers(self.bench.folder) == []
        for trial in self.run.trials():
            check_attempts(trial)
            records = all_events(trial)
            for (seed, number), step in self.left_at.items():
                if seed == trial.seed and number + 1 < len(records):
                    # The next attempt goes on from the newest checkpoint there was, or has nothing left to train.
                    starts = [event["step"] for event in named(records[number + 1], "train")]
                    assert starts == ([step] if step < NUM_STEPS else [])


def check_attempts(trial: TrialFolder) -> None:
    """No step that had a checkpoint was computed again, and no two attempts overlapped."""
    records = all_events(trial)
    saved = [event["step"] for attempt in records for event in named(attempt, "checkpoint")]
    assert saved == sorted(set(saved))
    reached = 0
    for before, after in itertools.pairwise(records):
        assert before[-1]["time"] < after[0]["time"]
    for attempt in records:
        for event in named(attempt, "train"):
            assert event["step"] >= reached
        reached = max([reached, *(event["step"] for event in named(attempt, "checkpoint"))])


@pytest.fixture
def victims(bench: Workbench) -> Iterator[Callable[..., Victims]]:
    made = []

    def make(*flags: str) -> Victims:
        made.append(Victims(bench, ["--num_trials=2", *flags]))
        return made[-1]

    yield make
    for item in made:
        for process in item.at_work().values():
            process.kill()


@pytest.mark.parametrize(("num_workers", "max_parallel"), [(0, 1), (0, 2), (2, 1), (2, 2)])
def test_killed_at_random_moments(
    victims: Callable[..., Victims],
    finished: Workbench,
    gate: Callable[..., Gate],
    num_workers: int,
    max_parallel: int,
) -> None:
    """Three rounds: a trial is killed, then all there is, then the driver alone (its trials go on and are found
    again); each some random time after a checkpoint, when the next but one is being written at the latest."""
    attack = victims(f"--num_workers={num_workers}", f"--max_parallel={max_parallel}")
    rng = random.Random(f"{num_workers} {max_parallel}")
    for victim, latest in (("trial", 15), ("all", 25), ("driver", 35)):
        deed, place = rng.choice(INSIDE_A_CHECKPOINT)
        end = gate(deed, place.format(latest))
        driver = attack.start(**end.environment)
        trial = wait_for(lambda: checkpointed(attack), "checkpoint", driver)
        time.sleep(rng.uniform(0, 0.4))
        if victim in ("driver", "all"):
            driver.kill()
        for seed, process in attack.at_work().items():
            if victim == "all" or (victim == "trial" and seed == trial.seed):
                attack.kill_trial(seed, process)
        end.open()
        out, err = driver.communicate()
        if victim == "trial":
            assert driver.returncode == 1, Result(driver.returncode, out, err)
            assert f"seed {trial.seed} failed: killed by SIGKILL" in err

    attack.finish()

    assert len(attack.left_at) == 2
    attack.check(results_of(finished.run_folder()))


def checkpointed(attack: Victims) -> TrialFolder | None:
    """A trial that has saved a checkpoint in its present attempt."""
    for seed in attack.at_work():
        trial = attack.run.trial(seed)
        if named(all_events(trial)[-1], "checkpoint"):
            return trial
    return None


def test_killed_inside_a_checkpoint_write(
    victims: Callable[..., Victims], finished: Workbench, gate: Callable[..., Gate]
) -> None:
    """The folder of the checkpoint is being written and must not count: the one before it is gone on from."""
    attack = victims("--max_parallel=1")
    for step, (deed, place) in zip((10, 15, 20), INSIDE_A_CHECKPOINT, strict=True):
        inside = gate(deed, place.format(step))
        driver = attack.start(**inside.environment)
        worker = inside.wait(driver)
        driver.kill()
        attack.kill_trial(0, psutil.Process(worker))
        driver.communicate()
        trial = attack.run.trial(0)
        assert newest_step(trial) == step - PERIOD_CKPT
        assert leftovers(trial.path / "checkpoints")

    attack.finish()

    attack.check(results_of(finished.run_folder()))


def test_asked_to_stop_it_ends_the_step_saves_and_exits_75(
    victims: Callable[..., Victims], finished: Workbench, gate: Callable[..., Gate]
) -> None:
    """However many of its processes are asked: SLURM asks all that a job has."""
    attack = victims("--max_parallel=1", "--num_workers=2", "--period_ckpt=1000")
    # First under a driver, then as whatever executor runs the worker sees it.
    for number, (code, asked) in enumerate(((1, signal.SIGTERM), (75, signal.SIGUSR2))):
        row = gate(OPEN, "*/.tmp-train.csv-*")
        if number == 0:
            command = attack.start(**row.environment)
        else:
            command = attack.bench.start("train_work", str(attack.run.path), "0", **row.environment)
        worker = psutil.Process(row.wait(command))
        children = worker.children(recursive=True)
        loaders = [child for child in children if "resource_tracker" not in str(child.cmdline())]
        assert len(loaders) == 2
        for process in (*loaders, worker):
            process.send_signal(asked)
        row.open()
        _, err = command.communicate()
        assert command.returncode == code
        assert [loader for loader in loaders if not is_gone(loader.pid)] == []
        trial = attack.run.trial(0)
        assert attempts.ended(trial.attempt(number))["state"] == "interrupted"  # type: ignore[index]
        # The first row that an attempt adds is that of its first period.
        assert newest_step(trial) == (number + 1) * PERIOD_SUMMARY
        assert [e["step"] for e in named(all_events(trial)[number], "checkpoint")] == [(number + 1) * PERIOD_SUMMARY]
        if number == 0:
            assert "asked to stop (SIGTERM); saved: give the same command again to go on" in err

    attack.finish()

    attack.check(results_of(finished.run_folder()))
    steps = [event["step"] for records in all_events(attack.run.trial(0)) for event in named(records, "train")]
    assert steps == [0, PERIOD_SUMMARY, 2 * PERIOD_SUMMARY]
