"""gankit plays by the rules that `reference` states: to the bit, for ten steps.

The networks are written here a second time, too; their first weights are gankit's.
Everything is compared after every step: weights, buffers, averages, optimisers, losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import field, frozen
from torch import Tensor, nn
from torch.nn.functional import one_hot

import gankit
import reference as ref
from gankit import hookimpl
from gankit.game import misfits, players
from reference import D, G
from sites import HEAD, yields

STEPS = 10
ITEMS = 20  # no multiple of the batch

# --- Networks of the papers -----------------------------------------------------------

Make = Callable[[int, int], nn.Module]


class _Maxout(nn.Linear):
    """The largest of some linear pieces (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, pieces * units)
        self.pieces = pieces

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).unflatten(1, (self.pieces, -1)).amax(1)


def _maxout(pieces: int, dropout: float = 0.5) -> Make:
    return lambda a, b: nn.Sequential(_Maxout(a, b, pieces), nn.Dropout(dropout))


def _bent(bend: nn.Module, dropout: float = 0.0) -> Make:
    return lambda a, b: nn.Sequential(nn.Linear(a, b), bend, nn.Dropout(dropout))


class _Perceptron(nn.Module):
    """Input and condition, each (size, units), through own layers or none, joined."""

    def __init__(
        self,
        layers: tuple[Make, Make],  # before the joining, and after it
        *paths: tuple[int, int],
        hidden: Sequence[int],
        outputs: int = 1,
    ) -> None:
        super().__init__()
        before, after = layers
        self.paths = nn.ModuleList(
            before(size, units) if units else nn.Identity() for size, units in paths
        )
        widths = [sum(units or size for size, units in paths), *hidden]
        self.hidden = nn.Sequential(*map(after, widths[:-1], widths[1:]))
        self.last = nn.Linear(widths[-1], outputs)

    def forward(self, *inputs: Tensor | None) -> Tensor:
        given = [i for i in inputs if i is not None]
        joined = [path(i) for path, i in zip(self.paths, given, strict=True)]
        return self.last(self.hidden(torch.cat(joined, 1)))


class _Shaped(nn.Module):
    """A generator: the outputs of a perceptron squashed, and shaped into samples."""

    def __init__(self, net: _Perceptron, squash: nn.Module, *shape: int) -> None:
        super().__init__()
        self.net, self.squash, self.shape = net, squash, shape

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        return self.squash(self.net(noise, condition)).unflatten(1, self.shape)


class _Judging(nn.Module):
    """A discriminator: a perceptron on samples of which a share is dropped."""

    def __init__(self, net: _Perceptron, dropout: float = 0.0) -> None:
        super().__init__()
        self.net, self.dropout = net, nn.Dropout(dropout)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        return self.net(self.dropout(samples.flatten(1)), condition).squeeze(1)


def _text(condition: int, size: int) -> nn.Module:
    """Reed et al. 2016, section 4.1; without a size a label, which joins as it is."""
    if not size:
        return nn.Identity()
    return nn.Sequential(nn.Linear(condition, size), nn.LeakyReLU(0.2))


def _deepened(features: Tensor, condition: Tensor) -> Tensor:
    planes = condition[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat([features, planes], 1)


class _Enlarging(nn.Module):
    """Radford et al. 2015, figure 1, at 16 × 16; a label joins every layer's input."""

    def __init__(self, noise: int, c: int, width: int, kernel: int, own: int) -> None:
        super().__init__()
        self.text, self.planes = _text(c, own), 0 if own else c
        form = {4: (4, 2, 1), 5: (5, 2, 2, 1)}[kernel]  # by which a size doubles

        def up(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
            return nn.ConvTranspose2d(inputs + self.planes, outputs, *form, bias=bias)

        self.to_4 = nn.Sequential(
            nn.Linear(noise + (own or c), 2 * width * 4 * 4, bias=False),
            nn.Unflatten(1, (2 * width, 4, 4)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.to_8 = nn.Sequential(
            up(2 * width, width, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.to_16 = nn.Sequential(up(width, 3, bias=True), nn.Tanh())

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        condition = self.text(condition)
        features = self.to_4(torch.cat([noise, condition], 1))
        for layer in (self.to_8, self.to_16):
            features = _deepened(features, condition) if self.planes else features
            features = layer(features)
        return features


class _Reducing(nn.Module):
    """Its mirror; a text joins at 4 × 4, before a 1 × 1 convolution."""

    def __init__(self, c: int, width: int, kernel: int, own: int) -> None:
        super().__init__()
        self.text = _text(c, own)
        halving = (kernel, 2, {4: 1, 5: 2}[kernel])
        plan = [(3, width, *halving), (width, 2 * width, *halving)]
        plan += [(2 * width, 2 * width, 1, 1, 0)] if own else []
        plan += [(2 * width, 1, 4, 1, 0)]
        self.joins = [2] if own else range(len(plan))
        self.layers = nn.ModuleList()
        for i, (inputs, outputs, *form) in enumerate(plan):
            normed = 0 < i < len(plan) - 1
            joined = (own or c) if i in self.joins else 0
            conv = nn.Conv2d(inputs + joined, outputs, *form, bias=not normed)
            norm = [nn.BatchNorm2d(outputs)] if normed else []
            bend = [nn.LeakyReLU(0.2)] if outputs > 1 else []
            self.layers.append(nn.Sequential(conv, *norm, *bend))

    def forward(self, samples: Tensor, condition: Tensor) -> Tensor:
        condition, features = self.text(condition), samples
        for i, layer in enumerate(self.layers):
            joins = i in self.joins
            features = layer(_deepened(features, condition) if joins else features)
        return features.flatten()


class _OneHot(nn.Module):
    """Mirza & Osindero 2014, section 4.1."""

    def forward(self, labels: Tensor) -> Tensor:
        return one_hot(labels, 3).float()


# --- Parts that no plugin brings ------------------------------------------------------

PARTS = f"""{HEAD}
import torch
from gankit_datasets.gaussians import Gaussians


class Embedding(torch.nn.Module):
    reads, size = "label", 4

    def __init__(self, facts):
        super().__init__()
        names = facts.annotations["label"].names
        self.vectors = torch.nn.Embedding(len(names), self.size)

    def tokens(self, raw):
        return torch.tensor(raw)

    def forward(self, tokens):
        return self.vectors(tokens)

    def parse(self, text):
        return 0


class Mirrored(Gaussians):
    def __init__(self):
        super().__init__(samples={ITEMS}, modes=3)

    def transform(self, samples, rng):
        return samples * (torch.rand(len(samples), 1, generator=rng) - 0.5).sign()


def jitter():
    return lambda samples, rng: samples + torch.randn(samples.shape, generator=rng)


""" + yields(
    "Part('conditioner', 'embedding', Embedding)",
    "Part('dataset', 'mirrored', Mirrored)",
    "Part('augmentation', 'jitter', jitter)",
).removeprefix(HEAD)


def _mirror(samples: Tensor, rng: torch.Generator) -> Tensor:
    return samples * (torch.rand(len(samples), 1, generator=rng) - 0.5).sign()


def _jitter(samples: Tensor, rng: torch.Generator) -> Tensor:
    return samples + torch.randn(samples.shape, generator=rng)


# --- Configurations: a recipe, what is changed in it, and the same by `reference` -----

Table = dict[str, Any]
NOISE = 3
COMMON: Table = {
    "noise.size": NOISE,
    "train.steps": STEPS,
    "train.batch_size": 8,
    "train.seed": 5,
    "train.device": "cpu",
    "train.workers": 0,
    "train.memory_format": "contiguous",
    "train.sample_every": 0,
    "train.checkpoint_every": 0,
}
PICTURES: Table = {
    "use": "shapes",
    "size": 16,
    "items": ITEMS,
    "colours": ["red"],
    "shapes": ["circle", "square", "triangle"],
}
PIXELS = 3 * 16 * 16


def _uniform(low: float, high: float) -> ref.Noise:
    return lambda n, rng: torch.rand(n, NOISE, generator=rng) * (high - low) + low


def _normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, NOISE, generator=rng)


def _both(make: Callable[[], ref.Optimiser]) -> dict[str, ref.Optimiser]:
    return {D: make(), G: make()}


def _sgd_of_2014() -> dict[str, ref.Optimiser]:
    """Rates fall at every update; momentum rises from epoch 1 to epoch 250."""
    factor = 0.999996000016
    schedules = {
        "lr": ("steps", partial(ref.exponential, factor=factor, floor=1e-6)),
        "momentum": ("epochs", partial(ref.linear, to=0.7, start=0, end=249)),
    }
    options = {"lr": 0.1, "momentum": 0.5}
    return _both(lambda: ref.Optimiser(ref.momentum, options, schedules))


def _mlp_gan() -> Table:
    layers, judging = (_bent(nn.ReLU()),) * 2, (_maxout(5),) * 2
    maker = _Perceptron(layers, (NOISE, 0), hidden=[6, 5], outputs=PIXELS)
    judge = _Perceptron(judging, (PIXELS, 4), hidden=[3])
    return {
        "modules": {
            G: _Shaped(maker, nn.Sigmoid(), 3, 16, 16),
            D: _Judging(judge, dropout=0.2),
        },
        "loss": ref.non_saturating(scale=0.5),
        "optimisers": _sgd_of_2014(),
        "noise": _uniform(-1.7320508075688772, 1.7320508075688772),
        "simultaneous": True,
        "half_life": 200_000,
    }


def _cgan() -> Table:
    layers, judging = (_bent(nn.ReLU()),) * 2, (_maxout(5, 0.2), _maxout(4, 0.2))
    maker = _Perceptron(layers, (NOISE, 4), (3, 5), hidden=[6], outputs=PIXELS)
    judge = _Perceptron(judging, (PIXELS, 4), (3, 2), hidden=[3])
    adam = {"lr": 4e-4, "betas": (0.5, 0.99)}
    return {
        "modules": {
            G: _Shaped(maker, nn.Sigmoid(), 3, 16, 16),
            D: _Judging(judge),
            "conditioner": _OneHot(),
        },
        "loss": ref.HINGE,
        "penalties": [("R1", ref.r1, 4.0, 4)],
        "optimisers": _both(lambda: ref.Optimiser(ref.adam, adam)),
        "noise": _uniform(-1.7320508075688772, 1.7320508075688772),
        "simultaneous": True,
        "half_life": 200_000,
    }


def _dcgan() -> Table:
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    return {
        "modules": {
            G: _Enlarging(NOISE, 3, width=2, kernel=5, own=0),
            D: _Reducing(3, width=2, kernel=5, own=0),
            "conditioner": _OneHot(),
        },
        "loss": ref.LEAST_SQUARES,
        "optimisers": _both(lambda: ref.Optimiser(ref.adam, adam)),
        "noise": _uniform(-1.0, 1.0),
        "half_life": 2,
    }


WGAN_GP: Table = {
    "dataset": {"use": "gaussians", "samples": ITEMS, "modes": 3},
    "conditioner": {"use": "embedding"},
    "generator": {"use": "mlp", "hidden": [6], "output": "linear", "dropout": 0.3},
    "discriminator": {"use": "mlp", "hidden": [6, 5]},
    "loss": {"use": "wasserstein"},
    "penalties": [
        {"use": "gradient-penalty", "weight": 10.0, "every": 2},
        {"use": "r1", "weight": 0.3, "every": 3},
    ],
    "optimizer": {
        "lr": 1e-3,
        "betas": [0.0, 0.9],
        "schedule": {
            "lr": {
                "use": "linear",
                "to": 1e-4,
                "start": 2,
                "end": 6,
                "unit": "epochs",
            }
        },
    },
    "train": {"discriminator_updates": 3, "ema": 3},
}


def _wgan_gp() -> Table:
    layers, judging = (
        (_bent(bend, dropout),) * 2
        for bend, dropout in ((nn.ReLU(), 0.3), (nn.LeakyReLU(0.2), 0.0))
    )
    maker = _Perceptron(layers, (NOISE, 0), (4, 0), hidden=[6], outputs=2)
    judge = _Perceptron(judging, (2, 0), (4, 0), hidden=[6, 5])
    adam = {"lr": 1e-3, "betas": (0.0, 0.9)}
    falling = {"lr": ("epochs", partial(ref.linear, to=1e-4, start=2, end=6))}
    return {
        "modules": {
            G: _Shaped(maker, nn.Identity(), 2),
            D: _Judging(judge),
            "conditioner": nn.Embedding(3, 4),
        },
        "loss": ref.WASSERSTEIN,
        "penalties": [
            ("GradientPenalty", ref.gradient_penalty, 10.0, 2),
            ("R1", ref.r1, 0.3, 3),
        ],
        "optimisers": _both(lambda: ref.Optimiser(ref.adam, adam, falling)),
        "noise": _normal,
        "k": 3,
        "half_life": 3,
    }


GAN_INT_CLS: Table = {
    "dataset": PICTURES,
    "conditioner": {"use": "embedding"},
    "generator": {"use": "dcgan", "width": 2, "condition_size": 3},
    "discriminator": {"use": "dcgan", "width": 2, "condition_size": 3},
    "loss": {"use": "matching-aware", "interpolation": 0.5, "beta": 0.3},
    "optimizer": {
        "clip": 0.5,
        "schedule": {"lr": {"use": "cosine", "to": 1e-5, "end": 8}},
        "discriminator": {"lr": 4e-4},
    },
    "train": {"order": "simultaneous", "reduce": "exact", "shards": 4, "ema": 20},
}


def _gan_int_cls() -> Table:
    falling = {"lr": ("steps", partial(ref.cosine, to=1e-5, end=8))}
    return {
        "modules": {
            G: _Enlarging(NOISE, 4, width=2, kernel=4, own=3),
            D: _Reducing(4, width=2, kernel=4, own=3),
            "conditioner": nn.Embedding(3, 4),
        },
        "loss": ref.matching_aware(share=0.5, beta=0.3),
        "optimisers": {
            player: ref.Optimiser(
                ref.adam, {"lr": lr, "betas": (0.5, 0.999)}, falling, clip=0.5
            )
            for player, lr in ((D, 4e-4), (G, 2e-4))
        },
        "noise": _normal,
        "batch": 16,
        "simultaneous": True,
        "shards": 4,
        "half_life": 20,
    }


R3GAN: Table = {
    "dataset": {"use": "mirrored"},
    "generator": {"use": "mlp", "hidden": [6], "output": "linear"},
    "discriminator": {"use": "maxout", "sample_hidden": 4, "hidden": [3]},
    "loss": {"use": "relativistic"},
    "penalties": [
        {"use": "r1", "weight": 0.3},
        {"use": "r2", "weight": 0.2, "every": 2},
    ],
    "augmentations": [{"use": "jitter"}],
    "optimizer": {
        "use": "SGD",
        "lr": 0.2,
        "momentum": 0.4,
        "schedule": {
            "lr": {"use": "stepwise", "factor": 0.5, "every": 2, "unit": "epochs"}
        },
    },
    "train": {"reduce": "exact", "shards": 2, "data": "streamed"},
}


def _r3gan() -> Table:
    layers, judging = (_bent(nn.ReLU()),) * 2, (_maxout(5),) * 2
    maker = _Perceptron(layers, (NOISE, 0), hidden=[6], outputs=2)
    judge = _Perceptron(judging, (2, 4), hidden=[3])
    options = {"lr": 0.2, "momentum": 0.4}
    falling = {"lr": ("epochs", partial(ref.stepwise, factor=0.5, every=2))}
    return {
        "modules": {
            G: _Shaped(maker, nn.Identity(), 2),
            D: _Judging(judge, dropout=0.2),
        },
        "loss": ref.RELATIVISTIC,
        "penalties": [("R1", ref.r1, 0.3, 1), ("R2", ref.r2, 0.2, 2)],
        "augmentations": [_jitter],
        "optimisers": _both(lambda: ref.Optimiser(ref.momentum, options, falling)),
        "noise": _normal,
        "shards": 2,
    }


@frozen
class Case:
    """A recipe and its changes, and the same rules by `reference`."""

    recipe: str | Table
    changes: Table
    rules: Callable[[], Table]
    data: Table = field(factory=dict)


CASES = {
    "mlp-gan": Case(
        "mlp-gan",
        {
            "dataset": PICTURES,
            "generator.hidden": [6, 5],
            "discriminator": {"sample_hidden": 4, "hidden": [3]},
        },
        _mlp_gan,
        {"pixels": (0.0, 1.0)},
    ),
    "cgan": Case(
        "cgan",
        {
            "dataset": PICTURES,
            "generator": {"noise_hidden": 4, "condition_hidden": 5, "hidden": [6]},
            "discriminator": {
                "sample_hidden": 4,
                "condition_hidden": 2,
                "hidden": [3],
            },
            "loss.use": "hinge",
        },
        _cgan,
        {"pixels": (0.0, 1.0)},
    ),
    "dcgan": Case(
        "dcgan",
        {
            "dataset": PICTURES,
            "generator.width": 2,
            "discriminator.width": 2,
            "loss.use": "least-squares",
            "train.ema": 2,
        },
        _dcgan,
    ),
    "wgan-gp": Case(WGAN_GP, {}, _wgan_gp),
    "gan-int-cls": Case(GAN_INT_CLS, {"train.batch_size": 16}, _gan_int_cls),
    "r3gan": Case(R3GAN, {}, _r3gan, {"transform": _mirror}),
}


# --- The comparison -------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Cut sums alike on both sides; gankit does so by itself only in exact mode."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class _Trace:
    """What gankit's run has been given, and where it stood after each step."""

    @hookimpl
    def gankit_before_run(self, run: gankit.Run) -> None:
        self.items = [run.assembly.dataset[i] for i in range(ITEMS)]
        self.states = [self._state(run)]
        self.measured: list[dict[str, Tensor]] = [{}]

    @hookimpl
    def gankit_after_step(self, run: gankit.Run, report: gankit.Report) -> None:
        self.states.append(self._state(run))
        self.measured.append(dict(report.measurements))

    @staticmethod
    def _state(run: gankit.Run) -> dict[str, dict[str, Any]]:
        state = {name: m.state_dict() for name, m in run.game.networks().items()}
        stateful = run.game.stateful()
        for player in (D, G):
            state[f"optimizer.{player}"] = stateful[f"optimizer.{player}"].state_dict()
        return deepcopy(state)


def _play(case: Case, out: Path, plugin: Path) -> _Trace:
    trace = _Trace()
    changes = COMMON | case.changes
    gankit.train(
        case.recipe, changes, out=out, plugins=[plugin], watchers={"trace": trace}
    )
    return trace


def _reference(case: Case, trace: _Trace) -> ref.Game:
    data = ref.Data(
        torch.stack([item.sample for item in trace.items]),
        torch.tensor([item.annotations["label"] for item in trace.items]),
        **case.data,
    )
    rules = {"batch": 8, "seed": COMMON["train.seed"], **case.rules()}
    for name, module in rules["modules"].items():
        first = zip(module.state_dict(), trace.states[0][name].values(), strict=True)
        module.load_state_dict(dict(first))
    return ref.Game(data=data, **rules)


def _pairs(
    game: ref.Game, state: dict[str, dict[str, Any]]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name everything that a step may change: gankit's, and the reference's."""
    modules = {**game.modules, **({"average": game.average} if game.half_life else {})}
    assert state.keys() == {*modules, f"optimizer.{D}", f"optimizer.{G}"}
    for name, module in modules.items():
        own = module.state_dict().values()
        for (key, theirs), mine in zip(state[name].items(), own, strict=True):
            yield f"{name}.{key}", theirs, mine
    for player, optimiser in game.optimisers.items():
        kept = state[f"optimizer.{player}"]
        assert kept["state"].keys() == optimiser.state.keys()
        for i, own in optimiser.state.items():
            assert kept["state"][i].keys() == own.keys()
            for key, mine in own.items():
                yield f"{key} of the {player}'s weight {i}", kept["state"][i][key], mine
        for key, mine in optimiser.now.items():
            (group,) = kept["param_groups"]
            yield f"{key} of the {player}", *map(torch.tensor, (group[key], mine))


@pytest.mark.parametrize("name", CASES)
def test_ten_steps_are_the_references_to_the_bit(
    name: str,
    tmp_path: Path,
    plugin_file: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Losses and gradients, then weights, buffers, averages and optimisers."""
    case = CASES[name]
    # the reference is plain, and `test_speed.py` compares what is fast with that
    monkeypatch.setattr(misfits, "judges_apart", lambda network, shapes: False)
    monkeypatch.setattr(players, "fastest", lambda use, options, modules: options)
    # how a processor sums up a norm depends on where gradients lie: here in new memory
    monkeypatch.setattr(players, "flat", lambda gradient: gradient.flatten().clone())
    trace = _play(case, tmp_path / "run", plugin_file("their_parts.py", PARTS))
    game = _reference(case, trace)
    for index in range(STEPS):
        measured, told = game.step(index), trace.measured[index + 1]
        pairs = [(key, told[key], mine) for key, mine in measured.items()]
        for what, theirs, mine in [*pairs, *_pairs(game, trace.states[index + 1])]:
            assert torch.equal(theirs, mine), (
                f"step {index}: the first to differ is {what}, by "
                f"{(theirs - mine).abs().max():.2g} at most"
            )
