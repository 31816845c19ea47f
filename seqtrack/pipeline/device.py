"""The device of a trial, and the settings of torch that decide whether bits repeat."""

from __future__ import annotations

import os
import sys

import cv2
import psutil
import torch

from seqtrack.data.processes import usable_cores
from seqtrack.errors import UserError

_BESIDE_BYTES = 2 << 30
# torch with CUDA, and half a GB of frames that are decoded ahead.
_HOST_BYTES = 4 << 30


def find_device(name: str) -> torch.device:
    """``auto`` is the first of cuda, mps, cpu that is there. UserError for one that is not."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[name]:
        raise UserError(f"--device={name}: torch sees no such device here; use --device=auto")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """The model of the GPU, or ``cpu``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def set_determinism(cpu_threads: int, deterministic: bool) -> None:
    """Must run before any arithmetic. The number of threads decides the order of sums, so it is fixed."""
    # Read by cuBLAS when it starts; without it some of its kernels are not repeatable.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(cpu_threads)
    # OpenCV's threads cost more than they give on crops, and do not survive the fork of a loader worker.
    cv2.setNumThreads(1)
    if (
        torch.are_deterministic_algorithms_enabled() != deterministic
    ):  # to say so takes seconds: it imports a compiler
        torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic


def let_go_of_memory() -> None:
    """Of what training kept on the GPU for later: others have use for it, and ``room_for_more`` would believe that
    each of them needs as much."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def room_for_more() -> int:
    """How many further processes like this one have room: on its GPU, and in the memory of the machine or of the job.
    A large number where it uses no GPU: forked ones share nearly all that they need."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return sys.maxsize
    free, _ = torch.cuda.mem_get_info()
    # Beside what torch reserves there is the context, and what cuDNN and cuBLAS take: 0.5 to 1 GB.
    on_gpu = int(free // (2 * torch.cuda.max_memory_reserved() + _BESIDE_BYTES))
    return max(0, min(on_gpu, _free_memory() // _HOST_BYTES))


def _free_memory() -> int:
    """Bytes of the machine that this process may still take; of a job of SLURM, of what it was given."""
    free = int(psutil.virtual_memory().available)
    granted = os.environ.get("SLURM_MEM_PER_NODE"), os.environ.get("SLURM_MEM_PER_CPU")
    for megabytes, shares in zip(granted, (1, usable_cores()), strict=True):
        if megabytes and megabytes.isdigit() and int(megabytes):
            free = min(free, (int(megabytes) << 20) * shares - psutil.Process().memory_info().rss)
    return free
