"""What a run's record of its code costs: a working tree of 2,000 files in git, clean and with changes, against the
`git status` that anybody would run to see whether there are any; and the tree checked out for jobs.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from table import Row, main, paired, seconds

from seqtrack.runs import repository

FILES = 2_000


def make(folder: Path) -> None:
    for number in range(FILES):
        path = folder / f"part{number % 40}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"value = {number}\n" * 40)
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "it"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tree"
        folder.mkdir()
        make(folder)
        (folder / "part1" / "module1.py").write_text("changed = True\n")
        (folder / "new.py").write_text("new = True\n")

        def take() -> repository.Snapshot:
            return repository.take(folder, "bench")

        taken = min(seconds(take) for _ in range(7))
        yield Row(f"snapshot of {FILES:,} files, two of them changed", taken, "s", "< 0.2", taken < 0.2)
        status = ["git", "status", "--porcelain", "--untracked-files=all"]
        ratio = paired(take, lambda: subprocess.run(status, cwd=folder, check=True, capture_output=True), 7)
        yield Row("the same / git status", ratio, "×", "", None)
        tree = take().tree
        assert tree is not None
        places = iter(range(100))

        def check_out() -> None:
            place = Path(name) / str(next(places))
            place.mkdir()
            repository.check_out(folder, tree, place)

        yield Row("checked out for jobs, once per tree", min(seconds(check_out) for _ in range(3)), "s", "", None)


if __name__ == "__main__":
    main(rows)
