"""A tracker that is not ours: a person's object with ``init`` and ``update``, called and checked like any other."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqtrack.data.sampling.rng import generator
from seqtrack.errors import DataError
from seqtrack.tracking.base import Boxes, Image

log = logging.getLogger(__name__)

# What a tracker that gives no confidence says of every box, so that long-term metrics count all of its frames.
SURE = 1.0


class ExternalTracker:
    """Makes a ``Tracker`` of an object with ``init(image, box)`` and ``update(image) -> box`` or ``(box, score)``.

    ``image`` is (H, W, 3) uint8 RGB, ``box`` x y w h in its pixels, 0-based. ``name`` is how messages call it.
    DataError (a person's to mend) for an answer that is no box, and where it raises; its traceback goes to the log.
    """

    def __init__(self, inner: Any, name: str) -> None:
        self._inner, self._name = inner, name

    def init(self, frame: Image, box: ArrayLike) -> None:
        self._call("init", self._inner.init, frame, np.array(box, dtype=np.float64).reshape(4))

    def update(self, frame: Image) -> tuple[Boxes, float]:
        answer = self._call("update", self._inner.update, frame)
        try:
            # A pair is box and score; a box alone has four numbers.
            box, score = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, SURE)
            found, confidence = np.asarray(box, np.float64), float(score)
        except (TypeError, ValueError):
            found, confidence = np.empty(0), SURE
        if found.size != 4 or not np.isfinite(found).all():
            shown = " ".join(repr(answer).split())[:100]
            raise DataError(f"{self._name} answered {shown} where four numbers x y w h are expected")
        return found.reshape(4), confidence

    def _call(self, what: str, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception as error:
            log.exception("%s raised in %s", self._name, what)
            text = " ".join(str(error).split())[:200]
            raise DataError(f"{self._name} raised {type(error).__name__} in {what}: {text}") from error


def seed_run(seed: int, sequence: str, number: int) -> None:
    """Seeds ``random``, NumPy and torch (if somebody has imported it) as a function of the trial, the sequence and
    which of its runs this is, so that a stochastic tracker answers the same whoever ran before."""
    drawn = generator(seed, "tracker", sequence, str(number))
    random.seed(int(drawn.integers(2**63)))
    np.random.seed(int(drawn.integers(2**32)))
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(int(drawn.integers(2**63)))
