"""Smaller versions of data sets: made in this process, opened in every way."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from seqtrack.data.datasets import Dataset, PreprocessedDataset, open_dataset
from seqtrack.data.formats import DatasetName
from seqtrack.data.indexing.index import Index
from seqtrack.data.locations import Locations, StageMode
from seqtrack.data.preprocessing.picture_maker import Recipe
from seqtrack.data.preprocessing.preprocess import Outcome, preprocess

VERSIONS = ["crop_62", "resize_fit_48x48", "resize_force_40x36"]


def silent(_: str) -> None:
    """Messages are tested where they are made."""


def original(folder: Path, name: DatasetName, cache: Path) -> Dataset:
    return open_dataset(name, Locations(data_paths={name.folder: folder}, cache_dir=cache), silent)


def make(dataset: Dataset, out: Path, preproc: str, workers: int = 0, **options: Any) -> Outcome:
    recipe = Recipe(preproc, **{key: options.pop(key) for key in ("every", "jpeg_quality") if key in options})
    return preprocess(dataset, recipe, out / preproc / f"{dataset.name}.tar", workers, say=silent, **options)


def version(out: Path, preproc: str, cache: Path, mode: StageMode = "none") -> Locations:
    return Locations(tar_dir=out, preproc=preproc, stage_mode=mode, tmp_data_dir=str(out / "node"), cache_dir=cache)


def open_version(name: DatasetName, locations: Locations) -> PreprocessedDataset:
    dataset = open_dataset(name, locations, silent)
    assert isinstance(dataset, PreprocessedDataset)
    return dataset


def unpacked(out: Path, preproc: str, name: DatasetName, cache: Path) -> Locations:
    with tarfile.open(out / preproc / f"{name.folder}.tar") as archive:
        archive.extractall(out / "folders" / preproc, filter="data")
    return Locations(data_dir=out / "folders", preproc=preproc, cache_dir=cache)


def assert_same_labels(index: Index, expected: Index) -> None:
    assert index.fingerprint == expected.fingerprint
    for video in range(expected.num_videos):
        assert index.video_size(video) == expected.video_size(video)
    for number in range(expected.num_tracks):
        found, track = index.track(number), expected.track(number)
        for column in ("frames", "boxes", "present", "occluded", "visibility"):
            np.testing.assert_array_equal(getattr(found, column), getattr(track, column))


def pictures_of(dataset: PreprocessedDataset) -> dict[tuple[int, int], bytes]:
    """By (track, row), the picture of every row that has one."""
    found = {}
    for track in range(dataset.index.num_tracks):
        stored = dataset.stored(track)
        for row in range(len(dataset.index.track(track).frames)) if stored is None else stored.tolist():
            found[track, row] = dataset.read_target(track, row).data
    return found


def assert_smaller_versions_agree(name: DatasetName, root: Path, folder: Path) -> None:
    """Each kind of version, made of the folder ``root`` and opened in another way: the same labels, every picture."""
    source = original(root, name, folder / "cache")
    elsewhere = folder / "elsewhere"
    for preproc, mode in zip(VERSIONS, ("none", "untar", "tar"), strict=True):
        made = make(source, folder, preproc).manifest
        assert made is not None
        places = version(folder, preproc, elsewhere, mode)  # type: ignore[arg-type]
        for locations in (places, unpacked(folder, preproc, name, elsewhere)):
            dataset = open_version(name, locations)
            assert_same_labels(dataset.index, source.index)
            dataset.verify()
            if preproc.startswith("crop"):
                assert len(pictures_of(dataset)) == made.pictures == made.boxes
            dataset.close()
