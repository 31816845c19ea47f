"""Being asked to stop: by whom, and what that means."""

from __future__ import annotations

import signal
from types import FrameType


class StopFlag:
    """Set by SIGTERM or SIGUSR2: whoever works ends its step or sequence, saves, and returns.

    Under SLURM, USR2 says that the time is nearly up (or that a higher partition wants the node, where the site
    sends it): the job must put itself back into the queue. SIGTERM says that SLURM, or a person, has already
    decided what becomes of the job, and that KILL follows.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def install(self) -> StopFlag:
        """As early as possible: until then these signals kill."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._set)
        return self

    def end(self) -> None:
        """The work is done. While it shuts down, Python hands signals back to the system, of which they would kill
        a process that has nothing left to save, and SLURM would call the job failed."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)

    @property
    def asks_for_requeue(self) -> bool:
        return self.signal == signal.SIGUSR2

    def __call__(self) -> bool:
        return self.signal is not None

    def _set(self, number: int, _: FrameType | None) -> None:
        # Told once is told: the SIGTERM that follows a requeue does not take it back.
        self.signal = self.signal or number
