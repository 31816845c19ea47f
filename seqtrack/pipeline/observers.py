"""What watches training for people: TensorBoard, and pictures of training pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqtrack.pipeline.train_trial import Observers
from seqtrack.reporting.preview import render_pairs
from seqtrack.reporting.sheet import write_png
from seqtrack.runs.paths import TrialFolder


class TrialObservers:
    """Writes ``tensorboard/`` and ``previews/`` of one trial. TensorBoard's writer is made when first needed:
    importing it takes longer than a short training."""

    def __init__(self, trial: TrialFolder) -> None:
        self._trial = trial
        self._start = 0
        self._board: Any = None

    def starting_from(self, step: int) -> Observers:
        """Points of earlier attempts beyond ``step`` are hidden by TensorBoard."""
        self._start = step
        return Observers(self.preview, self.scalars)

    def scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._writer().add_scalar(name, value, step)
        # While the caller's guard still holds: the writer's own thread would come to it at some later time.
        self._writer().flush()

    def preview(self, step: int, arrays: Mapping[str, Any]) -> None:
        sheet = render_pairs(
            arrays["exemplar"], arrays["search"], arrays["search_box"], arrays["response"], arrays["labels"],
            is_positive=arrays.get("is_positive"),
        )  # fmt: skip
        write_png(self._trial.previews / f"step_{step:08d}.png", sheet)
        self._writer().add_image("pairs", sheet, step, dataformats="HWC")

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _writer(self) -> Any:
        if self._board is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(self._trial.tensorboard), purge_step=self._start + 1)
        return self._board
