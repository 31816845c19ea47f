"""`seqtrack doctor` on a real cluster: what it reads there, and what a probe finds on a node."""

from __future__ import annotations

import json
import os
import signal
import tempfile

import pytest

from tests.slurm.slurmbench import SlurmBench
from tests.tools.test_doctor_command import findings
from tests.workbench import Result, leftovers, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(slurm_bench: SlurmBench) -> SlurmBench:
    slurm_bench.cluster.reconfigure(kill_wait=7)
    slurm_bench.cluster.wait_idle()
    return slurm_bench


def doctor(bench: SlurmBench, *words: str) -> Result:
    return bench.run("doctor", "--slurm", "--json", f"--tmp_data_dir={bench.folder}", *words)


def of_section(result: Result, title: str) -> list[tuple[str, str, str]]:
    (section,) = [section for section in json.loads(result.out) if section["title"].startswith(title)]
    return [(finding["about"], finding["sign"], finding["found"]) for finding in section["findings"]]


def test_what_this_cluster_is(bench: SlurmBench) -> None:
    result = doctor(bench)
    assert (result.code, result.err) == (0, "")
    said = of_section(result, "SLURM")
    controller = said.pop(0)
    assert controller[:2] == ("controller", "ok")
    assert " of seqtrack, answers in " in controller[2]
    found, nodes = {about: (sign, text) for about, sign, text in said}, len(bench.cluster.nodes)
    assert found["partitions"] == ("ok", f"devel* without limit, urgent without limit; {nodes} of {nodes} nodes up")
    assert found["GPUs"] == ("ok", f"gpu × 2 ({nodes} nodes)")
    assert found["arrays"] == ("ok", "1,001 tasks each, 10,000 jobs of everybody")
    assert found["accounting"] == ("ok", "slurmdbd")
    assert found["preemption"] == ("ok", "devel REQUEUE")
    assert found["time to save"] == ("warn", "TERM on preemption, then 7 s (KillWait)")
    assert found["requeue"] == ("ok", "after 5 s")
    assert found["/tmp of jobs"] == ("ok", "shared on a node, as far as SLURM says")
    assert found["isolation"] == ("note", "proctrack linuxproc, task none")


def test_the_same_cluster_otherwise(bench: SlurmBench) -> None:
    bench.cluster.reconfigure(
        accounting=False, preempt_mode="CANCEL", preempt_send_user_signal=True, grace_time=40, kill_wait=10,
        max_array_size=20,
    )  # fmt: skip
    found = findings(doctor(bench))
    assert found["accounting"] == ("note", "none")
    assert found["preemption"] == ("warn", "devel CANCEL")
    assert found["time to save"] == ("ok", "USR2 on preemption, then 40 s (GraceTime) + 10 s (KillWait)")
    assert found["arrays"] == ("ok", "20 tasks each, 10,000 jobs of everybody")


def test_accounting_that_is_down(bench: SlurmBench) -> None:
    bench.cluster.stop_accounting()
    try:
        result = doctor(bench)
    finally:
        bench.cluster.start_accounting()
    assert result.code == 0
    assert findings(result)["accounting"] == ("warn", "slurmdbd, which does not answer")


def test_a_controller_that_is_down(bench: SlurmBench) -> None:
    bench.cluster.stop_controller()
    try:
        result = doctor(bench)
    finally:
        bench.cluster.start_controller()
    assert result.code == 1
    assert of_section(result, "SLURM") == [("controller", "bad", "down")]


def test_a_probe_looks_at_its_node_and_leaves_nothing(bench: SlurmBench) -> None:
    result = doctor(bench, "--probe", "--slurm_flags", "nodelist=node2", "gres=gpu:1")
    assert (result.code, result.err) == (0, "")
    said = of_section(result, "Compute node node2")
    assert ("shared locks", "ok", "held here, they keep node2 out") in said
    assert ("/tmp", "ok", "not made for the job alone") in said
    assert leftovers(bench.folder) == []
    wait_for(lambda: not bench.cluster.jobs(), "end of the probe")


def test_a_probe_that_is_not_let_in(bench: SlurmBench) -> None:
    result = doctor(bench, "--probe", "--slurm_flags", "partition=nowhere")
    assert findings(result)["probe"] == ("warn", "Batch job submission failed: Invalid partition name specified")


def test_a_probe_whose_node_does_not_see_the_cache_folder(bench: SlurmBench) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as hidden:
        result = doctor(bench, "--probe", "--cache_dir", hidden)
        assert findings(result)["probe"] == ("warn", "the node wrote nothing to the cache folder")
        assert os.listdir(hidden) == []


@pytest.mark.parametrize("sbatch", ['exec $REAL "$@"', '$REAL "$@"; exec sleep 600'], ids=["waiting", "in sbatch"])
def test_a_probe_that_is_interrupted_takes_its_job_along(bench: SlurmBench, sbatch: str) -> None:
    """Also where SLURM has the job, and sbatch has not ended."""
    slow = bench.program("sbatch", sbatch)
    process = bench.start("doctor", "--probe", "--slurm_flags", "begin=now+1hour", **slow)
    wait_for(bench.cluster.jobs, "probe in the queue", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert bench.cluster.jobs() == []
    assert leftovers(bench.folder) == []
    assert not (bench.folder / "cache").exists()
