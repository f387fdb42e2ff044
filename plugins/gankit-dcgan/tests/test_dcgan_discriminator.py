"""Truths about the discriminator `dcgan`."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.nn import functional as F

from gankit import Shapes
from gankit_dcgan.discriminator import DCGANDiscriminator
from gankit_dcgan.generator import DCGANGenerator

FACES = Shapes((3, 64, 64), noise=100)
PLACES = ["input", "features", "layers", "product"]


def parameters(network):
    """Count the numbers that are learnt."""
    return sum(p.numel() for p in network.parameters())


def on_meta(shapes, **options):
    """Build a network that takes no memory."""
    with torch.device("meta"):
        return DCGANDiscriminator(shapes, **options)


def planes(condition, size):
    """Repeat each number of a condition over size × size places."""
    return condition[:, :, None, None].repeat(1, 1, size, size)


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


@pytest.mark.parametrize("kernel", [4, 5])
def test_radford_has_the_papers_number_of_parameters(kernel):
    """3 → 128 → 256 → 512 → 1024 at 4 × 4 → 1, biases at both ends."""
    k = kernel**2
    expected = (
        (3 * 128 * k + 128)
        + (128 * 256 * k + 2 * 256)
        + (256 * 512 * k + 2 * 512)
        + (512 * 1024 * k + 2 * 1024)
        + (1024 * 16 + 1)
    )
    assert parameters(on_meta(FACES, width=128, kernel=kernel)) == expected


def test_reed_has_the_papers_number_of_parameters():
    """Base width 64; 128 of text joined at 4 × 4, a 1 × 1 and a 4 × 4 convolution."""
    expected = (
        (1024 * 128 + 128)
        + (3 * 64 * 16 + 64)
        + (64 * 128 * 16 + 2 * 128)
        + (128 * 256 * 16 + 2 * 256)
        + (256 * 512 * 16 + 2 * 512)
        + ((512 + 128) * 512 + 2 * 512)
        + (512 * 16 + 1)
    )
    shapes = Shapes((3, 64, 64), noise=100, condition=1024)
    assert parameters(on_meta(shapes, width=64, condition_size=128)) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_every_stage_halves_the_size_exactly(size, kernel, channels):
    """Half the image's size, … down to 4, and one logit of each image."""
    network = DCGANDiscriminator(
        Shapes((channels, size, size), 7), width=2, kernel=kernel
    )
    seen = []
    for stage in network.stages:
        stage.register_forward_hook(lambda *at: seen.append(at[2].shape[2:]))
    logits = network(torch.rand(2, channels, size, size), None)
    assert logits.shape == (2,)
    halved = [size >> n for n in range(1, size.bit_length() - 2)]
    assert halved[-1] == 4
    assert [tuple(shape) for shape in seen] == [(n, n) for n in [*halved, 1]]


@pytest.mark.parametrize("kernel", [4, 5])
def test_halving_and_doubling_are_adjoint(kernel):
    """⟨convolution x, y⟩ = ⟨x, transposed convolution y⟩ for the same weights."""
    shapes = Shapes((3, 16, 16), 7)
    down = DCGANDiscriminator(shapes, width=4, kernel=kernel).double().stages[0][0]
    up = DCGANGenerator(shapes, width=4, kernel=kernel).double().stages[-1][0]
    up.weight = down.weight
    x = torch.randn(2, 3, 16, 16).double()
    y = torch.randn(2, 4, 8, 8).double()
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())


@pytest.mark.parametrize(("kernel", "first", "last"), [(4, 1, 46), (5, 0, 46)])
def test_a_place_of_the_deepest_features_sees_its_field(kernel, first, last):
    """Four layers of stride 2 and kernel k see 1 + (k - 1)(1 + 2 + 4 + 8) pixels.

    With paddings p, place (1, 1) begins at 16 - p(1 + 2 + 4 + 8): at 1 for kernel 4,
    and for kernel 5 14 pixels outside the image, which cuts them off.
    """
    network = DCGANDiscriminator(FACES, width=4, kernel=kernel, norm="none")
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    features = image
    for stage in network.stages[:-1]:
        features = stage(features)
    (gradient,) = torch.autograd.grad(features[:, :, 1, 1].sum(), image)
    rows = (gradient != 0).any(3).any(1).flatten().nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (first, last)


def test_weights_and_gains_are_normal_and_biases_zero():
    """N(0, 0.02) and N(1, 0.02), by a Kolmogorov-Smirnov test of each layer."""
    shapes = Shapes((3, 32, 32), 100, 50)
    network = DCGANDiscriminator(shapes, width=64, condition_size=30)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            mean = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            mean = 1.0
        else:
            continue
        drawn = module.weight.detach().flatten()[:20_000].numpy()
        assert kstest(drawn, "norm", args=(mean, 0.02)).pvalue > 1e-3
        assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize("condition", [0, 10])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_batch_norm_but_at_both_ends_and_no_bias_before_it(norm, condition):
    """A bias is there exactly where no batch norm follows."""
    network = on_meta(Shapes((3, 64, 64), 100, condition), norm=norm)
    normed = [
        any(isinstance(module, nn.BatchNorm2d) for module in stage)
        for stage in network.stages
    ]
    inner = 3 + (condition > 0)
    assert normed == [False, *[norm == "batch"] * inner, False]
    assert [stage[0].bias is None for stage in network.stages] == normed


def test_without_batch_norm_images_are_judged_one_by_one():
    """The gradient of one logit vanishes at all other images of the batch."""
    images = torch.rand(3, 1, 16, 16, requires_grad=True)
    touched = {}
    for norm in ("none", "batch"):
        network = DCGANDiscriminator(Shapes((1, 16, 16), 7), width=4, norm=norm)
        (gradient,) = torch.autograd.grad(network(images, None)[1], images)
        touched[norm] = gradient.flatten(1).any(1).tolist()
    assert touched == {"none": [False, True, False], "batch": [True, True, True]}


@pytest.mark.parametrize("size", [0, 6])
@pytest.mark.parametrize("at", PLACES)
def test_each_logit_depends_on_its_own_condition_alone(at, size):
    """In evaluation a changed condition changes that logit and no other."""
    network = DCGANDiscriminator(
        Shapes((1, 16, 16), 7, 10), width=4, condition_size=size, condition_at=at
    ).eval()
    images, labels = torch.rand(5, 1, 16, 16), torch.eye(10)[:5]
    before = network(images, labels)
    labels = labels.clone()
    labels[1] = torch.eye(10)[9]
    changed = network(images, labels) != before
    assert changed.tolist() == [False, True, False, False, False]


def test_at_the_input_the_condition_is_further_channels():
    """An unconditional network of so many channels more has the same weights."""
    joined = DCGANDiscriminator(Shapes((3, 16, 16), 7, 5), condition_at="input")
    plain = DCGANDiscriminator(Shapes((8, 16, 16), 7))
    plain.load_state_dict(joined.state_dict())
    images, condition = torch.rand(2, 3, 16, 16), torch.randn(2, 5)
    together = torch.cat([images, planes(condition, 16)], 1)
    torch.testing.assert_close(joined(images, condition), plain(together, None))


def test_at_the_features_the_condition_joins_as_in_reed():
    """Projected, repeated over 4 × 4, a 1 × 1 convolution, then the 4 × 4 one."""
    shapes = Shapes((3, 16, 16), 7, 5)
    network = DCGANDiscriminator(shapes, width=4, norm="none", condition_size=6)
    w = dict(network.named_parameters())
    with torch.no_grad():  # at 0.02 what is wrong would be too small to see
        for weight in w.values():
            weight.normal_()

    def layer(x, index, **geometry):
        name = f"stages.{index}.0"
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **geometry)

    def bent(x):
        return torch.maximum(x, 0.2 * x)

    images, text = torch.rand(2, 3, 16, 16), torch.randn(2, 5)
    features = images
    for index in range(2):
        features = bent(layer(features, index, stride=2, padding=1))
    projected = bent(text @ w["projection.0.weight"].T + w["projection.0.bias"])
    features = torch.cat([features, planes(projected, 4)], 1)
    expected = layer(bent(layer(features, 2)), 3).flatten()
    torch.testing.assert_close(network(images, text), expected)


def test_at_every_layer_the_condition_joins_as_in_radfords_code():
    """Planes beside the input of each convolution and of the last layer."""
    shapes = Shapes((3, 16, 16), 7, 5)
    network = DCGANDiscriminator(shapes, width=4, condition_at="layers").eval()
    images, condition = torch.rand(2, 3, 16, 16), torch.randn(2, 5)
    features = images
    for stage, size in zip(network.stages, [16, 8, 4], strict=True):
        features = stage(torch.cat([features, planes(condition, size)], 1))
    torch.testing.assert_close(network(images, condition), features.flatten())
    inputs = [stage[0].in_channels for stage in network.stages]
    assert inputs == [3 + 5, 4 + 5, 8 + 5]


def test_the_product_tells_how_well_features_and_condition_agree():
    """Logits are the unconditional ones and (W y) · features, over all 16 places."""
    shapes = Shapes((3, 16, 16), 7, 5)
    network = DCGANDiscriminator(
        shapes, width=4, condition_size=6, condition_at="product"
    ).eval()
    with torch.no_grad():  # at 0.02 what is wrong would be too small to see
        for weight in network.parameters():
            weight.normal_()
    plain = DCGANDiscriminator(Shapes((3, 16, 16), 7), width=4).eval()
    shared = plain.state_dict().keys()
    plain.load_state_dict({k: network.state_dict()[k] for k in shared})
    images, text = torch.rand(2, 3, 16, 16), torch.randn(2, 5)
    features = network.stages[1](network.stages[0](images))  # (2, 8, 4, 4)
    weight = network.product.weight.view(8, 4, 4, 6)
    told = torch.nn.functional.leaky_relu(network.projection[0](text), 0.2)
    agreement = torch.einsum("bchw,chwt,bt->b", features, weight, told)
    assert agreement.abs().min() > 1e-3
    expected = plain(images, None) + agreement
    torch.testing.assert_close(network(images, text), expected)


@pytest.mark.parametrize("at", PLACES)
def test_unconditional_ignores_whatever_condition(at):
    """Without a condition size there is no path for one, and no layer to mix it in."""
    network = DCGANDiscriminator(
        Shapes((1, 16, 16), 7), width=4, condition_size=6, condition_at=at
    )
    images = torch.rand(3, 1, 16, 16)
    assert torch.equal(network(images, None), network(images, torch.randn(3, 10)))
    assert len(network.stages) == 3


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_second_derivatives_are_right(norm):
    """What a gradient penalty needs, against finite differences in float64."""
    network = DCGANDiscriminator(
        Shapes((1, 16, 16), 1, 2), width=2, norm=norm, condition_size=2
    ).double()
    images = torch.rand(2, 1, 16, 16, dtype=torch.double, requires_grad=True)
    condition = torch.randn(2, 2, dtype=torch.double)

    def penalty(x, *_):
        (gradient,) = torch.autograd.grad(
            network(x, condition).sum(), x, create_graph=True
        )
        return gradient.square().sum()

    with torch.no_grad():  # at 0.02 the penalty is too small to differ numerically
        for weight in network.parameters():
            if weight.ndim == 4:
                weight.mul_(20)
    learnt = [p for p in network.parameters() if p.ndim == 4]
    assert torch.autograd.gradcheck(penalty, (images, *learnt), fast_mode=True)


def test_autocast_stays_near_full_precision():
    """bfloat16 has 8 bits: the logits agree to a few percent of their spread."""
    network = DCGANDiscriminator(Shapes((3, 32, 32), 7, 5), width=8).eval()
    images, condition = torch.rand(4, 3, 32, 32), torch.randn(4, 5)
    exact = network(images, condition)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(images, condition)
    assert rounded.dtype == torch.bfloat16
    close = {"rtol": 0.05, "atol": 0.05 * exact.abs().max().item()}
    torch.testing.assert_close(rounded.float(), exact, **close)


def test_shapes_are_known_without_memory():
    """A network on the meta device gives one logit for each image."""
    with torch.device("meta"):
        network = on_meta(Shapes((3, 64, 64), 100, 10), condition_size=128)
        logits = network(torch.empty(2, 3, 64, 64), torch.empty(2, 10))
    assert logits.is_meta
    assert logits.shape == (2,)
