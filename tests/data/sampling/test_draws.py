"""Which frames make the pairs: shares as declared, the three kinds of negative pairs, entries of a mixture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.data.sampling.draws import NO_NEGATIVES, NegativeParams, PairDraws, Region, parse_negative_params
from seqtrack.data.sampling.filters import NO_FILTERS, FilterParams
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.rng import generator
from seqtrack.data.sampling.samplers import Uniform
from seqtrack.errors import DataError, UserError
from seqtrack.schema import plain
from tests.data.toy import Toy

BOX = [100, 80, 40, 30]
FAR = [260, 200, 20, 20]  # beyond the search region of BOX and the other way round
REGION = Region(0.5, 255 / 127)


def draws(datasets, mixture="a", negatives=NO_NEGATIVES, filters=NO_FILTERS, subsets=None):
    sets = datasets if isinstance(datasets, dict) else {"a": datasets}
    return PairDraws(sets, parse_mixture(mixture), Uniform(), filters, negatives, REGION, subsets or {})


def drawn(pair_draws, count, weights=None):
    return [pair_draws.draw(generator(0, "test", sample=i), weights) for i in range(count)]


def zoo():
    """Videos 0 and 1 with a cat and a dog far apart, video 2 with a cat, video 3 with something unnamed."""
    toy = Toy()
    for video in (0, 1):
        toy.add([BOX] * 5, video=video, category="cat").add([FAR] * 5, video=video, category="dog")
    return toy.add([BOX] * 5, video=2, category="cat").add([BOX] * 5, video=3)


def test_negative_pairs_come_as_often_as_declared():
    pairs = drawn(draws(zoo(), negatives=NegativeParams(0.1, 0.2, 0.1)), 2000)
    kinds = {"positive": 0, "same_video": 0, "same_class": 0, "other": 0}
    toy = zoo()
    for a, b, is_positive in pairs:
        same_video = toy.track_video(a.track) == toy.track_video(b.track)
        if is_positive:
            assert a.track == b.track
            kinds["positive"] += 1
        elif same_video:
            assert a.track != b.track
            kinds["same_video"] += 1
        elif toy.track(a.track).category and toy.track(a.track).category == toy.track(b.track).category:
            kinds["same_class"] += 1
        else:
            kinds["other"] += 1
    # Exact, as the stream is fixed. Expected: 1200 positive; of one video 2000 x 0.1 x 4/6 = 133, as tracks 4 and 5
    # have no neighbour; the others overlap (targets of two videos may be of one class).
    assert kinds == {"positive": 1204, "same_video": 154, "same_class": 396, "other": 246}


@given(shares=st.tuples(*[st.integers(0, 10)] * 3))
@settings(max_examples=25, deadline=None)
def test_the_share_of_negative_pairs_is_the_sum_whatever_partners_there_are(shares):
    negatives = NegativeParams(*(share / 30 for share in shares))
    pairs = drawn(draws(zoo(), negatives=negatives), 400)
    negative = sum(not pair.is_positive for pair in pairs)
    assert abs(negative / 400 - sum(shares) / 30) < 0.1  # four standard deviations
    if not sum(shares):
        assert negative == 0


def test_a_negative_pair_of_one_kind_is_of_that_kind():
    toy = zoo()
    for a, b, is_positive in drawn(draws(toy, negatives=NegativeParams(same_class=1)), 300):
        assert not is_positive
        assert toy.track_video(a.track) != toy.track_video(b.track)
        if toy.track(a.track).category:
            assert toy.track(a.track).category == toy.track(b.track).category
    for a, b, _ in drawn(draws(toy, negatives=NegativeParams(same_video=1)), 300):
        same = toy.track_video(a.track) == toy.track_video(b.track)
        assert same == (a.track < 4), "a cat alone in its video has no neighbour; its pair is of another video"
        if a.track == 4:
            assert b.track in (0, 2), "but of its class, which comes next"
    others = drawn(draws(toy, negatives=NegativeParams(other_video=1)), 300)
    assert all(toy.track_video(a.track) != toy.track_video(b.track) for a, b, _ in others)
    assert {b.track for _, b, _ in others} == set(range(6))


def test_a_neighbour_is_shown_only_where_the_target_is_out_of_its_region():
    """The second target stands beside the first in frames 0 to 3 and far away in 4; the first is absent in 5."""
    near = [110, 90, 20, 20]
    toy = Toy()
    toy.add([BOX] * 6, present=[True] * 5 + [False], video=0).add([near] * 4 + [FAR, near], video=0)
    toy.add([BOX] * 6, video=1)
    pairs = drawn(draws(toy, negatives=NegativeParams(same_video=1)), 300)
    from_first = [b.frame for a, b, _ in pairs if a.track == 0]
    assert set(from_first) == {4, 5}
    assert all(b.track == 1 for a, b, _ in pairs if a.track == 0)


@pytest.mark.parametrize(
    ("apart", "reach", "shown"), [(90, 255 / 127, False), (91, 255 / 127, True), (91, 3.0, False)]
)
def test_a_region_ends_where_its_square_does(apart, reach, shown):
    """The region around 40 x 30 px is sqrt(75 x 65) x 255 / 127 = 140.2 px wide, so it meets a box of 40 px whose
    centre is less than (140.2 + 40) / 2 = 90.1 px away."""
    toy = Toy().add([BOX], video=0).add([[BOX[0] + apart, *BOX[1:]]], video=0).add([BOX], video=1)
    negatives, region = NegativeParams(same_video=1), Region(0.5, reach)
    pairs = PairDraws({"a": toy}, parse_mixture("a"), Uniform(), NO_FILTERS, negatives, region, {})
    assert ((0, 1) in {(a.track, b.track) for a, b, _ in drawn(pairs, 60)}) == shown


@pytest.mark.parametrize(
    ("size", "view_size", "shown"),
    [
        ((320, 240), None, True),
        ((640, 480), None, True),
        ((80, 240), None, False),
        (None, None, False),
        ((320, 240), (80, 240), False),
        (None, (320, 240), True),
        ((80, 240), (320, 240), True),
    ],
    ids=["original", "twice as large", "squeezed", "unknown", "squeezed by --imwidth", "unknown, resized", "undone"],
)
def test_what_a_region_shows_is_seen_in_the_frames_that_it_is_cut_from(size, view_size, shown):
    """Frames squeezed to a quarter of their width have targets at a quarter of the distance. Of 40 x 30 px are left
    10 x 30, whose region is sqrt(30 x 50) x 255 / 127 = 77.8 px wide: at 91 / 4 px the other target is inside."""
    toy = Toy(size=size).add([BOX], video=0).add([[BOX[0] + 91, *BOX[1:]]], video=0).add([BOX], video=1)
    region = Region(0.5, 255 / 127, view_size)
    negatives = NegativeParams(same_video=1)
    pairs = PairDraws({"a": toy}, parse_mixture("a"), Uniform(), NO_FILTERS, negatives, region, {})
    assert ((0, 1) in {(a.track, b.track) for a, b, _ in drawn(pairs, 60)}) == shown


@pytest.mark.parametrize("kind", ["same_class", "other_video"])
def test_a_video_is_the_same_in_two_data_sets_that_lists_make_of_one(kind):
    toy = zoo()
    subsets = {"a@list": {"a@list": np.array([0, 1, 4])}, "a@other": {"a@other": np.array([2, 3, 4])}}
    sets = {"a@list": toy, "a@other": toy, "a": toy}
    pairs = drawn(draws(sets, list(sets), NegativeParams(**{kind: 1}), subsets=subsets), 600)
    assert {spot.dataset for a, b, _ in pairs for spot in (a, b)} == {0, 1, 2}
    assert all(toy.track_video(a.track) != toy.track_video(b.track) for a, b, _ in pairs)


def test_partners_pass_the_filters_too():
    toy = zoo().add([[0, 0, 5, 5]] * 3, video=2, category="cat").add([[0, 0, 5, 5]] * 3, video=4, category="cat")
    small = {6, 7}
    for kind in ("same_video", "same_class", "other_video"):
        pairs = drawn(draws(toy, negatives=NegativeParams(**{kind: 1}), filters=FilterParams(min_side=10)), 200)
        assert not {spot.track for a, b, _ in pairs for spot in (a, b)} & small


def test_partners_are_of_the_pool_and_within_the_cap():
    toy = zoo()
    subsets = {"pool": {"a": np.array([0, 2, 3, 4])}}  # of video 0 the cat alone
    for kind in ("same_video", "same_class", "other_video"):
        pairs = drawn(draws(toy, "pool", NegativeParams(**{kind: 1}), subsets=subsets), 200)
        assert {spot.track for a, b, _ in pairs for spot in (a, b)} == {0, 2, 3, 4}
        capped = drawn(draws(toy, "a", NegativeParams(**{kind: 1}), FilterParams(max_per_category=1)), 200)
        assert len({spot.track for a, b, _ in capped for spot in (a, b)}) == 3, "a cat, a dog, one without a name"


class Stored(Toy):
    """A version that has pictures of every third row."""

    def stored(self, k):
        return np.arange(0, len(self.tracks[k].frames), 3)


@pytest.mark.parametrize("negatives", [NO_NEGATIVES, NegativeParams(other_video=1)])
def test_only_rows_with_pictures_are_drawn_and_the_length_of_a_track_is_that_of_its_labels(negatives):
    toy = Stored().add([BOX] * 10).add([BOX] * 10).add([BOX] * 8)
    pairs = drawn(draws(toy, negatives=negatives, filters=FilterParams(min_length=9)), 200)
    assert {spot.row for a, b, _ in pairs for spot in (a, b)} == {0, 3, 6, 9}
    assert {spot.track for a, b, _ in pairs for spot in (a, b)} == {0, 1}


def test_classes_join_across_the_data_sets_of_an_entry_and_stay_within_it():
    one = Toy().add([BOX], category="dog").add([BOX], category="cat")
    two = Toy().add([BOX], category="cat").add([BOX], category="eel")
    sets = {"a": one, "b": two}
    joined = drawn(draws(sets, ["a", "b"], NegativeParams(same_class=1)), 200)
    assert {(b.dataset, b.track) for a, b, _ in joined if (a.dataset, a.track) == (0, 1)} == {(1, 0)}
    apart = drawn(draws(sets, [[1, "a"], [1, "b"]], NegativeParams(same_class=1)), 400)
    partners = {(b.dataset, b.track) for a, b, _ in apart if (a.dataset, a.track) == (0, 1)}
    assert partners == {(0, 0), (1, 0), (1, 1)}, "no other cat in its entry: the pair is of any other video"


def test_negative_pairs_need_two_videos():
    toy = Toy().add([BOX] * 3, video=0).add([BOX] * 3, video=0)
    with pytest.raises(DataError, match="a: --negative_params needs targets of two videos"):
        drawn(draws(toy, negatives=NegativeParams(other_video=1)), 1)


def test_filters_leave_the_weights_of_entries_alone():
    """Nine of ten tracks of `b` are refused, and still every second pair comes from it."""
    small = Toy()
    for k in range(10):
        small.add([BOX if k == 0 else [0, 0, 3, 3]] * 4)
    sets = {"a": Toy().add([BOX] * 4), "b": small}
    mixture = [[1, "a"], [1, {"dataset": "b", "filter": {"min_side": 10}}]]
    pairs = drawn(draws(sets, mixture), 2000)
    assert sum(a.dataset for a, _, _ in pairs) == 1000
    assert {a.track for a, _, _ in pairs if a.dataset == 1} == {0}


def test_each_entry_draws_by_its_own_sampler_and_filter():
    sets = {"a": Toy().add([BOX] * 20), "b": Toy().add([[0, 0, 5, 5]] * 20), "c": Toy().add([[0, 0, 5, 5]] * 20)}
    mixture = [
        [1, {"dataset": "a", "sampler": {"kind": "regular", "freq": 3}}],
        [1, {"dataset": "b", "sampler": {"kind": "regular", "freq": 7}, "filter": {}}],
    ]
    pairs = drawn(draws(sets, mixture, filters=FilterParams(min_side=10)), 200)
    assert {(a.dataset, b.frame - a.frame) for a, b, _ in pairs} == {(0, 3), (1, 7)}
    with pytest.raises(DataError, match=r"1000 tracks in a row have no frame .* that the filters leave; loosen them"):
        drawn(draws(sets, "c", filters=FilterParams(min_side=10)), 1)


def test_a_cap_holds_within_pools_and_mixtures():
    toy = Toy()
    for k in range(30):
        toy.add([BOX] * 2, category="cat" if k % 3 else "dog")
    pool = {"pool_train": {"a": np.arange(0, 30, 2)}}
    pairs = drawn(draws(toy, "pool_train", filters=FilterParams(max_per_category=2), subsets=pool), 400)
    tracks = {a.track for a, _, _ in pairs}
    assert len(tracks) == 4
    assert all(track % 2 == 0 for track in tracks)
    assert sorted(toy.track(track).category for track in tracks) == ["cat", "cat", "dog", "dog"]


def test_weights_of_tracks_hold_for_capped_tracks_too():
    toy = zoo()
    pair_draws = draws(toy, filters=FilterParams(max_per_category=1))
    kept = {a.track for a, _, _ in drawn(pair_draws, 200)}
    one = min(kept)
    weights = np.zeros(toy.num_tracks)
    weights[one] = 1
    ends = pair_draws.weight_ends({"track_weights": {"a": weights}})
    assert {a.track for a, _, _ in drawn(pair_draws, 50, ends)} == {one}


def test_parameters_survive_their_json_and_mistakes_are_named():
    assert parse_negative_params({}) == NO_NEGATIVES
    params = NegativeParams(0.1, 0.2, 0.7)
    assert parse_negative_params(plain(params)) == params
    for value, message in [
        ({"same_clas": 0.1}, "--negative_params: 'same_clas' is not a parameter; did you mean same_class?"),
        ({"same_video": -0.1}, "--negative_params.same_video: expected 0 to 1, got -0.1"),
        ({"same_video": 0.6, "other_video": 0.6}, "the shares of negative pairs sum to 1.2; expected at most 1"),
    ]:
        with pytest.raises(UserError) as caught:
            parse_negative_params(value)
        assert message in str(caught.value)
