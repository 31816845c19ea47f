"""Scores by attribute and by sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqtrack.assessment.attributes import AttributeTable, attribute_table
from seqtrack.assessment.metrics import decimals
from seqtrack.assessment.supervised import EMPTY
from seqtrack.reporting import plots
from seqtrack.reporting.report.markup import (
    Cell,
    Column,
    details,
    heading,
    number,
    paragraph,
    score,
    section,
    signed,
    table,
    text,
)
from seqtrack.reporting.report.material import Material
from seqtrack.reporting.report.subject import Subject, arrow, definition


def attributes(subject: Subject, material: Mapping[str, Material | str]) -> str:
    """The mean over the sequences that have an attribute, then over seeds; for each eval set."""
    parts = []
    for eval_id in subject.eval_ids:
        found = material.get(eval_id, "")
        if isinstance(found, str):
            parts.append(heading(eval_id) + paragraph(f"No attributes: {found}." if found else "No attributes."))
            continue
        names = list(found.sequences)
        known = attribute_table([found.sequences[name].labels for name in names])
        if known.members:
            parts.append(heading(eval_id) + _attributes(subject, eval_id, names, known))
        else:
            parts.append(heading(eval_id) + paragraph("No sequence has any of the attributes that are known."))
    lead = (
        "The mean over the sequences with an attribute (each weighs the same), ± its standard deviation over seeds. "
        "Attributes that the benchmark publishes are its own; others follow from the labels."
    )
    return section("Attributes", *parts, lead=lead)


def _attributes(subject: Subject, eval_id: str, names: list[str], known: AttributeTable) -> str:
    metric = subject.of_sequence(eval_id)
    columns = [Column("attribute"), Column("sequences", is_number=True)]
    columns += [
        Column(metric if subject.is_single else name, definition(metric), True, None if subject.is_single else k)
        for k, name in enumerate(subject.names)
    ]
    is_pair = len(subject.runs) == 2 and subject.is_comparable(eval_id)
    columns += [Column("difference", "the second less the first", is_number=True)] * is_pair
    everything = np.ones(len(names), bool)
    by_seed = [_seeds_by_sequence(subject, k, eval_id, metric, names) for k in range(len(subject.runs))]
    rows, drawn = [], []
    for name, members in {"all": everything, **known.members}.items():
        scores = [_mean_std(values[members]) for values in by_seed]
        best = subject.best_of(eval_id, {k: mean for k, (mean, _) in enumerate(scores)}, metric)
        row = [text(name), number(int(members.sum()), 0)]
        row += [score(mean, std, decimals(metric), k in best) for k, (mean, std) in enumerate(scores)]
        if is_pair:
            row.append(signed(scores[1][0] - scores[0][0], decimals(metric)))
        rows.append(row)
        drawn.append((f"{name} ({int(members.sum())})", scores))
    terms = [(name, known.definition(name)) for name in known.members]
    meanings = "".join(paragraph(f"{name}: {meaning}.") for name, meaning in terms if meaning)
    return (
        f'<div class="beside">{table(columns, rows, f"{metric} by attribute on {eval_id}")}'
        f"<figure>{_dots(subject, eval_id, metric, drawn)}</figure></div>"
        + (details("How these attributes are computed", meanings) if meanings else "")
    )


def _dots(subject: Subject, eval_id: str, metric: str, drawn: list[tuple[str, Any]]) -> str:
    """A row per attribute, a dot per run with its deviation."""
    left = 0.3 + 0.075 * max(len(name) for name, _ in drawn)
    figure, axes = plots.new_figure(metric, "", size=(4.6, 0.9 + 0.28 * len(drawn)), left=left)
    places = np.arange(len(drawn), dtype=float)
    spread = 0.5 / max(len(subject.runs), 1)
    for k in range(len(subject.runs)):
        means = np.array([scores[k][0] for _, scores in drawn])
        stds = np.array([scores[k][1] for _, scores in drawn])
        offset = (k - (len(subject.runs) - 1) / 2) * spread
        axes.errorbar(
            means, places + offset, xerr=np.nan_to_num(stds), fmt="o", markersize=4.5, linewidth=1.2,
            color=plots.look(k)["color"],
        )  # fmt: skip
    axes.set_yticks(places, [name for name, _ in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)  # the first on top
    return plots.to_svg(figure, f"attributes-{eval_id}", f"{metric} by attribute on {eval_id}: the table's numbers")


def by_tag(subject: Subject) -> str:
    """Of VOT's restarts: the scores over the frames that have a tag, mean over seeds."""
    parts = []
    for eval_id in subject.eval_ids:
        found = []
        for k in range(len(subject.runs)):
            rows = subject.rows(k, "by_tag", eval_id)
            found.append(rows[rows["selected"]].groupby(["tag", "metric"])["value"].agg(["mean", "std"]))
        there = [pair for rows in found for pair in rows.index]
        tags = sorted({tag for tag, _ in there}, key=lambda tag: (tag == EMPTY, tag))
        metrics = [metric for metric in subject.metrics(eval_id) if any(metric == of for _, of in there)]
        if not tags:
            continue
        columns = [Column("tag"), *([] if subject.is_single else [Column("run")])]
        columns += [Column(arrow(metric), definition(metric), is_number=True) for metric in metrics]
        rows = []
        for tag in tags:
            values = {m: {k: _value(of_run, tag, m) for k, of_run in enumerate(found)} for m in metrics}
            means = {m: [mean for mean, _ in of_metric.values()] for m, of_metric in values.items()}
            alone = all(math.isnan(std) for of_metric in values.values() for _, std in of_metric.values())
            places = {m: decimals(m, means[m] if alone else ()) for m in metrics}
            best = {m: subject.best_of(eval_id, {k: v for k, (v, _) in values[m].items()}, m) for m in metrics}
            for k, name in enumerate(subject.names):
                row = [text(tag), *([] if subject.is_single else [Cell(name, swatch=k)])]
                rows.append(row + [score(*values[m][k], places[m], k in best[m]) for m in metrics])
        parts.append(heading(eval_id) + table(columns, rows, f"Scores by tag on {eval_id}", "tag or run"))
    lead = (
        "VOT's scores over the frames with a tag, whatever their sequence, ± their standard deviation over seeds; "
        f"{EMPTY}: frames with none."
    )
    return section("Tags", *parts, lead=lead)


def _value(of_run: Any, tag: str, metric: str) -> tuple[float, float]:
    """Mean and std over seeds; NaN where there is none."""
    if (tag, metric) not in of_run.index:
        return math.nan, math.nan
    mean, std = of_run.loc[(tag, metric)]
    return float(mean), float(std)


def by_sequence(subject: Subject) -> str:
    """Every sequence: all metrics of one run, or the primary metric of several side by side."""
    parts = []
    for eval_id in subject.eval_ids:
        found = _one_run(subject, eval_id) if subject.is_single else _side_by_side(subject, eval_id)
        parts.append(heading(eval_id) + found)
    lead = (
        "Mean ± standard deviation over seeds. A click on a column's name sorts by it; a second one turns the order."
    )
    return section("Sequences", *parts, lead=lead)


def _one_run(subject: Subject, eval_id: str) -> str:
    metrics = sorted(subject.metrics(eval_id), key=lambda metric: metric != subject.of_sequence(eval_id))
    scores = {metric: subject.sequence_scores(0, eval_id, metric) for metric in metrics}
    scores = {metric: rows for metric, rows in scores.items() if len(rows)}
    columns = [Column("sequence"), *(Column(metric, definition(metric), is_number=True) for metric in scores)]
    names = list(dict.fromkeys(name for rows in scores.values() for name in rows.index))
    values = {metric: rows.to_dict("index") for metric, rows in scores.items()}
    places = {metric: _places(metric, [rows]) for metric, rows in values.items()}
    rows = [[text(name), *(_of(values[metric].get(name), places[metric]) for metric in scores)] for name in names]
    return table(columns, rows, f"Scores of each sequence of {eval_id}", "sequence")


def _side_by_side(subject: Subject, eval_id: str) -> str:
    metric = subject.of_sequence(eval_id)
    scores = [subject.sequence_scores(k, eval_id, metric).to_dict("index") for k in range(len(subject.runs))]
    places = _places(metric, scores)
    columns = [Column("sequence")]
    columns += [Column(name, f"{metric}: {definition(metric)}", True, k) for k, name in enumerate(subject.names)]
    is_pair = len(scores) == 2 and subject.is_comparable(eval_id)
    columns += [Column("difference", "the second less the first", is_number=True)] * is_pair
    rows = []
    for name in dict.fromkeys(name for found in scores for name in found):
        means = {k: found[name]["mean"] for k, found in enumerate(scores) if name in found}
        best = subject.best_of(eval_id, means, metric)
        row = [text(name), *(_of(found.get(name), places, k in best) for k, found in enumerate(scores))]
        if is_pair:
            row.append(signed(means[1] - means[0] if len(means) == 2 else None, places))
        rows.append(row)
    said = paragraph(metric) + paragraph(subject.caveat(eval_id))
    return said + table(columns, rows, f"{metric} of each sequence of {eval_id}", "sequence")


def _places(metric: str, found: list[dict[str, Mapping[str, float]]]) -> int:
    """Decimals of a column, whole where there are no means over seeds in it."""
    rows = [row for of_run in found for row in of_run.values()]
    return decimals(metric, [row["mean"] for row in rows] if all(math.isnan(row["std"]) for row in rows) else ())


def _of(row: Mapping[str, float] | None, places: int, is_best: bool = False) -> Cell:
    return score(row["mean"], row["std"], places, is_best) if row else number(None)


def _seeds_by_sequence(subject: Subject, run: int, eval_id: str, metric: str, names: list[str]) -> Any:
    """(S, seeds) in the order of ``names``, NaN where there is no score."""
    rows = subject.by_sequence(run, eval_id)
    rows = rows[rows["metric"] == metric]
    return rows.pivot(index="sequence", columns="seed", values="value").reindex(names).to_numpy(np.float64)


def _mean_std(values: Any) -> tuple[float, float]:
    """Over seeds, of the means over sequences; NaN where there is nothing, or a single seed."""
    known = np.isfinite(values)
    if not known.any():
        return math.nan, math.nan
    counts = known.sum(axis=0)
    of_seeds = np.where(known, values, 0).sum(axis=0)[counts > 0] / counts[counts > 0]
    return float(of_seeds.mean()), float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else math.nan
