"""A real SLURM for the tests of this folder, private to them: ``aux/slurm/cluster.py``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aux.slurm.cluster import Cluster
from aux.slurm.configuration import missing
from tests.slurm.slurmbench import SlurmBench

# For a job to end that a test has cancelled: KillWait, and what SLURM needs to notice.
ENDING_SECONDS = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, one has a cluster for the faults and one for all else: both wait
    for SLURM most of the time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("slurm-faults" if item.path.stem == "test_faults" else "slurm"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Cluster]:
    """Three nodes with two GPUs each. All of them see the package, its Python, and every ``tmp_path``."""
    if problem := missing():
        text = f"needs SLURM: {problem}; as root on Debian or Ubuntu: SEQTRACK_INSTALL_SLURM=1 make test"
        if os.environ.get("SEQTRACK_REQUIRE_SLURM") == "1":
            pytest.fail(text)
        pytest.skip(text)
    shared = [repository, Path(sys.prefix), Path(sys.base_prefix), tmp_path_factory.getbasetemp()]
    with Cluster(shared=shared) as found:
        yield found


@pytest.fixture
def slurm(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster as new: whatever a test does to it is undone. But its jobs must have ended, with all processes."""
    cluster.reset()
    yield cluster
    cluster.start_missing()
    deadline = time.monotonic() + ENDING_SECONDS
    while (left := leftovers(cluster)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:
        pytest.fail("the test has left on the cluster: " + "; ".join(left))


def leftovers(cluster: Cluster) -> list[str]:
    """Jobs in the queue, and processes of jobs whether SLURM knows of them or not."""
    found = [f"job {line}" for line in cluster.jobs()]
    for node in cluster.nodes:
        for pid in cluster.job_processes(node):
            try:
                found.append(f"process {pid} on {node}: {' '.join(psutil.Process(pid).cmdline())}")
            except psutil.NoSuchProcess:
                continue
    return found


@pytest.fixture
def slurm_bench(slurm: Cluster, tmp_path: Path, tars: Path, repository: Path) -> SlurmBench:
    """An empty folder to give commands in, on the cluster as new."""
    return SlurmBench(tmp_path / "bench", repository, tars, slurm)
