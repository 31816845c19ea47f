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
from dataclasses import dataclass, field, replace

from seqtrack.cluster.causes import LOG_LINES_SHOWN
from seqtrack.cluster.work import Work
from seqtrack.pipeline.cores import trials_at_a_time
from seqtrack.pipeline.gpus import visible_gpus
from seqtrack.pipeline.worker import BUSY, DONE, MISTAKE
from seqtrack.runs import attempts, events
from seqtrack.runs.logs import last_lines
from seqtrack.runs.paths import TrialKey
from seqtrack.runs.status import STOPPED, TrialStatus, trial_status

POLL_SECONDS = 0.25
ASKED_TO_STOP = "asked to stop (SIGTERM); saved: give the same command again to go on"


@dataclass
class _Launched:
    process: subprocess.Popen[bytes]
    gpu: str | None


@dataclass
class LocalScheduler:
    """Runs trials until each is complete or has failed.

    Attributes:
        submission: id under which workers find the requests.
        show: called in every round with the status of all trials, in their order.
        failures: cause by trial.
        mistakes: those of them that a person can mend (a broken frame, a full disk).
    """

    work: Work
    submission: str
    show: Callable[[list[TrialStatus]], None]
    failures: dict[TrialKey, str] = field(default_factory=dict)
    mistakes: set[TrialKey] = field(default_factory=set)
    _launched: dict[TrialKey, _Launched] = field(default_factory=dict)
    _tried: set[TrialKey] = field(default_factory=set)
    _followed: set[TrialKey] = field(default_factory=set)
    """At work when last looked at, and started by another driver."""
    _complete: set[TrialKey] = field(default_factory=set)
    _at_rest: dict[TrialKey, TrialStatus] = field(default_factory=dict)
    """Of trials that are complete, and that no process is at work on: there is no need to look at them again."""

    def begin(self) -> None:
        """Nothing: a process is started when there is a place for it."""

    def run(self) -> dict[TrialKey, str]:
        """Blocks until nothing more can be done; returns the cause of failure by trial.

        KeyboardInterrupt passes through: workers go on.
        """
        gpus = visible_gpus() if self.work.execution.device in ("auto", "cuda") else []
        while True:
            self._reap()
            at_work = self._at_work()
            self._leave_what_was_cancelled(at_work)
            for trial in self._waiting(at_work)[: max(0, self._max_parallel(gpus) - len(at_work))]:
                self._launch(trial, gpus)
                at_work.add(trial)
            self.show([self._status(trial) for trial in self.work.trials])
            if not at_work:
                return self.failures
            time.sleep(POLL_SECONDS)

    def pids(self) -> list[int]:
        """Processes that are at work on this run, those included that have yet to claim their trial."""
        found = [worker.process.pid for worker in self._launched.values()]
        for trial in self.work.trials:
            attempt = attempts.live(self.work.trial(trial))
            owner = attempts.read_owner(attempt) if attempt else None
            if owner is not None and owner.pid not in found:
                found.append(owner.pid)
        return found

    def farewell(self) -> str:
        """What goes on without the driver, and how to come back."""
        pids, waiting = self.pids(), self.unstarted()
        lines = ["left; give the same command again to come back"]
        if pids:
            count = "1 trial goes" if len(pids) == 1 else f"{len(pids)} trials go"
            lines.append(f"{count} on in the background; to stop that as well: {self.work.how_to_cancel}")
        if waiting:
            lines.append(f"{self.work.listed(waiting)} have not started and will not until then")
        return "\n".join(lines)

    def unstarted(self) -> list[TrialKey]:
        """Trials that wait for a free place."""
        return self._waiting(self._at_work())

    def _max_parallel(self, gpus: list[str]) -> int:
        execution = self.work.execution
        return execution.max_parallel or len(gpus) or trials_at_a_time(execution)

    def _at_work(self) -> set[TrialKey]:
        """Trials with a process: ours, or one that another driver left."""
        looked_at = [trial for trial in self.work.trials if trial not in self._at_rest]
        live = {trial for trial in looked_at if attempts.live(self.work.trial(trial)) is not None}
        return live | set(self._launched)

    def _leave_what_was_cancelled(self, at_work: set[TrialKey]) -> None:
        """What another driver started is ours to start again if it dies, but not if it was asked to stop."""
        for trial in self._followed - at_work:
            attempt = attempts.newest(self.work.trial(trial))
            end = attempts.ended(attempt) if attempt else None
            if end is not None and end["state"] == "interrupted":
                self._tried.add(trial)
                self.failures[trial] = ASKED_TO_STOP
        self._followed = at_work - set(self._launched)

    def _waiting(self, at_work: set[TrialKey]) -> list[TrialKey]:
        return [
            trial
            for trial in self.work.trials
            if trial not in at_work and trial not in self._tried and not self._is_complete(trial)
        ]

    def _is_complete(self, trial: TrialKey) -> bool:
        if trial not in self._complete and self.work.has_nothing_left(trial):
            self._complete.add(trial)
        return trial in self._complete

    def _status(self, trial: TrialKey) -> TrialStatus:
        if trial in self._at_rest:
            return self._at_rest[trial]
        status = trial_status(self.work.trial(trial))
        if trial not in self._tried and status.state in STOPPED:
            # How it ended before says nothing about now: it is about to be started.
            return TrialStatus(trial.seed, "waiting", status.step, status.total)
        if trial in self.failures:
            return replace(status, state="failed", detail=self.failures[trial])
        if status.state == "done" and trial in self._complete and trial not in self._launched:
            self._at_rest[trial] = status
        return status

    def _launch(self, key: TrialKey, gpus: list[str]) -> None:
        self._tried.add(key)
        trial = self.work.trial(key)
        trial.path.mkdir(parents=True, exist_ok=True)
        gpu = self._free_gpu(gpus)
        environment = dict(os.environ)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        command = [
            sys.executable, "-m", "seqtrack.tools.train_work", str(trial.path.parent), str(key.seed),
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
        self._launched[key] = _Launched(process, gpu)

    def _free_gpu(self, gpus: list[str]) -> str | None:
        """The GPU with the fewest workers, those that another driver left included."""
        if not gpus:
            return None
        used = [worker.gpu for worker in self._launched.values()]
        for trial in self.work.trials:
            attempt = None if trial in self._at_rest else attempts.live(self.work.trial(trial))
            if attempt is not None and trial not in self._launched:
                used.append(next((e.get("gpu") for e in events.read(attempt.events)), None))
        return min(gpus, key=used.count)

    def _reap(self) -> None:
        for trial, worker in list(self._launched.items()):
            code = worker.process.poll()
            if code is None:
                continue
            del self._launched[trial]
            if code == BUSY:
                # Another process has the trial; should that one die, it is ours to start again.
                self._tried.discard(trial)
            elif code != DONE or not self._is_complete(trial):
                self.failures[trial] = self._cause(trial, code, worker.process.pid)
                if code == MISTAKE:
                    self.mistakes.add(trial)

    def _cause(self, key: TrialKey, code: int, pid: int) -> str:
        trial = self.work.trial(key)
        attempt = attempts.newest(trial)
        owner = attempts.read_owner(attempt) if attempt else None
        if owner is None or owner.pid != pid:
            attempt = None  # it ended before it had one; what an earlier attempt met is not its cause
        end = attempts.ended(attempt) if attempt else None
        if end is not None and end.get("error"):
            return str(end["error"])
        if end is not None and end["state"] == "interrupted":
            return ASKED_TO_STOP
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"killed by {name}{hint}; give the same command again to go on from its last checkpoint"
        log = attempt.log if attempt and attempt.log.exists() else trial.launch_log
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        return f"exit code {code}: {last[0] if last else 'nothing logged'} (see {log})"

    def last_log_lines(self, key: TrialKey) -> list[str]:
        """The end of the newest attempt's log."""
        attempt = attempts.newest(self.work.trial(key))
        return last_lines(attempt.log, LOG_LINES_SHOWN) if attempt else []
