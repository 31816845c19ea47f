"""Copies on the node: made once, shared, never evicted in use, and nothing half-made is left behind.

Locks, kills and full disks are real: other processes and small mounted file systems.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from seqtrack.data.storage import open_archive, staging, transfer
from seqtrack.data.storage.node_local import SUBMIT_TMPDIR, ensure_own_folder, is_local, node_local_root
from seqtrack.data.storage.staging import stage
from seqtrack.errors import DataError, UserError
from tests.data.otb_layout import link, write_tar
from tests.workbench import wait_for

ROOT = Path(__file__).parents[3]
FILES = {f"set/s{n % 3}/img/{n:04d}.jpg": bytes([n]) * 3000 for n in range(30)}
MODES = ("untar", "tar")


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return write_tar(tmp_path / "shared" / "original" / "set.tar", FILES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "node"


def content(folder: Path) -> dict[str, bytes]:
    return {
        f"set/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".complete"
    }


def unfinished(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".tmp-*")]


def staged(tar: Path, root: Path, mode: str = "untar", name: str = "set") -> tuple[staging.StagedCopy, list[str]]:
    messages: list[str] = []
    return stage(tar, root, "original", name, mode, messages.append), messages


class TestCopy:
    def test_untar(self, tar: Path, root: Path) -> None:
        copy, messages = staged(tar, root)
        assert copy.path == root / "original" / "set"
        assert content(copy.path) == FILES
        assert messages[0] == f"set: staging {tar} (30 files, 0.09 MB) to {copy.path}"
        marker = json.loads((copy.path / ".complete").read_text())
        assert marker["tar"] == str(tar)
        assert (marker["size"], marker["mtime_ns"]) == (tar.stat().st_size, tar.stat().st_mtime_ns)
        assert marker["digest"] == copy.digest
        assert unfinished(root) == []
        copy.close()

    def test_tar(self, tar: Path, root: Path) -> None:
        copy, _ = staged(tar, root, "tar")
        assert copy.path == root / "original" / "set.tar"
        assert copy.path.read_bytes() == tar.read_bytes()
        assert open_archive(copy.path, "set", None).read("s1/img/0001.jpg") == FILES["set/s1/img/0001.jpg"]
        assert unfinished(root) == []
        copy.close()

    @pytest.mark.parametrize("mode", MODES)
    def test_the_next_job_shares_it(self, tar: Path, root: Path, mode: str) -> None:
        first, _ = staged(tar, root, mode)
        inode = first.path.stat().st_ino
        second, messages = staged(tar, root, mode)
        assert messages == []
        assert (second.path.stat().st_ino, second.digest) == (inode, first.digest)
        first.close()
        second.close()

    @pytest.mark.parametrize("mode", MODES)
    def test_a_copy_that_is_not_to_be_kept_goes_with_its_last_user(self, tar: Path, root: Path, mode: str) -> None:
        def use(keep: bool) -> staging.StagedCopy:
            return stage(tar, root, "original", "set", mode, lambda line: None, keep=keep)

        first, second = use(keep=False), use(keep=False)
        first.close()
        assert second.path.exists()
        second.close()
        assert not second.path.exists()
        assert unfinished(root) == []
        # Kept for the next job by one, it is still there; and then removed by another who wants it so.
        use(keep=True).close()
        assert second.path.exists()
        use(keep=False).close()
        assert sorted(path.name for path in root.rglob("*") if not path.name.endswith(".lock")) == ["original"]

    def test_a_name_that_would_mean_a_host_to_tar(self, tmp_path: Path, root: Path) -> None:
        tar = write_tar(tmp_path / "host:disk" / "set.tar", FILES)
        copy, _ = staged(tar, root)
        assert content(copy.path) == FILES
        copy.close()

    def test_options_of_the_person_for_tar_do_no_harm(
        self, tar: Path, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAR_OPTIONS", "--strip-components=1")
        copy, _ = staged(tar, root)
        assert content(copy.path) == FILES
        copy.close()

    def test_folders_that_the_tar_makes_read_only(self, tmp_path: Path, root: Path) -> None:
        folder = tarfile.TarInfo("set/s0")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o555
        tar = write_tar(tmp_path / "set.tar", {"set/s0": folder, **FILES})
        copy, _ = staged(tar, root)
        assert content(copy.path) == FILES
        copy.close()


class TestProgress:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A word at every look instead of every ten seconds."""
        monkeypatch.setattr(transfer, "PROGRESS_SECONDS", 0.0)
        monkeypatch.setattr(transfer, "_LOOK_SECONDS", 0.01)

    def test_an_extraction_says_how_much_of_the_tar_is_read(
        self, tar: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A ``tar`` that waits to be seen at the start and at the end, first on PATH."""
        seen = tmp_path / "seen"
        patient = tmp_path / "bin" / "tar"
        patient.parent.mkdir()
        wait = f"while ! [ -e {seen}{{}} ]; do sleep 0.01; done\n"
        real = shutil.which("tar")
        patient.write_text(f'#!/bin/sh\n{wait.format(1)}{real} "$@"\n{wait.format(2)}')
        patient.chmod(0o755)
        monkeypatch.setenv("PATH", f"{patient.parent}:{os.environ['PATH']}")
        size = f"{tar.stat().st_size / 1e6:.2f} MB"
        messages: list[str] = []

        def see(text: str) -> None:
            messages.append(text)
            if text == f"set: 0.00 MB of {size} staged":
                Path(f"{seen}1").touch()
            if text == f"set: {size} of {size} staged":
                Path(f"{seen}2").touch()

        stage(tar, root, "original", "set", "untar", see).close()
        assert messages[1] == f"set: 0.00 MB of {size} staged"
        assert messages[-2] == f"set: {size} of {size} staged"

    @pytest.mark.parametrize("in_kernel", [True, False])
    def test_a_copy_says_how_much_is_copied(
        self, tar: Path, root: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
    ) -> None:
        monkeypatch.setattr(transfer, "_KERNEL_BYTES", 100_000)
        monkeypatch.setattr(transfer, "_PIECE_BYTES", 100_000)
        if not in_kernel:
            monkeypatch.delattr(os, "copy_file_range", raising=False)
        copy, messages = staged(tar, root, "tar")
        size = tar.stat().st_size
        expected = [f"set: {done / 1e6:.2f} MB of {size / 1e6:.2f} MB staged" for done in (100_000, size)]
        assert [text for text in messages if text.endswith(" staged")] == expected
        assert copy.path.read_bytes() == tar.read_bytes()
        copy.close()


class TestOutdated:
    @pytest.mark.parametrize("mode", MODES)
    def test_a_changed_tar_is_staged_again(self, tar: Path, root: Path, mode: str) -> None:
        staged(tar, root, mode)[0].close()
        newer = {**FILES, "set/new.jpg": b"new"}
        write_tar(tar, newer)
        copy, messages = staged(tar, root, mode)
        assert len(messages) == 2
        if mode == "untar":
            assert content(copy.path) == newer
        else:
            assert copy.path.read_bytes() == tar.read_bytes()
        assert unfinished(root) == []
        copy.close()

    @pytest.mark.parametrize("mode", MODES)
    def test_not_while_somebody_uses_the_old_one(self, tar: Path, root: Path, mode: str) -> None:
        used, _ = staged(tar, root, mode)
        write_tar(tar, {**FILES, "set/new.jpg": b"new"})
        with pytest.raises(UserError, match=r"--tmp_data_dir: .* comes from an older .*set.tar and is in use"):
            staged(tar, root, mode)
        assert used.path.exists()
        used.close()
        staged(tar, root, mode)[0].close()

    def test_a_tar_that_was_only_touched_is_the_same(self, tar: Path, root: Path) -> None:
        staged(tar, root)[0].close()
        os.utime(tar, ns=(1, 1))
        copy, messages = staged(tar, root)
        assert messages == []
        copy.close()

    def test_after_a_restart_of_the_node_the_files_are_checked(self, tar: Path, root: Path) -> None:
        copy, _ = staged(tar, root)
        copy.close()
        marker = copy.path / ".complete"
        earlier = json.loads(marker.read_text()) | {"boot_time": 1.0}
        marker.write_text(json.dumps(earlier))
        copy, messages = staged(tar, root)
        copy.close()
        assert messages == []
        assert json.loads(marker.read_text())["boot_time"] > 1.0
        # A file that had not reached the disk is empty after a crash.
        marker.write_text(json.dumps(earlier))
        (copy.path / "s1" / "img" / "0001.jpg").write_bytes(b"")
        copy, messages = staged(tar, root)
        assert len(messages) == 2
        assert content(copy.path) == FILES
        copy.close()

    @pytest.mark.parametrize("mode", MODES)
    def test_what_somebody_else_put_there_is_left_alone(self, tar: Path, root: Path, mode: str) -> None:
        precious = root / "original" / "set" / "a.jpg" if mode == "untar" else root / "original" / "set.tar"
        precious.parent.mkdir(parents=True)
        precious.write_bytes(b"precious")
        with pytest.raises(UserError, match=r"was not staged by seqtrack \(no .*complete\); move it away"):
            staged(tar, root, mode)
        assert precious.read_bytes() == b"precious"


class TestRefused:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "members",
        [
            {"set/a": b"", "set/../../evil": b""},
            {"set/a": b"", "/tmp/evil": b""},
            {"set/a": b"", "x": link("set/l", "/etc/passwd")},
            {"set/a": b"", "x": link("set/l", "..")},
            {"elsewhere/a": b""},
        ],
    )
    def test_members_that_escape(self, tmp_path: Path, root: Path, mode: str, members: dict[str, bytes]) -> None:
        tar = write_tar(tmp_path / "set.tar", members)
        with pytest.raises(DataError, match=f"^{tar}: "):
            staged(tar, root, mode)
        self.nothing_was_made(root)
        assert not (tmp_path / "evil").exists()

    @pytest.mark.parametrize("mode", MODES)
    def test_truncated(self, tar: Path, root: Path, mode: str) -> None:
        tar.write_bytes(tar.read_bytes()[:50_000])
        with pytest.raises(DataError, match=rf"^{tar}: truncated in member 'set/s.*', at 50000 bytes"):
            staged(tar, root, mode)
        self.nothing_was_made(root)

    @pytest.mark.parametrize("mode", MODES)
    def test_missing(self, tmp_path: Path, root: Path, mode: str) -> None:
        with pytest.raises(DataError, match=r"no\.tar: cannot read it"):
            staged(tmp_path / "no.tar", root, mode)

    def nothing_was_made(self, root: Path) -> None:
        made = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
        assert made == []
        assert not (root / "original" / "set").exists()
        assert unfinished(root) == []

    def test_without_the_program_tar(self, tar: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(UserError, match="'tar' is not installed here"):
            staged(tar, root)
        self.nothing_was_made(root)

    def test_a_root_that_cannot_be_written(self, tar: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=r"^--tmp_data_dir: cannot write to .*file/original \(Not a directory\)"):
            staged(tar, tmp_path / "file")


class TestSpace:
    def big(self, tmp_path: Path, name: str, files: int = 8) -> Path:
        """50 kB per file."""
        members = {f"{name}/{n:04d}.jpg": bytes([n]) * 50_000 for n in range(files)}
        return write_tar(tmp_path / "shared" / f"{name}.tar", members)

    @pytest.mark.parametrize("mode", MODES)
    def test_is_checked_first(self, tmp_path: Path, small_disk: Path, mode: str) -> None:
        with pytest.raises(
            UserError, match=r"^--tmp_data_dir: .* has 1\.\d\d MB free and the copy of .* needs 2\.\d\d MB"
        ):
            staged(self.big(tmp_path, "a", files=40), small_disk, mode, "a")
        assert [path.name for path in (small_disk / "original").iterdir() if not path.name.endswith(".lock")] == []

    @pytest.mark.parametrize("mode", MODES)
    def test_the_unused_copy_that_was_used_longest_ago_makes_way(
        self, tmp_path: Path, small_disk: Path, mode: str
    ) -> None:
        tars = {name: self.big(tmp_path, name) for name in "abc"}
        for number, name in enumerate("ba"):
            copy, _ = staged(tars[name], small_disk, mode, name)
            copy.close()
            marker = copy.path / ".complete" if mode == "untar" else copy.path.parent / f".{name}.tar.complete"
            os.utime(marker, (number, number))
        copy, messages = staged(tars["c"], small_disk, mode, "c")
        assert (
            messages[0]
            == f"evicted the unused copy {small_disk / 'original' / copy.path.name.replace('c', 'b')} to make room"
        )
        left = {path.name.removesuffix(".tar") for path in (small_disk / "original").iterdir() if path.name[0] != "."}
        assert left == {"a", "c"}
        copy.close()

    def test_a_copy_in_use_is_never_evicted(self, tmp_path: Path, small_disk: Path) -> None:
        tars = {name: self.big(tmp_path, name) for name in "abc"}
        used = [staged(tars[name], small_disk, "untar", name)[0] for name in "ab"]
        with pytest.raises(UserError, match=r"has 0\.\d+ MB free"):
            staged(tars["c"], small_disk, "untar", "c")
        assert all(copy.path.exists() for copy in used)
        used[1].close()
        copy, messages = staged(tars["c"], small_disk, "untar", "c")
        assert "evicted the unused copy" in messages[0]
        assert used[0].path.exists()
        copy.close()

    def test_the_user_may_be_another_process(self, tmp_path: Path, small_disk: Path) -> None:
        """And once it was killed, its use has ended."""
        tars = {name: self.big(tmp_path, name, files=12) for name in "ab"}
        user = start(tars["a"], small_disk, "a", hold=True)
        assert user.stdout is not None
        while user.stdout.readline() != "staged\n":
            pass
        with pytest.raises(UserError, match="MB free"):
            staged(tars["b"], small_disk, "untar", "b")
        user.kill()
        user.wait()
        copy, messages = staged(tars["b"], small_disk, "untar", "b")
        assert f"evicted the unused copy {small_disk / 'original' / 'a'} to make room" in messages
        copy.close()

    def test_what_killed_jobs_of_other_data_sets_left_makes_way_first(self, tmp_path: Path, small_disk: Path) -> None:
        tars = {name: self.big(tmp_path, name, files=12) for name in "ab"}
        kept, _ = staged(self.big(tmp_path, "c", files=1), small_disk, "untar", "c")
        kept.close()
        job = start(tars["a"], small_disk, "a", let=tmp_path / "never")
        assert job.stdout is not None
        while job.stdout.readline() != "extracting\n":
            pass
        (half,) = (path for path in small_disk.rglob(".tmp-*"))
        (half / "half.jpg").write_bytes(bytes(600_000))
        with pytest.raises(UserError, match="MB free"):  # while it lives, it is left alone
            staged(tars["b"], small_disk, "untar", "b")
        assert half.exists()
        job.kill()
        job.wait()
        staged(tars["b"], small_disk, "untar", "b")[0].close()
        assert unfinished(small_disk) == []

    @pytest.mark.parametrize("mode", MODES)
    def test_a_disk_that_fills_up_in_the_middle(
        self, tmp_path: Path, small_disk: Path, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tar = self.big(tmp_path, "a", files=40)
        monkeypatch.setattr(staging, "_make_room", lambda *_: None)  # as if others filled it after the check
        with pytest.raises(
            UserError, match=r"^--tmp_data_dir: .* is full \(the copy needs 2\.\d\d MB, .* are free\)"
        ):
            staged(tar, small_disk, mode, "a")
        assert unfinished(small_disk) == []
        assert not (small_disk / "original" / "a").exists()


_STAGE = """
import sys, time
from pathlib import Path
import seqtrack.data.storage.staging as staging
tar, root, name, let, hold = sys.argv[1:]
extract = staging.extract
def extract_when_let(*args):
    print("extracting", flush=True)
    while let and not Path(let).exists():
        time.sleep(0.01)
    extract(*args)
staging.extract = extract_when_let
copy = staging.stage(Path(tar), Path(root), "original", name, "untar", lambda text: print(text, flush=True))
print("staged", flush=True)
while hold:
    time.sleep(1)
"""


def start(tar: Path, root: Path, name: str, let: Path | None = None, hold: bool = False) -> subprocess.Popen[str]:
    """A process that stages a tar, once ``let`` is there if it is given; ``hold``: it uses the copy until killed."""
    return subprocess.Popen(
        [sys.executable, "-c", _STAGE, str(tar), str(root), name, str(let or ""), "hold" if hold else ""],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


class TestProcesses:
    def test_of_several_at_once_one_extracts(self, tar: Path, root: Path, tmp_path: Path) -> None:
        jobs = [start(tar, root, "set", let=tmp_path / "let") for _ in range(3)]
        said = [job.stdout.readline() for job in jobs if job.stdout]  # all are there
        (tmp_path / "let").touch()
        printed = [line + job.communicate()[0] for line, job in zip(said, jobs, strict=True)]
        assert [job.returncode for job in jobs] == [0, 0, 0]
        assert "".join(printed).count("extracting\n") == 1
        assert all("staged\n" in text for text in printed)
        (maker,) = (job.pid for job, text in zip(jobs, printed, strict=True) if "extracting" in text)
        waited = [text for text in printed if "extracting" not in text]
        assert all(f"set: waiting for process {maker}, which stages it to" in text for text in waited)
        assert content(root / "original" / "set") == FILES

    def test_what_a_killed_job_left_is_removed_by_the_next(self, tar: Path, root: Path, tmp_path: Path) -> None:
        job = start(tar, root, "set", let=tmp_path / "never")
        assert job.stdout is not None
        while job.stdout.readline() != "extracting\n":
            pass
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert len(unfinished(root)) == 1
        copy, messages = staged(tar, root)
        assert content(copy.path) == FILES
        assert "waiting" not in "".join(messages)
        assert unfinished(root) == []
        copy.close()

    def test_nobody_takes_over_while_the_tar_of_a_killed_job_still_writes(
        self, tar: Path, root: Path, tmp_path: Path
    ) -> None:
        """A ``tar`` that writes once somebody waits for it, first on PATH."""
        started, let, ended = (tmp_path / name for name in ("started", "let", "ended"))
        patient = tmp_path / "bin" / "tar"
        patient.parent.mkdir()
        wait = f"while ! [ -e {let} ]; do sleep 0.01; done"
        patient.write_text(f'#!/bin/sh\ntouch {started}\n{wait}\n{shutil.which("tar")} "$@"\ntouch {ended}\n')
        patient.chmod(0o755)
        job = subprocess.Popen(
            [sys.executable, "-c", _STAGE, str(tar), str(root), "set", "", ""],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{patient.parent}:{os.environ['PATH']}"},
        )
        wait_for(started.exists, "tar")
        job.kill()
        job.wait()
        messages: list[str] = []

        def hear(text: str) -> None:
            messages.append(text)
            let.touch()

        copy = stage(tar, root, "original", "set", "untar", hear)
        assert ended.exists()
        assert f"set: waiting for process {job.pid}" in messages[0]
        assert content(copy.path) == FILES
        assert unfinished(root) == []
        copy.close()

    def test_a_forked_child_does_not_end_the_use_of_its_parent(self, tar: Path, root: Path) -> None:
        copy, _ = staged(tar, root)
        child = os.fork()
        if child == 0:
            copy.close()
            os._exit(0)
        os.waitpid(child, 0)
        write_tar(tar, {**FILES, "set/new.jpg": b"new"})
        with pytest.raises(UserError, match="in use by another process"):
            staged(tar, root)
        copy.close()


class TestRoot:
    def test_an_explicit_folder_is_the_root_itself(self, tmp_path: Path) -> None:
        environ = {"USER": "ann", "SLURM_JOB_ID": "77", "SLURM_TMPDIR": str(tmp_path)}
        assert node_local_root("/scratch/{user}/{job_id}", environ) == Path("/scratch/ann/77")
        assert node_local_root("/scratch/{job_id}", {"USER": "ann"}) == Path("/scratch/local")
        with pytest.raises(
            UserError, match=r"--tmp_data_dir: \{node\} is not known; expected \{user\} or \{job_id\}"
        ):
            node_local_root("/scratch/{node}", environ)

    def test_slurms_folder_then_tmpdir(self, tmp_path: Path) -> None:
        slurm, own = tmp_path / "slurm", tmp_path / "own"
        slurm.mkdir()
        own.mkdir()
        mine = f"seqtrack-{os.getuid()}"
        environ = {"SLURM_TMPDIR": str(slurm), "TMPDIR": str(own), "SLURM_JOB_ID": "1"}
        assert node_local_root(None, environ) == slurm / mine
        del environ["SLURM_TMPDIR"]
        assert node_local_root(None, environ) == own / mine
        assert stat.S_IMODE((own / mine).stat().st_mode) == 0o700

    def test_an_inherited_or_missing_tmpdir_is_not_used(self, tmp_path: Path) -> None:
        environ = {"TMPDIR": str(tmp_path), "SLURM_JOB_ID": "1", SUBMIT_TMPDIR: str(tmp_path)}
        fallback = Path("/tmp") / f"seqtrack-{os.getuid()}"
        existed = fallback.exists()
        try:
            assert node_local_root(None, environ) == fallback
            assert node_local_root(None, {"TMPDIR": str(tmp_path / "missing")}) == fallback
        finally:
            if not existed:
                fallback.rmdir()

    def test_the_folder_must_be_ours(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UserError, match="expected a folder that belongs to you"):
            ensure_own_folder(tmp_path / "link")
        (tmp_path / "open").mkdir(mode=0o777)
        assert stat.S_IMODE(ensure_own_folder(tmp_path / "open").stat().st_mode) == 0o700
        if os.getuid() == 0:
            (tmp_path / "theirs").mkdir()
            os.chown(tmp_path / "theirs", 12345, 12345)
            with pytest.raises(UserError, match="expected a folder that belongs to you"):
                ensure_own_folder(tmp_path / "theirs")

    def test_this_folder_is_local(self, tmp_path: Path) -> None:
        assert is_local(tmp_path)
