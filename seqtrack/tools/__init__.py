"""Command lines. Ctrl-C while a tool is still being imported ends it as it does later on: see ``cli.run``."""

import sys
from types import TracebackType


def _is_the_program() -> bool:
    """Whether the process is ``python -m seqtrack…`` or the console command, and not somebody who imports a tool."""
    words = [*sys.orig_argv, "", ""]
    name = words[words.index("-m") + 1] if "-m" in words else sys.argv[0].rpartition("/")[2]
    return name.partition(".")[0] == __name__.partition(".")[0]


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("interrupted", file=sys.stderr)
    sys.exit(130)  # else Python would end by the signal


if _is_the_program():
    sys.excepthook = _in_one_line
