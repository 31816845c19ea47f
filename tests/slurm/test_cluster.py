"""The private cluster itself: what the other tests of this folder take for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aux.slurm import machines
from aux.slurm.cluster import Cluster, ClusterError
from tests.workbench import wait_for

# A job that says when it starts, and how often it has been started before.
COUNTING = 'echo "$SLURMD_NODENAME ${SLURM_RESTART_COUNT:-0}" >> starts; sleep 600'


def submit(slurm: Cluster, script: str, *flags: str, folder: Path) -> str:
    words = ["sbatch", "--parsable", f"--chdir={folder}", "--output=%j.out", *flags, "--wrap", script]
    result = slurm.command(*words)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def srun(slurm: Cluster, script: str, *flags: str) -> str:
    result = slurm.command("srun", *flags, "sh", "-c", script)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def sacct(slurm: Cluster, job: str) -> str:
    return slurm.command("sacct", "--allocations", "--noheader", "--format=state", "--job", job).stdout.strip()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def is_left(folder: Path) -> bool:
    """Whether there is anything of a cluster: files, processes, mounts."""
    return folder.exists() or bool(machines.processes(folder)) or str(folder) in Path("/proc/mounts").read_text()


# ------------------------------------------------------------------------------------------ up and down


def test_it_leaves_nothing_behind(tmp_path: Path, cluster: Cluster) -> None:
    """Beside another one, and whatever its jobs have become."""
    children = psutil.Process().children()
    with Cluster(shared=[tmp_path]) as second:
        assert second.command("sinfo", "--noheader", "--format=%P %D %T").stdout.splitlines() == [
            "devel* 3 idle", "urgent 3 idle",
        ]  # fmt: skip
        submit(second, "setsid sleep 600 & touch runs; sleep 600", folder=tmp_path)
        wait_for((tmp_path / "runs").exists, "start of a job")
        assert len(machines.processes(second.folder)) > 8
        assert cluster.jobs() == []
    assert not is_left(second.folder)
    assert psutil.Process().children() == children  # no zombies either


def test_a_failed_start_leaves_nothing_behind() -> None:
    broken = Cluster(accounting=False, preempt_mode="NONSENSE")
    with pytest.raises(ClusterError, match=r"slurmctld ended with 1: .*PreemptMode"):
        broken.start()
    assert not is_left(broken.folder)


def test_it_does_not_outlive_who_started_it(repository: Path) -> None:
    """Not even one who was killed and could not take it down."""
    words = [sys.executable, str(repository / "aux/slurm/cluster.py"), "--no_accounting", "run", "--"]
    command = 'echo "$SLURM_CONF"; read -r _'  # it ends when its standard input does
    process = subprocess.Popen(
        [*words, "sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip()).parent
    assert is_left(folder)
    process.kill()
    process.communicate()
    wait_for(lambda: not is_left(folder), "end of the cluster")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 3), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_ctrl_c_and_sigterm_take_it_down(repository: Path, number: signal.Signals, code: int) -> None:
    """The exit code is that of a command which ends in its own way on Ctrl-C."""
    words = [sys.executable, str(repository / "aux/slurm/cluster.py"), "--no_accounting", "run", "--"]
    command = 'trap "exit 3" INT; echo "$SLURM_CONF"; while :; do sleep 0.1; done'
    process = subprocess.Popen(
        ["env", "--default-signal", *words, "sh", "-c", command],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip()).parent
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    process.communicate()
    assert process.returncode == code
    assert not is_left(folder)


STARTED = """
import contextlib, os, signal, subprocess, sys
from aux.slurm import cluster

class Struck(subprocess.Popen):
    def __init__(self, *arguments, preexec_fn, **options):
        def struck():
            {in_command}
            preexec_fn()
        super().__init__(*arguments, preexec_fn=struck, **options)
        {here}

class Cluster(contextlib.nullcontext):
    environment = {{}}

subprocess.Popen = Struck
sys.exit(cluster.run(Cluster(), ["sh", "-c", "echo $$; exec sleep 600"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("reached", [{"here"}, {"in_command"}, {"here", "in_command"}])
def test_a_command_that_is_just_starting_ends_as_well(
    repository: Path, number: signal.Signals, reached: set[str]
) -> None:
    """Asked to stop at the moment when it is not itself yet, or when whoever started it has not heard of it yet."""
    if number == signal.SIGINT and reached == {"here"}:
        return  # a terminal sends it to both, so the command is waited for
    strike = f"os.kill(os.getpid(), {int(number)})"
    struck = STARTED.format(**{place: strike if place in reached else "pass" for place in ("here", "in_command")})
    process = subprocess.run(
        [sys.executable, "-c", struck], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert (process.returncode, process.stderr) == (128 + number, "")
    assert not (process.stdout and psutil.pid_exists(int(process.stdout)))


# ------------------------------------------------------------------------------------------ nodes


def test_jobs_see_the_gpus_that_they_ask_for(slurm: Cluster) -> None:
    one = srun(slurm, "echo $SLURMD_NODENAME $(hostname) $CUDA_VISIBLE_DEVICES", "--gres=gpu:1", "--nodelist=node2")
    assert one == "node2 node2 0"
    assert srun(slurm, "echo $CUDA_VISIBLE_DEVICES", "--gres=gpu:2") == "0,1"
    assert srun(slurm, "echo ${CUDA_VISIBLE_DEVICES:-none}") == "none"


def test_each_node_has_a_tmp_of_its_own(slurm: Cluster, tmp_path: Path) -> None:
    """The jobs of a node share it; other nodes and the host do not. ``tmp_path`` they all share."""
    name = f"seqtrack-{os.getpid()}"
    srun(slurm, f"echo here > /tmp/{name}; echo there > {tmp_path}/{name}", "--nodelist=node1")

    assert srun(slurm, f"cat /tmp/{name}", "--nodelist=node1") == "here"
    assert srun(slurm, f"ls -d /tmp/{name} || true", "--nodelist=node2") == ""
    assert srun(slurm, f"cat {tmp_path}/{name}", "--nodelist=node2") == "there"
    assert not Path("/tmp", name).exists()
    assert slurm.tmp_files("node1") == [slurm.tmp_of("node1") / name]
    assert (tmp_path / name).read_text() == "there\n"
    slurm.reset()
    assert slurm.tmp_files("node1") == []


def test_a_node_that_falls_silent_loses_its_jobs_to_others(slurm: Cluster, tmp_path: Path) -> None:
    """What ran on it goes on there, until the node is back and is told."""
    slurm.reconfigure(message_timeout=3, slurmd_timeout=5)
    submit(slurm, COUNTING, "--gres=gpu:2", "--requeue", folder=tmp_path)
    starts = tmp_path / "starts"
    wait_for(lambda: lines(starts), "start")
    first = lines(starts)[0].split()[0]
    slurm.kill_slurmd(first)
    wait_for(lambda: len(lines(starts)) == 2, "another start")

    second, restarts = lines(starts)[1].split()
    assert (second != first, restarts) == (True, "1")
    assert slurm.job_processes(first)
    slurm.start_slurmd(first)
    wait_for(lambda: not slurm.job_processes(first), "end of the job's first start")
    slurm.cancel_everything()


# ------------------------------------------------------------------------------------------ jobs


def test_jobs_start_at_once(slurm: Cluster, tmp_path: Path) -> None:
    """Elsewhere it may be a minute until SLURM looks at its queue."""
    started = time.monotonic()
    submit(slurm, "touch runs", "--mem=16G", "--cpus-per-task=8", folder=tmp_path)
    wait_for((tmp_path / "runs").exists, "start of a job")
    assert time.monotonic() - started < 50


def test_a_preempted_job_is_requeued_and_starts_again(slurm: Cluster, tmp_path: Path) -> None:
    """Elsewhere it waits for two minutes."""
    submit(slurm, COUNTING, "--exclusive", "--nodelist=node1", folder=tmp_path)
    starts = tmp_path / "starts"
    wait_for(lambda: lines(starts), "start")
    preempted = time.monotonic()
    submit(slurm, "touch urgent", "--partition=urgent", "--exclusive", "--nodelist=node1", folder=tmp_path)
    wait_for((tmp_path / "urgent").exists, "start of the urgent job")
    wait_for(lambda: len(lines(starts)) == 2, "another start")

    assert lines(starts) == ["node1 0", "node1 1"]
    assert time.monotonic() - preempted < 100
    slurm.cancel_everything()


def test_a_site_may_warn_of_preemption(slurm: Cluster, tmp_path: Path) -> None:
    """Without GraceTime SIGTERM goes out together with the warning, and may arrive before it."""
    slurm.reconfigure(preempt_mode="CANCEL", preempt_send_user_signal=True, grace_time=60)
    script = "trap 'touch warned; exit 3' USR2; touch runs; while :; do sleep 0.1; done"
    job = submit(slurm, script, "--exclusive", "--nodelist=node1", "--signal=B:USR2@60", "--time=60", folder=tmp_path)
    wait_for((tmp_path / "runs").exists, "start")
    submit(slurm, "touch urgent", "--partition=urgent", "--exclusive", "--nodelist=node1", folder=tmp_path)
    wait_for((tmp_path / "urgent").exists, "start of the urgent job")

    assert (tmp_path / "warned").exists()
    slurm.wait_idle()
    wait_for(lambda: sacct(slurm, job) == "FAILED", "record of its end, which was its own")


def test_a_site_may_cancel_what_it_preempts(slurm: Cluster, tmp_path: Path) -> None:
    slurm.reconfigure(preempt_mode="CANCEL")
    job = submit(slurm, COUNTING, "--exclusive", "--nodelist=node1", folder=tmp_path)
    wait_for((tmp_path / "starts").exists, "start")
    submit(slurm, "touch urgent", "--partition=urgent", "--exclusive", "--nodelist=node1", folder=tmp_path)
    wait_for((tmp_path / "urgent").exists, "start of the urgent job")
    slurm.wait_idle()
    wait_for(lambda: sacct(slurm, job) == "PREEMPTED", "record of its end")
    assert lines(tmp_path / "starts") == ["node1 0"]


# ------------------------------------------------------------------------------------------ daemons


def test_accounting_knows_finished_jobs_if_there_is_accounting(slurm: Cluster, tmp_path: Path) -> None:
    recorded = submit(slurm, "exit 3", folder=tmp_path)
    wait_for(lambda: sacct(slurm, recorded) == "FAILED", "record of its end")

    slurm.reconfigure(accounting=False)
    submit(slurm, "touch runs", folder=tmp_path)
    wait_for((tmp_path / "runs").exists, "start without accounting")
    refused = slurm.command("sacct")
    assert (refused.returncode, refused.stderr) == (1, "Slurm accounting storage is disabled\n")

    slurm.reconfigure()
    slurm.stop_accounting()
    assert slurm.command("sacct").returncode == 1
    slurm.start_accounting()
    assert sacct(slurm, recorded) == "FAILED"


def test_jobs_outlive_the_controller(slurm: Cluster, tmp_path: Path) -> None:
    """Without it clients hang, and then fail."""
    slurm.reconfigure(message_timeout=3)
    job = submit(slurm, "touch runs; sleep 600", folder=tmp_path)
    wait_for((tmp_path / "runs").exists, "start")
    slurm.stop_controller()
    with pytest.raises(subprocess.TimeoutExpired):
        slurm.command("squeue", timeout=1)
    assert slurm.command("squeue").returncode == 1
    slurm.start_controller()
    assert [line.split()[0] for line in slurm.jobs()] == [job]
    slurm.cancel_everything()
