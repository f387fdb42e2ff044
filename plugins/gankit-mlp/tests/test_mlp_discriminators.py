"""Truths about the discriminators `mlp` and `maxout`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from gankit import Shapes
from gankit_mlp.maxout_discriminator import Maxout, MaxoutDiscriminator
from gankit_mlp.mlp_discriminator import MLPDiscriminator

MNIST = Shapes(sample=(1, 28, 28), noise=100)
LABELLED = Shapes(sample=(1, 28, 28), noise=100, condition=10)
BOTH = [MLPDiscriminator, MaxoutDiscriminator]


def parameters(network):
    """Count the numbers that are learnt."""
    return sum(p.numel() for p in network.parameters())


def linear_layers(network):
    """Return the linear layers in the order in which they were made."""
    return [m for m in network.modules() if isinstance(m, torch.nn.Linear)]


def weights(layer):
    """Return a layer's weights and biases in float64 numpy."""
    return (t.detach().double().numpy() for t in (layer.weight, layer.bias))


def arriving(network, sample):
    """Return which share of its inputs the last layer gets, and their values.

    The derivative of a logit by a weight of the last layer is that weight's input.
    """
    (inputs,) = torch.autograd.grad(network(sample, None), network.logit.weight)
    return (inputs != 0).double().mean().item(), inputs.unique().tolist()


@pytest.fixture(autouse=True)
def seeded():
    """Draw the same numbers in every run."""
    torch.manual_seed(0)


def test_goodfellow_has_the_papers_number_of_parameters():
    """784 → 240 × 5 → 240 × 5 → 1."""
    expected = (784 * 1200 + 1200) + (240 * 1200 + 1200) + (240 + 1)
    assert parameters(MaxoutDiscriminator(MNIST)) == expected


def test_mirza_has_the_papers_number_of_parameters():
    """784 → 240 × 5 beside 10 → 50 × 5, joined to 290 → 240 × 4 → 1."""
    expected = (784 * 1200 + 1200) + (10 * 250 + 250) + (290 * 960 + 960) + (240 + 1)
    assert parameters(MaxoutDiscriminator(LABELLED, pieces=4)) == expected


def test_mlp_has_the_number_of_parameters_of_its_layers():
    """784 → 30 beside 10 → 20, joined to 50 → 40 → 1."""
    network = MLPDiscriminator(
        LABELLED, sample_hidden=30, condition_hidden=20, hidden=(40,)
    )
    expected = (784 * 30 + 30) + (10 * 20 + 20) + (50 * 40 + 40) + (40 + 1)
    assert parameters(network) == expected


@pytest.mark.parametrize("kind", BOTH)
def test_weights_are_uniform_within_the_range_and_biases_zero(kind):
    """Goodfellow's ±0.005, by a Kolmogorov-Smirnov test of each layer."""
    for layer in linear_layers(kind(MNIST, weight_range=0.005)):
        drawn = layer.weight.detach().flatten()[:20_000].numpy()
        assert kstest(drawn, "uniform", args=(-0.005, 0.01)).pvalue > 1e-3
        assert not layer.bias.any()


def test_maxout_units_share_no_piece():
    """Each of the layer's linear forms is the largest piece of one unit, once."""
    layer = Maxout(6, units=2, pieces=3)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.eye(6))
        layer.linear.bias.zero_()
    winners = layer(torch.eye(6)).detach()  # (6, 2): form i is 1, the others 0
    assert winners.sum(1).tolist() == [1] * 6
    assert winners.sum(0).tolist() == [3, 3]


def test_maxout_forward_agrees_with_an_explicit_maximum():
    """Two joined paths and a hidden layer, unit by unit and piece by piece."""
    shapes = Shapes(sample=(2, 3), noise=1, condition=4)
    network = MaxoutDiscriminator(
        shapes,
        sample_hidden=3,
        condition_hidden=2,
        hidden=(4,),
        input_pieces=5,
        pieces=2,
    ).eval()

    def maxout(inputs, layer, units, pieces):
        weight, bias = weights(layer)
        forms = inputs @ weight.T + bias
        each = [[forms[:, p * units + u] for p in range(pieces)] for u in range(units)]
        return np.stack([np.maximum.reduce(forms_u) for forms_u in each], axis=1)

    samples, condition = torch.randn(7, 2, 3), torch.randn(7, 4)
    first, second, third, last = linear_layers(network)
    x = samples.reshape(7, 6).double().numpy()
    paths = [
        maxout(x, first, 3, 5),
        maxout(condition.double().numpy(), second, 2, 5),
    ]
    weight, bias = weights(last)
    hidden = maxout(np.concatenate(paths, axis=1), third, 4, 2)
    expected = (hidden @ weight.T + bias)[:, 0]
    actual = network(samples, condition).detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("activation", "slope"), [("leaky-relu", 0.2), ("relu", 0)])
def test_mlp_forward_agrees_with_the_formula(activation, slope):
    """W₂ φ(W₁ [x, y] + b₁) + b₂ with φ(h) = max(h, slope · h)."""
    network = MLPDiscriminator(Shapes((2, 3), 1, 4), hidden=(5,), activation=activation)
    samples, condition = torch.randn(7, 2, 3), torch.randn(7, 4)
    (w1, b1), (w2, b2) = map(weights, linear_layers(network))
    joined = torch.cat([samples.flatten(1), condition], 1).double().numpy()
    hidden = joined @ w1.T + b1
    expected = (np.maximum(hidden, slope * hidden) @ w2.T + b2)[:, 0]
    actual = network(samples, condition).detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_input_dropout_keeps_its_share_of_the_sample_scaled():
    """Goodfellow's 0.8 of the input: ones come through as 1.25."""
    n = 10_000
    network = MaxoutDiscriminator(Shapes((n,), 1), sample_hidden=0, hidden=())
    share, values = arriving(network, torch.ones(1, n))
    assert values == [0, 1.25]
    assert abs(share - 0.8) < 4 * math.sqrt(0.8 * 0.2 / n)
    assert arriving(network.eval(), torch.ones(1, n)) == (1, [1])


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("kind", BOTH)
def test_dropout_keeps_its_share_of_every_hidden_layer_scaled(kind, own):
    """Half of 10,000 units that are all 1 come through, doubled."""
    n = 10_000
    sizes = {"sample_hidden": n, "hidden": ()} if own else {"hidden": (n,)}
    sizes = {"sample_hidden": 0} | sizes
    network = kind(Shapes((1,), 1), **sizes, dropout=0.5)
    hidden, _ = linear_layers(network)
    with torch.no_grad():
        hidden.weight.zero_()
        hidden.bias.fill_(1)
    share, values = arriving(network, torch.zeros(1, 1))
    assert values == [0, 2]
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(n)
    assert arriving(network.eval(), torch.zeros(1, 1)) == (1, [1])


def test_the_condition_is_never_dropped():
    """With the whole sample dropped the logit is linear in the condition."""
    network = MaxoutDiscriminator(
        Shapes((5,), 1, 3),
        sample_hidden=0,
        condition_hidden=0,
        hidden=(),
        input_dropout=1.0,
    )
    condition = torch.randn(4, 3)
    logits = network(torch.randn(4, 5), condition)
    expected = condition @ network.logit.weight[0, 5:] + network.logit.bias
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("own", [0, 6])
@pytest.mark.parametrize("kind", BOTH)
def test_each_logit_depends_on_its_own_condition_alone(kind, own):
    """Changing one condition changes that logit and no other."""
    network = kind(LABELLED, condition_hidden=own).eval()
    samples, labels = torch.rand(5, 1, 28, 28), torch.eye(10)[:5]
    before = network(samples, labels)
    labels = labels.clone()
    labels[1] = torch.eye(10)[9]
    changed = network(samples, labels) != before
    assert changed.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("kind", BOTH)
def test_unconditional_ignores_whatever_condition(kind):
    """Without a condition size there is no path for one."""
    network = kind(MNIST).eval()
    samples = torch.rand(3, 1, 28, 28)
    assert torch.equal(network(samples, None), network(samples, torch.randn(3, 7)))


@pytest.mark.parametrize("kind", BOTH)
def test_second_derivatives_are_right(kind):
    """What a gradient penalty needs, against finite differences in float64."""
    shapes = Shapes((2, 2), 1, 2)
    network = kind(shapes, sample_hidden=4, condition_hidden=3, hidden=(5,))
    network = network.double().eval()
    samples = torch.randn(3, 2, 2, dtype=torch.double, requires_grad=True)
    condition = torch.randn(3, 2, dtype=torch.double)

    def penalty(x, *_):
        (gradient,) = torch.autograd.grad(
            network(x, condition).sum(), x, create_graph=True
        )
        return gradient.square().sum()

    learnt = [p for p in network.parameters() if p.ndim == 2]
    assert torch.autograd.gradcheck(penalty, (samples, *learnt))


@pytest.mark.parametrize("kind", BOTH)
def test_shapes_are_known_without_memory(kind):
    """A network on the meta device gives one logit for each sample."""
    with torch.device("meta"):
        network = kind(LABELLED, condition_hidden=50, dropout=0.5, weight_range=0.005)
        logits = network(torch.empty(3, 1, 28, 28), torch.empty(3, 10))
    assert logits.is_meta
    assert logits.shape == (3,)
