"""Whatever an annotation file holds: boxes, or one line that names a file. Never a traceback, never a hang."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqtrack.data.formats import LAYOUTS, MANIFEST, DatasetName, read_videos
from seqtrack.data.formats.common import is_image
from seqtrack.data.indexing.index_build import IndexWriter, content_fingerprint
from seqtrack.data.locations import Source
from seqtrack.data.storage import tfdsset
from seqtrack.data.storage.records import INFO, shard_name, write_info, write_shard
from seqtrack.data.storage.trees import is_annotation
from seqtrack.errors import DataError, UserError
from tests.data.large_set_layouts import WRITERS
from tests.data.layouts import MemoryTree
from tests.data.otb_layout import boxes_text, jpeg, write_sequence
from tests.data.single_target_layouts import FIXTURES, write_vot


def write_two_targets(root: Path) -> Path:
    write_sequence(root / "Two", [1, 2], {f"groundtruth_rect.{k}.txt": boxes_text(2) for k in (1, 2)})
    return write_vot(root)  # which the layout of OTB takes no notice of


SMALL: dict[str, tuple[str, str, Callable[[Path], Path]]] = {
    **{f"{one.layout}{one.part and '-' + one.part}": (one.layout, one.part, one.write) for one in FIXTURES},
    **{f"{layout}-{part}": (layout, part, write) for layout, part, write in WRITERS},
    "otb-two": ("otb", "", write_two_targets),
}
"""Small data sets with every kind of annotation file: layout, part, and what writes it."""


@cache
def small(name: str) -> MemoryTree:
    with TemporaryDirectory() as folder:
        return MemoryTree.of(SMALL[name][2](Path(folder) / "set"))


NUMBERS = (
    b"nan", b"inf", b"-1", b"-0", b"1e400", b"1e-400", b"99999999999999999999", b"-99999999999", b"1_0", b"0x10",
    b"1e9", b"2147483648", b"\xd9\xa1", b"", b"null", b"[]", b"{}", b'""', b"true", b"1.5", b"4294967297",
)  # fmt: skip
INSERTED = (
    b"\0", b"\xff", b"\r", b"\n", b"\n\n", b"\xef\xbb\xbf", b",", b"[", b"]", b"{", b"}", b"<", b">", b"&", b'"',
    b"\xe2\x80\xa8", b"[" * 5000, b'{"a":' * 5000, b"<a>" * 5000, b"9" * 5000, b" " * 5000, b"%", b"\x0c", b"\\",
    b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>', b"/", b"../", b"\xc2\x85", b"1 2 3 4 5 6 7 8 9\n",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after one or two accidents."""
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "number", "repeat", "drop", "empty", "reverse"]))
        lines = data.splitlines(keepends=True)
        row = draw(st.integers(0, max(0, len(lines) - 1)))
        if kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + draw(st.sampled_from(INSERTED)) + data[at:]
        elif kind == "number":
            data = replaced_number(data, at, draw(st.sampled_from(NUMBERS)))
        elif kind == "repeat":
            data = b"".join([*lines[: row + 1], *lines[row : row + 1] * draw(st.integers(1, 3)), *lines[row + 1 :]])
        elif kind == "drop":
            data = b"".join([*lines[:row], *lines[row + 1 :]])
        elif kind == "empty":
            data = draw(st.sampled_from([b"", b"\n", b"\xef\xbb\xbf", b"null", b"[]", b"{}", b"0", b'""', b"<a/>"]))
        elif kind == "reverse":
            data = b"".join(reversed(lines))
    return data


def replaced_number(data: bytes, at: int, number: bytes) -> bytes:
    """The run of digits at (or after) a place is something else."""
    digits = b"0123456789.-"
    first = next((i for i in range(at, len(data)) if data[i : i + 1] in digits), None)
    if first is None:
        return data
    last = next((i for i in range(first, len(data)) if data[i] not in digits), len(data))
    return data[:first] + number + data[last:]


def read_all(name: str, content: Mapping[str, bytes]) -> str | None:
    """The message if it cannot be read. What can be read can also be indexed."""
    layout, part, _ = SMALL[name]
    try:
        writer = IndexWriter()
        for video in read_videos(DatasetName(layout, "set", part), MemoryTree("set", content)):
            writer.add(video)
        content_fingerprint(layout, writer.columns())
    except UserError as error:
        return str(error)
    return None


def assert_names_a_file(message: str | None) -> None:
    if message is not None:
        assert message.startswith("memory/set"), message
        assert message.isprintable(), message


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"tfds"}))  # whose files are not annotations: below
def test_every_layout_is_fuzzed(layout: str) -> None:
    names = [name for name, one in SMALL.items() if one[0] == layout]
    assert names, "write a small data set in this layout for SMALL above"
    assert [read_all(name, small(name).content) for name in names] == [None] * len(names)


@pytest.mark.parametrize("name", sorted(SMALL))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_damaged_annotations(name: str, data: st.DataObject) -> None:
    whole = small(name).content
    file = data.draw(st.sampled_from(sorted(file for file in whole if is_annotation(file) or not is_image(file))))
    content = dict(whole)
    if data.draw(st.integers(0, 20)) == 0:
        del content[file]
    else:
        content[file] = data.draw(damaged(content[file]))
    assert_names_a_file(read_all(name, content))


@pytest.mark.parametrize("name", sorted(SMALL))
@settings(max_examples=15)
@given(data=st.data())
def test_damaged_or_missing_frames(name: str, data: st.DataObject) -> None:
    content = dict(small(name).content)
    frames = sorted(file for file in content if is_image(file))
    for file in data.draw(st.lists(st.sampled_from(frames), min_size=1, max_size=3, unique=True)):
        if data.draw(st.booleans()):
            del content[file]
        else:
            content[file] = data.draw(damaged(content[file]))
    assert_names_a_file(read_all(name, content))


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """The files of a small TFDS builder, shards among them."""
    features = pytest.importorskip("tensorflow_datasets").features
    folder = tmp_path_factory.mktemp("builder") / "coco/1.0.0"
    folder.mkdir(parents=True)
    objects = {"bbox": features.BBoxFeature(), "label": features.ClassLabel(names=["person", "dog"])}
    spec = features.FeaturesDict({"image": features.Image(), "objects": features.Sequence(objects)})
    record = {
        "image": [jpeg(40, 20)],
        "objects/bbox": np.array([0, 0, 0.5, 0.25, 0.25, 0.5, 0.75, 1], np.float32),
        "objects/label": np.array([1, 0]),
    }
    shard = write_shard(folder / shard_name("coco", "train", 0), [record, record])
    write_info(folder, "coco", "", spec, {"train": [shard]})
    return {path: path.read_bytes() for path in sorted(folder.iterdir())}


def read_builder(files: Mapping[Path, bytes]) -> int:
    """How many boxes there are."""
    for path, content in files.items():
        path.write_bytes(content)
    name = DatasetName("tfds", "coco", "coco")
    tree = tfdsset.tree(Source(name, "original", next(iter(files)).parent, "array_record"), None)
    return sum(len(video.tracks) for video in read_videos(name, tree))


@settings(max_examples=80)
@given(data=st.data())
def test_damaged_builders(builder: dict[Path, bytes], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(list(builder)))
    try:
        read_builder({**builder, file: data.draw(damaged(builder[file]))})
    except UserError as error:
        assert str(error).startswith(str(file.parent)), error
        assert str(error).isprintable(), error


@pytest.mark.parametrize("count", ["2147483648", "99999999999999999999", "1"])
def test_a_builder_of_more_records_than_there_are(builder: dict[Path, bytes], count: str) -> None:
    """Once, whatever was announced was counted to."""
    assert read_builder(builder) == 4
    info = next(path for path in builder if path.name == INFO)
    wrong = builder[info].replace(b'"2"', f'"{count}"'.encode())
    with pytest.raises(DataError) as caught:
        read_builder({**builder, info: wrong})
    assert str(caught.value) == (
        f"{info.parent / shard_name('coco', 'train', 0)}: 2 records where dataset_info.json says {count};"
        " it is cut short or another version: copy or prepare it again"
    )


@settings(max_examples=100)
@given(damaged(json.dumps({"layout": "otb", "sizes": {f"Seq{n}": [32, 24] for n in range(3)}}).encode()))
def test_damaged_manifests(manifest: bytes) -> None:
    assert_names_a_file(read_all("otb", {**small("otb").content, MANIFEST: manifest}))
