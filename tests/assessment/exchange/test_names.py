"""Which file belongs to which sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment.exchange.benchmarks import guesses, sequences_of
from seqtrack.assessment.exchange.names import match
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import DataError

OTB100 = sequences_of(parse_dataset_name("otb_100")) or ()
UAV123 = sequences_of(parse_dataset_name("uav123")) or ()


@pytest.mark.parametrize(
    ("sequence", "file"),
    [
        ("Jogging-1", "Jogging_1"),
        ("Jogging-1", "Jogging.1"),
        ("Jogging-1", "jogging_1"),
        ("Skating2-2", "skating2-2"),
        ("Human4-2", "Human4"),
        ("Human4", "Human4_2"),
        ("FaceOcc1", "Faceocc1"),
        ("BlurCar4", "Blurcar4"),
        ("bike1", "uav_bike1"),
        ("uav1_1", "uav_uav1_1"),
        ("car1_s", "uav_car1_s"),
        ("bowling1", "nfs_bowling1"),
        ("Ball_ce1", "tpl_Ball_ce1"),
    ],
)
def test_spellings_of_one_name(sequence: str, file: str) -> None:
    assert match([sequence], [file], "here") == {sequence: file}


@pytest.mark.parametrize(
    ("sequence", "file"), [("car1_1", "car11"), ("Jogging-1", "Jogging"), ("Human3", "Human4"), ("uav1_1", "uav1")]
)
def test_other_sequences_are_no_spellings(sequence: str, file: str) -> None:
    assert match([sequence], [file], "here") == {}


def test_what_is_spelled_exactly_is_nothing_else() -> None:
    files = ["Human4", "Human4-2", "Jogging-1", "jogging_1"]
    assert match(["Human4-2", "Jogging-1"], files, "here") == {"Human4-2": "Human4-2", "Jogging-1": "Jogging-1"}


def test_two_files_for_one_sequence_are_a_mistake() -> None:
    with pytest.raises(DataError, match=r"^here: Jogging.1 or Jogging_1 may be Jogging-1; name the files as"):
        match(["Jogging-1"], ["Jogging_1", "Jogging.1"], "here")


def test_the_benchmarks_have_as_many_sequences_as_published() -> None:
    counts = {
        name: len(sequences_of(parse_dataset_name(name)) or ())
        for name in ("otb_50", "otb_100", "otb_cvpr13", "uav123", "uav20l", "lasot_test", "got10k_val")
    }
    assert counts == {
        "otb_50": 50, "otb_100": 100, "otb_cvpr13": 51, "uav123": 123, "uav20l": 20, "lasot_test": 280,
        "got10k_val": 180,
    }  # fmt: skip


def test_benchmarks_are_guessed_by_names() -> None:
    assert guesses([name.replace("-", "_") for name in OTB100])[0] == ("otb_100", 100, 100)
    assert guesses([f"uav_{name}" for name in UAV123])[0] == ("uav123", 123, 123)
    assert guesses(["frame", "notes"]) == []


@given(st.permutations(OTB100), st.data())
def test_all_of_a_benchmark_is_found_whatever_its_spelling(order: list[str], data: st.DataObject) -> None:
    separator = data.draw(st.sampled_from("-_."))
    files = {name: name.replace("-", separator) for name in order}
    if data.draw(st.booleans()):
        files = {name: file.lower() for name, file in files.items()}
    assert match(OTB100, files.values(), "here") == files


@given(st.lists(st.sampled_from([*OTB100, *UAV123]), unique=True), st.lists(st.sampled_from(UAV123), unique=True))
def test_no_file_is_taken_twice(sequences: list[str], files: list[str]) -> None:
    found = match(sequences, [f"uav_{name}" for name in files], "here")
    assert len(set(found.values())) == len(found)
