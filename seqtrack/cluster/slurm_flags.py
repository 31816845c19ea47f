"""What a person may say in ``--slurm_flags key=value …``: sbatch's own options, but for those that seqtrack sets.

Names are checked here, because a misspelt one should be a mistake at once and not after the data have been
prepared. Values are the site's business: how GPUs, memory or partitions are spelled is passed through as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from seqtrack.errors import UserError
from seqtrack.schema import nearest

# The long options of sbatch in SLURM 22.05 to 26.05 with their letters, from src/common/slurm_opt.c of each: the
# manual leaves some out. get-user-env took a value until 24.11, and requeue does since 25.11.
_TABLE = {
    "required": """
        account:A acctg-freq array:a autocomplete batch bb bbf begin:b chdir:D cluster cluster-constraint clusters:M
        comment constraint:C container container-id container-type context core-spec:S cores-per-socket cpu-freq
        cpus-per-gpu cpus-per-task:c deadline delay-boot dependency:d distribution:m error:e exclude:x export
        export-file extra extra-node-info:B gid gpu-bind gpu-freq gpus:G gpus-per-node gpus-per-socket gpus-per-task
        gres gres-flags hint input:i job-name:J kill-on-invalid-dep licenses:L mail-type mail-user mcs-label mem
        mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile:F nodelist:w nodes:N ntasks:n
        ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output:o
        partition:p power prefer priority profile qos:q reservation resources segment signal sockets-per-node
        switches tasks-per-node thread-spec threads-per-core time:t time-min tmp tres-bind tres-per-task uid
        wait-all-nodes wckey wrap""",
    "optional": "exclusive get-user-env nice no-kill:k oom-kill-step propagate requeue resv-ports",
    "none": """
        consolidate-segments contiguous external help:h hold:H ignore-pbs no-requeue overcommit:O oversubscribe:s
        parsable quiet:Q reboot spread-job spread-segments stepmgr test-only usage use-min-nodes verbose:v version:V
        wait:W""",
}
_WORDS = [(entry.partition(":"), value) for value, text in _TABLE.items() for entry in text.split()]
# Whether each takes a value: required, optional or none.
OPTIONS = {name: value for (name, _, _), value in sorted(_WORDS)}
_LETTERS = {letter: name for (name, _, letter), _ in _WORDS if letter}

_LOGS = "each task has a log of its own in the folder of its run"
_ANSWER = "it reads what sbatch answers"
_ASK = "run sbatch itself for that"
_REQUEUE = "every job is requeued, for that is how time limits and preemption are survived"
_ONE_CLUSTER = "it follows jobs where your client commands look; set SLURM_CLUSTERS=NAME in your environment instead"
_OURS = {
    "array": "one task for each seed; use --num_trials, --first_seed and --slurm_throttle",
    "dependency": "assessment waits for training, the summary for both; use begin=TIME to start later",
    "kill-on-invalid-dep": "always yes, or what follows a failed job would wait for ever",
    "job-name": "it says run and stage; use --name to name the run",
    "output": _LOGS,
    "error": _LOGS,
    "input": "a trial reads nothing from standard input",
    "open-mode": "always append, so that a requeued task keeps its log",
    "chdir": "jobs work in the folder where the command is given; give it in another",
    "wrap": "it writes the script; use --slurm_setup for lines that run first",
    "wait": "the command follows its jobs until they end, unless --detach is given",
    "parsable": _ANSWER,
    "quiet": _ANSWER,
    "verbose": _ANSWER,
    "test-only": "use --dry_run",
    "help": _ASK,
    "usage": _ASK,
    "version": _ASK,
    "autocomplete": _ASK,
    "requeue": _REQUEUE,
    "no-requeue": _REQUEUE,
    "external": "such a job runs no script",
    "clusters": _ONE_CLUSTER,
    "cluster": _ONE_CLUSTER,
}
_ONE_PROCESS = "1, because a trial is one process (cpus-per-task=N gives it more cores)"
_TIME_FORMS = (
    "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds"
    " or UNLIMITED"
)
_TIME = re.compile(r"(?:([0-9]+)-)?([0-9]+)(?::([0-9]+))?(?::([0-9]+))?")
_SIGNAL = re.compile(r"(?:B:)?USR2@([0-9]+)")
_SIGNAL_RANGE = range(10, 65536)  # seconds: SLURM counts them in 16 bits
_DEFAULT_SIGNAL = 120  # seconds
_COMMENT_BYTES = 120  # SLURM takes 1024 bytes, of which seqtrack's own comment has up to 900


def parse(
    flag: str, words: Sequence[str], site_options: Callable[[], Collection[str]] = lambda: ()
) -> dict[str, str | None]:
    """sbatch's options by their long names, in the order given; of an option given twice, the later.

    Args:
        flag: how a message names it, e.g. ``--slurm_flags``.
        words: ``cpus-per-task=4``, ``cpus_per_task=4``, ``--cpus-per-task=4`` and ``c=4`` are the same.
        site_options: names of the options that plugins of this site add; called only when a name is unknown,
            because finding out takes a process. See ``options_in_help``.

    Returns:
        The value of each option; None for one given without. ``signal`` comes as ``B:USR2@SECONDS``.

    Raises:
        UserError: naming the flag, the word and what was expected.
    """
    flags: dict[str, str | None] = {}
    for word in words:
        try:
            name, value = _read(word, site_options)
        except ValueError as error:
            raise UserError(f"{flag}: {word!r}: {error}") from None
        flags.pop(name, None)  # the later one stands where it was said, as on a command line
        flags[name] = value
    limit = time_limit_seconds(flags)
    if "signal" in flags and limit is not None and signal_seconds(flags) >= limit:
        raise UserError(f"{flag}: 'signal={flags['signal']}': expected less than the time limit of {limit} seconds")
    return flags


def options_in_help(text: str) -> set[str]:
    """The long options that ``sbatch --help`` lists, those of the site's plugins included, without dashes."""
    # Explanations stand further to the right, and may begin with the name of another option.
    return set(re.findall(r"^ {0,10}(?:-\w,? +)?--(\w[\w-]*)", text, re.MULTILINE))


def time_limit_seconds(flags: Mapping[str, str | None]) -> int | None:
    """The time limit, which SLURM rounds up to whole minutes; None if there is none, or it is the partition's."""
    time = flags.get("time")
    return None if time is None else _read_time(time)


def signal_seconds(flags: Mapping[str, str | None]) -> int:
    """How long before its time limit the trainer is told, to save its state: what ``signal`` says.

    Without it 120 seconds, but at most a quarter of the limit, lest a short job spend most of its time leaving.
    A limit is 60 seconds or more, so this is 15 or more. SLURM itself may send the signal up to 60 seconds early.
    """
    told = _SIGNAL.fullmatch(flags.get("signal") or "")
    if told:
        return int(told[1])
    limit = time_limit_seconds(flags)
    return _DEFAULT_SIGNAL if limit is None else min(_DEFAULT_SIGNAL, limit // 4)


def _read(word: str, site_options: Callable[[], Collection[str]]) -> tuple[str, str | None]:
    """Name and value; ValueError says what was expected."""
    key, equals, value = word.partition("=")
    key = key.strip().lstrip("-")
    if not key:
        raise ValueError("expected key=value, such as partition=NAME")
    name = _LETTERS.get(key, key.replace("_", "-"))
    takes = OPTIONS.get(name)
    if takes is None:
        theirs = {option.replace("_", "-"): option for option in site_options()}
        if name not in theirs:
            raise ValueError(f"sbatch has no option {name!r}; {nearest(name, [*OPTIONS, *theirs])}")
        name, takes = theirs[name], "optional"
    if name in _OURS:
        raise ValueError(f"seqtrack sets {name} itself: {_OURS[name]}")
    form = {"required": f"{name}=VALUE", "optional": f"{name} or {name}=VALUE", "none": f"{name} alone"}[takes]
    if (equals and takes == "none") or (equals and not value) or (not equals and takes == "required"):
        raise ValueError(f"expected {form}")
    if not value.isprintable():
        raise ValueError(f"expected {form}, on one line and without control characters")
    return name, _checked(name, value) if equals else None


def _checked(name: str, value: str) -> str:
    """The value as sbatch gets it; ValueError says what was expected."""
    if (name == "ntasks" and value != "1") or (name == "nodes" and value not in ("1", "1-1")):
        raise ValueError(f"expected {_ONE_PROCESS}")
    if name == "time":
        _read_time(value)
    if name == "signal":
        told = _SIGNAL.fullmatch(value)
        if not told or int(told[1]) not in _SIGNAL_RANGE:
            low, high = _SIGNAL_RANGE[0], _SIGNAL_RANGE[-1]
            raise ValueError(f"expected B:USR2@SECONDS with {low} to {high} seconds, which is what the trainer hears")
        return f"B:USR2@{int(told[1])}"
    if name == "comment" and len(value.encode()) > _COMMENT_BYTES:
        raise ValueError(f"expected at most {_COMMENT_BYTES} bytes, because seqtrack adds its own comment")
    if name == "exclude" and "/" in value:
        raise ValueError(
            "expected names of nodes, not a file of them, because --slurm_exclude_failed_nodes adds to them"
        )
    return value


def _read_time(text: str) -> int | None:
    """Seconds, in whole minutes; None for unlimited. ValueError if sbatch would refuse it."""
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {_TIME_FORMS}")
    days, *rest = match.groups()
    numbers = [int(number) for number in rest if number is not None]
    if days is None and len(numbers) < 3:
        numbers.insert(0, 0)  # without days, one or two numbers begin with minutes
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    total = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    return -(-total // 60) * 60 or None  # sbatch takes 0 for unlimited
