"""Many sequences one by one (A) against in lock-step, 32 at a time (B): frames per second, decoding included; and
whether frames are read and decoded as fast as they are tracked.

On a GPU if there is one, where the batch is shared by processes; on a CPU the same shows that a batch gains nothing
there, and why runs share the cores as processes instead: two of them against one.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from bench_tracking import video
from numpy.typing import ArrayLike, NDArray
from table import Row, main, seconds

from seqtrack.assessment import protocols
from seqtrack.assessment.protocols import Run
from seqtrack.config import ExecutionConfig
from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.data.processes import usable_cores
from seqtrack.models.siamfc import SiamFC
from seqtrack.pipeline.cores import processes_on_gpu
from seqtrack.pipeline.device import find_device, set_determinism
from seqtrack.pipeline.track_runs import Advance, Setup, on_cpu, on_device
from seqtrack.tracking.base import BatchTracker, Boxes, Image
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker

SLOTS = 32
ROUNDS = 2
REPEATS = 10  # of 64 videos of 100 frames on a GPU: several seconds beyond the start of the processes


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

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def init(self, frames: Sequence[Image], boxes: Sequence[ArrayLike], slots: Sequence[int]) -> None:
        pass

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, NDArray[np.float64]]:
        return np.tile([1.0, 1.0, 10.0, 10.0], (len(frames), 1)), np.zeros(len(frames))


def network() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC().eval()


def load_one(device: torch.device) -> Callable[[], SiamFCTracker]:
    single = SiamFCTracker(network(), device=device)
    return lambda: single


def load_batch(device: torch.device, slots: int) -> SiamFCBatchTracker:
    return SiamFCBatchTracker(network(), device=device, slots=slots)


def no_batch(slots: int) -> None:
    """As of a family that has none."""


def rows() -> Iterator[Row]:
    device = find_device("auto")
    set_determinism(1, False)
    is_gpu = device.type != "cpu"
    with tempfile.TemporaryDirectory() as folder:
        dataset = generated(Path(folder), 64 if is_gpu else SLOTS, 100 if is_gpu else 4, (640, 480))
        setup = Setup(functools.partial(load_one, device), dataset, protocols.OPE, 0, deterministic=False)
        runs = protocols.runs(protocols.sequences(dataset.index), "full")
        frames = sum(len(run.frames) for run in runs)
        batch = functools.partial(load_batch, device)

        alone = {result.name: result.boxes for _, done in on_device(setup, runs, no_batch, 1) for result in done}
        together = {result.name: result.boxes for _, done in on_device(setup, runs, batch, SLOTS) for result in done}
        apart = max(float(np.abs(boxes - together[name]).max()) for name, boxes in alone.items())
        # On a GPU other kernels are chosen for other shapes; what is promised there is promised for a CPU.
        yield Row("batched: boxes, distance to one by one", apart, "px", "<= 1e-3", is_gpu or apart <= 1e-3)

        if is_gpu:
            yield from _on_gpu(setup, runs, batch)
            dataset.close()
            return

        def one_by_one() -> None:
            list(on_device(setup, runs, no_batch, 1))

        def in_lockstep() -> None:
            list(on_device(setup, runs, batch, SLOTS))

        ratio, note = compared(one_by_one, in_lockstep, frames)
        yield Row("batched: 32 in lock-step against one by one", ratio, "×", "-", None, f"{note}, {device.type}")
        # The same runs through the same decoders and the same loop, for a tracker that answers at once.
        fed, tracked = (
            frames / min(seconds(each) for _ in range(ROUNDS))
            for each in (lambda: list(on_device(setup, runs, Idle, SLOTS)), in_lockstep)
        )
        note = f"{fed:.0f} against {tracked:.0f} frames/s, {device.type}, {usable_cores()} cores"
        yield Row("batched: frames read and decoded for each that is tracked", fed / tracked, "×", "-", None, note)
        cores = usable_cores()
        ratio, note = compared(
            lambda: list(on_cpu(setup, runs, 1, at_once=True)),
            lambda: list(on_cpu(setup, runs, cores, at_once=True)),
            frames,
        )
        target = (f"batched: {cores} processes against one", ratio, "×")
        yield Row(*target, f">= {0.75 * cores:.1f}", ratio >= 0.75 * cores, note)
        dataset.close()


def _on_gpu(setup: Setup, runs: list[Run], batch: Callable[[int], BatchTracker]) -> Iterator[Row]:
    """Rates once all processes are at work: each takes some 10 s to start, and a benchmark takes minutes."""
    processes = processes_on_gpu(ExecutionConfig(cache_dir=Path(), slurm=True))
    many = [replace(run, number=number) for number in range(REPEATS) for run in runs]
    slow = rate(on_device(setup, runs, no_batch, 1))
    for used in sorted({1, processes}):
        some = runs if used == 1 else many
        fast = rate(on_device(setup, some, batch, SLOTS, used, at_once=True))
        fed = rate(on_device(setup, some, Idle, SLOTS, used, at_once=True))
        how = f"{used} process" if used == 1 else f"{used} processes"
        note, is_used = f"{slow:.0f} → {fast:.0f} frames/s", used == processes
        name, ratio = f"batched: 32 in lock-step, {how}, against one by one", fast / slow
        yield Row(name, ratio, "×", ">= 5" if is_used else "-", ratio >= 5 if is_used else None, note)
        note = f"{fed:.0f} against {fast:.0f} frames/s, {usable_cores()} cores"
        name = f"batched: frames read and decoded for each that is tracked, {how}"
        yield Row(name, fed / fast, "×", "> 1" if is_used else "-", fed > fast if is_used else None, note)


def rate(advances: Iterable[Advance]) -> float:
    """Frames per second from half of all frames on, but for the last tenth, in which there is not work for all."""
    clock, counts = [time.perf_counter()], [0]
    for frames, _ in advances:
        clock.append(time.perf_counter())
        counts.append(counts[-1] + frames)
    first, last = (int(np.searchsorted(counts, share * counts[-1])) for share in (0.5, 0.9))
    return (counts[last] - counts[first]) / (clock[last] - clock[first])


def compared(a: Callable[[], object], b: Callable[[], object], frames: int) -> tuple[float, str]:
    """Best of a few rounds in turn: how many times faster ``b`` is."""
    times = [(seconds(a), seconds(b)) for _ in range(ROUNDS)]
    slow, fast = (min(column) for column in zip(*times, strict=True))
    return slow / fast, f"{frames / slow:.0f} → {frames / fast:.0f} frames/s"


if __name__ == "__main__":
    main(rows)
