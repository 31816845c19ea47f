"""One trial trained: from a seed and a request to its last checkpoint, from wherever it was left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqtrack.data.imaging.images import DECODER
from seqtrack.data.sampling.pairs import PairSource
from seqtrack.data.sampling.rng import generator
from seqtrack.pipeline import initial_weights, record
from seqtrack.pipeline.data import opened, pair_source
from seqtrack.pipeline.device import describe_device, find_device, set_determinism
from seqtrack.pipeline.record import TrialRecord
from seqtrack.pipeline.request import Request
from seqtrack.runs import environment
from seqtrack.runs.attempts import Attempt
from seqtrack.runs.paths import TrialFolder
from seqtrack.training import checkpoints, loader, loop
from seqtrack.training.csvlog import TrainCsv
from seqtrack.training.loop import LoopSettings
from seqtrack.training.optimization import Schedule, make_optimizer
from seqtrack.training.task import Batch, Task

log = logging.getLogger(__name__)

VALIDATION_BATCHES = 4

Preview = Callable[[int, Mapping[str, Any]], None]
Scalars = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Observers:
    """Who else wants to see training: pictures of pairs and scalars, both by step. They change nothing."""

    preview: Preview
    scalars: Scalars


def train_trial(
    request: Request,
    attempt: Attempt,
    should_stop: Callable[[], bool],
    make_observers: Callable[[int], Observers],
) -> bool:
    """Trains the attempt's trial to the end; False if it stopped early because it was asked to.

    ``make_observers`` is given the step that training starts from.
    """
    trial = attempt.trial
    request = _as_started(request, trial)
    device = find_device(request.execution.device)
    with opened(request, request.training_datasets, log.info) as sets:
        data = {dataset.name: dataset.data_fingerprint for dataset in sets.values()} | request.training_lists
        record.reconcile(request, trial, request.training_code, data)
        fixed = _fix(request, attempt, data, describe_device(device))
        set_determinism(fixed.cpu_threads, fixed.deterministic)
        checkpoints.sweep(trial)
        checkpoint = checkpoints.load_newest(trial)
        task = _make_task(request, trial.seed, checkpoint is not None)
        task.to(device)
        start = 0 if checkpoint is None else checkpoint.step
        attempt.event("train", step=start, total=request.train.num_steps)
        log.info("training seed %d from step %d to %d on %s", trial.seed, start, request.train.num_steps, device)
        source = validation = None
        if request.train.num_steps > 0:
            source = pair_source(
                request, sets, request.train.train_dataset, "train_dataset", task.pair_sizes, trial.seed
            )
        if request.train.num_steps > 0 and fixed.val_dataset is not None:
            validation = pair_source(request, sets, fixed.val_dataset, "val_dataset", task.pair_sizes, trial.seed)
        csv = TrainCsv(trial.train_csv, start, attempt.guard)
        observers = make_observers(start)
        hooks = _Hooks(request, attempt, task, device, validation, observers, should_stop)
        done = loop.train(
            task,
            make_optimizer(task, request.train.optimizer, request.train.optimizer_params),
            Schedule(
                request.train.lr_schedule,
                request.train.lr_params,
                request.train.lr_init,
                request.train.num_steps,
            ),
            _Batches(source, request),
            _settings(request, trial.seed, fixed, device),
            csv,
            hooks,
            checkpoint,
        )
    return done == request.train.num_steps


def _as_started(request: Request, trial: TrialFolder) -> Request:
    """A trial goes on validating on what it started with, or its ``train.csv`` would change its meaning midway."""
    before = record.read(trial)
    if before is None or before.val_dataset == request.execution.val_dataset:
        return request
    log.warning("--val_dataset stays %s, with which this trial started", before.val_dataset)
    return replace(request, execution=replace(request.execution, val_dataset=before.val_dataset))


def _fix(request: Request, attempt: Attempt, data: dict[str, dict[str, str]], device: str) -> TrialRecord:
    """What the trial started with; notes in the summary if it now runs on something else."""
    execution = request.execution
    now = environment.record(DECODER, device)
    attempt.guard()
    fixed = record.create(
        attempt.trial,
        TrialRecord(
            execution.cpu_threads,
            execution.deterministic,
            execution.period_summary,
            execution.val_dataset,
            request.training_code,
            data,
            now,
        ),
    )
    if moved := environment.differences(fixed.environment, now):
        log.warning("this trial started elsewhere, so its last bits may differ: %s", "; ".join(moved))
        record.accept(request.run, f"seed {attempt.trial.seed}: resumed elsewhere ({'; '.join(moved)})")
    for name in ("cpu_threads", "deterministic", "period_summary"):
        if getattr(fixed, name) != getattr(execution, name):
            log.warning("--%s stays %s, with which this trial started", name, getattr(fixed, name))
    return fixed


def _make_task(request: Request, seed: int, is_resumed: bool) -> Task:
    torch.manual_seed(int(generator(seed, "initial-weights").integers(2**63)))
    initial_weights.verify(request)
    task = request.family.task(request.train.model_params, with_files=not is_resumed)
    if request.train.init_from and not is_resumed:
        report = initial_weights.load(task, request.files[request.train.init_from].path)
        log.info("--init_from=%s: %s", request.train.init_from, report)
    return task


def _settings(request: Request, seed: int, fixed: TrialRecord, device: torch.device) -> LoopSettings:
    train, execution = request.train, request.execution
    return LoopSettings(
        seed=seed,
        num_steps=train.num_steps,
        period_summary=fixed.period_summary,
        period_preview=execution.period_preview,
        save_at=request.needs_checkpoint,
        max_grad_norm=train.max_grad_norm if train.grad_clip else None,
        precision=train.precision,
        device=device,
    )


@dataclass(frozen=True)
class _Batches:
    """The loader as the loop wants it: batches of a range of steps, given what sampling has learned."""

    source: PairSource | None
    request: Request

    def __call__(self, steps: range, state: Mapping[str, Any]) -> Iterator[dict[str, Tensor]]:
        execution = self.request.execution
        if self.source is None:
            raise ValueError("a training without steps has no batches")
        return loader.batches(self.source, steps, state, execution.num_workers, execution.pin_memory)


class _Hooks:
    """What the loop does to the world: checkpoints, events, rows, previews. See ``loop.Hooks``."""

    def __init__(
        self,
        request: Request,
        attempt: Attempt,
        task: Task,
        device: torch.device,
        validation: PairSource | None,
        observers: Observers,
        should_stop: Callable[[], bool],
    ) -> None:
        self._request = request
        self._attempt = attempt
        self._task = task
        self._device = device
        self._validation = validation
        self._observers = observers
        self.should_stop = should_stop

    def save(self, step: int, state: dict[str, Any]) -> None:
        trial = self._attempt.trial
        folder = trial.checkpoint(step)
        checkpoints.save(folder, step, self._task.networks, state, self._attempt.guard)
        self._attempt.event("checkpoint", step=step)
        log.info("step %d: checkpoint %s", step, folder.path)
        self._attempt.guard()  # a successor may have been asked to keep more
        checkpoints.prune(trial, self._request.needs_assessment)

    def progress(self, step: int, loss: float | None, steps_per_second: float) -> None:
        self._attempt.event(
            "progress", step=step, total=self._request.train.num_steps, loss=loss, rate=steps_per_second
        )

    def row(self, step: int, row: Mapping[str, float | int]) -> None:
        level = logging.INFO if self._request.execution.verbose_train else logging.DEBUG
        log.log(level, "step %d: %s", step, ", ".join(f"{k} {v:.6g}" for k, v in row.items() if k != "step"))
        self._attempt.guard()
        self._observers.scalars(step, {name: value for name, value in row.items() if name != "step"})

    def preview(self, step: int, batch: Batch) -> None:
        with self._evaluating():
            maps = self._task.preview(batch)
        arrays = {name: tensor.cpu().numpy() for name, tensor in {**batch, **maps}.items()}
        self._attempt.guard()
        self._observers.preview(step, arrays)

    def validation_loss(self, step: int) -> float | None:
        if self._validation is None:
            return None
        losses = []
        with self._evaluating():
            for number in range(VALIDATION_BATCHES):
                arrays = self._validation.batch(step * VALIDATION_BATCHES + number)
                batch = {name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()}
                with loop.autocast(self._device, self._request.train.precision):
                    losses.append(float(self._task.loss(batch, step).total))
        return sum(losses) / len(losses)

    def _evaluating(self) -> Any:
        return _Evaluating(self._task)


class _Evaluating:
    """Evaluation mode without gradients, and training mode again afterwards."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._no_grad = torch.no_grad()

    def __enter__(self) -> None:
        self._no_grad.__enter__()
        self._task.set_mode(training=False)

    def __exit__(self, *exception: Any) -> None:
        self._task.set_mode(training=True)
        self._no_grad.__exit__(*exception)
