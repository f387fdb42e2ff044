"""Truths about DF-GAN's blocks and networks, by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d

from gankit import UNBOUNDED, Shapes
from gankit_fusion.blocks import Affine, DownBlock, Fusion, UpBlock
from gankit_fusion.discriminator import FusionDiscriminator
from gankit_fusion.generator import FusionGenerator


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


def randomised(module: nn.Module) -> nn.Module:
    """Draw all parameters anew, so that none is at its special start; in float64."""
    for parameter in module.double().parameters():
        nn.init.normal_(parameter)
    return module


def leaky(values: torch.Tensor) -> torch.Tensor:
    """Return x above nought and x/5 below."""
    return torch.maximum(values, values / 5)


def set_affine(affine: Affine, scale: list[float], shift: list[float]) -> None:
    """Make γ and β these, whatever the condition."""
    for network, bias in ((affine.scale, scale), (affine.shift, shift)):
        nn.init.zeros_(network[-1].weight)
        network[-1].bias.data = torch.tensor(bias)


def test_an_affine_change_is_scale_and_shift_by_the_condition():
    """With weights W₁ = [2, -1], W₂ = 3 and c = (4, 3): γ = 3 (8 - 3)⁺ + 1 = 16.

    β = 1·(-8 + 3)⁺ - 2 = -2, so that features of 5 and -1 become 78 and -18.
    """
    affine = Affine(2, 1)
    for layer, weight, bias in (
        (affine.scale[0], [[2.0, -1.0]], [0.0]),
        (affine.scale[2], [[3.0]], [1.0]),
        (affine.shift[0], [[-2.0, 1.0]], [0.0]),
        (affine.shift[2], [[1.0]], [-2.0]),
    ):
        layer.weight.data = torch.tensor(weight)
        layer.bias.data = torch.tensor(bias)
    changed = affine(torch.tensor([[[[5.0, -1.0]]]]), torch.tensor([[4.0, 3.0]]))
    assert changed.tolist() == [[[[78.0, -18.0]]]]


def test_an_affine_change_begins_as_none():
    """γ = 1 and β = 0, whatever the condition."""
    features = torch.randn(2, 3, 4, 4)
    assert torch.equal(Affine(5, 3)(features, torch.randn(2, 5)), features)


def test_each_sample_is_changed_by_its_own_condition_and_each_channel_alike():
    """(x' - β) / x is one number in a channel of a sample, and differs elsewhere."""
    affine = randomised(Affine(5, 3))
    condition = torch.randn(2, 5).double()
    zero = affine(torch.zeros(2, 3, 4, 4).double(), condition)
    slope = affine(torch.ones(2, 3, 4, 4).double(), condition) - zero
    torch.testing.assert_close(slope, slope[:, :, :1, :1].expand(2, 3, 4, 4))
    assert slope[:, :, 0, 0].unique().numel() == 6


def test_a_fusion_is_two_changes_with_a_rectifier_after_each():
    """Of -1: 2x + 1 is -1, leaky -0.2; 10x + 1 is -1, leaky -0.2; of 1: 3, and 31."""
    fusion = Fusion(2, 1)
    set_affine(fusion.first, [2.0], [1.0])
    set_affine(fusion.second, [10.0], [1.0])
    fused = fusion(torch.tensor([[[[-1.0, 1.0]]]]), torch.zeros(1, 2))
    torch.testing.assert_close(fused, torch.tensor([[[[-0.2, 31.0]]]]))


def test_doubling_repeats_places_and_adds_two_fused_convolutions():
    """Against the same sum written out in float64."""
    block = randomised(UpBlock(5, 3, 2))
    features, told = torch.randn(2, 3, 4, 4).double(), torch.randn(2, 5).double()
    wide = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fuse, convolve = block.fusions, block.convolutions
    once = conv2d(fuse[0](wide, told), convolve[0].weight, convolve[0].bias, padding=1)
    twice = conv2d(fuse[1](once, told), convolve[1].weight, convolve[1].bias, padding=1)
    short = conv2d(wide, block.shortcut.weight, block.shortcut.bias)
    torch.testing.assert_close(block(features, told), short + twice)
    same = UpBlock(5, 3, 3)
    assert isinstance(same.shortcut, nn.Identity)


def test_halving_adds_its_convolutions_by_a_weight_that_begins_at_nought():
    """At first there is the shortcut alone; then x + γ r, written out in float64."""
    block = DownBlock(3, 2, weight=0.0).double()
    features = torch.randn(2, 3, 8, 8).double()
    short = avg_pool2d(
        conv2d(features, block.shortcut.weight, block.shortcut.bias), 2
    )  # pooled after, as the authors do
    torch.testing.assert_close(block(features), short)
    block.weight.data.fill_(0.5)
    inner = leaky(conv2d(features, block.residual[0].weight, stride=2, padding=1))
    residual = leaky(conv2d(inner, block.residual[2].weight, padding=1))
    torch.testing.assert_close(block(features), short + residual / 2)


@pytest.mark.parametrize(("weight", "linear"), [(0.0, True), (0.5, False)])
def test_without_residues_the_discriminator_begins_with_linear_features(weight, linear):
    """Those of the mean of two pictures are the mean of theirs, and else are not."""
    network = FusionDiscriminator(
        Shapes((3, 32, 32), 5, 0), width=2, residual_weight=weight
    ).double()
    assert [block.weight.item() for block in network.blocks] == [weight] * 3
    pictures = torch.randn(2, 3, 32, 32).double()
    each, mean = (
        network.blocks(network.start(some))
        for some in (pictures, pictures.mean(0, keepdim=True))
    )
    assert torch.allclose(each.mean(0, keepdim=True), mean) is linear


def test_the_generators_parameters_are_those_of_the_paper_and_its_code():
    """At 256 × 256, width 32, noise 100, text 256: channels 256⁴, 128, 64, 32."""

    def affine(channels: int) -> int:
        return 2 * ((356 + 1) * channels + (channels + 1) * channels)

    def block(a: int, b: int) -> int:
        fusions = 2 * affine(a) + 2 * affine(b)
        convolutions = (9 * a + 1) * b + (9 * b + 1) * b
        return fusions + convolutions + ((a + 1) * b if a != b else 0)

    widths = [256, 256, 256, 256, 128, 64, 32]
    expected = 101 * 256 * 16 + (9 * 32 + 1) * 3
    expected += sum(block(a, b) for a, b in pairwise(widths))
    with torch.device("meta"):
        network = FusionGenerator(Shapes((3, 256, 256), 100, 256), width=32)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_the_discriminators_parameters_are_those_of_the_paper_and_its_code():
    """Likewise: from 32 to 256 channels, and 3 × 3, 4 × 4 over picture and text."""
    widths = [32, 64, 128, 256, 256, 256, 256]
    expected = (9 * 3 + 1) * 32 + 9 * (256 + 256) * 64 + 16 * 64
    for a, b in pairwise(widths):
        expected += 16 * a * b + 9 * b * b + 1 + ((a + 1) * b if a != b else 0)
    with torch.device("meta"):
        network = FusionDiscriminator(Shapes((3, 256, 256), 100, 256), width=32)
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize(
    "sample",
    [(3, 16, 16), (1, 64, 64), (4, 48, 48), (3, 64, 96), (3, 60, 28), (3, 128, 128)],
)
@pytest.mark.parametrize("told", [0, 7])
def test_pictures_of_these_sides_are_made_and_judged(sample, told):
    """One logit a picture; within the range of tanh."""
    shapes = Shapes(sample, 5, told)
    condition = torch.randn(2, told) if told else None
    made = FusionGenerator(shapes, width=2)(torch.randn(2, 5), condition)
    assert made.shape == (2, *sample)
    assert made.abs().max() <= 1
    assert FusionDiscriminator(shapes, width=2)(made, condition).shape == (2,)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ((3, 8, 8), "8x8 leads to 4x4"),
        ((3, 62, 62), "62x62 leads to 31x31"),
        ((3, 16, 256), "16x256 leads to 4x64"),
        ((2,), "a network for vectors"),
    ],
)
@pytest.mark.parametrize("network", [FusionGenerator, FusionDiscriminator])
def test_other_sides_are_refused(network, sample, said):
    """With what to do."""
    with pytest.raises(ValueError, match=said):
        network(Shapes(sample, 5, 0))


def test_noise_and_text_both_move_the_picture_once_the_changes_have_learnt():
    """At first the text moves nothing, because each change begins as none."""
    network = FusionGenerator(Shapes((3, 16, 16), 5, 7), width=2)
    noise, text = torch.randn(1, 5), torch.randn(1, 7)
    assert torch.equal(network(noise, text), network(noise, -text))
    assert not torch.equal(network(noise, text), network(-noise, text))
    network = randomised(network).float()
    assert not torch.equal(network(noise, text), network(noise, -text))


def test_a_text_is_heeded_by_the_discriminator_and_each_pair_is_judged_alone():
    """Another text, another logit; neighbours in the batch do not matter."""
    network = FusionDiscriminator(Shapes((3, 16, 16), 5, 7), width=4)
    pictures, texts = torch.randn(3, 3, 16, 16), torch.randn(3, 7)
    logits = network(pictures, texts)
    assert (logits != network(pictures, texts.roll(1, 0))).all()
    torch.testing.assert_close(network(pictures[:1], texts[:1]), logits[:1])


def test_a_white_picture_has_a_gradient_in_half_precision():
    """1 - tanh² of 5 is 4 / (e⁵ + e⁻⁵)²; bfloat16 rounds tanh of 5 to 1."""
    network = FusionGenerator(Shapes((1, 16, 16), 3), width=2)
    last = network.end[-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        pictures = network(torch.randn(2, 3), None)
    pictures.mean().backward()
    slope = 4 / (math.exp(5) + math.exp(-5)) ** 2
    assert last.bias.grad.item() == pytest.approx(slope, rel=0.01)


def test_a_linear_output_is_what_tanh_squashes():
    """The same weights; and what is not bounded says so."""
    linear = FusionGenerator(Shapes((3, 16, 16), 3), width=2, output="linear")
    squashed = FusionGenerator(Shapes((3, 16, 16), 3), width=2)
    squashed.load_state_dict(linear.state_dict())
    noise = 10 * torch.randn(4, 3)
    pictures = linear(noise, None)
    assert pictures.abs().max() > 1
    torch.testing.assert_close(squashed(noise, None), pictures.tanh())
    assert linear.output_range == UNBOUNDED
    assert squashed.output_range == (-1.0, 1.0)
