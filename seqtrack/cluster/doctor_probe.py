"""A tiny job that looks at the node that it is given: what a login node cannot know.

The job runs the same checks there, and tries a lock that is held here. It has a minute; whatever comes of it, it is
cancelled and its files are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqtrack.cluster import doctor, doctor_disks, slurm_queue
from seqtrack.cluster.doctor import NOTE, OK, WARN, Finding, Section, ask
from seqtrack.cluster.sbatch import BatchScript
from seqtrack.data.storage.node_local import SUBMIT_TMPDIR, remove_tree
from seqtrack.runs import atomic

WAIT_SECONDS = 60.0
QUEUE_SECONDS = 2.0  # between two looks into the queue
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # for a report to appear after its job has ended


def probe(
    flags: Mapping[str, str | None], cache_dir: Path, tmp_data_dir: str | None, here: Sequence[Section]
) -> Section:
    """What a job with these flags finds on its node, as far as it is not as it is here."""
    section = Section("Compute node")
    folder = doctor_disks.nearest(cache_dir)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f"{atomic.TEMPORARY_PREFIX}doctor-", dir=folder))
    except OSError as error:
        section.findings = [Finding(WARN, "probe", f"{folder}: {error.strerror}", "give another --cache_dir")]
        return section
    try:
        with _lock(scratch / "lock"):
            report = _run(flags, scratch, cache_dir, tmp_data_dir)
    finally:
        remove_tree(scratch)
    if isinstance(report, Finding):
        section.findings = [report]
        return section
    section.title = f"Compute node {report['node']}, where it differs from here"
    known = [finding for other in here for finding in other.findings]
    found = [Finding(**finding) for finding in report["findings"]]
    section.findings = [
        judge_lock(report["lock"], report["node"]),
        judge_tmp(report["tmp"]),
        *(finding for finding in found if finding not in known),
    ]
    return section


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        with contextlib.suppress(OSError):  # the cache folder's own findings say so
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _run(
    flags: Mapping[str, str | None], scratch: Path, cache_dir: Path, tmp_data_dir: str | None
) -> dict[str, Any] | Finding:
    """The job's report, or why there is none."""
    command = [sys.executable, "-m", "seqtrack.tools.doctor", f"--report_to={scratch}", f"--cache_dir={cache_dir}"]
    command += [f"--tmp_data_dir={tmp_data_dir}"] if tmp_data_dir else []
    log = scratch / "log"
    name = f"seqtrack-doctor-{scratch.name.rpartition('-')[2]}"
    script = BatchScript(
        name=name,
        comment="seqtrack doctor --probe",
        flags={"time": "2", **flags},
        command=tuple(command),
        folder=Path.cwd(),
        output=str(log).replace("%", "%%"),
        environment={SUBMIT_TMPDIR: os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {},
    )
    (scratch / "job.sh").write_text(script.text())
    # A job that submits must not pass on what it was given itself.
    hidden = [word for name in slurm_queue.inherited_variables() for word in ("-u", name)]
    try:
        answer = ask(["env", *hidden, "sbatch", "--parsable", str(scratch / "job.sh")])
        if answer.problem:
            said = answer.problem.removeprefix("sbatch: error: ")
            return Finding(WARN, "probe", said, "SLURM refuses such a job: mend --slurm_flags")
        job_id = answer.out.strip().partition(";")[0]  # the name of the cluster may follow
        return _wait(job_id, scratch / "report.json", log)
    finally:
        # By its name: Ctrl-C, or a slow answer, may come when SLURM has the job and has not said its number.
        ask(["scancel", f"--name={name}"])


def _wait(job_id: str, report: Path, log: Path) -> dict[str, Any] | Finding:
    now = time.monotonic()
    deadline, next_look, state = now + WAIT_SECONDS, now + QUEUE_SECONDS, "PENDING"
    while time.monotonic() < deadline:
        any(report.parent.iterdir())  # NFS is likelier to show a new file to who lists its folder
        if report.exists():
            found: dict[str, Any] = json.loads(report.read_bytes())
            return found
        if state and time.monotonic() > next_look:
            tasks = slurm_queue.queue()
            state = next((f"{task.state}: {task.reason}" for task in tasks or () if task.job_id == job_id), "")
            next_look = time.monotonic() + QUEUE_SECONDS
            if tasks is not None and not state:
                deadline = min(deadline, time.monotonic() + PATIENCE_SECONDS)
        time.sleep(POLL_SECONDS)
    if state:
        return Finding(NOTE, "probe", f"no report in {WAIT_SECONDS:.0f} s ({state})", "try again when there is room")
    return judge_failure(log.read_text(errors="replace") if log.exists() else "")


def judge_failure(log: str) -> Finding:
    """The job ended and left no report."""
    said = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
    if not said:
        means = "the jobs of a run would not find it either: give a --cache_dir that all nodes see"
        return Finding(WARN, "probe", "the node wrote nothing to the cache folder", means)
    return Finding(WARN, "probe", said, "the job failed, as those of a run would: this Python must be on all nodes")


def report(scratch: Path, cache_dir: Path, tmp_data_dir: str | None) -> None:
    """Inside the job: writes down what is to be found on this node."""
    sections = doctor.examine([*doctor.checks(), *doctor_disks.checks(cache_dir, tmp_data_dir, has_slurm=True)])
    content = {
        "node": os.environ.get("SLURMD_NODENAME", "?"),
        "lock": _try(scratch / "lock"),
        "tmp": whose_tmp(_mount_table(), os.environ.get("SLURM_JOB_ID", "?")),
        "findings": [asdict(finding) for section in sections for finding in section.findings],
    }
    atomic.write_json(scratch / "report.json", content)


def _try(path: Path) -> str:
    """Whether the lock that the submitting host holds keeps this process out: ``taken``, ``free`` or an error."""
    try:
        with path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "taken"
    except OSError as error:
        return f"fails ({error.strerror})"
    return "free"


def _mount_table() -> str:
    table = Path("/proc/self/mountinfo")
    return table.read_text() if table.exists() else ""


def whose_tmp(table: str, job_id: str) -> str:
    """``job`` if /tmp is a folder made for this job (its path has the job's id), ``node`` otherwise.

    ``table`` is /proc/self/mountinfo, whose fourth and fifth words are the folder and where it is mounted.
    """
    mounts = [line.split()[3:5] for line in table.splitlines()]
    folders = [folder for folder, point in mounts if point == "/tmp"]
    named = folders and job_id in folders[-1].replace(".", "/").replace("_", "/").replace("-", "/").split("/")
    return "job" if named else "node"


def judge_lock(said: str, node: str) -> Finding:
    if said == "taken":
        found = f"held here, they keep {node} out"
        return Finding(OK, "shared locks", found, "one job builds an index, the others wait for it")
    found = f"held here, they do not keep {node} out" if said == "free" else said
    return Finding(NOTE, "shared locks", found, "no harm: at worst an index is built twice, to the same bytes")


def judge_tmp(whose: str) -> Finding:
    if whose == "job":
        means = "--untar unpacks anew in each job, unless --tmp_data_dir names a disk that stays"
        return Finding(NOTE, "/tmp", "private to the job", means)
    return Finding(OK, "/tmp", "not made for the job alone", "jobs of one node share what is unpacked")
