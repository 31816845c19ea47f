"""Which code made a result."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from seqtrack.pipeline.sources import ASSESS_MODULE, NOT_LEARNED_FROM, TRAIN_MODULE
from seqtrack.runs import code


def test_training_is_made_by_models_data_and_training_not_by_tracking_or_tables() -> None:
    files = code.closure([TRAIN_MODULE], NOT_LEARNED_FROM)
    for name in (
        "models/siamfc.py",
        "models/losses.py",
        "data/sampling/pairs.py",
        "data/imaging/crops.py",
        "training/loop.py",
    ):
        assert f"seqtrack/{name}" in files
    assert not [name for name in files if name.split("/")[1] in ("tracking", "assessment", "reporting", "tools")]


def test_an_assessment_is_made_by_tracking_and_metrics_too() -> None:
    files = code.closure([ASSESS_MODULE])
    for name in ("models/siamfc.py", "tracking/siamfc.py", "assessment/metrics.py", "data/imaging/images.py"):
        assert f"seqtrack/{name}" in files
    assert "seqtrack/training/loop.py" not in files


def test_every_module_that_training_really_imports_is_in_the_hash() -> None:
    program = (
        "import sys; from seqtrack.training import loop, loader, siamfc, checkpoints, optimization, csvlog\n"
        "from seqtrack.data import datasets; from seqtrack.data.sampling import pairs\n"
        "from seqtrack.models import weights\n"
        "print(*[m for m in sys.modules if m.startswith('seqtrack.')])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    files = set(code.closure([TRAIN_MODULE], NOT_LEARNED_FROM))
    imported = {f"{name.replace('.', '/')}.py" for name in answer.stdout.split()}
    # Packages on the way are only docstrings.
    assert {name for name in imported if (code.ROOT / name).exists()} - files == set()


def test_changed_names_what_differs_is_new_or_gone() -> None:
    assert code.changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}) == ["b", "c", "d"]


def test_a_plugins_file_is_part_of_the_truth(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "my_tracker.py").write_text("class Mine: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code.closure([], plugin="my_tracker:Mine")
    (tmp_path / "my_tracker.py").write_text("class Mine: x = 1\n")
    assert code.changed(before, code.closure([], plugin="my_tracker:Mine")) == ["my_tracker.py"]


HELPED = {
    "lone.py": "import near, json; import numpy\nclass T: ...\n",
    "near.py": "try: from lab import far\nexcept ImportError: far = None\n",
    "lab/__init__.py": "from .first import \\\n    A\n",
    "lab/first.py": "A = 1\n",
    "lab/far.py": "from . import deep as d\nfrom seqtrack.data import lists\n",
    "lab/deep/__init__.py": "from ..other import (\n    X,  # from .unused import Y\n)\n",
    "lab/other.py": "X = 1\nimport lab.far\n",
    "lab/unused.py": "Y = 1\n",
    "unused.py": "",
    "seqtrack/data/lists.py": "is = not ours\n",
}


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_so_are_the_files_that_it_imports_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, HELPED)
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted = set(HELPED) - {"unused.py", "lab/unused.py", "seqtrack/data/lists.py"}
    before = code.closure([], plugin="lone:T")
    assert {name for name in before if not name.startswith("seqtrack/")} == wanted
    assert before["seqtrack/data/lists.py"] == code.closure(["seqtrack.data.lists"])["seqtrack/data/lists.py"]
    assert set(code.plugin_files("lab.far:T")) == wanted - {"lone.py", "near.py"}

    for name in sorted(wanted):
        (tmp_path / name).write_text(HELPED[name] + "# edited\n")
        assert code.changed(before, code.closure([], plugin="lone:T")) == [name]
        (tmp_path / name).write_text(HELPED[name])
    (tmp_path / "unused.py").write_text("X = 2\n")
    assert code.closure([], plugin="lone:T") == before


def test_of_an_installed_one_only_its_own_package_counts() -> None:
    files = set(code.plugin_files("json.decoder:JSONDecoder"))
    assert {"json/__init__.py", "json/decoder.py", "json/scanner.py"} <= files
    assert {name.split("/")[0] for name in files} == {"json"}


def by_python(source: bytes) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.split(".")[0] == "seqtrack"}


@pytest.mark.parametrize(
    "path", sorted(code.PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(code.ROOT))
)
def test_imports_are_found_as_python_finds_them(path: Path) -> None:
    source = path.read_bytes()
    assert set(code.imports_of(source)) == by_python(source)


def test_imports_in_every_spelling() -> None:
    source = b"""import seqtrack.errors as e, seqtrack.config
from seqtrack import schema  # not seqtrack.config
def late():
    from seqtrack.data import (
        datasets as d,  # from seqtrack import nothing
        lists,
    )
"""
    assert set(code.imports_of(source)) == by_python(source)
