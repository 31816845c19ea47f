"""Which folder of this node copies of tars go to, and what is needed to handle folders there."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from seqtrack.errors import UserError

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "fuse.ceph", "glusterfs",
        "fuse.glusterfs", "panfs", "pvfs2", "orangefs", "afs", "wekafs", "fuse.sshfs", "9p", "afpfs", "webdav",
    }
)  # fmt: skip
SHARED_MEMORY = Path("/dev/shm")
"""Linux's memory file system; elsewhere there is none, and what would go there goes to the disk."""
SUBMIT_TMPDIR = "SEQTRACK_SUBMIT_TMPDIR"
"""Set at submission to the submitting host's TMPDIR: a job that sees the same value has merely inherited it."""


def node_local_root(tmp_data_dir: str | None, environ: Mapping[str, str]) -> Path:
    """The folder below which copies lie as ``{preproc}/{dataset}/``.

    ``--tmp_data_dir`` (with ``{user}`` and ``{job_id}`` expanded) is that folder itself, so that
    ``--data_dir`` with the same value finds the copies. Without it: ``$SLURM_TMPDIR``; ``$TMPDIR`` if it is
    there, on a local file system and not inherited from the submitting host; ``/tmp``; and in these one
    folder per user, of mode 0700.

    Raises:
        UserError: an unknown ``{…}``, or a folder of ours that belongs to somebody else.
    """
    if tmp_data_dir is not None:
        return Path(_expand(tmp_data_dir, environ)).expanduser()
    return ensure_own_folder(_shared_root(environ) / f"seqtrack-{os.getuid()}")


def shared_memory_root() -> Path | None:
    """Our own folder in this node's shared memory, below which copies lie as in ``node_local_root``; None: no such
    memory here. UserError if the folder belongs to somebody else."""
    if not (SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)):
        return None
    return ensure_own_folder(SHARED_MEMORY / f"seqtrack-{os.getuid()}")


def free_bytes(folder: Path) -> int:
    """What can still be written there. A memory file system's own limit is often half of the memory, taken or not."""
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if SHARED_MEMORY in folder.parents:
        import psutil  # costs 15 ms that --help and --dry_run need not pay

        return min(free, int(psutil.virtual_memory().available))
    return free


def _expand(text: str, environ: Mapping[str, str]) -> str:
    values = {"user": environ.get("USER") or _user_name(), "job_id": environ.get("SLURM_JOB_ID", "local")}

    def value(found: re.Match[str]) -> str:
        if found.group(1) not in values:
            raise UserError(f"--tmp_data_dir: {found.group(0)} is not known; expected {{user}} or {{job_id}}")
        return values[found.group(1)]

    return re.sub(r"\{(.*?)\}", value, text)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without an account, as containers have
        return str(os.getuid())


def _shared_root(environ: Mapping[str, str]) -> Path:
    slurm = environ.get("SLURM_TMPDIR")
    if slurm and Path(slurm).is_dir():
        return Path(slurm)
    own = environ.get("TMPDIR")
    inherited = "SLURM_JOB_ID" in environ and own == environ.get(SUBMIT_TMPDIR)
    if own and not inherited and Path(own).is_dir() and is_local(Path(own)):
        return Path(own)
    return Path("/tmp")


def is_local(folder: Path) -> bool:
    """Whether a folder is on this node's own file systems; what is not known counts as local."""
    import psutil  # costs 15 ms that --help and --dry_run need not pay

    real = folder.resolve()
    kind, longest = "", -1
    for partition in psutil.disk_partitions(all=True):
        mount = Path(partition.mountpoint)
        if (mount == real or mount in real.parents) and len(mount.parts) >= longest:
            kind, longest = partition.fstype, len(mount.parts)
    return kind.lower() not in NETWORK_FILE_SYSTEMS


def ensure_own_folder(path: Path) -> Path:
    """Creates a folder with mode 0700 in a place where others can write too, or checks that it is ours."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700, parents=True)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise UserError(
                f"{path}: expected a folder that belongs to you, as data is read from it;"
                " give another place with --tmp_data_dir"
            )
        if stat.S_IMODE(status.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise UserError(
            f"{path}: cannot make it ({error.strerror}); give a writable one with --tmp_data_dir"
        ) from error
    return path


def remove_tree(path: Path) -> None:
    """Removes a file or folder if it is there, also where an archive made folders read-only."""
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
            return
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                Path(folder).chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
