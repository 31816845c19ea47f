"""What follows from a data set's name: by whose rules it is assessed, and where its publisher counts pixels from."""

from __future__ import annotations

from seqtrack.data.formats import DatasetName
from seqtrack.data.formats.published import ONE_BASED

_ONE_BASED_LAYOUTS = ("otb", "tc128", "uav123", "dtb70")
# What carries data sets of many benchmarks: the folder's name says of which.
_CARRIERS = ("pysot", "clean", "tfds")


def benchmark_of(name: DatasetName) -> str:
    """The name by whose beginning (and end: ``_longterm``) conventions, the interval of EAO and the benchmark's own
    protocol are found; lower case, the layout first: ``lasot_test``, ``lasot_videos`` for lasot:videos, ``vot2019``
    for vot:VOT2019 and for pysot:VOT2019."""
    folder = name.folder.lower()
    return folder if name.layout in _CARRIERS or folder.startswith(name.layout) else f"{name.layout}_{folder}"


def first_pixel(name: DatasetName) -> float:
    """What the publisher calls the first pixel: 1 where the benchmark was made with MATLAB, else 0."""
    if name.layout == "pysot":
        return float(benchmark_of(name).startswith(ONE_BASED))
    return float(name.layout in _ONE_BASED_LAYOUTS)
