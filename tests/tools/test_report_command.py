"""``seqtrack report``: where the page goes, what it finds by itself, and how mistakes look."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from seqtrack.tools import cli, report
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
