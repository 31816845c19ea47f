"""The local scheduler: trials side by side on this machine, in processes that outlive the driver.

Each worker is a session of its own, started as ``python -m seqtrack.tools.train_work RUN SEED``, and is found
again by its ``owner.json``. What to do next is read off the disk in every round, so two drivers of one run need
no word with each other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from seqtrack.cluster.causes import LOG_LINES_SHOWN
from seqtrack.cluster.gpus import visible_gpus
from seqtrack.pipeline import plan
from seqtrack.pipeline.cores import trials_at_a_time
from seqtrack.pipeline.request import Request
from seqtrack.pipeline.worker import BUSY, DONE, MISTAKE
from seqtrack.runs import attempts, events
from seqtrack.runs.logs import last_lines
from seqtrack.runs.status import STOPPED, TrialStatus, trial_status

POLL_SECONDS = 0.25


@dataclass
class _Launched:
    process: subprocess.Popen[bytes]
    gpu: str | None


@dataclass
class LocalScheduler:
    """Runs the trials of a request until each is complete or has failed.

    Attributes:
        submission: id under which workers find the request.
        show: called in every round with the status of all trials, in order of seed.
        failures: cause by seed.
        mistakes: those of them that a person can mend (a broken frame, a full disk).
    """

    request: Request
    submission: str
    show: Callable[[list[TrialStatus]], None]
    failures: dict[int, str] = field(default_factory=dict)
    mistakes: set[int] = field(default_factory=set)
    _launched: dict[int, _Launched] = field(default_factory=dict)
    _tried: set[int] = field(default_factory=set)
    _complete: set[int] = field(default_factory=set)

    def begin(self) -> None:
        """Nothing: a process is started when there is a place for it."""

    def run(self) -> dict[int, str]:
        """Blocks until nothing more can be done; returns the cause of failure by seed.

        KeyboardInterrupt passes through: workers go on.
        """
        gpus = visible_gpus() if self.request.execution.device in ("auto", "cuda") else []
        while True:
            self._reap()
            at_work = self._at_work()
            for seed in self._waiting(at_work):
                if len(at_work) >= self._max_parallel(gpus):
                    break
                self._launch(seed, gpus)
                at_work.add(seed)
            self.show([self._status(seed) for seed in self.request.seeds])
            if not at_work:
                return self.failures
            time.sleep(POLL_SECONDS)

    def pids(self) -> list[int]:
        """Processes that are at work on this run, those included that have yet to claim their trial."""
        found = [worker.process.pid for worker in self._launched.values()]
        for seed in self.request.seeds:
            attempt = attempts.live(self.request.run.trial(seed))
            owner = attempts.read_owner(attempt) if attempt else None
            if owner is not None and owner.pid not in found:
                found.append(owner.pid)
        return found

    def farewell(self) -> str:
        """What goes on without the driver, and how to come back."""
        pids, waiting = self.pids(), self.unstarted()
        lines = ["left; give the same command again to come back"]
        if pids:
            numbers = " ".join(map(str, pids))
            lines.append(f"{len(pids)} trial(s) go on in the background; to stop them as well: kill {numbers}")
        if waiting:
            lines.append(f"seeds {', '.join(map(str, waiting))} have not started and will not until then")
        return "\n".join(lines)

    def unstarted(self) -> list[int]:
        """Seeds that wait for a free place."""
        return self._waiting(self._at_work())

    def _max_parallel(self, gpus: list[str]) -> int:
        execution = self.request.execution
        return execution.max_parallel or len(gpus) or trials_at_a_time(execution)

    def _at_work(self) -> set[int]:
        """Seeds with a process: ours, or one that another driver left."""
        live = {s for s in self.request.seeds if attempts.live(self.request.run.trial(s)) is not None}
        return live | set(self._launched)

    def _waiting(self, at_work: set[int]) -> list[int]:
        return [
            seed
            for seed in self.request.seeds
            if seed not in at_work and seed not in self._tried and not self._is_complete(seed)
        ]

    def _is_complete(self, seed: int) -> bool:
        if seed not in self._complete and plan.has_nothing_left(self.request, self.request.run.trial(seed)):
            self._complete.add(seed)
        return seed in self._complete

    def _status(self, seed: int) -> TrialStatus:
        status = trial_status(self.request.run.trial(seed))
        if seed not in self._tried and status.state in STOPPED:
            # How it ended before says nothing about now: it is about to be started.
            return TrialStatus(seed, "waiting", status.step, status.total)
        if seed in self.failures:
            return TrialStatus(seed, "failed", status.step, status.total, status.loss, detail=self.failures[seed])
        return status

    def _launch(self, seed: int, gpus: list[str]) -> None:
        self._tried.add(seed)
        trial = self.request.run.trial(seed)
        trial.path.mkdir(parents=True, exist_ok=True)
        gpu = self._free_gpu(gpus)
        environment = dict(os.environ)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        command = [
            sys.executable, "-m", "seqtrack.tools.train_work", str(self.request.run.path), str(seed),
            "--submission", self.submission,
        ]  # fmt: skip
        with trial.launch_log.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._launched[seed] = _Launched(process, gpu)

    def _free_gpu(self, gpus: list[str]) -> str | None:
        """The GPU with the fewest workers, those that another driver left included."""
        if not gpus:
            return None
        used = [worker.gpu for worker in self._launched.values()]
        for seed in self.request.seeds:
            attempt = attempts.live(self.request.run.trial(seed))
            if attempt is not None and seed not in self._launched:
                used.append(next((e.get("gpu") for e in events.read(attempt.events)), None))
        return min(gpus, key=used.count)

    def _reap(self) -> None:
        for seed, worker in list(self._launched.items()):
            code = worker.process.poll()
            if code is None:
                continue
            del self._launched[seed]
            if code == BUSY:
                # Another process has the trial; should that one die, it is ours to start again.
                self._tried.discard(seed)
            elif code != DONE or not self._is_complete(seed):
                self.failures[seed] = self._cause(seed, code, worker.process.pid)
                if code == MISTAKE:
                    self.mistakes.add(seed)

    def _cause(self, seed: int, code: int, pid: int) -> str:
        trial = self.request.run.trial(seed)
        attempt = attempts.newest(trial)
        owner = attempts.read_owner(attempt) if attempt else None
        if owner is None or owner.pid != pid:
            attempt = None  # it ended before it had one; what an earlier attempt met is not its cause
        end = attempts.ended(attempt) if attempt else None
        if end is not None and end.get("error"):
            return str(end["error"])
        if end is not None and end["state"] == "interrupted":
            return "asked to stop (SIGTERM); saved: give the same command again to go on"
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"killed by {name}{hint}; give the same command again to go on from its last checkpoint"
        log = attempt.log if attempt and attempt.log.exists() else trial.launch_log
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        return f"exit code {code}: {last[0] if last else 'nothing logged'} (see {log})"

    def last_log_lines(self, seed: int) -> list[str]:
        """The end of the newest attempt's log."""
        attempt = attempts.newest(self.request.run.trial(seed))
        return last_lines(attempt.log, LOG_LINES_SHOWN) if attempt else []
