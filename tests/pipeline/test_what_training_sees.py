"""From flags to pairs: filters, negative pairs, augmentation and entries with parameters of their own."""

from __future__ import annotations

import csv
import json
import math

import cv2
import pytest

from seqtrack.config import build
from seqtrack.pipeline.request import resolve
from tests.workbench import NUM_STEPS, TRAIN, Workbench

FLAGS = [
    '--augment_params={"search": {"lighting": 1, "blur": 0.2}, "still": {"translate": 16}, "flip": 0.5}',
    '--negative_params={"same_video": 0.3, "other_video": 0.2}',
    '--filter_params={"min_side": 2}',
    f'--train_dataset=[[1, {{"dataset": "otb:{TRAIN}", "sampler": {{"kind": "regular", "freq": 2}}}}]]',
]


def test_a_run_with_everything_on_learns_and_shows_its_negative_pairs(bench: Workbench) -> None:
    result = bench.train(*FLAGS, f"--period_preview={NUM_STEPS}", "--num_workers=1")
    assert result.code == 0, result
    trial = bench.run_folder().trial(0)
    with trial.train_csv.open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses and all(map(math.isfinite, losses))
    (picture,) = trial.previews.iterdir()
    sheet = cv2.imread(str(picture))[..., ::-1]
    red, green = ((sheet == colour).all(axis=2).sum() for colour in ((230, 60, 60), (0, 220, 0)))
    assert red > 20 and green > 20, "boxes of both kinds"


def run_id(**values: object) -> str:
    return resolve(build({"train_dataset": f"otb:{TRAIN}", "eval_datasets": ["otb_50"], **values})).run_id


@pytest.mark.parametrize(
    ("name", "off", "on"),
    [
        ("augment_params", {"search": {"blur": 0.0}, "grey": 0}, {"grey": 0.25}),
        ("negative_params", {"same_video": 0}, {"same_video": 0.1}),
        ("filter_params", {"min_length": 1, "max_aspect": None}, {"min_length": 2}),
    ],
)
def test_what_is_off_is_no_part_of_the_run_however_it_is_spelt(name: str, off: object, on: object) -> None:
    assert run_id(**{name: off}) == run_id(**{name: {}}) == run_id()
    assert run_id(**{name: on}) != run_id()
    assert resolve(build({name: json.dumps(on)})).train == resolve(build({name: on})).train


def test_an_entry_with_parameters_of_its_own_is_another_run_and_is_read_back_as_it_was() -> None:
    entry = {"dataset": f"otb:{TRAIN}", "filter": {"min_side": 8}}
    first = resolve(build({"train_dataset": entry}))
    assert first.run_id != run_id()
    again = resolve(build({"train_dataset": first.train.train_dataset}))
    assert again.train == first.train
    assert again.run_id == resolve(build({"train_dataset": [[7, entry]]})).run_id == first.run_id
