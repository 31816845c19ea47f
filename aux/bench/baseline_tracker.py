"""SiamFC tracking as it is commonly written: what seqtrack's tracker is timed and checked against.

The same network and the same arithmetic from response to box, but plain: each size of the search region
goes through the network alone, as an eager fp32 module in torch's default layout (NCHW), batch
normalisation unfolded, and the responses come from a convolution with the exemplar as its kernel.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike

from seqtrack.data.imaging.crops import crop, square_around
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking.base import Boxes, Image
from seqtrack.tracking.params import TrackerParams
from seqtrack.tracking.response import PeakFinder


class BaselineTracker:
    def __init__(self, model: SiamFC, params: TrackerParams | None = None) -> None:
        self.params = params or TrackerParams()
        self.model = copy.deepcopy(model).eval().to(memory_format=torch.contiguous_format)
        self._find = PeakFinder(model.response_size, model.response_center, self.params)

    def _embed(self, crop_pixels: Image) -> torch.Tensor:
        x = torch.from_numpy(crop_pixels).permute(2, 0, 1)[None].float().contiguous()
        features: torch.Tensor = self.model.features(x)
        return features

    @torch.no_grad()
    def init(self, frame: Image, box: ArrayLike) -> None:
        x, y, w, h = (float(v) for v in np.asarray(box, dtype=np.float64))
        self.size, self.scale, self.center = (w, h), 1.0, (x + w / 2, y + h / 2)
        self.side = square_around((x, y, w, h), self.model.params.context)
        size = self.model.params.template_size
        pixels, where = crop(frame, *self.center, self.side, size)
        self.offset = (
            (self.center[0] - where.x0) * where.scale_x - size / 2,
            (self.center[1] - where.y0) * where.scale_y - size / 2,
        )
        self.exemplar = self._embed(pixels)

    @torch.no_grad()
    def update(self, frame: Image) -> tuple[Boxes, float]:
        model = self.model.params
        side = self.side * self.scale * model.search_size / model.template_size
        maps, places = [], []
        for scale in self.params.scales():
            pixels, where = crop(frame, *self.center, side * scale, model.search_size)
            response = F.conv2d(self._embed(pixels), self.exemplar)
            response = response * (self.model.gain * self.model.out_scale) + self.model.bias
            maps.append(response[0, 0].numpy())
            places.append(where)
        peak = self._find(np.stack(maps))
        where, middle = places[peak.scale], places[len(places) // 2]
        cx = where.x0 + (model.search_size / 2 + self.offset[0] + peak.dx * self.model.stride) / where.scale_x
        cy = where.y0 + (model.search_size / 2 + self.offset[1] + peak.dy * self.model.stride) / where.scale_y
        self.center = (min(max(cx, 0.0), float(frame.shape[1])), min(max(cy, 0.0), float(frame.shape[0])))
        lr, limit = self.params.scale_lr, self.params.scale_limit
        smallest = min(1.0, max(1 / limit, self.params.min_side / max(self.size)))
        self.scale = self.scale * (1 - lr + lr * middle.scale_x / where.scale_x)
        self.scale = min(max(self.scale, smallest), limit)
        w, h = self.size[0] * self.scale, self.size[1] * self.scale
        return np.array([self.center[0] - w / 2, self.center[1] - h / 2, w, h]), peak.score
