"""Opening the data sets of a request for training."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from seqtrack.data import datasets
from seqtrack.data.datasets import Dataset
from seqtrack.data.formats import DatasetName
from seqtrack.data.preprocessing.versions import check_room, has_room, side_needed
from seqtrack.data.sampling.augment import parse_augment_params
from seqtrack.data.sampling.draws import parse_negative_params
from seqtrack.data.sampling.filters import parse_filter_params
from seqtrack.data.sampling.mixture import Mixture, parse_mixture
from seqtrack.data.sampling.motion import MotionParams, parse_motion_params
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.pools import POOLS, PoolPart, pool_members
from seqtrack.data.sampling.samplers import parse_sampler_params
from seqtrack.pipeline.request import Request
from seqtrack.training.task import PairSizes

log = logging.getLogger(__name__)
Say = Callable[[str], None]


@contextlib.contextmanager
def opened(request: Request, names: Mapping[str, DatasetName], say: Say) -> Iterator[dict[str, Dataset]]:
    """The data sets, staged if the request says so, by the names that mixtures call them."""
    with contextlib.ExitStack() as stack:
        found = {}
        for called, name in names.items():
            found[called] = datasets.open_dataset(name, request.locations, say)
            stack.callback(found[called].close)
        yield found


def pair_source(
    request: Request, sets: Mapping[str, Dataset], value: Any, flag: str, sizes: PairSizes, seed: int
) -> PairSource:
    """Pairs drawn from the mixture ``value``; ``flag`` also names the random stream."""
    train = request.train
    mixture = parse_mixture(value, f"--{flag}")
    motion: MotionParams | None = parse_motion_params(train.motion_params) if train.augment_motion else None
    augment = parse_augment_params(train.augment_params) if train.augment_params else None
    check_room(train.preproc, sizes.exemplar, sizes.search, sizes.context)
    moves = ([motion] if motion else []) + ([augment.still] if augment else [])
    _warn_of_edges(train.preproc, sizes, moves)
    return PairSource(
        {name: sets[name] for name in members(mixture, request)},
        mixture,
        parse_sampler_params(train.sampler_params),
        PairParams(sizes.exemplar, sizes.search, sizes.context, request.view_size),
        motion,
        train.batchsz,
        seed,
        stream=flag,
        subsets=_subsets(request, sets, mixture),
        augment=augment,
        filters=parse_filter_params(train.filter_params),
        negatives=parse_negative_params(train.negative_params),
    )


def _warn_of_edges(preproc: str, sizes: PairSizes, moves: Iterable[MotionParams]) -> None:
    reach = max((motion.reach(sizes.search) for motion in moves), default=1.0)
    side = side_needed(reach * sizes.search / sizes.exemplar, sizes.context)
    if not has_room(preproc, side):
        log.warning(
            "--preproc %s: search regions that move furthest (--augment_motion, still) reach beyond these crops and"
            " end in one colour; crop_%d holds all of them",
            preproc,
            side,
        )


def members(mixture: Mixture, request: Request) -> list[str]:
    """Data sets behind the names of a mixture, each once, pools spelled out, as batches number them."""
    found: list[str] = []
    for name in mixture.names():
        found += request.train.pool_datasets if name in POOLS else [name]
    return list(dict.fromkeys(found))


def _subsets(
    request: Request, sets: Mapping[str, Dataset], mixture: Mixture
) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Tracks of each pool, and of each data set with a list, in the mixture, by data set."""

    def videos(called: str) -> list[int]:
        return request.training_datasets[called].videos(sets[called].index)

    def tracks(called: str, part: PoolPart | None = None) -> np.ndarray[Any, Any]:
        index, chosen = sets[called].index, videos(called)
        if part is not None:
            # What lists take from one data set is split as one, or a video in two of them might be on both sides.
            every = {
                video
                for name in request.train.pool_datasets
                if sets[name].index.fingerprint == index.fingerprint
                for video in videos(name)
            }
            chosen = sorted(
                set(pool_members(index, part, request.train.pool_split, videos=sorted(every))) & set(chosen)
            )
        return np.array([track for video in chosen for track in index.tracks_of(video)], dtype=np.int64)

    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for name in mixture.names():
        if name in POOLS:
            found[name] = {called: tracks(called, name) for called in request.train.pool_datasets}
        elif request.training_datasets[name].only:
            found[name] = {name: tracks(name)}
    return found
