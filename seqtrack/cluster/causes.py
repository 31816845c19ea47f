"""Why a trial is at rest without being done: one line that says what happened and what to do.

What the trial itself wrote is trusted first, then SLURM's accounting where there is any, then what slurmstepd wrote
into SLURM's own file of the task. What is gone from the queue and left no word anywhere was killed.
"""

from __future__ import annotations

import pwd
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from seqtrack.cluster.slurm_queue import Ending
from seqtrack.runs import attempts
from seqtrack.runs.jobs import ASSESS, INDEX, Job
from seqtrack.runs.logs import last_lines
from seqtrack.runs.paths import RunFolder
from seqtrack.runs.status import AT_WORK, STOPPED, not_begun, trial_status

LOG_LINES_SHOWN = 8
# Exit codes of a worker, and signal, as accounting has them.
_MISTAKE, _BUSY = "2:0", "3:0"
_LINES_READ = 100
_CLOCK_TOLERANCE_SECONDS = 60.0

# States of accounting in which a task has not ended.
_UNDER_WAY = (
    "", "PENDING", "RUNNING", "REQUEUED", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING", "STOPPED",
    "SIGNALING",
)  # fmt: skip
# What slurmstepd writes when it ends a job, and the word of accounting for that.
_CANCELLED = re.compile(
    r"\*\*\* (JOB|STEP) \S+ ON (?P<node>\S+) CANCELLED AT (?P<time>\S+)( DUE TO (?P<why>.+?))? \*\*\*"
)
_REASONS = {
    "TIME LIMIT": "TIMEOUT",
    "PREEMPTION": "PREEMPTED",
    "NODE FAILURE": "NODE_FAIL",
    "JOB REQUEUE": "REQUEUED",
}
_OUT_OF_MEMORY = re.compile(r"oom[_-]kill event|exceeded .*memory limit|out-of-memory handler", re.IGNORECASE)
_OF_SLURM = re.compile(r"^(slurmstepd|srun|slurmd)\b.*: ")
_FAILURE = re.compile(r"error|Traceback|killed", re.IGNORECASE)
_OURS = "error: "  # how every command line of seqtrack tells a mistake


@dataclass(frozen=True)
class Cause:
    """Why a trial ended.

    Attributes:
        text: one line: what happened, and what to do.
        node_failed: the node that is to blame, if one is.
        is_mistake: a person has to mend something; until then it would fail again.
        log_lines: the last that it logged; none for a mistake, whose text says it all.
    """

    text: str
    node_failed: str | None = None
    is_mistake: bool = False
    log_lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of the end of one SLURM task, or of an attempt on this machine.

    Attributes:
        end: the ``end`` event of its attempt.
        has_begun: whether it has an attempt; what comes before that is said in SLURM's file of the task.
        ending: by accounting.
        said: the end of that file, which goes on over restarts.
        since: when it began, or was handed over: what SLURM said before that is about an earlier start.
        node: where it ran.
        saved: step of the newest checkpoint.
        log: the end of its attempt's log.
    """

    end: Mapping[str, Any] | None = None
    has_begun: bool = True
    stage: str = "all"
    ending: Ending | None = None
    said: Sequence[str] = ()
    since: float = 0.0
    node: str = ""
    saved: int | None = None
    log: Sequence[str] = ()


def cause(run: RunFolder, seed: int, jobs: Sequence[Job], endings: Mapping[str, Ending]) -> Cause | None:
    """Why a trial that is not complete is at rest; None if it is at work, goes on, or was never started.

    To be asked of what is not in the queue: the disk alone cannot tell what waits there.

    Args:
        jobs: what was handed to SLURM (``runs.jobs.read``); none for a run on this machine.
        endings: what accounting says, by task; empty without accounting.
    """
    trial = run.trial(seed)
    status = trial_status(trial)
    attempt = attempts.newest(trial)
    owner = attempts.read_owner(attempt) if attempt else None
    if status.state in AT_WORK:
        if owner is None or owner.job is None or owner.is_here:
            return None
        status = replace(status, state="died")  # its job is gone, fresh as the heartbeat may be
    saved = max(trial.checkpoints(), default=None)
    if unbegun := not_begun(status, owner, jobs):
        return _of_what_never_began(run, unbegun[0], unbegun[0].task(seed), status.job, saved, jobs, endings)
    if attempt is None or status.state not in STOPPED:
        return None
    facts = Facts(attempts.ended(attempt), stage=status.stage, node=status.node, saved=saved)
    if owner is not None and owner.job is not None:
        said = last_lines(run.output(owner.job), _LINES_READ)
        facts = replace(facts, ending=endings.get(owner.job), said=said, since=owner.started)
    return explain(replace(facts, log=last_lines(attempt.log, LOG_LINES_SHOWN)))


def _of_what_never_began(
    run: RunFolder,
    job: Job,
    task: str,
    before: str | None,
    saved: int | None,
    jobs: Sequence[Job],
    endings: Mapping[str, Ending],
) -> Cause | None:
    """Of a task without an attempt: it failed on the way to one, or never ran because of what it waited for.

    ``before`` is the task that made the newest attempt.
    """

    def facts(job: Job, task: str) -> Facts:
        said = last_lines(run.output(task), _LINES_READ)
        return Facts(None, False, job.stage, endings.get(task), said, job.time, saved=saved)

    mine = facts(job, task)
    if mine.said:
        return explain(mine)
    for other in jobs:
        if other.stage == INDEX and other.job_id is not None and other.job_id in _ids(job.after):
            why = explain(facts(other, other.job_id))
            if why is not None and (
                other.job_id in endings or why.is_mistake or _FAILURE.search("\n".join(why.log_lines))
            ):
                return replace(why, text=f"the index job failed: {why.text}")
    training = endings.get(before or "")
    if job.stage == ASSESS and training is not None and _word(training) not in ("COMPLETED", *_UNDER_WAY):
        # Its attempt ended in order but the job did not: SLURM then drops what waits for it.
        return Cause(f"its training failed (SLURM: {_word(training)}), so it was not assessed; {_again(mine)}")
    return explain(mine)


def _ids(after: str | None) -> list[str]:
    """Of a dependency such as ``afterok:12,afterany:13_2:14``."""
    return re.findall(r"\d+(?:_\d+)?", after or "")


def explain(facts: Facts) -> Cause | None:
    """The cause, from what is known; None if nothing is wrong, or it goes on."""
    how, node, who = _of_slurm(facts)
    end = facts.end or {}
    log = tuple(facts.log if facts.has_begun else facts.said)[-LOG_LINES_SHOWN:]
    if end.get("state") in ("failed", "superseded"):
        is_mistake = bool(end.get("mistake"))
        text = str(end.get("error") or "failed without a word")
        if how == "OUT_OF_MEMORY" and not is_mistake:
            text += f" ({_killed(how, node, who, facts)})"
        return Cause(text, None, is_mistake, () if is_mistake else log)
    if how in _UNDER_WAY and facts.ending is not None:
        return None
    if killed := _killed(how, node, who, facts):
        return Cause(killed, (node or None) if how in ("NODE_FAIL", "BOOT_FAIL") else None, False, log)
    if end.get("state") == "interrupted":
        return Cause(f"asked to stop; what it had is saved: {_again(facts)}", log_lines=log)
    if not facts.has_begun:
        return _before_it_began(facts, how, log)
    number = facts.ending.exit_code.partition(":")[2] if facts.ending else ""
    word = (
        f"killed by {signal.Signals(int(number)).name}"
        if number.isdigit() and int(number)
        else "killed without a word"
    )
    hint = " (out of memory?)" if number == str(int(signal.SIGKILL)) else ""
    return Cause(f"{word}{f' on {node}' if node else ''}{hint}; {_again(facts)}", log_lines=log)


def _before_it_began(facts: Facts, how: str, log: tuple[str, ...]) -> Cause | None:
    """Why a task has no attempt."""
    if how == "COMPLETED":
        return None  # there was nothing left to do
    own = [line.strip() for line in facts.said if line.strip() and not _OF_SLURM.match(line)]
    told = [line for line in own if line.startswith(_OURS)]
    code = facts.ending.exit_code if facts.ending else None
    if told:
        is_mistake = code in (None, _MISTAKE)
        return Cause(told[-1].removeprefix(_OURS), None, is_mistake, () if is_mistake else log)
    if code == _BUSY:
        return Cause(f"another process was at work on it; {_again(facts)}", log_lines=log)
    if own:
        return Cause(own[-1] if facts.stage == INDEX else f"it failed before it began: {own[-1]}", log_lines=log)
    if how:
        return Cause(f"it failed before it began (SLURM: {how}, exit code {code}); {_again(facts)}", log_lines=log)
    return Cause(f"it left SLURM's queue before it began, without a word; {_again(facts)}", log_lines=log)


def _of_slurm(facts: Facts) -> tuple[str, str, str]:
    """SLURM's word for the end, the node, and who cancelled it."""
    if facts.ending is not None:
        who = facts.ending.state.partition(" by ")[2]
        return _word(facts.ending), facts.ending.node or facts.node, _user(who)
    how, node = "", facts.node
    for line in facts.said:
        if _OUT_OF_MEMORY.search(line):
            how = "OUT_OF_MEMORY"
        elif match := _CANCELLED.search(line):
            is_old = _seconds(match["time"]) < facts.since - _CLOCK_TOLERANCE_SECONDS
            reasons = [word for reason, word in _REASONS.items() if (match["why"] or "").startswith(reason)]
            # What was said of an earlier start, and all before it, is not about this one.
            how = "" if is_old else (reasons or ["CANCELLED"])[0]
            node = node if is_old else match["node"]
    return how, node, ""


def _word(ending: Ending) -> str:
    """``CANCELLED`` of ``CANCELLED by 1000``."""
    return ending.state.partition(" ")[0].rstrip("+")


def _killed(how: str, node: str, who: str, facts: Facts) -> str | None:
    """What SLURM did to it, as a line to tell."""
    on, again = f" on {node}" if node else "", _again(facts)
    flags = "--slurm_assess_flags" if facts.stage == ASSESS else "--slurm_flags"
    match how:
        case "OUT_OF_MEMORY":
            return f"out of memory{on} (SLURM: {how}): give more with {flags} mem=…"
        case "TIMEOUT":
            return f"time limit reached{on}; {again} (more time: {flags} time=…)"
        case "NODE_FAIL" | "BOOT_FAIL":
            return f"{node or 'its node'} failed (SLURM: {how}); {again}"
        case "PREEMPTED":
            return f"preempted{on}, and this site cancels what it preempts (PreemptMode=CANCEL); {again}"
        case "CANCELLED":
            return f"cancelled with scancel{f' by {who}' if who else ''}; {again}"
        case "DEADLINE" | "REVOKED":
            return f"ended by SLURM{on} ({how}); {again}"
        case _:
            return None


def _again(facts: Facts) -> str:
    if facts.stage == ASSESS:
        return "the same command goes on"
    return (
        "the same command starts it again"
        if facts.saved is None
        else f"the same command goes on from step {facts.saved}"
    )


def _seconds(text: str) -> float:
    """Of SLURM's local time, ``2026-11-21T06:40:00``; without a limit where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return float("inf")


def _user(number: str) -> str:
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (ValueError, KeyError):
        return number
