"""SiamFC on video: the exemplar of the first frame is sought at a few scales in each further one.

All sizes of the search region go through the network as one batch, in channels_last, through a copy of the
network that is prepared for inference (``models.inference``).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from seqtrack.data.imaging.crops import crop, square_around
from seqtrack.errors import DataError
from seqtrack.models.inference import inference_network
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking.base import Boxes, Image
from seqtrack.tracking.params import TrackerParams
from seqtrack.tracking.response import PeakFinder


class SiamFCTracker:
    """Tracks with the weights that ``model`` has now; later changes of the model do not reach it.

    ``precision``: fp32 or bf16 (weights and features; responses and boxes stay in full precision). The same
    frames give the same bits on one machine and number of threads.
    """

    def __init__(
        self,
        model: SiamFC,
        params: TrackerParams | None = None,
        precision: str = "fp32",
        device: torch.device | str = "cpu",
    ) -> None:
        self.params = params or TrackerParams()
        self.device = torch.device(device)
        self.network = inference_network(model, precision, self.device)
        self._find = PeakFinder(model.response_size, model.response_center, self.params)
        self._scales = self.params.scales()
        side = model.params.search_size
        self._crops = np.empty((len(self._scales), side, side, 3), np.uint8)
        # A view of the buffer in (N, 3, S, S) whose memory is channels_last already: nothing is copied on a CPU.
        self._input = torch.from_numpy(self._crops).permute(0, 3, 1, 2)

    def init(self, frame: Image, box: ArrayLike) -> None:
        """``frame`` (H, W, 3) uint8 RGB, ``box`` x y w h in its pixels, with a positive width and height."""
        x, y, w, h = (float(v) for v in np.asarray(box, dtype=np.float64).reshape(4))
        if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0):
            raise DataError(f"a tracker cannot start on the box {[x, y, w, h]}: it needs a positive width and height")
        model = self.network.params
        self._size, self._scale = (w, h), 1.0
        self._center = (x + w / 2, y + h / 2)
        self._side = square_around((x, y, w, h), model.context)
        size = model.template_size
        exemplar, where = crop(frame, *self._center, self._side, size)
        # The crop is moved to whole pixels, so the target lies a fraction off its centre; remembered in crop pixels.
        self._offset = (
            (self._center[0] - where.x0) * where.scale_x - size / 2,
            (self._center[1] - where.y0) * where.scale_y - size / 2,
        )
        with torch.inference_mode():
            pixels = torch.from_numpy(exemplar[None]).permute(0, 3, 1, 2).to(self.device)
            self._exemplar = self.network.embed(pixels)

    def update(self, frame: Image) -> tuple[Boxes, float]:
        """The box (4,) in pixels of ``frame`` and the peak of the response map (a logit, larger is surer)."""
        model = self.network.params
        side = self._side * self._scale * model.search_size / model.template_size
        places = [
            crop(frame, *self._center, side * scale, model.search_size, None, out)[1]
            for scale, out in zip(self._scales, self._crops, strict=True)
        ]
        with torch.inference_mode():
            features = self.network.embed(self._input.to(self.device))
            responses = self.network.correlate(self._exemplar, features)
        peak = self._find(responses[:, 0].float().cpu().numpy())

        where, middle, stride = places[peak.scale], places[len(places) // 2], self.network.stride
        cx = where.x0 + (model.search_size / 2 + self._offset[0] + peak.dx * stride) / where.scale_x
        cy = where.y0 + (model.search_size / 2 + self._offset[1] + peak.dy * stride) / where.scale_y
        # The centre stays in the frame; the side that was really cropped says how much the scale changed.
        self._center = (min(max(cx, 0.0), float(frame.shape[1])), min(max(cy, 0.0), float(frame.shape[0])))
        change = middle.scale_x / where.scale_x
        self._scale = self._limited(self._scale * (1 - self.params.scale_lr + self.params.scale_lr * change))
        w, h = self._size[0] * self._scale, self._size[1] * self._scale
        return np.array([self._center[0] - w / 2, self._center[1] - h / 2, w, h]), peak.score

    def _limited(self, scale: float) -> float:
        limit = self.params.scale_limit
        smallest = min(1.0, max(1 / limit, self.params.min_side / max(self._size)))
        return min(max(scale, smallest), limit)
