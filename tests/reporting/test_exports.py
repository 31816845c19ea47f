"""Tables for papers: a row per run, a column per set and metric, in three formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import seqtrack
from seqtrack.errors import UserError
from seqtrack.reporting.exports import paper_table, to_csv, to_latex, to_markdown, write_table
from seqtrack.reporting.frames import RunFrames


class Told:
    """A run of which only the summary is known."""

    assessments: tuple[Any, ...]
    assess: dict[str, Any]
    notes: list[str]

    def __init__(self, name: str, results: dict[str, Any], run_id: str = "0123456789ab") -> None:
        self.name, self.run_id = name, run_id
        self.assessments, self.everything, self.assess, self.notes = (), self, {}, []
        cells = {
            eval_id: {
                metric: {"mean": mean, "std": std, "n": n, "per_seed": {}}
                for metric, (mean, std, n) in metrics.items()
            }
            for eval_id, metrics in results.items()
        }
        self.summary = {"results": cells} if results else {}


def runs(*told: Told) -> list[RunFrames]:
    return list(told)  # type: ignore[arg-type]


A = Told("a_50%", {"otb_100-full": {"AUC": (0.58249, 0.0111, 3), "precision_20": (0.7701, 0.02, 3)}})
B = Told("B&b", {"otb_100-full": {"AUC": (0.6, None, 1)}, "vot2018-supervised": {"robustness": (12.0, None, 1)}})
C = Told("c", {"vot2018-supervised": {"robustness": (10.5, 1.25, 5)}})


def test_latex_by_hand() -> None:
    assert to_latex(paper_table(runs(A, B, C))).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        r"  \caption{Mean $\pm$ standard deviation over trials (seeds), n = 3 (a\_50\%), n = 1 (B\&b), n = 5 (c),"
        r" the best mean in bold.}",
        r"  \begin{tabular}{lcc c}",
        r"    \toprule",
        r"     & \multicolumn{2}{c}{otb\_100-full} & \multicolumn{1}{c}{vot2018-supervised} \\",
        r"    \cmidrule(lr){2-3} \cmidrule(lr){4-4}",
        r"     & AUC & precision\_20 & robustness \\",
        r"    \midrule",
        r"    a\_50\% & $0.582 \pm 0.011$ & $0.770 \pm 0.020$ & -- \\",
        r"    B\&b & $\mathbf{0.600}$ & -- & $12.000$ \\",
        r"    c & -- & -- & $\mathbf{10.500} \pm 1.250$ \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def test_markdown_by_hand() -> None:
    assert to_markdown(paper_table(runs(A, B), ["auc"])).splitlines() == [
        r"|  | otb\_100-full AUC |",
        r"| --- | ---: |",
        r"| a\_50% | 0.582 ± 0.011 |",
        r"| B&b | **0.600** |",
        "",
        r"Mean ± standard deviation over trials (seeds), n = 3 (a\_50%), n = 1 (B&b), the best mean in bold.",
    ]


def test_csv_has_every_digit() -> None:
    rows = list(csv.DictReader(to_csv(paper_table(runs(A, B))).splitlines()))
    assert [row["run"] for row in rows] == ["a_50%", "B&b"]
    assert float(rows[0]["otb_100-full AUC mean"]) == 0.58249
    assert (rows[1]["otb_100-full AUC mean"], rows[1]["otb_100-full AUC std"]) == ("0.6", "")
    assert rows[1]["otb_100-full precision_20 n"] == ""


@pytest.mark.parametrize("text", ["\\", "~", "^", "&", "%", "$", "#", "_", "{", "}"])
def test_what_latex_would_read_is_escaped(text: str) -> None:
    line = to_latex(paper_table(runs(Told(f"x{text}y", {"otb": {"AUC": (0.5, None, 1)}})))).splitlines()[-4]
    cell = line.partition(" & ")[0].strip()
    escapes = {"\\": r"x\textbackslash{}y", "~": r"x\textasciitilde{}y", "^": r"x\textasciicircum{}y"}
    assert cell == escapes.get(text, f"x\\{text}y")


@pytest.mark.parametrize("text", ["|", "*", "_", "`", "[", "<", "\\"])
def test_what_markdown_would_read_is_escaped(text: str) -> None:
    told = to_markdown(paper_table(runs(Told(f"x{text}y", {"otb": {"AUC": (0.5, None, 1)}}))))
    assert told.splitlines()[2] == f"| x\\{text}y | 0.500 |"


def test_equal_as_printed_is_equally_good_and_one_run_has_no_best() -> None:
    twin = Told("twin", {"otb_100-full": {"AUC": (0.58241, 0.02, 3)}})
    assert to_markdown(paper_table(runs(A, twin), ["AUC"])).count("**") == 4
    assert "bold" not in to_latex(paper_table(runs(A))) and "mathbf" not in to_latex(paper_table(runs(A)))


def test_runs_of_one_name_are_told_apart() -> None:
    table = paper_table(runs(A, Told("a_50%", {}, "ba9876543210")))
    assert table.names == ("a_50% (0123456789ab)", "a_50% (ba9876543210)")
    assert not table.rows[1]


def test_the_file_says_what_is_written(tmp_path: Path) -> None:
    for suffix, start in ((".tex", "% needs"), (".md", "|  | otb"), (".csv", "run,otb_100-full AUC mean")):
        path = tmp_path / f"table{suffix}"
        write_table(runs(A, B), path)
        assert path.read_text().startswith(start)
    with pytest.raises(UserError, match=r"--table: .*table\.html: expected a name that ends in \.tex, \.md, \.csv"):
        write_table(runs(A), tmp_path / "table.html")
    with pytest.raises(UserError, match=r"--table: no trial of 0123456789ab is complete yet"):
        write_table(runs(Told("x", {})), tmp_path / "table.md")
    with pytest.raises(UserError, match=r"--metric: 'AUK' is not known here; did you mean AUC\?"):
        write_table(runs(A), tmp_path / "table.md", ["AUK"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.md", "table.tex"]


def test_a_real_summary_gives_the_numbers_of_its_table(tmp_path: Path) -> None:
    from tests import madeup

    folder = madeup.write_run(tmp_path, seeds=2, steps=(100,), eval_sets={"otb_50": 3}, name="run")
    table = paper_table([seqtrack.load_run(folder.path)])
    cell = seqtrack.load_run(folder.path).summary["results"]["otb_50-full"]["AUC"]
    assert f"{cell['mean']:.3f} ± {cell['std']:.3f}" in to_markdown(table)
    assert table.caption == "Mean ± standard deviation over trials (seeds), n = 2. Convention: otb (otb_50-full)."


def test_a_column_of_two_conventions_says_which_is_whose_and_calls_none_the_best(tmp_path: Path) -> None:
    from tests import madeup

    folders = [
        madeup.write_run(tmp_path, seeds=1, steps=(100,), eval_sets={"uav123": 3, "otb_50": 3}, name=name, **flags)
        for name, flags in (("one", {}), ("two", {"lr_init": 0.01, "eval_convention": "pysot", "skill": 0.9}))
    ]
    table = paper_table([seqtrack.load_run(folder.path) for folder in folders], ["AUC"], ["uav123"])
    end = ", n = 1 trials each. Convention: otb (uav123-full of one), pysot (uav123-full of two)."
    assert table.caption.endswith(end)
    assert end in to_markdown(table).replace("\\", "") and "**" not in to_markdown(table)
    assert "Convention: otb (uav123-full of one), pysot" in to_latex(table)
    for folder in folders:  # as an earlier version wrote it
        kept = json.loads(folder.summary_json.read_text())
        del kept["conventions"]
        folder.summary_json.write_text(json.dumps(kept))
    older = paper_table([seqtrack.load_run(folder.path) for folder in folders], ["AUC"], ["uav123"])
    assert (older.caption, older.best) == (table.caption, table.best)


def test_what_was_assessed_later_is_in_it_by_the_names_of_a_report(tmp_path: Path) -> None:
    from tests import madeup

    folders = [
        madeup.write_run(tmp_path, seeds=1, steps=(100,), eval_sets={"uav123": 3}, name=name, **flags)
        for name, flags in (("one", {}), ("two", {"lr_init": 0.01, "eval_convention": "pysot"}))
    ]
    madeup.assess_later(folders[0], {"otb:toy": 2}, seeds=[0])
    madeup.assess_later(folders[1], {"uav123": 3}, seeds=[0], eval_convention="otb")
    both = [seqtrack.load_run(folder.path) for folder in folders]
    table = paper_table(both, ["AUC"])
    assert [eval_id for eval_id, _ in table.columns] == ["uav123-full", "toy-full", "uav123-full (pysot)"]
    by_otb = both[1].everything.scores.query("metric == 'AUC' and convention == 'otb'")["value"].item()
    assert table.rows[1]["uav123-full", "AUC"].mean == by_otb, "a column is by one convention"
    assert (
        table.rows[1]["uav123-full (pysot)", "AUC"].mean == both[1].summary["results"]["uav123-full"]["AUC"]["mean"]
    )
    assert {eval_id for eval_id, _ in table.rows[0]} == {"uav123-full", "toy-full"}
    assert table.caption.endswith(" Convention: otb (uav123-full, toy-full), pysot (uav123-full (pysot)).")
    columns = list(csv.DictReader(to_csv(table).splitlines()))
    assert [row["uav123-full (pysot) convention"] for row in columns] == ["", "pysot"]
    assert [row["uav123-full convention"] for row in columns] == ["otb", "otb"]
    only = paper_table(both, ["AUC"], ["uav123"])
    assert [eval_id for eval_id, _ in only.columns] == ["uav123-full", "uav123-full (pysot)"]


def test_of_parameters_those_that_differ_are_named(tmp_path: Path) -> None:
    """A sweep over ``tracker_params`` leaves a run with many of them."""
    from tests import madeup

    params = {"scale_lr": 0.3, "num_scales": 5}
    sets = {"uav123": 1}
    folder = madeup.write_run(tmp_path, seeds=1, steps=(100,), eval_sets=sets, tracker_params=params)
    madeup.assess_later(folder, sets, seeds=[0], tracker_params={**params, "scale_lr": 0.1})
    table = paper_table([seqtrack.load_run(folder.path)], ["AUC"])
    assert [eval_id for eval_id, _ in table.columns] == ["uav123-full", "uav123-full (scale_lr 0.1)"]
