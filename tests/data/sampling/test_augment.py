"""What is drawn for augmentation: within its range, as often as declared, one parameter at a time."""

import dataclasses

import numpy as np
import pytest

from seqtrack.data.sampling.augment import (
    AugmentParams,
    CropParams,
    ExemplarParams,
    Look,
    StillParams,
    draw_looks,
    parse_augment_params,
)
from seqtrack.data.sampling.motion import NO_MOTION
from seqtrack.data.sampling.rng import generator
from seqtrack.errors import UserError
from seqtrack.schema import plain

FULL = CropParams(0.3, 0.2, 0.4, 15, 0.3, 0.2, 0.5, 1.0)


def looks(params, count=1000, is_still=False):
    return [draw_looks(generator(0, "test", sample=i), params, is_still) for i in range(count)]


def test_nothing_is_changed_by_default():
    for drawn in looks(AugmentParams(), 20, is_still=True):
        assert drawn.exemplar._replace(blur_across=0.5) == Look()
        assert drawn.search._replace(blur_across=0.5) == Look()
        assert (drawn.exemplar_motion, drawn.search_motion) == (NO_MOTION, None)


def test_probabilities_are_what_was_declared():
    drawn = looks(AugmentParams(search=FULL))
    shares = [np.mean([getattr(pair.search, name) for pair in drawn]) for name in ("flip", "grey")]
    assert shares == pytest.approx([0.3, 0.2], abs=0.05)
    assert np.mean([pair.search.blur_length > 1 for pair in drawn]) == pytest.approx(0.4, abs=0.05)
    assert not any(pair.exemplar.flip or pair.exemplar.grey for pair in drawn)


def test_factors_and_lengths_fill_their_ranges_and_no_more():
    drawn = [pair.search for pair in looks(AugmentParams(search=FULL))]
    for name, limit in (("brightness", 0.3), ("contrast", 0.2), ("saturation", 0.5)):
        factors = np.array([getattr(look, name) for look in drawn])
        assert 0.98 * limit < np.abs(factors - 1).max() <= limit
        assert factors.mean() == pytest.approx(1, abs=0.03)
    assert {look.blur_length for look in drawn} == {1, 3, 5, 7, 9, 11, 13, 15}


def test_lighting_is_mostly_brightness_and_has_siamfcs_size():
    light = np.array([pair.search.light for pair in looks(AugmentParams(search=CropParams(lighting=1.0)), 3000)])
    assert light.std(axis=0) == pytest.approx([4.98, 4.84, 5.23], rel=0.05)
    assert np.corrcoef(light.T)[np.triu_indices(3, 1)].min() > 0.7


def test_the_exemplar_moves_within_its_own_limits():
    motions = np.array(
        [pair.exemplar_motion for pair in looks(AugmentParams(exemplar=ExemplarParams(translate=4.0)))]
    )
    assert 3.9 < np.abs(motions[:, :2]).max() <= 4
    assert (motions[:, 2] == 1).all()


@pytest.mark.parametrize(
    "field", [field.name for field in dataclasses.fields(CropParams) if field.name != "blur_size"]
)
def test_switching_one_change_on_leaves_the_others_as_they_were(field):
    """The same count of numbers is drawn whatever is on."""
    value = getattr(FULL, field)
    changed = {"lighting": "light", "blur": "blur_length"}.get(field, field)
    alone = looks(AugmentParams(search=CropParams(**{field: value}), exemplar=ExemplarParams(grey=0.5)), 200)
    all_on = looks(
        AugmentParams(search=dataclasses.replace(FULL, blur_size=45), exemplar=ExemplarParams(grey=0.5)), 200
    )
    assert [getattr(pair.search, changed) for pair in alone] == [getattr(pair.search, changed) for pair in all_on]
    assert [pair.exemplar for pair in alone] == [pair.exemplar for pair in all_on]


def test_a_pair_is_greyed_and_mirrored_together():
    drawn = looks(AugmentParams(grey=0.25, flip=0.5))
    assert all((a.grey, a.flip) == (b.grey, b.flip) for _, _, a, b in drawn)
    assert np.mean([pair.search.grey for pair in drawn]) == pytest.approx(0.25, abs=0.05)
    assert np.mean([pair.search.flip for pair in drawn]) == pytest.approx(0.5, abs=0.05)


def test_mirrored_twice_is_not_mirrored():
    both = AugmentParams(flip=1, search=CropParams(flip=1))
    assert all(pair.exemplar.flip and not pair.search.flip for pair in looks(both, 20))


def test_synthetic_motion_is_for_pairs_of_one_frame():
    params = AugmentParams(still=StillParams(translate=20, log_scale=0.2, flip=0.5))
    assert all(pair.search_motion is None and not pair.search.flip for pair in looks(params, 50))
    still = looks(params, 1000, is_still=True)
    motions = np.array([pair.search_motion for pair in still])
    assert 19 < np.abs(motions[:, :2]).max() <= 20
    assert 0.19 < np.abs(np.log(motions[:, 2])).max() <= 0.2
    assert np.mean([pair.search.flip for pair in still]) == pytest.approx(0.5, abs=0.05)
    assert not any(pair.exemplar.flip for pair in still)


def test_parameters_survive_their_json():
    params = AugmentParams(ExemplarParams(translate=4.0), FULL, StillParams(flip=0.5), 0.25, 0.5)
    assert parse_augment_params(plain(params)) == params
    assert parse_augment_params({}) == AugmentParams()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"serch": {}}, "--augment_params: 'serch' is not a parameter; did you mean search?"),
        ({"search": {"blurr": 1}}, "--augment_params.search: 'blurr' is not a parameter; did you mean blur?"),
        ({"search": {"translate": 1}}, "--augment_params.search: 'translate' is not a parameter"),
        ({"exemplar": {"blur": 2}}, "--augment_params.exemplar.blur: expected 0 to 1, got 2"),
        ({"search": {"blur_size": 9}}, "--augment_params.search.blur_size: it says how long a blur is; give blur"),
        ({"still": {"log_scale": -1}}, "--augment_params.still.log_scale: expected 0 to 2, got -1"),
        ({"grey": True}, "--augment_params.grey: expected a number, got True"),
    ],
)
def test_a_mistake_is_named(value, message):
    with pytest.raises(UserError) as caught:
        parse_augment_params(value)
    assert str(caught.value).startswith(message)
