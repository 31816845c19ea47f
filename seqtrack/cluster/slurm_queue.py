"""What SLURM says of jobs: the queue, the reason of a death, and this site's limits.

Each function is one short client command with a time limit; each parser is pure. None means that SLURM did not
answer, which is different from an empty answer.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seqtrack.cluster.sbatch import read_comment

ANSWER_SECONDS = 20.0
_QUEUE_FORMAT = "%F|%K|%T|%N|%r|%k"


@dataclass(frozen=True)
class QueuedTask:
    """One job, or one task of an array, that is in the queue.

    Attributes:
        job_id: of the job or of the whole array.
        index: of the task in its array; None for what is no array.
        state: SLURM's word (``PENDING``, ``RUNNING``, ``COMPLETING`` …).
        reason: why it waits.
        run, stage, tag: from its comment; empty for jobs that are not seqtrack's.
    """

    job_id: str
    index: int | None
    state: str
    node: str = ""
    reason: str = ""
    run: str = ""
    stage: str = ""
    tag: str = ""

    @property
    def name(self) -> str:
        """``123_4`` or ``123``, as scancel takes it."""
        return self.job_id if self.index is None else f"{self.job_id}_{self.index}"


def is_installed() -> bool:
    return shutil.which("sbatch") is not None


def queue(seconds: float = ANSWER_SECONDS) -> list[QueuedTask] | None:
    """Everything of this person's in the queue, in one squeue whatever the number of tasks."""
    # By number: $USER may say anything, and a container may have no accounts.
    answer = ask(["squeue", "--all", "--noheader", f"--user={os.getuid()}", f"--format={_QUEUE_FORMAT}"], seconds)
    return None if answer is None else list(parse_queue(answer))


def parse_queue(text: str) -> Iterator[QueuedTask]:
    for line in text.splitlines():
        job_id, indexes, state, node, reason, comment = (line.split("|", 5) + [""] * 6)[:6]
        if not job_id.strip().isdigit():
            continue
        said = read_comment(comment) or {}
        for index in parse_indexes(indexes):
            yield QueuedTask(job_id.strip(), index, state, node, "" if reason == "None" else reason, **said)


def parse_indexes(text: str) -> list[int | None]:
    """Of ``7``, ``1-3,5%2`` (tasks that wait share a line) or ``N/A``."""
    if not (text and text[0].isdigit()):
        return [None]
    found: list[int | None] = []
    for part in text.partition("%")[0].rstrip(".").split(","):
        first, _, last = part.partition("-")
        last, _, step = last.partition(":")
        found += range(int(first), int(last or first) + 1, int(step or 1))
    return found


@dataclass(frozen=True)
class Ending:
    """How accounting says that a task ended.

    Attributes:
        state: ``COMPLETED``, ``FAILED``, ``TIMEOUT``, ``OUT_OF_MEMORY``, ``NODE_FAIL``,
            ``CANCELLED by 1000`` …
        node: where it ran last.
    """

    state: str
    node: str
    exit_code: str = ""


def endings(job_ids: Iterable[str], seconds: float = ANSWER_SECONDS) -> dict[str, Ending]:
    """By task name, from one sacct; nothing where there is no accounting."""
    wanted = sorted({job_id.partition("_")[0] for job_id in job_ids})
    if not wanted or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "-n", "-P", "-X", "-o", "JobID,State,NodeList,ExitCode", "-j", ",".join(wanted)]
    return parse_endings(ask(command, seconds) or "")


def parse_endings(text: str) -> dict[str, Ending]:
    found = {}
    for line in text.splitlines():
        name, state, node, exit_code = (line.split("|") + [""] * 4)[:4]
        ending = Ending(state, "" if node == "None assigned" else node, exit_code)
        job, _, indexes = name.partition("_")
        # Tasks that wait share a line: 7_[0-2,5%2].
        for index in parse_indexes(indexes.strip("[]")):
            found[job if index is None else f"{job}_{index}"] = ending
    return found


def failed_nodes(job_ids: Iterable[str], seconds: float = ANSWER_SECONDS) -> set[str]:
    """Nodes that failed under these jobs, also where the job has since gone on elsewhere."""
    wanted = sorted({job_id.partition("_")[0] for job_id in job_ids})
    if not wanted or shutil.which("sacct") is None:
        return set()
    command = ["sacct", "-n", "-P", "-X", "--duplicates", "-o", "State,NodeList", "-j", ",".join(wanted)]
    rows = [line.split("|") for line in (ask(command, seconds) or "").splitlines()]
    return {row[1] for row in rows if row[0] == "NODE_FAIL" and row[1]}


@dataclass(frozen=True)
class Limits:
    """What this site allows."""

    max_array_size: int = 1001


def limits() -> Limits | None:
    answer = ask(["scontrol", "show", "config"], ANSWER_SECONDS)
    return None if answer is None else parse_limits(answer)


def parse_limits(text: str) -> Limits:
    sizes = [int(size) for size in re.findall(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)]
    # A second, lower limit on the number of tasks may hide in SchedulerParameters.
    sizes += [int(size) for size in re.findall(r"\bmax_array_tasks=(\d+)", text)]
    return Limits(max(1, min(sizes, default=Limits.max_array_size)))


def cancel(names: Sequence[str]) -> str | None:
    """Takes tasks out of the queue; says what went wrong, if anything did."""
    if not names:
        return None
    try:
        answer = subprocess.run(
            ["scancel", *names], capture_output=True, text=True, timeout=ANSWER_SECONDS, env=_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return answer.stderr.strip() or None if answer.returncode else None


def ask(command: Sequence[str], seconds: float) -> str | None:
    """The output of a client command; None if it failed, or took too long (a dead controller takes ten seconds)."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=True, env=_environment()
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def inherited_variables() -> list[str]:
    """What a job must not pass on to the jobs that it submits: they would be bound, or named, as it is. None
    outside a job. Where SLURM's configuration lies is not among them."""
    if "SLURM_JOB_ID" not in os.environ:
        return []
    prefixes = ("SLURM_", "SBATCH_", "SUBMITIT_", "SQUEUE_", "SACCT_")
    kept = ("SLURM_CONF", "SLURM_CLUSTERS")
    return sorted(name for name in os.environ if name.startswith(prefixes) and name not in kept)


def _environment() -> dict[str, str]:
    inherited = inherited_variables()
    found = {name: value for name, value in os.environ.items() if name not in inherited}
    # A person's own formats would be read as ours; and long lists of tasks must not be cut ("0-2,4,6...").
    for name in ("SQUEUE_FORMAT", "SQUEUE_STATES", "SQUEUE_SORT", "SACCT_FORMAT", "SLURM_TIME_FORMAT"):
        found.pop(name, None)
    return {**found, "SLURM_BITSTR_LEN": "0"}
