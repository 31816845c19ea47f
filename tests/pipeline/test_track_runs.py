"""The runs of an assessment: the same numbers whoever tracks them, in whatever order, and nobody left behind."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from seqtrack.pipeline import track_runs
from seqtrack.pipeline.assess_trial import what_a_track_depends_on
from seqtrack.pipeline.track_runs import Advance, Setup, on_cpu, on_device
from seqtrack.tracking.courses import FAILED
from seqtrack.tracking.siamfc import SiamFCBatchTracker, SiamFCTracker
from seqtrack.tracking.static import StaticTracker
from tests.workbench import SMALL_MODEL

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


def set_up(make_tracker: Callable[[], Any], dataset: Dataset, protocol: str = OPE, seed: int = 5) -> Setup:
    # Deterministic algorithms take seconds to ask for, and nothing here knows of others.
    return Setup(make_tracker, dataset, protocol, seed, deterministic=False)


class Gambler(StaticTracker):
    """Draws lots from every global generator there is."""

    def update(self, frame: Any) -> Any:
        import random

        self._box += 9 * np.array([random.random(), np.random.random(), float(torch.rand(())), 0])
        return super().update(frame)


class Slow(StaticTracker):
    def update(self, frame: Any) -> Any:
        time.sleep(0.005)
        return super().update(frame)


class Failing(StaticTracker):
    """Fails in any process but the one that made the test."""

    def __init__(self, home: int, error: Exception) -> None:
        self._home, self._error = home, error

    def update(self, frame: Any) -> Any:
        time.sleep(0.002)
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


@pytest.mark.parametrize(("make_tracker", "protocol"), [(siamfc, OPE), (Gambler, OPE), (Gambler, SUPERVISED)])
def test_two_processes_find_to_the_last_bit_what_one_does(
    dataset: Dataset, runs: list[Run], make_tracker: Callable[[], Any], protocol: str
) -> None:
    setup = set_up(make_tracker, dataset, protocol)
    alone = gathered(on_cpu(setup, runs, 1, at_once=True), runs)
    assert_equal(alone, gathered(on_cpu(setup, runs, 3, at_once=True), runs))
    assert_equal(alone, gathered(on_cpu(setup, runs[::-1], 1, at_once=True), runs))
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
    for batch in (SiamFCBatchTracker(network(), slots=4), None):
        together = gathered(on_device(setup, runs, batch), runs)
        for key, result in alone.items():
            np.testing.assert_array_equal(together[key].codes, result.codes)
            np.testing.assert_allclose(together[key].boxes, result.boxes, rtol=0, atol=1e-3)


def test_little_work_is_done_here(dataset: Dataset, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    setup = set_up(functools.partial(Slow), dataset)
    assert max(len(helpers()) for _ in on_cpu(setup, runs, 4, at_once=False)) == 0
    # Had the same looked like more, they would have come.
    monkeypatch.setattr(track_runs, "FIRST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(track_runs, "WORTH_SECONDS", 0.01)
    assert max(len(helpers()) for _ in on_cpu(setup, runs, 4, at_once=False)) == 3


def test_a_helper_that_is_killed_is_said_so(dataset: Dataset, runs: list[Run]) -> None:
    advances = on_cpu(set_up(Slow, dataset), runs, 2, at_once=True)
    with contextlib.closing(advances):
        next(advances)
        next(advances)
        helpers()[0].send_signal(signal.SIGSTOP)  # so that it is not done before it is killed
        helpers()[0].kill()
        with pytest.raises(
            TrialError,
            match=r"^a process that helps this trial was killed by SIGKILL \(out of memory\?\); give the same",
        ):
            list(advances)


def test_who_stops_leaves_nobody_behind(dataset: Dataset, runs: list[Run]) -> None:
    advances = on_cpu(set_up(Slow, dataset), runs, 3, at_once=True)
    next(advances)
    next(advances)
    (one, two) = helpers()
    one.terminate()  # whoever asks to stop asks the trial, not those that help it
    time.sleep(0.02)
    assert one.is_running()
    advances.close()
    assert not one.is_running() and not two.is_running()


@pytest.mark.parametrize("error", [DataError("frame 3 is damaged"), ZeroDivisionError("in a person's own tracker")])
def test_what_a_helper_meets_is_raised_here(dataset: Dataset, runs: list[Run], error: Exception) -> None:
    setup = set_up(functools.partial(Failing, os.getpid(), error), dataset)
    with pytest.raises(type(error), match=str(error)):
        list(on_cpu(setup, runs, 2, at_once=True))
