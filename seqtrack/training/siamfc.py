"""SiamFC as a Task: one network, the balanced logistic loss on response maps (Bertinetto et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from seqtrack.models.losses import balanced_logistic_loss, label_map, target_offsets
from seqtrack.models.params import SiamFCParams
from seqtrack.models.siamfc import SiamFC
from seqtrack.training.task import Batch, Loss, PairSizes, Task


class SiamFCTask(Task):
    """Learns ``network`` (``SiamFC``) from pairs of crops."""

    def __init__(self, params: SiamFCParams) -> None:
        self.params = params
        self.network = SiamFC(params)

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"siamfc": self.network}

    @property
    def pair_sizes(self) -> PairSizes:
        return PairSizes(self.params.template_size, self.params.search_size, self.params.context)

    def loss(self, batch: Batch, step: int) -> Loss:
        return Loss(balanced_logistic_loss(self.response(batch), self.labels(batch)))

    def preview(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"response": self.response(batch)[:, 0].float(), "labels": self.labels(batch)[:, 0]}

    def response(self, batch: Batch) -> Tensor:
        """(B, 1, R, R) logits. Crops come as (B, H, W, 3) uint8, which permuted is channels_last already."""
        response: Tensor = self.network(batch["exemplar"].permute(0, 3, 1, 2), batch["search"].permute(0, 3, 1, 2))
        return response

    def labels(self, batch: Batch) -> Tensor:
        """(B, 1, R, R), 1 where the target is found and 0 elsewhere: everywhere in a negative pair."""
        offsets = target_offsets(
            batch["exemplar_box"], batch["search_box"], self.params.template_size, self.params.search_size
        )
        network = self.network
        labels = label_map(
            offsets, network.response_size, network.stride, self.params.label_radius, network.response_center
        )
        return labels * batch["is_positive"].view(-1, 1, 1, 1) if "is_positive" in batch else labels
