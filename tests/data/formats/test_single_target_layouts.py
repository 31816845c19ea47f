"""What holds for every benchmark of one target per text file: what is read, from a folder and from a tar, kept in an
index as it was read, and what a mistake looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqtrack.data.formats import DatasetName, VideoAnnotation, read_videos
from seqtrack.data.index import ensure_index
from seqtrack.data.trees import TarTree
from seqtrack.errors import DataError
from tests.data.layouts import read, summary, write_tar
from tests.data.single_target_layouts import FIXTURES, Fixture

each = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: f"{fixture.layout}{fixture.part}")
each_text = pytest.mark.parametrize(
    "fixture",
    [fixture for fixture in FIXTURES if fixture.row],
    ids=lambda fixture: f"{fixture.layout}{fixture.part}",
)


def contents(videos: list[VideoAnnotation]) -> object:
    """Everything, to be compared with ==: arrays as bytes, so that NaN equals NaN."""
    return [
        (
            video.name,
            video.frame_names,
            video.size,
            [
                (
                    track.name,
                    track.frames.tolist(),
                    track.boxes.tobytes(),
                    track.present.tolist(),
                    track.occluded.tolist(),
                    None if track.polygons is None else track.polygons.tobytes(),
                )
                for track in video.tracks
            ],
        )
        for video in videos
    ]


@each
def test_videos_tracks_frames_boxes_and_absent(fixture: Fixture, tmp_path: Path) -> None:
    videos = read(fixture.layout, fixture.write(tmp_path / "data"), fixture.part)
    assert summary(videos) == fixture.expected
    assert {video.size for video in videos} == {(32, 24)}


@each
def test_a_tar_gives_what_the_folder_gives_and_the_index_keeps_it(fixture: Fixture, tmp_path: Path) -> None:
    root = fixture.write(tmp_path / "data")
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    members = {f"data/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}
    tree = TarTree(write_tar(tmp_path / "data.tar", members), "data")
    name = DatasetName(fixture.layout, "data", fixture.part)
    videos = read(fixture.layout, root, fixture.part)
    assert contents(list(read_videos(name, tree))) == contents(videos)

    index = ensure_index(name, tree, tmp_path / "cache", on_message=lambda _: None)
    assert (index.num_videos, index.num_tracks) == fixture.expected[:2]
    tracks = [track for video in videos for track in video.tracks]
    for number, track in enumerate(tracks):
        kept = index.track(number)
        assert index.track_name(number) == track.name
        assert kept.frames.tolist() == track.frames.tolist()
        np.testing.assert_array_equal(kept.boxes, track.boxes)
        assert kept.present.tolist() == track.present.tolist()


BAD_BOXES: list[tuple[tuple[object, ...], str]] = [
    ((4, 5, -6, 8), "negative width or height"),
    ((4, 5, 2, 60), "larger than its frame, 32x24"),
    ((4, "nan", 6, 8), "some of its numbers are missing"),
    ((4, "x", 6, 8), "numbers; mend that row"),
    ((4, "inf", 6, 8), "an infinite number"),
]


@pytest.mark.parametrize(
    ("fixture", "box", "words"),
    [
        pytest.param(fixture, box, words, id=f"{fixture.layout}{fixture.part} {words}")
        for fixture in FIXTURES
        for box, words in BAD_BOXES
        # Corners may come in either order.
        if fixture.row and not ("{x2}" in fixture.row and "negative" in words)
    ],
)
def test_a_box_that_cannot_be_is_named_by_file_and_row(
    fixture: Fixture, box: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    root = fixture.write(tmp_path / "data")
    row = 9 if fixture.part == "30" else 3
    replace_row(root / fixture.truth, row, fixture.row, box)
    with pytest.raises(DataError) as caught:
        read(fixture.layout, root, fixture.part)
    message = str(caught.value)
    assert message.startswith(f"{root / fixture.truth}, row {row}: ")
    assert words in message
    assert "\n" not in message


def replace_row(file: Path, number: int, row: str, box: tuple[object, ...]) -> None:
    x, y, w, h = box
    corner = {"x2": _sum(x, w), "y2": _sum(y, h)}
    lines = file.read_text().splitlines()
    first = lines[number - 1].split()[0].split(",")[0]
    lines[number - 1] = row.format(x=x, y=y, w=w, h=h, n=first, **corner)
    file.write_text("\n".join(lines) + "\n")


def _sum(a: object, b: object) -> object:
    return a + b if isinstance(a, int) and isinstance(b, int) else a


@each_text
def test_a_row_too_few_and_a_row_too_many_are_named_by_file(fixture: Fixture, tmp_path: Path) -> None:
    for change in ("fewer", "more"):
        root = fixture.write(tmp_path / change)
        lines = (root / fixture.truth).read_text().splitlines()
        if fixture.layout == "alov" and change == "fewer":
            continue  # labels whatever frames it likes
        # NfS may be one off; at 30 frames per second a frame is eight rows.
        count = {"240": 2, "30": 20}.get(fixture.part, 1)
        lines = lines[:-count] if change == "fewer" else lines + lines[-1:] * count
        (root / fixture.truth).write_text("\n".join(lines) + "\n")
        with pytest.raises(DataError, match=r"match|is labelled twice") as caught:
            read(fixture.layout, root, fixture.part)
        assert str(caught.value).startswith(str(root / fixture.truth))


@each_text
def test_a_missing_file_of_labels_is_named(fixture: Fixture, tmp_path: Path) -> None:
    root = fixture.write(tmp_path / "data")
    (root / fixture.truth).unlink()
    if fixture.layout == "uav123":
        # ``mine`` is nobody's; of a published sequence the annotation is known to be missing.
        (root / "UAV123" / "anno" / "UAV123" / "uav6.txt").unlink()
    with pytest.raises(DataError) as caught:
        read(fixture.layout, root, fixture.part)
    message = str(caught.value)
    assert "\n" not in message
    assert "add it" in message or "is not there" in message


@each_text
def test_labels_without_frames_are_named(fixture: Fixture, tmp_path: Path) -> None:
    root = fixture.write(tmp_path / "data")
    for picture in [*root.rglob("*.jpg"), *root.rglob(".picture")]:
        picture.unlink()
    with pytest.raises(DataError, match="no frames for"):
        read(fixture.layout, root, fixture.part)


@each
def test_a_folder_of_something_else_is_not_this_layout(fixture: Fixture, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(DataError, match=f"no sequence in the {fixture.layout} layout here; expected ") as caught:
        read(fixture.layout, tmp_path, fixture.part)
    assert str(caught.value).startswith(str(tmp_path))
