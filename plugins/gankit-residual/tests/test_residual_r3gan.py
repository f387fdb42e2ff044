"""R3GAN, Huang et al. 2024: layers, initial weights, and its loss by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, one_hot, softplus

from gankit import UNBOUNDED, Shapes
from gankit_losses.r1 import R1
from gankit_losses.r2 import R2
from gankit_losses.relativistic import Relativistic
from gankit_residual.r3gan_discriminator import R3GANDiscriminator
from gankit_residual.r3gan_generator import R3GANGenerator
from gankit_residual.r3gan_layers import Doubled, Grouped, Halved

SHAPES = Shapes((3, 12, 20), 5, 3)
OPTIONS: dict[str, Any] = {"widths": (8, 8, 4), "blocks": 2, "group": 4}


def _filled(network: nn.Module) -> Any:
    """Let no weight be 0, so that every path shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.double().parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return network


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_networks_of_cifar_have_the_weights_of_their_layers() -> None:
    """768 channels, 1,536 within blocks in 96 groups, two blocks at each of 4 sizes."""
    options: dict[str, Any] = {"widths": (768,) * 4}
    with torch.device("meta"):
        shapes = Shapes((3, 32, 32), 64)
        generator = R3GANGenerator(shapes, **options)
        discriminator = R3GANDiscriminator(shapes, **options)
        told = R3GANDiscriminator(
            Shapes((3, 32, 32), 64, 10), condition_size=768, **options
        )
    block = 2 * 768 * 1536 + 1536 * 16 * 9 + 2 * 1536
    ends = 768 * 4 * 4 + 64 * 768 + 768 * 3  # the map, its scales, the last layer
    assert _count(generator) == 8 * block + ends == 20_732_160
    ends = 3 * 768 + 768 * 4 * 4 + 768
    assert _count(discriminator) == 8 * block + ends == 20_683_776
    assert _count(told) - _count(discriminator) == 767 * 768 + 10 * 768


def test_doubling_is_bilinear() -> None:
    """As torch's, but at the border, beyond which all is 0 and not the last value."""
    features = torch.randn(2, 3, 5, 7).double()
    doubled = Doubled(3, 3).double()(features)
    expected = interpolate(features, scale_factor=2, mode="bilinear")
    assert doubled.shape == (2, 3, 10, 14)
    torch.testing.assert_close(doubled[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])
    corner = features[:, :, 0, 0] * 0.75**2
    torch.testing.assert_close(doubled[:, :, 0, 0], corner)


def test_halving_is_bilinear_and_the_transpose_of_doubling() -> None:
    """A tent of width 2, as torch's antialiasing; a quarter of the transpose."""
    features = torch.randn(2, 3, 8, 12).double()
    other = torch.randn(2, 3, 4, 6).double()
    halved = Halved(3, 3).double()(features)
    expected = interpolate(features, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(halved[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])
    doubled = Doubled(3, 3).double()(other)
    torch.testing.assert_close((halved * other).sum(), (features * doubled).sum() / 4)


def test_widths_are_changed_where_the_map_is_small() -> None:
    """Before a doubling, and after a halving; by nothing where they are equal."""
    assert isinstance(Doubled(4, 4).mix, nn.Identity)
    features = torch.randn(1, 4, 3, 3)
    up, down = Doubled(4, 2), Halved(4, 2)
    seen: list[tuple[int, ...]] = []
    for layer in (up, down):
        layer.mix.register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape)))
    assert up(features).shape == (1, 2, 6, 6)
    assert down(torch.randn(1, 4, 6, 6)).shape == (1, 2, 3, 3)
    assert seen == [(1, 2, 3, 3), (1, 2, 3, 3)]


def test_a_block_is_the_identity_at_first_and_its_weights_are_fix_ups() -> None:
    """Variance 2 / (1 + 0.2²) / fan-in, by L^(−1/4) less for L blocks of 3 layers."""
    torch.manual_seed(0)
    block = Grouped(64, 128, 16, depth=16)
    features = torch.randn(2, 64, 4, 4)
    assert torch.equal(block(features), features)
    gain = math.sqrt(2 / 1.04) / 2  # 16^(1/4)
    weights = block.up.weight.detach(), block.within.weight.detach()
    deviations = [float(weight.std()) for weight in weights]
    expected = [gain / 64**0.5, gain / (16 * 9) ** 0.5]
    assert deviations == pytest.approx(expected, rel=0.05)
    assert block.within.weight.shape == (128, 16, 3, 3)
    assert not any(b.any() for b in (block.up.bias, block.within.bias))


@torch.no_grad()
def test_initial_samples_and_logits_have_variance_one() -> None:
    """Blocks are the identity, and a layer keeps the variance of independent numbers.

    The map is N(0, 1), and is scaled by N(0, 1).
    """
    torch.manual_seed(0)
    shapes = Shapes((3, 4, 4), 32)
    generator = R3GANGenerator(shapes, widths=(512,), blocks=1)
    made = generator(torch.randn(256, 32), None)
    assert generator.output_range == UNBOUNDED
    assert float(made.var()) == pytest.approx(1, rel=0.15)
    judges = [R3GANDiscriminator(shapes, widths=(256,), blocks=1) for _ in range(8)]
    pictures = torch.randn(64, 3, 4, 4)
    logits = torch.cat([judge(pictures, None) for judge in judges])
    assert float(logits.var()) == pytest.approx(1, rel=0.35)


def _block(block: Any, features: Tensor) -> Tensor:
    """Write a block out: a grouped convolution is one of each group."""
    residue = leaky_relu(conv2d(features, block.up.weight, block.up.bias), 0.2)
    size = block.within.weight.shape[1]
    pieces = [
        conv2d(part, weight, bias, padding=1)
        for part, weight, bias in zip(
            residue.split(size, 1),
            block.within.weight.split(size),
            block.within.bias.split(size),
            strict=True,
        )
    ]
    residue = leaky_relu(torch.cat(pieces, 1), 0.2)
    return features + conv2d(residue, block.down.weight)


def test_the_generator_written_out() -> None:
    """The map scaled by the noise and the condition; blocks, doubling, blocks."""
    network = _filled(R3GANGenerator(SHAPES, condition_size=6, **OPTIONS))
    noise, told = torch.randn(2, 5).double(), torch.eye(3).double()[:2]
    joined = torch.cat([noise, told @ network.embedding.weight.T], 1)
    scales = joined @ network.scales.weight.T
    features = network.basis * scales[:, :, None, None]
    assert features.shape == (2, 8, 3, 5)
    for layer in network.layers[:-1]:
        if isinstance(layer, Grouped):
            features = _block(layer, features)
        else:
            features = layer(features)
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [*[Grouped, Grouped, Doubled] * 2, Grouped, Grouped, nn.Conv2d]
    expected = conv2d(features, network.layers[-1].weight)
    torch.testing.assert_close(network(noise, told), expected)


def test_the_discriminator_written_out() -> None:
    """Blocks, halving, blocks; each channel weighed by place, then a product with y."""
    network = _filled(R3GANDiscriminator(SHAPES, condition_size=6, **OPTIONS))
    pictures, told = torch.randn(2, 3, 12, 20).double(), torch.eye(3).double()[1:]
    features = conv2d(pictures, network.layers[0].weight)
    for layer in network.layers[1:-1]:
        if isinstance(layer, Grouped):
            features = _block(layer, features)
        else:
            features = layer(features)
    assert features.shape == (2, 4, 3, 5)
    weighed = (features * network.layers[-1].weight[:, 0]).sum((2, 3))
    product = (weighed @ network.told.weight.T) * (told @ network.embedding.weight.T)
    torch.testing.assert_close(network(pictures, told), product.sum(1))
    alone = _filled(R3GANDiscriminator(Shapes((3, 12, 20), 5), **OPTIONS))
    assert alone(pictures, None).shape == (2,)


class _Step:
    """Real and generated samples, and a discriminator, as a loss and penalties see."""

    def __init__(self, judge: nn.Module, real: Tensor, fake: Tensor, y: Tensor) -> None:
        self.judge, self.real, self.fake, self.condition = judge, real, fake, y

    @property
    def real_logits(self) -> Tensor:
        return self.discriminate(self.real, self.condition)

    @property
    def fake_logits(self) -> Tensor:
        return self.discriminate(self.fake, self.condition)

    def discriminate(self, samples: Tensor, condition: Tensor) -> Tensor:
        logits: Tensor = self.judge(samples, condition)
        return logits


def test_the_loss_and_both_penalties_by_hand() -> None:
    """E softplus(D(G(z)) − D(x)) + γ/2 E‖∇D(x)‖² + γ/2 E‖∇D(G(z))‖², in float64.

    Gradients of single samples, and those of the whole, by torch.func.
    """
    network = _filled(R3GANDiscriminator(SHAPES, **OPTIONS))
    real, fake = (torch.randn(4, 3, 12, 20).double() for _ in range(2))
    y = one_hot(torch.tensor([0, 1, 2, 0]), 3).double()
    step: Any = _Step(network, real, fake, y)

    def written(parameters: dict[str, Tensor]) -> Tensor:
        def logit(sample: Tensor, told: Tensor) -> Tensor:
            given = (sample[None], told[None])
            return torch.func.functional_call(network, parameters, given)[0]

        slopes = torch.func.vmap(torch.func.grad(logit))
        logits = torch.func.vmap(logit)
        pairs = softplus(logits(fake, y) - logits(real, y)).mean()
        r1, r2 = (slopes(x, y).square().sum((1, 2, 3)).mean() for x in (real, fake))
        return pairs + 0.05 / 2 * r1 + 0.07 / 2 * r2

    loss, penalties = Relativistic(), (R1(weight=0.05), R2(weight=0.07))
    whole = loss.discriminator(step) + sum(p.weight * p(step) for p in penalties)
    parameters = dict(network.named_parameters())
    torch.testing.assert_close(whole, written(parameters))

    names = list(parameters)
    gradients = torch.autograd.grad(whole, [parameters[name] for name in names])
    expected = torch.func.grad(written)({n: p.detach() for n, p in parameters.items()})
    torch.testing.assert_close(dict(zip(names, gradients, strict=True)), expected)
    generator = loss.generator(step)
    pairs = softplus(network(real, y) - network(fake, y)).mean()
    torch.testing.assert_close(generator, pairs)
