"""Counter-based randomness: the numbers of sample *i* of step *t* depend on (seed, stream, t, i) and on nothing else.

Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a keyed function of a 256-bit
counter, so any position can be reached directly. The key is a digest of (seed, stream); the two upper words of the
counter are the step and the sample; the two lower words (2^128 blocks) count the numbers drawn. Hence no two
(stream, step, sample) share a number, and neither workers nor interruptions can shift a sequence.
"""

import hashlib
import json
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

_LIMIT = 1 << 64


def _key(seed: int, stream: tuple[int | str, ...]) -> NDArray[np.uint64]:
    # JSON tells 1 from "1" and ("ab",) from ("a", "b"), so different streams have different texts.
    text = json.dumps([int(seed), *stream])
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype="<u8").astype(np.uint64)


def _check(step: int, sample: int) -> None:
    if not (0 <= step < _LIMIT and 0 <= sample < _LIMIT):
        raise ValueError(f"step and sample must be whole numbers from 0 to 2^64 - 1, not {step} and {sample}")


def generator(seed: int, *stream: int | str, step: int = 0, sample: int = 0) -> Generator:
    """A fresh generator for (seed, stream, step, sample); costs about 10 µs (`Stream` is cheaper in a loop)."""
    _check(step, sample)
    counter = np.array([0, 0, sample, step], dtype=np.uint64)
    return Generator(Philox(key=_key(seed, stream), counter=counter))


class Stream:
    """All the generators of one (seed, stream), by moving a single one about: 1 µs instead of 10 µs each.

    `at(step, sample)` yields the same numbers as `generator(seed, *stream, step=step, sample=sample)`. The object
    returned is the same one each time, so finish with it before the next call; not for two threads at once.
    """

    def __init__(self, seed: int, *stream: int | str) -> None:
        self._bits = Philox(key=_key(seed, stream), counter=0)
        self._generator = Generator(self._bits)
        self._state: Any = self._bits.state
        self._counter = self._state["state"]["counter"]

    def at(self, step: int, sample: int) -> Generator:
        """The generator, moved to the first number of (step, sample)."""
        _check(step, sample)
        self._counter[:] = (0, 0, sample, step)
        self._bits.state = self._state  # its "buffer_pos" and "has_uint32" still say: nothing buffered
        return self._generator

    def __reduce__(self) -> Any:
        raise TypeError("a Stream is not picklable: make it anew from its seed in each process")
