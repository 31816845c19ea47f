from __future__ import annotations

from typing import Any

import pytest

from seqtrack.errors import UserError
from seqtrack.tracking.params import TrackerParams, parse_tracker_params


def test_defaults_are_siamfc_3s() -> None:
    params = parse_tracker_params({})
    assert params == TrackerParams(3, 1.0375, 0.9745, 0.59, 0.176, 16)
    assert params.scales() == [pytest.approx(1 / 1.0375), 1.0, pytest.approx(1.0375)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"scale_stop": 1.03}, ": 'scale_stop' is not a parameter; did you mean scale_step?"),
        ({"num_scales": 2}, ".num_scales: expected an odd number, got 2"),
        ({"num_scales": 0}, ".num_scales: expected 1 to 11, got 0"),
        ({"scale_lr": "0.5"}, ".scale_lr: expected a number, got '0.5'"),
        ({"window_influence": 2}, ".window_influence: expected 0 to 1, got 2"),
        ({"min_side": -1}, ".min_side: expected 0 or more, got -1"),
        ([1], ": expected a JSON object, got [1]"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(value: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_tracker_params(value)
    assert str(caught.value) == f"--tracker_params{message}"
