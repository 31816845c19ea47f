"""A tracker for the experiments of the got10k toolkit (0.1.3): theirs runs ours, and reports on it.

    >>> from got10k.experiments import ExperimentOTB
    >>> from seqtrack.integrations.got10k import Tracker
    >>> experiment = ExperimentOTB("data/OTB", version=2015)
    >>> experiment.run(Tracker.load("cache/…/checkpoints/step_00100000", experiment))

Facts about the toolkit, from its code (github.com/got-10k/toolkit): images come as PIL's, boxes x y w h as the
benchmark's files have them, whose first pixel is 1 in those that were made with MATLAB; so do answers go back.
``ExperimentGOT10k`` and ``ExperimentVOT`` run a tracker up to 3 and 15 times unless it says that it is deterministic.
Result files are rounded to 0.001 px, so scores of boxes with more digits may differ from ours in the fifth one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqtrack.data.imaging import images
from seqtrack.pipeline.loaded_tracker import load_tracker
from seqtrack.tracking.base import Boxes
from seqtrack.tracking.base import Tracker as OurTracker

# By name of the experiment: the readers of ``seqtrack/data/formats`` say on whose word. All others count from 0.
ONE_BASED = ("ExperimentOTB", "ExperimentTColor128", "ExperimentUAV123", "ExperimentDTB70")


class Tracker:
    """What ``experiment.run`` takes: name, is_deterministic, init, update, track.

    Args:
        tracker: any Tracker of ours.
        experiment: the one that runs it, or the name of its class: it decides what the first pixel is called.
        name: of the folder of results.
        is_deterministic: whether once is enough.
    """

    def __init__(
        self, tracker: OurTracker, experiment: Any = None, name: str = "seqtrack", is_deterministic: bool = True
    ) -> None:
        self._tracker = tracker
        self._first_pixel = first_pixel(experiment)
        self.name = name
        self.is_deterministic = is_deterministic

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        experiment: Any = None,
        name: str = "seqtrack",
        tracker_params: dict[str, Any] | None = None,
        device: str = "auto",
    ) -> Tracker:
        """From a checkpoint folder. Raises UserError where it is none."""
        return cls(load_tracker(checkpoint, tracker_params, device), experiment, name)

    def init(self, image: Any, box: ArrayLike) -> None:
        """``image``: PIL's, of any mode, or an RGB array."""
        first = np.array(box, np.float64).reshape(4)
        first[:2] -= self._first_pixel
        self._tracker.init(_pixels(image), first)

    def update(self, image: Any) -> Boxes:
        box = np.array(self._tracker.update(_pixels(image))[0], np.float64).reshape(4)
        box[:2] += self._first_pixel
        return box

    def track(
        self, img_files: Sequence[str], box: ArrayLike, visualize: bool = False
    ) -> tuple[Boxes, NDArray[np.float64]]:
        """(T, 4) boxes, the first as given, and (T,) seconds in the tracker. Frames are decoded as seqtrack does."""
        boxes, times = np.zeros((len(img_files), 4)), np.zeros(len(img_files))
        boxes[0] = box
        for number, file in enumerate(img_files):
            image = images.decode(Path(file).read_bytes(), file)
            start = time.perf_counter()
            if number == 0:
                self.init(image, box)
            else:
                boxes[number] = self.update(image)
            times[number] = time.perf_counter() - start
            if visualize:
                from got10k.utils.viz import show_frame

                show_frame(image, boxes[number])
        return boxes, times


def first_pixel(experiment: Any) -> float:
    """What the experiment calls the first pixel. ``experiment``: object, class, or its name; None means 0."""
    if experiment is None:
        return 0.0
    if isinstance(experiment, str):
        names = [experiment]
    else:
        kind = experiment if isinstance(experiment, type) else type(experiment)
        # The nearest that is known: ExperimentNfS is one of OTB's, but counts from 0.
        names = [base.__name__ for base in kind.__mro__ if base.__module__.startswith("got10k.")][:1]
    return 1.0 if names and names[0] in ONE_BASED else 0.0


def _pixels(image: Any) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB") if hasattr(image, "convert") else image, np.uint8)
