"""The code of a job is frozen when it is submitted, once per tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.runs import code, repository, snapshot


def test_the_frozen_package_is_the_package(tmp_path: Path) -> None:
    tree = snapshot.freeze(tmp_path)
    for path in code.PACKAGE.rglob("*.py"):
        assert (tree / path.relative_to(code.ROOT)).read_bytes() == path.read_bytes()
    assert snapshot.freeze(tmp_path) == tree
    assert [path.name for path in (tmp_path / "code").iterdir()] == [tree.name]


def test_it_is_what_a_process_that_starts_there_imports(tmp_path: Path) -> None:
    tree = snapshot.freeze(tmp_path)
    (tree / "seqtrack" / "__pycache__").mkdir()  # as Python leaves it, unless it is told not to
    (tree / "seqtrack" / "__pycache__" / "errors.py").write_text("not a source")
    where = "import seqtrack; print(seqtrack.__file__)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), str(code.ROOT)])}
    found = subprocess.run([sys.executable, "-c", where], cwd="/", env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()).parents[1] == tree
    # What Python writes beside the sources does not make it another tree.
    assert snapshot.freeze(tmp_path) == tree


def test_a_damaged_tree_is_made_anew(tmp_path: Path) -> None:
    tree = snapshot.freeze(tmp_path)
    victim = tree / "seqtrack" / "errors.py"
    content = victim.read_bytes()
    victim.write_text("changed")
    (tree / "seqtrack" / "added.py").write_text("")
    assert snapshot.freeze(tmp_path) == tree
    assert victim.read_bytes() == content
    assert not (tree / "seqtrack" / "added.py").exists()
    assert [path.name for path in (tmp_path / "code").iterdir()] == [tree.name]


def test_a_model_of_ones_own_is_frozen_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("A = 1\n")
    package = tmp_path / "lab" / "trackers"
    package.mkdir(parents=True)
    (tmp_path / "lab" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "fast.py").write_text("B = 1\n")
    (tmp_path / "lab" / "helpers.py").write_text("C = 1\n")
    (package / "anchors.json").write_text("[1, 2]")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "fast.pyc").write_text("made anew by Python")
    monkeypatch.syspath_prepend(str(tmp_path))

    plain = snapshot.freeze(tmp_path)
    one = snapshot.freeze(tmp_path, ["mine:Family"])
    two = snapshot.freeze(tmp_path, ["lab.trackers.fast:Family"])

    assert len({plain, one, two}) == 3
    assert (one / "mine.py").read_text() == "A = 1\n"
    assert (two / "lab" / "trackers" / "fast.py").read_text() == "B = 1\n"
    assert (two / "lab" / "helpers.py").read_text() == "C = 1\n"
    assert (two / "lab" / "trackers" / "anchors.json").read_text() == "[1, 2]"
    assert not list(two.rglob("*.pyc"))
    (tmp_path / "mine.py").write_text("A = 2\n")
    assert snapshot.freeze(tmp_path, ["mine:Family"]) != one
    (package / "anchors.json").write_text("[1, 3]")
    assert snapshot.freeze(tmp_path, ["lab.trackers.fast:Family"]) != two
    # What is installed stays where it is.
    assert snapshot.freeze(tmp_path, ["json.decoder:JSONDecoder"]) == plain


def test_so_is_what_it_imports_from_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "shared").mkdir(parents=True)
    elsewhere.mkdir()
    (here / "mine.py").write_text("import helper, shared.tables, distant\n")
    (here / "helper.py").write_text("H = 1\n")
    (here / "unused.py").write_text("")
    (here / "shared" / "tables.py").write_text("")
    (here / "shared" / "table.json").write_text("[1]")
    (elsewhere / "distant.py").write_text("")
    for folder in (elsewhere, here):
        monkeypatch.syspath_prepend(str(folder))

    tree = snapshot.freeze(tmp_path, ["mine:Family"])
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("seqtrack/")} == {
        "mine.py", "helper.py", "shared/tables.py", "shared/table.json",
    }  # fmt: skip
    (here / "helper.py").write_text("H = 2\n")
    assert snapshot.freeze(tmp_path, ["mine:Family"]) != tree


def test_a_package_with_data_beside_it_is_not_copied_for_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    with (package / "weights.bin").open("wb") as file:
        file.truncate(snapshot.MAX_PLUGIN_BYTES)
    (package / "x.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError) as caught:
        snapshot.freeze(tmp_path, ["heavy.x:Family"])
    assert str(caught.value) == (
        f"--model: {package} holds more than 100 MB, and jobs get a copy of it; keep data elsewhere"
    )


def test_in_git_the_whole_tree_is_frozen_as_it_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "lab"
    package = checkout / "libs" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("A = 1\n")
    (checkout / "table.json").write_text("[1]")
    commit = "git init -q -b main && git add -A && git -c user.name=me -c user.email=me@here commit -q -m it"
    subprocess.run(commit, shell=True, cwd=checkout, check=True)
    monkeypatch.setattr(code, "PACKAGE", package)
    monkeypatch.setattr(code, "ROOT", package.parent)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text("M = 1\n")

    clean = repository.take(package, "run")
    (package / "__init__.py").write_text("A = 2\n")
    (package / "new.py").write_text("N = 1\n")
    dirty = repository.take(package, "run")
    (package / "__init__.py").write_text("this is no longer Python\n")

    cache = tmp_path / "cache"
    one, two, three = (
        snapshot.freeze(cache, [], clean),
        snapshot.freeze(cache, [], dirty),
        snapshot.freeze(cache, ["mine:Family"], dirty),
    )
    assert clean.tree is not None and dirty.tree is not None
    assert one == cache / "code" / clean.tree[:16] / "libs"
    assert two == cache / "code" / dirty.tree[:16] / "libs"
    assert [(tree / "package" / "__init__.py").read_text() for tree in (one, two, three)] == [
        "A = 1\n", "A = 2\n", "A = 2\n",
    ]  # fmt: skip
    assert (two / "package" / "new.py").exists() and not (one / "package" / "new.py").exists()
    assert (two.parent / "table.json").read_text() == "[1]"
    assert (three / "mine.py").read_text() == "M = 1\n", "found where the package is found"
    victim = two / "package" / "new.py"
    victim.unlink()
    assert snapshot.freeze(cache, [], dirty) == two
    assert victim.read_text() == "N = 1\n"
