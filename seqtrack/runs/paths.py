"""Where everything of a run lies. Each path is spelled here once, as a property of the folder that owns it.

cache/<run_id>/
  train.yaml  snapshot.json  submissions.jsonl  accepted.jsonl
  lists/<digest>.txt                 sequences that data sets are restricted to
  slurm/                             jobs.jsonl; scripts and outputs of jobs, by SLURM's ids
  seed_0/
    trial.json                       what was fixed when the trial started: threads, code, data, machine
    attempts/0/{owner.json, events.jsonl, log.txt, heartbeat}
    train.csv  tensorboard/  previews/
    checkpoints/step_00010000/       model.safetensors, state.pt, meta.json
    assess/otb_50-full/step_00050000-<key>/   config.yaml, sequences.csv, summary.json, tracks.h5, speed.json
  sweeps/<name>                      an empty file for each sweep that this run is a point of
  summary.json  summary.csv  report.html

cache/sweeps/<name>/
  submissions.jsonl                  a line per command: the definition, and the run of each point
  slurm/                             as a run's, for jobs that are the whole sweep's
  sweep.json  sweep.csv  report.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_SEED = re.compile(r"seed_(\d+)$")
_STEP = re.compile(r"step_(\d{8,})$")
_NUMBER = re.compile(r"\d+$")
SWEEPS = "sweeps"


class TrialKey(NamedTuple):
    """A trial among those of several runs."""

    run: str
    seed: int


@dataclass(frozen=True)
class CheckpointFolder:
    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def state(self) -> Path:
        return self.path / "state.pt"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    def damaged(self, mark: str) -> Path:
        """Where it goes if it is damaged. mark: so that each time is another place."""
        return self.path.with_name(f".damaged-{self.path.name}-{mark}")

    def set_aside(self) -> list[Path]:
        """What was once here, and damaged."""
        return list(self.path.parent.glob(self.damaged("*").name))


@dataclass(frozen=True)
class AttemptFolder:
    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def owner(self) -> Path:
        return self.path / "owner.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def heartbeat(self) -> Path:
        return self.path / "heartbeat"


@dataclass(frozen=True)
class TrialFolder:
    path: Path

    @property
    def seed(self) -> int:
        return int(self.path.name.removeprefix("seed_"))

    @property
    def key(self) -> TrialKey:
        return TrialKey(self.path.parent.name, self.seed)

    @property
    def record(self) -> Path:
        return self.path / "trial.json"

    @property
    def train_csv(self) -> Path:
        return self.path / "train.csv"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def previews(self) -> Path:
        return self.path / "previews"

    @property
    def launch_log(self) -> Path:
        """What a worker says before it has an attempt of its own to write to."""
        return self.path / "launch.log"

    def attempt(self, number: int) -> AttemptFolder:
        return AttemptFolder(self.path / "attempts" / str(number))

    def attempts(self) -> list[AttemptFolder]:
        """In order of number."""
        folder = self.path / "attempts"
        names = [p for p in folder.iterdir() if _NUMBER.match(p.name)] if folder.is_dir() else []
        return sorted((AttemptFolder(p) for p in names), key=lambda attempt: attempt.number)

    def checkpoint(self, step: int) -> CheckpointFolder:
        return CheckpointFolder(self.path / "checkpoints" / f"step_{step:08d}")

    def checkpoints(self) -> dict[int, CheckpointFolder]:
        """Published checkpoints by step, ascending. Whether they are intact is not checked here."""
        folder = self.path / "checkpoints"
        found = {}
        if folder.is_dir():
            for path in folder.iterdir():
                if match := _STEP.match(path.name):
                    found[int(match[1])] = CheckpointFolder(path)
        return dict(sorted(found.items()))

    def assessments(self, eval_id: str) -> Path:
        return self.path / "assess" / eval_id

    def assessment(self, eval_id: str, step: int, key: str) -> Path:
        return self.assessments(eval_id) / f"step_{step:08d}-{key}"


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def train_yaml(self) -> Path:
        return self.path / "train.yaml"

    @property
    def submissions(self) -> Path:
        return self.path / "submissions.jsonl"

    @property
    def snapshot_json(self) -> Path:
        """The code of the newest submission, as git had it; ``submissions`` has that of each."""
        return self.path / "snapshot.json"

    def sequence_list(self, sha256: str) -> Path:
        return self.path / "lists" / f"{sha256}.txt"

    @property
    def slurm(self) -> Path:
        """submitit's folder: the scripts that were submitted, and what SLURM itself had to say of each task."""
        return self.path / "slurm"

    @property
    def jobs(self) -> Path:
        return self.slurm / "jobs.jsonl"

    @property
    def sweep_marks(self) -> Path:
        return self.path / "sweeps"

    @property
    def sweeps(self) -> list[SweepFolder]:
        """Those that it is a point of, or was, by name."""
        names = sorted(mark.name for mark in self.sweep_marks.iterdir()) if self.sweep_marks.is_dir() else []
        return [SweepFolder(self.path.parent / SWEEPS / name) for name in names]

    def output(self, task: str) -> Path:
        """What SLURM itself had to say of a task (``123_4``), whichever of the folders it lies in."""
        files = [folder / f"{task}.out" for folder in (self.slurm, *(sweep.slurm for sweep in self.sweeps))]
        return next((file for file in files if file.exists()), files[0])

    @property
    def accepted(self) -> Path:
        return self.path / "accepted.jsonl"

    @property
    def summary_json(self) -> Path:
        return self.path / "summary.json"

    @property
    def summary_csv(self) -> Path:
        return self.path / "summary.csv"

    @property
    def report(self) -> Path:
        """The page that ``seqtrack report`` writes."""
        return self.path / "report.html"

    def trial(self, seed: int) -> TrialFolder:
        return TrialFolder(self.path / f"seed_{seed}")

    def trials(self) -> list[TrialFolder]:
        """Trials that have been started, in order of seed."""
        paths = [p for p in self.path.iterdir() if _SEED.match(p.name)] if self.path.is_dir() else []
        return sorted((TrialFolder(p) for p in paths), key=lambda trial: trial.seed)


@dataclass(frozen=True)
class SweepFolder:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def submissions(self) -> Path:
        return self.path / "submissions.jsonl"

    @property
    def slurm(self) -> Path:
        """As a run's: the jobs that were handed over for the sweep as a whole, their scripts and outputs."""
        return self.path / "slurm"

    @property
    def json(self) -> Path:
        return self.path / "sweep.json"

    @property
    def csv(self) -> Path:
        return self.path / "sweep.csv"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.path.parent.parent / run_id)
