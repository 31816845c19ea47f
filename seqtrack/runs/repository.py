"""The code that a run was started with, as git knows it: what it was, and how to have it again.

A working tree with changes becomes a real commit without touching branch, index, stash or a single file: the tree
is written from an index of its own. References under ``refs/seqtrack/<run_id>/`` keep the commits from garbage
collection.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.runs import code

if TYPE_CHECKING:
    import git

REFERENCES = "refs/seqtrack"
MAX_FILE_BYTES = 20 << 20
# The same tree on the same commit is to be the same snapshot, so nothing of a person or a clock enters.
_NOBODY = {f"GIT_{who}_{what}": "seqtrack" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# Of a split index a part would be written into the repository; that git would have other line ends is no mistake.
_QUIETLY = ["git", "-c", "core.splitIndex=false", "-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false"]
# What a hook tells git in the environment is about the repository that the hook is of.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE",
              "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")  # fmt: skip
_SECRET = re.compile(r"(?<=://)[^/@]+@")


@dataclass(frozen=True)
class Snapshot:
    """What git knows of the code.

    Attributes:
        root: folder of the working tree.
        inside: path within it to the folder that the package lies in; ``.`` if that is ``root``.
        tree: id of everything in it, git's ignored files left out; None outside git.
        commit: a commit that has this tree: ``head`` if nothing had changed.
        head: the commit that is checked out; None before the first.
        branch: None where HEAD is detached.
        remotes: url by name, passwords left out.
        changed: files that differ from ``head``, untracked ones included.
        submodules: commit by path, of those that are checked out.
        note: why less is known.
    """

    root: str
    inside: str = "."
    tree: str | None = None
    commit: str | None = None
    head: str | None = None
    branch: str | None = None
    remotes: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    submodules: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None


def take(package: Path, reference: str) -> Snapshot:
    """The snapshot of the repository that ``package`` lies in, kept under ``refs/seqtrack/<reference>/``.

    Nothing but objects and that reference is written, so a process killed in the middle leaves nothing behind that
    anybody sees.

    Raises:
        UserError: a changed or untracked file is larger than 20 MiB.
    """
    if code.is_installed(package):  # into a person's project, say, whose repository it is no part of
        return Snapshot(str(package), note=f"{package} is installed, not in a git repository of its own")
    try:
        repository = _repository(package)
    except LookupError as error:
        return Snapshot(str(package), note=str(error))
    with _scratch() as folder:
        try:
            found = _take(repository, reference, folder)
        except (LookupError, _git_error()) as error:  # a repository that may be read but not written to, say
            words = " ".join(str(getattr(error, "stderr", error)).replace("stderr:", "").split())
            root, head = str(repository.working_tree_dir), _ask(repository, "rev-parse", "-q", "--verify", "HEAD")
            return Snapshot(root, head=head, note=f"git could not keep the code: {words[:200]}")
    return replace(found, inside=str(package.parent.relative_to(found.root)) if package != Path(found.root) else ".")


def check_out(root: Path, tree: str, folder: Path) -> None:
    """Writes every file of ``tree``, submodules included, into the empty ``folder``, as git would check it out.

    Raises:
        LookupError: the repository at ``root`` does not have it.
    """
    repository = _repository(root)
    with _scratch() as scratch:
        _check_out(repository, tree, folder, scratch / "index")


def difference(root: Path, before: str, after: str, summary: bool = False) -> str:
    """``git diff`` of two commits or trees, or only its ``--stat``; LookupError where the repository has not both."""
    repository = _repository(root)
    words = ["git", "diff", "--no-color", "--no-ext-diff", *(["--stat=110"] if summary else []), before, after, "--"]
    try:
        return str(repository.git.execute(words))
    except _git_error() as error:
        raise LookupError(f"{root} does not have both {before[:12]} and {after[:12]}") from error


def _repository(package: Path) -> git.Repo:
    """The repository that ``package`` is a part of; LookupError says why there is none."""
    # gitpython raises ImportError without the git program unless it is told not to.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name in _OF_A_HOOK:
        os.environ.pop(name, None)
    import git

    try:
        repository = git.Repo(package, search_parent_directories=True)
        if repository.working_tree_dir is None:
            raise LookupError(f"{package} lies in a bare repository")
        # What is installed in an ignored folder (.venv) is not its own; git refuses what belongs to somebody else.
        ignored = repository.git.execute(
            ["git", "check-ignore", "-q", str(package)], with_exceptions=False, with_extended_output=True
        )
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise LookupError(f"{package} is not in a git repository") from None
    except git.GitCommandNotFound:
        raise LookupError("git is not installed here") from None
    status, _, words = ignored
    if status == 0:
        raise LookupError(f"{package} is not in a git repository (one around it ignores it)")
    if status != 1:
        raise LookupError(f"git does not read {repository.working_tree_dir}: {' '.join(str(words).split())[:200]}")
    return repository


def _take(repository: git.Repo, reference: str, scratch: Path) -> Snapshot:
    root = Path(str(repository.working_tree_dir))
    head = _ask(repository, "rev-parse", "-q", "--verify", "HEAD")
    changed, submodules, nested = _status(repository)
    _check_sizes(root, changed)
    inner: dict[str, str] = {}
    for path in submodules:
        if commit := _take(_repository(root / path), reference, scratch).commit:
            inner[path] = commit
    if changed or any(submodules.values()) or head is None:
        tree, commit = _commit(repository, head, inner, nested, Path(tempfile.mkdtemp(dir=scratch)) / "index")
    else:
        tree, commit = repository.git.rev_parse(f"{head}^{{tree}}"), head
    repository.git.update_ref(f"{REFERENCES}/{reference}/{commit[:12]}", commit)
    return Snapshot(
        str(root),
        tree=tree,
        commit=commit,
        head=head,
        branch=_ask(repository, "symbolic-ref", "-q", "--short", "HEAD"),
        remotes={remote.name: _SECRET.sub("", remote.url) for remote in repository.remotes},
        changed=tuple(changed),
        submodules=inner,
        note=f"repositories within it, not recorded: {', '.join(nested)}" if nested else None,
    )


def _status(repository: git.Repo) -> tuple[list[str], dict[str, bool], list[str]]:
    """Changed files; submodules that are checked out and whether they differ; other repositories inside."""
    words = ["git", "--no-optional-locks", "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"]
    text = repository.git.execute([*words, "--ignore-submodules=none"], strip_newline_in_stdout=False)
    changed: list[str] = []
    dirty: list[str] = []
    nested: list[str] = []
    for line in filter(None, str(text).split("\0")):
        kind, _, rest = line.partition(" ")
        if kind == "?":
            (nested if rest.endswith("/") else changed).append(rest)
        elif kind in ("1", "u"):
            # 1 <XY> <sub> <mH> <mI> <mW> <hH> <hI> <path>, and two fields more where a merge stopped.
            fields = rest.split(" ", 7 if kind == "1" else 9)
            (dirty if fields[1].startswith("S") else changed).append(fields[-1])
    submodules = dict.fromkeys(_submodules(repository), False)
    submodules.update((path, True) for path in dirty if path in submodules)
    return sorted(changed), submodules, sorted(nested)


def _submodules(repository: git.Repo) -> list[str]:
    root = Path(str(repository.working_tree_dir))
    if not (root / ".gitmodules").is_file():
        return []
    rows = repository.git.execute(["git", "ls-files", "--stage", "-z"], strip_newline_in_stdout=False)
    entries = [row.split("\t", 1) for row in str(rows).split("\0") if row.startswith("160000 ")]
    return [path for _, path in entries if (root / path / ".git").exists()]


def _check_sizes(root: Path, changed: list[str]) -> None:
    large = [
        f"{name} ({path.stat().st_size >> 20} MiB)"
        for name in changed
        if (path := root / name).is_file() and not path.is_symlink() and path.stat().st_size > MAX_FILE_BYTES
    ]
    if large:
        raise UserError(
            f"{', '.join(large[:5])}{' …' if len(large) > 5 else ''}: not committed, and too large for the record of"
            f" the code in {root}; have git ignore it (.gitignore, .git/info/exclude), or commit it"
        )


def _commit(
    repository: git.Repo, head: str | None, submodules: Mapping[str, str], without: list[str], index: Path
) -> tuple[str, str]:
    """The working tree as (tree, commit), from an index that is a copy of the person's."""
    own = Path(str(repository.working_tree_dir), repository.git.rev_parse("--git-path", "index"))
    if own.is_file():
        # It knows which files have not changed: none of those is read again. Its own time is copied too: git looks
        # into files as young as their index, for an edit within a second may change neither size nor time.
        shutil.copy2(own, index)
    date = repository.git.show("-s", "--format=%ct", head) if head else "0"
    environment = {"GIT_AUTHOR_DATE": f"@{date} +0000", "GIT_COMMITTER_DATE": f"@{date} +0000", **_NOBODY}
    with repository.git.custom_environment(GIT_INDEX_FILE=str(index), **environment):
        others = [f":(exclude,top,literal){path}" for path in without]
        repository.git.execute([*_QUIETLY, "add", "--all", "--", ":(top)", *others])
        for path, commit in submodules.items():
            repository.git.execute([*_QUIETLY, "update-index", "--cacheinfo", f"160000,{commit},{path}"])
        tree = str(repository.git.execute([*_QUIETLY, "write-tree"]))
        parents = ["-p", head] if head else []
        commit = repository.git.execute(
            ["git", "commit-tree", tree, *parents, "-m", "The working tree as a run found it"]
        )
    return tree, str(commit)


def _check_out(repository: git.Repo, tree: str, folder: Path, index: Path) -> None:
    try:
        with repository.git.custom_environment(GIT_INDEX_FILE=str(index)):
            repository.git.read_tree(tree)
            repository.git.checkout_index("--all", "--force", f"--prefix={folder}/")
            rows = repository.git.execute(["git", "ls-files", "--stage", "-z"], strip_newline_in_stdout=False)
    except _git_error() as error:
        raise LookupError(f"{repository.working_tree_dir} does not have the tree {tree[:12]}") from error
    root = Path(str(repository.working_tree_dir))
    for row in str(rows).split("\0"):
        if row.startswith("160000 "):
            fields, path = row.split("\t", 1)
            if (root / path / ".git").exists():
                (folder / path).mkdir(parents=True, exist_ok=True)
                inner = index.with_name(f"{index.name}-{len(path)}-{fields.split()[1][:12]}")
                _check_out(_repository(root / path), fields.split()[1], folder / path, inner)


def _ask(repository: git.Repo, *words: str) -> str | None:
    """The answer of a git command; None where it has none."""
    answer = repository.git.execute(["git", *words], with_exceptions=False)
    return str(answer) or None


def _git_error() -> type[Exception]:
    import git

    return git.GitCommandError


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="seqtrack-snapshot-") as folder:
        yield Path(folder)
