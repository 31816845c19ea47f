"""The figures of a report: success and its kin, scores over training steps, training curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqtrack.reporting import plots
from seqtrack.reporting.plots import Line
from seqtrack.reporting.report.markup import heading, paragraph, section
from seqtrack.reporting.report.subject import Subject, higher_is_better

MAX_POINTS = 300  # of a training curve: more than a figure has pixels for


@dataclass(frozen=True)
class Curve:
    """How a curve of an assessment is drawn, and which metrics its legend may show, the first that there is."""

    title: str
    xlabel: str
    ylabel: str
    metrics: tuple[str, ...] = ()
    legend: str = "lower right"


CURVES = {
    "success": Curve("Success", "overlap threshold", "success rate", ("AUC", "AO"), "upper right"),
    "precision": Curve("Precision", "centre-error threshold (px)", "precision", ("precision_20",)),
    "norm_precision": Curve(
        "Normalised precision", "normalised centre-error threshold", "precision", ("norm_precision",)
    ),
    "expected_overlap": Curve(
        "Expected overlap", "sequence length (frames)", "expected average overlap", ("EAO",), "upper right"
    ),
}


def curves(subject: Subject) -> str:
    """Success, precision and their kin, with a band of ± std over seeds; accuracy against robustness for VOT."""
    parts = []
    for eval_id in subject.eval_ids:
        drawn = [*_set_curves(subject, eval_id), *_accuracy_robustness(subject, eval_id)]
        if drawn:
            parts.append(heading(eval_id) + paragraph(subject.caveat(eval_id)) + _gallery(drawn))
    lead = "Mean over seeds at their selected checkpoints; the band is ± one standard deviation over seeds."
    return section("Plots", *parts, lead=lead)


def over_training(subject: Subject) -> str:
    """The primary metric at every assessed step, and what was logged during training."""
    drawn = [*_scores_over_steps(subject), *_training_curves(subject)]
    lead = "One line per seed; a ring marks the checkpoint that was selected."
    return section("Over training", _gallery(drawn) if drawn else "", lead=lead)


def _set_curves(subject: Subject, eval_id: str) -> Iterator[str]:
    tables = {}
    for k in range(len(subject.runs)):
        rows = subject.rows(k, "curves", eval_id)
        tables[k] = rows[rows["selected"]]
    there = {name for rows in tables.values() for name in rows["curve"].unique()}
    for name, curve in CURVES.items():
        if name not in there:
            continue
        lines = {k: _line(subject, k, eval_id, rows[rows["curve"] == name], curve) for k, rows in tables.items()}
        found = {k: line for k, line in lines.items() if line is not None}
        figure, axes = plots.new_figure(curve.xlabel, curve.ylabel, curve.title)
        plots.draw_lines(axes, list(found.values()), list(found), curve.legend)
        axes.set_xlim(min(line.x[0] for line in found.values()), max(line.x[-1] for line in found.values()))
        axes.set_ylim(0, 1 if name != "expected_overlap" else None)
        yield plots.to_svg(figure, f"{name}-{eval_id}", f"{curve.title} of {_names(found.values())} on {eval_id}")
    if {"LT_precision", "LT_recall"} <= there:
        yield _precision_recall(subject, eval_id, tables)


def _line(subject: Subject, run: int, eval_id: str, rows: Any, curve: Curve) -> Line | None:
    if not len(rows):
        return None
    over_seeds = rows.groupby("threshold")["value"].agg(["mean", "std", "count"])
    cells = (subject.cell(run, eval_id, metric) for metric in curve.metrics)
    cell = next(filter(None, cells), None)
    return Line(
        subject.names[run],
        over_seeds.index.to_numpy(np.float64),
        over_seeds["mean"].to_numpy(np.float64),
        over_seeds["std"].to_numpy(np.float64) if over_seeds["count"].min() > 1 else None,
        cell["mean"] if cell else None,
        cell["std"] if cell else None,
    )


def _precision_recall(subject: Subject, eval_id: str, tables: dict[int, Any]) -> str:
    """Means over seeds at equal ranks of confidence."""
    figure, axes = plots.new_figure("recall", "precision", "Precision and recall")
    lines = {}
    for k, rows in tables.items():
        means = rows.groupby(["curve", "threshold"])["value"].mean()
        cell = subject.cell(k, eval_id, "F_score")
        if {"LT_precision", "LT_recall"} <= set(means.index.get_level_values(0)):
            lines[k] = Line(
                subject.names[k], means["LT_recall"].to_numpy(), means["LT_precision"].to_numpy(),
                score=cell["mean"] if cell else None, deviation=cell["std"] if cell else None,
            )  # fmt: skip
    plots.draw_lines(axes, list(lines.values()), list(lines))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return plots.to_svg(figure, f"recall-{eval_id}", f"Precision and recall of {_names(lines.values())} on {eval_id}")


def _accuracy_robustness(subject: Subject, eval_id: str) -> Iterator[str]:
    """A faint dot per seed, a cross at the mean; the better corner is top right."""
    if not {"accuracy", "robustness"} <= set(subject.metrics(eval_id)):
        return
    figure, axes = plots.new_figure("robustness", "accuracy", "Accuracy and robustness")
    for k, name in enumerate(subject.names):
        cells = subject.cell(k, eval_id, "accuracy"), subject.cell(k, eval_id, "robustness")
        if cells[0] is None or cells[1] is None:
            continue
        colour = plots.look(k)["color"]
        by_seed = [(cells[1]["per_seed"].get(seed), value) for seed, value in cells[0]["per_seed"].items()]
        x, y = zip(*[pair for pair in by_seed if None not in pair], strict=True)
        axes.plot(x, y, "o", color=colour, alpha=0.45, markersize=4, linewidth=0)
        label = Line(name, np.empty(0), np.empty(0)).label
        axes.plot([cells[1]["mean"]], [cells[0]["mean"]], "P", color=colour, markersize=9, linewidth=0)
        if not subject.is_single:
            axes.plot([], [], "s", color=colour, markersize=6, label=label)  # a square, which no data point is
    is_share = higher_is_better("robustness")
    if subject.is_single:  # nothing to compare with but the ends of the scale
        axes.set_ylim(0, 1)
        axes.set_xlim(0, 1 if is_share else max(1.0, 1.2 * axes.get_xlim()[1]))
    else:
        axes.margins(0.2)
    if not is_share:
        axes.invert_xaxis()
    plots.add_legend(axes)
    text = f"Accuracy and robustness of {', '.join(subject.names)} on {eval_id}"
    yield plots.to_svg(figure, f"ar-{eval_id}", text)


def _scores_over_steps(subject: Subject) -> Iterator[str]:
    for eval_id in subject.eval_ids:
        metric = subject.primary(eval_id)
        found = []
        for k in range(len(subject.runs)):
            rows = subject.rows(k, "scores", eval_id)
            found.append((k, rows[rows["metric"] == metric]))
        if not any((rows.groupby("seed")["step"].nunique() > 1).any() for _, rows in found):
            continue
        figure, axes = plots.new_figure("training step", metric, f"{metric} on {eval_id}")
        for k, rows in found:
            for place, (seed, of_seed) in enumerate(rows.sort_values("step").groupby("seed")):
                style = _seed_look(subject, k, place)
                label = _seed_label(subject, k, int(seed), place)
                axes.plot(
                    of_seed["step"], of_seed["value"], marker=".", linewidth=1.1, markersize=3, label=label, **style
                )
                chosen = of_seed[of_seed["selected"]]
                axes.plot(
                    chosen["step"], chosen["value"], "o", markersize=8, markerfacecolor="none",
                    markeredgewidth=1.5, color=style["color"],
                )  # fmt: skip
        _count_thousands(axes)
        plots.add_legend(axes)
        text = f"{metric} on {eval_id} over training steps, for each seed of {', '.join(subject.names)}"
        yield plots.to_svg(figure, f"steps-{eval_id}", text)


def _training_curves(subject: Subject) -> Iterator[str]:
    names = dict.fromkeys(name for run in subject.runs for name in run.training if name not in ("seed", "step", "lr"))
    for name in names:
        figure, axes = plots.new_figure("training step", name, f"Training: {name}")
        for k, run in enumerate(subject.runs):
            if name not in run.training:
                continue
            for place, (seed, rows) in enumerate(run.training.groupby("seed")):
                kept = rows[["step", name]].dropna().to_numpy(np.float64)
                x, y = thinned(kept)
                label = _seed_label(subject, k, int(seed), place)
                axes.plot(x, y, linewidth=1.1, label=label, **_seed_look(subject, k, place))
        _count_thousands(axes)
        plots.add_legend(axes)
        yield plots.to_svg(figure, f"training-{name}", f"{name} over training steps, for each seed")
    rates = [run.training["lr"] for run in subject.runs if "lr" in run.training and len(run.training)]
    if any(rate.nunique() > 1 for rate in rates):  # one that stays as it is stands in the configuration
        figure, axes = plots.new_figure("training step", "learning rate", "Training: lr")
        for k, run in enumerate(subject.runs):
            if "lr" in run.training and len(run.training):
                # The schedule is the run's: the seed that got furthest shows all of it.
                longest = run.training.groupby("seed")["step"].max().idxmax()
                x, y = thinned(run.training.loc[run.training["seed"] == longest, ["step", "lr"]].to_numpy(np.float64))
                name = Line(subject.names[k], x, y).label
                axes.plot(x, y, linewidth=1.6, label=None if subject.is_single else name, **plots.look(k))
        axes.set_ylim(bottom=0)
        _count_thousands(axes)
        plots.add_legend(axes)
        yield plots.to_svg(figure, "training-lr", "Learning rate over training steps")


def thinned(points: Any, most: int = MAX_POINTS) -> tuple[Any, Any]:
    """(N, 2) x y as at most ``most`` means of neighbours each."""
    if len(points) <= most:
        return points[:, 0], points[:, 1]
    bounds = np.linspace(0, len(points), most + 1).astype(int)
    sums = np.add.reduceat(points, bounds[:-1], axis=0)
    means = sums / np.diff(bounds)[:, None]
    return means[:, 0], means[:, 1]


def _seed_look(subject: Subject, run: int, place: int) -> dict[str, Any]:
    """Seeds have colours of their own where there is one run; else all of a run have its colour."""
    if subject.is_single:
        return plots.look(place)
    return {**plots.look(run), "alpha": 0.75}


def _seed_label(subject: Subject, run: int, seed: int, place: int) -> str | None:
    if subject.is_single:
        return f"seed {seed}"
    return Line(subject.names[run], np.empty(0), np.empty(0)).label if place == 0 else None


def _count_thousands(axes: Any) -> None:
    """Steps as 20k rather than 20000."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def text(value: float, _: object) -> str:
        return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(text))


def _gallery(drawn: list[str]) -> str:
    return f'<div class="gallery">{"".join(f"<figure>{svg}</figure>" for svg in drawn)}</div>'


def _names(lines: Any) -> str:
    return ", ".join(line.name for line in lines)
