"""``NAME@FILE``: which videos a list means, and what it is the same as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.data.formats import DatasetName, parse_dataset_name
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.lists import VideoList, parse_restricted, read_list
from seqtrack.data.sampling.pools import pool_members
from seqtrack.data.storage.trees import DirectoryTree
from seqtrack.errors import UserError
from tests.data.otb_layout import small_data_set


@dataclass(frozen=True)
class Videos:
    names: Sequence[str]
    name: str = "got10k_train"

    @property
    def num_videos(self) -> int:
        return len(self.names)

    def video_name(self, video: int) -> str:
        return self.names[video]


GOT10K = Videos([f"GOT-10k_Train_{number:06d}" for number in range(1, 21)])
LASOT = Videos(["airplane/airplane-1", "airplane/airplane-2", "cat/cat-1"], "lasot_train")


def a_list(folder: Path, text: str | bytes) -> VideoList:
    file = folder / "list.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(file, "list.txt")


class TestMembers:
    @pytest.mark.parametrize(
        ("text", "videos", "members"),
        [
            ("GOT-10k_Train_000003\nGOT-10k_Train_000001\n", GOT10K, [0, 2]),
            ("# of the paper\nGOT-10k_Train_000003  # hard\n\n  GOT-10k_Train_000003\r\n", GOT10K, [2]),
            ("\ufeff7\n3\n19\n", GOT10K, [3, 7, 19]),
            ("cat-1\nairplane/airplane-2\n", LASOT, [1, 2]),
            # Names that look like numbers are names (YouTube-VOS has some).
            ("12\n", Videos(["3", "12"]), [1]),
            ("a\n", Videos(["b/a", "a"]), [1]),
            ("seq#1\n", Videos(["seq", "seq#1"]), [1]),
        ],
    )
    def test_names_last_parts_and_rows(self, tmp_path: Path, text: str, videos: Videos, members: list[int]) -> None:
        assert a_list(tmp_path, text).members(videos) == members

    @pytest.mark.parametrize(
        ("text", "videos", "message"),
        [
            (
                "GOT-10k_Train_000003_\n",
                GOT10K,
                "list.txt: got10k_train has no sequence 'GOT-10k_Train_000003_'; did you mean GOT-10k_Train_000003?",
            ),
            # No row: whoever writes zeros before a number means a name.
            (
                "000003\n",
                LASOT,
                "list.txt: lasot_train has no sequence '000003'; ",
            ),
            (
                "0\n20\n",
                GOT10K,
                "list.txt: row 20 is beyond the 20 sequences of got10k_train, which are counted from 0;"
                " is the list of another version of it?",
            ),
            (
                "3\n12\n",
                Videos(["12", "13"], "davis"),
                "list.txt: davis has no sequence '3'; did you mean 13?",
            ),
            (
                "a\n",
                Videos(["b/a", "c/a"], "x"),
                "list.txt: 'a' may mean b/a or c/a of x; give the whole name",
            ),
        ],
    )
    def test_a_sequence_that_is_not_there(self, tmp_path: Path, text: str, videos: Videos, message: str) -> None:
        with pytest.raises(UserError) as caught:
            a_list(tmp_path, text).members(videos)
        assert str(caught.value).startswith(message)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"# nothing\n\n", "list.txt: no sequence in this list; expected one per line"),
            (b"\xff\xfe\x00", "list.txt: not a text file; expected one sequence per line"),
        ],
    )
    def test_a_file_that_is_no_list(self, tmp_path: Path, text: bytes, message: str) -> None:
        with pytest.raises(UserError) as caught:
            a_list(tmp_path, text)
        assert str(caught.value) == message

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"^x: cannot read this list of sequences \(No such file or directory\)$"):
            read_list(tmp_path / "x", "x")


class TestIdentity:
    NAMES = st.lists(st.sampled_from(GOT10K.names), min_size=1, max_size=6)

    @given(names=NAMES, other=NAMES)
    def test_lists_are_equal_when_they_mean_the_same(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[str], other: list[str]
    ) -> None:
        folder = tmp_path_factory.getbasetemp()
        first = a_list(folder, "\n".join(names))
        second = a_list(folder, "# again\n" + "\n\n".join(reversed(other)) + "\n")
        assert (first.sha256 == second.sha256) == ({*names} == {*other})
        assert a_list(folder, first.text) == first

    def test_a_label_is_readable_and_of_the_content(self, tmp_path: Path) -> None:
        (tmp_path / "my list (v2).txt").write_text("Seq1\n")
        name = parse_restricted(f"otb:small@{tmp_path}/my list (v2).txt")
        assert name.only is not None
        assert name.label == f"small@my_list_v2_-{name.only.sha256[:8]}"
        assert str(name) == f"otb:small@{tmp_path}/my list (v2).txt"
        assert (DatasetName("otb", "small").label, str(DatasetName("otb", "small"))) == ("small", "otb:small")


class TestNames:
    def test_a_name_without_a_list_means_every_video(self) -> None:
        name = parse_restricted("otb_50")
        assert name == parse_dataset_name("otb_50")
        assert name.videos(GOT10K) == list(range(20))  # type: ignore[arg-type]

    @pytest.mark.parametrize("text", ["otb_50@", "otb_500@list.txt", "otb_50@missing.txt"])
    def test_mistakes(self, text: str) -> None:
        with pytest.raises(UserError):
            parse_restricted(text)

    def test_whoever_does_not_take_lists_says_so(self) -> None:
        with pytest.raises(UserError, match=r"^data set 'otb_50@x': a list of sequences cannot be given here"):
            parse_dataset_name("otb_50@x")


def test_a_pool_of_a_list_splits_the_list(tmp_path: Path) -> None:
    root = small_data_set(tmp_path / "small", sequences=9)
    index = ensure_index(
        DatasetName("otb", "small"), DirectoryTree(root, "small"), tmp_path / "cache", lambda _: None
    )
    videos = [0, 2, 3, 7]
    train, val = (pool_members(index, part, 0.5, videos=videos) for part in ("pool_train", "pool_val"))
    assert sorted(train + val) == videos
    assert len(train) == 2
    every = range(index.num_videos)
    assert pool_members(index, "pool_train", 0.5, videos=every) == pool_members(index, "pool_train", 0.5)
