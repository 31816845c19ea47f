"""aux/workspace: an experiment's folder is pinned to a commit, appears whole or not at all, and runs what it pins."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.workbench import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
# Says which code runs, where, and with which words: all that the scripts have a say in.
STUB = "import os, sys\nprint('version', VERSION, sys.argv[1:], os.getcwd())\n"


class Project:
    """A checkout with the scripts and a package that says what it was called with."""

    def __init__(self, home: Path) -> None:
        self.home, self.checkout = home, home / "projects" / "seqtrack"
        self.bare = home / "projects" / "seqtrack.git"
        self.experiments = self.checkout / "experiments"
        shutil.copytree(REPOSITORY / "aux" / "workspace", self.checkout / "aux" / "workspace")
        shutil.copy(REPOSITORY / ".gitignore", self.checkout)
        for folder in ("experiments", "dataset_cache", "seqtrack"):
            (self.checkout / folder).mkdir()
            (self.checkout / folder / ".gitkeep").touch()
        (self.checkout / "seqtrack" / "__init__.py").touch()
        self.write_version(1)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def write_version(self, version: int) -> None:
        (self.checkout / "seqtrack" / "__main__.py").write_text(STUB.replace("VERSION", str(version)))

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "as it is")

    def run(
        self, *words: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words], cwd=folder or self.checkout, capture_output=True, text=True, check=False,
            env={**self.environment(), **(environment or {})},
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON", "VIRTUAL_ENV"))}
        person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return {**kept, **person, "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(self, *words: object, folder: Path | None = None) -> str:
        done = self.run("git", *words, folder=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def init_remote(self, *words: object) -> subprocess.CompletedProcess[str]:
        return self.run("aux/workspace/init-remote.sh", self.bare, *words)

    def init(self, name: str = "baseline", *words: object) -> subprocess.CompletedProcess[str]:
        return self.run("aux/workspace/init-experiment.sh", "experiments/", name, *words)

    def folder(self, name: str = "baseline") -> Path:
        """Of the day on which it was made; today's, where there is none."""
        made = sorted(self.experiments.glob(f"????-??-??-{name}"))
        return made[0] if made else self.experiments / f"{datetime.date.today():%Y-%m-%d}-{name}"

    def pins(self) -> list[str]:
        """Commits that the remote keeps for experiments alone."""
        return self.git("for-each-ref", "--format=%(objectname)", "refs/seqtrack", folder=self.bare).split()

    def own_refs(self) -> str:
        return self.git("for-each-ref", "refs/seqtrack")

    def state(self) -> tuple[object, ...]:
        """All that a person has in the checkout: HEAD, branches, stash, the index's bytes, files."""
        index = (self.checkout / ".git" / "index").read_bytes()
        files = {
            path: path.read_bytes()
            for path in sorted(self.checkout.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.checkout).parts
        }
        return self.git("symbolic-ref", "HEAD"), self.git("for-each-ref", "refs/heads", "refs/stash"), index, files


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def pinned(project: Project) -> Iterator[Project]:
    """With a remote that has the commit."""
    assert project.init_remote().returncode == 0
    yield project


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: "), done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


def test_an_experiment_has_the_code_of_its_commit_and_runs_it_in_its_workspace(pinned: Project) -> None:
    done = pinned.init()
    assert done.returncode == 0, done
    folder = pinned.folder()
    assert done.stdout.splitlines()[0] == str(folder)
    commit = pinned.git("rev-parse", "HEAD")
    assert (folder / "commit.txt").read_text() == f"{commit}\n"
    assert (folder / "remote.txt").read_text() == f"{pinned.bare}\n"
    assert pinned.git("rev-parse", "HEAD", folder=folder / "repo") == commit
    assert sorted(path.name for path in folder.iterdir()) == [
        "commit.txt", "create-experiment.sh", "remote.txt", "repo", "report.sh", "run.sh", "train.sh", "workspace",
    ]  # fmt: skip
    # Later work in the checkout changes nothing here.
    pinned.write_version(2)
    pinned.commit()
    trained = pinned.run("../train.sh", "--num_trials=5", folder=folder / "workspace")
    assert trained.stdout == f"version 1 ['train', '--num_trials=5'] {folder / 'workspace'}\n"
    assert trained.stderr == ""
    reported = pinned.run(folder / "report.sh", "latest", folder=pinned.home)
    assert reported.stdout == f"version 1 ['report', 'latest'] {folder / 'workspace'}\n"
    assert reported.stderr == f"running in {folder / 'workspace'}: relative paths start there\n"
    assert (folder / "workspace" / "dataset_cache").resolve() == pinned.checkout / "dataset_cache"


def test_an_experiment_is_recreated_from_its_commit_and_remote(pinned: Project) -> None:
    pinned.init()
    folder = pinned.folder()
    shutil.rmtree(folder / "repo")
    refused(pinned.run("../train.sh", folder=folder / "workspace"), "repo is not there", "create-experiment.sh")
    shutil.rmtree(pinned.checkout / ".git")  # what was lost meanwhile does not matter
    assert pinned.run(folder / "create-experiment.sh").returncode == 0
    trained = pinned.run("../train.sh", folder=folder / "workspace")
    assert trained.stdout.startswith("version 1 ['train']")
    assert "already" in pinned.run(folder / "create-experiment.sh").stdout


def test_pinned_code_that_was_changed_is_not_run(pinned: Project) -> None:
    pinned.init()
    folder = pinned.folder()
    (folder / "repo" / "seqtrack" / "__main__.py").write_text("print('hacked')\n")
    done = pinned.run("../train.sh", folder=folder / "workspace")
    refused(done, "was changed", "seqtrack/__main__.py")
    assert done.stdout == ""


def test_uncommitted_changes_are_named_or_pinned_without_touching_the_checkout(pinned: Project) -> None:
    pinned.write_version(7)
    (pinned.checkout / "notes.txt").write_text("untracked\n")
    (pinned.checkout / "seqtrack.local.yaml").write_text("tar_dir: /data\n")  # git ignores it
    before = pinned.state()
    refused(pinned.init(), "2 files differ", "seqtrack/__main__.py", "notes.txt", "--include-changes")
    assert list(pinned.experiments.iterdir()) == [pinned.experiments / ".gitkeep"]
    done = pinned.init("changed", "--include-changes")
    assert done.returncode == 0, done
    folder = pinned.folder("changed")
    assert pinned.run("../train.sh", folder=folder / "workspace").stdout.startswith("version 7")
    assert (folder / "repo" / "notes.txt").exists()
    assert (folder / "workspace" / "seqtrack.local.yaml").read_text() == "tar_dir: /data\n"
    shutil.rmtree(folder)
    assert pinned.state() == before
    (commit,) = pinned.pins()
    assert pinned.git("rev-parse", f"{commit}^") == pinned.git("rev-parse", "HEAD")


def hook(project: Project, text: str) -> None:
    """What the remote runs before it takes anything."""
    file = project.bare / "hooks" / "pre-receive"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def untouched(project: Project, before: tuple[object, ...]) -> bool:
    """No experiment, nothing pinned anywhere, the checkout as it was."""
    made = sorted(path.name for path in project.experiments.iterdir())
    return made == [".gitkeep"] and not project.pins() and project.state() == before and not project.own_refs()


@pytest.mark.parametrize(("words", "what"), [(["--include-changes"], "the commit"), (["--push"], "branch main")])
def test_what_the_remote_refuses_makes_nothing(pinned: Project, words: list[str], what: str) -> None:
    pinned.write_version(2)
    if words == ["--push"]:
        pinned.commit()
    before = pinned.state()
    hook(pinned, "echo 'no room for more' >&2; exit 1")
    done = pinned.init("refused", *words)
    assert done.returncode == 2
    assert "remote: no room for more" in done.stderr
    assert f"{pinned.bare}) refused {what}: see above" in done.stderr.splitlines()[-1]
    assert untouched(pinned, before)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_killed_makes_nothing_and_the_next_tidies_up(pinned: Project, how: signal.Signals) -> None:
    """While the remote takes the commit. Whoever is killed without a word leaves a hidden folder, until the next."""
    pinned.write_version(2)
    before = pinned.state()
    hook(pinned, f"mkdir {pinned.home}/asked || exit 0  # tidying up asks once more\nexec sleep 600")
    words = ["aux/workspace/init-experiment.sh", "experiments/", "killed", "--include-changes"]
    making = subprocess.Popen(
        words, cwd=pinned.checkout, env=pinned.environment(), stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for((pinned.home / "asked").exists, "question to the remote", making)
    (hidden,) = pinned.experiments.glob(".init-*")
    os.killpg(making.pid, how)
    assert making.wait(60) == (143 if how == signal.SIGTERM else -how)
    assert hidden.exists() == (how == signal.SIGKILL)
    assert not pinned.folder("killed").exists() and pinned.state() == before
    (pinned.bare / "hooks" / "pre-receive").unlink()
    if how == signal.SIGTERM:
        assert untouched(pinned, before)
    assert pinned.init("killed", "--include-changes").returncode == 0
    assert sorted(path.name for path in pinned.experiments.iterdir()) == [".gitkeep", pinned.folder("killed").name]
    assert pinned.run(pinned.folder("killed") / "train.sh").stdout.startswith("version 2")


def test_one_name_in_two_folders_is_two_pins_and_a_refusal_takes_none_of_them_away(pinned: Project) -> None:
    (pinned.home / "second").mkdir()
    pinned.write_version(2)
    assert pinned.init("same", "--include-changes").returncode == 0
    pinned.write_version(3)
    done = pinned.run("aux/workspace/init-experiment.sh", pinned.home / "second", "same", "--include-changes")
    assert done.returncode == 0, done
    # Two at once: the second finds the folder made when it is about to publish its own.
    words = (
        "bash",
        "-c",
        "for n in 1 2; do aux/workspace/init-experiment.sh experiments race --include-changes & done; wait",
    )
    refused = pinned.run(*words).stderr.splitlines()
    assert [line.endswith("race exists: nothing was changed; choose another name") for line in refused] == [True]
    assert len(pinned.pins()) == 3
    shutil.rmtree(pinned.folder("same") / "repo")
    assert pinned.run(pinned.folder("same") / "create-experiment.sh").returncode == 0
    assert sorted(path.name for path in pinned.experiments.iterdir()) == sorted(
        [".gitkeep", pinned.folder("same").name, pinned.folder("race").name]
    )


def test_thousands_of_changes_are_a_refusal_like_any_other(pinned: Project) -> None:
    pinned.init()
    repo = pinned.folder() / "repo"
    for folder in (pinned.checkout, repo):
        for number in range(1000):
            (folder / f"{'long_name_' * 10}{number}.txt").touch()
    refused(pinned.init("more"), "1000 files differ", "… and 990 more")
    assert not pinned.folder("more").exists()
    (repo / ".gitignore").unlink()
    pinned.git("config", "status.showUntrackedFiles", "all", folder=repo)
    refused(pinned.run("../train.sh", folder=pinned.folder() / "workspace"), "was changed")


def test_a_hook_may_call_it(pinned: Project) -> None:
    other = pinned.home / "other"
    other.mkdir()
    pinned.git("init", "-q", folder=other)
    environment = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / "index")}
    pinned.write_version(2)
    words = ("aux/workspace/init-experiment.sh", "experiments", "hook", "--include-changes")
    done = pinned.run(*words, environment=environment)
    assert done.returncode == 0, done
    trained = pinned.run(pinned.folder("hook") / "train.sh", environment=environment)
    assert trained.stdout.startswith("version 2")
    assert not (other / "index").exists()


def test_a_commit_that_the_remote_lacks_is_refused_or_pushed(pinned: Project) -> None:
    pinned.write_version(3)
    pinned.commit()
    refused(pinned.init(), "is not in remote 'local'", "git push local main", "--push")
    assert list(pinned.experiments.iterdir()) == [pinned.experiments / ".gitkeep"]
    assert pinned.init("pushed", "--push").returncode == 0
    assert pinned.git("rev-parse", "main", folder=pinned.bare) == pinned.git("rev-parse", "HEAD")
    pinned.git("checkout", "-q", "--detach")
    (pinned.checkout / "more.txt").touch()
    pinned.commit()
    assert pinned.init("detached", "--push").returncode == 0
    assert (pinned.folder("detached") / "repo" / "more.txt").exists()


def test_submodules_come_with_the_code(pinned: Project) -> None:
    other = pinned.home / "other"
    other.mkdir()
    pinned.git("init", "-q", folder=other)
    (other / "inside.txt").write_text("of the submodule\n")
    pinned.git("add", "-A", folder=other)
    pinned.git("commit", "-q", "-m", "it", folder=other)
    # As most projects name theirs: relative to the remote.
    pinned.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../../other", "third_party")
    pinned.commit()
    assert pinned.init("with", "--push").returncode == 0
    assert (pinned.folder("with") / "repo" / "third_party" / "inside.txt").read_text() == "of the submodule\n"
    (pinned.checkout / "third_party" / "inside.txt").write_text("changed\n")
    refused(pinned.init("dirty", "--include-changes"), "submodules", "third_party")
    pinned.git("checkout", "-q", ".", folder=pinned.checkout / "third_party")
    (pinned.checkout / "a clone").mkdir()
    pinned.git("init", "-q", folder=pinned.checkout / "a clone")
    refused(pinned.init("dirty", "--include-changes"), "have git ignore these", "a clone/")


def test_what_cannot_be_pinned_is_refused_with_the_way_out(project: Project) -> None:
    refused(project.init(), "no remote 'local'", "init-remote.sh")
    assert project.init_remote().returncode == 0
    refused(project.init("a name"), "'a name'", "letters")
    refused(project.init("../up"), "'../up'")
    refused(project.init("x", "--remote", "elsewhere"), "no remote 'elsewhere'")
    refused(project.init("x", "--pusch"), "--pusch: no such flag")
    refused(project.run("aux/workspace/init-experiment.sh", "nowhere", "x"), "no folder nowhere", "mkdir")
    assert project.init("twice").returncode == 0
    before = sorted(project.experiments.rglob("*"))
    refused(project.init("twice"), "exists: nothing was changed")
    assert sorted(project.experiments.rglob("*")) == before
    shutil.rmtree(project.checkout / ".git")
    refused(project.init(), "not in a git repository")


def test_the_remote_is_made_whole_or_not_at_all(project: Project) -> None:
    done = project.init_remote()
    assert done.stdout == f"remote 'local' is {project.bare}; it has branch main\n"
    assert project.git("rev-parse", "main", folder=project.bare) == project.git("rev-parse", "HEAD")
    refused(project.init_remote(), "there is a remote 'local' already")
    # Another checkout of the same project uses it as it is.
    assert project.init_remote("--remote", "second").returncode == 0
    (project.home / "full").mkdir()
    (project.home / "full" / "thesis.tex").touch()
    refused(project.run("aux/workspace/init-remote.sh", project.home / "full", "--remote=x"), "no bare repository")
    assert project.git("remote") == "local\nsecond"
