"""What scores came from: how the trials went, configuration, code, environment, and what failed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from seqtrack.reporting.progress import duration
from seqtrack.reporting.report.markup import (
    Cell,
    Column,
    details,
    heading,
    number,
    paragraph,
    preformatted,
    section,
    table,
    text,
)
from seqtrack.reporting.report.subject import Subject
from seqtrack.runs.logs import last_lines
from seqtrack.runs.paths import RunFolder

LOG_LINES = 20
# Of where and how it ran; results do not depend on it.
_ABSENT = "(not set)"
_FACTS = {
    "selected_step": "step", "host": "host", "gpu": "GPU", "cpu": "CPU", "torch": "torch", "cuda": "CUDA",
    "python": "Python", "code": "code", "data": "data",
}  # fmt: skip


def stability(subject: Subject) -> str:
    """A row per trial: where it ran, with what, how long, how often it was started again."""
    columns = [*([] if subject.is_single else [Column("run")]), Column("seed", is_number=True), Column("state")]
    shown = [name for name in _FACTS if any(_is_known(run.trials[name]) for run in subject.runs)]
    columns += [Column(_FACTS[name], is_number=name == "selected_step") for name in shown]
    columns += [Column("training", is_number=True), Column("assessment", is_number=True)]
    columns += [Column("frames/s", "in the tracker, decoding left out", True), Column("restarts", is_number=True)]
    rows = []
    for k, run in enumerate(subject.runs):
        for trial in run.trials.to_dict("records"):
            row = [] if subject.is_single else [Cell(subject.names[k], swatch=k)]
            row += [number(trial["seed"], 0), Cell(trial["state"], kind="bad" if trial["error"] else "")]
            row += [_fact(trial[name], name == "selected_step") for name in shown]
            row += [_seconds(trial["seconds_train"]), _seconds(trial["seconds_assess"]), number(trial["fps"], 0)]
            row.append(number(trial["restarts"], 0))
            rows.append(row)
    return section("Trials", table(columns, rows, "How each trial went, and where"))


def failures(subject: Subject) -> str:
    """The cause of each trial that did not end well, and the last lines of its log."""
    parts = []
    for k, run in enumerate(subject.runs):
        for trial in run.trials.to_dict("records"):
            if not trial["error"]:
                continue
            folder = RunFolder(run.path).trial(int(trial["seed"]))
            attempts = folder.attempts()
            lines = last_lines(attempts[-1].log if attempts else folder.launch_log, LOG_LINES)
            name = "" if subject.is_single else f"{subject.names[k]}, "
            parts.append(
                heading(f"{name}seed {trial['seed']}: {trial['state']}") + paragraph(trial["error"], "problems")
            )
            parts.append(preformatted("\n".join(lines)) if lines else paragraph("It has no log."))
    return section("Failures", *parts)


def configuration(subject: Subject) -> str:
    """What differs first, where there are several runs; all of it, folded, below."""
    parts = []
    flat = [flattened({**run.config, **run.assess}) for run in subject.runs]
    if not subject.is_single:
        names = list(dict.fromkeys(name for values in flat for name in values))
        differing = [name for name in names if len({values.get(name, _ABSENT) for values in flat}) > 1]
        columns = [Column("parameter"), *(Column(name, swatch=k) for k, name in enumerate(subject.names))]
        rows = [[text(name), *(text(values.get(name, _ABSENT)) for values in flat)] for name in differing]
        if rows:
            parts.append(table(columns, rows, "Parameters that differ"))
        else:
            parts.append(paragraph("The runs have the same configuration."))
    for k, run in enumerate(subject.runs):
        if not run.submission:
            continue
        title = "All parameters" if subject.is_single else f"All parameters of {subject.names[k]}"
        groups = {
            "What is learned": run.config,
            "What is measured": run.assess,
            "Where and how it ran (changes no result)": run.submission.get("execution", {}),
        }
        body = "".join(heading(name) + _parameters(values, name) for name, values in groups.items())
        parts.append(details(title, body))
        parts.append(details(f"Command{'' if subject.is_single else f' of {subject.names[k]}'}", _command(run)))
    return section("Configuration", *parts)


def code_and_environment(subject: Subject) -> str:
    """Versions, and the digest of each module that training imports: those that differ first."""
    parts = []
    modules: list[Mapping[str, str]] = [run.submission.get("code") or {} for run in subject.runs]
    known = [found for found in modules if found]
    if len(known) > 1:
        names = sorted({name for found in known for name in found})
        differing = [name for name in names if len({found.get(name) for found in modules}) > 1]
        if differing:
            columns = [Column("module"), *(Column(name, swatch=k) for k, name in enumerate(subject.names))]
            rows = [[text(name), *(text(found.get(name, "")[:12]) for found in modules)] for name in differing]
            parts.append(table(columns, rows, "Modules that differ", "module"))
        else:
            parts.append(paragraph("The runs were started with the same code."))
    for k, found in enumerate(modules):
        if found:
            lines = "\n".join(f"{sha[:12]}  {name}" for name, sha in sorted(found.items()))
            whose = "" if subject.is_single else f" of {subject.names[k]}"
            parts.append(details(f"Code{whose}: SHA-256 of {len(found)} modules", preformatted(lines)))
    for k, run in enumerate(subject.runs):
        if snapshot := {name: value for name, value in (run.submission.get("snapshot") or {}).items() if value}:
            whose = "" if subject.is_single else f" of {subject.names[k]}"
            lines = "\n".join(f"{name}: {value}" for name, value in flattened(snapshot).items())
            parts.append(details(f"Code{whose}, as git had it", preformatted(lines)))
    for k, run in enumerate(subject.runs):
        environments = _environments(run)
        whose = "" if subject.is_single else f" of {subject.names[k]}"
        for seeds, lines in environments.items():
            parts.append(details(f"Environment{whose}, seed {seeds}", preformatted(lines)))
    return section("Code and environment", *parts)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """``{"a": {"b": 1}}`` as ``{"a.b": "1"}``; lists and what is left as JSON, text as it is."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(flattened(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _parameters(values: Mapping[str, Any], label: str) -> str:
    rows = [[text(name), text(value)] for name, value in sorted(flattened(values).items())]
    return table([Column("parameter"), Column("value")], rows, label)


def _command(run: Any) -> str:
    from seqtrack.runs import experiments

    return preformatted(experiments.command(run.submission))


def _environments(run: Any) -> dict[str, str]:
    """Text by seeds that share it."""
    found: dict[str, list[str]] = {}
    for seed in run.seeds:
        try:
            record = json.loads(RunFolder(run.path).trial(seed).record.read_text(encoding="utf-8"))["environment"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        lines = "\n".join(f"{name}: {value}" for name, value in sorted(flattened(record).items()))
        found.setdefault(lines, []).append(str(seed))
    return {", ".join(seeds): lines for lines, seeds in found.items()}


def _is_known(column: Any) -> bool:
    return bool((column.notna() & (column != "")).any())


def _fact(value: Any, is_number: bool) -> Cell:
    is_missing = value is None or value == "" or value != value or str(value) == "<NA>"
    if is_number:
        return number(None if is_missing else float(value), 0)
    return text("" if is_missing else value)


def _seconds(value: float | None) -> Cell:
    if value is None or math.isnan(value) or value <= 0:
        return number(None)
    return Cell(duration(value), value)
