"""A real SLURM cluster on one machine, private to whoever starts it: own configuration, keys, ports and folders.

The machine poses as a controller and some nodes. They have hostnames of their own and each node a /tmp of its own,
because what works on one host with one disk need not work on a cluster. A SLURM that the machine may belong to is
neither used nor touched.

As a script: ``cluster.py --help``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from aux.slurm import machines
from aux.slurm.configuration import CONTROLLER, PATH, Configuration, Settings, listens, missing

# Not in /tmp, which the nodes hide, and short: the path of a UNIX socket has at most 108 characters.
PLACE = Path(f"/var/tmp/seqtrack-slurm-{os.getuid()}")
PATIENCE_SECONDS = 60.0  # for what takes a second or two on an idle machine


class ClusterError(Exception):
    """The cluster cannot do what it was asked for. One line says why."""


class Cluster:
    """A cluster in a folder of its own, which vanishes with it. ``start`` brings it up.

    Two partitions hold all nodes: ``devel``, the default, and ``urgent``, which preempts it.

    Args:
        folder: short, not below /tmp, new or empty; by default a new one in ``PLACE``.
        cpus: of each node, whatever the machine has. Memory is not shared out.
        shared: folders below /tmp that the nodes are to see as the host does. Others they see anyway.
        lasting: whether the cluster outlives the process that starts it.
        settings: fields of ``Settings``.

    Attributes:
        nodes: their names.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        nodes: int = 3,
        gpus: int = 2,
        cpus: int = 8,
        shared: Sequence[Path] = (),
        lasting: bool = False,
        **settings: bool | int | str,
    ) -> None:
        self.folder = (folder or PLACE / secrets.token_hex(4)).resolve()
        self.nodes = [f"node{i + 1}" for i in range(nodes)]
        self.settings = self._made_with = replace(Settings(), **settings)  # type: ignore[arg-type]
        self._lasting = lasting
        self._shared = sorted({path.resolve() for path in shared if Path("/tmp") in path.resolve().parents})
        self._configuration = Configuration(self.folder, self.nodes, gpus, cpus)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._keeper: subprocess.Popen[bytes] | None = None
        if Path("/tmp") in self.folder.parents or len(str(self.folder)) > 80 or " " in str(self.folder):
            raise ClusterError(f"{self.folder}: expected a short path without spaces that is not below /tmp")

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs, besides its other variables, to talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def command(self, *words: str, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """Runs a client command to its end, however it ends; after ``timeout`` seconds raises TimeoutExpired."""
        environment = {**_neutral_environment(), **self.environment}
        return subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )

    # -------------------------------------------------------------------------------------- up and down

    def start(self) -> None:
        """Returns when all nodes are idle.

        Raises:
            ClusterError: this machine cannot, or a daemon does not come up. Nothing is left then.
        """
        if problem := missing():
            raise ClusterError(problem)
        self._claim()
        try:
            self._configuration.write(self.settings)
            self._start_munged()
            if self.settings.accounting:
                self._start_database()
                self.start_accounting()
                self._succeed("sacctmgr", "--immediate", "add", "cluster", "seqtrack")
            self.start_controller()
            for node in self.nodes:
                self.start_slurmd(node)
            self.wait_idle()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Leaves no process, mount or file, and asks nothing of daemons that may be out of order."""
        if self._keeper is None:
            return
        machines.clear(self.folder)
        for process in (*self._daemons.values(), self._keeper):
            process.kill()
            process.wait()
        self._daemons, self._keeper = {}, None

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _claim(self) -> None:
        """The folder is ours then, and what dead clusters have left in it and beside it is gone."""
        place = self.folder.parent
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        if place == PLACE and place.stat().st_uid != os.getuid():
            raise ClusterError(f"{place} belongs to somebody else: remove it")
        if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / "machines").is_dir():
            raise ClusterError(f"{self.folder} is neither empty nor what a cluster has left")
        watched = None if self._lasting else os.getpid()
        self._keeper = machines.claim(self.folder, sweep=place == PLACE, watched=watched)
        if self._keeper is None:
            raise ClusterError(f"a cluster is up in {self.folder}: take it down first")

    # -------------------------------------------------------------------------------------- daemons

    def start_controller(self) -> None:
        self._spawn("slurmctld", CONTROLLER, "slurmctld", "-D")
        self._wait(lambda: listens(self._configuration.ports["slurmctld"]), "slurmctld to answer")

    def stop_controller(self) -> None:
        """As an administrator does: it saves its state. Clients hang a while, and fail."""
        self._end("slurmctld", signal.SIGTERM)

    def start_accounting(self) -> None:
        self._spawn("slurmdbd", CONTROLLER, "slurmdbd", "-D")
        self._wait(lambda: listens(self._configuration.ports["slurmdbd"]), "slurmdbd to answer")

    def stop_accounting(self) -> None:
        """sacct fails; what happens meanwhile is recorded when accounting is back."""
        self._end("slurmdbd", signal.SIGTERM)

    def start_slurmd(self, node: str) -> None:
        """The controller hears of it in a moment: ``wait_idle``."""
        self._spawn(node, node, "slurmd", "-D", "-N", node)

    def kill_slurmd(self, node: str) -> None:
        """The node falls silent and its jobs go on, as when a network fails."""
        self._end(node, signal.SIGKILL)

    def kill_node(self, node: str) -> None:
        """All processes of the node end, as when its power fails. Its /tmp stays."""
        machines.kill(lambda: machines.processes(self.folder, node))
        self._end(node, signal.SIGKILL)

    def reconfigure(self, **settings: bool | int | str) -> None:
        """Changes settings; those that are not named become what the cluster was made with."""
        former, wanted = self.settings, replace(self._made_with, **settings)  # type: ignore[arg-type]
        if wanted.accounting and not self._made_with.accounting:
            raise ClusterError("a cluster that was made without accounting has no database")
        if wanted == former:
            return
        self.settings = wanted
        self._configuration.write_slurm_conf(wanted)
        if (wanted.accounting, wanted.max_array_size) != (former.accounting, former.max_array_size):
            self.stop_controller()  # it reads these when it starts, and never again
            self.start_controller()
        self._succeed("scontrol", "reconfigure")

    # -------------------------------------------------------------------------------------- jobs and nodes

    def jobs(self) -> list[str]:
        """What is in the queue, a line for each."""
        return self._succeed("squeue", "--all", "--noheader", "--array", "--format=%i %j %T").splitlines()

    def job_processes(self, node: str) -> list[int]:
        """Every process on a node but SLURM's own, whether SLURM still knows of it or not."""
        slurmd = self._daemons[node].pid if node in self._daemons else None
        return [pid for pid in machines.processes(self.folder, node) if pid != slurmd and not _is_slurmd(pid)]

    def cancel_everything(self) -> None:
        """Ends all jobs, at once: nothing is asked politely first."""
        self._succeed("scancel", "--user=root")
        machines.kill(lambda: [pid for node in self.nodes for pid in self.job_processes(node)])

    def wait_idle(self, timeout: float = PATIENCE_SECONDS) -> None:
        """Until the queue is empty and all nodes are idle."""
        ask = ("sinfo", "--noheader", "--Node", "--partition=devel", "--format=%T")
        states = ["idle"] * len(self.nodes)
        self._wait(lambda: not self.jobs() and self._succeed(*ask).split() == states, "idle nodes", timeout)

    def start_missing(self) -> None:
        """Starts the daemons that were stopped or killed."""
        if self._made_with.accounting and "slurmdbd" not in self._daemons:
            self.start_accounting()
        if "slurmctld" not in self._daemons:
            self.start_controller()
        for node in self.nodes:
            if node not in self._daemons:
                self.start_slurmd(node)

    def reset(self) -> None:
        """As just after ``start``: daemons up, first settings, an empty queue, idle nodes, nothing in their /tmp."""
        self.start_missing()
        self.reconfigure()
        self.cancel_everything()
        for node in self.nodes:
            # Refused where a node is up. What an administrator has set DOWN does not come back by itself.
            self.command("scontrol", "update", f"nodename={node}", "state=resume")
        self.wait_idle()
        for node in self.nodes:
            for path in reversed(self.tmp_files(node)):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def tmp_of(self, node: str) -> Path:
        """Where the host sees the /tmp of a node, or of the controller."""
        return self.folder / "tmp" / node

    def tmp_files(self, node: str) -> list[Path]:
        """Files and folders in the /tmp of a node, as the host sees them, without what is shared."""
        points = {self.tmp_of(node) / path.relative_to("/tmp") for path in self._shared}
        kept = points.union(*(point.parents for point in points))
        return sorted(path for path in self.tmp_of(node).rglob("*") if path not in kept)

    # -------------------------------------------------------------------------------------- how

    def _spawn(self, name: str, machine: str, *words: str) -> None:
        tmp = self.tmp_of(machine)
        mounts = [(path, tmp / path.relative_to("/tmp")) for path in self._shared]
        for _, point in mounts:
            point.mkdir(parents=True, exist_ok=True)
        mounts.append((tmp, Path("/tmp")))
        database = str(self._configuration.socket("mariadbd"))
        environment = {"PATH": PATH, "MYSQL_UNIX_PORT": database, **self.environment}
        self._daemons[name] = machines.start(
            self.folder, machine, words, mounts=mounts, environment=environment, log=self.folder / "log" / name
        )

    def _end(self, name: str, signal_number: signal.Signals) -> None:
        if process := self._daemons.pop(name, None):
            process.send_signal(signal_number)
            process.wait(PATIENCE_SECONDS)

    def _wait(self, condition: Callable[[], bool], what: str, timeout: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            for name, process in self._daemons.items():
                if process.poll() is not None:
                    raise ClusterError(f"{name} ended with {process.returncode}: {self._last_words(name)}")
            if time.monotonic() > deadline:
                words = [f"{name}: {self._last_words(name)}" for name in self._daemons]
                raise ClusterError(f"waited {timeout:.0f} s for {what}; {'; '.join(words)}")
            time.sleep(machines.POLL_SECONDS)

    def _last_words(self, name: str) -> str:
        lines = (self.folder / "log" / name).read_text(errors="replace").splitlines()
        troubled = [line for line in lines if re.search("error|fatal", line, re.IGNORECASE)]
        return " ".join((troubled or lines)[-2:])

    def _succeed(self, *words: str) -> str:
        result = self.command(*words)
        if result.returncode:
            raise ClusterError(f"{shlex.join(words)}: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    def _start_munged(self) -> None:
        files = [f"--{name}-file={self._configuration.munge_file(name)}" for name in ("key", "log", "pid", "seed")]
        socket = self._configuration.socket("munged")
        # --force: it refuses folders in which a group may write, wherever they are on the way to its own.
        # --origin: it would look up the address of a hostname that nobody else knows.
        options = ["--foreground", "--force", "--origin=127.0.0.1", f"--socket={socket}"]
        self._spawn("munged", CONTROLLER, "munged", *options, *files)
        self._wait(socket.exists, "munged to answer")

    def _start_database(self) -> None:
        socket = self._configuration.socket("mariadbd")
        common = ["--no-defaults", "--user=root", "--skip-name-resolve", f"--datadir={socket.with_name('data')}"]
        normal = ["--skip-test-db", "--auth-root-authentication-method=normal"]
        self._spawn("install-db", CONTROLLER, "mariadb-install-db", *common, *normal)
        if self._daemons.pop("install-db").wait(PATIENCE_SECONDS):
            raise ClusterError(f"mariadb-install-db: {self._last_words('install-db')}")
        # It need not wait for the disk: nothing is to survive a power failure.
        options = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0", f"--socket={socket}"]
        self._spawn("mariadbd", CONTROLLER, "mariadbd", *common, *options)
        self._wait(socket.exists, "mariadbd to answer")


def _is_slurmd(pid: int) -> bool:
    """Whether it is slurmd or a slurmstepd, which watches over a job (Debian has them as slurmd-wlm)."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.startswith(("slurmd", "slurmstepd"))
    except OSError:
        return False


def _neutral_environment() -> dict[str, str]:
    """Without what a person, or a job around us, tells the clients of another SLURM."""
    foreign = ("SLURM", "SBATCH", "SRUN", "SALLOC", "SQUEUE", "SINFO", "SACCT", "SCANCEL", "SCONTROL")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def run(cluster: Cluster, words: Sequence[str]) -> int:
    """The exit code, in a shell's notation, of a command that has the cluster while it runs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with cluster:
        # Either waits until the command is known here: one that is not would outlive us.
        _stop_signals(signal.SIG_BLOCK)
        process = subprocess.Popen(
            words, env={**_neutral_environment(), **cluster.environment},
            preexec_fn=_let_stop,
        )  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            try:
                _stop_signals(signal.SIG_UNBLOCK)
                process.wait()
            except KeyboardInterrupt:
                process.wait(PATIENCE_SECONDS)  # a terminal sends Ctrl-C to the command as well: its word counts
            finally:
                process.terminate()
                process.wait(PATIENCE_SECONDS)
        process.kill()
        code = process.wait()
    return code if code >= 0 else 128 - code


def _let_stop() -> None:
    """In the command, just before it is one: what reaches it while handlers are still ours ends it like any other."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _stop_signals(signal.SIG_UNBLOCK)


def _stop_signals(how: int) -> None:
    """Withholds Ctrl-C and SIGTERM (``SIG_BLOCK``), or lets them through."""
    signal.pthread_sigmask(how, {signal.SIGINT, signal.SIGTERM})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="cluster.py [options] up | down | shell | run -- COMMAND ...",
        description="A real SLURM cluster on this machine, private to you: nodes with pretended GPUs, accounting,\n"
        "preemption. Needs root and Debian's slurm-wlm slurmdbd munge mariadb-server, none of which has to run.",
        epilog="""\
examples:
  cluster.py run -- sbatch --wait --gres=gpu:1 --wrap hostname
                           a cluster for as long as a command takes; the exit code is that of the command
  cluster.py shell         the same with a shell to look around in: try sinfo, squeue, sacct
  eval "$(cluster.py up)"  a cluster that stays, for commands of this shell, until: cluster.py down

Jobs of the partition urgent preempt those of devel, which is the default. All nodes see the files of this machine,
but each has a /tmp of its own; of the real one they see this folder and the Python that runs this.""",
    )
    parser.add_argument("what", choices=["up", "down", "shell", "run"], help=argparse.SUPPRESS)
    parser.add_argument("--nodes", type=int, default=3, help="default: 3")
    parser.add_argument("--gpus", type=int, default=2, help="of each node; default: 2")
    parser.add_argument("--cpus", type=int, default=8, help="of each node; default: 8")
    parser.add_argument("--no_accounting", action="store_true", help="no database, so no sacct")
    given = [*sys.argv[1:], "--"]
    arguments = parser.parse_args(given[: given.index("--")])
    arguments.words = given[given.index("--") + 1 : -1]
    if bool(arguments.words) != (arguments.what == "run"):
        parser.error("run takes a command, as in: run -- sinfo; up, down and shell take none")
    return arguments


def main() -> int:
    arguments = parse()
    lasting = PLACE / "up"
    if arguments.what == "down":
        machines.clear(lasting)
        return 0
    cluster = Cluster(
        lasting if arguments.what == "up" else None,
        nodes=arguments.nodes,
        gpus=arguments.gpus,
        cpus=arguments.cpus,
        shared=[Path.cwd(), Path(sys.prefix), Path(sys.base_prefix)],
        lasting=arguments.what == "up",
        accounting=not arguments.no_accounting,
    )
    if arguments.what == "up":
        cluster.start()
        print(f"export {shlex.join([f'{name}={value}' for name, value in cluster.environment.items()])}")
        return 0
    return run(cluster, arguments.words or [os.environ.get("SHELL", "/bin/sh")])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
