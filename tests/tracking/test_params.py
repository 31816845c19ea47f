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
        ({"scale_stop": 1.03}, "tracker_params: unknown key 'scale_stop'; did you mean 'scale_step'?"),
        ({"num_scales": 2}, "tracker_params num_scales: expected an odd number, got 2"),
        ({"num_scales": 0}, "tracker_params num_scales: expected between 1 and 11, got 0"),
        ({"scale_lr": "0.5"}, "tracker_params scale_lr: expected a finite number, got '0.5'"),
        ({"window_influence": 2}, "tracker_params window_influence: expected between 0.0 and 1.0, got 2.0"),
        ([1], "tracker_params: expected an object"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(value: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_tracker_params(value)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
