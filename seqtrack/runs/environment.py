"""The machine and the versions that a trial ran on: what is recorded, and what changes bits."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from pathlib import Path
from typing import Any

# Another machine of the same kind gives the same bits, whatever its kernel, which is part of ``platform`` (C's
# mathematics do change bits, so that library stands for itself); so do more cores, for a trial's threads are fixed.
_CHANGE_NO_BIT = ("host", "platform", "cores")


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def packages(*names: str) -> dict[str, str]:
    """Installed versions, without importing anything."""
    from importlib import metadata

    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cuda() -> str | None:
    """The CUDA that torch was built for, where torch has been imported; None for a CPU build."""
    torch = sys.modules.get("torch")
    version = getattr(torch, "version", None)
    return getattr(version, "cuda", None)


def driver(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """The version of NVIDIA's driver, where its kernel module is loaded: it stands behind the module's name, and with
    open modules behind ``for x86_64``."""
    try:
        text = file.read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", text)
    return found[1] if found else None


def record(decoder: dict[str, Any], device: str) -> dict[str, Any]:
    """What a table's reader may want to know, and what a resume compares."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": sys.version.split()[0],
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "device": device,
        "cuda": cuda(),
        "driver": driver(),
        "packages": packages(
            "torch", "torchvision", "numpy", "opencv-python-headless", "opencv-python", "simplejpeg", "h5py"
        ),
        "decoder": decoder,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Differences that may change the last bits of a result, each as 'what: before → now'.

    What an older record does not have is not compared.
    """
    kinds = [key for key in now if key in before and key not in ("packages", *_CHANGE_NO_BIT)]
    found = [f"{key}: {before[key]} → {now[key]}" for key in kinds if before[key] != now[key]]
    old, new = before["packages"], now["packages"]
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return found + [f"{name}: {old.get(name)} → {new.get(name)}" for name in names]
