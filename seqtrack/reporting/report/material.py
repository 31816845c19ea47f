"""The data sets that runs were assessed on, as far as they are at hand: labels for attributes, frames for strips.

Nothing is staged, and an index is built only of what a person's flags point at: what is not there otherwise is named,
with what to do about it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrack import config as configuration
from seqtrack.assessment.marked import marked
from seqtrack.assessment.protocols import Sequence, sequences
from seqtrack.data.datasets import Dataset, is_indexed, open_dataset, open_index_of
from seqtrack.data.formats import DatasetName
from seqtrack.data.indexing.index import CachedIndex, Index
from seqtrack.data.locations import Locations, locate, locations_of
from seqtrack.data.preprocessing.versions import assessed_version, is_crop
from seqtrack.errors import SeqtrackError, UserError
from seqtrack.reporting.frames import RunFrames

_PLACES = ("data_dir", "tar_dir", "data_paths", "data_cache_dir")


@dataclass(frozen=True)
class Material:
    """What is at hand of one eval set.

    Attributes:
        sequences: by name, with their truth.
        dataset: opened, for its frames; None where there are only labels, and ``why_no_frames`` says why.
    """

    sequences: Mapping[str, Sequence]
    index: Index
    dataset: Dataset | None
    why_no_frames: str = ""


def find(
    run: RunFrames,
    eval_id: str,
    given: Mapping[str, Any],
    with_frames: bool = True,
    say: Callable[[str], object] = lambda _: None,
) -> Material | str:
    """What is at hand of an eval set of a run, or one line that says what is missing and what to give.

    Args:
        given: places as flags say (``data_dir``, …, ``preproc``); they come before the machine's own files, and these
            before what the run recorded.
        with_frames: False leaves the data set closed.
        say: is told of an index that is built.
    """
    try:
        return _find(run, eval_id, given, with_frames, say)
    except SeqtrackError as error:
        return str(error)


def _find(
    run: RunFrames, eval_id: str, given: Mapping[str, Any], with_frames: bool, say: Callable[[str], object]
) -> Material | str:
    name = run.dataset_name(eval_id)
    why = ""
    places = list(_locations(run, given))
    for locations in places:
        try:
            locate(name, locations)
        except UserError:
            continue
        if not given and not is_indexed(name, locations):
            why = f"{name} has no index in {locations.cache_dir}; give --data_dir or --tar_dir, and it is built"
            continue
        if is_crop(locations.preproc):
            why = f"{name} is at hand as {locations.preproc} only, which has no whole frames; give --preproc original"
        if is_crop(locations.preproc) or not with_frames:
            index = open_index_of(name, locations, say)
            return Material(_sequences(run, eval_id, name, index, locations), index, None, why)
        dataset = open_dataset(name, locations, say)
        return Material(_sequences(run, eval_id, name, dataset.index, locations), dataset.index, dataset)
    why = why or f"{name} is not at hand; give --data_dir, --tar_dir or --data_paths {name.folder}=DIR"
    for locations in places:
        if (labels := CachedIndex(name, locations.cache_dir).newest()) is not None:
            return Material(_sequences(run, eval_id, name, labels, locations), labels, None, why)
    return why


def _sequences(
    run: RunFrames, eval_id: str, name: DatasetName, index: Index, locations: Locations
) -> dict[str, Sequence]:
    sampler = eval_id.rpartition("-")[2]
    found = sequences(index, sampler, run.assess.get("max_eval_videos"), name.videos(index))
    return {sequence.name: sequence for sequence in marked(found, index, name, locations)}


def _locations(run: RunFrames, given: Mapping[str, Any]) -> Iterator[Locations]:
    """Where to look: where flags and this machine's files say, then where the run found it."""
    recorded = run.submission.get("execution", {})
    then = {name: recorded[name] for name in _PLACES if recorded.get(name)}
    preproc = given.get("preproc") or assessed_version(
        run.config.get("preproc", "original"), run.assess.get("eval_preproc")
    )
    machine = {name: value for name, value in configuration.machine_values().items() if name in _PLACES}
    here = locations_of(configuration.build({**machine, **given}))
    # Only the person's own flags speak for an index elsewhere than where the run had it.
    if "data_cache_dir" in then and "data_cache_dir" not in {**machine, **given}:
        here = dataclasses.replace(here, cache_dir=Path(then["data_cache_dir"]))
    there = locations_of(configuration.build({**then, **given}))
    yield from (dataclasses.replace(one, preproc=preproc, stage_mode="none") for one in (here, there))
