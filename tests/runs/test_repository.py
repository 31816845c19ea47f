"""The code of a run as git has it: a dirty tree becomes a commit, and nothing that a person has is touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from seqtrack.errors import UserError
from seqtrack.runs import repository
from seqtrack.runs.repository import Snapshot

PERSON = ("-c", "user.name=me", "-c", "user.email=me@here", "-c", "protocol.file.allow=always")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *PERSON, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in {
        "package/a.py": "A = 1\n",
        "package/b.py": "B = 1\n",
        ".gitignore": "cache/\n",
        **files,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make(tmp_path / "checkout")


def take(folder: Path, reference: str = "0123abcd") -> Snapshot:
    return repository.take(folder / "package" if (folder / "package").is_dir() else folder, reference)


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink()]
    inside = {str(path.relative_to(folder)): path for path in files}
    return {
        name: str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for name, path in inside.items()
        if ".git" not in path.relative_to(folder).parts
    }


def belongings(folder: Path) -> tuple[object, ...]:
    """HEAD, branches and stash, the index's bytes, and every file."""
    place = folder / git(folder, "rev-parse", "--git-path", "index")
    head = (folder / git(folder, "rev-parse", "--git-path", "HEAD")).read_text()
    return (
        head, place.read_bytes(), git(folder, "for-each-ref", "refs/heads", "refs/tags"),
        git(folder, "stash", "list", "--format=%H"), content(folder),
    )  # fmt: skip


def checked_out(folder: Path, snapshot: Snapshot, where: Path) -> dict[str, bytes]:
    assert snapshot.tree is not None
    where.mkdir()
    repository.check_out(folder, snapshot.tree, where)
    return content(where)


def test_a_clean_tree_is_the_commit_that_is_checked_out(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "https://me:secret@host.example/lab/code.git")
    found = take(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    assert found == Snapshot(
        root=str(checkout), tree=git(checkout, "rev-parse", "HEAD^{tree}"), commit=head, head=head, branch="main",
        remotes={"origin": "https://host.example/lab/code.git"},
    )  # fmt: skip
    # So that it outlives a rebase.
    assert git(checkout, "rev-parse", f"refs/seqtrack/0123abcd/{head[:12]}") == head


def test_a_dirty_tree_becomes_a_commit_and_nothing_of_the_person_s_is_touched(checkout: Path, tmp_path: Path) -> None:
    (checkout / "package" / "a.py").write_text("stashed\n")
    git(checkout, "stash")
    (checkout / "package" / "a.py").write_text("staged\n")
    git(checkout, "add", "-A")
    (checkout / "package" / "a.py").write_text("changed\n")
    (checkout / "package" / "b.py").unlink()
    (checkout / "package" / "new file\nof two lines.py").write_text("untracked\n")
    (checkout / "link").symlink_to("package/a.py")
    (checkout / "cache").mkdir()
    (checkout / "cache" / "ignored.bin").write_text("ignored")
    before = belongings(checkout)
    found = take(checkout)
    assert belongings(checkout) == before
    assert found.changed == ("link", "package/a.py", "package/b.py", "package/new file\nof two lines.py")
    assert found.head == git(checkout, "rev-parse", "HEAD") == git(checkout, "rev-parse", f"{found.commit}^")
    expected = {name: data for name, data in content(checkout).items() if not name.startswith("cache/")}
    assert checked_out(checkout, found, tmp_path / "out") == expected
    assert take(checkout) == found, "the same tree is the same commit"
    git(checkout, "reset", "-q", "--hard")
    git(checkout, "-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now")
    assert checked_out(checkout, found, tmp_path / "again") == expected, "kept from garbage collection"


def test_an_edit_within_the_second_of_the_commit_is_seen(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "config", "core.trustctime", "false")
    victim, now = checkout / "package" / "a.py", 1_700_000_000
    os.utime(victim, (now, now))
    git(checkout, "update-index", "--refresh")
    victim.write_text("A = 2\n")  # of the same size, and of the same second
    for path in (victim, checkout / ".git" / "index"):
        os.utime(path, (now, now))
    found = take(checkout)
    assert found.changed == ("package/a.py",)
    assert checked_out(checkout, found, tmp_path / "out")["package/a.py"] == b"A = 2\n"


def test_killed_at_any_moment_it_leaves_everything_as_it_was(checkout: Path) -> None:
    for number in range(300):
        (checkout / "package" / f"new{number}.py").write_text(f"x = {number}\n" * 100)
    before = belongings(checkout)
    program = "import sys; from pathlib import Path; from seqtrack.runs import repository\n"
    program += "import git; print(flush=True); repository.take(Path(sys.argv[1]), 'killed')"
    for delay in (0.005, 0.02, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(checkout)], stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert belongings(checkout) == before
    assert len(take(checkout).changed) == 300, "no lock of a dead one is in the way"


def test_worktrees_detached_and_shallow_checkouts(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    tree = tmp_path / "tree"
    git(checkout, "worktree", "add", "-q", "--detach", str(tree))
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", str(shallow))
    for folder in (tree, shallow):
        (folder / "package" / "a.py").write_text("changed\n")
        before = belongings(folder)
        found = take(folder)
        assert belongings(folder) == before
        assert (found.root, found.changed) == (str(folder), ("package/a.py",))
        assert checked_out(folder, found, tmp_path / f"out_{folder.name}")["package/a.py"] == b"changed\n"
    assert take(tree).branch is None


def test_submodules_enter_with_their_changes(checkout: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    git(checkout, "submodule", "--quiet", "add", str(other), "third")
    git(checkout, "config", "-f", ".gitmodules", "submodule.third.ignore", "all")  # of git status, not of the record
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "with a submodule")
    clean = take(checkout)
    assert clean.commit == clean.head
    assert clean.submodules == {"third": git(other, "rev-parse", "HEAD")}
    assert git(checkout / "third", "for-each-ref", "refs/seqtrack"), "what it is at is kept there as well"
    (checkout / "third" / "package" / "a.py").write_text("changed inside\n")
    before = belongings(checkout), belongings(checkout / "third")
    found = take(checkout)
    assert (belongings(checkout), belongings(checkout / "third")) == before
    assert found.commit != clean.commit
    assert checked_out(checkout, found, tmp_path / "out")["third/package/a.py"] == b"changed inside\n"


def test_before_the_first_commit_there_is_a_tree_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").write_text("A = 1\n")
    found = take(folder)
    assert (found.head, found.changed, found.branch) == (None, ("a.py",), "main")
    assert checked_out(folder, found, tmp_path / "out") == {"a.py": b"A = 1\n"}


def test_outside_git_less_is_known_and_the_note_says_why(checkout: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert take(plain) == Snapshot(str(plain), note=f"{plain} is not in a git repository")
    installed = checkout / "cache" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "a.py").touch()
    note = take(installed).note
    assert note == f"{installed} is not in a git repository (one around it ignores it)"


def test_a_repository_of_its_own_inside_is_said_to_be_left_out(checkout: Path, tmp_path: Path) -> None:
    make(checkout / "experiments" / "mine")
    (checkout / "[a] *").mkdir()
    git(checkout / "[a] *", "init", "-q")  # without a commit, which git does not take
    (checkout / "new.py").touch()
    found = take(checkout)
    assert found.note == "repositories within it, not recorded: [a] */, experiments/mine/"
    assert set(checked_out(checkout, found, tmp_path / "out")) == {
        ".gitignore",
        "new.py",
        "package/a.py",
        "package/b.py",
    }


def test_settings_of_a_repository_and_of_a_hook_change_nothing(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("splitIndex", "safecrlf"):
        git(checkout, "config", f"core.{name}", "true")
    git(checkout, "update-index", "--split-index")
    (checkout / "package" / "a.py").write_bytes(b"unix\nwindows\r\n")
    (checkout / ".gitattributes").write_text("*.py text eol=lf\n")
    files = {path.name for path in (checkout / ".git").iterdir()}
    before = belongings(checkout)
    other = make(tmp_path / "other")
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(other / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        found = take(checkout)
    assert belongings(checkout) == before
    assert {path.name for path in (checkout / ".git").iterdir()} == files, "no part of an index is left there"
    assert (found.note, found.changed) == (None, (".gitattributes", "package/a.py"))
    assert git(checkout, "rev-parse", f"{found.commit}^") == git(checkout, "rev-parse", "HEAD")


def test_what_is_installed_is_no_part_of_the_repository_around_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout / "env" / "site-packages" / "package"
    installed.mkdir(parents=True)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(installed.parent))
    assert repository.take(installed, "x").note == f"{installed} is installed, not in a git repository of its own"


def test_a_large_file_is_refused_by_name(checkout: Path) -> None:
    with (checkout / "weights.bin").open("wb") as file:
        file.truncate(repository.MAX_FILE_BYTES + (5 << 20))
    with pytest.raises(UserError) as caught:
        take(checkout)
    assert str(caught.value).startswith("weights.bin (25 MiB): not committed, and too large for the record of")
    (checkout / ".git" / "info" / "exclude").write_text("weights.bin\n")
    assert take(checkout).changed == ()


def test_a_stopped_merge_is_taken_as_it_lies_there(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "switch", "-q", "-c", "other")
    (checkout / "package" / "a.py").write_text("theirs\n")
    git(checkout, "commit", "-q", "-a", "-m", "theirs")
    git(checkout, "switch", "-q", "main")
    (checkout / "package" / "a.py").write_text("ours\n")
    git(checkout, "commit", "-q", "-a", "-m", "ours")
    subprocess.run(["git", *PERSON, "merge", "-q", "other"], cwd=checkout, capture_output=True, check=False)
    before = belongings(checkout)
    found = take(checkout)
    assert belongings(checkout) == before
    assert found.changed == ("package/a.py",)
    assert b"<<<<<<<" in checked_out(checkout, found, tmp_path / "out")["package/a.py"]


def test_a_repository_that_cannot_be_written_to_costs_a_note_and_not_the_run(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / ".git" / "refs" / "seqtrack").write_text("in the way\n")
    found = take(checkout)
    assert (found.tree, found.commit, found.head) == (None, None, head)
    assert str(found.note).startswith("git could not keep the code: ")


def test_differences_and_trees_that_are_not_there(checkout: Path, tmp_path: Path) -> None:
    before = take(checkout)
    (checkout / "package" / "a.py").write_text("A = 2\n")
    after = take(checkout)
    assert before.commit is not None and after.commit is not None
    assert "-A = 1\n+A = 2" in repository.difference(checkout, before.commit, after.commit)
    with pytest.raises(LookupError, match="does not have both"):
        repository.difference(checkout, before.commit, "0" * 40)
    (tmp_path / "out").mkdir()
    with pytest.raises(LookupError, match="does not have the tree 000000000000"):
        repository.check_out(checkout, "0" * 40, tmp_path / "out")


def test_without_the_git_program_it_says_so(checkout: Path, tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from seqtrack.runs import repository\n"
    program += "print(repository.take(Path(sys.argv[1]), 'x').note)"
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(checkout)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "git is not installed here\n", done.stderr
    assert shutil.which("git")
