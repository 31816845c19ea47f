"""Frames from a folder and from a tar are the same bytes, in this process, after a fork and after spawn."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import pickle
import random
import re
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.arrays import columns as columns_module
from seqtrack.data.arrays.arrayfile import write_arrays
from seqtrack.data.arrays.columns import Spool
from seqtrack.data.storage import ArchiveFrames, DirectoryFrames, MemberTable, open_archive, table_arrays, table_path
from seqtrack.data.storage import archive as archive_module
from seqtrack.data.storage import table as table_module
from seqtrack.data.storage.members import Members
from seqtrack.data.storage.table import known_table, table_columns
from seqtrack.data.storage.tarscan import scan_tar, tar_digest
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.errors import DataError
from tests.data.otb_layout import link, write_tar

FILES = {f"set/s{n % 3}/img/{n:04d}.jpg": bytes([n]) * (n * 37) for n in range(40)}


def expected_by_tarfile(path: Path, folder: str) -> dict[str, tuple[int, int]]:
    with tarfile.open(path) as tar:
        return {
            member.name.removeprefix("./").removeprefix(f"{folder}/"): (member.offset_data, member.size)
            for member in tar
            if member.isreg()
        }


def scanned(path: Path, folder: str) -> dict[str, tuple[int, int]]:
    members = scan_tar(path, folder)
    return {name: (offset, size) for name, offset, size, _ in members}


class TestScan:
    """The parser of headers agrees with Python's ``tarfile``."""

    @pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_formats_and_long_names(self, tmp_path: Path, kind: int) -> None:
        long = {f"set/{'d' * 60}/{'e' * 80}/{n}.jpg": b"x" * n for n in range(3)}
        longer = {} if kind == tarfile.USTAR_FORMAT else {f"set/{'f' * 180}/ü{n}.jpg": b"y" for n in range(3)}
        path = write_tar(tmp_path / "set.tar", {**FILES, **long, **longer}, format=kind)
        assert scanned(path, "set") == expected_by_tarfile(path, "set")

    @pytest.mark.parametrize("kind", ["v7", "oldgnu", "gnu", "ustar", "posix"])
    def test_what_gnu_tar_writes(self, tmp_path: Path, kind: str) -> None:
        for name, data in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        path = tmp_path / "set.tar"
        # "./set/…" and the entry "./" are what people's tars hold.
        subprocess.run(["tar", "cf", path, f"--format={kind}", "-C", tmp_path, "./set"], check=True)
        assert scanned(path, "set") == expected_by_tarfile(path, "set")
        assert len(scanned(path, "set")) == 40

    def test_a_size_in_base_256(self, tmp_path: Path) -> None:
        """As GNU tar writes it for 8 GiB and more; the file has a hole instead of the data."""
        info = tarfile.TarInfo("set/huge.bin")
        info.size = 9 << 30
        path = tmp_path / "set.tar"
        with path.open("wb") as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.seek(info.size, os.SEEK_CUR)
            small = tarfile.TarInfo("set/small.bin")
            file.write(small.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        assert scanned(path, "set") == {"huge.bin": (512, 9 << 30), "small.bin": (1024 + (9 << 30), 0)}

    def test_a_pax_global_header_and_a_pax_size(self, tmp_path: Path) -> None:
        path = write_tar(
            tmp_path / "set.tar", FILES, format=tarfile.PAX_FORMAT, pax_headers={"comment": "made for a test"}
        )
        assert scanned(path, "set") == expected_by_tarfile(path, "set")

    def test_of_two_members_of_one_name_the_later_counts(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "set.tar", {"set/a.jpg": b"old"})
        with tarfile.open(path, "a") as tar:
            info = tarfile.TarInfo("set/a.jpg")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"new"))
        assert open_archive(path, "set", None).read("a.jpg") == b"new"

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="/\0."), min_size=1, max_size=120), max_size=8
        )
    )
    def test_any_names(self, tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
        path = tmp_path_factory.mktemp("names") / "set.tar"
        members = {f"set/{word}": bytes(number) for number, word in enumerate(words)} | {"set/last": b"!"}
        write_tar(path, members)
        frames = open_archive(path, "set", None)
        assert {name: frames.read(name.removeprefix("set/")) for name in members} == members


def device(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.CHRTYPE
    return info


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"set/a": b"", "/etc/passwd": b""}, "'/etc/passwd' has an absolute path"),
        ({"set/../../a": b""}, "'set/../../a' would escape"),
        ({"set/a/../b": b""}, "would escape"),
        ({"../set/a": b""}, "would escape"),
        ({"other/a": b""}, "'other/a' lies outside set/"),
        ({"a": b""}, "'a' lies outside set/"),
        ({"set": b""}, "'set' is not a folder"),
        ({"settle/a": b""}, "'settle/a' lies outside set/"),
        ({"x": link("set/l", "/etc")}, "link 'set/l' points outside set/"),
        ({"x": link("set/l", "../x")}, "points outside"),
        ({"x": link("set/d/l", "../../x")}, "points outside"),
        ({"x": link("set/l", "d/../../x")}, "points outside"),
        ({"x": link("set/h", "other/x", tarfile.LNKTYPE)}, "points outside"),
        ({"x": link("set/h", "/etc/passwd", tarfile.LNKTYPE)}, "points outside"),
        ({"x": link("set", "/etc")}, "'set' is not a folder"),
        ({"x": link("set/a/b/up", "../.."), "y": link("set/out", "a/b/up/x")}, "points outside|leads through"),
        ({"x": link("set/l", "d"), "set/l/a": b""}, "leads through the link 'l'"),
        ({"x": device("set/null")}, "'set/null' is a device"),
    ],
)
def test_members_that_escape_are_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    path = write_tar(tmp_path / "set.tar", members)
    with pytest.raises(DataError, match=words) as caught:
        scan_tar(path, "set")
    assert str(caught.value).startswith(f"{path}: ")


class TestDamage:
    def test_truncated_anywhere(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "set.tar", FILES)
        whole = path.read_bytes()
        end = max(offset + size for offset, size in scanned(path, "set").values())
        for length in [*random.Random(0).sample(range(1, end), 60), 0, 511, 512, 1024]:
            path.write_bytes(whole[:length])
            with pytest.raises(DataError, match=r"truncated"):
                scan_tar(path, "set")

    def test_a_truncated_tar_names_the_member(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "set.tar", {"set/a.jpg": b"a" * 600, "set/b.jpg": b"b" * 6000})
        path.write_bytes(path.read_bytes()[:4000])
        with pytest.raises(DataError, match=r"set.tar: truncated in member 'set/b.jpg', at 4000 bytes"):
            scan_tar(path, "set")

    @pytest.mark.parametrize(("mode", "name"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
    def test_compressed(self, tmp_path: Path, mode: str, name: str) -> None:
        path = tmp_path / "set.tar"
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            info = tarfile.TarInfo("set/a")
            info.size = 5000
            tar.addfile(info, io.BytesIO(random.Random(0).randbytes(5000)))
        with pytest.raises(DataError, match=f"compressed with {name}"):
            scan_tar(path, "set")

    def test_something_else_and_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "set.tar"
        path.write_bytes(b"hello" * 1000)
        with pytest.raises(DataError, match="no tar header at byte 0"):
            scan_tar(path, "set")
        write_tar(path, {})
        with pytest.raises(DataError, match=r"empty; expected one top-level folder set/"):
            scan_tar(path, "set")
        with pytest.raises(DataError, match=r"missing\.tar: cannot open it"):
            scan_tar(tmp_path / "missing.tar", "set")

    def test_a_flipped_bit_in_a_header(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "set.tar", FILES)
        data = bytearray(path.read_bytes())
        offset, _ = scanned(path, "set")["s2/img/0005.jpg"]
        data[offset - 512 + 9] ^= 4
        path.write_bytes(bytes(data))
        with pytest.raises(DataError, match=f"no tar header at byte {offset - 512}"):
            scan_tar(path, "set")


def test_a_table_takes_memory_for_folders_but_not_for_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar has millions."""
    monkeypatch.setattr(columns_module, "_SPOOL_BYTES", 1 << 14)
    monkeypatch.setattr(table_module, "_PIECE", 1 << 12)

    def peak(count: int) -> int:
        tracemalloc.start()
        with contextlib.closing(Spool(tmp_path)) as spool:
            members = Members(tmp_path / "set.tar", 0, spool)
            for number in range(count):
                members.add(f"s{number % 9}/{number:08d}.jpg", number << 10, 999)
            columns, meta = table_columns(members, spool)
            write_arrays(tmp_path / "table", columns, meta)
            table = known_table(tmp_path / "table", 0)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert table is not None
        assert [table.find(f"s{n % 9}/{n:08d}.jpg") for n in (0, count - 1)] == [(0, 999), (count - 1 << 10, 999)]
        assert table.files_in("s8")[-1] == f"{(count - 9) // 9 * 9 + 8:08d}.jpg"
        return highest

    peak(5_000)  # what is imported late
    assert peak(60_000) - peak(20_000) < 40_000 * 2  # bytes; it was 30 a member


class TestFrames:
    @pytest.fixture
    def tar(self, tmp_path: Path) -> Path:
        return write_tar(tmp_path / "set.tar", FILES)

    @pytest.fixture
    def folder(self, tar: Path) -> Path:
        with tarfile.open(tar) as archive:
            archive.extractall(tar.parent / "out")
        return tar.parent / "out" / "set"

    def test_all_give_the_same(self, tar: Path, folder: Path) -> None:
        inside, outside = open_archive(tar, "set", None), DirectoryFrames(folder)
        mapped = open_archive(tar, "set", None, mapped=True)
        for name, data in FILES.items():
            short = name.removeprefix("set/")
            assert inside.read(short) == mapped.read(short) == outside.read(short) == data
        mapped.close()
        assert DirectoryTree(folder, "set").files() == TarTree(tar, "set").files()
        assert inside.describe("s0/img/0000.jpg") == f"{tar}: set/s0/img/0000.jpg"

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
    @pytest.mark.parametrize(("count", "size", "limit"), [(16, 16 << 20, None), (64, 4 << 20, 1000)])
    def test_a_mapping_takes_no_more_page_tables_however_much_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, size: int, limit: int | None
    ) -> None:
        """4 kB for each 2 MB that are met are gigabytes for the largest sets, in every loader process; small frames
        here and there meet as many as all that lies between them."""
        path, names = tmp_path / "set.tar", [f"{i}.jpg" for i in range(count)]
        with path.open("wb") as file:
            for i, name in enumerate(names):
                member = tarfile.TarInfo(f"set/{name}")
                member.size = size
                file.seek(i * (512 + size))
                file.write(member.tobuf())
            file.truncate(count * (512 + size) + 1024)

        def page_tables() -> int:
            (line,) = re.findall(r"VmPTE:\s+(\d+) kB", Path("/proc/self/status").read_text())
            return int(line)

        monkeypatch.setattr(archive_module, "_MOST_TABLES", 16)
        frames = open_archive(path, "set", None, mapped=True)
        before, most = page_tables(), count * max(1, min(size, limit or size) >> 21) * 4
        for name in names:
            assert len(frames.read(name, limit)) == (limit or size)
        assert page_tables() - before < most / 2
        frames.close()

    def test_where_there_is_no_room_for_a_second_mapping_the_first_is_kept(
        self, tar: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive_module, "_MOST_TABLES", 1)
        monkeypatch.setattr(archive_module, "_TABLE_REACH", 1 << 12)
        frames = open_archive(tar, "set", None, mapped=True)
        read = frames.read("s0/img/0000.jpg")
        asked = []

        def no_room() -> None:
            asked.append(1)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        monkeypatch.setattr(frames, "_mapping", no_room)
        assert [frames.read("s0/img/0000.jpg") for _ in range(4)] == [read] * 4
        assert len(asked) == 2
        frames.close()

    def test_what_is_not_there_is_named(self, tar: Path, folder: Path) -> None:
        with pytest.raises(DataError, match=r"set.tar: set/s0/no.jpg: no such member"):
            open_archive(tar, "set", None).read("s0/no.jpg")
        with pytest.raises(DataError, match=r"out/set/s0/no.jpg: cannot read it \(No such file"):
            DirectoryFrames(folder).read("s0/no.jpg")
        with pytest.raises(DataError, match=r"s0/img: not a file"):
            DirectoryFrames(folder).read("s0/img")

    def test_links_inside_the_folder_mean_the_same_bytes(self, tmp_path: Path) -> None:
        path = write_tar(
            tmp_path / "set.tar",
            {
                "set/a/1.jpg": b"one",
                "s": link("set/a/2.jpg", "1.jpg"),
                "u": link("set/b/3.jpg", "../a/1.jpg"),
                "h": link("set/4.jpg", "set/a/1.jpg", tarfile.LNKTYPE),
            },
        )
        frames = open_archive(path, "set", None)
        assert [frames.read(name) for name in ("a/2.jpg", "b/3.jpg", "4.jpg")] == [b"one"] * 3

    def test_of_equal_names_the_last_counts(self, tmp_path: Path) -> None:
        """As for who extracts a tar; a link of a file's name does not."""
        path = tmp_path / "set.tar"
        with tarfile.open(path, "w") as tar:
            for content in (b"old", b"newer"):
                info = tarfile.TarInfo("set/a/1.jpg")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            tar.addfile(link("set/a/1.jpg", "2.jpg"))
            tar.addfile(link("set/a/3.jpg", "1.jpg"))
        frames = open_archive(path, "set", None)
        assert [frames.read(name) for name in ("a/1.jpg", "a/3.jpg")] == [b"newer"] * 2
        assert frames.table.names() == ["a/1.jpg", "a/3.jpg"]
        assert TarTree(path, "set").list("a").files == ["1.jpg", "3.jpg"]

    def test_the_table_is_kept_and_used(self, tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = tmp_path / "cache"
        first = open_archive(tar, "set", cache)
        assert table_path(cache, "set", first.digest).is_file()
        monkeypatch.setattr(
            "seqtrack.data.storage.archive.scan_tar", lambda *_, **__: pytest.fail("the tar is scanned again")
        )
        again = open_archive(tar, "set", cache)
        assert again.read("s1/img/0001.jpg") == FILES["set/s1/img/0001.jpg"]

    def test_a_tar_made_anew_gets_a_new_table(self, tar: Path, tmp_path: Path) -> None:
        before = tar_digest(tar)
        open_archive(tar, "set", tmp_path / "cache")
        write_tar(tar, dict(reversed(FILES.items())))
        assert tar_digest(tar) != before
        assert open_archive(tar, "set", tmp_path / "cache").read("s1/img/0001.jpg") == bytes([1]) * 37

    def test_a_damaged_table_is_made_again(self, tar: Path, tmp_path: Path) -> None:
        digest = open_archive(tar, "set", tmp_path / "cache").digest
        table_path(tmp_path / "cache", "set", digest).write_bytes(b"rubbish")
        assert open_archive(tar, "set", tmp_path / "cache").read("s1/img/0001.jpg") == bytes([1]) * 37

    def test_a_cache_that_cannot_be_written_costs_time_only(self, tar: Path, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file")
        frames = open_archive(tar, "set", tmp_path / "cache")
        assert pickle.loads(pickle.dumps(frames)).read("s1/img/0001.jpg") == bytes([1]) * 37

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.parametrize("backend", ["tar", "mapped", "folder"])
    def test_many_processes_at_once(self, tar: Path, folder: Path, tmp_path: Path, method: str, backend: str) -> None:
        frames: ArchiveFrames | DirectoryFrames = DirectoryFrames(folder)
        if backend != "folder":
            frames = open_archive(tar, "set", tmp_path / "cache", mapped=backend == "mapped")
        context = multiprocessing.get_context(method)
        with context.Pool(3, initializer=_use, initargs=(frames,)) as pool:
            read = pool.map(_read, [name.removeprefix("set/") for name in FILES] * 5)
        assert read == list(FILES.values()) * 5

    def test_the_order_of_members_does_not_change_the_table_of_names(self, tar: Path, tmp_path: Path) -> None:
        other = write_tar(tmp_path / "other.tar", dict(reversed(FILES.items())))
        assert TarTree(tar, "set").files() == TarTree(other, "set").files()

    def test_a_folder_that_links_to_itself_ends(self, tmp_path: Path) -> None:
        (tmp_path / "set" / "a").mkdir(parents=True)
        (tmp_path / "set" / "a" / "1.jpg").write_bytes(b"")
        (tmp_path / "set" / "a" / "again").symlink_to(tmp_path / "set")
        assert DirectoryTree(tmp_path / "set", "set").files() == ["a/1.jpg"]


_FRAMES: list[ArchiveFrames | DirectoryFrames] = []


def _use(frames: ArchiveFrames | DirectoryFrames) -> None:
    _FRAMES[:] = [frames]


def _read(name: str) -> bytes:
    return _FRAMES[0].read(name)


@given(st.dictionaries(st.text(max_size=12), st.tuples(st.integers(0, 2**60), st.integers(0, 2**40)), max_size=200))
def test_the_table_finds_what_was_put_in_and_nothing_else(places: dict[str, tuple[int, int]]) -> None:
    members = Members(Path("x"), 0)
    for name, (offset, size) in places.items():
        members.add(name, offset, size)
    table = MemberTable(*table_arrays(members))
    assert {name: table.find(name) for name in places} == places
    assert table.names() == sorted(places)
    for stranger in ("", "x", "another", *(name + "?" for name in places)):
        if stranger not in places:
            assert table.find(stranger) is None
