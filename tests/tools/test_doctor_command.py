"""`seqtrack doctor` as a person runs it, on machines made of a few programs on the PATH."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workbench import PATIENCE_SECONDS, Result, Workbench, leftovers

UP = 'echo "Slurmctld(primary) at head is UP"'
CONTROLLER = f'case "$*" in ping) {UP} ;; "show config") echo "MaxArraySize = 7" ;; esac'
Doctor = Callable[..., Result]
# The command, in which no answer comes too late: how soon a busy machine gives one is not what is looked at here.
# (What is too late: tests/cluster/test_doctor*.py.) A report of a job that is over is not waited for.
PATIENT = f"""
import dataclasses, sys
from seqtrack.cluster import doctor, doctor_disks, doctor_probe, doctor_slurm
from seqtrack.tools import cli, doctor as command

examine, ask = doctor.examine, doctor.ask
doctor.examine = lambda checks: examine([dataclasses.replace(c, seconds={PATIENCE_SECONDS}) for c in checks])
for module in (doctor, doctor_disks, doctor_slurm, doctor_probe):
    module.ask = lambda command, seconds=0: ask(command, {PATIENCE_SECONDS})
doctor_slurm.SLOW_ANSWER_SECONDS = {PATIENCE_SECONDS}
doctor_probe.WAIT_SECONDS, doctor_probe.QUEUE_SECONDS, doctor_probe.PATIENCE_SECONDS = {PATIENCE_SECONDS}, 0, 0
sys.exit(cli.run(command.main))
"""


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., None]:
    """Puts shell scripts on the PATH that the ``doctor`` has."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def put(**scripts: str) -> None:
        for name, text in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/bash\n{text}\n")
            path.chmod(0o755)

    return put


@pytest.fixture
def doctor(tmp_path: Path, repository: Path) -> Doctor:
    bench = Workbench(tmp_path / "work", repository, tmp_path)
    # Of what this machine has, the doctor sees nothing but a shell.
    (tmp_path / "shell").mkdir()
    (tmp_path / "shell" / "sleep").symlink_to("/bin/sleep")
    path = f"{tmp_path / 'programs'}:{tmp_path / 'shell'}"

    def run(*words: str, **environment: str) -> Result:
        process = bench.start_python("-c", PATIENT, *words, **{"PATH": path, **environment})
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return Result(process.returncode, out, err)

    return run


def findings(result: Result) -> dict[str, tuple[str, str]]:
    """Sign and what was found, by what was looked at; of two of one name the last."""
    return {
        finding["about"]: (finding["sign"], finding["found"])
        for section in json.loads(result.out)
        for finding in section["findings"]
    }


def titles(result: Result) -> list[str]:
    return [section["title"] for section in json.loads(result.out)]


def test_a_plain_machine(doctor: Doctor, programs: Callable[..., None], tmp_path: Path) -> None:
    result = doctor("--tmp_data_dir", str(tmp_path))
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    headings = [line for line in lines[:-1] if not line.startswith(" ")]
    assert headings == ["This machine", "GPU", "Cache folder: cache", "Node-local disk, for --untar"]
    assert len(lines) <= 25
    # Sign, what was looked at, what is there, what it means: in columns of their own.
    for line in lines[:-1]:
        if line not in headings:
            assert len(re.split(r"  +", line.strip())) == 4, line
    starts = {re.search(r"\S+\s+(\S+)", line).start(1) for line in lines[:-1] if line not in headings}  # type: ignore[union-attr]
    assert starts == {8}
    assert re.fullmatch(r"no obstacle(, \d warnings?)?", lines[-1])


def test_nothing_is_left_behind(doctor: Doctor, programs: Callable[..., None], tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    assert doctor("--cache_dir", str(tmp_path / "results" / "cache"), TMPDIR=str(place)).code == 0
    assert os.listdir(place) == []
    assert not (tmp_path / "results").exists()
    assert leftovers(tmp_path) == []
    assert sorted(os.listdir(tmp_path / "work")) == ["home"]


def test_a_node_local_folder_that_was_there_stays(doctor: Doctor, tmp_path: Path) -> None:
    mine = tmp_path / "place" / f"seqtrack-{os.getuid()}"
    mine.mkdir(parents=True)
    result = doctor("--json", TMPDIR=str(tmp_path / "place"))
    assert findings(result)["folder"] == ("ok", str(mine))
    assert mine.exists()


def test_settings_of_the_machine_are_those_of_training(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "work" / "seqtrack.local.yaml").write_text(f"tmp_data_dir: {tmp_path}/scratch\n")
    assert findings(doctor("--json"))["folder"] == ("ok", f"{tmp_path}/scratch")
    assert findings(doctor("--json", f"--tmp_data_dir={tmp_path}/other"))["folder"] == ("ok", f"{tmp_path}/other")


def test_a_cache_folder_that_cannot_be(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = doctor("--json", "--cache_dir", str(tmp_path / "file" / "cache"))
    assert result.code == 1
    assert findings(result)["writing"] == ("bad", f"{tmp_path}/file: Not a directory")


def test_a_folder_of_nobody(doctor: Doctor) -> None:
    result = doctor("--json", "--tmp_data_dir", "/tmp/{usr}")
    assert result.code == 1
    sign, found = findings(result)["failed"]
    assert sign == "bad"
    assert "{usr} is not known; expected {user} or {job_id}" in found


def test_gpus_that_torch_does_not_see(doctor: Doctor, programs: Callable[..., None], tmp_path: Path) -> None:
    programs(nvidia_smi='case "$1" in *name*) echo "Tesla T4, 15360, 470.57" ;; *) echo 0 ;; esac')
    (tmp_path / "torch.py").write_text(
        "from types import SimpleNamespace as space\n__version__ = '9.9'\n"
        "version, cuda = space(cuda='12.1'), space(device_count=lambda: 0)\n"
    )
    said = findings(doctor("--json", PYTHONPATH=str(tmp_path)))
    assert said["driver"] == ("ok", "1 × Tesla T4 (15 GiB), driver 470.57")
    assert said["torch"] == ("warn", "9.9, built for CUDA 12.1, sees no GPU")
    said = findings(doctor("--json", PYTHONPATH=str(tmp_path), CUDA_VISIBLE_DEVICES=""))
    assert said["driver"] == ("note", "1 × Tesla T4 (15 GiB), driver 470.57")
    assert "torch" not in said


class TestSLURM:
    def test_none_on_this_machine(self, doctor: Doctor) -> None:
        assert "SLURM" not in titles(doctor("--json"))
        result = doctor("--slurm")
        assert result.code == 1
        (line,) = [line for line in result.out.splitlines() if line.startswith("  bad")]
        assert re.split(r"  +", line.strip()) == [
            "bad", "controller", "no SLURM on this machine",
            "train without --slurm, or give the command where sbatch works",
        ]  # fmt: skip

    def test_programs_without_a_cluster(self, doctor: Doctor, programs: Callable[..., None]) -> None:
        programs(sbatch="", scontrol='echo "scontrol: fatal: Could not establish a configuration source" >&2; exit 1')
        result = doctor("--json")
        assert result.code == 0
        assert findings(result)["controller"] == ("note", "none: SLURM is installed, not configured")
        assert doctor("--json", "--slurm").code == 1

    def test_a_controller_that_is_down_is_asked_once(
        self, doctor: Doctor, programs: Callable[..., None], tmp_path: Path
    ) -> None:
        down = UP.replace("UP", "DOWN")
        programs(sbatch="", scontrol=f'echo "$*" >> {tmp_path}/asked; {down}; exit 1')
        result = doctor("--json", "--slurm")
        assert result.code == 1
        assert findings(result)["controller"] == ("bad", "down")
        assert (tmp_path / "asked").read_text() == "ping\n"

    def test_a_backup_controller_answers_for_the_first(self, doctor: Doctor, programs: Callable[..., None]) -> None:
        answers = CONTROLLER.replace("echo", 'echo "Slurmctld(primary) at old is DOWN"; echo', 1)
        programs(sbatch="", scontrol=answers)
        assert findings(doctor("--json"))["controller"][0] == "ok"

    def test_slow_commands_are_asked_at_the_same_time(self, doctor: Doctor, programs: Callable[..., None]) -> None:
        """Each of three waits until all of them have begun."""
        meet = ': > "$0.$2"; while :; do set -- "$0".*; [ $# = 3 ] && exit; sleep 0.1; done'
        programs(sbatch="", scontrol=f'case "$1" in ping) {UP} ;; *) {meet} ;; esac')
        assert findings(doctor("--json"))["arrays"] == ("ok", "1,001 tasks each, 10,000 jobs of everybody")

    def test_missing_accounting_is_a_finding(self, doctor: Doctor, programs: Callable[..., None]) -> None:
        programs(sbatch="", scontrol=CONTROLLER)
        said = findings(doctor("--json"))
        assert said["accounting"] == ("note", "none")
        assert said["arrays"] == ("ok", "7 tasks each, 10,000 jobs of everybody")

    @pytest.mark.parametrize(
        ("sbatch", "found"),
        [
            ('echo "sbatch: error: Invalid account" >&2; exit 1', "Invalid account"),
            # The job ends at once and says why.
            (
                'log=$(sed -n "s/^#SBATCH --output=//p" "$2"); echo "python: not found" > "$log"; echo "12;north"',
                "python: not found",
            ),
        ],
    )
    def test_a_probe_that_fails(
        self, doctor: Doctor, programs: Callable[..., None], tmp_path: Path, sbatch: str, found: str
    ) -> None:
        (tmp_path / "shell" / "sed").symlink_to("/bin/sed")
        (tmp_path / "shell" / "env").symlink_to("/usr/bin/env")
        programs(sbatch=sbatch, scontrol=CONTROLLER, squeue="", scancel=f'echo "$*" >> {tmp_path}/cancelled')
        result = doctor("--json", "--probe")
        assert result.code == 0
        assert titles(result)[-1] == "Compute node"
        assert findings(result)["probe"] == ("warn", found)
        # Whatever became of it: SLURM may have the job although sbatch says no.
        assert (tmp_path / "cancelled").read_text().startswith("--name=seqtrack-doctor-")
        assert leftovers(tmp_path) == []

    def test_no_probe_without_a_controller(self, doctor: Doctor) -> None:
        result = doctor("--json", "--probe")
        assert result.code == 1
        assert titles(result)[-1] == "SLURM"


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--slurm_flags", "mem=1G"], "--slurm_flags: they are for the job of --probe; give that too"),
            (["--probe", "--slurm_flags", "men=1G"], "--slurm_flags: 'men=1G': sbatch has no option 'men'"),
            (["--cachedir=x"], "--cachedir: no such flag; did you mean --cache_dir?"),
        ],
    )
    def test_one_line_and_exit_code_2(self, doctor: Doctor, words: list[str], said: str) -> None:
        result = doctor(*words)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: {said}")
        assert len(result.err.splitlines()) == 1


def test_it_is_a_verb_and_loads_nothing_heavy_for_help() -> None:
    code = (
        "import sys; from seqtrack.tools.main import VERBS; from seqtrack.tools.doctor import build_parser;"
        " build_parser().format_help(); print('doctor' in VERBS, sys.modules.keys() & {'torch', 'numpy', 'rich'})"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True set()"


def test_on_a_terminal_it_has_colours_and_fits(doctor: Doctor, repository: Path, tmp_path: Path) -> None:
    import pty

    reader, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(repository), "TERM": "xterm", "COLUMNS": "90"}
    command = [sys.executable, "-c", PATIENT, "--tmp_data_dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, cwd=tmp_path, env=environment)
    os.close(terminal)
    said = b""
    with contextlib.suppress(OSError):  # Linux says so where the other end is closed
        while data := os.read(reader, 65536):
            said += data
    assert process.wait(PATIENCE_SECONDS) == 0
    assert b"\x1b[32m" in said
    plain = re.sub(r"\x1b\[[\d;]*m", "", said.decode())
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 90
