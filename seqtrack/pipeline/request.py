"""What a command asks for, complete and checked: the resolved configuration, its run id, its data sets.

Made once at the edge, stored in ``submissions.jsonl``, and read back by every worker. No torch.
"""

from __future__ import annotations

import dataclasses
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from seqtrack import config as configuration
from seqtrack.assessment import conventions
from seqtrack.assessment.benchmark import benchmark_of
from seqtrack.assessment.metrics import Metric
from seqtrack.config import AssessConfig, Config, ExecutionConfig, TrainConfig, to_dict
from seqtrack.data.formats import DatasetName
from seqtrack.data.lists import MARK, parse_restricted, read_list, split
from seqtrack.data.locations import Locations, locations_of
from seqtrack.data.preprocessing.versions import assessed_version, check_room, is_crop
from seqtrack.data.sampling.augment import AugmentParams, parse_augment_params
from seqtrack.data.sampling.draws import NegativeParams, parse_negative_params
from seqtrack.data.sampling.filters import FilterParams, parse_filter_params
from seqtrack.data.sampling.mixture import Mixture, parse_mixture
from seqtrack.data.sampling.motion import MotionParams, parse_motion_params
from seqtrack.data.sampling.pools import POOLS
from seqtrack.data.sampling.samplers import parse_sampler_params
from seqtrack.errors import UserError
from seqtrack.pipeline import families
from seqtrack.pipeline.eval_sets import EvalSet, eval_set
from seqtrack.pipeline.external import is_external
from seqtrack.pipeline.sources import Sources
from seqtrack.runs import atomic, attempts, events, identity, lookup, submissions
from seqtrack.runs.paths import RunFolder
from seqtrack.runs.repository import Snapshot
from seqtrack.schema import nearest, plain
from seqtrack.training.params import resolve_lr_params, resolve_optimizer_params


class DataUse(NamedTuple):
    """A data set, where the version of it lies that is read, and whether it is assessed on."""

    name: DatasetName
    locations: Locations
    assessed: bool = False


@dataclass(frozen=True)
class NamedFile:
    """A file that the configuration names and that enters the run id by its content."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Request:
    """One command, resolved. ``files`` are by the text that names them in the configuration, lists of sequences
    (``NAME@FILE``) as ``@FILE``; the run keeps copies of those, which its workers read."""

    train: TrainConfig
    assess: AssessConfig
    execution: ExecutionConfig
    run_id: str
    files: Mapping[str, NamedFile]
    submitted_code: Mapping[str, str] | None = None
    """For a worker: the code that the command was given with."""
    submission: str | None = None
    """For a worker: the id of the command."""
    sources: Sources = dataclasses.field(default_factory=Sources, compare=False)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.execution.cache_dir / self.run_id)

    @property
    def seeds(self) -> range:
        first = self.execution.first_seed
        return range(first, first + self.execution.num_trials)

    @property
    def family(self) -> families.Family:
        return families.find(self.train.model)

    @property
    def view_size(self) -> tuple[int, int] | None:
        """(width, height) that frames are resized to, None for native."""
        width, height = self.train.imwidth, self.train.imheight
        return None if width is None or height is None else (width, height)

    @cached_property
    def eval_sets(self) -> list[EvalSet]:
        """In the order given, each once."""
        sets = [
            eval_set(self._dataset_name("eval_datasets", name), sampler, self.assess.eval_convention)
            for name in self.assess.eval_datasets
            for sampler in self.assess.eval_samplers
        ]
        return list({(item.eval_id, item.dataset.layout): item for item in sets}.values())

    @cached_property
    def selection(self) -> EvalSet:
        """The set that selects a trial's checkpoint: the first one, or ``--optimize_dataset``."""
        wanted = self.assess.optimize_dataset
        if wanted is None:
            return self.eval_sets[0]
        for item in self.eval_sets:
            if wanted in (item.eval_id, str(item.dataset), item.dataset.label):
                return item
        known = [item.eval_id for item in self.eval_sets]
        raise UserError(f"--optimize_dataset: {wanted!r} is not assessed; {nearest(wanted, known)}")

    @property
    def selection_metric(self) -> Metric:
        return self.selection.find_metric(self.assess)

    def headline(self, item: EvalSet) -> str:
        """The one metric that a line about an eval set gives: the selection's, or if it has none such, its first."""
        names = item.metric_names(self.assess)
        return self.selection_metric.name if self.selection_metric.name in names else names[0]

    @property
    def assessment_key(self) -> str:
        return identity.assessment_key(self.assess)

    @cached_property
    def question(self) -> str:
        """What is to be assessed, as a digest: two requests of one run with the same one want the same work done."""
        execution = self.execution
        return identity.digest([to_dict(self.assess), execution.visualize, execution.keep_frames])[:8]

    @cached_property
    def locations(self) -> Locations:
        """Where the versions lie that are trained on."""
        return locations_of(Config(self.train, self.assess, self.execution))

    @cached_property
    def eval_locations(self) -> Locations:
        """Where the versions lie that are assessed on, however they are stored: ``--storage`` is about training."""
        version = assessed_version(self.train.preproc, self.assess.eval_preproc)
        return dataclasses.replace(self.locations, preproc=version, storage="auto")

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """By flag: what is trained on, and what is validated on if anything."""
        found = {"train_dataset": parse_mixture(self.train.train_dataset, "--train_dataset")}
        if self.execution.val_dataset is not None:
            found["val_dataset"] = parse_mixture(self.execution.val_dataset, "--val_dataset")
        return found

    @cached_property
    def training_datasets(self) -> dict[str, DatasetName]:
        """Every data set that training reads, by the name that mixtures call it; pools spelled out. Without steps to
        train there is none."""
        found: dict[str, DatasetName] = {}
        if self.train.num_steps == 0:
            return found
        for flag, mixture in self.mixtures.items():
            for name in mixture.names():
                if name in POOLS:
                    found.update((p, self._dataset_name("pool_datasets", p)) for p in self.train.pool_datasets)
                else:
                    found[name] = self._dataset_name(flag, name)
        return found

    def _dataset_name(self, flag: str, text: str) -> DatasetName:
        """The name in ``text``; of its list, the run's copy where there is one."""
        try:
            name, listed = split(text)
            if not listed:
                return parse_restricted(name)
            file = self.files.get(MARK + listed)
            if file is None:
                raise UserError(f"{text}: this trial started with that list; give it again")
            copy = self.run.sequence_list(file.sha256)
            found = parse_restricted(text, copy if copy.exists() else Path(file.path))
        except UserError as error:
            raise UserError(f"--{flag}: {error}") from error
        if found.only is None or found.only.sha256 != file.sha256:
            raise UserError(f"--{flag}: {text}: the list has changed in the meantime; give the command again")
        return found

    @property
    def datasets(self) -> dict[str, DatasetName]:
        """Every data set that the request reads, each with each of its lists, by label."""
        names = [*self.training_datasets.values(), *(item.dataset for item in self.eval_sets)]
        return {name.label: name for name in names}

    @property
    def training_lists(self) -> dict[str, dict[str, str]]:
        """Digests of the lists of ``training_datasets``, in the form of ``Dataset.data_fingerprint``."""
        return {text: {"list": name.only.sha256} for text, name in self.training_datasets.items() if name.only}

    @property
    def data_uses(self) -> list[DataUse]:
        """Every version of a data set that the request reads, each once."""
        training = [DataUse(name, self.locations) for name in self.training_datasets.values()]
        assessed = [DataUse(item.dataset, self.eval_locations, assessed=True) for item in self.eval_sets]
        # The assessed one counts last: more is asked of it.
        unique = {
            (use.name.label, use.locations.preproc, use.locations.storage): use for use in [*training, *assessed]
        }
        return list(unique.values())

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The code as git had it when first asked; None with ``--no-snapshot``."""
        return self.sources.snapshot if self.execution.snapshot else None

    @cached_property
    def training_code(self) -> dict[str, str]:
        """SHA-256 by file of the modules that training imports, as they were when first asked."""
        return self.sources.training(families.plugin(self.train.model))

    @cached_property
    def assessment_code(self) -> dict[str, str]:
        return self.sources.assessment(families.plugin(self.train.model))

    @cached_property
    def assessed_steps(self) -> list[int]:
        """Steps whose checkpoints the selection set is to assess: multiples of ``period_assess``, and the last."""
        period, last = self.assess.period_assess, self.train.num_steps
        return [*filter(self.needs_assessment, range(period, last, period)), last]

    def needs_assessment(self, step: int) -> bool:
        """Whether the checkpoint after ``step`` steps is one that assessment wants."""
        if step == self.train.num_steps:
            return True
        return step > 0 and step % self.assess.period_assess == 0 and step >= self.assess.period_skip

    def needs_checkpoint(self, step: int) -> bool:
        """Whether a checkpoint is due after ``step`` steps."""
        periodic = step % self.execution.period_ckpt == 0 and not self.execution.nosave
        return periodic or self.needs_assessment(step)


def resolve(config: Config, sources: Sources | None = None) -> Request:
    """Completes and checks a configuration. Reads files that it names, but no data. Raises UserError.

    sources: shared by the requests of one command; unset for one that has only this.
    """
    read = sources or Sources()
    train = config.train
    family = families.find(train.model)
    train = dataclasses.replace(
        train,
        model_params=family.resolve_params(train.model_params),
        optimizer_params=resolve_optimizer_params(train.optimizer, train.optimizer_params),
        lr_params=resolve_lr_params(train.lr_schedule, train.lr_params),
        sampler_params=plain(parse_sampler_params(train.sampler_params)),
        motion_params=plain(parse_motion_params(train.motion_params)),
        augment_params=_departures(parse_augment_params(train.augment_params)),
        filter_params=_departures(parse_filter_params(train.filter_params)),
        negative_params=_departures(parse_negative_params(train.negative_params)),
        train_dataset=parse_mixture(train.train_dataset, "--train_dataset").canonical(),
    )
    execution = _absolute(config.execution)
    files = {}
    for path in family.files(train.model_params):
        files[path] = NamedFile(str(Path(path).absolute()), read.digest(Path(path), "model_params"))
    if train.init_from:
        path = str(lookup.initial_weights(execution.cache_dir, train.init_from))
        files[train.init_from] = NamedFile(path, read.digest(Path(path), "init_from"))
    named = {
        "train_dataset": parse_mixture(train.train_dataset).names(),
        "val_dataset": [] if execution.val_dataset is None else parse_mixture(execution.val_dataset).names(),
        "pool_datasets": train.pool_datasets,
    }
    files.update(_lists(named))
    run_id = identity.run_id(train, {name: file.sha256 for name, file in files.items()})
    return complete(Config(train, config.assess, execution), run_id, files, sources)


def complete(config: Config, run_id: str, files: Mapping[str, NamedFile], sources: Sources | None = None) -> Request:
    """The request for a run whose training is resolved: completes and checks what is assessed."""
    train, asked = config.train, config.assess.eval_preproc
    assess = dataclasses.replace(
        config.assess,
        tracker_params=families.find(train.model).resolve_tracker_params(config.assess.tracker_params),
        # One spelling for one thing, so that asking for what happens anyway finds the assessments that are there.
        eval_preproc=None if asked == assessed_version(train.preproc, None) else asked,
    )
    files = {**files, **_lists({"eval_datasets": assess.eval_datasets})}
    execution = _absolute(config.execution)
    request = Request(train, assess, execution, run_id, files, sources=sources or Sources(run_id))
    _check(request)
    own = (conventions.default(benchmark_of(item.dataset), item.protocol) for item in request.eval_sets)
    if all(assess.eval_convention == convention for convention in own):
        request = dataclasses.replace(request, assess=dataclasses.replace(assess, eval_convention=None))
    return request


def _departures(params: AugmentParams | FilterParams | NegativeParams) -> dict[str, Any]:
    """Complete, defaults included; but {} for what leaves everything off, the one spelling of that."""
    return {} if params == type(params)() else plain(params)


def _lists(named: Mapping[str, Iterable[str]]) -> dict[str, NamedFile]:
    """The file of each ``NAME@FILE``, by ``@FILE``; its digest is that of what it says, not of its bytes.

    named: names by flag.
    """
    found = {}
    for flag, names in named.items():
        for name in names:
            try:
                _, file = split(name)
                if file:
                    path = Path(file).expanduser().absolute()
                    found[MARK + file] = NamedFile(str(path), read_list(path, file).sha256)
            except UserError as error:
                raise UserError(f"--{flag}: {error}") from error
    return found


def _check(request: Request) -> None:
    """Touches everything that is parsed on demand, so that mistakes surface at the edge; refuses flags that would
    do nothing but make another run id."""
    _ = (request.selection, request.selection_metric, request.training_datasets)
    called: dict[str, EvalSet] = {}
    for item in request.eval_sets:  # results are kept by the folder's name
        other = called.setdefault(item.eval_id, item)
        if other.dataset.layout != item.dataset.layout:
            raise UserError(
                f"--eval_datasets: {other.dataset} and {item.dataset} would both be called {item.eval_id};"
                " rename one of the folders"
            )
    train = request.train
    if is_external(train.model) and train.num_steps > 0:
        raise UserError(
            f"--model: {train.model} is a finished tracker; give --num_steps=0, or seqtrack assess --tracker"
        )
    if not train.augment_motion and train.motion_params != plain(MotionParams()):
        raise UserError("--motion_params: they belong to --augment_motion; give that too")
    if is_crop(train.preproc) and request.view_size is not None:
        raise UserError(
            f"--imwidth: {train.preproc} has no whole frames to resize; leave --imwidth and --imheight out"
        )
    if isinstance(request.family, families.SiamFCFamily):  # of others, when training opens the data
        model = train.model_params
        check_room(train.preproc, model["template_size"], model["search_size"], model["context"])
    if request.assess.eval_preproc is not None and is_crop(request.assess.eval_preproc):
        raise UserError(f"--eval_preproc: {request.assess.eval_preproc} has no whole frames to assess on")
    uses_pools = any(name in POOLS for mixture in request.mixtures.values() for name in mixture.names())
    for name in ("pool_datasets", "pool_split"):
        if not uses_pools and getattr(train, name) != getattr(TrainConfig, name):
            raise UserError(f"--{name}: neither --train_dataset nor --val_dataset uses {' or '.join(POOLS)}")


def _absolute(execution: ExecutionConfig) -> ExecutionConfig:
    """Workers may start in another folder."""
    paths = {
        name: getattr(execution, name).absolute()
        for name in ("data_dir", "tar_dir", "data_cache_dir", "cache_dir")
        if getattr(execution, name) is not None
    }
    data_paths = {name: _absolute_text(path) for name, path in execution.data_paths.items()}
    staged = execution.tmp_data_dir and _absolute_text(execution.tmp_data_dir)
    return dataclasses.replace(execution, data_paths=data_paths, tmp_data_dir=staged, **paths)


def _absolute_text(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def submit(request: Request, submission: str | None = None, sweep: str | None = None) -> str:
    """Records the request in its run folder, which it creates; returns the id that workers are given.

    submission: the id, where requests of several runs share one: those of a sweep, of this name.
    """
    import yaml

    atomic.ensure_writable_folder(request.execution.cache_dir, "cache_dir")
    values = {
        "run_id": request.run_id,
        "train": to_dict(request.train),
        "files": {name: dataclasses.asdict(file) for name, file in request.files.items()},
    }
    # libyaml's, where it is there: ten times as fast, which a sweep of a hundred runs notices.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True)
    atomic.create_exclusively(request.run.train_yaml, text.encode())
    for name in request.datasets.values():
        if name.only:  # jobs may start when its file has been edited, or is not in their reach
            copy = request.run.sequence_list(name.only.sha256)
            atomic.create_exclusively(copy, name.only.text.encode())
    submission = submission or new_submission()
    snapshot = None if request.snapshot is None else dataclasses.asdict(request.snapshot)
    events.append(
        request.run.submissions,
        {
            "id": submission,
            "time": time.time(),
            "argv": sys.argv[1:],
            "sweep": sweep,
            "driver": None if request.execution.slurm else attempts.this_process(),
            **values,
            "assess": to_dict(request.assess),
            "execution": to_dict(request.execution),
            "code": {**request.training_code, **request.assessment_code},
            "snapshot": snapshot,
        },
    )
    atomic.write_json(request.run.snapshot_json, {"submission": submission, **(snapshot or {})})
    return submission


def new_submission() -> str:
    return uuid.uuid4().hex[:12]


def read_submission(run: RunFolder, submission: str | None = None) -> Request:
    """The request with this id, or the last one; for the run where it lies now, wherever it was submitted.

    Of a sweep whose points share the run, that of the last of them.
    """
    return read_submissions(run, submission)[-1]


def read_submissions(run: RunFolder, submission: str | None = None) -> tuple[Request, ...]:
    """All requests with this id, or with the last one, in the order in which they were recorded: one, but for a sweep
    that tracks with what it has trained in several ways."""
    records = submissions.read(run)
    wanted = submission or (records[-1].get("id") if records else None)
    found = tuple(_read(run, record) for record in records if record.get("id") == wanted)
    if not found:
        what = f"no submission {submission!r}" if submission else "nothing was submitted"
        raise UserError(f"{run.path}: {what}; start it with python -m seqtrack.tools.train")
    return found


def _read(run: RunFolder, record: dict[str, Any]) -> Request:
    if not submissions.is_whole(record):
        raise UserError(f"{run.submissions}: is damaged; give the command of the run again")
    config = configuration.build({**record["train"], **record["assess"], **record["execution"]})
    execution = dataclasses.replace(config.execution, cache_dir=run.path.absolute().parent)
    files = {name: NamedFile(**file) for name, file in record["files"].items()}
    rest = files, record["code"], record["id"], Sources(record["run_id"])
    return Request(config.train, config.assess, execution, record["run_id"], *rest)
