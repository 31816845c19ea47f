"""The report: its numbers are those of the runs, to the last digit that it prints, and a browser shows all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqtrack
from seqtrack.reporting import plots
from seqtrack.reporting.frames import RunFrames
from seqtrack.reporting.report import figures, material, results, sequences, worst
from seqtrack.reporting.report.circumstances import flattened
from seqtrack.reporting.report.figures import thinned
from seqtrack.reporting.report.markup import Cell, Column, number, score, signed, table
from seqtrack.reporting.report.material import Material
from seqtrack.reporting.report.render import render
from seqtrack.reporting.report.subject import Subject, best_of
from seqtrack.runs import events
from seqtrack.runs.repository import Snapshot
from tests import madeup
from tests.data.otb_layout import write_sequence
from tests.reporting.browsing import visit_at

AT_HAND = "made"  # a data set whose frames are on disk, in the layout of OTB
SETS = {f"otb:{AT_HAND}": 3, "uav123": 14}
NASTY = "<script>document.title='owned'<&\"' ünï"
WORST = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``made``: 3 sequences of 25 frames, as published; 1-based, and out of view in one frame."""
    root = tmp_path_factory.mktemp("data")
    for k in range(SETS[f"otb:{AT_HAND}"]):
        name = f"{AT_HAND}_{k:03d}"
        boxes = np.add(madeup.truth_of(name, 25), [1, 1, 0, 0])
        rows = "".join(",".join(map(repr, row)) + "\n" for row in boxes.tolist())
        write_sequence(root / AT_HAND / name, range(1, 26), rows, (640, 480))
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> list[RunFrames]:
    """A baseline of three trials, one of which failed, and a better run."""
    cache = tmp_path_factory.mktemp("cache")
    places = {"data_paths": {AT_HAND: str(folder / AT_HAND)}, "data_cache_dir": str(cache / "indexes")}
    found = [
        madeup.write_run(cache, eval_sets=SETS, name="baseline", unfinished=(2,), **places),
        madeup.write_run(cache, eval_sets=SETS, name="better", skill=0.7, lr_init=0.01, **places),
    ]
    log = found[0].trial(2).attempts()[-1].log
    log.write_text("".join(f"line {k}\n" for k in range(30)) + f"RuntimeError: {NASTY}\n")
    return [seqtrack.load_run(run.path) for run in found]


@pytest.fixture(scope="module")
def at_hand(runs: list[RunFrames]) -> Mapping[str, Material | str]:
    from seqtrack.data.datasets import prepare
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.locations import Locations

    execution = runs[0].submission["execution"]
    paths = {name: Path(path) for name, path in execution["data_paths"].items()}
    locations = Locations(data_paths=paths, cache_dir=Path(execution["data_cache_dir"]))
    prepare(parse_dataset_name(f"otb:{AT_HAND}"), locations, lambda _: None)
    return {eval_id: material.find(runs[0], eval_id, {}) for eval_id in runs[0].summary["results"]}


@pytest.fixture(scope="module")
def page(runs: list[RunFrames], at_hand: Mapping[str, Material | str]) -> str:
    return render(runs, at_hand, worst_count=WORST)


@pytest.fixture(scope="module")
def single(runs: list[RunFrames]) -> str:
    return render(runs[:1], {}, f"One run {NASTY}", worst_count=0)


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"<section id=[^>]*><h2>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found


def tables(text: str) -> list[list[list[str]]]:
    """Of each table the text of its cells, row by row, the heading first."""
    return [
        [
            [unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        ]
        for body in re.findall(r"<table>(.*?)</table>", text, re.DOTALL)
    ]


def as_printed(cell: Mapping[str, Any]) -> str:
    return f"{cell['mean']:.3f}" + (f" ± {cell['std']:.3f}" if cell["std"] is not None else "")


def test_the_results_are_those_of_the_summaries(page: str, runs: list[RunFrames]) -> None:
    overview, every = tables(section(page, "Results"))
    results = [run.summary["results"] for run in runs]
    metrics = overview[0][4:]
    assert overview[0][:4] == ["eval set", "convention", "run", "n"]
    assert {"AUC", "precision_20", "norm_precision"} <= set(metrics)
    assert overview[1:] == [
        [eval_id, "otb", name, str(n), *(as_printed(found[eval_id][metric]) for metric in metrics)]
        for eval_id in ("made-full", "uav123-full")
        for name, n, found in (("baseline", 2, results[0]), ("better", 3, results[1]))
    ]
    assert every[0] == [
        "eval set", "metric", "run", "mean ± std", "95 % interval", "n", "seed 0", "seed 1", "seed 2",
    ]  # fmt: skip
    cell = results[0]["uav123-full"]["AUC"]
    low, high = cell["interval_95"]
    assert [
        "uav123-full", "AUC", "baseline", as_printed(cell), f"{low:.3f} – {high:.3f}", "2",
        f"{cell['per_seed']['0']:.3f}", f"{cell['per_seed']['1']:.3f}", "–",
    ] in every  # fmt: skip
    assert len(every) == 1 + 2 * 2 * len(metrics)


def test_what_was_assessed_later_is_there_and_told_apart(tmp_path: Path) -> None:
    """Another set of all trials, and the run's own set by other rules, and with more starts, of one."""
    folder = madeup.write_run(tmp_path, seeds=2, steps=(10, 20), eval_sets={"uav123": 3})
    madeup.assess_later(folder, {"otb:toy": 2}, seeds=[0, 1])
    madeup.assess_later(folder, {"uav123": 3}, seeds=[1], eval_convention="pysot")
    madeup.assess_later(folder, {"uav123": 3}, seeds=[0, 1], eval_convention="otb")
    madeup.assess_later(folder, {"uav123": 3}, seeds=[0], eval_tre_num=2)
    run = seqtrack.load_run(folder.path)
    text = render([run], {})
    overview, *_ = tables(section(text, "Results"))
    sets = ["uav123-full", "toy-full", "uav123-full (eval_tre_num 2)", "uav123-full (pysot)"]
    assert sorted(row[0] for row in overview[1:]) == sorted(sets)
    rows = {row[0]: dict(zip(overview[0], row, strict=True)) for row in overview[1:]}
    assert [(rows[name]["convention"], rows[name]["n"]) for name in (sets[0], sets[1], sets[3])] == [
        ("otb", "2"), ("otb", "2"), ("pysot", "1"),
    ]  # fmt: skip
    scores = run.everything.scores.query("selected and metric == 'AUC'")
    toy = scores[scores["eval_id"] == "toy-full"]["value"]
    (pysot,) = scores[scores["convention"] == "pysot"]["value"]
    assert rows["toy-full"]["AUC"] == f"{toy.mean():.3f} ± {toy.std():.3f}"
    assert rows["uav123-full (pysot)"]["AUC"] == f"{pysot:.3f}" != rows["uav123-full"]["AUC"]
    assert re.findall(r"class=note>Note: ([^:]+): assessed later by seqtrack assess .*?summary(.*?)</p>", text) == [
        ("toy-full", ""),
        ("uav123-full (eval_tre_num 2)", "; 1 of 2 trials have it; checkpoints were selected on these videos"),
        ("uav123-full (pysot)", "; 1 of 2 trials have it; checkpoints were selected on these videos"),
    ]
    assert [rows[0][0] for rows in tables(section(text, "Sequences"))] == ["sequence"] * 4
    assert "success rate" in section(text, "Plots") and "uav123-full (pysot)" in section(text, "Plots")


def test_a_name_stands_for_the_same_rules_in_every_run(tmp_path: Path) -> None:
    """Both were assessed on the set, by other rules: neither has anything under the name of the other's."""
    folders = [madeup.write_run(tmp_path, seeds=1, steps=(10,), eval_sets={"uav123": 2}, lr_init=x) for x in (1, 2)]
    madeup.assess_later(folders[0], {"otb:toy": 2}, seeds=[0], eval_convention="pysot")
    madeup.assess_later(folders[1], {"otb:toy": 2}, seeds=[0])
    subject = Subject(tuple(seqtrack.load_run(folder.path) for folder in folders))
    there = {
        name: [bool(len(subject.rows(run, frame, name))) for run in (0, 1) for frame in ("curves", "sequences")]
        for name in subject.eval_ids
    }
    assert there == {
        "uav123-full": [True] * 4,
        "toy-full": [True, True, False, False],
        "toy-full (otb)": [False, False, True, True],
    }


def test_scores_of_restarts_by_tag_are_means_over_seeds(tmp_path: Path) -> None:
    folder = madeup.write_run(
        tmp_path, seeds=2, steps=(10,), eval_sets={"vot2018": 3}, frames=120, skill=0.1, eval_samplers=["supervised"]
    )
    run = seqtrack.load_run(folder.path)
    (rows,) = tables(section(render([run], {}), "Tags"))
    assert rows[0] == ["tag", "EAO", "accuracy", "robustness ↓", "failures ↓"]
    assert [row[0] for row in rows[1:]] == ["occlusion", "empty"]
    cells = run.by_tag.query("tag == 'empty'").groupby("metric")["value"].agg(["mean", "std"])
    assert rows[2][2] == f"{cells['mean']['accuracy']:.3f} ± {cells['std']['accuracy']:.3f}"
    assert rows[2][4] == f"{cells['mean']['failures']:.1f} ± {cells['std']['failures']:.1f}"


def test_the_best_of_a_set_is_marked(page: str, runs: list[RunFrames], single: str) -> None:
    means = [run.summary["results"]["uav123-full"]["AUC"] for run in runs]
    assert means[1]["mean"] > means[0]["mean"]
    assert f'<td class="number best" data-value="{means[1]["mean"]!r}">{as_printed(means[1])}</td>' in page
    assert f'<td class="number" data-value="{means[0]["mean"]!r}">{as_printed(means[0])}</td>' in page
    assert 'class="number best"' not in single, "of one there is no best"


def test_of_scores_by_different_rules_none_is_the_best_or_less_the_other(tmp_path: Path) -> None:
    folders = [
        madeup.write_run(tmp_path, seeds=1, steps=(10,), eval_sets={"uav123": 2}, name=name, **flags)
        for name, flags in (("one", {}), ("two", {"lr_init": 0.01, "eval_convention": "pysot", "skill": 0.9}))
    ]
    subject = Subject(tuple(seqtrack.load_run(folder.path) for folder in folders))
    text = results.results(subject) + figures.curves(subject) + sequences.by_sequence(subject)
    assert text.count("<p>Not by the same convention (one: otb, two: pysot): not to be compared.</p>") == 2
    overview, *_, of_sequences = tables(text)
    assert [row[:3] for row in overview[1:]] == [["uav123-full", "otb", "one"], ["uav123-full", "pysot", "two"]]
    assert of_sequences[0] == ["sequence", "one", "two"]
    assert 'class="number best"' not in text


def test_lower_is_better_where_it_is() -> None:
    assert best_of({0: 3.0, 1: 2.0, 2: float("nan")}, "AUC") == {0}
    assert best_of({0: 3.0, 1: 2.0, 2: 2.0}, "failures") == {1, 2}
    assert best_of({0: 3.0}, "AUC") == set()


def test_the_head_says_what_a_reader_must_know(page: str, runs: list[RunFrames]) -> None:
    head = page.split("<main>")[0].split("</style>")[1]
    assert "<h1>seqtrack report: baseline, better</h1>" in head
    for run in runs:
        assert f"run {run.run_id} · started 20" in head
        assert all(f"Note: {escape(note)}" in head for note in run.notes)
    assert "2 of 3 trials done" in head
    assert "3 of 3 trials done" in head
    assert 'Seed 2 did not end well: <a href="#failures">why</a>' in head
    anchors = re.findall(r'<a href="#([\w-]+)">', head)
    assert set(anchors) == set(re.findall(r'<section id="([\w-]+)">', page))


def test_each_sequence_has_the_mean_over_seeds_of_each_run(page: str, runs: list[RunFrames]) -> None:
    by_set = tables(section(page, "Sequences"))
    assert [rows[0] for rows in by_set] == [["sequence", "baseline", "better", "difference"]] * 2
    assert [len(rows) - 1 for rows in by_set] == [3, 14]
    means = []
    for run in runs:
        rows = run.sequences.query(
            "selected and eval_id == 'made-full' and metric == 'AUC' and sequence == 'made_001'"
        )
        means.append((rows["value"].mean(), rows["value"].std()))
    expected = [f"{mean:.3f} ± {std:.3f}" for mean, std in means]
    difference = f"{means[1][0] - means[0][0]:+.3f}".replace("-", "−")
    assert by_set[0][2] == ["made_001", *expected, difference]


def test_one_run_shows_all_metrics_of_each_sequence(single: str, runs: list[RunFrames]) -> None:
    rows = tables(section(single, "Sequences"))[1]
    assert rows[0][:2] == ["sequence", "AUC"]
    assert set(rows[0][1:]) == set(runs[0].summary["results"]["uav123-full"])


def test_attributes_are_means_over_the_sequences_that_have_them(
    page: str, runs: list[RunFrames], at_hand: Mapping[str, Material | str]
) -> None:
    text = section(page, "Attributes")
    (rows,) = tables(text)
    assert rows[0] == ["attribute", "sequences", "baseline", "better", "difference"]
    assert rows[1][:2] == ["all", "3"]
    cell = runs[1].summary["results"]["made-full"]["AUC"]
    assert rows[1][3] == as_printed(cell), "all sequences: the score of the set"
    assert [row[0] for row in rows[2:]] == ["small target"], "its box has 1 % of the image in 2 of 3"
    assert "small target: the median box covers less than 1 % of the image." in text
    assert "uav123 is not at hand; give --data_dir, --tar_dir or --data_paths uav123=DIR" in text
    found = at_hand["made-full"]
    assert isinstance(found, Material)
    members = [n for n, s in found.sequences.items() if s.boxes[0, 2] * s.boxes[0, 3] < 0.01 * 640 * 480]
    assert rows[2][1] == str(len(members))
    scores = runs[0].sequences.query("selected and eval_id == 'made-full' and metric == 'AUC'")
    by_seed = scores[scores["sequence"].isin(members)].groupby("seed")["value"].mean()
    assert rows[2][2] == f"{by_seed.mean():.3f} ± {by_seed.std():.3f}"


def test_worst_sequences_have_film_strips_where_frames_are_at_hand(page: str, runs: list[RunFrames]) -> None:
    text = section(page, "Worst sequences")
    names = re.findall(r"<h4>(.*?)</h4>", text)
    assert len(names) == 2 * WORST
    subject = Subject(tuple(runs))
    assert names == [n for eval_id in subject.eval_ids for n in worst.worst_names(subject, eval_id, WORST)]
    made = runs[0].sequences.query("selected and eval_id == 'made-full' and metric == 'AUC'")
    better = runs[1].sequences.query("selected and eval_id == 'made-full' and metric == 'AUC'")
    total = made.groupby("sequence")["value"].mean() + better.groupby("sequence")["value"].mean()
    assert names[:WORST] == list(total.sort_values().index[:WORST])
    assert "No frames: uav123 is not at hand" in text
    article = text.split("<article")[1]
    frames = [int(frame) for frame in re.findall(r"<figcaption>frame (\d+) · ", article)]
    assert frames[0] == 0 and frames[-1] == 24 and frames == sorted(set(frames))
    assert article.count("data:image/jpeg;base64,") == len(frames)
    truth = madeup.truth_of(names[0], 25)[0] * 240 / 640
    x, y, w, h = truth
    assert f'<rect class="truth" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>' in article
    assert article.count('<polyline class="run-0"') == article.count('<polyline class="run-1"') == 1


def test_pictures_of_a_page_are_bounded(
    runs: list[RunFrames], at_hand: Mapping[str, Material | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worst, "MAX_BYTES", 1)
    text = worst.worst(Subject(tuple(runs)), at_hand, 3)
    assert text.count("No frames: those of the sequences above have") == 2
    assert text.count('<div class="strip">') == 1


@pytest.mark.parametrize(
    ("overlaps", "expected"),
    [
        ([1, 0.9, 0.8, 0.05, 0, 0, 0.6, 0.7], [0, 2, 3, 4, 5, 7]),
        ([1, 0.9, 0.05, 0.3, 0, 0, 0, 0], [0, 1, 4, 5, 7]),
        ([1, 0.9, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9], [0, 1, 2, 3, 5, 8]),
        ([1, np.nan, 0.9, np.nan, np.nan, 0, np.nan, 0, np.nan], [0, 2, 5, 6, 7, 8]),
        ([1], [0]),
        ([np.nan, np.nan], [0, 1]),
    ],
)
def test_moments_tell_how_a_target_was_lost(overlaps: list[float], expected: list[int]) -> None:
    assert worst.moments(np.array(overlaps, float)) == expected


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=50))
def test_moments_are_a_few_frames_from_the_first_to_the_last(overlaps: list[float]) -> None:
    found = worst.moments(np.array(overlaps))
    assert found[0] == 0 and found[-1] == len(overlaps) - 1
    assert found == sorted(set(found)) and len(found) <= worst.MOMENTS


def test_failures_have_their_cause_and_the_last_lines_of_the_log(page: str) -> None:
    text = section(page, "Failures")
    assert "<h3>baseline, seed 2: failed</h3>" in text
    assert "CUDA out of memory" in text
    assert "line 10\n" not in text and "line 11\n" in text
    assert escape(f"RuntimeError: {NASTY}") in text
    assert NASTY not in page


def test_configuration_shows_what_differs_first(page: str, single: str) -> None:
    text = section(page, "Configuration")
    assert tables(text.split("<details>")[0])[0] == [
        ["parameter", "baseline", "better"],
        ["lr_init", "0.001", "0.01"],
    ]
    assert "<summary>All parameters of better</summary>" in text
    assert "<summary>All parameters</summary>" in section(single, "Configuration")
    assert flattened({"a": {"b": 1, "c": {}}, "d": [1, None], "e": "x"}) == {
        "a.b": "1", "a.c": "{}", "d": "[1, null]", "e": "x",
    }  # fmt: skip


def test_every_trial_has_a_row(page: str, runs: list[RunFrames]) -> None:
    (rows,) = tables(section(page, "Trials"))
    assert [row[:3] for row in rows[1:]] == [
        ["baseline", "0", "done"], ["baseline", "1", "done"], ["baseline", "2", "failed"],
        *(["better", str(seed), "done"] for seed in range(3)),
    ]  # fmt: skip
    assert rows[1][rows[0].index("torch")] == "2.6.0"
    assert rows[1][rows[0].index("step")] == str(runs[0].selected_steps[0])


def test_plots_have_the_score_in_their_legend(page: str, runs: list[RunFrames]) -> None:
    for run, name in zip(runs, ("baseline", "better"), strict=True):
        cell = run.summary["results"]["made-full"]["AUC"]
        assert f">{name} [{as_printed(cell)}]</text>" in section(page, "Plots")
    steps = section(page, "Over training")
    assert "AUC on made-full over training steps" in steps
    assert "loss over training steps" in steps


@pytest.fixture(scope="module")
def figures_drawn(runs: list[RunFrames]) -> Mapping[str, Any]:
    """By name, as matplotlib has them before they become text."""
    found: dict[str, Any] = {}

    def keep(figure: Any, name: str, text: str) -> str:
        found[name] = figure.axes[0]
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "to_svg", keep)
        figures.curves(Subject(tuple(runs)))
        figures.over_training(Subject(tuple(runs)))
    return found


@pytest.mark.parametrize("curve", ["success", "precision", "norm_precision"])
def test_plots_are_means_over_seeds_with_a_band_of_their_deviation(
    runs: list[RunFrames], figures_drawn: Mapping[str, Any], curve: str
) -> None:
    axes = figures_drawn[f"{curve}-made-full"]
    lines = {line.get_label().split(" ")[0]: line.get_xydata() for line in axes.lines}
    bands = dict(zip(lines, axes.collections, strict=True))
    assert set(lines) == {"baseline", "better"}
    for run, name in zip(runs, ("baseline", "better"), strict=True):
        rows = run.curves.query("selected and eval_id == 'made-full' and curve == @curve")
        by_seed = rows.pivot(index="threshold", columns="seed", values="value").sort_index()
        assert by_seed.shape[1] == len(run.summary["results"]["made-full"]["AUC"]["per_seed"])
        x, y = lines[name].T
        np.testing.assert_allclose(x, by_seed.index)
        np.testing.assert_allclose(y, by_seed.to_numpy().mean(axis=1))
        spread = by_seed.to_numpy().std(axis=1, ddof=1)
        corners = bands[name].get_paths()[0].vertices
        ends = [corners[corners[:, 0] == threshold, 1] for threshold in x]
        np.testing.assert_allclose([end.min() for end in ends], y - spread, atol=1e-12)
        np.testing.assert_allclose([end.max() for end in ends], y + spread, atol=1e-12)
        assert spread.max() > 0.001
        if curve == "success":
            assert y.mean() == pytest.approx(run.summary["results"]["made-full"]["AUC"]["mean"])


def test_the_page_has_a_band_for_each_curve(page: str) -> None:
    plotted = section(page, "Plots")
    assert plotted.count("opacity: 0.18") == 2 * 2 * 3, "of two runs, on two sets, three kinds"


def test_what_is_drawn_over_training_is_what_was_measured_and_logged(
    runs: list[RunFrames], figures_drawn: Mapping[str, Any]
) -> None:
    (steps, losses) = (figures_drawn[name].lines for name in ("steps-made-full", "training-loss"))
    scores = [run.scores.query("eval_id == 'made-full' and metric == 'AUC'") for run in runs]
    expected = [rows.loc[:, ["step", "value"]] for found in scores for _, rows in found.groupby("seed")]
    drawn = [line.get_xydata() for line in steps if line.get_marker() == "."]
    rings = [line.get_xydata() for line in steps if line.get_marker() == "o"]
    assert len(drawn) == len(expected) == 5
    for line, rows in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(line, rows.sort_values("step").to_numpy(float))
    chosen = [rows.loc[rows["selected"], ["step", "value"]] for found in scores for _, rows in found.groupby("seed")]
    np.testing.assert_array_equal(np.concatenate(rings), np.concatenate(chosen).astype(float))
    logged = [rows[["step", "loss"]] for run in runs for _, rows in run.training.groupby("seed")]
    assert len(losses) == len(logged) == 6
    for line, rows in zip(losses, logged, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), rows.to_numpy(float))


def test_the_code_and_the_machine_of_a_run_are_in_its_page(tmp_path: Path) -> None:
    folder = madeup.write_run(tmp_path, seeds=2, steps=(10,), eval_sets={"uav123": 2})
    command = events.read_last(folder.submissions)
    taken = Snapshot(
        "/home/me/lab", head="feedbeef" * 5, commit="cafe" * 10, branch="main", changed=("a.py", "b<.py")
    )
    events.append(
        folder.submissions, {**(command or {}), "snapshot": asdict(taken), "code": {"lab/net.py": "0" * 64}}
    )
    for seed, host in ((0, "node7"), (1, "node8")):
        found = json.loads(folder.trial(seed).record.read_text())
        found["environment"] |= {"host": host, "driver": "550.54.14"}
        folder.trial(seed).record.write_text(json.dumps(found))
    text = section(render([seqtrack.load_run(folder.path)], {}), "Code and environment")
    titles = re.findall(r"<summary>(.*?)</summary>", text)
    assert titles == [
        "Code: SHA-256 of 1 modules", "Code, as git had it", "Environment, seed 0", "Environment, seed 1",
    ]  # fmt: skip
    modules, git, first, second = (
        unescape(body).splitlines() for body in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.S)
    )
    assert modules == ["000000000000  lab/net.py"]
    assert {f"head: {taken.head}", f"commit: {taken.commit}", "branch: main", 'changed: ["a.py", "b<.py"]'} <= set(
        git
    )
    machine = {"driver: 550.54.14", "cuda: 12.4", "device: NVIDIA H100", "packages.torch: 2.6.0"}
    assert {"host: node7", *machine} <= set(first) and {"host: node8", *machine} <= set(second)


def test_the_page_asks_nothing_of_any_network(page: str) -> None:
    """Nothing in it does, and its policy would not let it."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    (found,) = re.findall(r'<meta http-equiv="Content-Security-Policy"\s+content="(.*?)">', page)
    assert found == policy
    assert not re.search(r"https?://", page)
    assert not re.search(r"@import|\burl\((?!#)", page)
    assert {value[:5] for value in re.findall(r"\bsrc=.?([^\s>]*)", page)} == {"data:"}
    assert {value[:1] for value in re.findall(r"\bhref=.?([^\s>]*)", page)} == {"#"}


def test_the_same_runs_give_the_same_page(
    runs: list[RunFrames], at_hand: Mapping[str, Material | str], page: str
) -> None:
    again = [seqtrack.load_run(run.path) for run in runs]
    assert render(again, at_hand, worst_count=WORST) == page


def test_a_run_that_has_not_begun_has_a_page_too(tmp_path: Path) -> None:
    run = madeup.write_run(tmp_path, seeds=2, unfinished=(0, 1), eval_sets={"uav123": 2})
    text = render([seqtrack.load_run(run.path)], {})
    assert "No trial has been assessed yet." in text
    assert "loss over training steps" in text
    run.summary_json.unlink()
    assert "0 of 2 trials done" in render([seqtrack.load_run(run.path)], {})


def test_a_set_of_vot_has_its_own_plots(tmp_path: Path) -> None:
    """Of made-up numbers; what they mean is none of the page's business."""
    run = madeup.write_run(tmp_path, seeds=2, eval_sets={"uav123": 2})
    summary = json.loads(run.summary_json.read_text())
    cell = {"std": 0.01, "n": 2, "interval_95": None}
    values = {"EAO": 0.3, "accuracy": 0.6, "robustness": 0.01}  # one trial lost no target: a dot at 0
    summary["results"] = {
        "uav123-full": {
            name: {**cell, "mean": value, "per_seed": {"0": value - 0.01, "1": value + 0.01}}
            for name, value in values.items()
        }
    }
    run.summary_json.write_text(json.dumps(summary))
    for path in run.path.glob("seed_*/assess/*/*/summary.json"):
        found = json.loads(path.read_text())
        found["curves"] = {"expected_overlap": [0.9, 0.8, 0.7], "LT_precision": [0.9, 0.8], "LT_recall": [0.1, 0.7]}
        path.write_text(json.dumps(found))
    text = section(render([seqtrack.load_run(run.path)], {}), "Plots")
    assert re.findall(r'aria-label="(.*?) of .*? on uav123-full"', text) == [
        "Expected overlap", "Precision and recall", "Accuracy and robustness",
    ]  # fmt: skip
    assert re.search(r">\w+ \[0.300 ± 0.010\]</text>", text)
    of_seeds = text.split('aria-label="Accuracy and robustness')[1]
    assert of_seeds.count("opacity: 0.45") >= 2


def test_cells() -> None:
    assert number(None).html() == '<td class="number" data-value="">–</td>'
    assert score(0.5, float("nan")).text == "0.500"
    assert signed(-0.25).text == "−0.250"
    text = table([Column("a<b", 'says "x"')], [[Cell("<i>", swatch=1)]], "l&l")
    assert '<th scope="col" title="says &quot;x&quot;"><button type="button">a&lt;b</button></th>' in text
    assert '<th scope="row"><i class="swatch run-1"></i>&lt;i&gt;</th>' in text
    assert 'aria-label="l&amp;l"' in text


def test_long_training_is_drawn_by_means_of_neighbours() -> None:
    x = np.arange(1000.0)
    kept = thinned(np.stack([x, 2 * x], axis=1), 100)
    assert len(kept[0]) == 100
    np.testing.assert_allclose(kept[0], x.reshape(100, 10).mean(axis=1))
    np.testing.assert_allclose(kept[1], 2 * kept[0])
    few = np.stack([x, x], axis=1)[:100]
    assert thinned(few, 100)[0].tolist() == few[:, 0].tolist()


# What a browser makes of the page in each of several windows; in one of them tables are sorted and filtered.
PROBE = """
const look = (window) => {
  const page = window.document, images = [...page.images];
  const within = (element) => element.closest(".scroll, pre, nav, svg");
  const wide = [...page.body.querySelectorAll("*")].filter((element) => !within(element)
    && element.getBoundingClientRect().right > page.documentElement.clientWidth + 1);
  return {errors: window.errors, images: images.length, decoded: images.filter((image) => image.naturalWidth).length,
    wide: wide.map((element) => element.tagName + "." + element.className).slice(0, 3),
    scrolls: page.documentElement.scrollWidth > page.documentElement.clientWidth + 1,
    unnamed: [...page.querySelectorAll("img, svg[role=img]")].filter((picture) =>
      !(picture.alt || picture.getAttribute("aria-label"))).length};
};
const names = (table) =>
  [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
const use = (window) => {
  const page = window.document, sheet = page.querySelectorAll("#sequences .sheet")[1];
  const table = sheet.querySelector("table"), heads = [...table.tHead.rows[0].cells];
  const click = (column) => { heads[column].querySelector("button").click(); return names(table); };
  const found = {plain: names(table), best: click(2), order: heads[2].getAttribute("aria-sort"), worst: click(2),
    turned: heads[2].getAttribute("aria-sort"), byName: click(0)};
  const field = sheet.querySelector("input");
  field.value = "uav 00";
  field.dispatchEvent(new window.Event("input"));
  return {...found, filtered: names(table), says: sheet.querySelector("output").textContent,
    sorted: page.querySelectorAll("[aria-sort]").length};
};
// What is for paper is shown on the screen, and the page told that it is being printed.
const print = (window) => {
  const page = window.document, rules = [...page.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  for (const rule of rules) if (rule.media && rule.media.mediaText === "print") rule.media.mediaText = "screen";
  const style = (name, property) => window.getComputedStyle(page.querySelector(name))[property];
  const open = () => page.querySelectorAll("details[open]").length, before = open();
  window.dispatchEvent(new window.Event("beforeprint"));
  const during = open(), heights = [...page.querySelectorAll("details pre")].map((body) => body.clientHeight);
  window.dispatchEvent(new window.Event("afterprint"));
  return {nav: style("nav", "display"), tools: style(".tools", "display"), scroll: style(".scroll", "overflowX"),
    pre: style("pre", "whiteSpaceCollapse") + " " + style("pre", "textWrapMode"), before, during, after: open(),
    folded: page.querySelectorAll("details").length, visible: heights.every((height) => height > 0),
    wide: page.documentElement.scrollWidth > page.documentElement.clientWidth + 1};
};
return {pages: windows.map(look), used: use(windows[0]), printed: print(windows[0])};
"""


def test_a_browser_shows_sorts_and_filters_it(page: str, runs: list[RunFrames], browser: str, tmp_path: Path) -> None:
    widths = (1400, 500, 390)
    found = visit_at(browser, page, tmp_path, widths, PROBE)
    images = page.count("data:image/jpeg")
    assert images > 2 * WORST
    assert not isinstance(found, str), found
    assert found["pages"] == [
        {"errors": [], "images": images, "decoded": images, "wide": [], "scrolls": False, "unnamed": 0}
    ] * len(widths)
    rows = runs[1].sequences.query("selected and eval_id == 'uav123-full' and metric == 'AUC'")
    means = rows.groupby("sequence")["value"].mean().sort_values()
    names = [f"uav123_{k:03d}" for k in range(14)]
    assert found["used"] == {
        "plain": names, "best": list(means.index[::-1]), "order": "descending", "worst": list(means.index),
        "turned": "ascending", "byName": names, "filtered": names[:10], "says": "10 of 14", "sorted": 1,
    }  # fmt: skip
    folded = page.count("<details>")
    assert folded > 4
    assert found["printed"] == {
        "nav": "none", "tools": "none", "scroll": "visible", "pre": "preserve wrap", "before": 0, "during": folded,
        "after": 0, "folded": folded, "visible": True, "wide": False,
    }  # fmt: skip
