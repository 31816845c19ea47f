"""A layout of a person's own, in a package that is installed beside this one and never heard of here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtrack.data.datasets import open_dataset
from seqtrack.data.formats import all_layouts, code_digest, find_layout, parse_dataset_name, plugins, read_videos
from seqtrack.data.locations import Locations
from seqtrack.data.storage.trees import DirectoryTree
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import jpeg
from tests.workbench import Workbench

# Frames and corners (left, top, right, bottom) in one folder per video.
MODULE = """
import numpy as np

from seqtrack.data.formats import TrackAnnotation, VideoAnnotation
from seqtrack.data.formats.common import frames_in, join, original_size, parse_rows

EXPECTED = "<video>/corners.txt with frames beside it"


def find(tree, part):
    return [folder for folder in tree.list().folders if "corners.txt" in tree.list(folder).files]


def read(tree, entry, sizes):
    name, frames = join(entry, "corners.txt"), frames_in(tree, entry)
    rows = parse_rows(tree.read(name), tree.describe(name), (4,))
    boxes = np.concatenate([rows[:, :2], rows[:, 2:] - rows[:, :2]], axis=1)
    there = np.ones(len(rows), dtype=bool)
    track = TrackAnnotation(entry, np.arange(len(frames)), boxes, there, ~there)
    return VideoAnnotation(entry, frames, original_size(tree, entry, frames[0], sizes), [track])
"""


def install(site: Path, package: str, entry: str, **modules: str) -> None:
    """What an installer leaves: modules, and a ``.dist-info`` folder."""
    info = site / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[seqtrack.layouts]\n{entry}\n")
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages that Python sees."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    plugins.plugin_layouts.cache_clear()
    yield folder
    plugins.plugin_layouts.cache_clear()
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in ("street", "yard"):
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.jpg").write_bytes(jpeg(32, 24, number))
        (folder / "corners.txt").write_text("1,2,11,22\n2,2,12,22\n3,2,13,22\n")
    return tmp_path / "videos"


def test_its_data_sets_are_used_like_any_other(site: Path, videos: Path, tmp_path: Path) -> None:
    install(site, "my-benchmark", "corners = my_benchmark_layout", my_benchmark_layout=MODULE)
    name = parse_dataset_name("corners:mine")
    assert all_layouts()[-1] == "corners"
    dataset = open_dataset(name, Locations(data_paths={"mine": videos}, cache_dir=tmp_path / "cache"), lambda _: None)
    assert [dataset.index.video_name(video) for video in range(2)] == ["street", "yard"]
    assert dataset.index.track(0).boxes.tolist() == [[1, 2, 10, 20], [2, 2, 10, 20], [3, 2, 10, 20]]


def test_the_example_of_the_documentation_works(site: Path, videos: Path, tmp_path: Path, repository: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (repository / "docs/datasets.md").read_text(), re.M | re.S)
    (example,) = [block for block in blocks if "EXPECTED" in block]
    install(site, "my-package", "mine = example_layout", example_layout=example)
    (videos / "yard/boxes.txt").write_text("1,2,11,22\nnan,nan,nan,nan\n3,2,13,22\n")
    places = Locations(data_paths={"own": videos}, cache_dir=tmp_path / "cache")
    index = open_dataset(parse_dataset_name("mine:own"), places, lambda _: None).index
    assert index.totals() == (1, 1, 3, 2, 1)
    assert index.track(0).boxes[2].tolist() == [3, 2, 13, 22]


def test_commands_find_it_and_an_edited_reader_reads_again(bench: Workbench, site: Path, videos: Path) -> None:
    install(site, "my-benchmark", "corners = my_benchmark_layout", my_benchmark_layout=MODULE)
    words = ["index", "build", "corners:mine", f"--data_paths=mine={videos}"]
    first = bench.run(*words, PYTHONPATH=str(site))
    assert first.code == 0, first
    assert "corners:mine: 2 videos, 2 tracks, 6 frames" in first.out
    digest = code_digest("corners")
    (site / "my_benchmark_layout.py").write_text(MODULE.replace("rows[:, 2:] - rows[:, :2]", "rows[:, 2:]"))
    assert code_digest("corners") != digest


def test_an_object_will_do(site: Path) -> None:
    text = "class Mine:\n    EXPECTED = 'of mine'\n    find = read = lambda *words: None\nlayout = Mine()\n"
    install(site, "classy", "mine = classy:layout", classy=text)
    assert find_layout("mine").EXPECTED == "of mine"
    assert code_digest("mine") != code_digest("otb")


@pytest.mark.parametrize(
    ("entry", "module", "message"),
    [
        (
            "mine = broken_layout",
            "import nothing_of_that_name",
            "layout 'mine' (broken_layout in broken 1.2): cannot import it (No module named 'nothing_of_that_name');"
            " mend or reinstall the package",
        ),
        (
            "mine = broken_layout:Layout",
            "",
            "layout 'mine' (broken_layout:Layout in broken 1.2): cannot import it (module 'broken_layout' has no"
            " attribute 'Layout'); mend or reinstall the package",
        ),
        (
            "mine = broken_layout",
            "EXPECTED = ''",
            "layout 'mine' (broken_layout in broken 1.2): it has no find and no read; see docs/datasets.md for what a"
            " layout has",
        ),
    ],
)
def test_a_package_that_is_wrong(site: Path, entry: str, module: str, message: str) -> None:
    install(site, "broken", entry, broken_layout=module)
    with pytest.raises(UserError) as caught:
        find_layout("mine")
    assert str(caught.value) == message


def test_two_packages_with_one_name(site: Path) -> None:
    install(site, "one", "mine = a_layout")
    install(site, "two", "mine = b_layout")
    with pytest.raises(UserError) as caught:
        parse_dataset_name("mine:x")
    assert str(caught.value) == (
        "layout 'mine' is a_layout in one 1.2 and b_layout in two 1.2; remove one of these packages"
    )


def test_ours_cannot_be_replaced(site: Path) -> None:
    install(site, "usurper", "otb = usurping", usurping=MODULE)
    assert find_layout("otb").__name__ == "seqtrack.data.formats.otb"  # type: ignore[attr-defined]


def test_a_near_miss_is_named(site: Path) -> None:
    install(site, "my-benchmark", "corners = my_benchmark_layout")
    with pytest.raises(UserError, match=r"layout 'cornrs' is not known; did you mean corners\?"):
        parse_dataset_name("cornrs:x")
    with pytest.raises(UserError, match=r"is neither ours nor in the group seqtrack\.layouts"):
        find_layout("cornrs")


@pytest.mark.parametrize(
    ("broken", "function"),
    [
        ("def read(tree, entry, sizes):\n    return 1 / 0\n", "read"),
        ("def find(tree, part):\n    yield 1 / 0\n", "find"),
    ],
)
def test_a_bug_of_a_layout_is_told_as_one(site: Path, videos: Path, broken: str, function: str) -> None:
    install(site, "buggy", "corners = corners", corners=MODULE + broken)
    with pytest.raises(DataError) as caught:
        list(read_videos(parse_dataset_name("corners:videos"), DirectoryTree(videos, "videos")))
    assert str(caught.value).startswith(
        f"layout 'corners' (corners in buggy 1.2): its {function} fails with ZeroDivisionError: division by zero"
        f" ({site}/corners.py, line "
    )
