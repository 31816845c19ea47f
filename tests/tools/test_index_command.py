"""``seqtrack index``: built from the publisher's folder, shown to people and programs, verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqtrack.errors import DataError, UserError
from seqtrack.tools.index import main
from tests.data.otb_layout import jpeg, small_data_set, write_tar


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with no settings of the person who runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return small_data_set(tmp_path / "OTB")


def test_build_takes_the_publishers_folder(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "otb:small", "--source", "OTB", "--num-workers=2"]) == 0
    out, err = capsys.readouterr()
    assert err == f"otb:small: building the index (there is none yet) from {elsewhere}\n"
    assert out.startswith("otb:small: 3 videos, 3 tracks, 12 frames; dataset_cache/small.otb-")
    assert main(["build", "otb:small", "--source", "OTB"]) == 0
    assert capsys.readouterr().err == ""


def test_or_a_tar_of_it(elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "otb:small", "--source", "OTB"])
    files = [path for path in sorted(elsewhere.rglob("*")) if path.is_file()]
    tar = write_tar(tmp_path / "x.tar", {f"small/{f.relative_to(elsewhere)}": f.read_bytes() for f in files})
    from_folder = capsys.readouterr().out
    assert main(["build", "otb:small", "--source", str(tar)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (from_folder, "")


def test_show_counts_for_programs(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "Seq1" / "groundtruth_rect.txt").write_text("1,1,9,9\nnan,nan,nan,nan\n2,2,9,9\n0,0,0,0\n")
    assert main(["show", "otb:small", "--source", "OTB", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {key: shown[key] for key in ("videos", "tracks", "frames", "boxes", "absent", "categories")} == {
        "videos": 3, "tracks": 3, "frames": 12, "boxes": 10, "absent": 2, "categories": {"": 3},
    }  # fmt: skip
    assert Path(shown["path"]).is_file()
    assert shown["fingerprint"][:12] in shown["path"]
    assert shown["source"] == str(elsewhere)


def test_verify_reads_every_byte_and_the_frames(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "otb:small", "--source", "OTB"]) == 0
    told = capsys.readouterr().out
    assert "verified: the index, and that 12 frames are there, of the right size\n" in told


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "its header does not decode as JPEG"), (jpeg(16, 24), "16x24, expected 32x24")],
)
def test_verify_looks_at_frames_in_the_middle_too(elsewhere: Path, data: bytes, message: str) -> None:
    frame = elsewhere / "Seq2" / "img" / "0002.jpg"
    frame.write_bytes(data)
    with pytest.raises(DataError) as caught:
        main(["verify", "otb:small", "--source", "OTB"])
    assert str(frame.relative_to(elsewhere)) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "otb:small", "--source", "nowhere"], "--source: nowhere is not there"),
        (
            ["build", "otb:small", "--source", "OTB", "--num_workers=0"],
            "--num_workers: expected a number",
        ),
        (["build", "otb:small", "--source", "OTB", "--json"], "--json: goes with show, not build"),
        (["build", "otb:small", "--source", "OTB", "--preproc=crop_446"], "--source: is the original version itself"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        main(words)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_a_frame_that_has_gone_is_named_by_verify(elsewhere: Path) -> None:
    main(["build", "otb:small", "--source", "OTB"])
    (elsewhere / "Seq2" / "img" / "0004.jpg").unlink()
    with pytest.raises(DataError, match=r"Seq2/groundtruth_rect.txt: 4 rows for 3 frames"):
        main(["verify", "otb:small", "--source", "OTB"])
