"""What `seqtrack doctor` makes of a machine and its GPUs, and how it looks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seqtrack.cluster import doctor
from seqtrack.cluster.doctor import BAD, NOTE, OK, WARN, Answer, Check, Finding, Section
from tests.workbench import PATIENCE_SECONDS as PATIENCE


class TestThisMachine:
    def test_dependencies_are_those_of_the_package(self, repository: Path) -> None:
        table = (repository / "pyproject.toml").read_text().partition("\ndependencies = [")[2].partition("\n]")[0]
        needed = set(re.findall(r'"([\w-]+)', table))
        assert needed <= {*doctor.DEPENDENCIES, *doctor.OPENCV}

    def test_a_package_that_is_missing(self) -> None:
        versions = dict.fromkeys((*doctor.DEPENDENCIES, "opencv-python"), "1.0")
        assert doctor.judge_packages("3.12.1", versions) == Finding(
            OK, "Python", "3.12.1, torch 1.0, torchvision 1.0", "every package that seqtrack needs is installed"
        )
        for name in ("torch", "opencv-python"):
            del versions[name]
        assert doctor.judge_packages("3.12.1", versions) == Finding(
            BAD, "Python", "3.12.1, torchvision 1.0",
            "missing: torch, opencv-python-headless; install seqtrack into this Python with pip",
        )  # fmt: skip

    def test_processors(self) -> None:
        assert doctor.judge_processor(16, 64, 128 * 10**9) == Finding(
            OK, "processor", "16 of 64 cores, 128 GB of memory", "without a GPU, 8 trials at a time"
        )
        said = doctor.judge_processor(1, 1, 900 * 10**6)
        assert (said.sign, said.found) == (NOTE, "1 core, 900 MB of memory")

    @pytest.mark.parametrize(
        ("soft", "hard", "sign", "found"),
        [
            (1024, 524288, OK, "1,024, at most 524,288"),
            (256, 65536, OK, "256, at most 65,536"),
            (1024, None, OK, "1,024, at most without limit"),
            (None, None, OK, "without limit"),
            (4096, 4096, OK, "4,096"),
            (512, 512, WARN, "512"),
        ],
    )
    def test_open_files(self, soft: int | None, hard: int | None, sign: str, found: str) -> None:
        said = doctor.judge_open_files(soft, hard)
        assert (said.sign, said.found) == (sign, found)

    def test_processor_time_is_mentioned_where_it_is_limited(self) -> None:
        assert doctor.judge_processor_time(None) == []
        (said,) = doctor.judge_processor_time(1800)
        assert (said.sign, said.found) == (WARN, "30 min for each process")


class TestGPUs:
    NAME = "2 × NVIDIA A100-SXM4-80GB (80 GiB), driver 535.104.05"
    TWO = Answer("NVIDIA A100-SXM4-80GB, 81920, 535.104.05\nNVIDIA A100-SXM4-80GB, 81920, 535.104.05\n")

    @pytest.mark.parametrize(
        ("answer", "visible", "sign", "found", "means"),
        [
            (TWO, None, OK, NAME, "2 trials at a time, a GPU for each"),
            (TWO, "1", OK, NAME, "of these, trials use CUDA_VISIBLE_DEVICES=1"),
            (TWO, "", NOTE, NAME, "hidden by an empty CUDA_VISIBLE_DEVICES: trials use the CPU"),
            (
                Answer("", "cannot run nvidia-smi (No such file or directory)"), None,
                NOTE, "none (no nvidia-smi)", "trials use the CPU here; nodes may have GPUs",
            ),
            (Answer("No devices were found\n"), None, NOTE, "no GPU", "trials use the CPU here; nodes may have GPUs"),
            (
                Answer("", "Failed to initialize NVML: Driver/library version mismatch"), None,
                WARN, "Failed to initialize NVML: Driver/library version mismatch",
                "trials use the CPU here until nvidia-smi works",
            ),
        ],
    )  # fmt: skip
    def test_driver(self, answer: Answer, visible: str | None, sign: str, found: str, means: str) -> None:
        assert doctor.judge_driver(answer, visible) == Finding(sign, "driver", found, means)

    @pytest.mark.parametrize(
        ("said", "sign", "found"),
        [
            ({"cuda": "12.4", "count": 2, "error": ""}, OK, "2.6.0, built for CUDA 12.4"),
            ({"cuda": None, "count": 0, "error": ""}, WARN, "2.6.0, built for the CPU only"),
            ({"cuda": "12.4", "count": 0, "error": ""}, WARN, "2.6.0, built for CUDA 12.4, sees no GPU"),
            ({"cuda": "12.4", "count": 1, "error": "CUDA error: busy"}, WARN, "CUDA error: busy"),
        ],
    )
    def test_torch(self, said: dict[str, object], sign: str, found: str) -> None:
        # A warning of a package may come before what was asked for.
        answer = Answer("a warning\n" + json.dumps({"version": "2.6.0", **said}) + "\n")
        finding = doctor.judge_torch(answer)
        assert (finding.sign, finding.found) == (sign, found)

    def test_torch_that_does_not_load(self) -> None:
        said = doctor.judge_torch(Answer("", "ImportError: libcudart.so: no such file"))
        assert (said.sign, said.found) == (WARN, "ImportError: libcudart.so: no such file")

    def test_torch_is_asked_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        """The very script, with a torch that has one GPU which fails."""
        (tmp_path / "torch.py").write_text(
            "from types import SimpleNamespace as space\n__version__ = '9.9'\nversion = space(cuda='12.1')\n"
            "cuda = space(device_count=lambda: 1)\n"
            "def ones(*_, **__): raise RuntimeError('CUDA error: out of memory\\nmore')\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", doctor.TORCH_SCRIPT],
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        said = doctor.judge_torch(Answer(answer.stdout))
        assert (said.sign, said.found) == (WARN, "CUDA error: out of memory")


class TestExamining:
    def test_all_at_once_and_in_order(self) -> None:
        meeting = threading.Barrier(3)

        def look(name: str) -> list[Finding]:
            meeting.wait(PATIENCE)  # each waits for the others
            return [Finding(OK, name, "", "")]

        sections = doctor.examine([Check(name, lambda name=name: look(name), PATIENCE) for name in "abc"])  # type: ignore[misc]
        assert [(section.title, section.findings[0].about) for section in sections] == [(n, n) for n in "abc"]

    def test_one_that_hangs_holds_nobody_up(self) -> None:
        def hang() -> list[Finding]:
            threading.Event().wait()
            return []

        here = Finding(OK, "here", "", "")
        hung, quick = doctor.examine([Check("a", hang, 0.2), Check("b", lambda: [here], PATIENCE)])
        assert hung.findings == [Finding(BAD, "no answer", "within 0.2 s", "is a file server down? Try again later")]
        assert quick.findings == [here]

    def test_an_error_of_the_system_is_a_finding(self) -> None:
        def fail() -> list[Finding]:
            raise PermissionError(13, "Permission denied", "/x")

        (section,) = doctor.examine([Check("a", fail)])
        assert section.findings[0].found == "[Errno 13] Permission denied: '/x'"
        assert section.findings[0].sign == BAD

    @pytest.mark.parametrize(
        ("signs", "verdict", "usable"),
        [
            ([OK, NOTE], "no obstacle", True),
            ([OK, WARN], "no obstacle, 1 warning", True),
            ([BAD, WARN, WARN, OK], "1 obstacle, 2 warnings", False),
        ],
    )
    def test_the_last_line_and_the_exit_code(self, signs: list[str], verdict: str, usable: bool) -> None:
        sections = [Section("a", [Finding(sign, "", "", "") for sign in signs])]
        assert (doctor.verdict(sections), doctor.is_usable(sections)) == (verdict, usable)

    def test_a_command_that_hangs_is_missing_or_fails(self) -> None:
        hung = doctor.ask([sys.executable, "-c", "import signal; signal.pause()"], 0.3)
        assert hung.problem == "no answer within 0.3 s"
        assert doctor.ask(["seqtrack-no-such-program"]).problem == (
            "cannot run seqtrack-no-such-program (No such file or directory)"
        )
        failed = doctor.ask([sys.executable, "-c", "import sys; sys.exit('first\\nlast')"], PATIENCE)
        assert failed.problem == "last"
        assert doctor.ask([sys.executable, "-c", "print('out')"], PATIENCE).out == "out\n"
