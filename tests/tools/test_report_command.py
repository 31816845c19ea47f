"""``seqtrack report``: where the page goes, what it finds by itself, and how mistakes look."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from seqtrack.cluster import sweep_overview
from seqtrack.runs import events
from seqtrack.runs.paths import SweepFolder
from seqtrack.tools import cli, report
from tests.madeup import write_run
from tests.workbench import Workbench


def given(continued: Workbench, *words: str) -> int:
    return cli.run(report.main, [*words, f"--cache_dir={continued.cache}"])


def test_it_goes_into_the_run_s_folder_with_frames_from_where_the_run_had_them(continued: Workbench) -> None:
    run = continued.run_folder()
    result = continued.run("report", "latest")
    assert (result.code, result.err) == (0, ""), result
    assert result.out == f"cache/{run.run_id}/report.html\n"
    page = (run.path / "report.html").read_text()
    assert f"<title>seqtrack report: {run.run_id[:6]}</title>" in page
    assert sorted(re.findall(r"<h4>(.*?)</h4>", page)) == ["Eval001", "Eval002"]
    assert page.count("data:image/jpeg;base64,") >= 4
    assert "No frames" not in page
    assert '<section id="attributes">' in page


def test_flags_say_where_what_and_how_much(
    continued: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new/folder/page.html"
    table = tmp_path / "table.md"
    flags = [f"--out={out}", "--title", "A & B", "--worst=1", "--no-frames", f"--table={table}"]
    assert given(continued, "latest", *flags) == 0
    assert capsys.readouterr().out == f"{out}\n{table}\n"
    assert "AUC" in table.read_text()
    page = out.read_text()
    assert "<title>A &amp; B</title>" in page
    assert page.count("<h4>") == 1
    assert "No frames: they were not asked for (--no-frames)." in page
    assert "data:image" not in page
    assert '<polyline class="run-0"' in page, "overlap over time needs labels alone"


def test_data_that_are_gone_are_named_with_what_to_give(
    continued: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(continued.folder)
    elsewhere, out = tmp_path / "moved", tmp_path / "page.html"
    shutil.copytree(continued.tars, elsewhere)
    for path in (continued.run_folder().submissions, *continued.folder.glob("*.jsonl")):
        path.write_text(path.read_text().replace(str(continued.tars), str(tmp_path / "nowhere")))
    assert given(continued, f"--out={out}") == 0
    page = out.read_text()
    assert (
        "No frames: otb:sample_eval is not at hand; give --data_dir, --tar_dir or --data_paths sample_eval=DIR."
        in page
    )
    assert '<td class="number" data-value="2.0">2</td>' in page, "attributes come from the index, which is there"
    assert given(continued, f"--out={out}", f"--tar_dir={elsewhere}") == 0
    assert "data:image/jpeg" in out.read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing_like_it"], "RUN: no run 'nothing_like_it' in "),
        (["latest", "latest"], "which is there already"),
        (["latest", "--worst=-1"], "--worst: expected a number of sequences, got -1"),
        (["latest", "--out=."], "--out: . is a folder; give the name of a file"),
        (["latest", "--out=/dev/full"], "--out: /dev/full is no regular file; give the name of a file"),
        (["latest", "--out=-"], "--out: -: expected a name that ends in .html or .htm"),
        (["latest", "--out=page.pdf"], "--out: page.pdf: expected a name that ends in .html or .htm"),
        (["latest", "--eval_set=sample_evil"], "--eval_set: 'sample_evil': did you mean sample_eval-full?"),
        (["latest", "--metric=AUC"], "--metric: it belongs to --table; leave it out"),
        (["latest", "--out=/proc/no/page.html"], "--out: "),
        (["latest", "--table=table.doc"], "--table: table.doc: expected a name that ends in .tex, .md, .csv"),
        (["latest", "--table=/proc/no/table.md"], "--table: cannot write /proc/no/table.md ("),
    ],
)
def test_a_mistake_is_one_line(
    continued: Workbench, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert given(continued, *words) == cli.EXIT_MISTAKE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1 and line in said.err


def test_a_sweep_stands_for_its_best_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    ids = [write_run(cache, seeds=1, eval_sets={"otb_50": 2}, lr_init=lr).run_id for lr in (0.1, 0.2)]
    found = {"eval_id": "otb_50-full", "metric": "AUC", "rows": [
        {"run_id": ids[1], "mean": 0.5}, {"run_id": ids[0], "mean": 0.25}, {"run_id": "not_there_yet", "mean": None},
    ]}  # fmt: skip
    monkeypatch.setattr(sweep_overview, "newest_table", lambda folder: found)
    sweep = SweepFolder(cache / "sweeps" / "lr")
    events.append(sweep.submissions, {"runs": []})

    def asked(*words: str) -> tuple[int, str, str]:
        code = cli.run(report.main, [*words, f"--cache_dir={cache}", "--no-frames"])
        return code, *capsys.readouterr()

    which = "sweep lr, the best 1 of 3 runs by AUC (otb_50-full)"
    code, out, err = asked("lr", "--best=1")
    assert (code, out, err.splitlines()[0]) == (0, f"{sweep.report}\n", which)
    page = sweep.report.read_text()
    assert f"<title>seqtrack report: {which}</title>" in page
    assert (ids[1][:6] in page, ids[0][:6] in page) == (True, False)
    assert asked("lr", ids[0]) == (2, "", (
        "sweep lr, the best 2 of 3 runs by AUC (otb_50-full)\n"
        f"error: RUN: {ids[0]} is run {ids[0]}, which is there already\n"
    ))  # fmt: skip
    assert asked(ids[0], "--best=1") == (2, "", "error: --best: it is for sweeps, and there is none; leave it out\n")
    found["rows"] = []
    assert asked("lr") == (2, "", "error: RUN: no run of sweep lr has a score yet; seqtrack status lr shows them\n")
