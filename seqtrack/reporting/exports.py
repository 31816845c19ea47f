"""The table of a paper: a row per run, a column per eval set and metric, mean ± std. What it has are the rows of a
report: the summaries', and what ``seqtrack assess`` added."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack.assessment.metrics import METRICS
from seqtrack.errors import UserError
from seqtrack.reporting.frames import RunFrames
from seqtrack.reporting.later import named_later, with_later
from seqtrack.reporting.run_comparison import meant
from seqtrack.reporting.tables import TableRow, convention_text, table_rows
from seqtrack.runs import atomic
from seqtrack.schema import nearest

_NOTHING = "–"
_TRE = re.compile(r"TRE_\d+_")
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")


@dataclass(frozen=True)
class PaperTable:
    """What is printed, whatever the format.

    columns: (eval id, metric). rows: cells by column, of each of ``names``. best: for each column the rows in bold.
    conventions: by eval id, of each of ``names``.
    """

    names: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Mapping[tuple[str, str], TableRow], ...]
    best: Mapping[tuple[str, str], frozenset[int]]
    conventions: tuple[Mapping[str, str], ...]

    @property
    def caption(self) -> str:
        counts = [sorted({row[column].n for column in self.columns if column in row}) for row in self.rows]
        texts = [" or ".join(map(str, found)) or "0" for found in counts]
        if len(set(texts)) == 1:
            trials = f"n = {texts[0]} trials each" if len(texts) > 1 else f"n = {texts[0]}"
        else:
            trials = ", ".join(f"n = {text} ({name})" for text, name in zip(texts, self.names, strict=True))
        bold = ", the best mean in bold" if any(self.best.values()) else ""
        whose = convention_text(self._whose_rules())
        rules = f" Convention: {whose}." if whose else ""
        return f"Mean ± standard deviation over trials (seeds), {trials}{bold}.{rules}"

    def _whose_rules(self) -> Iterator[tuple[str, str]]:
        """Eval sets with their conventions; where runs differ in it, each run's."""
        for eval_id, _ in self.groups():
            whose = {n: of[eval_id] for n, of in zip(self.names, self.conventions, strict=True) if eval_id in of}
            for name, convention in whose.items():
                yield eval_id if len({*whose.values()}) == 1 else f"{eval_id} of {name}", convention

    def groups(self) -> list[tuple[str, int]]:
        """Eval ids with how many columns each has, in order."""
        ids = [eval_id for eval_id, _ in self.columns]
        return [(eval_id, ids.count(eval_id)) for eval_id in dict.fromkeys(ids)]


def write_table(
    runs: Sequence[RunFrames], path: Path, metrics: Collection[str] = (), eval_sets: Collection[str] = ()
) -> None:
    """Writes the table; ``path`` ends in .tex (booktabs), .md or .csv, which has every digit.

    Args:
        metrics: only these, in any case of letters (default: all that the runs have).
        eval_sets: only these; a data set's name stands for all its protocols.

    Raises:
        UserError: another ending, no run with a finished trial, an unknown metric.
    """
    writers = {".tex": to_latex, ".md": to_markdown, ".csv": to_csv}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UserError(f"--table: {path}: expected a name that ends in {', '.join(writers)}")
    atomic.write_text(path, writer(paper_table(runs, metrics, eval_sets)))


def paper_table(
    runs: Sequence[RunFrames], metrics: Collection[str] = (), eval_sets: Collection[str] = ()
) -> PaperTable:
    """Raises UserError as ``write_table`` does."""
    added = named_later(runs)
    summaries = [with_later(run, later) for run, later in zip(runs, added, strict=True)]
    rows = tuple({(row.eval_id, row.metric): row for row in table_rows(summary)} for summary in summaries)
    conventions = tuple(
        {name: rules for name, rules in summary["conventions"].items() if name in summary["results"]}
        for summary in summaries
    )
    called = {name: one.eval_id for later in added for name, one in later.items()}
    there = list(dict.fromkeys(column for row in rows for column in row))
    if not there:
        ids = ", ".join(run.run_id for run in runs)
        raise UserError(f"--table: no trial of {ids} is complete yet: there is nothing to tabulate")
    if eval_sets:
        sets = list(dict.fromkeys(eval_id for eval_id, _ in there))
        both = {name: (name, called.get(name, name)) for name in sets}
        there = [column for column in there if any(meant(name, both[column[0]]) for name in eval_sets)]
        if not there:
            raise UserError(f"--table: of {', '.join(eval_sets)} the runs have nothing; they have {', '.join(sets)}")
    known = {metric.lower(): metric for _, metric in there}
    for metric in metrics:
        if metric.lower() not in known:
            raise UserError(f"--metric: {metric!r} is not known here; {nearest(metric, known.values())}")
    wanted = {metric.lower() for metric in metrics} or set(known)
    columns = tuple(
        column
        for eval_id in dict.fromkeys(eval_id for eval_id, _ in there)  # the columns of a set side by side
        for column in there
        if column[0] == eval_id and column[1].lower() in wanted
    )
    # By other rules a higher number is no better one.
    shown = {eval_id for eval_id, _ in columns}
    differing = {name for name in shown if len({of[name] for of in conventions if name in of}) > 1}
    best = {column: frozenset() if column[0] in differing else _best(column, rows) for column in columns}
    return PaperTable(_names(runs), columns, rows, best, conventions)


def to_latex(table: PaperTable) -> str:
    groups = table.groups()
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_latex(table.caption)}}}",
        rf"  \begin{{tabular}}{{l{' '.join('c' * size for _, size in groups)}}}",
        r"    \toprule",
        "    "
        + " & ".join(["", *(rf"\multicolumn{{{size}}}{{c}}{{{_latex(name)}}}" for name, size in groups)])
        + r" \\",
    ]
    rules, first = [], 2
    for _, size in groups:
        rules.append(rf"\cmidrule(lr){{{first}-{first + size - 1}}}")
        first += size
    lines += ["    " + " ".join(rules), "    " + " & ".join(["", *(_latex(m) for _, m in table.columns)]) + r" \\"]
    lines.append(r"    \midrule")
    for k, name in enumerate(table.names):
        cells = [_latex_cell(table.rows[k].get(c), k in table.best[c]) for c in table.columns]
        lines.append("    " + " & ".join([_latex(name), *cells]) + r" \\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]) + "\n"


def to_markdown(table: PaperTable) -> str:
    head = ["", *(f"{_markdown(eval_id)} {_markdown(metric)}" for eval_id, metric in table.columns)]
    lines = [head, ["---", *["---:"] * len(table.columns)]]
    for k, name in enumerate(table.names):
        cells = [_markdown_cell(table.rows[k].get(c), k in table.best[c]) for c in table.columns]
        lines.append([_markdown(name), *cells])
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", _markdown(table.caption)]) + "\n"


def to_csv(table: PaperTable) -> str:
    """Three columns per eval set and metric: mean, std, n; and the convention of each eval set."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    parts = ("mean", "std", "n")
    sets = [eval_id for eval_id, _ in table.groups()]
    numbers_of = [f"{eval_id} {metric} {part}" for eval_id, metric in table.columns for part in parts]
    writer.writerow(["run", *numbers_of, *(f"{eval_id} convention" for eval_id in sets)])
    for name, row, conventions in zip(table.names, table.rows, table.conventions, strict=True):
        values: list[Any] = [name]
        for column in table.columns:
            cell = row.get(column)
            numbers = (None, None, None) if cell is None else (cell.mean, cell.std, cell.n)
            values += ["" if number is None else repr(number) for number in numbers]
        writer.writerow([*values, *(conventions.get(eval_id, "") for eval_id in sets)])
    return buffer.getvalue()


def _best(column: tuple[str, str], rows: Sequence[Mapping[tuple[str, str], TableRow]]) -> frozenset[int]:
    """The rows with the best mean, as printed; none where there is nothing to compare."""
    there = {k: row[column] for k, row in enumerate(rows) if column in row and row[column].mean is not None}
    if len(there) < 2:
        return frozenset()
    metric = METRICS.get(_TRE.sub("", column[1]))
    sign = -1 if metric and not metric.higher_is_better else 1
    gains = {k: sign * float(_texts(cell)[0]) for k, cell in there.items()}
    return frozenset(k for k, gain in gains.items() if gain == max(gains.values()))


def _texts(cell: TableRow) -> tuple[str, str]:
    """Mean and std as printed; the latter may be empty."""
    mean, _, std = cell.score.partition(" ± ")
    return mean, std


def _names(runs: Sequence[RunFrames]) -> tuple[str, ...]:
    plain = [run.name or run.run_id for run in runs]
    return tuple(
        name if plain.count(name) == 1 else f"{name} ({run.run_id})" for name, run in zip(plain, runs, strict=True)
    )


def _latex_cell(cell: TableRow | None, is_best: bool) -> str:
    if cell is None or cell.mean is None:
        return "--"
    mean, std = _texts(cell)
    mean = rf"\mathbf{{{mean}}}" if is_best else mean
    return rf"${mean} \pm {std}$" if std else f"${mean}$"


def _markdown_cell(cell: TableRow | None, is_best: bool) -> str:
    if cell is None or cell.mean is None:
        return _NOTHING
    mean, std = _texts(cell)
    return (f"**{mean}**" if is_best else mean) + (f" ± {std}" if std else "")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text).replace("±", r"$\pm$")


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
