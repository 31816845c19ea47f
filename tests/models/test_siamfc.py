"""SiamFC: shapes, determinism, correlation, loss, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrack.models.correlation import cross_correlation
from seqtrack.models.inference import inference_network
from seqtrack.models.losses import balance_weights, balanced_logistic_loss, label_map, target_offsets
from seqtrack.models.params import parse_model_params
from seqtrack.models.siamfc import SiamFC

NARROW = {"feature_params": {"arch": "alexnet", "arch_params": {"width": 0.125}}}
SLIM = {
    "template_size": 123,
    "search_size": 251,
    "feature_params": {"arch": "slim_resnet_v1_50", "arch_params": {"num_blocks": 1, "padding": "VALID"}},
}


def narrow(seed: int = 0) -> SiamFC:
    torch.manual_seed(seed)
    return SiamFC(parse_model_params("siamfc", NARROW))


def images(batch: int, size: int, seed: int = 0) -> torch.Tensor:
    """(B, 3, S, S) uint8, channels_last as crops are."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, generator=generator)
    return pixels.permute(0, 3, 1, 2)


@pytest.mark.parametrize("value", [{}, NARROW, SLIM, {"feature_params": {"arch": "resnet18"}}])
def test_the_published_sizes_give_17_by_17_at_stride_8(value: dict[str, object]) -> None:
    model = SiamFC(parse_model_params("siamfc", value)).eval()
    with torch.no_grad():
        response = model(images(1, model.params.template_size), images(1, model.params.search_size))
    assert response.shape == (1, 1, 17, 17)
    assert (model.stride, model.response_size, model.response_center) == (8, 17, 8.0)
    assert response.dtype == torch.float32


def test_full_alexnet_has_the_papers_parameters() -> None:
    model = SiamFC()
    convolutions = {n: tuple(p.shape) for n, p in model.features.trunk.named_parameters() if p.ndim == 4}
    assert convolutions == {
        "conv1.0.weight": (96, 3, 11, 11),
        "conv2.0.weight": (256, 48, 5, 5),
        "conv3.0.weight": (384, 256, 3, 3),
        "conv4.0.weight": (384, 192, 3, 3),
        "conv5.0.weight": (256, 192, 3, 3),
    }
    assert model.out_scale == pytest.approx(1e-3)


def test_memory_format_and_type_of_pixels_do_not_matter() -> None:
    model = narrow().eval()
    z, x = images(1, 127), images(1, 255, seed=1)
    with torch.no_grad():
        expected = model(z, x)
        assert torch.equal(model(z.contiguous(), x.contiguous()), expected)
        assert torch.equal(model(z.float(), x.float()), expected)


def test_one_exemplar_serves_a_batch_of_search_regions() -> None:
    model = narrow().eval()
    with torch.no_grad():
        z, x = model.embed(images(1, 127)), model.embed(images(3, 255))
        expected = torch.cat([model.correlate(z, x[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(model.correlate(z, x), expected)


@settings(deadline=None, max_examples=30)
@given(
    batch=st.integers(1, 3),
    shared=st.booleans(),
    h=st.integers(1, 4),
    w=st.integers(1, 4),
    more=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    channels_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_cross_correlation_and_its_gradients_are_those_of_convolution(
    batch: int, shared: bool, h: int, w: int, more: tuple[int, int], channels_last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    z = torch.randn(1 if shared else batch, 5, h, w, generator=generator, dtype=torch.float64)
    x = torch.randn(batch, 5, h + more[0], w + more[1], generator=generator, dtype=torch.float64)
    z, x = (t.contiguous(memory_format=layout).requires_grad_() for t in (z, x))
    kernels, regions = z.contiguous(), x.contiguous()  # torch's own gradient fails for fp64 in channels_last
    expected = torch.cat([F.conv2d(regions[i : i + 1], kernels[0 if shared else i][None]) for i in range(batch)])
    response = cross_correlation(z, x)
    torch.testing.assert_close(response.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    theirs = torch.autograd.grad((expected * weights).sum(), (z, x))
    ours = torch.autograd.grad((response * weights.float()).sum(), (z, x))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_labels_are_one_within_16_pixels_of_the_target() -> None:
    labels = label_map(torch.zeros(1, 2), 17, 8, 16.0)
    assert int(labels.sum()) == 13  # the disk of radius 2 cells: 1 + 3 + 5 + 3 + 1
    assert labels[0, 0, 8, 6:11].tolist() == [1.0] * 5
    assert labels[0, 0, 7, 6:11].tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_labels_follow_a_target_off_the_centre_in_x_and_y() -> None:
    centred = label_map(torch.zeros(1, 2), 17, 8, 16.0)
    moved = label_map(torch.tensor([[24.0, -16.0]]), 17, 8, 16.0)  # 3 cells to the right, 2 up
    assert torch.equal(moved, torch.roll(centred, (-2, 3), (2, 3)))
    # Half a cell to the right, at radius 4 px: the two cells on either side, both exactly 4 px away.
    between = label_map(torch.tensor([[4.0, 0.0]]), 17, 8, 4.0)
    assert between[0, 0].nonzero().tolist() == [[8, 8], [8, 9]]
    assert torch.equal(label_map(torch.zeros(1, 2), 17, 8, 16.0, center=7.0), torch.roll(centred, (-1, -1), (2, 3)))


def test_offsets_are_the_difference_of_what_both_crops_are_off() -> None:
    exemplar = torch.tensor([[43.5, 33.5, 40.0, 60.0]])  # centre (63.5, 63.5): the middle of 127
    assert target_offsets(exemplar, torch.tensor([[107.5, 97.5, 40.0, 60.0]]), 127, 255).tolist() == [[0.0, 0.0]]
    assert target_offsets(exemplar + torch.tensor([1.0, 0, 0, 0]), exemplar, 127, 127).tolist() == [[-1.0, 0.0]]


def test_positives_and_negatives_weigh_half_each() -> None:
    weights = balance_weights(label_map(torch.tensor([[0.0, 0.0], [60.0, 0.0]]), 17, 8, 16.0))
    labels = label_map(torch.tensor([[0.0, 0.0], [60.0, 0.0]]), 17, 8, 16.0)
    torch.testing.assert_close((weights * labels).sum((1, 2, 3)), torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(weights.sum((1, 2, 3)), torch.tensor([1.0, 1.0]))


def test_a_target_off_the_map_still_counts_as_one_sample() -> None:
    weights = balance_weights(label_map(torch.tensor([[500.0, 0.0]]), 17, 8, 16.0))
    assert float(weights.sum()) == pytest.approx(1.0)


def test_the_loss_of_no_opinion_is_log_2_and_of_certainty_is_0() -> None:
    labels = label_map(torch.zeros(2, 2), 17, 8, 16.0)
    assert float(balanced_logistic_loss(torch.zeros(2, 1, 17, 17), labels)) == pytest.approx(math.log(2))
    assert float(balanced_logistic_loss((labels * 2 - 1) * 50, labels)) == pytest.approx(0.0, abs=1e-6)
    assert float(balanced_logistic_loss((1 - labels * 2) * 50, labels)) == pytest.approx(50.0)


def train(model: SiamFC, steps: int, precision: str = "fp32") -> list[float]:
    """Losses over steps on textured squares: the target is a texture pasted into noise of another kind."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        target = torch.randint(0, 256, (4, 3, 8, 8), generator=generator).float()
        target = F.interpolate(target, (64, 64), mode="bilinear")
        exemplar = torch.randint(100, 156, (4, 3, 127, 127), generator=generator).float()
        search = torch.randint(100, 156, (4, 3, 255, 255), generator=generator).float()
        exemplar[:, :, 31:95, 31:95] = target
        moved = torch.randint(-5, 6, (2,), generator=generator) * 8
        x, y = (int(v) + 95 for v in moved)
        search[:, :, y : y + 64, x : x + 64] = target
        labels = label_map(moved[None].float().expand(4, 2), 17, 8, 16.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            response = model(exemplar, search)
        loss = balanced_logistic_loss(response, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_from_scratch(precision: str) -> None:
    losses = train(narrow(), 16, precision)
    assert losses[0] < math.log(2)  # even features drawn at random match a texture with itself
    assert sum(losses[-4:]) / 4 < 0.85 * losses[0]


def test_training_is_bit_identical_with_deterministic_algorithms() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.use_deterministic_algorithms(True)
        first, second = narrow(), narrow()
        assert train(first, 3) == train(second, 3)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    for (name, mine), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


@pytest.mark.parametrize(
    "value", [NARROW, SLIM, {"feature_params": {"arch": "resnet18", "arch_params": {"padding": "SAME"}}}]
)
def test_the_network_for_inference_gives_the_same_responses(value: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = SiamFC(parse_model_params("siamfc", value))
    z, x = images(2, model.params.template_size), images(2, model.params.search_size, seed=1)
    model(z, x)  # moves the running statistics away from 0 and 1
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast, rough = inference_network(model), inference_network(model, "bf16")
    model.eval()
    with torch.inference_mode():
        expected = model(z, x)
        torch.testing.assert_close(fast(z, x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        assert float((rough(z, x) - expected).std() / expected.std()) < 0.1
        assert rough(z, x).dtype == torch.float32
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
