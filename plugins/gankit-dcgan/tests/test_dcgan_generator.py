"""Truths about the generator `dcgan`."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.nn import functional as F

from gankit import Shapes
from gankit_dcgan.generator import DCGANGenerator

FACES = Shapes((3, 64, 64), noise=100)


def parameters(network):
    """Count the numbers that are learnt."""
    return sum(p.numel() for p in network.parameters())


def on_meta(shapes, **options):
    """Build a network that takes no memory."""
    with torch.device("meta"):
        return DCGANGenerator(shapes, **options)


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


@pytest.mark.parametrize("kernel", [4, 5])
def test_radford_has_the_papers_number_of_parameters(kernel):
    """100 → 1024 at 4 × 4 → 512 → 256 → 128 → 3 at 64 × 64, biases at the end."""
    k = kernel**2
    expected = (
        (100 * 1024 * 16 + 2 * 1024)
        + (1024 * 512 * k + 2 * 512)
        + (512 * 256 * k + 2 * 256)
        + (256 * 128 * k + 2 * 128)
        + (128 * 3 * k + 3)
    )
    assert parameters(on_meta(FACES, width=128, kernel=kernel)) == expected


def test_reed_has_the_papers_number_of_parameters():
    """1024 of text → 128, joined to 100 of noise; base width 128."""
    expected = (
        (1024 * 128 + 128)
        + (228 * 1024 * 16 + 2 * 1024)
        + (1024 * 512 * 16 + 2 * 512)
        + (512 * 256 * 16 + 2 * 256)
        + (256 * 128 * 16 + 2 * 128)
        + (128 * 3 * 16 + 3)
    )
    shapes = Shapes((3, 64, 64), noise=100, condition=1024)
    assert parameters(on_meta(shapes, width=128, condition_size=128)) == expected


def test_the_condition_joins_every_layer_when_asked():
    """Ten labels add ten planes to the noise and to each of three convolutions."""
    plain = on_meta(Shapes((1, 32, 32), 100), width=64, kernel=5)
    everywhere = on_meta(
        Shapes((1, 32, 32), 100, 10), width=64, kernel=5, condition_at="layers"
    )
    added = 10 * 256 * 16 + 10 * 25 * (128 + 64 + 1)
    assert parameters(everywhere) - parameters(plain) == added


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_every_stage_doubles_the_size_exactly(size, kernel, channels):
    """4, 8, … up to the size of the image, whose channels it has."""
    network = DCGANGenerator(Shapes((channels, size, size), 7), width=2, kernel=kernel)
    seen = []
    for stage in network.stages:
        stage.register_forward_hook(lambda *at: seen.append(at[2].shape[2:]))
    images = network(torch.randn(2, 7), None)
    assert images.shape == (2, channels, size, size)
    doubled = [2**n for n in range(3, size.bit_length())]
    assert [tuple(shape) for shape in seen] == [(n, n) for n in doubled]


def test_images_fill_the_declared_range():
    """With a huge output layer tanh reaches both of its ends and never passes them."""
    network = DCGANGenerator(Shapes((3, 16, 16), 7), width=4)
    with torch.no_grad():
        network.stages[-1][0].weight.mul_(1e5)
    images = network(torch.randn(8, 7), None)
    assert (images.min().item(), images.max().item()) == network.output_range
    assert network.output_range == (-1.0, 1.0)


@pytest.mark.parametrize("kernel", [4, 5])
def test_one_noise_reaches_every_pixel_but_no_other_image(kernel):
    """In evaluation each image is a function of its own noise, all of it."""
    network = DCGANGenerator(Shapes((1, 32, 32), 7), width=8, kernel=kernel).eval()
    noise = torch.randn(3, 7)
    before = network(noise, None)
    noise[1] += 1
    changed = (network(noise, None) != before).flatten(1)
    assert changed.sum(1).tolist() == [0, 32 * 32, 0]


@pytest.mark.parametrize(("kernel", "first", "last"), [(4, 1, 46), (5, 0, 46)])
def test_a_place_of_the_deepest_features_paints_its_field(kernel, first, last):
    """Four layers of stride 2 and kernel k reach 1 + (k - 1)(1 + 2 + 4 + 8) pixels.

    With paddings p, place (1, 1) begins at 16 - p(1 + 2 + 4 + 8): at 1 for kernel 4,
    and for kernel 5 14 pixels outside the image, which cuts them off.
    """
    network = DCGANGenerator(Shapes((1, 64, 64), 7), width=8, kernel=kernel).eval()
    features = torch.rand(1, 64, 4, 4)
    moved = features.clone()
    moved[:, :, 1, 1] += 1
    images = [features, moved]
    for stage in network.stages:
        images = [stage(image) for image in images]
    rows = (images[0] != images[1]).any(3).flatten().nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (first, last)


def test_forward_agrees_with_the_formula():
    """Linear to 4 × 4, then transposed convolutions; batch norm, ReLU; tanh at last."""
    network = DCGANGenerator(Shapes((3, 16, 16), 7), width=4)
    w = dict(network.named_parameters())
    with torch.no_grad():  # at 0.02 what is wrong would be too small to see
        for weight in w.values():
            weight.normal_()

    def normed(x, name):
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        scale = w[f"{name}.weight"] / (variance + 1e-5).sqrt()
        shift = w[f"{name}.bias"] - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).clamp(min=0)

    def doubled(x, stage, bias=None):
        weight = w[f"stages.{stage}.0.weight"]
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)

    noise = torch.randn(5, 7)
    features = (noise @ w["start.0.weight"].T).reshape(5, 8, 4, 4)
    features = normed(doubled(normed(features, "start.2"), 0), "stages.0.1")
    expected = doubled(features, 1, w["stages.1.0.bias"]).tanh()
    actual = network(noise, None)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_weights_and_gains_are_normal_and_biases_zero():
    """N(0, 0.02) and N(1, 0.02), by a Kolmogorov-Smirnov test of each layer."""
    shapes = Shapes((3, 32, 32), 100, 50)
    network = DCGANGenerator(shapes, width=64, condition_size=30)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.ConvTranspose2d):
            mean = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            mean = 1.0
        else:
            continue
        drawn = module.weight.detach().flatten()[:20_000].numpy()
        assert kstest(drawn, "norm", args=(mean, 0.02)).pvalue > 1e-3
        assert module.bias is None or not module.bias.any()


def test_batch_norm_everywhere_but_at_the_output_and_no_bias_before_it():
    """A bias is there exactly where no batch norm follows."""
    network = on_meta(FACES)
    stages = [network.start, *network.stages]
    normed = [any(isinstance(m, nn.BatchNorm2d) for m in stage) for stage in stages]
    assert normed == [True] * 4 + [False]
    assert [stage[0].bias is None for stage in stages] == normed


@pytest.mark.parametrize("size", [0, 6])
@pytest.mark.parametrize("at", ["noise", "layers"])
def test_each_image_depends_on_its_own_condition_alone(at, size):
    """In evaluation a changed condition changes that image and no other."""
    network = DCGANGenerator(
        Shapes((1, 16, 16), 7, 10), width=4, condition_size=size, condition_at=at
    ).eval()
    noise, labels = torch.randn(5, 7), torch.eye(10)[:5]
    before = network(noise, labels)
    labels = labels.clone()
    labels[1] = torch.eye(10)[9]
    changed = (network(noise, labels) != before).flatten(1).any(1)
    assert changed.tolist() == [False, True, False, False, False]


def test_the_condition_enters_each_layer_of_its_own():
    """With the noise's part of the first layer cut, the planes still tell labels."""
    network = DCGANGenerator(
        Shapes((1, 16, 16), 7, 3), width=4, condition_at="layers"
    ).eval()
    with torch.no_grad():
        network.start[0].weight.zero_()
    images = network(torch.randn(3, 7), torch.eye(3))
    assert not torch.equal(images[0], images[1])


def test_projected_condition_agrees_with_the_formula():
    """Joined as LeakyReLU(W t + b): the same network without projection says so."""
    shapes = Shapes((1, 16, 16), 7, 10)
    projecting = DCGANGenerator(shapes, width=4, condition_size=6).eval()
    plain = DCGANGenerator(Shapes((1, 16, 16), 7, 6), width=4).eval()
    plain.start.load_state_dict(projecting.start.state_dict())
    plain.stages.load_state_dict(projecting.stages.state_dict())
    noise, text = torch.randn(3, 7), torch.randn(3, 10)
    linear = projecting.projection[0]
    hidden = text @ linear.weight.T + linear.bias
    joined = torch.maximum(hidden, 0.2 * hidden)
    torch.testing.assert_close(projecting(noise, text), plain(noise, joined))


def test_unconditional_ignores_whatever_condition():
    """Without a condition size there is no path for one."""
    network = DCGANGenerator(
        Shapes((1, 16, 16), 7), width=4, condition_size=6, condition_at="layers"
    )
    noise = torch.randn(3, 7)
    assert torch.equal(network(noise, None), network(noise, torch.randn(3, 10)))


def test_autocast_stays_near_full_precision():
    """bfloat16 has 8 bits: the images agree to a percent or so."""
    network = DCGANGenerator(Shapes((3, 32, 32), 7, 5), width=8).eval()
    noise, condition = torch.randn(4, 7), torch.randn(4, 5)
    exact = network(noise, condition)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(noise, condition)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.02)


def test_a_white_picture_has_a_gradient_in_half_precision():
    """1 - tanh² of 5 is 4 / (e⁵ + e⁻⁵)²; bfloat16 rounds tanh of 5 to 1."""
    network = DCGANGenerator(Shapes((1, 16, 16), 3), width=2)
    last = network.stages[-1][0]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        pictures = network(torch.randn(2, 3), None)
    pictures.mean().backward()
    slope = 4 / (math.exp(5) + math.exp(-5)) ** 2
    assert last.bias.grad.item() == pytest.approx(slope, rel=0.01)


def test_shapes_are_known_without_memory():
    """A network on the meta device generates the shape of its images."""
    with torch.device("meta"):
        network = on_meta(Shapes((3, 64, 64), 100, 10), condition_at="layers")
        images = network(torch.empty(2, 100), torch.empty(2, 10))
    assert images.is_meta
    assert images.shape == (2, 3, 64, 64)
