"""A tracker that is not ours: a person's object with ``init`` and ``update``, called and checked like any other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqtrack.errors import UserError
from seqtrack.tracking.base import Boxes, Image

log = logging.getLogger(__name__)

# What a tracker that gives no confidence says of every box, so that long-term metrics count all of its frames.
SURE = 1.0


class TrackerError(UserError):
    """A person's tracker raised, or answered no box; who runs it says where."""


class ExternalTracker:
    """Makes a ``Tracker`` of an object with ``init(image, box)`` and ``update(image) -> box`` or ``(box, score)``.

    ``image`` is (H, W, 3) uint8 RGB, ``box`` x y w h in its pixels, 0-based. ``name`` is how messages call it.
    TrackerError for an answer that is no box, and where it raises; its traceback goes to the log.
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
            raise TrackerError(f"{self._name} answered {shown} where four numbers x y w h are expected")
        return found.reshape(4), confidence

    def _call(self, what: str, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except (Exception, SystemExit) as error:  # nor has it to end the program
            log.exception("%s raised in %s", self._name, what)
            text = " ".join(str(error).split())[:200]
            raise TrackerError(f"{self._name} raised {type(error).__name__} in {what}: {text}") from error
