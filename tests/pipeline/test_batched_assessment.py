"""What an assessment does on a GPU, done on a CPU: many runs in lock-step, as one by one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from seqtrack.assessment import results
from seqtrack.pipeline import assess_trial, loaded_tracker, plan, reassess
from seqtrack.pipeline.plan import Assessment
from seqtrack.tracking.base import BatchTracker
from tests.workbench import NUM_STEPS, TRAIN, Workbench

pytestmark = pytest.mark.slow
STARTS, SLOTS = 2, 4


@pytest.fixture(autouse=True)
def settings_of_torch_stay() -> Iterator[None]:
    """Those that an assessment makes hold for a process of its own."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(before[0])
    torch.use_deterministic_algorithms(before[1])
    torch.backends.cudnn.benchmark = before[2]


def watched(title: str) -> contextlib.AbstractContextManager[Callable[[int, int], object]]:
    return contextlib.nullcontext(lambda done, total: None)


def test_an_assessment_in_lock_step_finds_the_boxes_of_one_that_goes_one_by_one(
    continued: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More runs than slots, so that places are taken again; from a checkpoint on disk to published tracks."""
    run = continued.run_folder()
    given = {
        "eval_datasets": [f"otb:{TRAIN}"], "eval_tre_num": STARTS, "eval_batch": SLOTS, "device": "cpu",
        "tar_dir": str(continued.tars), "data_cache_dir": str(continued.folder / "dataset_cache"),
    }  # fmt: skip
    asked = reassess.request_for(run, given)
    chosen = reassess.at_step(run, [0], NUM_STEPS)
    (item,) = asked.eval_sets
    final = plan.final_folder(asked, run.trial(0), Assessment(item, NUM_STEPS))
    made: list[BatchTracker | None] = []

    def make_batch(*arguments: Any, **more: Any) -> BatchTracker | None:
        made.append(original(*arguments, **more))
        return made[-1]

    original = loaded_tracker.make_batch
    monkeypatch.setattr(loaded_tracker, "make_batch", make_batch)
    found = []
    for in_lockstep in (True, False):
        monkeypatch.setattr(assess_trial, "gains_by_batches", lambda device, answer=in_lockstep: answer)
        reassess.assess(asked, chosen, lambda line: None, watched)
        found.append({(one.name, one.start): one for one in results.load_results(final)})
        shutil.rmtree(final)

    assert [batch.slots for batch in made if batch is not None] == [SLOTS], "and none where it gains nothing"
    together, alone = found
    assert together.keys() == alone.keys() and len(alone) > 2 * SLOTS
    for key, one in alone.items():
        np.testing.assert_allclose(together[key].boxes, one.boxes, rtol=0, atol=1e-3)
        np.testing.assert_array_equal(together[key].frames, one.frames)
        assert len(np.unique(one.boxes[:, 0])) > 1, "it moves"
