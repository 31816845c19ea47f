"""What a private cluster needs of the machine, and what its daemons are told: programs, ports, devices, files."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import shutil
import socket
import stat
import string
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aux.slurm import machines

HERE = Path(__file__).resolve().parent
CONTROLLER = "controller"
# Where each program comes from, on Debian and Ubuntu.
PACKAGES = {
    "sbatch": "slurm-wlm", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "slurmdbd": "slurmdbd",
    "munged": "munge", "mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server",
    "unshare": "util-linux", "mount": "mount", "hostname": "hostname", "env": "coreutils",
}  # fmt: skip
# Daemons are not on everybody's PATH.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
MEMORY_MB = 64000  # of a node: what jobs may ask for, whatever the machine has


def missing() -> str | None:
    """What this machine lacks to run a cluster, in a line; None if nothing."""
    absent = {name: package for name, package in PACKAGES.items() if shutil.which(name, path=PATH) is None}
    if absent:
        return f"there is no {', '.join(absent)} (Debian packages: {' '.join(sorted(set(absent.values())))})"
    if os.getuid() != 0:
        return "only root may give every node a /tmp of its own, and this is not root"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            make_device(folder / "gpu0")
        except OSError as error:
            return f"root may not make device files here: {error.strerror}"
        script = machines.pose("node1", [], folder)
        tried = subprocess.run(
            ["unshare", "--mount", "--uts", "sh", "-ec", script, "sh", "true"], capture_output=True, text=True
        )
        return f"root may not mount folders here: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True)
class Settings:
    """What ``Cluster.reconfigure`` changes while the cluster is up. Names and meanings are those of slurm.conf.

    Attributes:
        accounting: whether jobs are recorded, so that sacct knows them.
        preempt_mode: what becomes of a preempted job: ``REQUEUE`` or ``CANCEL``.
        preempt_send_user_signal: whether it hears of it by the signal that it has asked for.
        grace_time: seconds before it gets SIGTERM. SLURM looks only twice a minute whether they are over.
        kill_wait: seconds between SIGTERM and SIGKILL.
        message_timeout: seconds after which a silent daemon counts as unreachable. Clients give up
            a second earlier; a node is DOWN about twice this and once ``slurmd_timeout`` after its end.
    """

    accounting: bool = True
    preempt_mode: str = "REQUEUE"
    preempt_send_user_signal: bool = False
    grace_time: int = 0
    kill_wait: int = 30
    max_array_size: int = 1001
    message_timeout: int = 10
    slurmd_timeout: int = 60


class Configuration:
    """What is written in the folder of a cluster.

    Attributes:
        ports: of slurmctld, slurmdbd and each node's slurmd.
    """

    def __init__(self, folder: Path, nodes: Sequence[str], gpus: int, cpus: int) -> None:
        self.folder = folder
        names = ["slurmctld", "slurmdbd", *nodes]
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self._nodes, self._gpus, self._cpus = nodes, gpus, cpus

    def socket(self, daemon: str) -> Path:
        """Of munged or mariadbd."""
        return self.folder / daemon / "socket"

    def munge_file(self, name: str) -> Path:
        """key, log, pid or seed."""
        return self.folder / "munged" / name

    def write(self, settings: Settings) -> None:
        """Everything, in a folder where there is nothing yet."""
        for name in ("munged", "mariadbd", "log", "spool", "state", "dev"):
            (self.folder / name).mkdir()
        for machine in (CONTROLLER, *self._nodes):
            tmp = self.folder / "tmp" / machine
            tmp.mkdir(parents=True)
            tmp.chmod(0o1777)
        key = self.munge_file("key")
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for index in range(self._gpus):
            make_device(self.folder / "dev" / f"gpu{index}")
        # slurmd loads a cgroup plugin though nothing uses it. This one touches nothing, on any machine, until used.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        gpus = f"Name=gpu File={self.folder}/dev/gpu[0-{self._gpus - 1}]" if self._gpus else ""
        (self.folder / "gres.conf").write_text(f"AutoDetect=off\n{gpus}\n")
        (self.folder / "slurmdbd.conf").touch(mode=0o600)  # slurmdbd insists
        self._fill("slurmdbd.conf", slurmdbd_port=self.ports["slurmdbd"])
        self.write_slurm_conf(settings)

    def write_slurm_conf(self, settings: Settings) -> None:
        gres = f" Gres=gpu:{self._gpus}" if self._gpus else ""
        node = f"NodeAddr=127.0.0.1 CPUs={self._cpus} RealMemory={MEMORY_MB}{gres}"
        accounting = [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={self.ports['slurmdbd']}",
            f"AccountingStoragePass={self.socket('munged')}",  # or slurmctld asks the munged of the machine
            "AccountingStorageTRES=gres/gpu",
        ]
        values = {
            **asdict(settings),
            "accounting": "\n".join(accounting) if settings.accounting else "",
            "slurmctld_parameters": (
                "SlurmctldParameters=preempt_send_user_signal" if settings.preempt_send_user_signal else ""
            ),
            "slurmctld_port": self.ports["slurmctld"],
            "nodes": "\n".join(f"NodeName={name} Port={self.ports[name]} {node}" for name in self._nodes),
        }
        self._fill("slurm.conf", **values)

    def _fill(self, name: str, **values: object) -> None:
        template = string.Template((HERE / f"{name}.in").read_text())
        text = template.substitute(values, folder=self.folder, munge=self.socket("munged"))
        (self.folder / name).write_text(text)


def make_device(path: Path) -> None:
    """A device file with the numbers of /dev/null: SLURM wants a GPU to have one, nobody is to open it."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _free_ports(count: int) -> list[int]:
    """Below those that Linux gives to connections: SLURM makes many, and one might get the port of a dead daemon."""
    ports = random.SystemRandom().sample(range(20000, 32000), 1000)
    return list(itertools.islice((port for port in ports if not listens(port)), count))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
