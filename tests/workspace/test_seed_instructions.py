"""The instructions of the project's first document ("Creating experiments"), word by word in an empty home folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.workbench import Workbench

REPOSITORY = Path(__file__).resolve().parents[2]
INSTRUCTIONS = """
mkdir ~/projects/seqtrack.git
cd ~/projects/seqtrack.git
git init --bare

cd ~/projects/seqtrack
git remote add local ~/projects/seqtrack.git
git push local master

aux/workspace/init-experiment.sh experiments/ name
"""


def test_they_end_with_a_trained_table(tmp_path: Path, tars: Path) -> None:
    checkout = tmp_path / "projects" / "seqtrack"
    for folder in ("seqtrack", "aux"):
        shutil.copytree(REPOSITORY / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / ".gitignore", checkout)
    for folder in ("experiments", "dataset_cache"):
        (checkout / folder).mkdir()
        (checkout / folder / ".gitkeep").touch()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON"))},
        "HOME": str(tmp_path),
        "PYTHON": sys.executable,  # stands for an activated environment
    }

    def run(script: str, folder: Path) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    person = "-c user.name=me -c user.email=me@here"
    run(f"git init -q -b master && git add -A && git {person} commit -q -m 'the code'", checkout)
    run(INSTRUCTIONS, tmp_path)
    (experiment,) = (checkout / "experiments").glob("????-??-??-name")
    flags = Workbench(tmp_path / "unused", REPOSITORY, tars).flags("--num_trials=2", "--num_steps=10", "--snapshot")
    quoted = " ".join(f"'{flag}'" for flag in flags)
    table = run(f"../train.sh {quoted}", experiment / "workspace")

    assert "2 of 2 trials completed" in table
    (summary,) = experiment.glob("workspace/cache/*/summary.json")
    assert json.loads(summary.read_text())["completed"] == 2
    code = json.loads(summary.with_name("snapshot.json").read_text())
    assert (code["commit"], code["changed"]) == ((experiment / "commit.txt").read_text().strip(), [])
    assert list((checkout / "dataset_cache").glob("*.h5")), "indexes are shared by the experiments of a project"
