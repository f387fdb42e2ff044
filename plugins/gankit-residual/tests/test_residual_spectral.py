"""Spectral norms: against torch's own, and one iteration an update in whole games."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import conv2d, normalize
from torch.nn.utils import parametrizations

import gankit
from gankit import Run, Shapes, Update
from gankit.errors import DivergedError
from gankit_residual.residual_discriminator import ResidualDiscriminator
from gankit_residual.spectral import SpectralConv2d, SpectralLinear

Layer = SpectralConv2d | SpectralLinear


def _layers() -> list[tuple[Layer, Tensor]]:
    torch.manual_seed(0)
    conv, linear = SpectralConv2d(3, 8, 3), SpectralLinear(6, 4)
    return [
        (conv.double(), torch.randn(2, 3, 5, 5).double()),
        (linear.double(), torch.randn(2, 6).double()),
    ]


def _iterated(weight: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Algorithm 1 of Miyato et al. 2018, in float64: u, v and the norm."""
    matrix = weight.detach().double().flatten(1)
    right = matrix.T @ left.double()
    right = right / right.norm()
    new = matrix @ right
    new = new / new.norm()
    return new, right, new @ matrix @ right


def _weight(layer: Layer, given: Tensor) -> Tensor:
    """Return the weight that a layer computes with, from what it makes of ones."""
    if isinstance(layer, SpectralLinear):
        return layer(torch.eye(layer.in_features).double()).T
    ones = torch.eye(27).double().view(27, 3, 3, 3)
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.zero_()
    return layer(ones)[:, :, 1, 1].T.reshape(8, 3, 3, 3)


@pytest.mark.parametrize("which", [0, 1])
def test_after_many_updates_the_largest_singular_value_is_one(which: int) -> None:
    """Of the weight as a matrix (out, in · k · k); by torch.linalg."""
    layer, given = _layers()[which]
    for _ in range(200):
        layer(given).sum().backward()
    with torch.no_grad():
        computed = _weight(layer, given)
    norm = torch.linalg.matrix_norm(computed.flatten(1), ord=2)
    assert float(norm) == pytest.approx(1, abs=1e-9)
    whole = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
    torch.testing.assert_close(computed * whole, layer.weight.detach())


@pytest.mark.parametrize("which", [0, 1])
def test_one_update_makes_one_iteration_whatever_the_passes(which: int) -> None:
    """Three passes and one gradient: u moves once, by algorithm 1."""
    layer, given = _layers()[which]
    layer.left.copy_(normalize(torch.arange(1.0, 1 + len(layer.left)), dim=0))
    start = layer.left.clone()
    expected, _, sigma = _iterated(layer.weight, start)
    outputs = [layer(given) for _ in range(3)]
    assert torch.equal(layer.left, start)  # a pass alone changes nothing
    assert torch.equal(outputs[0], outputs[2])
    with torch.no_grad():
        computed = _weight(layer, given)
    torch.testing.assert_close(computed, layer.weight.detach() / sigma)
    torch.stack(outputs).sum().backward()
    torch.testing.assert_close(layer.left, expected)
    layer(given)
    torch.testing.assert_close(layer.left, expected)


def test_who_only_looks_makes_no_iteration() -> None:
    """A frozen weight, evaluation, and passes without gradients leave u as it was."""
    layer, given = _layers()[1]
    start = layer.left.clone()
    given.requires_grad_()
    layer.weight.requires_grad_(False)
    layer(given).sum().backward()
    layer.weight.requires_grad_(True)
    with torch.no_grad():
        layer(given)
    layer.eval()
    layer(given).sum().backward()
    assert torch.equal(layer.left, start)
    trained, evaluated = layer.train()(given), layer.eval()(given)
    assert torch.equal(trained, evaluated)


def test_a_penalty_and_a_loss_together_move_the_vector_once() -> None:
    """Their gradient is that of the written formula, with u and v held."""
    layer, given = _layers()[1]
    start = layer.left.clone()
    new, right, _ = _iterated(layer.weight, start)

    def objective(judge: Any) -> Tensor:
        samples = given.clone().requires_grad_()
        logits = torch.tanh(judge(samples)).sum(1)
        (slope,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
        assert torch.equal(layer.left, start)
        return slope.square().sum() + logits.square().sum()

    weight = layer.weight.detach().clone().requires_grad_()
    objective(lambda x: x @ (weight / (new @ (weight @ right))).T).backward()
    objective(layer).backward()
    torch.testing.assert_close(layer.weight.grad, weight.grad)
    torch.testing.assert_close(layer.left, new)


def test_it_trains_as_torchs_parametrization_does() -> None:
    """Five steps of SGD; torch iterates the other way round, so it has the transpose.

    It takes u' = Wv first and then v' = Wᵀu'. With ``dim=1`` its matrix is Wᵀ, and its
    v is what is u here.
    """
    torch.manual_seed(0)
    mine = SpectralLinear(6, 4).double()
    theirs = nn.Linear(6, 4, bias=False).double()
    theirs.weight.data.copy_(mine.weight.data)
    parametrizations.spectral_norm(theirs, dim=1)
    inner: Any = theirs.parametrizations
    inner.weight[0]._v.copy_(mine.left)
    moved = [
        torch.optim.SGD(mine.parameters(), 0.1),
        torch.optim.SGD(theirs.parameters(), 0.1),
    ]
    for index in range(5):
        given = torch.randn(8, 6, generator=torch.Generator().manual_seed(index))
        for network, optimizer in zip((mine, theirs), moved, strict=True):
            optimizer.zero_grad()
            network(given.double()).tanh().sum(1).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, inner.weight.original)
    torch.testing.assert_close(mine.left, inner.weight[0]._v)


def test_a_convolution_computes_with_the_divided_weight() -> None:
    """The bias is left alone."""
    layer, given = _layers()[0]
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(torch.arange(8.0))
    _, _, sigma = _iterated(layer.weight, layer.left)
    expected = conv2d(given, layer.weight / sigma, layer.bias, padding=1)
    torch.testing.assert_close(layer(given), expected)


def test_the_norm_is_taken_in_float32_where_passes_are_in_bf16() -> None:
    """Autocast rounds the weight after it was divided."""
    layer = SpectralLinear(64, 32)
    given = torch.eye(64)
    with torch.no_grad():
        plain = layer(given)
        with torch.autocast("cpu", torch.bfloat16):
            cast = layer(given)
    torch.testing.assert_close(cast, plain.bfloat16())


def test_at_the_start_norms_are_near_one() -> None:
    """So that the first updates are not made by weights that are far too large."""
    torch.manual_seed(0)
    network = ResidualDiscriminator(Shapes((3, 16, 16), 4, 10), widths=(16, 16, 16))
    layers = [m for m in network.modules() if isinstance(m, Layer)]
    assert len(layers) == 3 + 3 + 2 + 2  # two blocks with a skip, one without, w, V
    for layer in layers:
        whole = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        _, _, sigma = _iterated(layer.weight, layer.left)
        assert 0.9 < float(sigma / whole) <= 1 + 1e-6


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch, by torch
def test_a_network_with_spectral_norms_can_be_compiled() -> None:
    """Two passes of compiled code, then their gradient: u has moved once."""
    torch.manual_seed(0)
    network = ResidualDiscriminator(Shapes((3, 4, 4), 4), widths=(4,), halvings=1)
    compiled = torch.compile(network, backend="aot_eager")
    layer: Any = network.blocks[0]
    start = layer.conv2.left.clone()
    samples = torch.randn(2, 3, 4, 4)
    logits = [compiled(samples, None) for _ in range(2)]
    torch.testing.assert_close(logits[0], network(samples, None))
    assert torch.equal(logits[0], logits[1])
    torch.stack(logits).sum().backward()
    expected, _, _ = _iterated(layer.conv2.weight, start)
    torch.testing.assert_close(layer.conv2.left.double(), expected, rtol=0, atol=1e-6)


GAME: dict[str, Any] = {
    "dataset": {"use": "shapes", "items": 32, "size": 16},
    "conditioner": {"use": "label"},
    "noise": {"size": 4},
    "generator": {"use": "residual", "widths": [4, 4, 4]},
    "discriminator": {"use": "residual", "widths": [4, 6, 6]},
    "loss": {"use": "hinge"},
    "train": {
        "steps": 3,
        "batch_size": 8,
        "device": "cpu",
        "log_every": 1,
        "sample_every": 0,
        "samples": 4,
    },
}


@frozen(eq=False)
class _Watch:
    """Notes each update of the discriminator: weights and vectors before and after."""

    seen: list[tuple[bool, Tensor, Tensor]]

    @gankit.hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Note what is at the start."""
        self._note(run, moved=False)

    @gankit.hookimpl
    def gankit_after_update(self, run: Run, update: Update) -> None:
        """Note what has become of it."""
        self._note(run, moved="discriminator" in update.players)

    def _note(self, run: Run, *, moved: bool) -> None:
        layer = run.assembly.discriminator.blocks[1].conv2
        now = layer.weight.detach().clone(), layer.left.clone()
        self.seen.append((moved, *now))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train.discriminator_updates": 3},
        {"train.reduce": "exact", "train.shards": 4},
        {"penalties": [{"use": "r1", "weight": 0.1}, {"use": "r2", "weight": 0.1}]},
        {"train.order": "simultaneous"},
        {"train.fakes": "shared"},
        {"loss": {"use": "relativistic"}},
        {"augmentations": [{"use": "diffaugment"}], "train.precision": "bf16"},
    ],
    ids=lambda changes: ", ".join(map(str, changes)) or "plain",
)
def test_in_a_game_there_is_one_iteration_for_each_update(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever the rounds, shards and penalties, and none where the generator moves."""
    seen: list[tuple[bool, Tensor, Tensor]] = []
    run = gankit.train(
        {**GAME, **{k: v for k, v in changes.items() if "." not in k}},
        {k: v for k, v in changes.items() if "." in k},
        out=tmp_path / "run",
        watchers={"watch": _Watch(seen)},
    )
    rate = changes.get("train.discriminator_updates", 1)
    assert sum(moved for moved, _, _ in seen) == 3 * rate
    for (_, weight, left), (moved, after, now) in pairwise(seen):
        if moved:
            assert not torch.equal(weight, after)
            expected, _, _ = _iterated(weight, left)
            torch.testing.assert_close(now.double(), expected, rtol=0, atol=1e-6)
        else:
            assert torch.equal(now, left)
    assert run.assembly.judges_apart  # so that both kinds pass together


def test_what_is_left_out_by_the_guard_leaves_the_vectors(tmp_path: Path) -> None:
    """Of an update that is not finite nothing stays."""
    seen: list[tuple[bool, Tensor, Tensor]] = []
    with (
        suppress(DivergedError),
        gankit.starting(  # which it tells of at the end
            GAME, out=tmp_path / "run", watchers={"watch": _Watch(seen)}
        ) as run,
    ):
        layer = run.assembly.discriminator.blocks[1].conv2
        left = layer.left.clone()
        run.assembly.generator.start.bias.data.fill_(torch.nan)
        next(iter(run.steps()))
    assert not any(moved for moved, _, _ in seen)
    assert torch.equal(layer.left, left)
