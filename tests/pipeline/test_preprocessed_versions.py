"""Training from versions that ``seqtrack preprocess`` made (crops, whole frames), and what is assessed then."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqtrack.config import build
from seqtrack.data.datasets import is_indexed, prepare
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.locations import Locations
from seqtrack.errors import UserError
from seqtrack.pipeline.data import opened, pair_source
from seqtrack.pipeline.request import resolve
from seqtrack.tools import pack, preprocess
from seqtrack.training.task import PairSizes
from tests.workbench import EVAL, TRAIN, Result, Workbench, table_of, trained_attempts

SHORT = ("--num_steps=4", "--period_ckpt=2", "--period_summary=2")


@pytest.fixture
def versions(bench: Workbench) -> Workbench:
    """A bench whose tars may get company: the originals are linked."""
    tars = bench.folder / "tars"
    tars.mkdir()
    (tars / "original").symlink_to(bench.tars / "original")
    bench.tars = tars
    return bench


def make(bench: Workbench, name: str, preproc: str, *words: str) -> None:
    flags = (f"--tar_dir={bench.tars}", f"--out={bench.tars}", f"--data_cache_dir={bench.folder}/dataset_cache")
    code = preprocess.main([f"--dataset=otb:{name}", f"--preproc={preproc}", *flags, "--num_workers=0", *words])
    assert code == 0


def assessed(bench: Workbench) -> list[Path]:
    return sorted(bench.run_folder().path.glob(f"seed_0/assess/{EVAL}-full/step_*"))


def read_frames_of(folder: Path) -> str:
    """The digest of the tar that an assessment read."""
    return str(yaml.safe_load((folder / "config.yaml").read_text())["data"]["frames"])


def check_promised(bench: Workbench, result: Result) -> None:
    assert result.code == 0, result
    assert table_of(result.out)[1].startswith(f"{EVAL}-full")
    assert trained_attempts(bench.run_folder().trial(0)) == 1


def test_training_from_crops_is_assessed_on_the_original(versions: Workbench) -> None:
    make(versions, TRAIN, "crop_254", "--every=2")
    flags = (*SHORT, "--preproc=crop_254", "--untar", f"--tmp_data_dir={versions.folder}/node")
    first = versions.train(*flags)
    check_promised(versions, first)
    assert (versions.folder / f"node/crop_254/{TRAIN}/000000/000000.jpg").exists()
    assert (versions.folder / f"node/original/{EVAL}").is_dir()

    # The same thing by its name is the same thing: nothing is assessed again.
    again = versions.train(*flags, "--eval_preproc=original")
    assert table_of(again.out) == table_of(first.out)
    assert len(assessed(versions)) == 1


def test_training_from_resized_frames_is_assessed_on_them_or_on_others(versions: Workbench) -> None:
    for name in (TRAIN, EVAL):
        make(versions, name, "resize_fit_80x80")
    flags = (*SHORT, "--preproc=resize_fit_80x80")
    check_promised(versions, versions.train(*flags))
    (resized,) = assessed(versions)

    check_promised(versions, versions.train(*flags, "--eval_preproc=original"))
    assert len(assessed(versions)) == 2
    (original,) = set(assessed(versions)) - {resized}
    assert read_frames_of(original) != read_frames_of(resized)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--eval_preproc=crop_254"], "--eval_preproc: crop_254 has no whole frames to assess on"),
        (
            ["--preproc=crop_254", "--imwidth=64", "--imheight=64"],
            "--imwidth: crop_254 has no whole frames to resize",
        ),
    ],
)
def test_crops_are_no_frames(bench: Workbench, words: list[str], message: str) -> None:
    result = bench.train(*SHORT, *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")


def test_crops_smaller_than_search_regions_are_refused_before_anything_is_trained(bench: Workbench) -> None:
    result = bench.train(*SHORT, "--preproc=crop_64")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: --preproc: crop_64 is smaller than this model's search regions (")
    assert not list(bench.cache.glob("*/*"))


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ({}, False),
        ({"augment_motion": True, "motion_params": {"translate": 0, "log_scale": 0}}, False),
        ({"augment_motion": True}, True),
        ({"augment_params": {"still": {"translate": 4}}}, True),
        ({"augment_params": {"grey": 0.5}}, False),
    ],
)
def test_training_checks_the_sizes_of_any_task_against_its_crops(
    versions: Workbench, flags: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A task of a person's own says its sizes only then: here 16 and 32 pixels, so that 127 x 32 / 16 = 254 are
    needed for regions that stay where they are."""
    make(versions, TRAIN, "crop_254")
    machine = {
        "tar_dir": str(versions.tars),
        "data_cache_dir": f"{versions.folder}/dataset_cache",
        "preproc": "crop_254",
    }
    model = {"model_params": {"template_size": 95, "search_size": 159}}
    request = resolve(
        build({**machine, **model, "train_dataset": f"otb:{TRAIN}", "eval_datasets": [f"otb:{EVAL}"], **flags})
    )
    with opened(request, request.training_datasets, lambda _: None) as sets:
        pair_source(request, sets, request.train.train_dataset, "train_dataset", PairSizes(16, 32, 0.5), seed=0)
        assert ("reach beyond these crops and end in one colour" in caplog.text) == warned
        with pytest.raises(UserError, match=r"crop_254 is smaller .* use crop_262 or larger"):
            pair_source(request, sets, request.train.train_dataset, "train_dataset", PairSizes(16, 33, 0.5), seed=0)


def test_a_version_without_all_frames_is_refused_before_anything_is_trained(versions: Workbench) -> None:
    for name in (TRAIN, EVAL):
        make(versions, name, "resize_fit_80x80", "--every=3")
    result = versions.train(*SHORT, "--preproc=resize_fit_80x80")
    assert result.code == 2, result
    assert result.err.splitlines()[-1] == (
        f"error: --eval_preproc: {versions.tars}/resize_fit_80x80/{EVAL}.tar serves training only"
        " (it was made with --every 3); give --eval_preproc original"
    )
    assert not list(versions.cache.glob("*/*"))


def test_a_version_with_frames_left_out_is_refused_too(versions: Workbench) -> None:
    """It would fail after the training, at the first of them."""
    broken = versions.folder / "broken" / EVAL
    with tarfile.open(versions.tars / "original" / f"{EVAL}.tar") as tar:
        tar.extractall(broken.parent, filter="data")
    frame = sorted(broken.rglob("*.jpg"))[5]
    frame.write_bytes(frame.read_bytes()[:900])
    make(versions, TRAIN, "resize_fit_80x80")
    make(versions, EVAL, "resize_fit_80x80", f"--source={broken}", "--skip_unreadable")
    result = versions.train(*SHORT, "--preproc=resize_fit_80x80")
    assert result.code == 2, result
    assert "serves training only (1 frames were left out as unreadable)" in result.err.splitlines()[-1]


def test_the_same_pictures_are_the_same_data_however_they_are_stored(versions: Workbench) -> None:
    """And ``--storage`` is about training: what is assessed is read as it lies."""
    make(versions, TRAIN, "crop_254")
    flags = (*SHORT, "--preproc=crop_254")
    first = versions.train(*flags)
    check_promised(versions, first)
    tar = versions.tars / "crop_254" / f"{TRAIN}.tar"
    words = [f"--dataset=otb:{TRAIN}", f"--source={tar}", f"--tar_dir={versions.tars}", "--preproc=crop_254"]
    assert pack.main([*words, "--format=zip"]) == 0
    for stored in (["--storage=zip"], ["--storage=zip", "--stage_mode=memory", "--no-tmp_keep"]):
        again = versions.train(*flags, *stored, "--num_trials=1")
        assert again.code == 0, again
        assert table_of(again.out) == table_of(first.out)

    # Made anew with fewer pictures it is other data, also where it has been unpacked.
    with tarfile.open(tar) as archive:
        archive.extractall(versions.folder / "data" / "crop_254", filter="data")
    make(versions, TRAIN, "crop_254", "--every=2", "--overwrite")
    result = versions.train(*flags, "--storage=tar")
    assert result.code == 2, result
    assert f"was made before its data changed: {TRAIN}" in result.err
    back = versions.train(*flags, f"--data_dir={versions.folder}/data", "--from_file")
    assert back.code == 0, back
    assert table_of(back.out) == table_of(first.out)


def test_what_has_been_indexed_once_needs_no_job_for_it(versions: Workbench) -> None:
    make(versions, TRAIN, "crop_254")
    places = Locations(tar_dir=versions.tars, preproc="crop_254", cache_dir=versions.folder / "elsewhere")
    name = parse_dataset_name(f"otb:{TRAIN}")
    assert not is_indexed(name, places)
    prepare(name, places)
    assert is_indexed(name, places)
