"""A run restricted to listed sequences: what it is the same as, what it learns from, what it is assessed on."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

from seqtrack.config import build
from seqtrack.pipeline.data import opened, pair_source
from seqtrack.pipeline.request import resolve
from seqtrack.runs.paths import TrialFolder
from seqtrack.training.task import PairSizes
from tests.data.otb_layout import write_sequence
from tests.workbench import EVAL, TRAIN, Result, Workbench, table_of


def a_list(bench: Workbench, name: str, *lines: str) -> str:
    path = bench.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return name


def check_mistake(result: Result, message: str) -> None:
    assert (result.code, result.err) == (2, f"error: {message}\n"), result


def test_a_list_enters_the_run_id_by_what_it_says(bench: Workbench) -> None:
    a_list(bench, "a.txt", "Train001")
    a_list(bench, "elsewhere/b.txt", "# the same", "Train001")
    a_list(bench, "c.txt", "Train002")
    ids = [
        bench.run_id(f"--train_dataset=otb:{TRAIN}{file}") for file in ("", "@a.txt", "@elsewhere/b.txt", "@c.txt")
    ]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3
    pool = ["--train_dataset=pool_train", "--pool_datasets"]
    pools = [bench.run_id(*pool, f"otb:{TRAIN}{file}") for file in ("", "@a.txt", "@c.txt")]
    assert len(set(pools)) == 3
    # What is assessed on is no part of it.
    assert bench.run_id("--eval_datasets", f"otb:{TRAIN}@a.txt") == ids[0]


def test_pairs_come_from_listed_sequences_only(bench: Workbench, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.txt" for name in ("first", "second")]
    for path, line in zip(paths, ("0", "Train002"), strict=True):
        path.write_text(line)
    first, second = (f"otb:{TRAIN}@{path}" for path in paths)

    def videos(**flags: Any) -> set[tuple[int, int]]:
        """(number of the data set, video) of the pairs of a batch."""
        machine = {"tar_dir": str(bench.tars), "data_cache_dir": str(tmp_path / "index"), "batchsz": 24}
        request = resolve(build({**machine, **flags}))
        with opened(request, request.training_datasets, lambda _: None) as sets:
            sizes = PairSizes(exemplar=16, search=32, context=0.5)
            source = pair_source(request, sets, request.train.train_dataset, "train_dataset", sizes, seed=0)
            index = next(iter(sets.values())).index
            return {(int(n), index.track_video(track)) for n, track, *_ in source.batch(0)["sample"]}

    assert videos(train_dataset=first) == {(0, 0)}
    assert videos(train_dataset=second) == {(0, 1)}
    # Two lists of one data set are two data sets.
    assert videos(train_dataset=[[0.5, first], [0.5, second]]) == {(0, 0), (1, 1)}
    assert videos(train_dataset="pool_train", pool_datasets=[second]) == {(0, 1)}
    assert videos(train_dataset="pool_train", pool_datasets=[first, second]) == {(1, 1)}


def test_a_video_that_lists_take_twice_is_on_one_side_of_the_pool(tmp_path: Path) -> None:
    """Ten sequences, of which a list takes the first six and another the last six; and all of them, beside a list."""
    numbers = range(1, 11)
    for number in numbers:
        write_sequence(tmp_path / f"small/S{number:02d}", [1, 2], "1,1,8,8\n2,2,8,8\n")
    listed = {"head.txt": numbers[:6], "tail.txt": numbers[4:]}
    for name, members in listed.items():
        (tmp_path / name).write_text("".join(f"S{number:02d}\n" for number in members))
    head, tail = (f"otb:small@{tmp_path}/{name}" for name in listed)

    def side(part: str, *names: str) -> dict[int, set[int]]:
        """Videos that were drawn, by data set."""
        machine = {"data_paths": {"small": str(tmp_path / "small")}, "data_cache_dir": str(tmp_path / "index")}
        pool = {"train_dataset": part, "pool_datasets": list(names), "pool_split": 0.5, "batchsz": 200}
        request = resolve(build({**machine, **pool, "eval_datasets": ["otb:small"]}))
        found: dict[int, set[int]] = {}
        with opened(request, request.training_datasets, lambda _: None) as sets:
            sizes = PairSizes(exemplar=16, search=32, context=0.5)
            source = pair_source(request, sets, part, "train_dataset", sizes, seed=0)
            index = next(iter(sets.values())).index
            for number, track, *_ in source.batch(0)["sample"]:
                found.setdefault(int(number), set()).add(index.track_video(int(track)))
        return found

    whole = [side(part, "otb:small")[0] for part in ("pool_train", "pool_val")]
    for names in ((head, tail), ("otb:small", tail)):
        both = [set().union(*side(part, *names).values()) for part in ("pool_train", "pool_val")]
        assert both == whole
    # One list alone is split by itself: half of it on each side.
    assert [len(side(part, head)[0]) for part in ("pool_train", "pool_val")] == [3, 3]


def test_results_of_different_lists_are_kept_apart(bench: Workbench) -> None:
    hard, easy = a_list(bench, "hard.txt", "Eval001"), a_list(bench, "lists/easy.txt", "1")
    flags = ["--num_steps=1", "--period_ckpt=1", "--max_eval_videos=1", "--eval_datasets"]
    flags += [f"otb:{EVAL}", f"otb:{EVAL}@{hard}", f"otb:{EVAL}@{easy}"]
    result = bench.train(*flags)
    assert result.code == 0, result
    trial = bench.run_folder().trial(0)
    (whole, of_easy, of_hard) = sorted(path.name for path in (trial.path / "assess").iterdir())
    assert whole == f"{EVAL}-full"
    assert of_easy.startswith(f"{EVAL}@easy-")
    assert of_hard.startswith(f"{EVAL}@hard-")
    assert of_easy in "\n".join(table_of(result.out))
    assert assessed(trial, of_easy) == ["Eval002"]
    assert assessed(trial, of_hard) == ["Eval001"]
    # At most one video of each.
    assert len(assessed(trial, whole)) == 1

    # A worker reads what the command was given, not what has become of the file.
    shutil.rmtree(bench.folder / "lists")
    (bench.folder / "hard.txt").write_text("Eval002\n")
    shutil.rmtree(trial.path / "assess")
    again = bench.run("train_work", str(bench.run_folder().path), "0")
    assert again.code == 0, again
    assert assessed(trial, of_hard) == ["Eval001"]

    # The command with the edited list asks for another set.
    edited = bench.train(*flags[:-1], f"--optimize_dataset=otb:{EVAL}@{hard}", "--dry_run")
    (wanted,) = re.findall(rf"would be assessed: ({EVAL}@hard-\w+-full) at step 1", edited.out)
    assert wanted != of_hard


def assessed(trial: TrialFolder, eval_id: str) -> list[str]:
    (file,) = (trial.path / "assess" / eval_id).glob("step_*/sequences.csv")
    with file.open() as lines:
        return [row["sequence"] for row in csv.DictReader(lines)]


def test_a_validation_list_that_changes_in_the_middle_is_no_silent_change(bench: Workbench) -> None:
    listed = a_list(bench, "val.txt", "Eval001")
    flags = [f"--val_dataset=otb:{EVAL}@{listed}", "--num_steps=2", "--period_ckpt=2", "--period_summary=2"]
    result = bench.train(*flags)
    assert result.code == 0, result
    a_list(bench, "val.txt", "Eval002")
    changed = bench.train(*flags)
    assert changed.code == 2, changed
    assert f"data changed: otb:{EVAL}@val.txt" in changed.err


def test_mistakes_are_one_line(bench: Workbench) -> None:
    a_list(bench, "wrong.txt", "train_002")
    a_list(bench, "empty.txt", "# none")
    check_mistake(
        bench.train(f"--train_dataset=otb:{TRAIN}@missing.txt"),
        "--train_dataset: missing.txt: cannot read this list of sequences (No such file or directory)",
    )
    check_mistake(
        bench.train("--eval_datasets", f"otb:{EVAL}@empty.txt"),
        "--eval_datasets: empty.txt: no sequence in this list; expected one per line",
    )
    check_mistake(
        bench.train(f"--train_dataset=otb:{TRAIN}@wrong.txt"),
        f"wrong.txt: {TRAIN} has no sequence 'train_002'; did you mean Train002?",
    )
    mixture = json.dumps([[1, f"otb:{TRAIN}@"], [1, f"otb:{EVAL}"]])
    check_mistake(
        bench.train(f"--train_dataset={mixture}"),
        f"--train_dataset: data set 'otb:{TRAIN}@': expected the file of a list of sequences after @",
    )
    assert not list(bench.cache.glob("*/seed_*"))
