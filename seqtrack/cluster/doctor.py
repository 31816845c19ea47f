"""What this machine does, and what that means for a run: the findings of ``seqtrack doctor``.

A check looks (effects, each with a time limit and none that stays), and a ``judge_`` function turns what it saw
into findings (pure). Here are the machine and its GPUs; ``doctor_disks`` and ``doctor_slurm`` have the rest.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seqtrack.config import ExecutionConfig
from seqtrack.data.processes import usable_cores
from seqtrack.errors import UserError
from seqtrack.pipeline.gpus import visible_gpus
from seqtrack.runs import environment
from seqtrack.schema import counted

OK, NOTE, WARN, BAD = "ok", "note", "warn", "bad"

DEPENDENCIES = (
    "torch", "torchvision", "numpy", "simplejpeg", "pillow", "h5py", "filelock", "safetensors", "tensorboard",
    "pyyaml", "psutil", "rich", "submitit", "pandas", "matplotlib", "gitpython",
)  # fmt: skip
OPENCV = ("opencv-python-headless", "opencv-python")  # either will do

COMMAND_SECONDS = 15.0  # a client of a dead SLURM controller gives up after ten
TORCH_SECONDS = 40.0  # importing it from a cold network disk

FEW_FILES = 1024  # loader workers hand each tensor over in an open file


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        sign: ``ok``; ``note``: good to know; ``warn``: costs time or safety; ``bad``: seqtrack does not work so.
        about: what was looked at.
        found: what is there.
        means: what that means for a person, and what to do.
    """

    sign: str
    about: str
    found: str
    means: str


@dataclass(frozen=True)
class Check:
    """Looks at one thing, in ``seconds`` at most; ``title`` heads its findings."""

    title: str
    look: Callable[[], list[Finding]]
    seconds: float = 20.0


@dataclass
class Section:
    title: str
    findings: list[Finding] = field(default_factory=list)


def examine(checks: Sequence[Check]) -> list[Section]:
    """All checks at once, in their order; one that hangs (a dead file server) is given up."""
    sections = [Section(check.title) for check in checks]
    started = time.monotonic()
    threads = [
        # A daemon: a thread that hangs in the kernel must not keep the interpreter from ending.
        threading.Thread(target=_fill, args=(section, check), daemon=True)
        for section, check in zip(sections, checks, strict=True)
    ]
    for thread in threads:
        thread.start()
    for k, (check, thread) in enumerate(zip(checks, threads, strict=True)):
        thread.join(max(0.0, started + check.seconds - time.monotonic()))
        if thread.is_alive():
            hung = Finding(BAD, "no answer", f"within {check.seconds:g} s", "is a file server down? Try again later")
            sections[k] = Section(check.title, [hung])
    return sections


def is_usable(sections: Sequence[Section]) -> bool:
    return all(finding.sign != BAD for section in sections for finding in section.findings)


def verdict(sections: Sequence[Section]) -> str:
    """The last line."""
    signs = [finding.sign for section in sections for finding in section.findings]
    obstacles = counted(signs.count(BAD), "obstacle") if BAD in signs else "no obstacle"
    return f"{obstacles}, {counted(signs.count(WARN), 'warning')}" if WARN in signs else obstacles


def _fill(section: Section, check: Check) -> None:
    try:
        section.findings = check.look()
    except (UserError, OSError) as error:
        section.findings = [Finding(BAD, "failed", str(error), "the rest of this section is not known")]


@dataclass(frozen=True)
class Answer:
    """Of an external command. ``problem`` is empty if it succeeded."""

    out: str
    problem: str = ""
    seconds: float = 0.0


def ask(command: Sequence[str], seconds: float = COMMAND_SECONDS) -> Answer:
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Answer("", f"no answer within {seconds:g} s", seconds)
    except OSError as error:
        return Answer("", f"cannot run {command[0]} ({error.strerror})")
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    # The last line of an error is the most telling one, of Python and of SLURM alike.
    problem = (lines[-1] if lines else f"exit code {done.returncode}") if done.returncode else ""
    return Answer(done.stdout, problem, time.monotonic() - started)


def checks() -> list[Check]:
    return [Check("This machine", _machine), Check("GPU", _gpus, COMMAND_SECONDS + TORCH_SECONDS + 5)]


def _machine() -> list[Finding]:
    import psutil

    soft, hard = map(_limit, resource.getrlimit(resource.RLIMIT_NOFILE))
    seconds = _limit(resource.getrlimit(resource.RLIMIT_CPU)[0])
    usable = usable_cores()
    return [
        judge_packages(sys.version.split()[0], environment.packages(*DEPENDENCIES, *OPENCV)),
        judge_processor(usable, os.cpu_count() or usable, psutil.virtual_memory().total),
        *judge_processor_time(seconds),
        judge_open_files(soft, hard),
    ]


def _limit(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def judge_packages(python: str, versions: Mapping[str, str]) -> Finding:
    missing = [name for name in DEPENDENCIES if name not in versions]
    if not any(name in versions for name in OPENCV):
        missing.append(OPENCV[0])
    shown = [f"{name} {versions[name]}" for name in ("torch", "torchvision") if name in versions]
    found = ", ".join([python, *shown])
    if missing:
        means = f"missing: {', '.join(missing)}; install seqtrack into this Python with pip"
        return Finding(BAD, "Python", found, means)
    return Finding(OK, "Python", found, "every package that seqtrack needs is installed")


def judge_processor(usable: int, cores: int, memory: int) -> Finding:
    """``usable`` of the ``cores`` are given to this process; ``memory`` in bytes."""
    threads = ExecutionConfig.cpu_threads
    count = f"{usable} of {cores} cores" if usable < cores else counted(cores, "core")
    found = f"{count}, {size(memory)} of memory"
    if usable < threads:
        means = f"a trial computes with {threads} threads (--cpu_threads), which is slow on fewer cores"
        return Finding(NOTE, "processor", found, means)
    return Finding(OK, "processor", found, f"without a GPU, {counted(usable // threads, 'trial')} at a time")


def judge_processor_time(seconds: int | None) -> list[Finding]:
    """None is no limit."""
    if seconds is None:
        return []
    found = f"{seconds / 60:.0f} min for each process"
    return [Finding(WARN, "processor time", found, "trials are killed here, as on some login nodes: use --slurm")]


def judge_open_files(soft: int | None, hard: int | None) -> Finding:
    """None is no limit."""
    most = "without limit" if hard is None else f"{hard:,}"
    found = most if soft == hard else f"{soft:,}, at most {most}"
    if hard is not None and hard < FEW_FILES:
        return Finding(WARN, "open files", found, "loaders may run out: keep --num_workers=0, or ask for more")
    means = "enough for loaders" if soft == hard else "a trial raises its limit by itself"
    return Finding(OK, "open files", found, means)


# Tried in a process of its own: importing torch takes seconds, and a driver can hang.
TORCH_SCRIPT = """
import json, torch
said = {"version": torch.__version__, "cuda": torch.version.cuda, "count": torch.cuda.device_count(), "error": ""}
if said["count"]:
    try:
        torch.ones(8, device="cuda").sum().item()
    except Exception as error:
        said["error"] = str(error).strip().splitlines()[0]
print(json.dumps(said))
"""


def _gpus() -> list[Finding]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    answer = ask(query)
    found = [judge_driver(answer, os.environ.get("CUDA_VISIBLE_DEVICES"))]
    if answer.problem or not answer.out.strip() or not visible_gpus():
        return found
    return [*found, judge_torch(ask([sys.executable, "-c", TORCH_SCRIPT], TORCH_SECONDS))]


def judge_driver(answer: Answer, visible: str | None) -> Finding:
    """``visible`` is CUDA_VISIBLE_DEVICES."""
    without = "trials use the CPU here; nodes may have GPUs"
    if answer.problem.startswith("cannot run"):
        return Finding(NOTE, "driver", "none (no nvidia-smi)", without)
    if answer.problem:
        return Finding(WARN, "driver", answer.problem, "trials use the CPU here until nvidia-smi works")
    rows = [[word.strip() for word in line.split(",")] for line in answer.out.splitlines() if line.count(",") == 2]
    if not rows:
        return Finding(NOTE, "driver", "no GPU", without)
    kinds = [f"{name} ({int(memory) / 1024:.0f} GiB)" if memory.isdigit() else name for name, memory, _ in rows]
    names = ", ".join(f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds))
    found = f"{names}, driver {rows[0][2]}"
    if visible is None:
        means = f"{counted(len(rows), 'trial')} at a time, " + ("on it" if len(rows) == 1 else "a GPU for each")
        return Finding(OK, "driver", found, means)
    if visible.strip(" ,") in ("", "-1"):
        return Finding(NOTE, "driver", found, "hidden by an empty CUDA_VISIBLE_DEVICES: trials use the CPU")
    return Finding(OK, "driver", found, f"of these, trials use CUDA_VISIBLE_DEVICES={visible}")


def judge_torch(answer: Answer) -> Finding:
    """Where there is a GPU: whether torch computes on it."""
    if answer.problem:
        return Finding(WARN, "torch", answer.problem, "see what python -c 'import torch' says, and how long it takes")
    said = json.loads(answer.out.splitlines()[-1])
    if said["cuda"] is None:
        means = "the GPU stays idle: install the build of torch for CUDA"
        return Finding(WARN, "torch", f"{said['version']}, built for the CPU only", means)
    found = f"{said['version']}, built for CUDA {said['cuda']}"
    if not said["count"]:
        means = "the driver may be too old for that CUDA: install an older build of torch, or update the driver"
        return Finding(WARN, "torch", f"{found}, sees no GPU", means)
    if said["error"]:
        return Finding(WARN, "torch", said["error"], f"trials would fail on this GPU with torch {found}")
    return Finding(OK, "torch", found, "computes on the GPU")


def size(count: float) -> str:
    """Bytes for a reader."""
    if count < 1e9:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:,.1f} GB" if count < 1e10 else f"{count / 1e9:,.0f} GB"
