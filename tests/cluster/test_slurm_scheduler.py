"""What the scheduler takes to be in the queue, how often it asks, and what it hands over."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqtrack.cluster import slurm, slurm_queue, submitter
from seqtrack.cluster.sbatch import read_comment
from seqtrack.cluster.slurm import SlurmScheduler
from seqtrack.cluster.slurm_queue import QueuedTask
from seqtrack.cluster.work import Work
from seqtrack.config import build
from seqtrack.pipeline.request import Request, resolve
from seqtrack.runs import snapshot


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 300.0)
    monkeypatch.setattr(slurm, "FIRST_INTERVAL_SECONDS", 0.0)
    return resolve(build({"slurm": True, "cache_dir": tmp_path / "cache", "num_trials": 2}))


def settled(request: Request, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> tuple[list[str], list[str]]:
    """Names of the tasks that count, and what was said. ``answers``: states of tasks 0, 1, … at each asking."""
    asked = iter([*answers, *[answers[-1]] * 1000])

    def queue() -> list[QueuedTask]:
        states = next(asked)
        return [
            QueuedTask("7", n, state, run=request.run_id, stage="train", tag="t") for n, state in enumerate(states)
        ]

    said: list[str] = []
    monkeypatch.setattr(slurm_queue, "queue", queue)
    tasks = SlurmScheduler(Work.of(request), "submission", lambda statuses: None, said.append)._settled_queue()
    return [task.name for task in tasks], said


def test_tasks_that_are_just_ending_are_waited_for(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    names, said = settled(request_, monkeypatch, ["COMPLETING", "RUNNING"], ["COMPLETING", "RUNNING"], ["RUNNING"])
    assert (names, said) == (["7_0"], ["waiting for jobs that are just ending: 7_0"])


def test_but_not_for_ever(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a node that does not answer a task can go on ending: its seed is submitted again, and fences it off."""
    monkeypatch.setattr(slurm, "ENDING_SECONDS", 0.0)
    names, _ = settled(request_, monkeypatch, ["COMPLETING", "RUNNING"])
    assert names == ["7_1"]


# A queue that moves, under a clock that only the scheduler's own sleep moves ----------------------------------------


class FakeSlurm:
    """One task ends each minute: of training, then of assessment, then the summary. Remembers what it was asked."""

    def __init__(self, patch: pytest.MonkeyPatch, package: Path) -> None:
        self.clock = 0.0
        self.tasks: list[QueuedTask] = []
        self.scripts: list[str] = []
        self.lengths: list[int] = []  # of the queue, after each sbatch
        self.asked: list[float] = []
        self.asked_for_limits = 0
        self.statuses: Callable[[], list[Any]] = lambda: [SimpleNamespace(state="queued")] * 100
        patch.setattr(slurm, "FIRST_INTERVAL_SECONDS", 1.0)
        clock = SimpleNamespace(monotonic=lambda: self.clock, time=lambda: self.clock, sleep=self._sleep)
        patch.setattr(slurm, "time", clock)
        patch.setattr(slurm_queue, "queue", self._queue)
        patch.setattr(slurm_queue, "limits", self._limits)
        patch.setattr(slurm_queue, "cancel", self._cancel)
        patch.setattr(slurm_queue, "ask", lambda command, seconds: None)
        patch.setattr(submitter, "submit", self._submit)
        patch.setattr(snapshot, "freeze", lambda *_: package)
        patch.setattr(SlurmScheduler, "_is_indexed", lambda _: True)
        patch.setattr(SlurmScheduler, "statuses", lambda _: self.statuses())
        patch.setattr(SlurmScheduler, "_find_causes", lambda _: None)

    def _sleep(self, seconds: float) -> None:
        before, self.clock = self.clock, self.clock + seconds
        assert self.clock < 4 * 3600, "it goes on for ever"
        if self.clock // 60 > before // 60 and self.tasks:
            self.tasks.remove(min(self.tasks, key=lambda task: ("train", "assess", "summary").index(task.stage)))

    def _queue(self) -> list[QueuedTask]:
        self.asked.append(self.clock)
        return list(self.tasks)

    def _limits(self) -> slurm_queue.Limits:
        self.asked_for_limits += 1
        return slurm_queue.Limits(max_array_size=1001)

    def _cancel(self, names: list[str]) -> None:
        self.tasks = [task for task in self.tasks if task.name not in names]

    def _submit(self, text: str, *_: object) -> str:
        said = read_comment(re.findall(r'--comment="(.*)"', text)[0])
        assert said is not None
        last = re.findall(r"--array=(?:0-)?(\d+)", text)
        self.scripts.append(text)
        for index in range(int(last[0]) + 1) if last else [None]:
            self.tasks.append(QueuedTask(str(len(self.scripts)), index, "PENDING", **said))
        self.lengths.append(len(self.tasks))
        return str(len(self.scripts))

    def submitted(self, stage: str) -> list[int]:
        """Seeds, in the order in which they were handed over."""
        texts = [text for text in self.scripts if f" stage={stage} " in text]
        return [int(seed) for text in texts for seed in re.findall(r"^seeds=\((.*)\)", text, re.M)[0].split()]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSlurm:
    return FakeSlurm(monkeypatch, tmp_path / "package")


def scheduler(cache: Path, **flags: object) -> SlurmScheduler:
    request = resolve(build({"slurm": True, "cache_dir": cache, **flags}))
    return SlurmScheduler(Work.of(request), "submission", lambda statuses: None, lambda line: None)


def test_the_queue_is_never_fuller_than_slurm_max_submit(fake: FakeSlurm, tmp_path: Path) -> None:
    watcher = scheduler(tmp_path / "cache", num_trials=20, slurm_max_submit=7)
    watcher.begin()
    assert (fake.lengths, fake.submitted("train"), len(watcher.waiting)) == ([3, 6, 7], [0, 1, 2], 17)
    watcher.run()
    assert fake.submitted("train") == fake.submitted("assess") == list(range(20))
    assert max(fake.lengths) == 7
    assert fake.tasks == watcher.waiting == []
    # Topping up takes no more questions than watching does.
    assert fake.asked_for_limits == 1
    assert min(after - before for before, after in itertools.pairwise(fake.asked[1:])) >= 1.0


@pytest.mark.parametrize(
    ("trials", "changes", "questions"),
    [(5, math.inf, 247), (1000, math.inf, 245), (1000, 20, 245), (100, 60, 247), (5, 60, 485), (1, 60, 962)],
)
def test_slurm_is_asked_less_and_less_and_no_more_for_many_trials(
    fake: FakeSlurm, tmp_path: Path, trials: int, changes: float, questions: int
) -> None:
    """In two hours, where some trial's state changes every so many seconds."""
    watcher = scheduler(tmp_path / "cache")
    others = [SimpleNamespace(state="queued")] * (trials - 1)

    def statuses() -> list[Any]:
        return [SimpleNamespace(state=("training", "assessing")[int(fake.clock / changes) % 2]), *others]

    fake.statuses = statuses
    mark = watcher.work.mark
    fake.tasks = [QueuedTask("1", n, "RUNNING", run=mark, stage="train", tag="t") for n in range(120)]
    watcher.run()
    assert 7200 <= fake.clock < 7300
    assert len(fake.asked) == questions


# What is handed over ---------------------------------------------------------------------------------------------


def orders(script: str) -> list[str]:
    """What the script asks of SLURM, its own preparations, and the command's last words."""
    words = script.replace(sys.executable, "python").splitlines()
    return [re.sub(r"tag=\w+", "tag=T", line) for line in words if line.startswith(("#SBATCH --", "module", "exec"))]


def test_each_stage_is_handed_over_with_its_own_flags(
    fake: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU for those who train and assess, none for the index and the summary; two tasks of an array at a time."""
    monkeypatch.setattr(SlurmScheduler, "_is_indexed", lambda _: False)
    cache = tmp_path / "cache"
    handed = scheduler(
        cache,
        num_trials=3,
        slurm_flags=["partition=gpu", "gres=gpu:1", "time=4:00:00"],
        slurm_assess_flags=["partition=gpu", "gres=gpu:small:1"],
        slurm_summary_flags=["partition=cpu", "mem=4G"],
        slurm_throttle=2,
        slurm_setup=["module load cuda"],
    )
    handed.begin()
    run = handed.work.mark

    def common(stage: str, seeds: str, output: str) -> list[str]:
        return [
            f"#SBATCH --job-name=seqtrack-{run}-{stage}",
            f'#SBATCH --comment="seqtrack run={run} stage={stage} tag=T{seeds}"',
            f"#SBATCH --chdir={tmp_path}/package",
            f"#SBATCH --output={cache}/{run}/slurm/{output}.out",
            "#SBATCH --open-mode=append",
            "#SBATCH --requeue",
        ]

    def last(stage: str, seed: str = "") -> list[str]:
        work = f"python -u -m seqtrack.tools.train_work {cache}/{run} {seed}--stage={stage} --submission=submission"
        return ["module load cuda", f"exec {work}"]

    of_trial = '"${seeds[$SLURM_ARRAY_TASK_ID]}" '
    waits = "#SBATCH --kill-on-invalid-dep=yes"
    gpu, cpu = "#SBATCH --partition=gpu", ["#SBATCH --partition=cpu", "#SBATCH --mem=4G"]
    index, train, assess, summary = map(orders, fake.scripts)
    assert index == [*common("index", "", "%j"), *cpu, *last("index")]
    assert train == [
        *common("train", " seeds=0-2", "%A_%a"),
        "#SBATCH --array=0-2%2", "#SBATCH --dependency=afterok:1", waits, "#SBATCH --signal=B:USR2@120",
        gpu, "#SBATCH --gres=gpu:1", "#SBATCH --time=4:00:00",
        *last("train", of_trial),
    ]  # fmt: skip
    assert assess == [
        *common("assess", " seeds=0-2", "%A_%a"),
        "#SBATCH --array=0-2%2", "#SBATCH --dependency=aftercorr:2", waits, "#SBATCH --signal=B:USR2@120",
        gpu, "#SBATCH --gres=gpu:small:1",
        *last("assess", of_trial),
    ]  # fmt: skip
    assert summary == [
        *common("summary", "", "%j"), "#SBATCH --dependency=afterany:3", waits, *cpu, *last("summary"),
    ]  # fmt: skip
