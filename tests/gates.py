"""Holding a process at a chosen moment, until the test lets it go on.

What is done to a process in the middle of its work (a kill, a signal, a look at its state) must not depend on how
fast it is, nor on how fast is whoever does it. A ``Gate`` stands right before a deed on a file; whoever gets to it
waits: all that comes before the deed is done by then, and nothing that comes after it is.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.workbench import wait_for

OPEN, RENAME, LINK = "open", "os.rename", "os.link"
"""Deeds, by the names that Python's audit has for them: a file is opened; a file or folder is given a name in place
of another; one more name, as ``attempts`` claims a number. It is the name given that counts."""

# An audit hook is called before the deed, in every Python process that has the gate in its environment, and in what
# that starts. Signals are answered while it waits. If nobody ever lets it go on, it does by itself.
_HOOK = """
import fnmatch, os, sys, time

passing, until = {passing}, time.monotonic() + 600

def hold(event, arguments):
    global passing
    if event != {deed!r} or isinstance(arguments[{place}], int):  # a file that was open already
        return
    if not fnmatch.fnmatchcase(os.path.abspath(os.fsdecode(arguments[{place}])), {pattern!r}):
        return
    passing -= 1
    if passing >= 0:
        return
    os.close(os.open(os.path.join({folder!r}, str(os.getpid())), os.O_CREAT))
    while not os.path.exists({key!r}) and time.monotonic() < until:
        time.sleep(0.005)

sys.addaudithook(hold)
"""


class Gate:
    """Stands before a deed on files whose path matches ``pattern`` (``*`` matches ``/`` too), but lets each process
    pass so many times."""

    def __init__(self, folder: Path, deed: str, pattern: str, passing: int = 0) -> None:
        self._held, self._key = folder / "held", folder / "key"
        self._held.mkdir(parents=True)
        place = 0 if deed == OPEN else 1
        words = {"deed": deed, "place": place, "pattern": pattern, "passing": passing}
        hook = _HOOK.format(**words, folder=str(self._held), key=str(self._key))
        (folder / "sitecustomize.py").write_text(hook)
        self.environment = {"PYTHONPATH": str(folder)}
        """Of the command that is to be held, or that starts who is."""

    def held(self) -> list[int]:
        """Ids of the processes that stand here, or stood."""
        return [int(path.name) for path in self._held.iterdir()]

    def wait(self, command: subprocess.Popen[str] | None = None) -> int:
        """Until a process stands here; its id. Fails if ``command`` ends before."""
        wait_for(self.held, "process at the gate", command)
        (held,) = self.held()
        return held

    def open(self) -> None:
        """Lets everybody go on, for good."""
        self._key.touch()
