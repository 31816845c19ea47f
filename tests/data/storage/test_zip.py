"""Zips are read in place: the same bytes as zipfile gives, every member checked, and damage said in one line."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqtrack.data.storage import ArchiveFrames, open_archive
from seqtrack.data.storage.tarscan import tar_digest
from seqtrack.data.storage.trees import TarTree
from seqtrack.data.storage.zipscan import scan_zip
from seqtrack.errors import DataError

FILES = {f"set/s{n % 3}/img/{n:04d}.jpg": bytes([n]) * (n * 37) for n in range(40)}


def write_zip(
    path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "set.zip", FILES)


def contents(path: Path, folder: str = "set") -> dict[str, bytes]:
    frames = open_archive(path, folder, None)
    return {f"{folder}/{name}" if folder else name: frames.read(name) for name in frames.table.names()}


class TestRead:
    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    @pytest.mark.parametrize("mapped", [False, True])
    def test_every_member_stored_or_deflated(self, tmp_path: Path, method: int, mapped: bool) -> None:
        path = write_zip(tmp_path / "set.zip", FILES, method, comment=b"made for a test PK\x05\x06")
        frames = open_archive(path, "set", tmp_path / "cache", mapped=mapped)
        assert {f"set/{name}": frames.read(name) for name in frames.table.names()} == FILES
        assert frames.table.compressed == (method == zipfile.ZIP_DEFLATED)
        frames.close()

    def test_stored_beside_deflated(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "set.zip", {"set/a": b"a" * 500})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("set/b", b"b" * 500)
        assert contents(path) == {"set/a": b"a" * 500, "set/b": b"b" * 500}

    def test_frames_without_a_top_folder(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "COCO.zip", {"1_0_1.jpg": b"one", "2_0_2.jpg": b"two"})
        assert contents(path, "") == {"1_0_1.jpg": b"one", "2_0_2.jpg": b"two"}
        assert open_archive(path, "", None).describe("1_0_1.jpg") == f"{path}: 1_0_1.jpg"

    def test_of_two_members_of_one_name_the_later_counts(self, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="Duplicate name"):
            path = write_zip(tmp_path / "set.zip", {"set/a": b"old"})
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("set/a", b"new")
        assert contents(path) == {"set/a": b"new"}

    def test_a_local_header_longer_than_the_directory_says(self, tmp_path: Path) -> None:
        """Info-ZIP's local headers have times that its directory has not; the data begin after the longer one."""
        path = write_zip(tmp_path / "set.zip", {"set/a": b"data"})
        whole = path.read_bytes()
        extra = struct.pack("<HHI", 0x5455, 4, 0)
        shifted = whole[:28] + struct.pack("<H", len(extra)) + whole[30:35] + extra + whole[35:]
        end = len(shifted) - 22
        shifted = shifted[: end + 16] + struct.pack("<I", whole.find(b"PK\1\2") + len(extra)) + shifted[end + 20 :]
        path.write_bytes(shifted)
        assert contents(path) == {"set/a": b"data"}
        with zipfile.ZipFile(path) as plain:
            assert plain.read("set/a") == b"data"

    def test_zip64_sizes_and_offsets(self, tmp_path: Path) -> None:
        """A member of 5 GiB, which is a hole in the file, and one behind it."""
        path, huge = tmp_path / "set.zip", 5 << 30
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("set/first", b"first")
            info = zipfile.ZipInfo("set/huge")
            with archive.open(info, "w", force_zip64=True) as member:
                member.write(b"x")
        # zipfile would have to write 5 GiB: widen the hole, and write the directory by hand.
        with zipfile.ZipFile(path) as archive:
            offset = archive.getinfo("set/huge").header_offset
        local = 30 + len("set/huge") + 20
        with path.open("r+b") as file:
            file.truncate(offset + local)
            file.seek(offset + local + huge)
            last = file.tell()
            file.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 0, 0, 0, 0, 4, 4, 8, 0) + b"set/last" + b"last")
            begin = file.tell()
            for name, size, header in (("set/first", 5, 0), ("set/huge", huge, offset), ("set/last", 4, last)):
                extra = b"".join(struct.pack("<Q", value) for value in (size, size, header))
                extra = struct.pack("<HH", 1, len(extra)) + extra
                all_ones = 0xFFFFFFFF
                file.write(
                    struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0, all_ones, all_ones,
                                len(name), len(extra), 0, 0, 0, 0, all_ones) + name.encode() + extra
                )  # fmt: skip
            end = file.tell()
            file.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, end - begin, begin))
            file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
            file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, all_ones, all_ones, 0))
        frames = open_archive(path, "set", None)
        assert frames.read("last") == b"last"
        assert frames.read("first") == b"first"
        assert frames.table.find("huge") == (offset + local, huge)
        with zipfile.ZipFile(path) as plain:
            assert plain.getinfo("set/huge").file_size == huge

    @settings(deadline=None, max_examples=40)
    @given(
        st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="/\0.\\"), min_size=1, max_size=60),
            st.binary(max_size=50),
            max_size=8,
        ),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    )
    def test_any_names(self, tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], method: int) -> None:
        members = {f"set/{name}": data for name, data in files.items()} | {"set/last": b"!"}
        path = write_zip(tmp_path_factory.mktemp("names") / "set.zip", members, method)
        assert contents(path) == members

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_many_processes_at_once(self, archive: Path, tmp_path: Path, method: str) -> None:
        frames = open_archive(archive, "set", tmp_path / "cache")
        with multiprocessing.get_context(method).Pool(3, initializer=_use, initargs=(frames,)) as pool:
            read = pool.map(_read, [name.removeprefix("set/") for name in FILES] * 5)
        assert read == list(FILES.values()) * 5

    def test_the_table_is_kept_and_used(self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        open_archive(archive, "set", tmp_path / "cache")
        monkeypatch.setattr("seqtrack.data.storage.archive.scan_zip", lambda *_, **__: pytest.fail("scanned again"))
        again = pickle.loads(pickle.dumps(open_archive(archive, "set", tmp_path / "cache")))
        assert again.read("s1/img/0001.jpg") == FILES["set/s1/img/0001.jpg"]

    def test_a_zip_made_anew_gets_a_new_table_and_is_noticed(self, archive: Path, tmp_path: Path) -> None:
        tree, before = TarTree(archive, "set"), tar_digest(archive)
        stamp = tree.stamp(tree.take_seen())
        assert tree.matches(stamp)
        open_archive(archive, "set", tmp_path / "cache")
        write_zip(archive, dict(reversed(FILES.items())))
        assert tar_digest(archive) != before
        assert not tree.matches(stamp)
        assert open_archive(archive, "set", tmp_path / "cache").read("s1/img/0001.jpg") == bytes([1]) * 37

    def test_a_zip_that_became_shorter_while_in_use(self, archive: Path) -> None:
        frames = open_archive(archive, "set", None)
        os.truncate(archive, 100)
        with pytest.raises(DataError, match=r"set.zip: set/s0/img/0039.jpg: the archive became shorter while in use"):
            frames.read("s0/img/0039.jpg")


_FRAMES: list[ArchiveFrames] = []


def _use(frames: ArchiveFrames) -> None:
    _FRAMES[:] = [frames]


def _read(name: str) -> bytes:
    return _FRAMES[0].read(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "'/etc/passwd' has an absolute path"),
        ("set/../../a", "would escape"),
        ("../set/a", "would escape"),
        ("other/a", "lies outside set/"),
        ("settle/a", "lies outside set/"),
        ("set", "'set' is not a folder"),
    ],
)
def test_members_that_escape_are_refused(tmp_path: Path, name: str, words: str) -> None:
    path = write_zip(tmp_path / "set.zip", {"set/a": b"", name: b""})
    with pytest.raises(DataError, match=words) as caught:
        scan_zip(path, "set")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(("name", "words"), [("/etc/passwd", "absolute"), ("../a", "would escape"), ("..", "escape")])
def test_they_are_refused_without_a_top_folder_too(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        scan_zip(write_zip(tmp_path / "x.zip", {"fine": b"", name: b""}), "")


def with_entry(archive: Path, change: Callable[[bytearray, int], None]) -> Path:
    """The zip with its first directory entry changed: ``change(bytes, where the entry begins)``."""
    data = bytearray(archive.read_bytes())
    change(data, data.find(b"PK\1\2"))
    archive.write_bytes(data)
    return archive


class TestRefused:
    def test_an_encrypted_member(self, archive: Path) -> None:
        with_entry(archive, lambda data, at: struct.pack_into("<H", data, at + 8, 1))
        with pytest.raises(DataError, match=r"'set/s0/img/0000.jpg' is encrypted; pack it without a password"):
            scan_zip(archive, "set")

    def test_another_compression(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "set.zip", {"set/a": b"a" * 99}, zipfile.ZIP_LZMA)
        with pytest.raises(DataError, match=r"'set/a' is compressed with lzma; pack it stored \(zip -0\)"):
            scan_zip(path, "set")

    def test_a_link(self, tmp_path: Path) -> None:
        info = zipfile.ZipInfo("set/link")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            archive.writestr(info, "/etc/passwd")
        with pytest.raises(DataError, match=r"'set/link' is no plain file"):
            scan_zip(tmp_path / "set.zip", "set")

    def test_a_deflated_member_that_inflates_to_more_than_it_says(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "set.zip", {"set/bomb": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
        with_entry(path, lambda data, at: struct.pack_into("<I", data, at + 24, 100))
        with pytest.raises(DataError, match=r"set/bomb: inflates to another length than 100 bytes"):
            open_archive(path, "set", None).read("bomb")

    def test_rubbish_in_a_deflated_member(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "set.zip", {"set/a": b"a" * 1000}, zipfile.ZIP_DEFLATED)
        data = bytearray(path.read_bytes())
        data[35:40] = b"\xff" * 5
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"set/a: it does not inflate"):
            open_archive(path, "set", None).read("a")


class TestDamage:
    def test_cut_short_anywhere(self, archive: Path) -> None:
        whole = archive.read_bytes()
        for length in [*random.Random(0).sample(range(len(whole)), 60), 0, 21, 22, len(whole) - 1]:
            archive.write_bytes(whole[:length])
            with pytest.raises(DataError, match=rf"at {length} bytes; it is cut short or no zip: copy or pack"):
                scan_zip(archive, "set")

    def test_something_missing_in_the_middle(self, archive: Path) -> None:
        whole = archive.read_bytes()
        archive.write_bytes(whole[:500] + whole[600:])
        with pytest.raises(DataError, match=r"set.zip: its directory should end at byte \d+, not \d+; it is damaged"):
            scan_zip(archive, "set")

    def test_a_header_that_is_not_where_the_directory_says(self, archive: Path) -> None:
        with_entry(archive, lambda data, at: struct.pack_into("<I", data, at + 42, 7))
        with pytest.raises(DataError, match=r"no header of member 'set/s0/img/0000.jpg' at byte 7"):
            scan_zip(archive, "set")

    def test_a_member_that_leads_into_the_directory(self, archive: Path) -> None:
        def change(data: bytearray, at: int) -> None:
            struct.pack_into("<II", data, at + 20, 1 << 30, 1 << 30)

        with pytest.raises(DataError, match=r"'set/s0/img/0000.jpg' does not end before the directory"):
            scan_zip(with_entry(archive, change), "set")

    def test_nothing_and_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"it is empty; expected one top-level folder set/"):
            scan_zip(write_zip(tmp_path / "set.zip", {}), "set")
        with pytest.raises(DataError, match=r"missing\.zip: cannot open it"):
            scan_zip(tmp_path / "missing.zip", "set")

    @settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_whatever_the_bytes_are_it_is_a_data_error_or_a_reading(
        self, tmp_path: Path, data: st.DataObject
    ) -> None:
        path = write_zip(tmp_path / "set.zip", {"set/a": b"a" * 40, "set/b": b"b" * 900}, data.draw(METHODS))
        content = bytearray(path.read_bytes())
        directory = content.find(b"PK\1\2")
        for _ in range(data.draw(st.integers(1, 6))):
            # Mostly in the directory and the end record, where the structure is.
            at = data.draw(st.one_of(st.integers(directory, len(content) - 1), st.integers(0, len(content) - 1)))
            value = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 255, 127, 128])))
            content[at] = value
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        try:
            frames = open_archive(path, "set", None)
            for name in frames.table.names():
                frames.read(name)
        except DataError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)


METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
