"""A training step of AlexNet SiamFC, batch 8, on a CPU: seqtrack's against a plain eager fp32 NCHW
implementation.

A step is forward, loss, backward and an SGD step with momentum, from uint8 crops in memory. The plain one
is the common form: the same trunk in torch's default layout, responses from a grouped convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from bench_tracking import THREADS, has_amx
from table import Row, main, paired, seconds

from seqtrack.models.losses import balanced_logistic_loss, label_map
from seqtrack.models.siamfc import SiamFC

BATCH = 8


class PlainSiamFC(SiamFC):
    """The same parameters and results in the common form."""

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.features(x.float().contiguous())
        return features

    def correlate(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        response = F.conv2d(x.reshape(1, n * c, h, w), z, groups=n).transpose(0, 1)
        return response * (self.gain * self.out_scale) + self.bias


def step(model: SiamFC, precision: str) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    exemplar = torch.randint(0, 256, (BATCH, 127, 127, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    search = torch.randint(0, 256, (BATCH, 255, 255, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = label_map(torch.zeros(BATCH, 2), model.response_size, model.stride, 16.0, model.response_center)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            response = model(exemplar, search)
        optimizer.zero_grad(set_to_none=True)
        balanced_logistic_loss(response, labels).backward()
        optimizer.step()

    return run


def rows() -> Iterator[Row]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    plain = step(PlainSiamFC().to(memory_format=torch.contiguous_format), "fp32")
    for precision, least, judged in (("fp32", 1.1, True), ("bf16", 4.0, has_amx())):
        ours = step(SiamFC(), precision)
        ratio = paired(plain, ours, rounds=9)
        note = f"{seconds(plain) * 1e3:.0f} → {seconds(ours) * 1e3:.0f} ms"
        note += "" if judged else "; no AMX here, which the target assumes"
        passed = ratio >= least if judged else None
        name = f"train step: {precision} against plain fp32 NCHW"
        yield Row(name, ratio, "×", f">= {least:g}", passed, note)


if __name__ == "__main__":
    main(rows)
