"""Which frames are assessed: laws of the samplers and of the starts of TRE."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.assessment.benchmark import benchmark_of
from seqtrack.assessment.protocols import (
    SAMPLERS,
    SAMPLING_MAX_FRAMES,
    Sequence,
    dataset_of,
    eval_id,
    own_sampler,
    runs,
    sample_clip,
    sequences,
    tre_starts,
)
from seqtrack.assessment.scores import Labels
from seqtrack.data.formats import parse_dataset_name
from seqtrack.errors import DataError, UserError


@dataclass(frozen=True)
class ATrack:
    frames: np.ndarray
    boxes: np.ndarray
    present: np.ndarray
    visibility: np.ndarray


@dataclass
class AnIndex:
    """Videos of one track each unless ``tracks_per_video`` says otherwise."""

    tracks: list[ATrack]
    name: str = "bag"
    layout: str = "otb"
    corners: np.ndarray | None = None
    per_video: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.per_video = self.per_video or [1] * len(self.tracks)

    @property
    def num_videos(self) -> int:
        return len(self.per_video)

    def tracks_of(self, video: int) -> range:
        begin = sum(self.per_video[:video])
        return range(begin, begin + self.per_video[video])

    def track_name(self, track: int) -> str:
        return f"t{track}"

    def track(self, track: int) -> ATrack:
        return self.tracks[track]

    def video_size(self, video: int) -> tuple[int, int]:
        return (640, 480)

    def polygons(self, track: int) -> np.ndarray | None:
        return self.corners


def a_track(present: object, first: int = 0) -> ATrack:
    flags = np.asarray(present, bool)
    frames = np.arange(first, first + len(flags), dtype=np.int32)
    return ATrack(frames, np.full((len(flags), 4), 5.0), flags, flags.astype(np.float16))


def a_sequence(present: object) -> Sequence:
    track = a_track(present)
    return Sequence("s", 0, 0, track.frames.astype(np.int64), Labels("s", track.boxes, track.present))


presence = st.lists(st.booleans(), min_size=1, max_size=400).filter(any)


@given(presence, st.integers(1, 30))
def test_starts_rise_inside_the_sequence_and_always_see_the_target(present: list[bool], n: int) -> None:
    starts = tre_starts(a_sequence(present), n)
    assert starts[0] == present.index(True)
    assert all(present[start] for start in starts)
    assert all(a < b for a, b in pairwise(starts))
    assert 1 <= len(starts) <= n


@given(st.integers(60, 400), st.integers(2, 20))
def test_a_long_sequence_has_all_its_starts_evenly_spread_and_20_frames_after_the_last(total: int, n: int) -> None:
    starts = tre_starts(a_sequence([True] * total), n)
    assert len(starts) == n
    assert starts[-1] == total - 20
    gaps = np.diff(starts)
    assert gaps.max() - gaps.min() <= 2, "floors, and the last start pinned"


def test_starts_are_those_of_otbs_own_tool() -> None:
    # 1-based floor(1 : K / 19 : K) with K at the end, K = 471 - 20 + 1 frames may start (David, 20 segments)
    starts = tre_starts(a_sequence([True] * 471), 20)
    assert [start + 1 for start in starts] == [
        1, 24, 48, 72, 96, 119, 143, 167, 191, 215, 238, 262, 286, 310, 334, 357, 381, 405, 429, 452,
    ]  # fmt: skip


def test_one_start_is_the_first_frame_in_view() -> None:
    assert tre_starts(a_sequence([False, False, True, True])) == [2]
    assert tre_starts(a_sequence([False] * 100 + [True]), 5) == [100]


def test_a_sequence_without_target_names_itself() -> None:
    with pytest.raises(DataError, match="sequence 's': its target is never in view"):
        tre_starts(a_sequence([False, False]), 3)
    with pytest.raises(ValueError, match="at least 1"):
        tre_starts(a_sequence([True]), 0)


@given(presence, st.text(max_size=8))
def test_a_clip_is_a_stride_of_the_track_that_begins_with_the_target(present: list[bool], name: str) -> None:
    picks = sample_clip("bag", name, np.array(present))
    assert 1 <= len(picks) <= SAMPLING_MAX_FRAMES
    assert present[picks[0]]
    assert picks[-1] < len(present)
    strides = set(np.diff(picks).tolist())
    assert strides <= {1} or strides <= {2} or strides <= {3} or strides <= {4}
    assert picks.tolist() == sample_clip("bag", name, np.array(present)).tolist()


def test_a_clip_depends_on_both_names_and_has_100_frames_where_the_track_has_them() -> None:
    present = np.ones(1000, bool)
    clips = {(d, t): tuple(sample_clip(d, t, present)) for d in ("bag", "box") for t in ("a", "b", "c")}
    assert len(set(clips.values())) == 6
    assert {len(clip) for clip in clips.values()} == {100}


def test_full_is_every_labelled_frame_of_every_track_in_the_order_of_the_index() -> None:
    index = AnIndex([a_track([True] * 3, first=7), a_track([False, True]), a_track([True])], per_video=[2, 1])
    found = sequences(index, "full")
    assert [(s.name, s.video, s.track, s.frames.tolist()) for s in found] == [
        ("t0", 0, 0, [7, 8, 9]),
        ("t1", 0, 1, [0, 1]),
        ("t2", 1, 2, [0]),
    ]


def test_sampling_keeps_frames_boxes_and_flags_together() -> None:
    track = a_track([True, False] * 200, first=50)
    track.boxes[:, 0] = track.frames
    (clip,) = sequences(AnIndex([track]), "sampling")
    assert (clip.boxes[:, 0] == clip.frames).all()
    assert (clip.present == (clip.frames % 2 == 0)).all()
    assert clip.present[0]


def test_the_truth_is_all_that_the_index_has_of_the_same_frames() -> None:
    """What a benchmark says of the view counts, whatever its presence, which asks for a box too."""
    track = replace(a_track([False] * 200), visibility=np.tile([0.5, 0.0], 100).astype(np.float16))
    corners = np.arange(1600.0).reshape(200, 8)
    (clip,) = sequences(AnIndex([track], layout="vot", corners=corners), "sampling")
    assert clip.labels.regions is not None
    assert clip.labels.regions.tolist() == corners[clip.frames].tolist()
    assert clip.labels.present.tolist() == [frame % 2 == 0 for frame in clip.frames]
    assert clip.labels.size == (640, 480)


def test_a_run_goes_on_from_its_start_and_knows_the_truth_from_there() -> None:
    found = runs([a_sequence([False] + [True] * 9)], "full", tre_num=2, repeats=2)
    assert [(run.key, run.start) for run in found] == [(("s", 0), 1), (("s", 1), 5), (("s", 2), 1), (("s", 3), 5)]
    assert found[1].frames.tolist() == [5, 6, 7, 8, 9]
    assert found[1].labels.boxes.shape == (5, 4) and found[1].labels.present.tolist() == [True] * 5


@pytest.mark.parametrize("sampler", ["supervised", "longterm"])
def test_other_protocols_start_once(sampler: str) -> None:
    assert [run.start for run in runs([a_sequence([True] * 90)], sampler, tre_num=5)] == [0]
    assert [run.number for run in runs([a_sequence([True] * 90)], sampler, repeats=3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("dataset", "sampler"),
    [
        ("otb_100", "full"),
        ("vot2018", "supervised"),
        ("vot:mine", "supervised"),
        ("pysot:VOT2019", "supervised"),
        ("otb:vot2018", "full"),
        ("vot2018_longterm", "longterm"),
        ("vot:My_Longterm", "longterm"),
        ("pysot:VOT2018-LT", "longterm"),
    ],
)
def test_the_benchmarks_own_protocol(dataset: str, sampler: str) -> None:
    assert own_sampler(benchmark_of(parse_dataset_name(dataset))) == sampler and sampler in SAMPLERS


def test_a_box_without_area_or_numbers_is_no_place_to_start_at() -> None:
    track = a_track([True] * 30)
    track.boxes[0], track.boxes[1] = 0.0, np.nan
    (sequence,) = sequences(AnIndex([track]), "full")
    assert sequence.present.tolist() == [False, False] + [True] * 28
    assert tre_starts(sequence, 1) == [2]


def test_max_videos_takes_a_fixed_subset_in_the_order_of_the_index_and_more_only_adds() -> None:
    index = AnIndex([a_track([True]) for _ in range(40)])
    chosen = {n: [s.video for s in sequences(index, "full", n)] for n in (5, 10, 40, 99)}
    assert len(chosen[5]) == 5 and chosen[5] == sorted(chosen[5]) != list(range(5))
    assert set(chosen[5]) < set(chosen[10])
    assert chosen[40] == chosen[99] == list(range(40))
    assert [s.video for s in sequences(index, "sampling", 5)] == chosen[5]
    with pytest.raises(UserError, match="--max_eval_videos"):
        sequences(index, "full", 0)


def test_tracks_never_in_view_are_left_out_and_nothing_left_is_an_error() -> None:
    assert [s.name for s in sequences(AnIndex([a_track([False]), a_track([True])]))] == ["t1"]
    with pytest.raises(DataError, match="data set 'bag': no track has a frame with its target in view"):
        sequences(AnIndex([a_track([False])]))


def test_names() -> None:
    assert eval_id("otb_50", "full") == "otb_50-full"
    assert dataset_of("my-set-full") == "my-set" and dataset_of("my-set") == "my-set"
    with pytest.raises(UserError, match=r"^--eval_samplers: 'ful' is not known; did you mean full\?"):
        sequences(AnIndex([a_track([True])]), "ful")
