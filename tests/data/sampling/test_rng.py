"""The numbers of a sample depend on (seed, stream, step, sample) and on nothing else."""

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.sampling.rng import Stream, generator

counters = st.integers(0, 2**64 - 1)


def test_known_numbers_never_change():
    # Philox is specified; a change here would change every trained model.
    assert generator(0, "train", step=3, sample=1).random(3).tolist() == [
        0.2730370651105348,
        0.8224878703760691,
        0.5538505464106139,
    ]


@given(seed=st.integers(0, 2**70), step=counters, sample=counters)
def test_the_same_address_gives_the_same_numbers(seed, step, sample):
    first = generator(seed, "train", step=step, sample=sample).random(5)
    again = generator(seed, "train", step=step, sample=sample).random(5)
    assert first.tolist() == again.tolist()


def test_different_addresses_give_different_numbers():
    seen = {
        float(generator(seed, *stream, step=step, sample=sample).random())
        for seed, stream, step, sample in product(
            (0, 1), (("a",), ("b",), ("a", "b"), (1,), ("1",)), (0, 1, 2), (0, 1, 2)
        )
    }
    assert len(seen) == 2 * 5 * 3 * 3


@given(visits=st.lists(st.tuples(counters, counters, st.integers(0, 3)), min_size=1, max_size=6))
def test_a_stream_visited_in_any_order_equals_fresh_generators(visits):
    stream = Stream(7, "train", 2)
    for step, sample, others in visits:
        moved = stream.at(step, sample)
        assert moved.random(4).tolist() == generator(7, "train", 2, step=step, sample=sample).random(4).tolist()
        moved.integers(10, size=others, dtype=np.uint32)  # leaves half-used words behind


@pytest.mark.parametrize("address", [{"step": -1}, {"sample": -1}, {"step": 2**64}])
def test_a_counter_out_of_range_is_refused(address):
    with pytest.raises(ValueError, match="whole numbers from 0"):
        generator(0, "train", **address)


def test_a_stream_refuses_to_be_pickled():
    with pytest.raises(TypeError, match="make it anew"):
        pickle.dumps(Stream(0, "train"))
