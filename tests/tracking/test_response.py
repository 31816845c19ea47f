"""From response maps to displacement and scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.tracking.params import TrackerParams
from seqtrack.tracking.response import PeakFinder, cosine_window, cubic_upsampling

ONE_SCALE = TrackerParams(num_scales=1, window_influence=0.0)


def bump(x: float, y: float, size: int = 17, width: float = 2.0, height: float = 1.0) -> np.ndarray:
    """(1, R, R) Gaussian at (x, y) cells from the middle."""
    cells = np.arange(size) - (size - 1) / 2
    rows, columns = np.exp(-((cells - y) ** 2) / (2 * width**2)), np.exp(-((cells - x) ** 2) / (2 * width**2))
    return (height * np.outer(rows, columns)).astype(np.float32)[None]


@given(x=st.floats(-5, 5), y=st.floats(-5, 5))
def test_a_smooth_peak_is_found_to_a_fraction_of_a_cell(x: float, y: float) -> None:
    peak = PeakFinder(17, 8.0, ONE_SCALE)(bump(x, y))
    assert (peak.dx, peak.dy) == (pytest.approx(x, abs=0.06), pytest.approx(y, abs=0.06))
    assert peak.score == pytest.approx(1.0, abs=0.01)


@given(x=st.floats(-5, 5), y=st.floats(-5, 5), offset=st.sampled_from([-30.0, -1.0, 0.0, 5.0]))
def test_a_constant_added_to_all_responses_moves_nothing_but_the_score(x: float, y: float, offset: float) -> None:
    params = TrackerParams()
    maps = np.concatenate([bump(x, y, height=h) for h in (0.8, 1.0, 1.01)])
    plain, raised = PeakFinder(17, 8.0, params)(maps), PeakFinder(17, 8.0, params)(maps + np.float32(offset))
    assert raised.scale == plain.scale
    assert (raised.dx, raised.dy) == (pytest.approx(plain.dx, abs=1e-3), pytest.approx(plain.dy, abs=1e-3))
    assert raised.score == pytest.approx(plain.score + offset, abs=1e-4)


@given(x=st.floats(-5, 5), y=st.floats(-5, 5), seed=st.integers(0, 1000))
def test_rounding_errors_move_the_peak_by_as_little(x: float, y: float, seed: int) -> None:
    find = PeakFinder(17, 8.0, TrackerParams(num_scales=1))
    noise = np.random.default_rng(seed).uniform(-1e-6, 1e-6, (1, 17, 17)).astype(np.float32)
    a, b = find(bump(x, y)), find(bump(x, y) + noise)
    assert abs(a.dx - b.dx) < 2e-3 and abs(a.dy - b.dy) < 2e-3


def test_another_scale_must_win_by_more_than_its_penalty() -> None:
    find = PeakFinder(17, 8.0, TrackerParams(scale_penalty=0.9))
    for height, winner in ((1.1, 1), (1.12, 2)):
        maps = np.concatenate([bump(0, 0, height=h) for h in (0.5, 1.0, height)])
        assert find(maps).scale == winner


def test_the_window_prefers_the_nearer_of_two_equal_peaks() -> None:
    maps = bump(-6, 0, width=1.0) + bump(2, 0, width=1.0)
    assert PeakFinder(17, 8.0, TrackerParams(num_scales=1))(maps).dx == pytest.approx(2, abs=0.1)


def test_a_flat_map_means_no_motion() -> None:
    peak = PeakFinder(17, 8.0, TrackerParams())(np.zeros((3, 17, 17), np.float32))
    assert (peak.scale, peak.dx, peak.dy, peak.score) == (1, 0.0, 0.0, 0.0)


def test_a_peak_on_the_border_stays_there() -> None:
    maps = np.zeros((1, 17, 17), np.float32)
    maps[0, 0, 16] = 1
    peak = PeakFinder(17, 8.0, ONE_SCALE)(maps)
    assert (peak.dx, peak.dy) == (8.0, -8.0)


def test_the_centre_need_not_be_the_middle_of_the_map() -> None:
    shifted = PeakFinder(17, 8.25, ONE_SCALE)(bump(0, 0))
    assert (shifted.dx, shifted.dy) == (pytest.approx(-0.25, abs=1e-3), pytest.approx(-0.25, abs=1e-3))


def test_up_sampling_keeps_the_cells_and_reproduces_parabolas_inside() -> None:
    up = cubic_upsampling(9, 16)
    assert up.shape == (129, 9)
    np.testing.assert_array_equal(up[::16], np.eye(9, dtype=np.float32))
    np.testing.assert_allclose(up.sum(1), 1, atol=1e-6)
    cells, fine = np.arange(9.0), np.arange(129) / 16
    np.testing.assert_allclose((up @ cells**2)[16:-16], (fine**2)[16:-16], atol=1e-4)


def test_the_cosine_window_is_a_hann_window_that_sums_to_1() -> None:
    window = cosine_window(17, 8.0)
    profile = np.hanning(19 + 0)[1:-1]
    np.testing.assert_allclose(window, np.outer(profile, profile) / profile.sum() ** 2, atol=1e-7)
