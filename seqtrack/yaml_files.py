"""YAML as people write it into files of flags, and as runs keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqtrack.errors import UserError


def read(path: Path) -> dict[str, Any]:
    """The mapping of flags in a YAML file, or UserError that names the file and line."""
    import yaml

    try:
        content = load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        what = "" if isinstance(error, yaml.constructor.ConstructorError) else "not YAML: "
        raise UserError(f"{where}: {what}{getattr(error, 'problem', None) or error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected lines of 'flag: value', got {type(content).__name__}")
    return {str(key).lstrip("-").replace("-", "_"): value for key, value in content.items()}


def load(text: str) -> Any:
    """What a YAML document says. Raises yaml.YAMLError, also for a key that is there twice: YAML forbids it, and the
    parser would forget the first."""
    import yaml

    # libyaml's parser, where there is one, reads a thousand lines in 5 ms instead of 60.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        _refuse_twice(node, set())
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_twice(node: Any, seen: set[int]) -> None:
    """seen: nodes by identity, for an alias may lead back to where it stands."""
    import yaml

    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(item, seen)
        return
    keys = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value}: it is there twice; leave one out", key.start_mark
                )
            keys.add((key.tag, key.value))
        _refuse_twice(value, seen)
