"""The rooms and who may import whom: the first page of docs/internals.md, held to."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seqtrack"
# Each may import only from those before it.
ROOMS = [
    "errors", "yaml_files", "schema", "config", "runs", "data", "models", "training", "tracking", "assessment",
    "reporting", "pipeline", "integrations", "cluster", "tools",
]  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "torchvision", "pandas", "cv2", "matplotlib", "h5py", "tensorboard", "tensorflow_datasets")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rooms_above_its_own(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    if room == "__main__":
        room = "tools"
    allowed = ROOMS[: ROOMS.index(room) + 1]
    inside = [name.split(".")[1] for name in imports(path) if name.startswith("seqtrack.")]
    assert set(inside) <= set(allowed), f"{path} imports {sorted(set(inside) - set(allowed))}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450


def test_the_data_room_knows_no_torch() -> None:
    users = [
        path for path in MODULES if room_of(path) == "data" and any(n.startswith("torch") for n in imports(path))
    ]
    assert users == []


@pytest.mark.parametrize(
    "command",
    [
        "import seqtrack",
        "from seqtrack.tools.train import build_parser; build_parser().format_help()",
        "from seqtrack.tools.train_work import build_parser; build_parser().format_help()",
        "import seqtrack.tools.pack, seqtrack.tools.index, seqtrack.tools.sample_data, seqtrack.tools.main",
        "from seqtrack.tools import datasets, view; datasets.build_parser(); view.build_parser().format_help()",
        "from seqtrack.tools.report import build_parser; build_parser().format_help()",
        "from seqtrack.tools.export import build_parser; build_parser().format_help()",
        "from seqtrack.tools import assess; assess.build_parser().format_help()",
        "from seqtrack.integrations import vot; vot.build_parser().format_help()",
        "from seqtrack.tools.preprocess import build_parser; build_parser().format_help()",
        "from seqtrack.tools.sweep import build_parser; build_parser().format_help()",
        "from seqtrack.tools.compare import build_parser; build_parser().format_help()",
    ],
)
def test_nothing_heavy_is_imported_for_help(command: str) -> None:
    code = f"import sys; {command}; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
