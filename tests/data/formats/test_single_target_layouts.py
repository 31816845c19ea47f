"""What holds for every benchmark of one target per text file: what is read, from a folder and from a tar, kept in an
index as it was read, and what a mistake looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqtrack.errors import DataError
from tests.data.layouts import read, summary
from tests.data.round_trip import assert_round_trip
from tests.data.single_target_layouts import FIXTURES, Fixture

each = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: f"{fixture.layout}{fixture.part}")
each_text = pytest.mark.parametrize(
    "fixture",
    [fixture for fixture in FIXTURES if fixture.row],
    ids=lambda fixture: f"{fixture.layout}{fixture.part}",
)


@each
def test_videos_tracks_frames_boxes_and_absent(fixture: Fixture, tmp_path: Path) -> None:
    videos = read(fixture.layout, fixture.write(tmp_path / "data"), fixture.part)
    assert summary(videos) == fixture.expected
    assert {video.size for video in videos} == {(32, 24)}


@each
def test_a_tar_and_its_index_hold_what_the_folder_does(fixture: Fixture, tmp_path: Path) -> None:
    assert_round_trip(fixture.layout, fixture.write(tmp_path / "data"), fixture.part, tmp_path / "packed")


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
