"""SiamFC on video: the exemplar of the first frame is sought at a few scales in each further one.

All sizes of the search region, and all targets that are tracked at a time, go through the network as one batch, in
channels_last, through a copy of the network that is prepared for inference (``models.inference``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from seqtrack.data.imaging.crops import CropMap, crop, square_around
from seqtrack.data.processes import usable_cores
from seqtrack.errors import DataError
from seqtrack.models.inference import inference_network
from seqtrack.models.params import SiamFCParams
from seqtrack.models.siamfc import SiamFC
from seqtrack.tracking.base import Boxes, Image
from seqtrack.tracking.params import TrackerParams
from seqtrack.tracking.response import Peak, PeakFinder

_MAX_CROPPERS = 4
_GROUP_SLOTS = 8


class _Target:
    """One target: where it was first seen, where it is now, and the geometry between frame, crop and response."""

    def __init__(self, box: ArrayLike, model: SiamFCParams, params: TrackerParams) -> None:
        x, y, w, h = (float(v) for v in np.asarray(box, dtype=np.float64).reshape(4))
        if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0):
            raise DataError(f"a tracker cannot start on the box {[x, y, w, h]}: it needs a positive width and height")
        self._model, self._params = model, params
        self._size, self._scale = (w, h), 1.0
        self._center = (x + w / 2, y + h / 2)
        self._side = square_around((x, y, w, h), model.context)
        self._places: list[CropMap] = []

    def exemplar(self, frame: Image) -> Image:
        """The crop (template_size, template_size, 3) that is sought from now on."""
        size = self._model.template_size
        pixels, where = crop(frame, *self._center, self._side, size)
        # The crop is moved to whole pixels, so the target lies a fraction off its centre; remembered in crop pixels.
        self._offset = (
            (self._center[0] - where.x0) * where.scale_x - size / 2,
            (self._center[1] - where.y0) * where.scale_y - size / 2,
        )
        return pixels

    def look(self, frame: Image, scales: Sequence[float], out: Image) -> None:
        """Cuts the search region at each scale into ``out`` (num_scales, search_size, search_size, 3)."""
        model = self._model
        side = self._side * self._scale * model.search_size / model.template_size
        self._places = [
            crop(frame, *self._center, side * scale, model.search_size, None, pixels)[1]
            for scale, pixels in zip(scales, out, strict=True)
        ]

    def move(self, frame: Image, peak: Peak, stride: int) -> list[float]:
        """Goes to the peak of the responses to what it looked at; x y w h in pixels of ``frame``."""
        where, middle = self._places[peak.scale], self._places[len(self._places) // 2]
        cx = where.x0 + (self._model.search_size / 2 + self._offset[0] + peak.dx * stride) / where.scale_x
        cy = where.y0 + (self._model.search_size / 2 + self._offset[1] + peak.dy * stride) / where.scale_y
        # The centre stays in the frame; the side that was really cropped says how much the scale changed.
        self._center = (min(max(cx, 0.0), float(frame.shape[1])), min(max(cy, 0.0), float(frame.shape[0])))
        change, rate = middle.scale_x / where.scale_x, self._params.scale_lr
        self._scale = self._limited(self._scale * (1 - rate + rate * change))
        w, h = self._size[0] * self._scale, self._size[1] * self._scale
        return [self._center[0] - w / 2, self._center[1] - h / 2, w, h]

    def _limited(self, scale: float) -> float:
        limit = self._params.scale_limit
        smallest = min(1.0, max(1 / limit, self._params.min_side / max(self._size)))
        return min(max(scale, smallest), limit)


class SiamFCBatchTracker:
    """Tracks with the weights that ``model`` has now; later changes of the model do not reach it.

    ``precision``: fp32 or bf16 (weights and features; responses and boxes stay in full precision). The same
    frames give the same bits on one machine, number of threads and number of slots.

    On a GPU the slots go through the network in groups of a few, taken or not: while it works on one, threads cut the
    search regions of the next (that takes about as long as the network), and responses come to the host meanwhile.
    """

    def __init__(
        self,
        model: SiamFC,
        params: TrackerParams | None = None,
        precision: str = "fp32",
        device: torch.device | str = "cpu",
        slots: int = 32,
    ) -> None:
        self.slots = slots
        self.params = params or TrackerParams()
        self.device = torch.device(device)
        self.network = inference_network(model, precision, self.device)
        self._find = PeakFinder(model.response_size, model.response_center, self.params)
        self._scales = self.params.scales()
        self._targets: list[_Target | None] = [None] * slots
        is_cuda = self.device.type == "cuda"
        size = _slots_of_group(self.device, slots)
        self._groups = [_Group(self.network, size, len(self._scales), self.device) for _ in range(-(-slots // size))]
        self._croppers = ThreadPoolExecutor(min(_MAX_CROPPERS, usable_cores())) if is_cuda and slots > 1 else None

    def init(self, frames: Sequence[Image], boxes: Sequence[ArrayLike], slots: Sequence[int]) -> None:
        """``frames`` (H, W, 3) uint8 RGB, ``boxes`` x y w h in their pixels, with a positive width and height."""
        for frame, box, slot in zip(frames, boxes, slots, strict=True):
            target = _Target(box, self.network.params, self.params)
            # One by one: how many start at a time varies, and shapes must not.
            pixels = torch.from_numpy(target.exemplar(frame)[None]).permute(0, 3, 1, 2).to(self.device)
            with torch.inference_mode():
                group, place = self._place(slot)
                group.keep(self.network.embed(pixels), place)
            self._targets[slot] = target

    def update(self, frames: Sequence[Image], slots: Sequence[int]) -> tuple[Boxes, NDArray[np.float64]]:
        """Boxes (B, 4) in pixels of their frames, and peaks (B,) of the response maps (logits, larger is surer)."""
        targets = [self._target(slot) for slot in slots]
        members: dict[_Group, list[int]] = {}
        for i, slot in enumerate(slots):
            members.setdefault(self._place(slot)[0], []).append(i)

        def look(i: int) -> None:
            group, place = self._place(slots[i])
            targets[i].look(frames[i], self._scales, group.crops[place])

        looked = {group: self._each(look, numbers) for group, numbers in members.items()}
        for group, done in looked.items():
            for _ in done:  # until the last is cut
                pass
            group.launch()
        boxes, scores = np.empty((len(slots), 4)), np.empty(len(slots))
        for group, numbers in members.items():
            maps = group.responses()
            for i in numbers:
                peak = self._find(maps[self._place(slots[i])[1]])
                boxes[i], scores[i] = targets[i].move(frames[i], peak, self.network.stride), peak.score
        return boxes, scores

    def _place(self, slot: int) -> tuple[_Group, int]:
        group, place = divmod(slot, self._groups[0].slots)
        return self._groups[group], place

    def _target(self, slot: int) -> _Target:
        target = self._targets[slot]
        if target is None:
            raise ValueError(f"slot {slot} has no target: init comes before update")
        return target

    def _each(self, work: Callable[[int], None], numbers: list[int]) -> Iterator[None]:
        return map(work, numbers) if self._croppers is None else self._croppers.map(work, numbers)


def _slots_of_group(device: torch.device, slots: int) -> int:
    """On a CPU all. Elsewhere always as many (but for one alone), so that shapes, and with them bits, do not depend
    on the number of processes that share the slots."""
    return slots if device.type == "cpu" or slots == 1 else _GROUP_SLOTS


class _Group:
    """Slots that go through the network together: buffers of their search regions, exemplars and responses.

    crops: (slots, num_scales, search_size, search_size, 3) uint8, to be written before ``launch``.
    """

    def __init__(self, network: SiamFC, slots: int, num_scales: int, device: torch.device) -> None:
        self.slots = slots
        self._network, self._device = network, device
        side, count, is_cuda = network.params.search_size, slots * num_scales, device.type == "cuda"
        pixels = torch.zeros((count, side, side, 3), dtype=torch.uint8, pin_memory=is_cuda)
        self.crops: Image = pixels.numpy().reshape(slots, num_scales, side, side, 3)
        # A view of the buffer in (N, 3, S, S) whose memory is channels_last already: nothing is copied on a CPU.
        self._input = pixels.permute(0, 3, 1, 2)
        self._exemplars: torch.Tensor | None = None
        cells = network.response_size
        self._output = torch.empty((count, cells, cells), pin_memory=is_cuda)
        self._maps = self._output.numpy().reshape(slots, num_scales, cells, cells)
        self._is_done = torch.cuda.Event() if is_cuda else None  # type: ignore[no-untyped-call]

    def keep(self, features: torch.Tensor, place: int) -> None:
        """The exemplar of a slot, (1, C, h, w)."""
        if self.slots == 1:
            self._exemplars = features  # one serves all scales
            return
        if self._exemplars is None:
            self._exemplars = features.repeat(len(self._input), 1, 1, 1).contiguous(memory_format=torch.channels_last)
        num_scales = len(self._input) // self.slots
        self._exemplars[place * num_scales : (place + 1) * num_scales] = features

    def launch(self) -> None:
        """Search regions into the network; a GPU is not waited for."""
        with torch.inference_mode():
            features = self._network.embed(self._input.to(self._device, non_blocking=True))
            assert self._exemplars is not None
            responses = self._network.correlate(self._exemplars, features)
            self._output.copy_(responses[:, 0], non_blocking=self._is_done is not None)
        if self._is_done is not None:
            self._is_done.record()

    def responses(self) -> NDArray[np.float32]:
        """(slots, num_scales, R, R) of the last launch, once they are there. The next one overwrites them."""
        if self._is_done is not None:
            self._is_done.synchronize()
        return self._maps


class SiamFCTracker:
    """One target: a batch of one. See ``SiamFCBatchTracker``."""

    def __init__(
        self,
        model: SiamFC,
        params: TrackerParams | None = None,
        precision: str = "fp32",
        device: torch.device | str = "cpu",
    ) -> None:
        self._batch = SiamFCBatchTracker(model, params, precision, device, slots=1)

    def init(self, frame: Image, box: ArrayLike) -> None:
        """``frame`` (H, W, 3) uint8 RGB, ``box`` x y w h in its pixels, with a positive width and height."""
        self._batch.init([frame], [box], [0])

    def update(self, frame: Image) -> tuple[Boxes, float]:
        """The box (4,) in pixels of ``frame`` and the peak of the response map (a logit, larger is surer)."""
        boxes, scores = self._batch.update([frame], [0])
        return boxes[0], float(scores[0])
