"""Truths about the generator `mlp`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from gankit import UNBOUNDED, Shapes
from gankit_mlp.mlp_generator import MLPGenerator

MNIST = Shapes(sample=(1, 28, 28), noise=100)
LABELLED = Shapes(sample=(1, 28, 28), noise=100, condition=10)
MIRZA = {"noise_hidden": 200, "condition_hidden": 1000, "hidden": (1200,)}


def parameters(network):
    """Count the numbers that are learnt."""
    return sum(p.numel() for p in network.parameters())


def linear_layers(network):
    """Return the linear layers in the order in which they were made."""
    return [m for m in network.modules() if isinstance(m, torch.nn.Linear)]


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


def test_goodfellow_has_the_papers_number_of_parameters():
    """100 → 1200 → 1200 → 784, each layer with biases."""
    expected = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    assert parameters(MLPGenerator(MNIST)) == expected


def test_mirza_has_the_papers_number_of_parameters():
    """100 → 200 beside 10 → 1000, joined to 1200 → 1200 → 784."""
    expected = (
        (100 * 200 + 200) + (10 * 1000 + 1000) + (1200 * 1200 + 1200) + 1200 * 784 + 784
    )
    assert parameters(MLPGenerator(LABELLED, **MIRZA)) == expected


def test_weights_are_uniform_within_the_range_and_biases_zero():
    """Goodfellow's ±0.05, by a Kolmogorov-Smirnov test of each layer."""
    for layer in linear_layers(MLPGenerator(MNIST, weight_range=0.05)):
        weights = layer.weight.detach().flatten()[:20_000].numpy()
        assert kstest(weights, "uniform", args=(-0.05, 0.1)).pvalue > 1e-3
        assert not layer.bias.any()


def test_without_a_range_torchs_own_initialisation_stays():
    """nn.Linear draws weights and biases within ± 1/√inputs."""
    first = linear_layers(MLPGenerator(MNIST))[0]
    bound = 1 / math.sqrt(100)
    assert 0.99 * bound < first.weight.abs().max() <= bound
    assert first.bias.abs().max() > 0


def test_conditional_forward_agrees_with_the_formula():
    """σ(W₄ relu(W₃ [relu(W₁ z + b₁), relu(W₂ y + b₂)] + b₃) + b₄), in numpy."""
    shapes = Shapes(sample=(2, 3), noise=4, condition=5)
    network = MLPGenerator(shapes, noise_hidden=3, condition_hidden=2, hidden=(7,))
    noise, condition = torch.randn(6, 4), torch.randn(6, 5)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (
        (m.weight.detach().double().numpy(), m.bias.detach().double().numpy())
        for m in linear_layers(network)
    )
    z, y = noise.double().numpy(), condition.double().numpy()
    joined = np.concatenate([z @ w1.T + b1, y @ w2.T + b2], axis=1).clip(0)
    logits = (joined @ w3.T + b3).clip(0) @ w4.T + b4
    expected = (1 / (1 + np.exp(-logits))).reshape(6, 2, 3)
    actual = network(noise, condition).detach().numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("own", [0, 6])
def test_each_sample_depends_on_its_own_condition_alone(own):
    """Changing one condition changes that sample and no other."""
    network = MLPGenerator(LABELLED, condition_hidden=own, hidden=(50,))
    noise, labels = torch.randn(5, 100), torch.eye(10)[:5]
    before = network(noise, labels)
    labels = labels.clone()
    labels[1] = torch.eye(10)[9]
    changed = (network(noise, labels) != before).flatten(1).any(1)
    assert changed.tolist() == [False, True, False, False, False]


def test_unconditional_ignores_whatever_condition_and_its_option():
    """Without a condition size there is no path for one."""
    network = MLPGenerator(MNIST, condition_hidden=1000, hidden=(5,))
    noise = torch.randn(3, 100)
    assert torch.equal(network(noise, None), network(noise, torch.randn(3, 7)))
    assert parameters(network) == 100 * 5 + 5 + 5 * 784 + 784


@pytest.mark.parametrize(
    ("output", "ends"), [("sigmoid", (0.0, 1.0)), ("tanh", (-1.0, 1.0))]
)
def test_squashed_samples_fill_the_declared_range(output, ends):
    """Huge noise drives the output to both ends and never past them."""
    network = MLPGenerator(Shapes((50,), 10), hidden=(20,), output=output)
    samples = network(1e4 * torch.randn(50, 10), None)
    assert network.output_range == ends
    assert (samples.min().item(), samples.max().item()) == ends


@pytest.mark.parametrize(
    ("output", "logit", "slope"),
    [
        ("sigmoid", 8.0, 1 / (math.exp(4) + math.exp(-4)) ** 2),
        ("tanh", 4.0, 4 / (math.exp(4) + math.exp(-4)) ** 2),
    ],
)
def test_a_white_sample_has_a_gradient_in_half_precision(output, logit, slope):
    """The derivatives where bfloat16 rounds both functions to 1."""
    network = MLPGenerator(Shapes((1,), 3), hidden=(4,), output=output)
    torch.nn.init.zeros_(network.output.weight)
    torch.nn.init.constant_(network.output.bias, logit)
    with torch.autocast("cpu", torch.bfloat16):
        samples = network(torch.randn(2, 3), None)
    samples.mean().backward()
    assert network.output.bias.grad.item() == pytest.approx(slope, rel=0.01)


def test_linear_output_is_unbounded():
    """Without biases a ReLU network is positively homogeneous."""
    network = MLPGenerator(
        Shapes((50,), 10), hidden=(20,), output="linear", weight_range=0.3
    ).double()
    noise = torch.randn(5, 10).double()
    torch.testing.assert_close(network(1e4 * noise, None), 1e4 * network(noise, None))
    assert network.output_range == UNBOUNDED


def test_dropout_drops_its_fraction_and_scales_the_rest():
    """With 0.5, half of 10,000 units that are all 1 vanish and the others double.

    The derivative of a linear output by a weight is what reaches it of that unit.
    """
    network = MLPGenerator(
        Shapes((1,), 1), hidden=(10_000,), output="linear", dropout=0.5
    )
    hidden, output = linear_layers(network)
    with torch.no_grad():
        hidden.weight.zero_()
        hidden.bias.fill_(1)
    network(torch.zeros(1, 1), None).backward()
    units = output.weight.grad
    assert units.unique().tolist() == [0, 2]
    assert abs((units > 0).double().mean().item() - 0.5) < 4 * 0.5 / math.sqrt(10_000)


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_observed_means_are_what_the_bias_alone_generates(output):
    """The bias is the inverse of the squashing function at the data's means."""
    network = MLPGenerator(
        Shapes((2, 3), 4), hidden=(5,), output=output, bias_from_data=True
    )
    data = torch.rand(1000, 2, 3)
    network.observe(data)
    with torch.no_grad():
        network.output.weight.zero_()
    samples = network(torch.randn(2, 4), None)
    torch.testing.assert_close(samples, data.mean(0).expand(2, 2, 3))


@pytest.mark.parametrize(
    ("output", "ends", "slope"),
    [("sigmoid", (0.0, 1.0), 1.0), ("tanh", (-1.0, 1.0), 0.5)],
)
def test_constant_pixels_give_finite_biases(output, ends, slope):
    """At the ends of the range the mean is moved inside by 1e-7: ± log(1e7 - 1)."""
    network = MLPGenerator(
        Shapes((2,), 4), hidden=(5,), output=output, bias_from_data=True
    )
    network.observe(torch.tensor([ends] * 10))
    expected = slope * math.log(1e7 - 1) * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(network.output.bias.detach(), expected)


def test_observing_is_opt_in():
    """Without the option the data does not touch the network."""
    network = MLPGenerator(Shapes((2,), 4), hidden=(5,))
    before = network.output.bias.detach().clone()
    network.observe(torch.rand(10, 2))
    assert torch.equal(network.output.bias, before)


def test_shapes_are_known_without_memory():
    """A network on the meta device generates the shape of its samples."""
    with torch.device("meta"):
        network = MLPGenerator(LABELLED, **MIRZA, dropout=0.5, weight_range=0.05)
        samples = network(torch.empty(3, 100), torch.empty(3, 10))
    assert samples.is_meta
    assert samples.shape == (3, 1, 28, 28)
