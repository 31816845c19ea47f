"""Laws of the frame-pair samplers, and what they refuse."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.sampling.rng import generator
from seqtrack.data.sampling.samplers import (
    FreqRange,
    PairRange,
    Regular,
    Uniform,
    parse_sampler_params,
    sample_pair,
)
from seqtrack.errors import DataError, UserError
from seqtrack.schema import plain


@st.composite
def tracks(draw):
    """(frames, present): ascending frame numbers with gaps, at least one of them present."""
    gaps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=40))
    present = draw(st.lists(st.booleans(), min_size=len(gaps), max_size=len(gaps)).filter(any))
    return np.cumsum(gaps).astype(np.int32), np.array(present)


ranges = st.tuples(st.integers(1, 30), st.integers(0, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))
samplers = st.one_of(
    st.just(Uniform()),
    st.integers(1, 30).map(lambda freq: Regular(freq=freq)),
    st.tuples(ranges, st.booleans()).map(
        lambda args: FreqRange(min_freq=args[0][0], max_freq=args[0][1], use_log=args[1])
    ),
    ranges.map(lambda pair: PairRange(low=pair[0], high=pair[1])),
)


def pairs(frames, present, params, count=30):
    return [sample_pair(generator(0, "test", sample=i), present, frames, params) for i in range(count)]


def distances(frames, present):
    shown = frames[present]
    return {int(b - a) for k, a in enumerate(shown) for b in shown[k + 1 :]}


@given(track=tracks(), params=samplers)
def test_only_present_frames_are_drawn_and_two_different_ones_where_there_are_two(track, params):
    frames, present = track
    for i, j in pairs(frames, present, params):
        assert present[i] and present[j]
        assert (i != j) == (present.sum() > 1)


@given(track=tracks(), params=samplers)
def test_the_same_generator_draws_the_same_pair_from_flags_and_from_positions(track, params):
    frames, present = track
    assert pairs(frames, present, params, 5) == pairs(frames, np.flatnonzero(present), params, 5)


@given(track=tracks(), freq=st.integers(1, 30))
def test_regular_pairs_are_freq_apart_where_that_frame_is_present(track, freq):
    frames, present = track
    shown = set(frames[present].tolist())
    for i, j in pairs(frames, present, Regular(freq=freq)):
        if len(shown) > 1 and frames[i] + freq in shown:
            assert frames[j] == frames[i] + freq
        elif max(shown) - min(shown) < freq:
            assert (frames[i], frames[j]) == (min(shown), max(shown))
        else:
            assert i < j
            nearest = min(abs(other - frames[i] - freq) for other in shown if other > frames[i])
            assert abs(frames[j] - frames[i] - freq) == nearest


@given(track=tracks(), limits=ranges)
def test_pair_range_keeps_its_range_where_any_pair_does(track, limits):
    frames, present = track
    low, high = limits
    possible = {d for d in distances(frames, present) if low <= d <= high}
    for i, j in pairs(frames, present, PairRange(low=low, high=high)):
        distance = abs(int(frames[j]) - int(frames[i]))
        if possible:
            assert distance in possible
        elif present.sum() > 1:
            miss = min(max(low - d, d - high) for d in distances(frames, present))
            assert max(low - distance, distance - high) == miss


def test_every_pair_in_range_is_drawn_equally_often_in_either_order():
    frames, present = np.array([0, 1, 2, 5]), np.ones(4, bool)
    drawn = pairs(frames, present, PairRange(low=2, high=4), 3000)
    counts = {pair: drawn.count(pair) for pair in set(drawn)}
    # Distances 2 (0-2), 4 (1-5) and 3 (2-5), each in two orders; 500 expected, standard deviation 20.
    assert set(counts) == {(0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)}
    assert all(400 < count < 600 for count in counts.values())


def test_a_range_from_zero_may_draw_the_same_frame_twice():
    drawn = set(pairs(np.arange(3), np.ones(3, bool), PairRange(low=0, high=0)))
    assert drawn == {(0, 0), (1, 1), (2, 2)}


def test_uniform_draws_every_ordered_pair():
    assert set(pairs(np.arange(3), np.ones(3, bool), Uniform(), 200)) == {
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1),
    }  # fmt: skip


def test_freq_range_draws_every_step_and_small_ones_more_often_in_logarithms():
    frames, present = np.arange(400), np.ones(400, bool)

    def mean_step(use_log):
        params = FreqRange(min_freq=1, max_freq=64, use_log=use_log)
        steps = [j - i for i, j in pairs(frames, present, params, 2000)]
        assert (min(steps), max(steps)) == (1, 64)
        return np.mean(steps)

    assert mean_step(True) == pytest.approx(64 / np.log(128), rel=0.1)
    assert mean_step(False) == pytest.approx(32.5, rel=0.05)


def test_a_track_without_the_target_cannot_be_sampled():
    with pytest.raises(DataError, match="no frame in which its target is present"):
        sample_pair(generator(0), np.zeros(3, bool), np.arange(3), Uniform())


def test_the_default_is_siamfcs():
    assert parse_sampler_params({}) == PairRange(low=1, high=100)
    assert plain(Regular()) == {"kind": "regular", "freq": 10}


@given(params=samplers)
def test_parameters_survive_their_json(params):
    assert parse_sampler_params(plain(params)) == params


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "regulr"}, ".kind: 'regulr' is not known; did you mean regular?"),
        ({"kind": 3}, ".kind: 3 is not known"),
        ({"kind": "regular", "frq": 3}, ": 'frq' is not a parameter; did you mean freq?"),
        ({"kind": "uniform", "freq": 3}, ": 'freq' is not a parameter; expected one of kind"),
        ({"kind": "regular", "freq": 0}, ".freq: expected 1 or more, got 0"),
        ({"kind": "regular", "freq": True}, ".freq: expected a whole number, got True"),
        ({"kind": "regular", "freq": 2.5}, ".freq: expected a whole number, got 2.5"),
        ({"kind": "pair_range", "low": 5, "high": 4}, ".high: expected 5 (low) or more, got 4"),
        ({"kind": "freq_range", "min_freq": 9, "max_freq": 8}, ".max_freq: expected 9 (min_freq) or more, got 8"),
        ({"kind": "freq_range", "use_log": 1}, ".use_log: expected true or false, got 1"),
        ([1], "expected a JSON object"),
    ],
)
def test_a_mistake_is_named(value, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        parse_sampler_params(value)
    assert str(caught.value).startswith("--sampler_params")
