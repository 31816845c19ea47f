"""The runs of an assessment: the same numbers whoever tracks them, in whatever order, and nobody left behind."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import psutil
import pytest
import torch

from seqtrack.assessment import protocols
from seqtrack.assessment.protocols import OPE, SUPERVISED, Run
from seqtrack.assessment.results import SequenceResult
from seqtrack.assessment.scores import Labels
from seqtrack.data.datasets import Dataset, open_dataset
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.errors import DataError, TrialError
from seqtrack.models.params import parse_model_params
from seqtrack.models.siamfc import SiamFC
from seqtrack.pipeline import device, track_runs
from seqtrack.pipeline.assess_trial import what_a_track_depends_on
from seqtrack.pipeline.device import let_go_of_memory, room_for_more
from seqtrack.pipeline.track_runs import Advance, Setup, on_cpu, on_device
from seqtrack.tracking.courses import FAILED
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker
from seqtrack.tracking.static import StaticTracker
from tests.workbench import SMALL_MODEL, wait_for

STARTS = 3


@pytest.fixture(scope="module")
def dataset(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    cache = tmp_path_factory.mktemp("dataset_cache")
    opened = open_dataset(parse_dataset_name("otb:sample_eval"), Locations(tar_dir=tars, cache_dir=cache), len)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def runs(dataset: Dataset) -> list[Run]:
    found = protocols.runs(protocols.sequences(dataset.index), "full", STARTS)
    assert len(found) == 2 * STARTS
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    assert helpers() == []


def helpers() -> list[psutil.Process]:
    return [psutil.Process(process.pid) for process in multiprocessing.active_children()]


def network() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC(parse_model_params("siamfc", SMALL_MODEL)).eval()


def siamfc() -> SiamFCTracker:
    return SiamFCTracker(network())


def siamfc_batch(slots: int) -> SiamFCBatchTracker:
    return SiamFCBatchTracker(network(), slots=slots)


def no_batch(slots: int) -> None:
    """Of a family that has none."""


def set_up(make_tracker: Callable[[], Any], dataset: Dataset, protocol: str = OPE, seed: int = 5) -> Setup:
    # Deterministic algorithms take seconds to ask for, and nothing here knows of others.
    return Setup(functools.partial(as_it_is, make_tracker), dataset, protocol, seed, deterministic=False)


def as_it_is(make_tracker: Callable[[], Any]) -> Callable[[], Any]:
    return make_tracker


class Gambler(StaticTracker):
    """Draws lots from every global generator there is."""

    def update(self, frame: Any) -> Any:
        import random

        self._box += 9 * np.array([random.random(), np.random.random(), float(torch.rand(())), 0])
        return super().update(frame)


class Moody(StaticTracker):
    """Draws lots from a generator of its own, which is seeded when it is made, and remembers what it has seen."""

    def __init__(self) -> None:
        self._mood = np.random.default_rng(0)
        self._seen = float(np.random.random())  # of the run's own lots

    def update(self, frame: Any) -> Any:
        self._seen += 1
        self._box += [self._mood.normal(), self._seen / 100, 0, 0]
        return super().update(frame)


class Counting(StaticTracker):
    """Every frame takes as long by its clock, however fast the machine is."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def update(self, frame: Any) -> Any:
        self._clock[0] += self._seconds
        return super().update(frame)


class Held(StaticTracker):
    """In the helpers that come first, ``count`` of them, it stands still at some frame of all that they are given,
    until ``let`` is there; each leaves its number in ``folder`` when it has arrived, and when it has been let
    through."""

    _frames: ClassVar[Counter[int]] = Counter()  # by process

    def __init__(self, home: int, folder: Path, count: int, frame: int) -> None:
        self._home, self._folder, self._count, self._frame = home, folder, count, frame

    def init(self, frame: Any, box: Any) -> None:
        with (self._folder / "begun").open("a") as file:
            file.write(".")  # a run
        super().init(frame, box)

    def update(self, frame: Any) -> Any:
        me = os.getpid()
        self._frames[me] += 1
        if self._frames[me] == self._frame and me != self._home and len(arrived(self._folder)) < self._count:
            (self._folder / f"at-{os.getpid()}").touch()
            while not (self._folder / "let").exists():
                time.sleep(0.005)
            (self._folder / f"through-{os.getpid()}").touch()
        return super().update(frame)


def held(folder: Path, count: int, frame: int = 5) -> Callable[[], Held]:
    return functools.partial(Held, os.getpid(), folder, count, frame)


def arrived(folder: Path) -> set[int]:
    return {int(path.name.removeprefix("at-")) for path in folder.glob("at-*")}


def attacked(advances: Iterable[Advance], folder: Path, killed: set[int]) -> Iterator[Advance]:
    """The same, while each helper that stands still is killed."""
    for advance in advances:
        yield advance
        for helper in arrived(folder) - killed:
            killed.add(helper)
            psutil.Process(helper).kill()


class Failing(StaticTracker):
    """Fails in any process but the one that made the test."""

    def __init__(self, home: int, error: BaseException) -> None:
        self._home, self._error = home, error

    def update(self, frame: Any) -> Any:
        if os.getpid() != self._home:
            raise self._error
        return super().update(frame)


def gathered(advances: Iterable[Advance], runs: list[Run]) -> dict[tuple[str, int], SequenceResult]:
    frames, found = 0, {}
    for advanced, finished in advances:
        frames += advanced
        found.update({(result.name, result.start): result for result in finished})
    assert frames == sum(len(run.frames) for run in runs)
    assert sorted(found) == sorted(run.key for run in runs)
    return found


def assert_equal(a: dict[tuple[str, int], SequenceResult], b: dict[tuple[str, int], SequenceResult]) -> None:
    for key, result in a.items():
        for name in ("frames", "boxes", "scores", "codes"):
            np.testing.assert_array_equal(getattr(result, name), getattr(b[key], name))


@pytest.mark.parametrize(
    ("make_tracker", "protocol"), [(siamfc, OPE), (Gambler, OPE), (Gambler, SUPERVISED), (Moody, OPE)]
)
def test_two_processes_find_to_the_last_bit_what_one_does(
    dataset: Dataset, runs: list[Run], make_tracker: Callable[[], Any], protocol: str
) -> None:
    setup = set_up(make_tracker, dataset, protocol)
    alone = gathered(on_cpu(setup, runs, 1, at_once=True), runs)
    assert_equal(alone, gathered(on_cpu(setup, runs, 3, at_once=True), runs))
    assert_equal(alone, gathered(on_cpu(setup, runs[::-1], 1, at_once=True), runs))
    if make_tracker is Moody:
        assert_equal(alone, gathered(on_device(setup, runs, no_batch, 32), runs))
        first = {key: result.boxes[1] - result.boxes[0] for key, result in alone.items()}
        assert len({step[0].round(9) for step in first.values()}) == 1  # whatever was tracked before
        assert len({step[1].round(9) for step in first.values()}) == len(runs)
    if protocol == SUPERVISED:
        assert any((result.codes == FAILED).any() for result in alone.values())


class Beside(StaticTracker):
    """Not half a pixel from losing the target: one column is shared by pysot's count, none by vot-toolkit's."""

    def update(self, frame: Any) -> Any:
        return self._box + np.array([9.6, 0, 0, 0]), 1.0


def test_a_restart_is_where_the_convention_sees_no_overlap(dataset: Dataset, runs: list[Run]) -> None:
    sequence, total = runs[0].sequence, len(runs[0].sequence.frames)
    still = Labels(sequence.name, np.tile([4.0, 4.0, 10.0, 10.0], (total, 1)), np.ones(total, bool))
    run = Run(replace(sequence, labels=still), 0, 0)
    for rule, has_failed in (("pysot", False), ("vot", True)):
        setup = replace(set_up(Beside, dataset, SUPERVISED), rule=rule)
        found = gathered(on_cpu(setup, [run], 1, at_once=False), [run])[run.key]
        assert (found.codes == FAILED).any() == has_failed, rule


def test_tracks_with_restarts_are_those_of_their_convention_others_of_any() -> None:
    def same(eval_id: str) -> bool:
        one, other = ({"eval_id": eval_id, "convention": name, "assess": {}} for name in ("pysot", "vot"))
        return what_a_track_depends_on(one) == what_a_track_depends_on(other)

    assert [same(f"vot2018-{sampler}") for sampler in ("supervised", "longterm", "full")] == [False, True, True]


def test_so_does_a_process_that_starts_from_nothing(
    dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQTRACK_START_METHOD", "spawn")
    setup, longest = set_up(siamfc, dataset), [run for run in runs if run.start == 0]
    alone = gathered(on_cpu(setup, longest, 1, at_once=True), longest)
    assert_equal(alone, gathered(on_cpu(setup, longest, 2, at_once=True), longest))


def test_other_repetitions_and_seeds_draw_other_lots(dataset: Dataset, runs: list[Run]) -> None:
    def boxes(seed: int, run: Run) -> np.ndarray:
        return gathered(on_cpu(set_up(Gambler, dataset, OPE, seed), [run], 1, False), [run])[run.key].boxes

    again = Run(runs[0].sequence, 7, runs[0].start)
    assert np.array_equal(boxes(1, runs[0]), boxes(1, runs[0]))
    assert not np.array_equal(boxes(1, runs[0]), boxes(1, again))
    assert not np.array_equal(boxes(1, runs[0]), boxes(2, runs[0]))


@pytest.mark.parametrize("protocol", [OPE, SUPERVISED])
def test_a_batch_finds_what_one_after_the_other_finds(dataset: Dataset, runs: list[Run], protocol: str) -> None:
    setup = set_up(siamfc, dataset, protocol)
    alone = gathered(on_cpu(setup, runs, 1, True), runs)
    for load_batch in (siamfc_batch, no_batch):
        together = gathered(on_device(setup, runs, load_batch, 4), runs)
        for key, result in alone.items():
            np.testing.assert_array_equal(together[key].codes, result.codes)
            np.testing.assert_allclose(together[key].boxes, result.boxes, rtol=0, atol=1e-3)


def test_so_do_batches_in_several_processes(dataset: Dataset, runs: list[Run]) -> None:
    """To the last bit, however many there are: a batch always has as many places."""
    setup = set_up(siamfc, dataset)
    alone = gathered(on_device(setup, runs, siamfc_batch, 2), runs)
    assert_equal(alone, gathered(on_device(setup, runs, siamfc_batch, 2, processes=3, at_once=True), runs))


@pytest.mark.parametrize(
    ("free", "memory", "job", "helpers_wanted"),
    [
        (9, 99, {}, 3),
        (7, 99, {}, 2),
        (2, 99, {}, 0),
        (9, 9, {}, 2),
        (9, 99, {"SLURM_MEM_PER_NODE": "8300"}, 1),
        (9, 99, {"SLURM_MEM_PER_CPU": "4150"}, 2),  # of three
        (9, 99, {"SLURM_MEM_PER_NODE": "0"}, 3),  # all of the node's
        (9, 99, {"SLURM_MEM_PER_NODE": "100"}, 0),
    ],
)
def test_no_more_processes_than_have_room_on_the_gpu_and_beside_it(
    dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch,
    free: int, memory: int, job: dict[str, str], helpers_wanted: int,
) -> None:  # fmt: skip
    """There each takes 3 GB: what this one has reserved, twice, and what is not torch's; here 4, this one some."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 1 << 29)
    monkeypatch.setattr(device.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory << 30))
    monkeypatch.setattr(device, "usable_cores", lambda: 3)
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"):
        monkeypatch.delenv(name, raising=False)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    advances = on_cpu(set_up(StaticTracker, dataset), runs, 4, at_once=True)
    assert max(len(helpers()) for _ in advances) == helpers_wanted


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried to allocate 1 GiB", "CUDA device is busy or unavailable"]
)
def test_a_helper_that_has_no_place_on_the_gpu_leaves_its_share_to_the_others(
    dataset: Dataset, runs: list[Run], caplog: pytest.LogCaptureFixture, words: str
) -> None:
    setup = set_up(functools.partial(Failing, os.getpid(), RuntimeError(f"{words}\nmore words")), dataset)
    found = gathered(on_cpu(setup, runs, 3, at_once=True), runs)
    assert_equal(found, gathered(on_cpu(set_up(StaticTracker, dataset), runs, 1, at_once=True), runs))
    said = {record.getMessage() for record in caplog.records}
    assert said <= {f"one process fewer helps this trial: {words}"}


def test_what_training_took_there_is_not_expected_of_those_that_track(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 GB it once had 14; 6 of the 7 that it still has are in no use."""
    gpu = SimpleNamespace(in_use=1, reserved=7, peak=14)

    def empty_cache() -> None:
        gpu.reserved = gpu.in_use

    def reset_peak_memory_stats() -> None:
        gpu.peak = gpu.reserved

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset_peak_memory_stats)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (24 - gpu.reserved << 30, 24 << 30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: gpu.peak << 30)
    monkeypatch.setattr(device, "_free_memory", lambda: 99 << 30)
    assert room_for_more() == 0
    let_go_of_memory()
    assert room_for_more() == (24 - 1) // (2 * 1 + 2)


@pytest.mark.parametrize(("frames_worth", "slots"), [(1_000, [32]), (10, [8])])
def test_little_work_on_a_gpu_is_done_here_with_all_slots(
    dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch, frames_worth: int, slots: list[int]
) -> None:
    monkeypatch.setattr(track_runs, "WORTH_FRAMES_ON_DEVICE", frames_worth)
    asked: list[int] = []
    gathered(on_device(set_up(StaticTracker, dataset), runs, asked.append, slots=32, processes=4), runs)
    assert asked == slots


def test_little_work_is_done_here(dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(track_runs, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def helpers_for(seconds: float) -> int:
        """At most, if a frame takes so long."""
        setup = set_up(functools.partial(Counting, clock, seconds), dataset)
        return max(len(helpers()) for _ in on_cpu(setup, runs, 4, at_once=False))

    frames = sum(len(run.frames) for run in runs)
    assert helpers_for(track_runs.WORTH_SECONDS / frames) == 0
    assert helpers_for(2 * track_runs.WORTH_SECONDS / frames) == 3


def test_the_run_of_a_helper_that_is_killed_is_done_again(
    dataset: Dataset, runs: list[Run], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed: set[int] = set()
    advances = on_cpu(set_up(held(tmp_path, 1), dataset), runs, 2, at_once=True)
    found = gathered(attacked(advances, tmp_path, killed), runs)  # which adds up its frames
    assert len(killed) == 1
    assert_equal(found, gathered(on_cpu(set_up(StaticTracker, dataset), runs, 1, at_once=True), runs))
    said = "a process that helps this trial was killed by SIGKILL (out of memory?); another takes its place"
    assert [record.getMessage() for record in caplog.records].count(said) == 1


def test_of_a_share_the_runs_that_had_ended_are_not_done_again(
    dataset: Dataset, runs: list[Run], tmp_path: Path
) -> None:
    """A helper that has three runs is killed in the second of them."""
    told: Counter[tuple[str, int]] = Counter()
    killed: set[int] = set()
    setup = set_up(held(tmp_path, 1, len(runs[0].frames) + 3), dataset)

    def counted(advances: Iterable[Advance]) -> Iterator[Advance]:
        for advance in advances:
            told.update((result.name, result.start) for result in advance[1])
            yield advance

    advances = on_device(setup, runs, no_batch, slots=3, processes=2, at_once=True)
    found = gathered(counted(attacked(advances, tmp_path, killed)), runs)  # which adds up its frames
    assert len(killed) == 1
    assert set(told.values()) == {1}
    assert len((tmp_path / "begun").read_text()) == len(runs) + 1
    assert_equal(found, gathered(on_cpu(set_up(StaticTracker, dataset), runs, 1, at_once=True), runs))


def changed_in_others(home: int) -> list[str]:
    return [] if os.getpid() == home else ["seqtrack/tracking/siamfc.py"]


def test_a_helper_that_is_spawned_does_not_track_by_other_code(
    dataset: Dataset, runs: list[Run], caplog: pytest.LogCaptureFixture
) -> None:
    """What is forked has the code of the trial, whatever became of the files."""
    setup = replace(set_up(StaticTracker, dataset), changed_code=lambda: ["seqtrack/tracking/siamfc.py"])
    alone = gathered(on_cpu(setup, runs, 1, at_once=True), runs)
    assert_equal(alone, gathered(on_cpu(setup, runs, 3, at_once=True), runs))
    assert caplog.messages == []
    assert_equal(alone, gathered(on_device(setup, runs, no_batch, 3, processes=2, at_once=True), runs))
    assert caplog.messages == ["code changed meanwhile, so nobody helps: seqtrack/tracking/siamfc.py"]
    setup = replace(setup, changed_code=functools.partial(changed_in_others, os.getpid()))  # just when it starts
    with pytest.raises(TrialError, match=r"^code changed while it was assessed: seqtrack/tracking/siamfc.py; give"):
        gathered(on_device(setup, runs, no_batch, 3, processes=2, at_once=True), runs)


def test_where_helpers_are_killed_again_and_again_it_ends(dataset: Dataset, runs: list[Run], tmp_path: Path) -> None:
    killed: set[int] = set()
    with (
        contextlib.closing(on_cpu(set_up(held(tmp_path, 9), dataset), runs, 2, at_once=True)) as advances,
        pytest.raises(
            TrialError,
            match=r"^a process that helps this trial was killed by SIGKILL \(out of memory\?\), as 2 others were",
        ),
    ):
        for _ in attacked(advances, tmp_path, killed):
            pass
    assert len(killed) == 3


def test_a_run_is_begun_when_its_turn_comes(
    dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has arrays as long as itself, and there may be thousands."""
    begin, begun = Setup.begin, []

    def counted(setup: Setup, run: Run, tracker: Any) -> Any:
        begun.append(run.key)
        return begin(setup, run, tracker)

    monkeypatch.setattr(Setup, "begin", counted)
    with contextlib.closing(on_device(set_up(StaticTracker, dataset), runs, no_batch, 32)) as advances:
        next(advances)
        assert len(begun) == 2  # and the next, whose first frames are being decoded


def test_who_stops_leaves_nobody_behind(dataset: Dataset, runs: list[Run], tmp_path: Path) -> None:
    advances = on_cpu(set_up(held(tmp_path, 2), dataset), runs, 3, at_once=True)
    while len(arrived(tmp_path)) < 2:  # each with a run; this process waits for them when it has done the others
        next(advances)
    one, two = helpers()
    one.terminate()  # whoever asks to stop asks the trial, not those that help it
    (tmp_path / "let").touch()
    wait_for((tmp_path / f"through-{one.pid}").exists, "a helper that goes on")
    advances.close()
    assert not one.is_running() and not two.is_running()


@pytest.mark.parametrize("error", [DataError("frame 3 is damaged"), ZeroDivisionError("in a person's own tracker")])
def test_what_a_helper_meets_is_raised_here(dataset: Dataset, runs: list[Run], error: Exception) -> None:
    setup = set_up(functools.partial(Failing, os.getpid(), error), dataset)
    with pytest.raises(type(error), match=str(error)):
        list(on_cpu(setup, runs, 2, at_once=True))


def test_a_helper_that_somebody_ends_from_within_is_a_fault(dataset: Dataset, runs: list[Run]) -> None:
    setup = set_up(functools.partial(Failing, os.getpid(), SystemExit(0)), dataset)
    with pytest.raises(TrialError, match=r"^SystemExit: 0$"):
        list(on_cpu(setup, runs, 2, at_once=True))
