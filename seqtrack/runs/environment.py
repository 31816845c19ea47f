"""The machine and the versions that a trial ran on: what is recorded, and what changes bits."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from pathlib import Path
from typing import Any


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


def driver() -> str | None:
    """The version of NVIDIA's driver, where its kernel module is loaded."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"Kernel Module\D*([0-9.]+)", text)
    return found[1] if found else None


def record(decoder: dict[str, Any], device: str) -> dict[str, Any]:
    """What a table's reader may want to know, and what a resume compares."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
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
    """Differences that may change the last bits of a result, each as 'what: before → now'."""
    found = [
        f"{key}: {before.get(key)} → {now.get(key)}"
        for key in ("cpu", "device", "decoder")
        if before.get(key) != now.get(key)
    ]
    for name in ("torch", "numpy", "opencv-python-headless", "opencv-python"):
        old, new = before["packages"].get(name), now["packages"].get(name)
        if old != new:
            found.append(f"{name}: {old} → {new}")
    return found
