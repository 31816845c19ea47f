"""seqtrack: train and assess visual object trackers, with mean ± std over seeds, on a laptop or a SLURM cluster."""

from typing import Any

__version__ = "0.1.0"

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    """``seqtrack.load_run``, which brings pandas with it, when it is first asked for."""
    if name != "load_run":
        raise AttributeError(f"module 'seqtrack' has no attribute {name!r}")
    import importlib

    # By name: what an import statement names counts as the code that made a result (runs/code.py).
    return importlib.import_module("seqtrack.reporting.frames").load_run
