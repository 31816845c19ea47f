"""Many sequences one by one (A) against in lock-step, 32 at a time (B): frames per second, decoding included; and
whether frames are read and decoded as fast as they are tracked.

On a GPU if there is one; on a CPU the same shows that a batch gains nothing there, and why runs share the cores as
processes instead: two of them against one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from bench_tracking import video
from numpy.typing import ArrayLike, NDArray
from table import Row, main, seconds

from seqtrack.assessment import protocols
from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.data.processes import usable_cores
from seqtrack.models.siamfc import SiamFC
from seqtrack.pipeline.device import find_device, set_determinism
from seqtrack.pipeline.track_runs import Setup, on_cpu, on_device
from seqtrack.tracking.base import Boxes, Image
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker

SLOTS = 32
ROUNDS = 2


def generated(root: Path, sequences: int, length: int, size: tuple[int, int]) -> Dataset:
    """A data set in OTB's layout: JPEG files of quality 90."""
    for number in range(sequences):
        frames, boxes = video(number, length, size)
        folder = root / "data" / "original" / "many" / f"V{number:03d}"
        (folder / "img").mkdir(parents=True)
        np.savetxt(folder / "groundtruth_rect.txt", np.add(boxes, [1, 1, 0, 0]), "%d", ",")
        for t, frame in enumerate(frames):
            (folder / "img" / f"{t + 1:04d}.jpg").write_bytes(simplejpeg.encode_jpeg(frame, 90))
    locations = Locations(data_dir=root / "data", cache_dir=root / "index")
    return open_dataset(parse_dataset_name("otb:many"), locations, len)


class Idle:
    """Answers at once: what is left of the time is the feeding of frames."""

    slots = SLOTS

    def init(self, frames: Sequence[Image], boxes: Sequence[ArrayLike], slots: Sequence[int]) -> None:
        pass

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, NDArray[np.float64]]:
        return np.tile([1.0, 1.0, 10.0, 10.0], (len(frames), 1)), np.zeros(len(frames))


def rows() -> Iterator[Row]:
    device = find_device("auto")
    is_gpu = device.type != "cpu"
    set_determinism(1, False)
    torch.manual_seed(0)
    model = SiamFC().eval()
    with tempfile.TemporaryDirectory() as folder:
        dataset = generated(Path(folder), 64 if is_gpu else SLOTS, 100 if is_gpu else 4, (640, 480))
        runs = protocols.runs(protocols.sequences(dataset.index), "full")
        frames = sum(len(run.frames) for run in runs)
        single = SiamFCTracker(model, device=device)
        setup = Setup(lambda: lambda: single, dataset, protocols.OPE, 0, deterministic=False)
        batch = SiamFCBatchTracker(model, device=device, slots=SLOTS)

        alone = {result.name: result.boxes for _, done in on_device(setup, runs, None) for result in done}
        together = {result.name: result.boxes for _, done in on_device(setup, runs, batch) for result in done}
        apart = max(float(np.abs(boxes - together[name]).max()) for name, boxes in alone.items())
        # On a GPU other kernels are chosen for other shapes; what is promised there is promised for a CPU.
        yield Row("batched: boxes, distance to one by one", apart, "px", "<= 1e-3", is_gpu or apart <= 1e-3)

        def one_by_one() -> None:
            list(on_device(setup, runs, None))

        def in_lockstep() -> None:
            list(on_device(setup, runs, batch))

        def only_fed() -> None:
            list(on_device(setup, runs, Idle()))

        ratio, note = compared(one_by_one, in_lockstep, frames)
        target = ("batched: 32 in lock-step against one by one", ratio, "×")
        yield Row(*target, ">= 5" if is_gpu else "-", ratio >= 5 if is_gpu else None, f"{note}, {device.type}")
        # The same runs through the same decoders and the same loop, for a tracker that answers at once.
        fed, tracked = (frames / min(seconds(each) for _ in range(ROUNDS)) for each in (only_fed, in_lockstep))
        target = ("batched: frames read and decoded for each that is tracked", fed / tracked, "×")
        note = f"{fed:.0f} against {tracked:.0f} frames/s, {device.type}, {usable_cores()} cores"
        yield Row(*target, "> 1" if is_gpu else "-", fed > tracked if is_gpu else None, note)
        if not is_gpu:
            cores = usable_cores()
            ratio, note = compared(
                lambda: list(on_cpu(setup, runs, 1, at_once=True)),
                lambda: list(on_cpu(setup, runs, cores, at_once=True)),
                frames,
            )
            target = (f"batched: {cores} processes against one", ratio, "×")
            yield Row(*target, f">= {0.75 * cores:.1f}", ratio >= 0.75 * cores, note)
        dataset.close()


def compared(a: Callable[[], object], b: Callable[[], object], frames: int) -> tuple[float, str]:
    """Best of a few rounds in turn: how many times faster ``b`` is."""
    times = [(seconds(a), seconds(b)) for _ in range(ROUNDS)]
    slow, fast = (min(column) for column in zip(*times, strict=True))
    return slow / fast, f"{frames / slow:.0f} → {frames / fast:.0f} frames/s"


if __name__ == "__main__":
    main(rows)
