"""Preprocessing by the real thing on all cores, against decoding, resizing and encoding alone on one; and training
pairs from the crops that it makes, against decoding those crops alone.

Generated videos (see `bench_pairs`), 1280x720, quality 90, read from a folder. "Alone" is the same decoder at the
same reduction, the same resize and the same encoder, on bytes in memory, one after the other, nothing else.
Preprocessing is everything: starting the processes, reading, moving pictures between processes, checksums, the tar,
flushing it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from bench_pairs import photograph
from table import Row, main, paired

from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.exchange.packing import pack
from seqtrack.data.formats import DatasetName
from seqtrack.data.imaging.crops import crop_square
from seqtrack.data.imaging.images import RegionDecoder, decode_reduced, resize_view
from seqtrack.data.locations import Locations
from seqtrack.data.preprocessing.picture_maker import Recipe, crop_region
from seqtrack.data.preprocessing.preprocess import preprocess
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.samplers import PairRange
from seqtrack.data.storage.node_local import shared_memory_root

NAME = DatasetName("otb", "generated")
SIZE = (1280, 720)
VIDEOS, LENGTH, DISTINCT = 4, 250, 12
QUALITY = 95
ROUNDS = 3
BATCH, BATCHES = 8, 12
VERSIONS = {"crop_446": 1, "resize_force_360x360": 2, "resize_fit_640x640": 2}
"""By name, the reduction at which frames of this size are decoded (of crops: those whose target is small enough)."""


def generate(folder: Path) -> None:
    """Targets wander; sqrt(w h) from 8 to 17 % of the frame's height, so that crops are cut at full resolution."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    frames = [
        cv2.imencode(".jpg", photograph(rng, width, height, 1.4), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        for _ in range(DISTINCT)
    ]
    for video in range(VIDEOS):
        images = folder / f"Video{video}" / "img"
        images.mkdir(parents=True)
        rows = []
        for t in range(LENGTH):
            (images / f"{t + 1:04d}.jpg").write_bytes(frames[(video + t) % DISTINCT])
            side = height * rng.uniform(0.08, 0.17)
            rows.append(
                f"{rng.uniform(0, width - side):.2f},{rng.uniform(0, height - side):.2f},{side:.2f},{side:.2f}\n"
            )
        (images.parent / "groundtruth_rect.txt").write_text("".join(rows))


def alone(dataset: Dataset, preproc: str, shrink: int) -> Callable[[], None]:
    index = dataset.index
    jobs = []
    for video in range(index.num_videos):
        boxes = index.track(index.tracks_of(video)[0]).boxes
        jobs += [(dataset.read_frame(video, t), boxes[t].tolist()) for t in range(index.video_length(video))]
    force, fit = preproc.startswith("resize_force"), preproc.startswith("resize_fit")
    size = (360, 360) if force else (640, 360)

    def run() -> None:
        for data, box in jobs:
            if force or fit:
                pixels = resize_view(decode_reduced(data, shrink, ""), size)
            else:
                square, k = crop_region(box, 446)
                assert k == shrink
                pixels = crop_square(decode_reduced(data, 1, ""), square, 446)
            simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, "RGB", "420")

    return run


def efficiency(dataset: Dataset, preproc: str, shrink: int, out: Path, cores: int) -> tuple[float, float]:
    """(rate of preprocessing) / (cores x rate alone), median of rounds in turn; and the same of CPU times.

    The second is what the first would be if nobody else used the machine and processes started in no time.
    """
    bare = alone(dataset, preproc, shrink)

    def run() -> None:
        preprocess(dataset, Recipe(preproc, 1, QUALITY), out / preproc / "generated.tar", cores, overwrite=True)

    return paired(bare, run, ROUNDS) / cores, cpu_seconds(bare) / cpu_seconds(run)


def cpu_seconds(function: Callable[[], None]) -> float:
    """Of this process and of those that it starts and waits for."""
    before = os.times()
    function()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def pair_rate(dataset: Dataset) -> float:
    """(time of decoding the two crops of each pair alone) / (time of loading the pairs)."""
    source = PairSource({"a": dataset}, parse_mixture("a"), PairRange(), PairParams(), None, BATCH, seed=0)
    rows = [row for step in range(BATCHES) for row in source.batch(step)["sample"].tolist()]
    crops = [dataset.read_target(track, frame).data for _, track, a, b in rows for frame in (a, b)]

    def load() -> None:
        for step in range(BATCHES):
            source.batch(step)

    decoder = RegionDecoder()

    def bare() -> None:
        for data in crops:
            decoder.open(data, "")
            decoder.whole()

    return paired(bare, load)


def rows() -> Iterator[Row]:
    cv2.setNumThreads(1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    folder = Path(tempfile.mkdtemp(prefix="seqtrack-bench-"))
    try:
        generate(folder / "generated")
        here = Locations(data_paths={"generated": folder / "generated"}, cache_dir=folder / "cache")
        dataset = open_dataset(NAME, here, lambda _: None)
        for preproc, shrink in VERSIONS.items():
            value, of_cpu = efficiency(dataset, preproc, shrink, folder / "tars", cores)
            size = (folder / "tars" / preproc / "generated.tar").stat().st_size / (VIDEOS * LENGTH)
            note = f"{cores} cores, {size / 1000:.0f} kB a picture; by CPU time {of_cpu:.2f}"
            yield Row(f"preprocess to {preproc}", value, "x alone", ">= 0.8", value >= 0.8, note)
        places = {"tar in place": Locations(tar_dir=folder / "tars", preproc="crop_446", cache_dir=folder / "cache")}
        places["copied tar"] = Locations(
            tar_dir=folder / "tars", preproc="crop_446", cache_dir=folder / "cache", stage_mode="tar",
            tmp_data_dir=str(folder / "node"),
        )  # fmt: skip
        places["folder"] = Locations(
            tar_dir=folder / "tars", preproc="crop_446", cache_dir=folder / "cache", stage_mode="untar",
            tmp_data_dir=str(folder / "node"),
        )  # fmt: skip
        for kind in ("zip", "array_record"):
            tar = folder / "tars" / "crop_446" / "generated.tar"
            pack(NAME, tar, tar.with_suffix(f".{kind}"))
            places[f"{kind} in place"] = replace(places["tar in place"], storage=kind)
        if shared_memory_root() is not None:
            places["zip in shared memory"] = replace(places["zip in place"], stage_mode="memory")
        for name, locations in places.items():
            crops = open_dataset(NAME, locations, lambda _: None)
            value = pair_rate(crops)
            yield Row(f"pairs from crop_446, {name}", value, "x decode", ">= 0.75", value >= 0.75, "one process")
            crops.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(rows)
