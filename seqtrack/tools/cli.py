"""What every command line shares: how a mistake, an interruption and a failure look to a person."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from seqtrack.errors import SeqtrackError, UserError
from seqtrack.schema import nearest

EXIT_FAILURE = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk: nobody's bug
SECONDS_BETWEEN_LINES = 10.0


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Calls ``main`` and turns exceptions into one line on standard error and an exit code.

    A person's mistake gives 2, a failure of the work 1, Ctrl-C 130. Anything else is a bug and keeps its traceback.
    """
    try:
        code = main(argv)
        if sys.stdout is not None:  # closed by who called
            sys.stdout.flush()  # while what goes wrong can still be said
        return code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except SeqtrackError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`): not an error.
        _discard_output()
        return 0
    except OSError as error:
        if error.errno in FULL and error.filename is not None:
            again = "make room, and give the same command again"
            print(f"error: cannot write {error.filename} ({error.strerror}): {again}", file=sys.stderr)
            return EXIT_FAILURE
        try:
            print(flush=True)
        except OSError:  # it is our output that cannot be written
            _discard_output()
            print(f"error: cannot write standard output ({error.strerror}); make room", file=sys.stderr)
            return EXIT_FAILURE
        raise


def _discard_output() -> None:
    """Keeps the interpreter from trying, and complaining, once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def screen_width() -> int | None:
    """None where output goes to no terminal, and lines may be as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@contextlib.contextmanager
def progress_bar(text: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int], object]]:
    """For work that is counted: call it with how many are done, and how many there are in all. A bar on a terminal;
    elsewhere a line now and then, of what takes long."""
    if not sys.stderr.isatty():
        yield _Lines(text)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None, visible=False)  # not for what takes no time
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


class _Lines:
    """Says in lines how far something is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next and done < total:
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES
            print(f"{self._text}: {done / total:.0%}", file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line each and name the nearest valid flag.

    ``-`` and ``_`` inside flag names are the same; abbreviations are refused, so that a flag added later
    never changes the meaning of an old command.
    """

    def __init__(self, **kwargs: object) -> None:
        options: dict[str, object] = {
            "allow_abbrev": False,
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            **kwargs,
        }
        super().__init__(**options)  # type: ignore[arg-type]

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """The arguments; UserError for anything that is not one."""
        words = sys.argv[1:] if args is None else list(args)
        words = [_underscored(word) for word in words]
        # First, because argparse would rather complain of what is missing than name a misspelt flag.
        for word in words:
            if word.startswith("--") and word.partition("=")[0] not in {*self._flags(), "--"}:
                raise UserError(self._unknown(word))
        read, unknown = self.parse_known_args(words)
        if unknown:
            raise UserError(self._unknown(unknown[0]))
        return read

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))

    def _flags(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]

    def _unknown(self, word: str) -> str:
        flag = word.split("=", 1)[0]
        if not flag.startswith("-"):
            return f"{word!r}: expected a flag here (see --help)"
        # Without the dashes, which every flag shares with every other.
        hint = nearest(flag.lstrip("-"), [known.lstrip("-") for known in self._flags()])
        hint = hint.replace("mean ", "mean --")
        return f"{flag}: no such flag; {hint if 'mean' in hint else 'see --help for the flags there are'}"


def _underscored(word: str) -> str:
    if not word.startswith("--") or word == "--":
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    # argparse spells the opposite of a flag --no-flag.
    return "--" + re.sub("^no_", "no-", name) + equals + value
