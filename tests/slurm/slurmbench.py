"""A workbench whose commands run on the private cluster: ``slurm_bench`` of ``conftest.py`` hands it out."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from aux.slurm.cluster import Cluster
from seqtrack.runs import jobs
from seqtrack.runs.jobs import Job
from seqtrack.runs.paths import TrialFolder
from tests.workbench import Result, Workbench, all_events, is_gone, leftovers, named, results_of, wait_for

SLURM = ["--slurm", "--slurm_flags", "partition=devel", "time=10", "cpus-per-task=2", "gres=gpu:1"]


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

    def slowly(self, seconds: float, stage: str = "") -> list[str]:
        """Flags for jobs (of this stage only) in which flushing a file to disk takes so long: faults are given time
        to happen."""
        folder = self.folder / "slow"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            "import os, sys, time\n_fsync = os.fsync\n"
            f"def fsync(descriptor):\n    time.sleep({seconds})\n    _fsync(descriptor)\n"
            f"if '--stage={stage}' in ' '.join(sys.orig_argv):\n    os.fsync = fsync\n"
        )
        return ["--slurm_setup", f"export PYTHONPATH={folder}:$PYTHONPATH"]

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
        from seqtrack.runs import attempts

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
        self.cluster.wait_idle(30)
