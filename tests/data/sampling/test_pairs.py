"""Batches of pairs: the right crops of the right frames, and nothing else that they depend on."""

import hashlib
import multiprocessing
import pickle

import cv2
import numpy as np
import pytest

from seqtrack.data.datasets import open_dataset, prepare
from seqtrack.data.formats import parse_dataset_name
from seqtrack.data.imaging.crops import crop, square_around
from seqtrack.data.imaging.images import decode
from seqtrack.data.locations import Locations
from seqtrack.data.sampling.augment import parse_augment_params
from seqtrack.data.sampling.draws import NegativeParams
from seqtrack.data.sampling.filters import FilterParams
from seqtrack.data.sampling.mixture import parse_mixture
from seqtrack.data.sampling.motion import MotionParams, parse_motion_params
from seqtrack.data.sampling.pairs import PairParams, PairSource
from seqtrack.data.sampling.samplers import PairRange, Regular, Uniform
from seqtrack.errors import DataError, UserError
from seqtrack.schema import plain
from seqtrack.tools.sample_data import write_sample
from tests.data.toy import Toy


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The generated training set of three videos, read from its tar."""
    root = tmp_path_factory.mktemp("sample")
    write_sample(root, {"train": 3, "eval": 1}, num_frames=12, size=(160, 120), seed=0)
    name = parse_dataset_name("otb:sample_train")
    locations = Locations(tar_dir=root / "tars", cache_dir=root / "cache")
    prepare(name, locations, lambda text: None)
    dataset = open_dataset(name, locations, lambda text: None)
    yield dataset
    dataset.close()


def source(dataset, **changes):
    options = {
        "datasets": {"a": dataset},
        "mixture": parse_mixture("a"),
        "sampler": PairRange(low=1, high=8),
        "pair": PairParams(exemplar_size=63, search_size=127),
        "motion": None,
        "batch_size": 4,
        "seed": 0,
    }
    return PairSource(**(options | changes))


def same(a, b):
    return a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


def test_shapes_and_types(sample):
    batch = source(sample).batch(0)
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "exemplar": ((4, 63, 63, 3), np.uint8),
        "search": ((4, 127, 127, 3), np.uint8),
        "exemplar_box": ((4, 4), np.float32),
        "search_box": ((4, 4), np.float32),
        "sample": ((4, 4), np.int64),
    }


def test_a_batch_depends_on_seed_stream_and_step_alone(sample):
    one, other = source(sample), source(sample)
    expected = [one.batch(step) for step in range(4)]
    for step in (3, 1, 1, 0, 2):
        assert same(other.batch(step), expected[step])
    assert not same(expected[0], expected[1])
    assert not same(source(sample, seed=1).batch(0), expected[0])
    assert not same(source(sample, stream="val").batch(0), expected[0])


def test_a_sample_does_not_depend_on_the_size_of_its_batch(sample):
    large, small = source(sample, batch_size=4).batch(5), source(sample, batch_size=2).batch(5)
    assert same({key: value[:2] for key, value in large.items()}, small)


def _batch(pairs, step):
    return pairs.batch(step)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_make_the_same_batches(sample, method):
    pairs = source(sample)
    expected = [pairs.batch(step) for step in range(3)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        for got, wanted in zip(pool.starmap(_batch, [(pairs, step) for step in range(3)]), expected, strict=True):
            assert same(got, wanted)


def test_a_used_source_pickles_to_the_same_source(sample):
    pairs = source(sample, motion=MotionParams())
    first = pairs.batch(0)
    assert same(pickle.loads(pickle.dumps(pairs)).batch(0), first)


def test_crops_are_those_of_the_frames_they_name(sample):
    batch = source(sample).batch(0)
    for i, (_, track, *frames) in enumerate(batch["sample"].tolist()):
        boxes = dict(zip(sample.index.track(track).frames.tolist(), sample.index.track(track).boxes, strict=True))
        video = sample.index.track_video(track)
        for which, frame, ratio in (("exemplar", frames[0], 1), ("search", frames[1], 127 / 63)):
            image = decode(sample.read_frame(video, frame), "")
            x, y, w, h = boxes[frame]
            size = batch[which].shape[1]
            expected, used = crop(image, x + w / 2, y + h / 2, square_around((x, y, w, h)) * ratio, size)
            # Fast decoding for training, exact decoding here; a reduced size where the region is large.
            assert np.abs(batch[which][i].astype(int) - expected).mean() < 6
            assert batch[f"{which}_box"][i] == pytest.approx(used.to_crop((x, y, w, h)), rel=0.02, abs=1.5)


def test_targets_are_centred_to_half_a_pixel_of_the_frame(sample):
    batch = source(sample).batch(0)
    for which in ("exemplar", "search"):
        box, size = batch[f"{which}_box"], batch[which].shape[1]
        centre = box[:, :2] + box[:, 2:] / 2
        # Targets of 15 px or so: a pixel of the frame is about two of the crop.
        assert np.abs(centre - size / 2).max() < 3


def test_motion_moves_the_target_within_its_limits(sample):
    still, moved = source(sample, batch_size=64), source(sample, batch_size=64, motion=MotionParams(20, 0.3))
    a, b = still.batch(0), moved.batch(0)
    assert (a["sample"] == b["sample"]).all()
    assert (a["exemplar"] == b["exemplar"]).all()
    shift = (b["search_box"][:, :2] + b["search_box"][:, 2:] / 2) - 127 / 2
    assert 15 < np.abs(shift).max() < 20 + 3
    assert np.abs(shift.mean(axis=0)).max() < 6
    growth = np.log(b["search_box"][:, 2] / a["search_box"][:, 2])
    assert -0.36 < growth.min() < -0.15
    assert 0.15 < growth.max() < 0.36


def test_motion_parameters_are_checked():
    assert parse_motion_params({}) == MotionParams()
    assert parse_motion_params(plain(MotionParams(8, 0.0))) == MotionParams(8, 0.0)
    with pytest.raises(UserError, match=r"^--motion_params: 'translat' is not a parameter; did you mean translate"):
        parse_motion_params({"translat": 3})
    with pytest.raises(UserError, match=r"translate: expected 0 to 1000, got -1$"):
        parse_motion_params({"translate": -1})
    with pytest.raises(UserError, match="expected a JSON object"):
        parse_motion_params([3])


# --------------------------------------------------------------------------------- data sets made by hand

BOXES = [[100, 80, 40, 30]] * 10


def test_a_frame_that_does_not_decode_is_named():
    toy = Toy(extension=".jpg", bad={(0, t) for t in range(10)}).add(BOXES)
    with pytest.raises(DataError, match=r"^toy video 0 frame \d: the image does not decode"):
        source(toy).batch(0)


def test_absent_frames_and_empty_boxes_are_never_drawn():
    boxes = np.array(BOXES, dtype=float)
    boxes[3, 2] = 0
    boxes[4] = np.nan
    toy = Toy().add(boxes, present=[False, False, *[True] * 8]).add(BOXES, present=[False] * 10)
    batch = source(toy, sampler=Uniform(), batch_size=64).batch(0)
    assert set(batch["sample"][:, 1].tolist()) == {0}
    assert set(batch["sample"][:, 2:].ravel().tolist()) == {2, 5, 6, 7, 8, 9}


def test_a_data_set_without_targets_is_an_error():
    with pytest.raises(DataError, match="a: 1000 tracks in a row have no frame with a target"):
        source(Toy().add(BOXES, present=[False] * 10)).batch(0)
    with pytest.raises(DataError, match="a: no tracks"):
        source(Toy())


def test_a_track_of_one_frame_gives_it_twice():
    batch = source(Toy().add(BOXES[:1]), sampler=Regular()).batch(0)
    assert batch["sample"].tolist() == [[0, 0, 0, 0]] * 4


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_boxes_follow_a_resized_view_and_resized_storage(extension):
    plain = source(Toy(extension=extension).add(BOXES))
    pair = PairParams(exemplar_size=63, search_size=127, view_size=(160, 240))
    viewed = source(Toy(extension=extension).add(BOXES), pair=pair)
    stored = source(Toy(extension=extension, size=(160, 240)).add(BOXES))
    a, b, c = plain.batch(0), viewed.batch(0), stored.batch(0)
    # (100, 80, 40, 30) of 320 x 240 is (50, 80, 20, 30) of 160 x 240: taller than wide.
    assert (a["search_box"][:, 2] / a["search_box"][:, 3]) == pytest.approx(4 / 3)
    assert (b["search_box"][:, 2] / b["search_box"][:, 3]) == pytest.approx(2 / 3)
    assert same(b, c)


def test_a_mixture_draws_by_weight_and_a_concatenation_by_tracks():
    small = {"size": (32, 24)}
    one, three = Toy(**small).add(BOXES), Toy(**small).add(BOXES).add(BOXES).add(BOXES)
    pair = PairParams(exemplar_size=3, search_size=3)
    sets = {"datasets": {"a": one, "b": three}, "pair": pair, "batch_size": 2000}
    joined = source(None, mixture=parse_mixture(["a", "b"]), **sets).batch(0)["sample"]
    assert (joined[:, 0] == 1).mean() == pytest.approx(0.75, abs=0.04)
    weighted = source(None, mixture=parse_mixture([[1, "a"], [1, "b"]]), **sets).batch(0)["sample"]
    assert (weighted[:, 0] == 1).mean() == pytest.approx(0.5, abs=0.04)
    assert np.bincount(weighted[weighted[:, 0] == 1][:, 1]) / 1000 == pytest.approx([1 / 3] * 3, abs=0.05)


def test_a_name_that_is_not_open_is_an_error():
    with pytest.raises(UserError, match=r"data set 'b' of the mixture is not open \(open: a\)"):
        source(Toy().add(BOXES), mixture=parse_mixture(["a", "b"]))


def test_a_pool_is_a_choice_of_tracks():
    toy = Toy().add(BOXES).add(BOXES).add(BOXES).add(BOXES)
    pool = {"pool_train": {"a": np.array([1, 3]), "b": None}}
    pairs = source(
        None,
        datasets={"a": toy, "b": Toy().add(BOXES)},
        mixture=parse_mixture("pool_train"),
        subsets=pool,
        batch_size=64,
    )
    assert {tuple(row[:2]) for row in pairs.batch(0)["sample"].tolist()} == {(0, 1), (0, 3), (1, 0)}


def test_weights_of_tracks_bias_the_draw_and_change_nothing_else():
    toy = Toy(size=(32, 24)).add(BOXES).add(BOXES).add(BOXES)
    pairs = source(toy, batch_size=400, pair=PairParams(exemplar_size=3, search_size=3))
    weighted = pairs.batch(0, {"track_weights": {"a": np.array([1.0, 0.0, 3.0])}})["sample"]
    counts = np.bincount(weighted[:, 1], minlength=3)
    assert counts[1] == 0
    assert counts[2] / 400 == pytest.approx(0.75, abs=0.07)
    assert same(pairs.batch(0, {"track_weights": {"a": np.ones(3)}}), pairs.batch(0))
    assert same(pairs.batch(0, {"track_weights": {}}), pairs.batch(0))
    for wrong in (np.ones(2), -np.ones(3), np.array([1, np.nan, 1])):
        with pytest.raises(ValueError, match="must be 3 numbers, not negative"):
            pairs.batch(0, {"track_weights": {"a": wrong}})
    with pytest.raises(ValueError, match="leave no track"):
        pairs.batch(0, {"track_weights": {"a": np.zeros(3)}})


# ---------------------------------------------------------------- negative pairs, augmentation, synthetic motion

AUGMENT = parse_augment_params(
    {
        "exemplar": {"translate": 4, "log_scale": 0.1, "lighting": 1, "contrast": 0.2},
        "search": {"lighting": 1, "blur": 0.5, "flip": 0.5, "saturation": 0.5},
        "still": {"translate": 20, "log_scale": 0.2, "flip": 0.5},
        "grey": 0.3,
        "flip": 0.5,
    }
)


def digest(pairs, steps, state=None):
    sha = hashlib.sha256()
    for step in steps:
        for key, value in sorted(pairs.batch(step, state).items()):
            sha.update(f"{key} {value.dtype} {value.shape}".encode())
            sha.update(value.tobytes())
    return sha.hexdigest()


def test_what_was_drawn_before_there_were_filters_negatives_and_augmentation_is_drawn_still():
    """Golden, from before: tracks with one frame, with none, with gaps; mixtures, pools, weights, motion."""
    rng = np.random.default_rng(0)

    def walk(count):
        return np.concatenate([rng.uniform(0, 200, (count, 2)), rng.uniform(4, 120, (count, 2))], axis=1).round(2)

    a = Toy().add(walk(12)).add(walk(1)).add(walk(10), present=[False] * 10).add(walk(10), present=[False, True] * 5)
    sets = {"datasets": {"a": a, "b": Toy().add(walk(9)).add(walk(9))}, "batch_size": 32}
    mixed = source(None, mixture=parse_mixture([[2, "a"], [1, ["b", "a"]]]), motion=MotionParams(), **sets)
    assert digest(mixed, range(3)) == "dc459c6ca824faffe620bb3f1b7fd2aad07466323248a545adae9e465a7b89e4"
    subsets = {"pool": {"a": np.array([0, 2, 3]), "b": None}}
    pooled = source(None, mixture=parse_mixture("pool"), subsets=subsets, sampler=Uniform(), **sets)
    weights = {"track_weights": {"a": np.array([1.0, 2, 3, 4])}}
    assert digest(pooled, range(3), weights) == "803a726cd1ea9f706993089a8852b9fddb62f76dff3fdd880d528cfe92f45615"


def everything(dataset):
    return source(
        dataset,
        motion=MotionParams(),
        augment=AUGMENT,
        filters=FilterParams(min_side=4, max_per_category=5),
        negatives=NegativeParams(0.1, 0.2, 0.2),
        batch_size=8,
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_with_everything_on_other_processes_still_make_the_same_batches(sample, method):
    pairs = everything(sample)
    expected = [pairs.batch(step) for step in range(4)]
    assert not all(batch["is_positive"].all() for batch in expected)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for got, wanted in zip(pool.starmap(_batch, [(pairs, step) for step in range(4)]), expected, strict=True):
            assert same(got, wanted)
    fresh = everything(sample)
    assert all(same(fresh.batch(step), expected[step]) for step in (3, 0, 2, 2, 1))


def test_a_negative_pair_is_marked_and_names_both_tracks():
    toy = Toy().add(BOXES).add(BOXES).add(BOXES)
    batch = source(toy, negatives=NegativeParams(other_video=0.5), batch_size=32).batch(0)
    assert batch["is_positive"].dtype == bool
    assert 8 < batch["is_positive"].sum() < 24
    own, other = batch["sample"][:, 1], batch["search_track"][:, 1]
    assert ((own == other) == batch["is_positive"]).all()
    for crops, tracks, frames in (("exemplar", own, 2), ("search", other, 3)):
        middle = batch[crops].shape[1] // 2
        assert batch[crops][:, middle, middle, 0].tolist() == (10 * tracks).tolist()
        assert batch[crops][:, middle, middle, 1].tolist() == (10 * batch["sample"][:, frames]).tolist()
    centre = batch["search_box"][:, :2] + batch["search_box"][:, 2:] / 2
    assert np.abs(centre - 127 / 2).max() < 2, "the box is of what the search crop shows"


def test_without_negatives_a_batch_has_no_word_of_them():
    assert set(source(Toy().add(BOXES), augment=AUGMENT).batch(0)) == set(source(Toy().add(BOXES)).batch(0))


def red_box(image, video, frame):
    """The box of BOXES is red, with a green left half; nothing else is."""
    x, y, w, h = BOXES[0]
    image[y : y + h, x : x + w] = (250, 10, 10)
    image[y : y + h, x : x + w // 2] = (10, 250, 10)


CHANGES = {
    "flip": {"search": {"flip": 1}, "exemplar": {"flip": 1}},
    "both flipped": {"flip": 1},
    "shifted exemplar": {"exemplar": {"translate": 10, "log_scale": 0.3}},
    "blur": {"search": {"blur": 1, "blur_size": 5}},
    "colour": {"search": {"lighting": 2, "brightness": 0.3, "contrast": 0.3}, "exemplar": {"saturation": 0.3}},
    "all": {**plain(AUGMENT), "search": {"lighting": 1, "blur": 0.5, "blur_size": 5, "flip": 0.5}, "grey": 0},
}


@pytest.mark.parametrize("extension", [".png", ".jpg"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_box_lies_on_the_painted_target_after_every_change(change, extension):
    toy = Toy(extension=extension, paint=red_box).add(BOXES[:3])  # of later frames even the background is green
    pairs = source(toy, augment=parse_augment_params(change), motion=MotionParams(20, 0.2), batch_size=16)
    batch = pairs.batch(0)
    for which in ("exemplar", "search"):
        for crop_pixels, box in zip(batch[which].astype(int), batch[f"{which}_box"].tolist(), strict=True):
            coloured = np.abs(crop_pixels[..., 0] - crop_pixels[..., 1])
            target = coloured > coloured.max() / 2
            rows, columns = np.flatnonzero(target.any(axis=1)), np.flatnonzero(target.any(axis=0))
            found = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
            assert found == pytest.approx(box, abs=2.5)


class Cropped(Toy):
    """A crop_381 version: a picture per target in which the exemplar's square measures 127 of 381 px."""

    def read_target(self, k, row):
        x, y, w, h = self.tracks[k].boxes[row].tolist()
        frame = decode(self.read_frame(self.tracks[k].video, row), "")
        image, used = crop(frame, x + w / 2, y + h / 2, 3 * square_around((x, y, w, h)), 381)
        return cv2.imencode(".png", image[..., ::-1])[1].tobytes(), used


@pytest.mark.parametrize("change", [{}, CHANGES["shifted exemplar"], {**CHANGES["all"], "still": {}}])
def test_pairs_from_stored_crops_are_those_from_frames(change):
    options = {"augment": parse_augment_params(change), "motion": MotionParams(20, 0.2), "batch_size": 8}
    frames = source(Toy(paint=red_box).add(BOXES), **options).batch(0)
    stored = source(Cropped(paint=red_box).add(BOXES), **options).batch(0)
    assert (frames["sample"] == stored["sample"]).all()
    for which in ("exemplar", "search"):
        # Squares are rounded to whole pixels once more, and half a pixel of the frame is one of a crop.
        assert stored[f"{which}_box"] == pytest.approx(frames[f"{which}_box"], abs=1.5)
        assert np.abs(stored[which].astype(int) - frames[which]).mean() < 8


def test_a_flip_mirrors_the_pixels(sample):
    straight = source(sample, augment=parse_augment_params({"grey": 0.5}), batch_size=8).batch(0)
    turned = source(sample, augment=parse_augment_params({"grey": 0.5, "flip": 1}), batch_size=8).batch(0)
    for which in ("exemplar", "search"):
        assert (turned[which] == straight[which][:, :, ::-1]).all()
        x, _, w, _ = straight[f"{which}_box"].T
        assert turned[f"{which}_box"][:, 0] == pytest.approx(straight[which].shape[2] - x - w, abs=1e-4)


def test_a_pair_of_one_frame_shows_it_differently():
    toy = Toy(paint=red_box).add(BOXES[:1]).add(BOXES, present=[False] * 4 + [True] + [False] * 5)
    pair = PairParams(exemplar_size=63, search_size=63)
    still = parse_augment_params({"still": {"translate": 8, "log_scale": 0.2, "flip": 0.5}})
    plain_batch = source(toy, pair=pair, batch_size=32).batch(0)
    assert (plain_batch["exemplar"] == plain_batch["search"]).all(), "not asked for, not done"
    batch = source(toy, pair=pair, batch_size=32, augment=still).batch(0)
    assert (batch["sample"][:, 2] == batch["sample"][:, 3]).all()
    assert (batch["exemplar"] == plain_batch["exemplar"]).all()
    assert all((a != b).mean() > 0.05 for a, b in zip(batch["exemplar"], batch["search"], strict=True))
    centre = batch["search_box"][:, :2] + batch["search_box"][:, 2:] / 2 - 63 / 2
    assert 6 < np.abs(centre).max() < 8 + 3
    green = batch["search"][..., 1].astype(int) > 150
    left = [
        np.argwhere(g)[:, 1].mean() < x + w / 2 for g, (x, _, w, _) in zip(green, batch["search_box"], strict=True)
    ]
    assert 8 < sum(left) < 24, "half of them are mirrored: there the green half is on the right"


def test_synthetic_motion_leaves_pairs_of_two_frames_alone():
    toy = Toy().add(BOXES)
    still = parse_augment_params({"still": {"translate": 8, "log_scale": 0.2, "flip": 1}})
    assert same(source(toy, augment=still).batch(0), source(toy).batch(0))


def test_impossible_parameters_are_refused():
    with pytest.raises(UserError, match="--batchsz must be at least 1, not 0"):
        source(Toy().add(BOXES), batch_size=0)
    with pytest.raises(UserError, match="sizes of crops"):
        PairParams(exemplar_size=0)
    with pytest.raises(UserError, match="context"):
        PairParams(context=-1.0)


def test_real_videos_give_pairs(shared, tmp_path):
    name = parse_dataset_name("otb:otb")
    locations = Locations(data_paths={"otb": shared / "data" / "otb"}, cache_dir=tmp_path)
    prepare(name, locations, lambda text: None)
    dataset = open_dataset(name, locations, lambda text: None)
    pairs = source(
        None,
        datasets={"otb": dataset},
        mixture=parse_mixture("otb"),
        sampler=Regular(),
        batch_size=32,
        pair=PairParams(),
    )
    batch = pairs.batch(0)
    drawn = {dataset.index.track_name(k) for k in batch["sample"][:, 1].tolist()}
    assert drawn == {dataset.index.track_name(k) for k in range(dataset.index.num_tracks)}
    assert (batch["sample"][:, 3] - batch["sample"][:, 2] == 10).all()
    for which, size in (("exemplar", 127), ("search", 255)):
        centre = batch[f"{which}_box"][:, :2] + batch[f"{which}_box"][:, 2:] / 2
        assert np.abs(centre - size / 2).max() < 5
        assert batch[which].std(axis=(1, 2, 3)).min() > 5
    dataset.close()
