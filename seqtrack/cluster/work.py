"""What one command asks for: the trials of one run, or of every run of a sweep. Schedulers know nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seqtrack.config import ExecutionConfig
from seqtrack.pipeline import families, plan
from seqtrack.pipeline.request import DataUse, Request
from seqtrack.runs import identity
from seqtrack.runs.paths import RunFolder, SweepFolder, TrialFolder, TrialKey
from seqtrack.runs.repository import Snapshot
from seqtrack.schema import counted


@dataclass(frozen=True)
class Work:
    """Trials that one scheduler carries out.

    Attributes:
        requests: one for each run, or several that track in other ways with what is trained once; where and how they
            are executed is the same for all.
        folder: what was asked for; its ``slurm`` folder has the ledger, the scripts and the outputs of the jobs.
    """

    requests: tuple[Request, ...]
    folder: RunFolder | SweepFolder

    @classmethod
    def of(cls, request: Request) -> Work:
        """A single run."""
        return cls((request,), request.run)

    @cached_property
    def by_run(self) -> Mapping[str, tuple[Request, ...]]:
        found: dict[str, tuple[Request, ...]] = {}
        for request in self.requests:
            found[request.run_id] = (*found.get(request.run_id, ()), request)
        return found

    @cached_property
    def trials(self) -> tuple[TrialKey, ...]:
        """Run by run, in order of seed."""
        return tuple(TrialKey(run, seed) for run, (request, *_) in self.by_run.items() for seed in request.seeds)

    @property
    def execution(self) -> ExecutionConfig:
        return self.requests[0].execution

    @property
    def runs(self) -> list[RunFolder]:
        return [request.run for request, *_ in self.by_run.values()]

    @property
    def mark(self) -> str:
        """By which its jobs are known in SLURM's queue."""
        return f"sweep-{self.folder.name}" if isinstance(self.folder, SweepFolder) else self.folder.run_id

    @property
    def title(self) -> str:
        return f"sweep {self.folder.name}" if isinstance(self.folder, SweepFolder) else f"run {self.folder.run_id}"

    def how_to_look(self) -> list[str]:
        """What to tell a person who leaves it to itself."""
        is_sweep = isinstance(self.folder, SweepFolder)
        more = [] if is_sweep else [f"  seqtrack logs {self._name} --seed 0{self._where}"]
        return [
            "the same command comes back, repairs, or adds trials; to look at it:",
            f"  seqtrack status {self._name}{self._where}",
            *more,
            f"  {self.how_to_cancel}",
        ]

    @property
    def how_to_cancel(self) -> str:
        """The command that stops all of it."""
        return f"seqtrack cancel {self._name}{self._where}"

    @property
    def _name(self) -> str:
        return self.folder.name if isinstance(self.folder, SweepFolder) else self.folder.run_id

    @property
    def _where(self) -> str:
        cache = self.execution.cache_dir
        return "" if cache == Path("cache").absolute() else f" --cache_dir {shlex.quote(str(cache))}"

    @cached_property
    def questions(self) -> Mapping[str, str]:
        """By run: two jobs of the same one do the same work."""
        asked = {run: [request.question for request in requests] for run, requests in self.by_run.items()}
        return {run: one if not more else identity.digest([one, *more])[:8] for run, (one, *more) in asked.items()}

    @cached_property
    def data_uses(self) -> list[DataUse]:
        """Every version of a data set that is read, each once; see ``Request.data_uses``."""
        found: dict[tuple[str, str, str], DataUse] = {}
        for use in (use for request in self.requests for use in request.data_uses):
            key = (use.name.label, use.locations.preproc, use.locations.storage)
            if key not in found or use.assessed:
                found[key] = use
        return list(found.values())

    @property
    def plugins(self) -> list[str]:
        """Models of a person's own that are trained."""
        found = (families.plugin(request.train.model) for request in self.requests)
        return list(dict.fromkeys(filter(None, found)))

    @property
    def snapshot(self) -> Snapshot | None:
        return self.requests[0].snapshot

    @property
    def summarised(self) -> list[Request]:
        """Of each run the one that its own summary is of: its newest, as for whoever looks at the run by itself."""
        return [requests[-1] for requests in self.by_run.values()]

    def request(self, trial: TrialKey) -> Request:
        """The first of them where there are several: they are trained and executed alike."""
        return self.by_run[trial.run][0]

    def trial(self, trial: TrialKey) -> TrialFolder:
        return self.request(trial).run.trial(trial.seed)

    def has_nothing_left(self, trial: TrialKey) -> bool:
        return all(plan.has_nothing_left(request, self.trial(trial)) for request in self.by_run[trial.run])

    def listed(self, trials: Sequence[TrialKey]) -> str:
        """As a person is told of them: ``seeds 3, 4`` of a run, and how many of a sweep."""
        if isinstance(self.folder, SweepFolder):
            return counted(len(trials), "trial")
        return f"seeds {', '.join(str(trial.seed) for trial in trials)}"


def seeds_of(run_id: str, found: Mapping[TrialKey, str]) -> dict[int, str]:
    """What there is to say of the trials of one run, by seed."""
    return {trial.seed: text for trial, text in found.items() if trial.run == run_id}
