"""The networks of Miyato et al. 2018 and Miyato & Koyama 2018, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, one_hot, relu

from gankit import Shapes
from gankit_residual.layers import ConditionalBatchNorm
from gankit_residual.residual_discriminator import ResidualDiscriminator
from gankit_residual.residual_generator import ResidualGenerator

CIFAR = Shapes((3, 32, 32), 128)
LABELLED = Shapes((3, 32, 32), 128, 10)


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def test_the_generator_of_cifar_has_the_weights_of_its_layers() -> None:
    """Table 4: dense to 4 × 4 × 256, three blocks of 256, batch norm, 3 × 3 to 3."""
    block = 2 * 2 * 256 + 2 * _conv(256, 256, 3) + _conv(256, 256, 1)
    dense = 129 * 4 * 4 * 256
    with torch.device("meta"):
        plain, labelled = ResidualGenerator(CIFAR), ResidualGenerator(LABELLED)
    assert _count(plain) == dense + 3 * block + 2 * 256 + _conv(256, 3, 3) == 4_276_739
    # a gain and a shift for each class in place of one of each
    assert _count(labelled) - _count(plain) == 3 * 2 * 2 * 256 * 9


def test_the_discriminator_of_cifar_has_the_weights_of_its_layers() -> None:
    """Table 4: four blocks of 128, of which two halve; a skip is the identity after."""
    first = _conv(3, 128, 3) + _conv(128, 128, 3) + _conv(3, 128, 1)
    second = 2 * _conv(128, 128, 3) + _conv(128, 128, 1)
    others = 2 * 2 * _conv(128, 128, 3)
    with torch.device("meta"):
        plain, labelled = ResidualDiscriminator(CIFAR), ResidualDiscriminator(LABELLED)
    assert _count(plain) == first + second + others + 128 == 1_053_824
    assert _count(labelled) - _count(plain) == 10 * 128


@pytest.mark.parametrize(
    ("shapes", "generator", "discriminator", "halvings", "small"),
    [
        ((3, 48, 48), [512, 256, 128, 64], [64, 128, 256, 512, 1024], 4, (6, 6)),
        (
            (3, 128, 128),
            [1024, 1024, 512, 256, 128, 64],
            [64, 128, 256, 512, 1024, 1024],
            5,
            (4, 4),
        ),
    ],
    ids=["STL-10", "ImageNet"],
)
def test_the_other_networks_of_the_papers_are_options(
    shapes: tuple[int, ...],
    generator: list[int],
    discriminator: list[int],
    halvings: int,
    small: tuple[int, int],
) -> None:
    """Table 5 of Miyato et al. 2018, and ImageNet's."""
    of = Shapes(shapes, 128, 1000)
    with torch.device("meta"):
        made = ResidualGenerator(of, widths=tuple(generator))
        judge = ResidualDiscriminator(
            of, widths=tuple(discriminator), halvings=halvings
        )
        noise, told = torch.zeros(2, 128), torch.zeros(2, 1000)
        assert made(noise, told).shape == (2, *shapes)
        assert judge(torch.zeros(2, *shapes), told).shape == (2,)
    assert made.place.unflattened_size == (generator[0], *small)


def test_conditional_batch_norm_by_hand() -> None:
    """Two pictures of two places, two classes: (x − mean) / root of variance, by class.

    Channel 0 holds 1, 3, 5, 7: mean 4, variance 5. Class 0 has gain 1 + 1 and shift 10,
    class 1 gain 1 − 2 and shift 0. The other channel is left plain.
    """
    norm = ConditionalBatchNorm(2, 2).double()
    assert norm.affine is not None
    with torch.no_grad():  # rows: gain 0, gain 1, shift 0, shift 1
        norm.affine.weight.copy_(
            torch.tensor([[1.0, -2.0], [0.0, 0.0], [10.0, 0.0], [0.0, 0.0]])
        )
    samples = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[5.0, 7.0]], [[2.0, 2.0]]]])
    labels = one_hot(torch.tensor([0, 1]), 2).double()
    given = norm(samples.double(), labels)
    root = (5 + 1e-5) ** 0.5
    first = [2 * -3 / root + 10, 2 * -1 / root + 10, -1 / root, -3 / root]
    assert given[:, 0].flatten().tolist() == pytest.approx(first)
    other = (1 + 1e-5) ** -0.5
    assert given[:, 1].flatten().tolist() == pytest.approx([-other] * 2 + [other] * 2)
    # the average of the batch, and its variance of 4 − 1 degrees of freedom
    assert norm.norm.running_mean is not None
    assert norm.norm.running_mean.tolist() == pytest.approx([0.4, 0.1])
    assert norm.norm.running_var is not None
    assert norm.norm.running_var.tolist() == pytest.approx(
        [0.9 + 0.1 * 20 / 3, 0.9 + 0.1 * 4 / 3]
    )


def test_a_condition_starts_without_an_effect_and_comes_to_have_one() -> None:
    """Gains are 1 and shifts 0 at first; then the classes part."""
    torch.manual_seed(0)
    network = ResidualGenerator(Shapes((3, 8, 8), 4, 3), widths=(8, 8))
    noise = torch.randn(1, 4).expand(3, 4)
    told = torch.eye(3)
    with torch.no_grad():
        first = network.eval()(noise, told)
    assert torch.equal(first[0], first[2])
    made = network.train()(torch.randn(3, 4), told)
    (made * torch.randn_like(made)).mean().backward()
    with torch.no_grad():
        for p in network.parameters():
            p -= p.grad
        later = network.eval()(noise, told)
    assert not torch.allclose(later[0], later[2])


def test_the_generator_is_that_of_figure_8() -> None:
    """Written out as the paper has it: the skip doubled before its convolution."""
    torch.manual_seed(0)
    network: Any = ResidualGenerator(Shapes((3, 12, 8), 4), widths=(6, 5, 4)).double()
    noise = torch.randn(4, 4).double()

    def doubled(x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2)

    features = network.start(noise).view(4, 6, 3, 2)
    for block in network.blocks:
        residue = relu(block.norm1.norm(features))
        residue = block.conv1(doubled(residue))
        residue = block.conv2(relu(block.norm2.norm(residue)))
        features = block.skip(doubled(features)) + residue
    expected = network.last(relu(network.norm(features))).tanh()
    torch.testing.assert_close(network(noise, None), expected)


def test_the_discriminator_is_that_of_figure_8() -> None:
    """Written out: the first block has no ReLU before it, skips are halved after it."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"widths": (4, 6, 6), "halvings": 2, "norm": "none"}
    network: Any = ResidualDiscriminator(Shapes((3, 8, 12), 4), **options).double()
    assert not network.lipschitz
    pictures = torch.randn(2, 3, 8, 12).double()
    one, two, three = network.blocks
    residue = one.conv2(relu(one.conv1(pictures)))
    features = avg_pool2d(residue, 2) + one.skip(avg_pool2d(pictures, 2))
    residue = two.conv2(relu(two.conv1(relu(features))))
    features = avg_pool2d(residue, 2) + avg_pool2d(two.skip(features), 2)
    features = three.conv2(relu(three.conv1(relu(features)))) + features
    assert features.shape == (2, 6, 2, 3)
    expected = relu(features).sum((2, 3)) @ network.logit.weight[0]
    torch.testing.assert_close(network(pictures, None), expected)


def test_the_projection_is_that_of_equation_3() -> None:
    """ψ(φ(x)) + yᵀVφ(x): what a label has over another is φ(x) times their vectors.

    V is divided by its largest singular value, by torch.linalg.
    """
    torch.manual_seed(0)
    network = ResidualDiscriminator(Shapes((3, 8, 8), 4, 5), widths=(4, 6)).double()
    pictures, labels = torch.randn(5, 3, 8, 8).double(), torch.eye(5).double()
    assert network.embedding is not None
    for _ in range(100):  # updates that leave the weights
        network(pictures, labels).sum().backward()
    features = relu(network.blocks(pictures)).sum((2, 3))
    vectors, logit = (
        layer.weight / torch.linalg.matrix_norm(layer.weight, ord=2)
        for layer in (network.embedding, network.logit)
    )
    expected = features @ logit[0] + (features * vectors.T).sum(1)
    torch.testing.assert_close(network(pictures, labels), expected)
    other = network(pictures, labels.roll(1, 0)) - network(pictures, labels)
    parted = features * (vectors.T.roll(1, 0) - vectors.T)
    torch.testing.assert_close(other, parted.sum(1))


def test_initial_weights_are_glorots() -> None:
    """Uniform to √(6 / (in + out)), within a block by √2 more; the authors' code."""
    torch.manual_seed(0)
    generator: Any = ResidualGenerator(Shapes((3, 8, 8), 8), widths=(32, 32))
    judge: Any = ResidualDiscriminator(Shapes((3, 8, 8), 8), widths=(32, 32))
    within = (2 * 6 / (9 * 64)) ** 0.5
    skip = (6 / 64) ** 0.5
    for block in (generator.blocks[0], judge.blocks[1]):
        assert float(block.conv1.weight.detach().abs().max()) == pytest.approx(
            within, rel=1e-2
        )
        assert float(block.skip.weight.detach().abs().max()) == pytest.approx(
            skip, rel=2e-2
        )
        assert not block.conv1.bias.any()


def test_a_slope_that_is_bounded_is_declared() -> None:
    """By an option, so that a recipe is warned of a loss that needs it."""
    bounded = ResidualDiscriminator(Shapes((1, 8, 8), 4), widths=(4,), halvings=1)
    assert bounded.lipschitz


def test_a_white_picture_has_a_gradient_in_half_precision() -> None:
    """1 - tanh² of 5 is 4 / (e⁵ + e⁻⁵)²; bfloat16 rounds tanh of 5 to 1."""
    network: Any = ResidualGenerator(Shapes((1, 12, 8), 4), widths=(6, 5, 4))
    nn.init.zeros_(network.last.weight)
    nn.init.constant_(network.last.bias, 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        pictures = network(torch.randn(2, 4), None)
    pictures.mean().backward()
    slope = 4 / (math.exp(5) + math.exp(-5)) ** 2
    assert network.last.bias.grad.item() == pytest.approx(slope, rel=0.01)
