"""What `seqtrack doctor` makes of file systems: in words, and on the real one of the tests."""

from __future__ import annotations

import fcntl
import functools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from seqtrack.cluster import doctor, doctor_disks
from seqtrack.cluster.doctor import BAD, NOTE, OK, WARN, Finding
from seqtrack.cluster.doctor_disks import FolderFacts
from tests.workbench import PATIENCE_SECONDS

GOOD = FolderFacts("nfs4", 500 * 10**9)


class TestDisks:
    def test_a_shared_disk_that_does_all_that_is_needed(self) -> None:
        assert doctor_disks.judge_cache(GOOD, has_slurm=True) == [
            Finding(OK, "disk", "nfs4, 500 GB free", "shared, as the jobs of several nodes need it"),
            Finding(
                OK, "claims", "only 1 of 8 at once succeeds, renames replace",
                "no trial is trained twice, no file is seen half-written",
            ),
            Finding(OK, "locks", "keep other processes here out", "one job builds an index, the others wait for it"),
            Finding(OK, "clock", "agrees with this machine's", "heartbeats tell who is alive on other machines"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("facts", "about", "sign", "found"),
        [
            (replace(GOOD, free=5 * 10**8), "disk", WARN, "nfs4, 500 MB free"),
            (replace(GOOD, kind="ext4"), "disk", NOTE, "ext4, 500 GB free"),
            (replace(GOOD, winners=None), "claims", BAD, "no hard links"),
            (replace(GOOD, winners=2), "claims", BAD, "2 of 8 at once succeed"),
            (replace(GOOD, replaces=False), "claims", BAD, "renames replace nothing"),
            (replace(GOOD, lock="keep nobody out"), "locks", NOTE, "keep nobody out"),
            (replace(GOOD, clock=1.5), "clock", OK, "agrees with this machine's"),
            (replace(GOOD, clock=-12.0), "clock", NOTE, "12 s behind this machine's"),
            (replace(GOOD, clock=40.0), "clock", WARN, "40 s ahead of this machine's"),
            (replace(GOOD, clock=-40.0), "clock", WARN, "40 s behind this machine's"),
            (replace(GOOD, clock=-100.0), "clock", BAD, "100 s behind this machine's"),
        ],
    )
    def test_what_is_wrong_with_a_cache_folder(self, facts: FolderFacts, about: str, sign: str, found: str) -> None:
        said = {finding.about: finding for finding in doctor_disks.judge_cache(facts, has_slurm=True)}
        assert (said[about].sign, said[about].found) == (sign, found)
        assert [finding.sign for name, finding in said.items() if name != about] == [OK] * 3

    def test_a_disk_of_its_own_is_fine_without_slurm(self) -> None:
        assert doctor_disks.judge_cache(replace(GOOD, kind="xfs"), has_slurm=False)[0].sign == OK

    @pytest.mark.parametrize(
        ("facts", "sign", "found"),
        [
            (FolderFacts("xfs", 900 * 10**9), OK, "xfs, 900 GB free"),
            (FolderFacts("xfs", 5 * 10**9), WARN, "xfs, 5.0 GB free"),
            (FolderFacts("tmpfs", 64 * 10**9), NOTE, "tmpfs, 64 GB free"),
            (FolderFacts("lustre", 10**15), WARN, "lustre, 1,000,000 GB free"),
            (
                FolderFacts("lustre", 10**12, lock="fail (Function not implemented)"),
                BAD, "lustre, 1,000 GB free, locks fail (Function not implemented)",
            ),
        ],
    )  # fmt: skip
    def test_where_tars_are_unpacked(self, facts: FolderFacts, sign: str, found: str) -> None:
        said = doctor_disks.judge_node_local(facts)
        assert (said.sign, said.about, said.found) == (sign, "disk", found)

    def test_little_shared_memory(self) -> None:
        assert [doctor_disks.judge_shared_memory(total).sign for total in (64 << 20, 8 << 30)] == [WARN, OK]

    def test_the_file_system_is_that_of_the_deepest_and_latest_mount(self) -> None:
        mounts = [("/", "ext4"), ("/home", "nfs4"), ("/home/ada", "lustre"), ("/tmp", "tmpfs"), ("/tmp", "xfs")]
        expected = {"/etc": "ext4", "/home/bob": "nfs4", "/home/ada": "lustre", "/home/adam": "nfs4", "/tmp/x": "xfs"}
        assert {path: doctor_disks.file_system(Path(path), mounts) for path in expected} == expected
        assert doctor_disks.file_system(Path("/x"), []) == "unknown file system"

    @pytest.mark.parametrize(
        ("root", "environ", "why"),
        [
            ("/s/seqtrack-5", {"SLURM_TMPDIR": "/s", "TMPDIR": "/x"}, "from SLURM_TMPDIR; or --tmp_data_dir"),
            ("/x/seqtrack-5", {"TMPDIR": "/x"}, "from TMPDIR, which jobs do not take over from here"),
            ("/x/seqtrack-5", {"TMPDIR": "/x", "SLURM_JOB_ID": "7"}, "from TMPDIR; or --tmp_data_dir"),
            ("/tmp/seqtrack-5", {}, "SLURM_TMPDIR and TMPDIR are unset; or --tmp_data_dir"),
            ("/tmp/seqtrack-5", {"TMPDIR": "/nfs"}, "TMPDIR=/nfs is passed over: missing, or on a network disk"),
            (
                "/tmp/seqtrack-5",
                {"TMPDIR": "/x", "SLURM_JOB_ID": "7", "SEQTRACK_SUBMIT_TMPDIR": "/x"},
                "TMPDIR=/x is passed over: it comes from the submitting host",
            ),
        ],
    )
    def test_why_that_folder(self, root: str, environ: dict[str, str], why: str) -> None:
        assert doctor_disks.why_there(Path(root), None, environ) == why
        assert doctor_disks.why_there(Path(root), root, environ) == "from --tmp_data_dir"


class TestTrying:
    """On the real file system of the tests."""

    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long another process takes to start."""
        monkeypatch.setattr(doctor_disks, "ask", functools.partial(doctor.ask, seconds=PATIENCE_SECONDS))

    def test_a_folder_is_tried_and_left_as_it_was(self, tmp_path: Path) -> None:
        (tmp_path / "mine").touch()
        facts = doctor_disks.look_at(tmp_path)
        assert (facts.winners, facts.replaces, facts.lock) == (1, True, "")
        assert abs(facts.clock) < doctor_disks.CLOCK_TOLERANCE_SECONDS
        assert facts.free > 0
        assert os.listdir(tmp_path) == ["mine"]

    def test_a_lock_that_somebody_else_holds_cannot_be_tried(self, tmp_path: Path) -> None:
        held = tmp_path / "lock"
        with held.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert doctor_disks.try_lock(held) == "fail (Resource temporarily unavailable)"

    def test_locks_that_keep_nobody_out_are_noticed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_disks.fcntl, "flock", lambda file, how: None)
        assert doctor_disks.try_lock(tmp_path / "lock") == "keep nobody out"

    def test_a_full_disk(self, small_disk: Path) -> None:
        (small_disk / "large").write_bytes(b"x" * 900_000)
        said = doctor_disks.judge_cache(doctor_disks.look_at(small_disk), has_slurm=False)
        assert said[0].sign == WARN
        assert said[0].found.startswith("tmpfs, 0 MB free")

    def test_what_is_not_there_yet_is_tried_where_it_will_be(self, tmp_path: Path) -> None:
        assert doctor_disks.nearest(tmp_path / "a" / "b") == tmp_path
        assert doctor_disks.nearest(tmp_path) == tmp_path
