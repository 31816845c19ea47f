"""Which points a sweep has: a pure function of the file; and what is refused in it, a line each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.cluster.work import Work
from seqtrack.errors import UserError
from seqtrack.pipeline.sweep import definition as definitions
from seqtrack.pipeline.sweep import space
from seqtrack.pipeline.sweep.sweep import Sweep, from_definition, is_asked_for, read, record
from seqtrack.runs.paths import TrialKey

NAMES = st.text("abc_.", min_size=1, max_size=8)
KINDS = {
    "uniform": space.uniform(-1.5, 2.5),
    "log_uniform": space.log_uniform(1e-5, 1e-2),
    "int_uniform": space.int_uniform(8, 64),
    "choice": space.choice(["a", "b", "c"]),
}


def test_the_values_are_those_of_the_first_release() -> None:
    """They are part of run ids: should this fail, sweeps of before are not continued but started over."""
    assert space.share(0, 0, "lr_init") == 0.0331502457728452
    (first, second) = space.points(0, 2, {}, KINDS)
    assert first.values == {"uniform": 1.5728, "log_uniform": 3.59043e-05, "int_uniform": 29, "choice": "c"}
    assert second.values["log_uniform"] == 0.000349995


@given(st.integers(0, 2**40), st.integers(0, 9), st.integers(1, 9), st.lists(NAMES, max_size=4), NAMES)
def test_what_is_added_changes_nothing_that_is_there(
    seed: int, count: int, more: int, others: list[str], name: str
) -> None:
    """Neither points nor other parameters nor cells of a grid, whatever their order."""
    mine = {name: KINDS["uniform"]}
    before = [point.values[name] for point in space.points(seed, count, {}, mine)]
    among = {other: KINDS["log_uniform"] for other in others if other != name} | mine
    after = space.points(seed, count + more, {"other": [1, 2]}, among)
    assert [point.values[name] for point in after][: 2 * count : 2] == before


@given(st.integers(0, 2**40), st.integers(0, 10**6), NAMES)
def test_every_value_is_within_its_range(seed: int, number: int, name: str) -> None:
    u = space.share(seed, number, name)
    assert 0 <= u < 1
    assert -1.5 <= KINDS["uniform"].value(u) <= 2.5
    assert 1e-5 <= KINDS["log_uniform"].value(u) <= 1e-2
    assert 8 <= KINDS["int_uniform"].value(u) <= 64
    assert KINDS["choice"].value(u) in ("a", "b", "c")


def test_they_are_spread_as_the_distribution_says() -> None:
    points = space.points(1, 2000, {}, KINDS)
    logs = [math.log10(point.values["log_uniform"]) for point in points]
    assert sum(logs) / len(logs) == pytest.approx(-3.5, abs=0.05)
    assert sum(x < -4 for x in logs) / len(logs) == pytest.approx(1 / 3, abs=0.03)
    assert {point.values["int_uniform"] for point in points} == set(range(8, 65))


def test_every_cell_of_the_grid_meets_every_random_point() -> None:
    grid = {"a": [1, 2], "b": ["x", "y"]}
    points = space.points(0, 2, grid, {"u": KINDS["uniform"]})
    assert [point.number for point in points] == list(range(8))
    assert [(p.values["a"], p.values["b"]) for p in points[:4]] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert [len({p.values["u"] for p in part}) for part in (points[:4], points[4:], points)] == [1, 1, 2]
    assert len(space.points(0, 1, grid, {})) == 4


# The file ---------------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"name": "s", "base": {"num_steps": 4}, "grid": {"lr_init": [0.1, 0.2]}}


def written(folder: Path, **changes: Any) -> Path:
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    return folder / "sweep.yaml"


def made(folder: Path, flags: dict[str, Any] | None = None, **changes: Any) -> Sweep:
    return from_definition(definitions.read(written(folder, **changes)), {"cache_dir": folder, **(flags or {})})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"nmae": "x"}, "nmae: no such key; did you mean name?"),
        ({"name": None}, "name: it is missing: results are found by it; give letters, digits, '.', '_' and '-',"
         " such as lr_search"),
        ({"name": "a/b"}, "name: 'a/b'; give letters, digits, '.', '_' and '-', such as lr_search"),
        ({"name": "latest"}, "name: 'latest' means the run submitted last; choose another name"),
        ({"name": 2024}, 'name: 2024 is no text; put it in quotes: "2024"'),
        ({"grid": None}, "grid: there is nothing to sweep; give grid, random or both"),
        ({"grid": {"lr_inti": [1]}}, "grid.lr_inti: no such flag; did you mean lr_init?"),
        ({"grid": {"lr_init": 0.1}}, "grid.lr_init: expected a list of values, got 0.1"),
        ({"grid": {"model_params": {"context": [1]}}}, "grid.model_params: expected a list of values, got {'context':"
         " [1]}; to sweep what is inside of it, write model_params.context: […]"),
        ({"grid": {"lr_init": [0.1, 0.1]}}, "grid.lr_init: 0.1 is there twice"),
        ({"grid": {"batchsz": [0]}}, "grid.batchsz: expected 1 or more, got 0"),
        ({"grid": {"optimizer": ["admm"]}}, "grid.optimizer: 'admm' is not known; did you mean adam?"),
        ({"grid": {"num_workers": [1, 2]}}, "grid.num_workers: --num_workers changes nothing that is learned,"
         " nor how one tracks with it, so every point would be the same run; give it in base, or as a flag"),
        ({"grid": {"eval_repeats": [1, 3]}}, "grid.eval_repeats: --eval_repeats changes what is measured, so that"
         " scores of two points could not be compared; give it in base, or as a flag"),
        ({"grid": {"variant": ["a"]}}, "grid.variant: --variant is only a name and changes nothing that is learned;"
         " num_trials repeats"),
        ({"grid": {"optimizer.lr": [1]}}, "grid.optimizer.lr: --optimizer has no parameters inside; sweep optimizer"
         " itself"),
        ({"grid": {"model_params.context": [1], "model_params": [{}]}}, "grid.model_params.context: it lies inside of"
         " grid.model_params, which is swept as a whole; leave one out"),
        ({"base": {"name": "x"}}, "base.name: it would name every run alike; the sweep has a name of its own"),
        ({"base": {"batchsz": 0}}, "base.batchsz: expected 1 or more, got 0"),
        ({"base_config": "x.yaml"}, "base_config: there is a base too; give one of the two"),
        ({"points": 3}, "points: it is the number of random points, and there is no random; leave it out"),
        ({"random": {"batchsz": {"int_uniform": [1, 2]}}}, "points: how many? give a whole number"),
        ({"random": {"lr_init": {"uniform": [0.1, 1]}}, "points": 1},
         "random.lr_init: it is in grid too; leave it in one of the two"),
        ({"random": {"batchsz": [4, 8]}}, "random.batchsz: expected one of uniform, log_uniform, int_uniform, choice,"
         " such as {choice: [4, 8]}, got [4, 8]"),
        ({"random": {"batchsz": {"int_unform": [1, 2]}}}, "random.batchsz: 'int_unform' is no distribution; did you"
         " mean int_uniform?"),
        ({"random": {"batchsz": {"int_uniform": [2, 2]}}},
         "random.batchsz.int_uniform: expected low < high, got [2, 2]"),
        ({"random": {"batchsz": {"uniform": [1, 9]}}}, "random.batchsz.uniform: --batchsz is a whole number; use"
         " int_uniform or choice"),
        ({"random": {"max_grad_norm": {"log_uniform": [0, 1]}}}, "random.max_grad_norm.log_uniform: there is no"
         " logarithm of 0; give a low end above 0"),
        ({"random": {"pool_split": {"uniform": [0.5, 1.5]}}}, "random.pool_split.uniform: expected more than 0 and at"
         " most 1, got 1.5"),
        ({"random": {"batchsz": {"int_uniform": [1, 10**6]}}, "points": 10**6}, "points: 2000000 points; at most"
         " 10000 are taken"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        definitions.read(path)
    assert str(error.value) == f"{path}: {line}"


def test_what_only_a_whole_configuration_can_tell_names_key_and_point(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        made(tmp_path, grid={"model_params.templte_size": [87, 127]})
    assert str(error.value) == (
        f"{tmp_path}/sweep.yaml: grid.model_params.templte_size: point 0 (model_params.templte_size=87):"
        " --model_params: 'templte_size' is not a parameter; did you mean template_size?"
    )


def test_what_is_wrong_without_any_point_is_no_points_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--train_dataset: data set 'nosuch' is not known;"):
        made(tmp_path, base={"num_steps": 4, "train_dataset": "nosuch"})


def test_flags_go_over_base_but_not_over_what_is_swept(tmp_path: Path) -> None:
    sweep = made(tmp_path, {"num_trials": 4}, num_trials=3)
    assert [len(request.seeds) for request in sweep.requests] == [4, 4]
    assert [request.train.num_steps for request in made(tmp_path, {"num_steps": 7}).requests] == [7, 7]
    with pytest.raises(UserError, match=r"^--lr_init: .*sweep\.yaml sweeps it; leave the flag out$"):
        made(tmp_path, {"lr_init": 0.5})


def test_dotted_names_reach_into_what_is_there(tmp_path: Path) -> None:
    base = {"num_steps": 4, "model_params": {"search_size": 119}}
    grid = {"model_params.template_size": [87, 95], "model_params.feature_params.arch_params.width": ["1e-1"]}
    params = [request.train.model_params for request in made(tmp_path, base=base, grid=grid).requests]
    assert [(p["template_size"], p["search_size"]) for p in params] == [(87, 119), (95, 119)]
    assert [p["feature_params"]["arch_params"]["width"] for p in params] == [0.1, 0.1]


def test_a_small_number_needs_no_point(tmp_path: Path) -> None:
    """YAML takes 1e-4 for a text, wherever it stands."""
    base = {"num_steps": 4, "model_params": {"context": "5e-1"}}
    grid = {"optimizer_params": [{"weight_decay": "1e-4"}], "lr_init": ["1e-3"]}
    (request,) = made(tmp_path, base=base, grid=grid).requests
    assert request.train.optimizer_params["weight_decay"] == 0.0001
    assert request.train.lr_init == 0.001


def test_points_that_are_the_same_run_are_one(tmp_path: Path) -> None:
    """A parameter left at its default, and given with its default, are one run."""
    sweep = made(tmp_path, grid={"lr_init": [0.1, 0.2], "lr_params": [{}, {"warmup_steps": 0}]})
    assert [run.numbers for run in sweep.runs] == [(0, 1), (2, 3)]
    assert sweep.same == [
        f"points 0, 1 are the same run {sweep.runs[0].run_id}, which runs once",
        f"points 2, 3 are the same run {sweep.runs[1].run_id}, which runs once",
    ]


def test_many_points_that_are_the_same_run_are_one_short_line(tmp_path: Path) -> None:
    sweep = made(tmp_path, grid=None, random={"optimizer": {"choice": ["sgd", "adam"]}}, points=40)
    assert [len(run.numbers) for run in sweep.runs] == [20, 20]
    assert sweep.same[0] == (
        f"points {', '.join(map(str, sweep.runs[0].numbers[:8]))}, … (20) are the same run {sweep.runs[0].run_id},"
        " which runs once"
    )


def test_points_that_only_track_otherwise_share_their_training(tmp_path: Path) -> None:
    """The same parameters, spelled out or left at their defaults, are one point."""
    grid = {"lr_init": [0.1, 0.2], "tracker_params.scale_lr": [0.3, 0.59, 0.7]}
    sweep = made(tmp_path, {"num_trials": 2, "tracker_params": {"num_scales": 1}}, grid=grid)
    first, second = dict.fromkeys(run.run_id for run in sweep.runs)
    assert [run.run_id for run in sweep.runs] == [first] * 3 + [second] * 3
    assert [run.numbers for run in sweep.runs] == [(0,), (1,), (2,), (3,), (4,), (5,)]
    params = [request.assess.tracker_params for request in sweep.requests]
    assert [(p["scale_lr"], p["num_scales"]) for p in params] == [(0.3, 1), (0.59, 1), (0.7, 1)] * 2
    work = Work(sweep.requests, sweep.folder)
    assert work.trials == tuple(TrialKey(run, seed) for run in (first, second) for seed in (0, 1))
    assert [request.assess.tracker_params["scale_lr"] for request in work.summarised] == [0.7, 0.7]
    questions = [Work(requests, sweep.folder).questions for requests in (sweep.requests[:3], sweep.requests[:2])]
    assert questions[0][first] == work.questions[first] != questions[1][first]
    default = made(tmp_path, grid={"tracker_params": [{}, {"num_scales": 3}]})
    assert [run.numbers for run in default.runs] == [(0, 1)]


def test_a_sweep_is_read_back_as_it_was_asked_for(tmp_path: Path) -> None:
    """The points of one run do not lie side by side."""
    path = written(tmp_path, random={"tracker_params.scale_lr": {"uniform": [0, 1]}}, points=2)
    flags = {"cache_dir": tmp_path / "cache", "snapshot": False}
    sweep = from_definition(definitions.read(path), flags)
    submission = record(sweep, definitions.read(path))
    found = read(sweep.folder, submission)
    assert found.runs == sweep.runs
    assert [request.assess for request in found.requests] == [request.assess for request in sweep.requests]
    assert [request.train.lr_init for request in found.requests] == [0.1, 0.2, 0.1, 0.2]
    assert is_asked_for(found)
    gone = found.requests[1].run
    gone.submissions.unlink()
    with pytest.raises(UserError) as error:
        read(sweep.folder)
    assert str(error.value) == (
        f"{sweep.folder.path}: its run {gone.run_id} is gone; give the sweep's command again to have it"
    )
