"""In what two runs differ: flags, code, data, machines. What a comparison of their scores is a comparison of."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqtrack import config as configuration
from seqtrack.assessment import results
from seqtrack.config import FIELDS, AssessConfig, TrainConfig
from seqtrack.errors import SeqtrackError, UserError
from seqtrack.reporting import trial_facts
from seqtrack.reporting.frames import RunFrames
from seqtrack.runs import code, identity
from seqtrack.runs.paths import RunFolder
from seqtrack.schema import nearest

CODE, DATA, ENVIRONMENT = "code", "data", "environment"
# Fields of AssessConfig that choose the checkpoint; of the rest only what is ``keyed`` changes a score.
_SELECTION = ("period_assess", "period_skip", "optimize_dataset", "optimize_metric")
_NAMED = ("eval_tre_num",)  # keyed, but part of the name of what it changes: TRE_3_AUC
_MACHINE = ("gpu", "cpu", "threads", "platform", "python", "torch", "cuda", "numpy", "opencv")
_FILES_SHOWN = 4
_ABSENT = "—"


@dataclass(frozen=True)
class Difference:
    """One thing in which runs A and B differ.

    name: a flag, the path of a key in its JSON (``model_params.context``), ``code.training``, ``data.otb_50``,
    ``environment.torch``, … a, b: the values, as text.
    """

    name: str
    a: str
    b: str

    def belongs_to(self, name: str) -> bool:
        return self.name == name or self.name.startswith(name + ".")

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def differences(a: RunFrames, b: RunFrames, assessed: Mapping[str, tuple[Path, Path]]) -> list[Difference]:
    """Everything in which the runs differ and that a score may depend on.

    assessed: by name of an eval set, the folder of an assessment of each run.
    """
    return [*_of_training(a, b), *_of_assessment(a, b), *_of_code(a, b, assessed), *_of_data(a, b, assessed),
            *_of_machines(a, b)]  # fmt: skip


def names_of_differences() -> list[str]:
    """What ``--differs_in`` may name."""
    fields = [name for name in FIELDS if name in TrainConfig.__dataclass_fields__ or _matters(name)]
    return [*fields, CODE, DATA, ENVIRONMENT]


def check_names(names: Collection[str]) -> None:
    """UserError for a name that nothing could differ in."""
    for name in names:
        known = names_of_differences()
        if name.partition(".")[0] not in known:
            raise UserError(f"--differs_in: {name!r} is no flag that scores depend on; {nearest(name, known)}")


def warnings(found: Collection[Difference], named: Collection[str]) -> list[str]:
    """What a reader must know before the difference of the scores is put down to what was ``named``."""
    lines = [f"they do not differ in {name}" for name in named if not any(d.belongs_to(name) for d in found)]
    others = [d.name for d in found if not any(d.belongs_to(name) for name in named)]
    if named and others:
        lines.append(f"they differ in more than {', '.join(named)}: {', '.join(others)}")
    elif len(others) > 1:
        lines.append(
            f"they differ in {len(others)} things, and scores do not tell which of them matters: {', '.join(others)}"
        )
    return lines


def _of_training(a: RunFrames, b: RunFrames) -> list[Difference]:
    return _of_fields(_plain(a.config), _plain(b.config), _by_content(a), _by_content(b))


def _of_assessment(a: RunFrames, b: RunFrames) -> list[Difference]:
    mine, other = (_plain({name: value for name, value in run.assess.items() if _matters(name)}) for run in (a, b))
    return _of_fields(mine, other, mine, other)


def _matters(name: str) -> bool:
    is_assess = name in AssessConfig.__dataclass_fields__ and name not in _NAMED
    return is_assess and (FIELDS[name].metadata["keyed"] or name in _SELECTION)


def _of_fields(
    a: Mapping[str, Any], b: Mapping[str, Any], a_content: Mapping[str, Any], b_content: Mapping[str, Any]
) -> list[Difference]:
    """Leaves whose content differs, in the order of the fields; a file differs if what it holds does."""
    found = []
    for name in dict.fromkeys([*a, *b]):
        if a_content.get(name) == b_content.get(name):
            continue
        shown = [_text(values.get(name, _ABSENT)) for values in (a, b)]
        if shown[0] == shown[1]:
            shown = [_text(values.get(name, _ABSENT)) for values in (a_content, b_content)]
        found.append(Difference(name, *shown))
    return found


def _plain(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Leaves by the path of their keys; {} is a leaf."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found.update(_plain(value, f"{path}{name}."))
        else:
            found[path + name] = value
    return found


def _by_content(run: RunFrames) -> dict[str, Any]:
    """Leaves of TrainConfig as the run id sees them: a file by what it holds."""
    plain = _plain(run.config)
    files = {name: file["sha256"] for name, file in run.submission.get("files", {}).items()}
    if not files:
        return plain
    try:
        known = _plain(identity.identity(configuration.build(run.config).train, files))
    except SeqtrackError:  # of a version with other fields
        return plain
    return {name: known.get(name, value) for name, value in plain.items()}


def _of_code(a: RunFrames, b: RunFrames, assessed: Mapping[str, tuple[Path, Path]]) -> list[Difference]:
    kinds = {"training": (_training_record(a, CODE), _training_record(b, CODE))}
    for one, two in list(assessed.values())[:1]:
        kinds["assessment"] = (_assessment_record(one, CODE), _assessment_record(two, CODE))
    found = []
    for kind, (mine, other) in kinds.items():
        if mine and other and (files := code.changed(mine, other)):
            more = f" and {len(files) - _FILES_SHOWN} more" if len(files) > _FILES_SHOWN else ""
            shown = f"{', '.join(files[:_FILES_SHOWN])}{more}"
            digests = (identity.digest(part)[: trial_facts.CODE_DIGITS] for part in (mine, other))
            found.append(Difference(f"{CODE}.{kind}", *(f"{text} ({shown})" for text in digests)))
    return found


def _of_data(a: RunFrames, b: RunFrames, assessed: Mapping[str, tuple[Path, Path]]) -> list[Difference]:
    """Data sets that both used and of which something that both know differs."""
    mine, other = _training_record(a, DATA), _training_record(b, DATA)
    pairs = {name: (mine[name], other[name]) for name in mine if name in other}
    for name, folders in assessed.items():
        pairs[name] = (_assessment_record(folders[0], DATA), _assessment_record(folders[1], DATA))
    found = []
    for name, (before, after) in pairs.items():
        differ = [key for key in before if key in after and before[key] != after[key]]
        if differ:
            shown = (", ".join(f"{key} {str(part[key])[:8]}" for key in differ) for part in (before, after))
            found.append(Difference(f"{DATA}.{name}", *shown))
    return found


def _of_machines(a: RunFrames, b: RunFrames) -> list[Difference]:
    found = []
    for name in _MACHINE:
        mine, other = (_used(run, name) for run in (a, b))
        if mine != other and mine and other:
            found.append(Difference(f"{ENVIRONMENT}.{name}", *(", ".join(values) for values in (mine, other))))
    return found


def _used(run: RunFrames, name: str) -> list[str]:
    """What its trials ran on, each once; nothing of trials that have not begun."""
    begun = run.trials[run.trials["python"] != ""]
    return sorted({str(value) or "none" for value in begun[name]})


def _training_record(run: RunFrames, key: str) -> dict[str, Any]:
    """Of the first trial that has begun: a run's trials share their code and data, or its summary says otherwise."""
    for trial in RunFolder(run.path).trials():
        if found := trial_facts.read_record(trial).get(key):
            return dict(found)
    return {}


def _assessment_record(folder: Path, key: str) -> dict[str, Any]:
    return dict(results.load_config(folder).get(key, {}))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
