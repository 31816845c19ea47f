"""The typed configuration: what is learned, what is measured, and where and how it runs.

Each flag is one field of one of three frozen dataclasses, spelled as on the command line. The class decides
what the flag means for identity: a ``TrainConfig`` field enters the run id (``seqtrack.runs.identity``), an
``AssessConfig`` field marked ``keyed`` enters the key of an assessment, an ``ExecutionConfig`` field enters
nothing. Values come from, later ones winning: defaults, ``~/.config/seqtrack.yaml`` and
``./seqtrack.local.yaml`` (machine-specific paths only), ``--config FILE``, flags.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack import yaml_files
from seqtrack.errors import UserError
from seqtrack.schema import Bounds, nearest


def option(
    default: Any,
    text: str,
    kind: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    keyed: bool = False,
    unhashed_at: Any = dataclasses.MISSING,
) -> Any:
    """A field that is a flag.

    Args:
        kind: how text and YAML values are read; a key of ``READERS``. A trailing ``?`` allows unset.
        minimum, above, maximum: allowed range of a number (``above`` is exclusive).
        keyed: an AssessConfig field that changes the result of an assessment.
        unhashed_at: for a field added after the first release, the value that reproduces the behaviour
            before it; the field is left out of the run id (of the key) while it has that value.
    """
    metadata = {
        "help": text, "kind": kind, "bounds": Bounds(low=minimum, above=above, high=maximum, choices=choices),
        "keyed": keyed, "unhashed_at": unhashed_at,
    }  # fmt: skip
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """What is learned: every field is part of the run id."""

    model: str = option("siamfc", "tracker family, or module:Class of your own (docs/guide.md)", "text")
    model_params: dict[str, Any] = option({}, "JSON: parameters of the model", "json")
    init_from: str | None = option(
        None, "start from these weights: RUN, RUN:SEED, RUN:SEED:STEP, or a safetensors/torch file", "text?"
    )
    preproc: str = option("original", "version of the data, e.g. original, crop_446, resize_force_360x360", "text")
    pool_datasets: tuple[str, ...] = option(
        ("vot2018",), "data sets whose videos are split into pool_train and pool_val", "texts"
    )
    pool_split: float = option(0.8, "share of the pool's videos that pool_train gets", "float", above=0, maximum=1)
    batchsz: int = option(8, "pairs per step", "int", minimum=1)
    imwidth: int | None = option(None, "resize frames to this width first (unset: native)", "int?", minimum=16)
    imheight: int | None = option(None, "resize frames to this height first", "int?", minimum=16)
    train_dataset: Any = option(
        "pool_train", 'name, or JSON: ["a","b"] joins, [[0.7,"a"],[0.3,"b"]] mixes by weight', "dataset"
    )
    filter_params: dict[str, Any] = option(
        {}, 'JSON: which tracks and frames may be drawn, e.g. {"min_side":10,"max_per_category":500}', "json",
        unhashed_at={},
    )  # fmt: skip
    num_steps: int = option(100000, "training steps", "int", minimum=0)
    optimizer: str = option("adam", "optimiser", "text", choices=("sgd", "momentum", "adam", "adamw", "rmsprop"))
    optimizer_params: dict[str, Any] = option({}, "JSON: parameters of the optimiser", "json")
    lr_init: float = option(1e-3, "initial learning rate", "float", above=0)
    lr_schedule: str = option(
        "constant", "learning rate over steps", "text", choices=("constant", "exponential", "cosine")
    )
    lr_params: dict[str, Any] = option({}, 'JSON: parameters of the schedule, e.g. {"warmup_steps": 500}', "json")
    grad_clip: bool = option(False, "clip the norm of the gradient", "flag")
    max_grad_norm: float = option(5.0, "norm that --grad_clip clips at", "float", above=0)
    sampler_params: dict[str, Any] = option(
        {}, 'JSON: how frame pairs are drawn, e.g. {"kind":"pair_range","low":1,"high":50}', "json"
    )
    augment_motion: bool = option(False, "shift and scale the search region at random", "flag")
    motion_params: dict[str, Any] = option({}, "JSON: parameters of --augment_motion", "json")
    augment_params: dict[str, Any] = option(
        {}, 'JSON: how crops are changed, e.g. {"search":{"blur":0.2},"still":{"translate":32}}', "json",
        unhashed_at={},
    )  # fmt: skip
    negative_params: dict[str, Any] = option(
        {}, 'JSON: shares of pairs of two targets, e.g. {"same_class":0.1,"other_video":0.1}', "json",
        unhashed_at={},
    )  # fmt: skip
    precision: str = option("fp32", "arithmetic of the network (weights stay fp32)", "text", choices=("fp32", "bf16"))
    variant: str = option(
        "", "a name that sets fresh results of the same configuration apart", "text", unhashed_at=""
    )


@dataclass(frozen=True)
class AssessConfig:
    """What is measured. Only the ``keyed`` fields change what one assessment finds."""

    eval_datasets: tuple[str, ...] = option(("otb_50",), "data sets to assess on", "texts")
    eval_samplers: tuple[str, ...] = option(
        ("full",),
        "full: every labelled frame; sampling: one clip per track; supervised: VOT's restarts; longterm: VOT-LT;"
        " benchmark: as the data set's authors assess",
        "texts", choices=("full", "sampling", "supervised", "longterm", "benchmark"),
    )  # fmt: skip
    eval_convention: str | None = option(
        None, "toolkit by whose rules frames are counted (docs/metrics.md; unset: the benchmark's own)", "text?",
        keyed=True, unhashed_at=None,
    )  # fmt: skip
    eval_tre_num: int = option(1, "starts per sequence: 1 is OPE, n > 1 adds TRE_n", "int", minimum=1, keyed=True)
    eval_repeats: int = option(
        1, "runs of each start, for trackers that draw lots", "int", minimum=1, keyed=True, unhashed_at=1
    )
    eval_preproc: str | None = option(
        None, "version of the data to assess on (unset: as --preproc, but original where that is a crop_S)", "text?",
        keyed=True, unhashed_at=None,
    )  # fmt: skip
    max_eval_videos: int | None = option(
        None, "assess at most so many videos of a set (a fixed random choice)", "int?", minimum=1, keyed=True
    )
    tracker_params: dict[str, Any] = option(
        {}, 'JSON: parameters of the tracker, e.g. {"num_scales": 3}', "json", keyed=True
    )
    period_assess: int = option(10000, "assess the checkpoints at multiples of this step", "int", minimum=1)
    period_skip: int = option(0, "but none before this step", "int", minimum=0)
    assess_all: bool = option(False, "assess every such checkpoint on every set, not only selected ones", "flag")
    optimize_dataset: str | None = option(
        None, "eval id (set-sampler) that selects a trial's checkpoint (unset: the first)", "text?"
    )
    optimize_metric: str = option(
        "AUC", "metric that selects it; AUC stands for the convention's first where that has none", "text"
    )


@dataclass(frozen=True)
class ExecutionConfig:
    """Where and how it runs: nothing here changes what a table says."""

    num_trials: int = option(1, "how many seeds", "int", minimum=1)
    first_seed: int = option(0, "the first of them", "int", minimum=0)
    name: str | None = option(None, "a name by which to find the run again", "text?")
    data_dir: Path | None = option(None, "folder of {preproc}/{dataset}/ folders", "path?")
    data_paths: dict[str, str] = option({}, "name=DIR …: data sets that lie elsewhere", "pairs")
    tar_dir: Path | None = option(None, "folder of {preproc}/{dataset}.tar files", "path?")
    untar: bool = option(False, "unpack the tars to --tmp_data_dir first", "flag")
    stage_mode: str | None = option(
        None, "untar: same as --untar; tar: copy the tar (or zip) and read it in place; memory: so, in shared memory",
        "text?", choices=("untar", "tar", "memory"),
    )  # fmt: skip
    storage: str = option(
        "auto", "read training data only where they are stored in this way", "text",
        choices=("auto", "dir", "tar", "zip", "array_record"),
    )  # fmt: skip
    from_file: bool = option(False, "same as --storage=dir", "flag")
    tmp_data_dir: str | None = option(None, "node-local folder to stage to", "text?")
    tmp_keep: bool = option(
        True,
        "keep staged copies for the next job until space is short (--no-tmp_keep: the last user removes)",
        "flag",
    )
    data_cache_dir: Path = option(Path("dataset_cache"), "folder of data-set indexes", "path")
    cache_dir: Path = option(Path("cache"), "folder of results", "path")
    snapshot: bool = option(
        True, "keep the code as git has it, uncommitted changes included, under refs/seqtrack", "flag"
    )
    accept_changes: bool = option(False, "reuse results made by other code or data (the summary says so)", "flag")
    val_dataset: Any = option(None, "data set whose loss is reported while training (as --train_dataset)", "dataset?")
    period_ckpt: int = option(10000, "steps between checkpoints", "int", minimum=1)
    period_summary: int = option(100, "steps between rows of train.csv", "int", minimum=1)
    period_preview: int | None = option(
        None, "steps between pictures of training pairs (unset: none)", "int?", minimum=1
    )
    nosave: bool = option(False, "save only the checkpoints that assessment needs", "flag")
    visualize: bool = option(False, "write a video with boxes for each assessed sequence", "flag")
    keep_frames: bool = option(False, "with --visualize: keep its frames as pictures too", "flag")
    loglevel: str = option(
        "info", "least serious message to log", "text", choices=("debug", "info", "warning", "error")
    )
    verbose_train: bool = option(False, "log every row of train.csv", "flag")
    num_workers: int = option(0, "data-loading processes per trial (0: in the trainer itself)", "int", minimum=0)
    cpu_threads: int = option(2, "threads of one trial's arithmetic; changes the last bits", "int", minimum=1)
    deterministic: bool = option(True, "same bits on the same machine", "flag")
    pin_memory: bool = option(False, "page-locked batches (GPU)", "flag")
    device: str = option("auto", "auto, cpu, cuda, mps", "text", choices=("auto", "cpu", "cuda", "mps"))
    eval_workers: int | None = option(
        None, "processes that assess one trial (unset: as its share of the cores allows, where that pays)", "int?",
        minimum=1,
    )  # fmt: skip
    eval_batch: int = option(
        32, "sequences that are tracked at a time on a GPU, by all processes together", "int", minimum=1
    )
    max_parallel: int | None = option(
        None, "trials at a time on this machine (unset: one per GPU, or as the CPU cores allow)", "int?", minimum=1
    )
    detach: bool = option(False, "return at once; the same command comes back, seqtrack status looks", "flag")
    slurm: bool = option(False, "run as SLURM jobs", "flag")
    slurm_flags: tuple[str, ...] = option(
        (), "key=value …: what sbatch is told, e.g. partition=gpu time=4:00:00 gres=gpu:1", "words"
    )
    slurm_assess_flags: tuple[str, ...] = option(
        (), "key=value …: the same for assessment (unset: as --slurm_flags)", "words"
    )
    slurm_summary_flags: tuple[str, ...] = option(
        (), "key=value …: the same for the CPU jobs that index and summarise (unset: the site's defaults)", "words"
    )
    slurm_throttle: int | None = option(None, "tasks of an array that run at a time", "int?", minimum=1)
    slurm_max_submit: int | None = option(
        None, "jobs of this run in the queue at a time; the rest follow (for QOS limits)", "int?", minimum=4
    )
    slurm_setup: tuple[str, ...] = option((), "shell lines run before each job, e.g. 'module load cuda'", "words")
    slurm_exclude_failed_nodes: bool = option(False, "avoid nodes that have failed under this run", "flag")


@dataclass(frozen=True)
class Config:
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    assess: AssessConfig = dataclasses.field(default_factory=AssessConfig)
    execution: ExecutionConfig = dataclasses.field(default_factory=ExecutionConfig)


SECTIONS: dict[str, type] = {"train": TrainConfig, "assess": AssessConfig, "execution": ExecutionConfig}
FIELDS: dict[str, dataclasses.Field[Any]] = {
    field.name: field for section in SECTIONS.values() for field in dataclasses.fields(section)
}
# A cluster's paths, modules and CPU partition are facts about the machine; everything else belongs to the experiment.
MACHINE_FIELDS = ("data_dir", "tar_dir", "data_paths", "tmp_data_dir", "slurm_setup", "slurm_summary_flags")


def parse_json(name: str, text: str) -> Any:
    """JSON, or UserError whose message points at the character that does not parse."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20) : error.pos] + "⟨here⟩" + text[error.pos : error.pos + 20]
        around = " ".join(around.split())
        raise UserError(
            f"--{name}: not JSON: {error.msg} at character {error.pos + 1}"
            f" (line {error.lineno}, column {error.colno}): {around}"
        ) from error


def _int(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
            raise ValueError
        return int(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"--{name}: expected a whole number, got {value!r}") from error


def _float(name: str, value: Any) -> float:
    try:
        number = float(value)
        if isinstance(value, bool) or not math.isfinite(number):
            raise ValueError
    except (TypeError, ValueError) as error:
        raise UserError(f"--{name}: expected a number, got {value!r}") from error
    return number


def _text(name: str, value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise UserError(f"--{name}: expected a name, got {value!r}")
    return str(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or not values:
        raise UserError(f"--{name}: expected one or more names, got {value!r}")
    return tuple(_text(name, item) for item in values)


def _words(name: str, value: Any) -> tuple[str, ...]:
    return () if value in ([], ()) else _texts(name, value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"--{name}: expected true or false, got {value!r}")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    parsed = parse_json(name, value) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        raise UserError(f'--{name}: expected a JSON object such as {{"key": 1}}, got {json.dumps(parsed)}')
    return parsed


def _dataset(name: str, value: Any) -> Any:
    """A bare name, or JSON (text that starts like a list or a string)."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", '"', "{"):
        value = parse_json(name, value)
    if not isinstance(value, (str, list, dict)):
        raise UserError(f"--{name}: expected a data-set name, a JSON list or a JSON object, got {value!r}")
    return value


def _pairs(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    pairs = {}
    for word in [value] if isinstance(value, str) else value:
        key, equals, item = str(word).partition("=")
        if not (key and equals and item):
            raise UserError(f"--{name}: expected name=DIR, got {word!r}")
        pairs[key] = item
    return pairs


READERS: dict[str, Callable[[str, Any], Any]] = {
    "int": _int, "float": _float, "text": _text, "texts": _texts, "words": _words, "flag": _flag, "json": _object,
    "dataset": _dataset, "pairs": _pairs, "path": lambda name, value: Path(_text(name, _plain(value))).expanduser(),
}  # fmt: skip


def read_value(name: str, value: Any) -> Any:
    """One flag's value, from text or YAML, checked against its field's kind, choices and range."""
    metadata = FIELDS[name].metadata
    kind = metadata["kind"]
    if kind.endswith("?"):
        if value is None:
            return None
        kind = kind[:-1]
    result = READERS[kind](name, value)
    try:
        metadata["bounds"].check(result)
    except ValueError as error:
        raise UserError(f"--{name}: {error}") from None
    return result


def build(values: Mapping[str, Any]) -> Config:
    """The configuration with these values set and defaults elsewhere. Unknown names are errors."""
    for name in values:
        if name not in FIELDS:
            raise UserError(f"--{name}: no such flag; {nearest(name, FIELDS)}")
    read = {name: read_value(name, value) for name, value in values.items()}
    sections = {
        key: section(**{f.name: read[f.name] for f in dataclasses.fields(section) if f.name in read})
        for key, section in SECTIONS.items()
    }
    config = Config(**sections)
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    train, execution = config.train, config.execution
    if (train.imwidth is None) != (train.imheight is None):
        missing = "imheight" if train.imheight is None else "imwidth"
        raise UserError(f"--{missing}: give --imwidth and --imheight together, or neither")
    if execution.untar and execution.stage_mode in ("tar", "memory"):
        raise UserError(f"--stage_mode={execution.stage_mode}: it contradicts --untar; give one of the two")
    if execution.from_file and execution.storage not in ("auto", "dir"):
        raise UserError(f"--storage={execution.storage}: it contradicts --from_file; give one of the two")
    if stage_mode(execution) != "none" and storage(execution) in ("dir", "array_record"):
        raise UserError("--stage_mode, --untar: only tars and zips are staged; leave out --storage and --from_file")
    # --data_dir may hold the zips of crop-and-pickle sets, which are copied but not unpacked.
    folders = execution.tar_dir or execution.data_paths or (not execution.untar and execution.data_dir)
    if stage_mode(execution) != "none" and not folders:
        flag = "--untar" if execution.untar else "--stage_mode"
        raise UserError(f"{flag}: there is nothing to stage without --tar_dir; give the folder of the tars")
    if execution.keep_frames and not execution.visualize:
        raise UserError("--keep_frames: it keeps the frames of --visualize; give that too")
    for name in ("flags", "assess_flags", "throttle", "max_submit", "exclude_failed_nodes"):
        if not execution.slurm and getattr(execution, f"slurm_{name}") != getattr(ExecutionConfig, f"slurm_{name}"):
            raise UserError(f"--slurm_{name}: it says how SLURM jobs run; give --slurm too")
    if execution.slurm and execution.max_parallel is not None:
        raise UserError("--max_parallel: it limits trials on this machine; with --slurm give --slurm_throttle")
    if execution.name == "latest":
        raise UserError("--name: 'latest' means the run submitted last; choose another name")
    if not train.grad_clip and train.max_grad_norm != TrainConfig.max_grad_norm:
        raise UserError("--max_grad_norm: it is the norm that --grad_clip clips at; give that too")
    for name in ("name", "variant"):
        value = getattr(execution if name == "name" else train, name)
        if value and not all(c.isalnum() or c in "._-" for c in value):
            raise UserError(f"--{name}: {value!r}: use letters, digits, '.', '_' and '-' only")


def stage_mode(execution: ExecutionConfig) -> str:
    """``none``, ``untar``, ``tar`` or ``memory``; ``--untar`` is the short spelling of the second."""
    return "untar" if execution.untar else execution.stage_mode or "none"


def storage(execution: ExecutionConfig) -> str:
    """``--storage``, of which ``--from_file`` is one spelling."""
    return "dir" if execution.from_file else execution.storage


def to_dict(section: TrainConfig | AssessConfig | ExecutionConfig) -> dict[str, Any]:
    """Plain JSON values, one per field."""
    return {field.name: _plain(getattr(section, field.name)) for field in dataclasses.fields(section)}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def machine_values(home: Path | None = None, folder: Path | None = None) -> dict[str, Any]:
    """Machine-specific paths from ``~/.config/seqtrack.yaml`` and ``./seqtrack.local.yaml``."""
    home = home or Path.home()
    values: dict[str, Any] = {}
    for path in (home / ".config" / "seqtrack.yaml", (folder or Path()) / "seqtrack.local.yaml"):
        if not path.is_file():
            continue
        content = yaml_files.read(path)
        for name in content:
            if name not in MACHINE_FIELDS:
                raise UserError(f"{path}: {name!r} may not be set here; only {', '.join(MACHINE_FIELDS)} may")
        values.update(content)
    return values
