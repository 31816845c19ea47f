"""The run id: a name for a configuration that changes exactly when what is learned would change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seqtrack.config import FIELDS, AssessConfig, TrainConfig, to_dict
from seqtrack.errors import UserError

RUN_ID_DIGITS = 12
ASSESSMENT_DIGITS = 8


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def identity(train: TrainConfig, file_digests: Mapping[str, str]) -> dict[str, Any]:
    """What the run id is the hash of.

    Args:
        train: complete and resolved, defaults of nested parameters included.
        file_digests: content digest of each file that ``train`` names, by the path it is named by, ``@`` before
            that of a list of sequences. Wherever that path stands as a value, or ``NAME@path`` does, the digest
            stands in the identity: a file enters by content.
    """

    def by_content(value: str) -> str:
        return "sha256:" + file_digests[value] if value in file_digests else value

    def lists_by_content(value: str) -> str:
        name, mark, path = value.partition("@")
        return f"{name}@sha256:{file_digests[mark + path]}" if mark + path in file_digests else value

    values = to_dict(train)
    files = dict.fromkeys(("init_from", "model_params"), by_content)
    lists = dict.fromkeys(("train_dataset", "pool_datasets"), lists_by_content)
    translate = {**files, **lists}
    result = {}
    for name, value in values.items():
        if _has_its_old_value(name, value):
            continue
        result[name] = _translated(value, translate[name]) if name in translate else value
    return result


def _translated(value: Any, translate: Callable[[str], str]) -> Any:
    """The same JSON value with every text in it replaced."""
    if isinstance(value, dict):
        return {key: _translated(item, translate) for key, item in value.items()}
    if isinstance(value, list):
        return [_translated(item, translate) for item in value]
    return translate(value) if isinstance(value, str) else value


def run_id(train: TrainConfig, file_digests: Mapping[str, str]) -> str:
    return digest(identity(train, file_digests))[:RUN_ID_DIGITS]


def assessment_key(assess: AssessConfig) -> str:
    """The part of an assessment's folder name that stands for how it was measured."""
    return digest(keyed(assess))[:ASSESSMENT_DIGITS]


def keyed(assess: AssessConfig) -> dict[str, Any]:
    """What the key is the hash of: how one assessment is made."""
    return {
        name: value
        for name, value in to_dict(assess).items()
        if FIELDS[name].metadata["keyed"] and not _has_its_old_value(name, value)
    }


def _has_its_old_value(name: str, value: Any) -> bool:
    unhashed_at = FIELDS[name].metadata["unhashed_at"]
    return unhashed_at is not dataclasses.MISSING and value == unhashed_at


def file_digest(path: Path, flag: str) -> str:
    """SHA-256 of a file's content, or UserError that names the flag it came from."""
    try:
        with path.open("rb") as file:
            sha = hashlib.sha256()
            while block := file.read(1 << 20):
                sha.update(block)
            return sha.hexdigest()
    except OSError as error:
        raise UserError(f"--{flag}: cannot read {path} ({error.strerror}); give the path of a file") from error
