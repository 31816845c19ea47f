"""Parameters of the trackers (no torch here). Defaults: SiamFC-3s (Bertinetto et al. 2016 and its code)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqtrack.schema import Checked, bounded, parse


@dataclass(frozen=True)
class TrackerParams(Checked):
    """How SiamFC turns response maps into boxes. The context around the target is the model's, not set here.

    Attributes:
        num_scales: sizes of the search region that are tried in each frame; odd.
        scale_step: ratio between neighbouring sizes.
        scale_penalty: factor on the peak (above the lowest response) of every size but the present one.
        scale_lr: share of the newly found scale in the next one; the rest is the present one (damping).
        window_influence: share of the cosine window in the map whose peak is the new position.
        response_up: factor by which responses are up-sampled (bicubic) before the peak is refined by a
            parabola.
        scale_limit: the target's sides stay within this factor of its first ones, up and down.
        min_side: nor does its longer side become shorter than this, in pixels (or than it was at first).
    """

    num_scales: int = bounded(3, low=1, high=11)
    scale_step: float = bounded(1.0375, low=1, high=2)
    scale_penalty: float = bounded(0.9745, low=0, high=1)
    scale_lr: float = bounded(0.59, low=0, high=1)
    window_influence: float = bounded(0.176, low=0, high=1)
    response_up: int = bounded(16, low=1, high=64)
    scale_limit: float = bounded(10.0, low=1)
    min_side: float = bounded(4.0, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_scales % 2 == 0:
            raise ValueError(f"num_scales: expected an odd number, got {self.num_scales}")

    def scales(self) -> list[float]:
        """Factors on the search region's side, smallest first; the middle one is 1."""
        half = self.num_scales // 2
        return [self.scale_step**k for k in range(-half, half + 1)]


def parse_tracker_params(value: Any) -> TrackerParams:
    """From the dictionary of ``--tracker_params``; UserError for an unknown key, a wrong type or range."""
    return parse(TrackerParams, value, "--tracker_params")
