"""What the file systems do that a run relies on: the cache folder and the node-local disk, tried rather than read up.

Everything is tried in a hidden folder that is removed again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from seqtrack.cluster.doctor import BAD, NOTE, OK, WARN, Check, Finding, ask, size
from seqtrack.data.storage.node_local import NETWORK_FILE_SYSTEMS, SUBMIT_TMPDIR, node_local_root, remove_tree
from seqtrack.runs import atomic
from seqtrack.runs.attempts import STALE_SECONDS

CLAIMS = 8  # at once
LITTLE_SPACE = 10 * 10**9  # less than one benchmark unpacked
NO_SPACE = 10**9  # a few checkpoints
LITTLE_SHARED_MEMORY = 10**9
CLOCK_TOLERANCE_SECONDS = 2.0  # some file systems count in whole seconds
MARGIN_SECONDS = 30.0  # for a heartbeat to be written late and be seen later


@dataclass(frozen=True)
class FolderFacts:
    """What a folder's file system does.

    Attributes:
        kind: as the mount table calls it.
        free: bytes.
        winners: how many of ``CLAIMS`` claims of one name at once succeeded; None if the file system has no links.
        replaces: whether a rename replaces an older file.
        lock: empty if a lock keeps another process of this machine out; else what is wrong.
        clock: seconds by which the time of a new file is ahead of this machine's.
    """

    kind: str
    free: int
    winners: int | None = 1
    replaces: bool = True
    lock: str = ""
    clock: float = 0.0


def checks(cache_dir: Path, tmp_data_dir: str | None, has_slurm: bool) -> list[Check]:
    return [
        Check(f"Cache folder: {cache_dir}", lambda: _cache_folder(cache_dir, has_slurm)),
        Check("Node-local disk, for --untar", lambda: _node_local_disk(tmp_data_dir)),
    ]


def _cache_folder(cache_dir: Path, has_slurm: bool) -> list[Finding]:
    folder = nearest(cache_dir)
    try:
        return judge_cache(look_at(folder), has_slurm)
    except OSError as error:
        return [Finding(BAD, "writing", f"{folder}: {error.strerror}", "give a folder of yours with --cache_dir")]


def nearest(path: Path) -> Path:
    """The path itself, or as much of it as is there already."""
    path = path.expanduser().absolute()
    return next(part for part in (path, *path.parents) if part.exists())


def look_at(folder: Path) -> FolderFacts:
    """Tries everything. OSError if files cannot even be written."""
    with _scratch(folder) as scratch:
        status = os.statvfs(folder)
        return FolderFacts(
            kind=file_system(folder.resolve(), _mounts()),
            free=status.f_bavail * status.f_frsize,
            winners=_winners(scratch / "claimed"),
            replaces=_replaces(scratch / "replaced"),
            lock=try_lock(scratch / "lock"),
            clock=_clock_difference(scratch / "clock"),
        )


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    scratch = Path(tempfile.mkdtemp(prefix=f"{atomic.TEMPORARY_PREFIX}doctor-", dir=folder))
    try:
        yield scratch
    finally:
        remove_tree(scratch)


def _winners(path: Path) -> int | None:
    start = threading.Barrier(CLAIMS)

    def claim(number: int) -> bool:
        start.wait()
        return atomic.create_exclusively(path, b"%d" % number)  # as a trial is claimed

    try:
        with ThreadPoolExecutor(CLAIMS) as pool:
            return sum(pool.map(claim, range(CLAIMS)))
    except OSError:
        return None


def _replaces(path: Path) -> bool:
    with contextlib.suppress(OSError):
        for content in (b"old", b"new"):
            atomic.write_bytes(path, content)
    return path.read_bytes() == b"new"


_TRY_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "rb+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("free")
except OSError:
    print("taken")
"""


def try_lock(path: Path) -> str:
    """Empty if a lock held here keeps another process of this machine out; else what is wrong."""
    path.touch()
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"fail ({error.strerror})"
        # Not in this process: on NFS flock is made of record locks, and those of one process never conflict.
        said = ask([sys.executable, "-S", "-c", _TRY_LOCK, str(path)])
    if said.problem:
        return f"could not be tried ({said.problem})"
    return "" if said.out.strip() == "taken" else "keep nobody out"


def _clock_difference(path: Path) -> float:
    before = time.time()
    path.touch()  # with the server's time on NFS, this machine's elsewhere
    after = time.time()
    stamp = path.stat().st_mtime
    return max(0.0, stamp - after) + min(0.0, stamp - before)


def _mounts() -> list[tuple[str, str]]:
    import psutil

    return [(disk.mountpoint, disk.fstype) for disk in psutil.disk_partitions(all=True)]


def file_system(folder: Path, mounts: Sequence[tuple[str, str]]) -> str:
    """The kind of file system that a resolved folder lies on.

    ``mounts`` are (mount point, kind) in the order in which they were mounted: the later hides the earlier.
    """
    kind, depth = "unknown file system", 0
    for point, name in mounts:
        mount = Path(point)
        if (mount == folder or mount in folder.parents) and len(mount.parts) >= depth:
            kind, depth = name, len(mount.parts)
    return kind


def judge_cache(facts: FolderFacts, has_slurm: bool) -> list[Finding]:
    return [_judge_disk(facts, has_slurm), _judge_claims(facts), _judge_locks(facts), _judge_clock(facts)]


def _judge_disk(facts: FolderFacts, has_slurm: bool) -> Finding:
    found = f"{facts.kind}, {size(facts.free)} free"
    if facts.free < NO_SPACE:
        return Finding(WARN, "disk", found, "checkpoints will fill it: make room, or give another --cache_dir")
    if facts.kind.lower() in NETWORK_FILE_SYSTEMS:
        return Finding(OK, "disk", found, "shared, as the jobs of several nodes need it")
    if has_slurm:
        return Finding(NOTE, "disk", found, "of this machine: jobs need one that all nodes see")
    return Finding(OK, "disk", found, "room for checkpoints")


def _judge_claims(facts: FolderFacts) -> Finding:
    if facts.winners is None:
        return Finding(BAD, "claims", "no hard links", "trials cannot be claimed: give a --cache_dir on another disk")
    if facts.winners != 1:
        means = "two processes could train one trial: give a --cache_dir on another disk"
        return Finding(BAD, "claims", f"{facts.winners} of {CLAIMS} at once succeed", means)
    if not facts.replaces:
        means = "results cannot be brought up to date: give a --cache_dir on another disk"
        return Finding(BAD, "claims", "renames replace nothing", means)
    found = f"only 1 of {CLAIMS} at once succeeds, renames replace"
    return Finding(OK, "claims", found, "no trial is trained twice, no file is seen half-written")


def _judge_locks(facts: FolderFacts) -> Finding:
    if facts.lock:
        return Finding(NOTE, "locks", facts.lock, "no harm: at worst an index is built twice, to the same bytes")
    return Finding(OK, "locks", "keep other processes here out", "one job builds an index, the others wait for it")


def _judge_clock(facts: FolderFacts) -> Finding:
    apart = abs(facts.clock)
    if apart <= CLOCK_TOLERANCE_SECONDS:
        return Finding(OK, "clock", "agrees with this machine's", "heartbeats tell who is alive on other machines")
    found = f"{apart:.0f} s {'ahead of' if facts.clock > 0 else 'behind'} this machine's"
    if facts.clock < MARGIN_SECONDS - STALE_SECONDS:
        return Finding(BAD, "clock", found, "live trials of other machines look dead: have it set (NTP)")
    if apart >= MARGIN_SECONDS:
        return Finding(WARN, "clock", found, "dead trials are noticed too late or too early: have it set (NTP)")
    return Finding(NOTE, "clock", found, f"tolerated: a silent trial counts as dead after {STALE_SECONDS:.0f} s")


def _node_local_disk(tmp_data_dir: str | None) -> list[Finding]:
    places = [os.environ.get("SLURM_TMPDIR"), os.environ.get("TMPDIR"), "/tmp"]
    there_before = [root for place in places if place and (root := Path(place, f"seqtrack-{os.getuid()}")).exists()]
    root = node_local_root(tmp_data_dir, os.environ)
    folder = nearest(root)
    found = [Finding(OK, "folder", str(root), why_there(root, tmp_data_dir, os.environ))]
    try:
        found.append(judge_node_local(look_at(folder)))
    except OSError as error:
        means = "give a folder of yours with --tmp_data_dir"
        found.append(Finding(BAD, "writing", f"{folder}: {error.strerror}", means))
    if tmp_data_dir is None and root not in there_before:
        with contextlib.suppress(OSError):
            root.rmdir()  # node_local_root made it
    memory = Path("/dev/shm")
    if memory.is_dir():
        status = os.statvfs(memory)
        found.append(judge_shared_memory(status.f_blocks * status.f_frsize))
    return found


def why_there(root: Path, tmp_data_dir: str | None, environ: Mapping[str, str]) -> str:
    """Why ``node_local_root`` chose this folder."""
    if tmp_data_dir is not None:
        return "from --tmp_data_dir"
    own, in_job = environ.get("TMPDIR"), "SLURM_JOB_ID" in environ
    if (slurm := environ.get("SLURM_TMPDIR")) and root.parent == Path(slurm):
        return "from SLURM_TMPDIR; or --tmp_data_dir"
    if not own:
        return "SLURM_TMPDIR and TMPDIR are unset; or --tmp_data_dir"
    if root.parent == Path(own):
        # sbatch hands the variable on, whether the folder is there or on a disk that all nodes share.
        return "from TMPDIR; or --tmp_data_dir" if in_job else "from TMPDIR, which jobs do not take over from here"
    if in_job and own == environ.get(SUBMIT_TMPDIR):
        return f"TMPDIR={own} is passed over: it comes from the submitting host"
    return f"TMPDIR={own} is passed over: missing, or on a network disk"


def judge_node_local(facts: FolderFacts) -> Finding:
    found = f"{facts.kind}, {size(facts.free)} free"
    if facts.lock:
        means = "trials could not share a copy: give a --tmp_data_dir on another disk"
        return Finding(BAD, "disk", f"{found}, locks {facts.lock}", means)
    if facts.kind.lower() in NETWORK_FILE_SYSTEMS:
        means = "a network disk: a copy there gains nothing; give a local --tmp_data_dir"
        return Finding(WARN, "disk", found, means)
    if facts.kind == "tmpfs":
        return Finding(NOTE, "disk", found, "in memory: copies count against what a job may use")
    if facts.free < LITTLE_SPACE:
        return Finding(WARN, "disk", found, "little for video: give another --tmp_data_dir")
    return Finding(OK, "disk", found, "unused copies make room for new ones")


def judge_shared_memory(total: int) -> Finding:
    if total < LITTLE_SHARED_MEMORY:
        means = "loaders pass batches through it: keep --num_workers=0, or have it enlarged"
        return Finding(WARN, "/dev/shm", size(total), means)
    return Finding(OK, "/dev/shm", size(total), "enough for loaders")
