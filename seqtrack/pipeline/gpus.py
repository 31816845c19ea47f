"""The GPUs of this machine, without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess


def visible_gpus() -> list[str]:
    """Identifiers as ``CUDA_VISIBLE_DEVICES`` takes them; empty where there is no GPU."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    return _ask("index")


def gpu_modes() -> list[str]:
    """What an administrator has set for each GPU that there is, visible or not: in any mode but ``Default`` two
    processes cannot share it. Empty where that is not to be had: it decides about speed alone."""
    try:
        return _ask("compute_mode")
    except subprocess.TimeoutExpired:
        return []


def _ask(field: str) -> list[str]:
    """A word for each GPU; none without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={field}", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []
