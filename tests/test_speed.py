"""The fast path: it is chosen where it can be had, and plays the same game."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import gankit
from games import Judge, Linear, Logistic, Numbers, make_assembly, make_run
from gankit.compute.device import Precision
from gankit.compute.memory import suits_channels_last
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.facts import Facts, Item
from gankit.errors import DataError, UsageError
from gankit.game.apart import judges_apart
from gankit.game.misfits import Tried
from gankit.game.players import Player
from gankit.game.settings import Optimizer
from gankit.game.update import Measured
from gankit.plugins.discovery import discover
from gankit.runs.preparation import prepare
from gankit_dcgan.discriminator import DCGANDiscriminator
from gankit_dcgan.generator import DCGANGenerator
from gankit_losses.non_saturating import NonSaturating
from gankit_losses.r1 import R1
from gankit_mlp.maxout_discriminator import MaxoutDiscriminator
from gankit_mlp.mlp_discriminator import MLPDiscriminator

CPU = torch.device("cpu")
PICTURES = Shapes((3, 16, 16), noise=5)


class Pictures:
    """Forty pictures of 16 x 16 pixels, the same each time."""

    facts = Facts((3, 16, 16))

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Item:
        rng = torch.Generator().manual_seed(index)
        return Item(torch.randint(256, (3, 16, 16), dtype=torch.uint8, generator=rng))


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([t.double().flatten() for t in network.state_dict().values()])


def _convolutional(*, fast: bool, **train: Any) -> gankit.Run:
    """Prepare DCGANs at 16 x 16 with a lazy penalty, an average, and k = 2."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
    options |= {} if fast else {"fused": False, "foreach": False}
    assembly = gankit.Assembly(
        dataset=Pictures(),
        generator=DCGANGenerator(PICTURES, width=8),
        discriminator=DCGANDiscriminator(PICTURES, width=8, norm="none"),
        loss=NonSaturating(),
        penalties=[R1(weight=0.1, every=2)],
        noise=gankit.Noise(size=5),
        optimizers={
            player: Optimizer(use="Adam", options=dict(options))
            for player in ("generator", "discriminator")
        },
        train=gankit.Train(
            steps=8,
            batch_size=8,
            ema=100,
            discriminator_updates=2,
            memory_format="auto" if fast else "contiguous",
            **train,
        ),
    )
    if not fast:
        object.__setattr__(assembly, "tried", Tried())
    return prepare(assembly, discover().hooks)


@pytest.mark.parametrize("fakes", ["fresh", "shared"])
@pytest.mark.parametrize("reduce", ["fast", "exact"])
def test_the_fast_path_plays_the_plain_paths_game(reduce: str, fakes: str) -> None:
    """Channels last, fused optimisers, joined passes: the same but for rounding."""
    settings = {"reduce": reduce, "shards": 2, "fakes": fakes}
    quick, plain = (_convolutional(fast=fast, **settings) for fast in (True, False))
    assert quick.memory_format == "channels-last"
    assert plain.memory_format == "contiguous"
    for run, fused in ((quick, True), (plain, False)):
        (group,) = run.game.generator.optimizer.param_groups
        assert group["fused"] is fused
        assert ("optimisers: fused Adam" in run.choices) is fused
    assert quick.assembly.judges_apart
    for step in range(8):
        told = [run.game.play(step) for run in (quick, plain)]
        for name, value in told[1].items():
            assert float(told[0][name]) == pytest.approx(float(value), abs=2e-4), name
    for name, network in plain.game.networks().items():
        before = _convolutional(fast=False).game.networks()[name]
        moved = _weights(network) - _weights(before)
        apart = _weights(quick.game.networks()[name]) - _weights(network)
        assert apart.norm() < 1e-3 * moved.norm(), name


@pytest.mark.parametrize(
    ("use", "options"),
    [
        ("Adam", {"lr": 0.01, "betas": (0.5, 0.9)}),
        ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
        ("SGD", {"lr": 0.01, "momentum": 0.7}),
        ("Adagrad", {"lr": 0.01}),
        ("RMSprop", {"lr": 0.01}),  # which has no fused form
    ],
)
def test_fused_optimisers_move_as_plain_ones(use: str, options: dict[str, Any]) -> None:
    """Wherever gradients lie in memory, and after a schedule has set an option."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 7))
    quick = deepcopy(plain)
    for parameter in quick.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(
                memory_format=torch.channels_last
            )
    players = []
    for network, chosen in ((quick, {}), (plain, {"foreach": False})):
        held = Optimizer(use=use, options=options | chosen)
        scaler = Precision("fp32", CPU).scaler()
        players.append(Player("generator", [network], held, scaler))
    (group,) = players[0].optimizer.param_groups
    assert group.get("fused", False) is (use != "RMSprop")
    rng = torch.Generator().manual_seed(1)
    for step in range(6):
        if step == 3:
            for player in players:
                player.hold(lr=0.002)
        for one, other in zip(*(p.parameters for p in players), strict=True):
            one.grad = torch.randn(one.shape, generator=rng)  # contiguous
            other.grad = one.grad.clone()
        norms = [float(player.norm(scaled=False)) for player in players]
        assert norms[0] == pytest.approx(norms[1])
        grads = [p.grad for p in plain.parameters() if p.grad is not None]
        assert norms[1] == pytest.approx(float(nn.utils.get_total_norm(grads)))
        for player in players:
            player.update(norm=torch.tensor(norms[0]), steps=step, epochs=0.0)
    for one, other in zip(quick.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_state_that_lies_otherwise_is_laid_out_as_the_weights() -> None:
    """As one that a run without channels last has saved."""
    runs = [_convolutional(fast=fast) for fast in (False, True)]
    for run in runs:
        run.game.play(0)
    plain, quick = (run.game.discriminator for run in runs)
    saved = deepcopy(plain.optimizer.state_dict())
    quick.optimizer.load_state_dict(saved)
    quick.take_up()
    for parameter, state in quick.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()
    for held, own in zip(
        plain.optimizer.state.values(), quick.optimizer.state.values(), strict=True
    ):
        assert torch.equal(held["exp_avg"], own["exp_avg"])


class Reshaping(nn.Module):
    """A discriminator that counts on the order in which numbers lie."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 4, 4)
        self.logit = nn.Linear(32, 1)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Flatten by ``view``, which wants the channels first."""
        features = self.convolution(samples)
        return self.logit(features.view(len(samples), -1)).squeeze(1)


def _assembled(**changed: Any) -> gankit.Assembly:
    parts: dict[str, Any] = {
        "dataset": Pictures(),
        "generator": DCGANGenerator(PICTURES, width=8),
        "discriminator": DCGANDiscriminator(PICTURES, width=8),
        "loss": NonSaturating(),
        "noise": gankit.Noise(size=5),
        "train": gankit.Train(steps=3, batch_size=8),
    }
    return gankit.Assembly(**parts | changed)


def test_parts_that_count_on_an_order_keep_it(tmp_path: Path) -> None:
    """They are tried; the run says why, and trains."""
    assembly = _assembled(discriminator=Reshaping(PICTURES))
    assert "view size is not compatible" in assembly.refuses_channels_last
    run = gankit.train(assembly, out=tmp_path / "run")
    assert run.memory_format == "contiguous"
    (line,) = [line for line in run.choices if line.startswith("memory format")]
    assert line.startswith("memory format: contiguous, because channels-last is refu")


def test_channels_last_that_cannot_be_had_is_refused_where_it_is_asked_for() -> None:
    """Nothing is trained in another way than was asked for."""
    train = gankit.Train(steps=3, batch_size=8, memory_format="channels-last")
    assembly = _assembled(discriminator=Reshaping(PICTURES), train=train)
    with pytest.raises(UsageError, match=r"channels-last.*view size.*'auto' or"):
        prepare(assembly, discover().hooks)


def test_channels_lie_last_where_that_is_faster() -> None:
    """On a CPU, and for tensor cores."""
    gpu = torch.device("cuda")
    assert suits_channels_last(CPU, "fp32")
    assert suits_channels_last(gpu, "bf16")
    assert not suits_channels_last(gpu, "fp32")
    assert not suits_channels_last(torch.device("mps"), "fp32")


RECIPE = {
    "dataset": {"use": "shapes", "size": 16, "items": 60},
    "generator": {"use": "dcgan", "width": 8},
    "discriminator": {"use": "dcgan", "width": 8},
    "loss": {"use": "non-saturating"},
    "optimizer": {"use": "Adam", "lr": 2e-4},
    "train": {"steps": 4, "batch_size": 8, "workers": 0},
}


def test_a_run_keeps_its_memory_format(tmp_path: Path) -> None:
    """Its bits depend on it: resumed and sampled it is the same."""
    out = tmp_path / "run"
    begun = gankit.train(RECIPE, {"train.memory_format": "contiguous"}, out=out)
    assert begun.memory_format == "contiguous"
    resumed = gankit.resume(out, {"train.steps": 6, "train.memory_format": "auto"})
    assert resumed.memory_format == "contiguous"
    for wanted in ("contiguous", "channels-last"):
        run = gankit.train(
            RECIPE, {"train.memory_format": wanted}, out=tmp_path / wanted
        )
        drawn = gankit.load(tmp_path / wanted).sample(9, seed=3)
        assert torch.equal(drawn.samples, run.sampler.sample(9, seed=3).samples)
        assert drawn.samples.is_contiguous()


class Batched(nn.Module):
    """A perceptron that also looks at how samples of a batch differ, at first at none.

    Karras et al. 2018, section 3, "minibatch standard deviation", without its groups.
    """

    def __init__(self, *, mixes: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.spread = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.spread.weight)
        nn.init.zeros_(self.layer.weight)
        self._mixes = mixes

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge vectors (B, 4)."""
        spread = samples.std(0).mean().expand(len(samples), 1)
        logits = self.layer(samples)
        return (logits + self.spread(spread) if self._mixes else logits).squeeze(1)


def test_only_a_discriminator_that_judges_apart_judges_both_at_once() -> None:
    """Batch statistics, spectral norms and draws of its own forbid it."""
    vectors, pictures = Shapes((4,), 2, 3), Shapes((1, 16, 16), 2)
    spectral = nn.utils.parametrizations.spectral_norm
    normed = MLPDiscriminator(vectors, hidden=(5,))
    spectral(normed.hidden[0][0])

    class Draws(MLPDiscriminator):
        def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
            return super().forward(samples + torch.randn_like(samples), condition)

    for network, shapes, apart in (
        (MLPDiscriminator(vectors, hidden=(5,), dropout=0.5), vectors, True),
        (MaxoutDiscriminator(vectors, sample_hidden=6, hidden=(5,)), vectors, True),
        (DCGANDiscriminator(pictures, width=4, norm="none"), pictures, True),
        (DCGANDiscriminator(pictures, width=4), pictures, False),
        (Batched(mixes=False), Shapes((4,), 2), True),
        (Batched(mixes=True), Shapes((4,), 2), False),
        (normed, vectors, False),
        (Draws(vectors, hidden=(5,)), vectors, False),
    ):
        assert judges_apart(deepcopy(network), shapes) is apart, network


def test_a_trial_of_joined_passes_leaves_no_trace() -> None:
    """The weights of a copy are moved, and random numbers are as they were."""
    judge = MLPDiscriminator(Shapes((2,), 3), hidden=(5,))
    before = _weights(judge)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    assert judges_apart(deepcopy(judge), Shapes((2,), 3))
    assert torch.equal(torch.rand(3), wanted)
    assert make_assembly(discriminator=judge).judges_apart
    assert torch.equal(_weights(judge), before)


class Counting(nn.Module):
    """A network that counts its passes, and the samples in each."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seen = network, list[int]()
        if hasattr(network, "output_range"):
            self.output_range = network.output_range

    def forward(self, inputs: Tensor, condition: Tensor | None) -> Tensor:
        """Count, and pass on."""
        self.seen.append(len(inputs))
        made: Tensor = self.network(inputs, condition)
        return made


@pytest.mark.parametrize(("fakes", "generated"), [("fresh", [8, 8]), ("shared", [8])])
def test_passes_of_a_step(fakes: str, generated: list[int]) -> None:
    """Real and generated samples are judged at once; shared ones are made once."""
    shapes = Shapes((2,), 3)
    run = make_run(
        generator=Counting(Linear(shapes)),
        discriminator=Counting(Judge(shapes)),
        train={"fakes": fakes, "batch_size": 8},
    )
    for network in (run.game.generator.network, run.game.discriminator.network):
        network.seen.clear()
    run.game.play(0)
    assert run.game.generator.network.seen == generated
    assert run.game.discriminator.network.seen == [16, 8]


@pytest.mark.parametrize("updates", [1, 2])
def test_shared_fakes_are_judged_again_after_the_discriminator_has_moved(
    updates: int,
) -> None:
    """The same step written out, in float32 and with plain SGD."""
    shapes = Shapes((2,), 3)
    sgd = {
        player: Optimizer(use="SGD", options={"lr": 0.05})
        for player in ("generator", "discriminator")
    }
    run = make_run(
        loss=Logistic(),
        generator=Linear(shapes),
        discriminator=Judge(shapes),
        optimizers=sgd,
        train={"fakes": "shared", "batch_size": 8, "discriminator_updates": updates},
    )
    made, judge = (
        deepcopy(player.network)
        for player in (run.game.generator, run.game.discriminator)
    )
    noises: list[Tensor] = []
    drawn = run.game.noise

    def noted(count: int, rng: torch.Generator) -> Tensor:
        noises.append(drawn(count, rng))
        return noises[-1]

    run.game.noise = noted
    for step in range(4):
        noises.clear()
        run.game.play(step)
        assert len(noises) == updates  # none for the generator
        fake = torch.empty(0)
        for turn, noise in enumerate(noises):
            real = run.game.feed.batch(step * updates + turn)[0].samples
            fake = made(noise, None)
            loss = softplus(-judge(real, None)).mean()
            loss = loss + softplus(judge(fake.detach(), None)).mean()
            _descend(judge, loss, retain=True)
        _descend(made, softplus(-judge(fake, None)).mean())
        for player, network in (
            (run.game.generator, made),
            (run.game.discriminator, judge),
        ):
            assert torch.allclose(
                _weights(player.network), _weights(network), atol=1e-6
            )


def _descend(network: nn.Module, loss: Tensor, *, retain: bool = False) -> None:
    parameters = [*network.parameters()]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=retain)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 0.05 * gradient


def test_measurements_that_nobody_reads_are_not_computed() -> None:
    """Those that are read are computed once, and are all there."""
    computed: list[str] = []

    def compute() -> dict[str, Tensor]:
        computed.append("both")
        return {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}

    first, second = Measured({"loss": torch.tensor(3.0)}), Measured()
    second.promise(["a", "b"], compute)
    first.add(second)
    assert list(first) == ["loss", "a", "b"]
    assert len(first) == 3
    assert float(first["loss"]) == 3
    assert computed == []
    assert {name: float(value) for name, value in first.items()} == {
        "loss": 3,
        "a": 1,
        "b": 2,
    }
    assert computed == ["both"]


class Told(Numbers):
    """Numbers that are known of without being read, and count how often they are."""

    def __init__(self, count: int = 20, broken: tuple[int, ...] = ()) -> None:
        super().__init__(count, broken=broken)
        self.asked: Counter[int] = Counter()

    def __getitem__(self, index: int) -> Item:
        self.asked[index] += 1
        return super().__getitem__(index)

    def annotations(self, index: int) -> dict[str, int]:
        """Return the class of an item."""
        return {"label": index % 4}


def _seen(run: gankit.Run, batches: int, start: int = 0) -> list[float]:
    return [
        value
        for number in range(start, start + batches)
        for value in run.game.feed.batch(number)[0].samples[:, 0].tolist()
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_are_read_when_they_are_played_with_and_kept(workers: int) -> None:
    """Batches are those of a set that was read whole; nothing is read twice."""
    train = {"batch_size": 6, "workers": workers, "data": "resident"}
    whole = make_run(dataset=Numbers(), train=train)
    run = make_run(dataset=Told(), train=train)
    dataset: Any = run.data.dataset
    dataset.asked.clear()
    store = run.data.store
    assert store is not None
    assert not store.whole
    try:
        assert _seen(run, 10) == _seen(whole, 10)
    finally:
        run.game.feed.close()
    assert store.whole
    if not workers:  # in processes of their own they count for themselves
        assert set(dataset.asked.values()) == {1}
        assert len(dataset.asked) == 20
    assert sorted(store.rows[:, 0].tolist()) == [float(i) for i in range(20)]


def test_a_run_that_goes_on_in_the_middle_reads_what_it_lacks() -> None:
    """The order is that of the numbers, wherever one starts."""
    train = {"batch_size": 6, "workers": 0, "data": "resident"}
    straight = make_run(dataset=Told(), train=train)
    later = make_run(dataset=Told(), train=train)
    assert _seen(later, 6, start=2) == _seen(straight, 8)[12:]
    assert later.data.store is not None
    assert later.data.store.whole


@pytest.mark.parametrize("data", ["resident", "streamed"])
def test_an_item_that_turns_out_broken_has_the_next_ones_place(
    data: str, tmp_path: Path
) -> None:
    """With the next one's label; the user is told of the first, and how many."""
    assembly = make_assembly(
        dataset=Told(broken=(7, 8)),
        train={"steps": 8, "batch_size": 5, "workers": 0, "data": data},
    )
    told: list[str] = []

    class Listens:
        @gankit.hookimpl
        def gankit_on_warning(self, warning: Any) -> None:
            told.append(warning.text)

    run = gankit.train(assembly, out=tmp_path / "run", watchers={"x": Listens()})
    assert sorted(run.data.broken) == [7, 8]
    assert run.measured["broken items"][1] == 2
    (text,) = [text for text in told if "broken" in text]
    assert "next whole item" in text
    values = _seen(run, 4, start=40)
    assert 7.0 not in values
    assert Counter(values)[9.0] == 3
    batch = run.game.feed.batch(40)[0]
    labels = batch.annotation("label")
    assert labels.tolist() == [int(v) % 4 for v in batch.samples[:, 0].tolist()]


@pytest.mark.parametrize("data", ["resident", "streamed"])
def test_a_set_that_turns_out_mostly_broken_ends_the_run(
    data: str, tmp_path: Path
) -> None:
    """As soon as enough of it has been read."""
    broken = tuple(i for i in range(100) if i % 5)
    assembly = make_assembly(
        dataset=Told(100, broken),
        train={"steps": 50, "batch_size": 10, "workers": 0, "data": data},
    )
    with pytest.raises(DataError, match=r"items cannot be read.*mend or remove"):
        gankit.train(assembly, out=tmp_path / "run")


def test_a_set_that_holds_its_samples_is_not_asked_for_each() -> None:
    """Its tensor is the store, without a copy."""

    class Holds(Told):
        def __init__(self) -> None:
            super().__init__()
            self.all_samples = torch.arange(40.0).view(20, 2)

    run = make_run(dataset=Holds(), train={"data": "resident"})
    dataset: Any = run.data.dataset
    assert run.data.store is not None
    assert run.data.store.whole
    assert run.data.store.rows.data_ptr() == dataset.all_samples.data_ptr()
    assert max(dataset.asked) < 16  # those that the parts were tried with


def test_weights_are_cast_once_in_a_round() -> None:
    """Two passes share what a weight was cast to, and the game is the same."""
    precision = Precision("bf16", CPU)
    layer = nn.Linear(8, 8)
    some = torch.randn(4, 8)

    def casts() -> int:
        with torch.profiler.profile() as profile:
            for _ in range(2):
                with precision.autocast():
                    layer(some).sum()
        return sum(e.count for e in profile.key_averages() if e.key == "aten::_to_copy")

    apart = casts()
    with precision.casting_once():
        together = casts()
    assert together == apart - 2  # weight and bias


def test_nothing_is_cast_where_nothing_is_to_be() -> None:
    """In float32 there is no autocast at all."""
    with Precision("fp32", CPU).casting_once():
        assert not torch.is_autocast_enabled("cpu")


def _player(module: nn.Module, use: str, **options: Any) -> Player:
    held = Optimizer(use=use, options=options)
    return Player("generator", [module], held, Precision("fp32", CPU).scaler())


def test_weights_that_lie_with_gaps_are_moved_whole() -> None:
    """A fused kernel would move the numbers between them instead."""
    large = torch.zeros(16, 32)
    module = nn.Module()
    module.weight = nn.Parameter(large[:, :16])
    player = _player(module, "Adam", lr=0.1)
    module.weight.grad = torch.ones(16, 16)
    player.update(norm=torch.tensor(16.0), steps=0, epochs=0.0)
    assert torch.allclose(large[:, :16], torch.full((16, 16), -0.1))
    assert not large[:, 16:].any()


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64])
def test_weights_of_other_types_are_moved(dtype: torch.dtype) -> None:
    """As an optimiser can that has no fused kernel for them."""
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(3, dtype=dtype))
    player = _player(module, "Adam", lr=0.1)
    module.weight.grad = torch.full((3,), 2.0, dtype=dtype)
    assert float(player.norm(scaled=False)) == pytest.approx(12**0.5)
    player.update(norm=torch.tensor(12**0.5), steps=0, epochs=0.0)
    assert torch.allclose(module.weight, torch.full((3,), -0.1, dtype=dtype))


def test_sparse_gradients_are_moved_by() -> None:
    """Those of a large embedding, by an optimiser that takes them."""
    module = nn.Embedding(5, 2, sparse=True)
    before = module.weight.detach().clone()
    player = _player(module, "SGD", lr=0.5)
    module(torch.tensor([3])).sum().backward()
    assert float(player.norm(scaled=False)) == pytest.approx(2**0.5)
    player.update(norm=torch.tensor(2**0.5), steps=0, epochs=0.0)
    before[3] -= 0.5
    assert torch.equal(module.weight.detach(), before)


def test_a_discriminator_is_tried_in_the_mode_in_which_it_plays() -> None:
    """Its batch norms use the batch's statistics then, whatever its author has left."""
    judge = DCGANDiscriminator(PICTURES, width=4).eval()
    assert not _assembled(discriminator=judge).judges_apart


def test_a_step_that_was_broken_off_leaves_no_fakes_behind() -> None:
    """The next step plays with its own data alone."""
    run = make_run(train={"fakes": "shared", "discriminator_updates": 2})

    def broken(update: Any) -> None:
        if update.round == 1:
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 # the one above
        run.game.play(0, broken)
    first = []
    step = run.game._step

    def noted(index: int, turn: int, *rest: Any) -> Any:
        first.append(rest[-1])
        return step(index, turn, *rest)

    run.game._step = noted
    run.game.play(0)
    assert [bool(before) for before in first] == [False, False, True]


class Scaled(Linear):
    """A generator with a constant that its backward pass reads."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.register_buffer("gain", torch.tensor([2.0, 3.0]))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Scale what the layer gives."""
        return torch.tanh(super().forward(noise, condition) * self.gain)


def test_shards_share_fakes_too() -> None:
    """Each makes its own once, though the state is put back between them."""
    network = Counting(Scaled(Shapes((2,), 3)))
    run = make_run(
        generator=network,
        train={"fakes": "shared", "reduce": "exact", "shards": 4, "batch_size": 8},
    )
    network.seen.clear()
    run.game.play(0)
    run.game.play(1)
    assert run.game.generator.network.seen == [2] * 8


def test_what_holds_all_samples_holds_as_many_as_it_says() -> None:
    """Else it would be found out in the middle of a run."""

    class Short(Told):
        all_samples = torch.zeros(19, 2)

    with pytest.raises(DataError, match=r"all_samples.*\(19, 2\).*\(20, 2\)"):
        make_run(dataset=Short())


class Uncopied(Reshaping):
    """One that torch cannot copy."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError


def test_what_cannot_be_copied_keeps_its_order_too() -> None:
    """It is tried itself, in both."""
    judge = Uncopied(PICTURES)
    assembly = _assembled(discriminator=judge)
    assert "view size" in assembly.refuses_channels_last
    assert not assembly.judges_apart
    assert judge.convolution.weight.is_contiguous()


class Keeps(nn.Module):
    """A generator whose buffer has the graph of the pass before."""

    output_range = UNBOUNDED

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Move the mean on."""
        made: Tensor = self.layer(noise)
        self.mean = 0.9 * self.mean.detach() + 0.1 * made.mean(0)
        return made - self.mean


def test_a_buffer_with_a_graph_leaves_none_behind() -> None:
    """What is kept of a state has no gradient."""
    run = make_run(generator=Keeps())
    for step in range(3):
        run.game.play(step)
    assert all(copy.grad_fn is None for copy in run.game.state._copies)
