"""seqtrack diff: flags, code, data and machines of two runs."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest

from seqtrack.runs import repository
from seqtrack.tools import cli
from seqtrack.tools.diff import main
from tests.madeup import write_run


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs ``one`` and ``two``, of code that somebody changed in between without committing it; ``bare`` has none."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "code").mkdir()
    (folder / "code" / "model.py").write_text("WIDTH = 1\n")
    commit = "git init -q -b main && git add -A && git -c user.name=me -c user.email=me@here commit -q -m it"
    subprocess.run(commit, shell=True, cwd=folder / "code", check=True)
    for name, lr, width in (("one", 0.1, 1), ("two", 0.2, 2)):
        (folder / "code" / "model.py").write_text(f"WIDTH = {width}\n")
        run = write_run(folder / "cache", seeds=1, name=name, lr_init=lr, eval_sets={"otb_50": 3})
        taken = dataclasses.asdict(repository.take(folder / "code", name))
        run.snapshot_json.write_text(json.dumps(taken))
    write_run(folder / "cache", seeds=1, name="bare", lr_init=0.3, eval_sets={"otb_50": 3})
    return folder / "cache"


def test_flags_and_code(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one", "two", "--patch", f"--cache_dir={cache}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["lr_init", "0.1", "0.2"] in [line.split() for line in lines]
    assert any(
        line.startswith("code of B: commit ") and line.endswith(" on main with 1 changed file") for line in lines
    )
    assert lines[-2:] == ["-WIDTH = 1", "+WIDTH = 2"]
    assert main(["one", "two", f"--cache_dir={cache}"]) == 0
    assert "1 file changed, 1 insertion(+), 1 deletion(-)" in capsys.readouterr().out


def test_for_scripts(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one", "bare", "--json", f"--cache_dir={cache}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differences"] == [{"name": "lr_init", "a": "0.1", "b": "0.3"}]
    assert found["code"]["note"] == "code: git kept no snapshot of both runs, so there is no diff of it"


def test_data_and_machines(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and for scripts."""
    other_data = {"index": "2" * 64, "frames": "4" * 64}
    run = write_run(
        cache, seeds=1, name="elsewhere", variant="x", lr_init=0.3, eval_sets={"otb_50": 3}, data=other_data
    )
    record = json.loads(run.trial(0).record.read_text())
    record["environment"] |= {"device": "NVIDIA A100", "packages": {"torch": "2.7.0", "numpy": "2.1.0"}}
    run.trial(0).record.write_text(json.dumps(record))
    assert main(["bare", "elsewhere", f"--cache_dir={cache}"]) == 0
    lines = [re.split(r" {2,}", line.rstrip()) for line in capsys.readouterr().out.splitlines()]
    assert lines[4:8] == [
        ["variant", "x"],
        ["data.vot2018", "frames 33333333", "frames 44444444"],
        ["environment.gpu", "NVIDIA H100", "NVIDIA A100"],
        ["environment.torch", "2.6.0", "2.7.0"],
    ]
    assert main(["bare", "elsewhere", "--json", f"--cache_dir={cache}"]) == 0
    found = {one["name"]: (one["a"], one["b"]) for one in json.loads(capsys.readouterr().out)["differences"]}
    assert found == {
        "variant": ("", "x"),
        "data.vot2018": ("frames 33333333", "frames 44444444"),
        "environment.gpu": ("NVIDIA H100", "NVIDIA A100"),
        "environment.torch": ("2.6.0", "2.7.0"),
    }


def test_one_run_twice_and_a_run_that_is_not_there(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(main, ["one", "one", f"--cache_dir={cache}"]) == 2
    assert "is the same run as RUN_A" in capsys.readouterr().err
    assert cli.run(main, ["one", "thre", f"--cache_dir={cache}"]) == 2
    assert capsys.readouterr().err.startswith("error: RUN_B: no run 'thre' in ")
