"""The page about SLURM is run on the cluster, as typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.slurmbench import SlurmBench

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_page_works_as_typed(slurm_bench: SlurmBench, repository: Path) -> None:
    blocks = BLOCK.findall((repository / "docs" / "slurm.md").read_text())
    assert len(blocks) >= 4
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    seqtrack = slurm_bench.folder / "seqtrack"
    seqtrack.write_text(f"#!{sys.executable}\nfrom seqtrack.tools.main import console\nconsole()\n")
    seqtrack.chmod(0o755)
    answer = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + "\n".join(blocks)],
        cwd=slurm_bench.folder,
        env=slurm_bench.environment({"PATH": f"{slurm_bench.folder}{os.pathsep}{programs}"}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = answer.stdout[-4000:] + answer.stderr[-4000:]
    assert answer.returncode == 0, told
    assert "3 of 3 trials completed" in answer.stdout, told
    assert "==> seed 1, attempt 0, train on node" in answer.stdout, told
