"""What a trial writes down of the machine and the versions that it ran on, and what is said where those differ."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from importlib import metadata
from pathlib import Path

import cv2
import pytest
import simplejpeg
import torch

from seqtrack.runs import environment
from tests.workbench import Workbench

# As R550 of the open kernel modules and R470 of the others print it.
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder@U16)\nGCC 12\n"
)
CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.223.02  Sat Oct  7 15:39:11 UTC 2023\nGCC version: 11.4\n"
)
RECORD = {
    "host": "node7", "platform": "Linux-5.15-x86_64-with-glibc2.35", "libc": "glibc 2.35",
    "python": "3.11.7", "cpu": "AMD EPYC",
    "cores": 16, "device": "NVIDIA H100", "cuda": "12.4", "driver": "550.54.15", "decoder": {"name": "simplejpeg"},
    "packages": {"torch": "2.6.0", "torchvision": "0.21.0", "numpy": "2.1.0", "h5py": "3.12.1"},
}  # fmt: skip


def test_a_real_run_has_what_it_ran_on(finished: Workbench) -> None:
    for seed in (0, 1):
        found = json.loads(finished.run_folder().trial(seed).record.read_text())["environment"]
        assert f"model name\t: {found.pop('cpu')}\n" in Path("/proc/cpuinfo").read_text()
        decoder = found.pop("decoder")
        assert (decoder["version"], decoder["other_formats"]) == (simplejpeg.__version__, f"opencv {cv2.__version__}")
        names = ("torch", "torchvision", "numpy", "simplejpeg", "h5py")
        versions = found.pop("packages")
        assert {name: versions[name] for name in names} == {name: metadata.version(name) for name in names}
        assert any(name.startswith("opencv") for name in versions)
        assert found == {
            "host": socket.gethostname(), "platform": platform.platform(),
            "libc": " ".join(platform.libc_ver()), "cores": os.cpu_count(), "device": "cpu",
            "python": ".".join(map(str, sys.version_info[:3])), "cuda": torch.version.cuda,
            "driver": environment.driver(),
        }  # fmt: skip


@pytest.mark.parametrize(("text", "version"), [(OPEN, "550.54.15"), (CLOSED, "470.223.02"), ("else\n", None)])
def test_the_driver_is_what_its_kernel_module_says(tmp_path: Path, text: str, version: str | None) -> None:
    (tmp_path / "version").write_text(text)
    assert environment.driver(tmp_path / "version") == version
    assert environment.driver(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["libc", "python", "cpu", "device", "cuda", "driver", "decoder"])
def test_each_of_these_may_change_bits(name: str) -> None:
    now = {**RECORD, name: "another"}
    assert environment.differences(RECORD, now) == [f"{name}: {RECORD[name]} → another"]
    older = {key: value for key, value in RECORD.items() if key != name}
    assert environment.differences(older, now) == [], "what was not recorded is not known to differ"


def test_so_may_each_package_that_there_is_or_was() -> None:
    packages = {"torch": "2.6.1", "numpy": "2.1.0", "h5py": "3.13.0", "opencv-python": "4.10"}
    assert environment.differences(RECORD, {**RECORD, "packages": packages}) == [
        "h5py: 3.12.1 → 3.13.0", "opencv-python: None → 4.10", "torch: 2.6.0 → 2.6.1", "torchvision: 0.21.0 → None",
    ]  # fmt: skip


def test_another_machine_of_the_same_kind_changes_none() -> None:
    assert environment.differences(RECORD, {**RECORD, "host": "node8", "platform": "Linux-6.1", "cores": 64}) == []
