"""seqtrack: train and assess visual object trackers, with mean ± std over seeds, on a laptop or a SLURM cluster."""

__version__ = "0.1.0"
