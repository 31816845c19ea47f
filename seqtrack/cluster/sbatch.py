"""Batch scripts for SLURM as values, and what names and marks their jobs. Nothing here calls SLURM.

A script ends in ``exec COMMAND``, without srun, and asks for its signal with ``B:``: only then does the trainer,
and it alone, hear that its time is running out. Without ``exec`` the shell would die of the signal, with srun
every loader worker would get it too.

sbatch lets ``SBATCH_*`` variables override what a script says: who submits one removes them.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqtrack.errors import UserError

# In the place of a word of a command: the seed of the task; at the end of one: its run. No real argument contains
# the first character.
SEED, RUN = "\0", "\0run"

_WIDTH = 100  # columns of the list of seeds
_COMMENT_LENGTH = 900  # characters of ours: SLURM takes 1024 bytes, and a person may want some
_COMMENT = re.compile(r"(?<!\S)seqtrack run=(?P<run>[\w.-]+) stage=(?P<stage>[\w.-]+) tag=(?P<tag>[\w.-]+)")


@dataclass(frozen=True)
class BatchScript:
    """One job, or an array with a task for each seed, of one run or of several.

    Attributes:
        comment: ours, see ``job_comment``; it is appended to what ``flags`` has.
        flags: what a person asked for, as ``slurm_flags.parse`` gives it.
        command: words of a command line; ``SEED`` stands for the seed of the task, ``RUN`` at the end of a word for
            its run.
        folder: absolute, where the command runs.
        output: absolute pattern of the log in SLURM's notation, such as ``/…/slurm/%A_%a.out``; a literal % of
            a folder is written ``%%``. Standard error goes there too, and a requeued job appends.
        seeds: task i of the array works on ``seeds[i]``; empty: no array.
        runs: task i works on a seed of ``runs[i]``; empty where the command names the only one.
        throttle: how many tasks of the array may run at a time.
        dependency: such as ``aftercorr:123``; the job is cancelled if that can never come true.
        signal_seconds: how long before the time limit the command gets USR2; it replaces a ``signal`` of ``flags``.
        setup: lines of bash to run first, as they are.
        environment: exported before the setup lines.
        exclude: nodes to avoid besides those that ``flags`` excludes.
    """

    name: str
    comment: str
    flags: Mapping[str, str | None]
    command: tuple[str, ...]
    folder: Path
    output: str
    seeds: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    throttle: int | None = None
    dependency: str | None = None
    signal_seconds: int | None = None
    setup: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError("command: expected at least one word")
        if any(SEED in word.removesuffix(RUN) and word != SEED for word in self.command):
            raise ValueError("command: SEED is a word of its own")
        has_run = any(word.endswith(RUN) for word in self.command)
        if has_run != bool(self.runs) or len(self.runs) not in (0, len(self.seeds)):
            raise ValueError("runs: one for each seed, where the command asks for it")
        if not self.seeds and (SEED in self.command or self.throttle is not None):
            raise ValueError("seeds: a command for each seed, and a throttle, need some")
        for name in self.environment:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"environment: {name!r} is not the name of a variable")

    def text(self) -> str:
        """The whole script, ready for sbatch.

        Raises:
            UserError: a path or value with a line break, which sbatch cannot read.
        """
        lines = [
            "#!/bin/bash",
            f"# {self._title()}",
            *(f"#SBATCH {_directive(name, value)}" for name, value in self._options().items()),
            "",
            *(f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()),
            *([_list("runs", self.runs)] if self.runs else []),
            *([_list("seeds", self.seeds)] if self.seeds else []),
            *self.setup,
            "# The command replaces this shell, so that SLURM's signal reaches it, and nothing else.",
            *(["trap '' USR2  # until the command listens, it must not kill"] if self.signal_seconds else []),
            f"exec {' '.join(map(_word, self.command))}",
        ]
        return "\n".join(lines) + "\n"

    def _title(self) -> str:
        if not self.seeds:
            return f"{self.name}: one job, written by seqtrack"
        tasks = "1 task" if len(self.seeds) == 1 else f"{len(self.seeds)} tasks"
        each = "the runs and seeds" if self.runs else "the seeds"
        return f"{self.name}: an array of {tasks}, one for each of {each} below, written by seqtrack"

    def _options(self) -> dict[str, str | None]:
        """Ours first, then the person's in their order."""
        flags = dict(self.flags)
        comments = [flags.pop("comment", None), self.comment]
        excluded = dict.fromkeys([flags.pop("exclude", None), *self.exclude])
        ours: dict[str, str | None] = {
            "job-name": self.name,
            "comment": " ".join(filter(None, comments)),
            "chdir": str(self.folder),
            "output": self.output,
            "open-mode": "append",
            "requeue": None,
        }
        if self.seeds:
            throttle = "" if self.throttle is None else f"%{self.throttle}"
            ours["array"] = ranges(range(len(self.seeds))) + throttle
        if self.dependency is not None:
            ours |= {"dependency": self.dependency, "kill-on-invalid-dep": "yes"}
        if self.signal_seconds is not None:
            ours["signal"] = f"B:USR2@{self.signal_seconds}"
            flags.pop("signal", None)
        if any(excluded):
            ours["exclude"] = ",".join(filter(None, excluded))
        return ours | flags


def _directive(name: str, value: str | None) -> str:
    """An option as sbatch reads it from a script, by rules of its own: get_argument in its src/sbatch/opt.c.

    It ends a word at white space and the line at ``#``, takes both kinds of quotes, and, unlike a shell, takes a
    backslash as an escape within both. Releases differ in a backslash before a space outside quotes, which is
    therefore not used. There is no way to write a line break.
    """
    if value is None:
        return f"--{name}"
    if "\n" in value or "\0" in value:
        raise UserError(f"--{name}={value!r}: SLURM cannot read a line break in a path or a value; choose another")
    if re.search(r"""[\s"'\\#]""", value):
        value = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return f"--{name}={value}"


def _list(name: str, values: Iterable[object]) -> str:
    """A list of bash; of words that it takes as they are."""
    text = f"{name}=({' '.join(map(str, values))})"
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * (len(name) + 2), break_on_hyphens=False)


def _word(word: str) -> str:
    if word.endswith(RUN):
        before = word.removesuffix(RUN)
        return (shlex.quote(before) if before else "") + '"${runs[$SLURM_ARRAY_TASK_ID]}"'
    return '"${seeds[$SLURM_ARRAY_TASK_ID]}"' if word == SEED else shlex.quote(word)


def job_name(whose: str, stage: str) -> str:
    """The name of a job of a run, or a sweep, in the queue."""
    return f"seqtrack-{whose}-{stage}"


def job_comment(run_id: str, stage: str, tag: str, seeds: Sequence[int] = ()) -> str:
    """The mark by which a job is known for ours though the process that submitted it left no record.

    Its words consist of letters, digits and ``_.-``. A list of seeds that is too long ends in ``…``.
    """
    text = f"seqtrack run={run_id} stage={stage} tag={tag}"
    if seeds:
        text += f" seeds={ranges(seeds)}"
    if len(text) > _COMMENT_LENGTH:
        text = text[: text.rindex(",", 0, _COMMENT_LENGTH - 1)] + ",…"
    return text


def read_comment(text: str) -> dict[str, str] | None:
    """``run``, ``stage`` and ``tag`` of a ``job_comment``, also amid other words; None if there is none."""
    found = list(_COMMENT.finditer(text))
    return found[-1].groupdict() if found else None  # ours comes after a person's own words


def ranges(numbers: Iterable[int]) -> str:
    """``0-4,7``: neighbours that count up by one are joined; the order is kept."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
