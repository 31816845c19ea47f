"""A workbench whose commands run on the private cluster: ``slurm_bench`` of ``conftest.py`` hands it out."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from aux.slurm.cluster import Cluster
from seqtrack.runs import attempts, jobs
from seqtrack.runs.jobs import Job
from seqtrack.runs.paths import TrialFolder
from tests.workbench import Result, Workbench, all_events, is_gone, leftovers, named, results_of, wait_for

SLURM = ["--slurm", "--slurm_flags", "partition=devel", "time=10", "cpus-per-task=2", "gres=gpu:1"]

# What the jobs of ``SlurmBench.held`` run when Python starts. A signal that Python handles wakes the select: whoever
# is told to stop ends what it was saving, as it does on a disk that is merely slow.
HOLDING = """
import json, os, select, signal, sys
from pathlib import Path

_fsync = os.fsync
words = sys.orig_argv
at = words.index("seqtrack.tools.train_work") if STAGE in words else 0
run, seed = words[at + 1 : at + 3] if at else ("", "")

def is_due():
    newest = max(Path(run, f"seed_{seed}", "attempts").glob("[0-9]*"), key=lambda path: int(path.name), default=None)
    try:
        lines = (newest / "events.jsonl").read_text().splitlines() if newest else []
    except FileNotFoundError:
        lines = []
    return sum(json.loads(line)["event"] == EVENT for line in lines) >= COUNT

def fsync(descriptor):
    global held
    if not held and is_due():
        held = True
        for time in range(1, TIMES + 1):
            marker = Path(FOLDER, f"{seed}-{time}")
            if not marker.exists():
                wait(marker)
                break
    _fsync(descriptor)

def wait(marker):
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    former = signal.set_wakeup_fd(wakes)
    marker.touch()
    while not select.select([woken], [], [], 0.05)[0] and not Path(FOLDER, f"{seed}-go").exists():
        pass
    signal.set_wakeup_fd(former)

held = False
if at and int(seed) in SEEDS:
    os.fsync = fsync
"""


class SlurmBench(Workbench):
    """Commands see the cluster; ``finish`` repeats one until it succeeds and checks what must hold then."""

    def __init__(self, folder: Path, package: Path, tars: Path, cluster: Cluster) -> None:
        super().__init__(folder, package, tars)
        self.cluster = cluster

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {
            **super().environment(extra),
            **self.cluster.environment,
            "PYTHONDONTWRITEBYTECODE": "",  # jobs of one tree share its bytecode
            **{name: value for name, value in extra.items() if name == "PATH"},
        }

    def adopt_indexes(self, other: Workbench) -> SlurmBench:
        """Of the same tars: no job has to build them."""
        shutil.copytree(other.folder / "dataset_cache", self.folder / "dataset_cache")
        return self

    def program(self, name: str, text: str) -> dict[str, str]:
        """The environment of a command for which ``text`` is a program; ``$REAL`` is the real one."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        real = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        path = folder / name
        path.write_text(f"#!/bin/bash\nREAL={real}\ncd {folder}\n{text}\n")
        path.chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def held(
        self, *seeds: int, stage: str = "train", event: str = "checkpoint", count: int = 2, times: int = 1
    ) -> list[str]:
        """Flags for jobs of this stage in which each of these trials stops at its first flush of a file to disk after
        so many events of a start, in the middle of its work, however fast or slow the machine is.

        It goes on when it gets a signal, or when ``release`` says so. Later starts go through, after so many that
        were held.
        """
        folder = self.folder / "held"
        folder.mkdir(exist_ok=True)
        names = {"FOLDER": str(folder), "SEEDS": seeds, "STAGE": f"--stage={stage}", "EVENT": event, "COUNT": count}
        head = "".join(f"{name} = {value!r}\n" for name, value in {**names, "TIMES": times}.items())
        (folder / "sitecustomize.py").write_text(head + HOLDING)
        return ["--slurm_setup", f"export PYTHONPATH={folder}:$PYTHONPATH"]

    def wait_until_held(self, *seeds: int, time: int = 1) -> None:
        for seed in seeds:
            wait_for((self.folder / "held" / f"{seed}-{time}").exists, f"seed {seed} to be held for time {time}")

    def release(self, *seeds: int) -> None:
        for seed in seeds:
            (self.folder / "held" / f"{seed}-go").touch()

    def run_out_of_time(self, stage: str, seed: int, attempt: int) -> None:
        """Cuts the time limit of a task that asked for USR2 170 seconds before its end, until this start of it has
        heard of it and ended."""
        self._limit(stage, seed, 3)
        wait_for(lambda: attempts.ended(self.trial(seed).attempt(attempt)), f"the end of start {attempt}")
        self._limit(stage, seed, 10)

    def _limit(self, stage: str, seed: int, minutes: int) -> None:
        words = ("scontrol", "update", f"jobid={self.task(stage, seed)}", f"timelimit={minutes}")
        # Refused while the task is on its way from a node back into the queue.
        wait_for(lambda: self.cluster.command(*words).returncode == 0, f"a limit of {minutes} minutes")

    @property
    def ledger(self) -> list[Job]:
        return jobs.read(self.run_folder())

    def submitted(self, stage: str) -> list[tuple[int, ...]]:
        """The seeds of each array of this stage that SLURM took."""
        return [job.seeds for job in self.ledger if job.stage == stage and job.job_id]

    def task(self, stage: str, seed: int) -> str:
        newest_first = reversed(self.ledger)
        return next(job for job in newest_first if job.stage == stage and seed in job.seeds and job.job_id).task(seed)

    def trial(self, seed: int) -> TrialFolder:
        return self.run_folder().trial(seed)

    def events(self, seed: int, name: str) -> list[dict[str, object]]:
        """Of all attempts of a trial, in order."""
        if not list(self.cache.glob("*/train.yaml")):
            return []
        return [event for attempt in all_events(self.trial(seed)) for event in named(attempt, name)]

    def wait_for_checkpoint(self, seed: int, count: int = 1) -> None:
        wait_for(lambda: len(self.events(seed, "checkpoint")) >= count, f"checkpoint {count} of seed {seed}")

    def at_work(self, seed: int) -> psutil.Process:
        """The process of a trial's newest attempt."""
        attempt = attempts.live(self.trial(seed))
        owner = attempts.read_owner(attempt) if attempt else None
        assert owner is not None
        return psutil.Process(owner.pid)

    def finish(self, flags: Sequence[str], expected: Mapping[str, bytes], overlap: bool = False) -> Result:
        """The same command again; it must succeed, and leave what a run leaves that nothing happened to."""
        result = self.train(*flags)
        assert result.code == 0, result
        self.check(expected, overlap)
        return result

    def check(self, expected: Mapping[str, bytes], overlap: bool = False) -> None:
        found = results_of(self.run_folder())
        assert sorted(found) == sorted(expected)
        assert [name for name in expected if found[name] != expected[name]] == []
        self.check_alone(overlap)

    def check_alone(self, overlap: bool = False) -> None:
        """No trial ran twice at the same time, no checkpoint was published twice, and nothing is left behind.

        ``overlap``: SLURM has taken a node for dead that was not, so for a moment two processes were at it.
        """
        for trial in self.run_folder().trials():
            records = all_events(trial)
            saved = [event["step"] for attempt in records for event in named(attempt, "checkpoint")]
            assert saved == sorted(set(saved))
            tracked = [
                (e["eval_id"], e["step"], e["sequence"], e["start"]) for r in records for e in named(r, "sequence")
            ]
            assert len(tracked) == len(set(tracked))
            for before, after in itertools.pairwise(records):
                assert overlap or before[-1]["time"] <= after[0]["time"]
            for attempt in trial.attempts():
                assert is_gone(int(named(records[attempt.number], "start")[0]["pid"]))
        assert leftovers(self.folder) == []
        for node in self.cluster.nodes:
            assert leftovers(self.cluster.tmp_of(node)) == []
        assert list(self.run_folder().slurm.glob(".submission_file_*")) == []
        self.cluster.wait_idle(120)
        for folder in (self.folder, *map(self.cluster.tmp_of, self.cluster.nodes)):
            for path in folder.rglob("*.lock"):
                with path.open("rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody holds it still
