"""The rules of the adversarial game, written a second time, in plain torch.

`test_reference` holds gankit to them, to the bit. They are written from the papers and
from gankit's pages, and nothing of gankit is imported. Two things are conventions, not
rules, and are gankit's, because bits depend on them: the words under which random
numbers are drawn, and the form of an expression where several are equal. What a formula
names is computed when it is first read, from left to right.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

D, G = "discriminator", "generator"
Change = Callable[[Tensor, torch.Generator], Tensor]
Objective = Callable[["Look"], Tensor]
Noise = Callable[[int, torch.Generator], Tensor]

# --- Randomness: every number is a function of the seed and of what it is for ---------


def stream(seed: int, *purpose: str | int) -> int:
    """Return where the stream of one purpose begins: 63 bits of a digest."""
    text = repr((seed, *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def draws(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a generator at the start of the stream of one purpose."""
    return torch.Generator().manual_seed(stream(seed, *purpose))


# --- Data: a permutation for each pass, and batches that run on into the next ---------


@dataclass(eq=False)
class Data:
    """Samples as they are stored, (N, ...), and their classes, (N,)."""

    samples: Tensor
    labels: Tensor
    pixels: tuple[float, float] = (-1.0, 1.0)  # what uint8 becomes: the range of G
    transform: Change = lambda samples, _: samples

    def positions(self, seed: int, number: int, size: int) -> Tensor:
        """Say which items make up a batch, which is no larger than the data."""
        count = len(self.samples)
        passes, start = divmod(number * size, count)
        two = [draws(seed, "order", passes), draws(seed, "order", passes + 1)]
        order = torch.cat([torch.randperm(count, generator=rng) for rng in two])
        return order[start : start + size]

    def real(self, positions: Tensor, rng: torch.Generator) -> Tensor:
        """Scale pixels, so that 0 is the lowest and 255 the highest value of G."""
        samples, (low, high) = self.transform(self.samples[positions], rng), self.pixels
        if samples.dtype != torch.uint8:
            return samples
        return samples.float() * ((high - low) / 255) + low

    def strangers(self, positions: Tensor, rng: torch.Generator) -> Tensor:
        """Draw for each item one of another class, all of these equally likely."""
        shares = torch.rand(len(positions), generator=rng)
        by_class = self.labels.argsort(stable=True)
        drawn = []
        for own, share in zip(self.labels[positions], shares, strict=True):
            others = by_class[self.labels[by_class] != own]
            drawn.append(others[int(share * len(others))])
        return torch.stack(drawn)


# --- Losses: what D and what G minimises; −log D(x) is softplus(−l) of the logit l ----


def non_saturating(scale: float) -> tuple[Objective, Objective]:
    """Goodfellow et al. 2014, section 3; their code halves D's loss: scale = ½."""
    return (
        lambda s: scale * (softplus(-s.real).mean() + softplus(s.fake).mean()),
        lambda s: softplus(-s.fake).mean(),
    )


HINGE = (  # Miyato et al. 2018, equations 16 and 17
    lambda s: relu(1 - s.real).mean() + relu(1 + s.fake).mean(),
    lambda s: -s.fake.mean(),
)
LEAST_SQUARES = (  # Mao et al. 2017, equation 9, with the ½ of equation 2
    lambda s: ((s.real - 1).square().mean() + s.fake.square().mean()) / 2,
    lambda s: (s.fake - 1).square().mean() / 2,
)
WASSERSTEIN = (  # Arjovsky et al. 2017, equation 2
    lambda s: s.fake.mean() - s.real.mean(),
    lambda s: -s.fake.mean(),
)
RELATIVISTIC = (  # Jolicoeur-Martineau 2019, RSGAN, in pairs
    lambda s: softplus(s.fake - s.real).mean(),
    lambda s: softplus(s.real - s.fake).mean(),
)


def matching_aware(share: float, beta: float) -> tuple[Objective, Objective]:
    """Reed et al. 2016: GAN-CLS (algorithm 1) with GAN-INT (equation 5).

    As in their code, G plays for texts between the i-th and the (i + B/2)-th as well:
    a ``share`` of the batch, in one mean with it. Noise of the batch serves again.
    """

    def judge(s: Look) -> Tensor:
        right, wrong = softplus(-s.real).mean(), softplus(s.mismatched).mean()
        return right + (wrong + softplus(s.fake).mean()) / 2

    def generate(s: Look) -> Tensor:
        size = len(s.samples)
        first = range(int(share * size))
        if not first:
            return softplus(-s.fake).mean()
        partners = s.condition[[(i + size // 2) % size for i in first]]
        between = torch.lerp(partners, s.condition[first], beta)  # β t₁ + (1 − β) t₂
        texts = torch.cat([s.condition, between])
        made = s.generate(torch.cat([s.noise, s.noise[first]]), texts)
        return softplus(-s.judge(made, texts)).mean()

    return judge, generate


# --- Penalties on the gradient of the logits by the samples ---------------------------


def slopes(s: Look, samples: Tensor) -> Tensor:
    """Return ∇D at samples, (B, elements), which D's weights can differentiate."""
    samples = samples.detach().requires_grad_()
    logits = s.judge(samples, s.condition).sum()
    return torch.autograd.grad(logits, samples, create_graph=True)[0].flatten(1)


def r1(s: Look) -> Tensor:
    """½ E‖∇D(x)‖²: Mescheder et al. 2018, equation 9, where the weight is γ."""
    return slopes(s, s.samples).square().sum(1).mean() / 2


def r2(s: Look) -> Tensor:
    """½ E‖∇D(G(z))‖²: Mescheder et al. 2018, equation 10."""
    return slopes(s, s.generated).square().sum(1).mean() / 2


def gradient_penalty(s: Look) -> Tensor:
    """E(‖∇D(x̂)‖ − 1)², x̂ = ε x + (1 − ε) G(z): Gulrajani et al. 2017, equation 3."""
    generated = s.generated.detach()
    epsilon = torch.rand(len(generated), *[1] * (generated.ndim - 1))
    between = torch.lerp(generated, s.samples, epsilon)
    return (torch.linalg.vector_norm(slopes(s, between), dim=1) - 1).square().mean()


# --- Schedules: an option by its first value and the steps or passes so far -----------


def exponential(first: float, time: float, *, factor: float, floor: float) -> float:
    """Multiply in every unit of time, down to a floor."""
    return max(first * factor**time, floor)


def linear(first: float, time: float, *, to: float, start: float, end: float) -> float:
    """Follow a straight line between two times."""
    return first + (to - first) * min(max((time - start) / (end - start), 0), 1)


def stepwise(first: float, time: float, *, factor: float, every: float) -> float:
    """Multiply once after every so much time."""
    return first * factor ** (time // every)


def cosine(first: float, time: float, *, to: float, end: float) -> float:
    """Loshchilov & Hutter 2017, equation 5, without restarts."""
    return to + (first - to) * (1 + math.cos(math.pi * min(time / end, 1))) / 2


# --- Optimisers -----------------------------------------------------------------------


def momentum(w: Tensor, g: Tensor, state: dict, *, lr: float, momentum: float) -> None:
    """Sutskever et al. 2013, equations 1 and 2, as torch writes them."""
    v = state.setdefault("momentum_buffer", torch.zeros_like(w))
    v.mul_(momentum).add_(g)
    w.sub_(v, alpha=lr)


def adam(w: Tensor, g: Tensor, state: dict, *, lr: float, betas: tuple) -> None:
    """Kingma & Ba 2015, algorithm 1, with its ε of 1e-8."""
    t = state.setdefault("step", torch.zeros(()))
    m = state.setdefault("exp_avg", torch.zeros_like(w))
    v = state.setdefault("exp_avg_sq", torch.zeros_like(w))
    t += 1
    m.lerp_(g, 1 - betas[0])  # β₁ m + (1 − β₁) g
    v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])  # β₂ v + (1 − β₂) g²
    m_scale, v_scale = (1 - beta ** int(t) for beta in betas)
    w.addcdiv_(m, v.sqrt() / v_scale**0.5 + 1e-8, value=-lr / m_scale)


@dataclass(eq=False)
class Optimiser:
    """Moves weights by a rule of the above, whose options may follow schedules.

    ``clip`` is the largest norm of the whole gradient, 0 for none (Pascanu et al. 2013,
    algorithm 1; the 1e-6 is torch's).
    """

    rule: Callable[..., None]
    options: Mapping
    schedules: Mapping[str, tuple[str, Callable]] = field(default_factory=dict)
    clip: float = 0.0
    state: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @torch.no_grad()
    def move(self, weights: Sequence, gradient: Sequence, time: Mapping) -> Tensor:
        """Move every weight, and return the norm of the gradient before clipping."""
        self.now = dict(self.options)
        for name, (unit, schedule) in self.schedules.items():
            self.now[name] = schedule(self.options[name], time[unit])
        rows = (g.flatten().clone() for g in gradient)
        squares = (torch.dot(row, row).item() for row in rows)
        norm = torch.tensor(sum(squares) ** 0.5)
        shrink = (self.clip / (norm + 1e-6)).clamp(max=1) if self.clip else 1
        for i, (w, g) in enumerate(zip(weights, gradient, strict=True)):
            self.rule(w, g * shrink, self.state.setdefault(i, {}), **self.now)
        return norm


# --- The game -------------------------------------------------------------------------


@dataclass(eq=False)
class Look:
    """What one shard sees in one round; each thing is made once, when first named."""

    game: Game
    place: tuple[int, int, int]  # step, round, shard
    positions: Tensor
    samples: Tensor  # x
    movers: Sequence[str]
    judged: int = 0

    def rng(self, purpose: str) -> torch.Generator:
        """Begin a stream of this shard in this round of this step."""
        return draws(self.game.seed, purpose, *self.place)

    @cached_property
    def condition(self) -> Tensor | None:
        """What the conditioner makes of the samples' classes: c, (B, c)."""
        return self.game.conditions(self.positions)

    @cached_property
    def noise(self) -> Tensor:
        """The input of G: z, (B, n)."""
        return self.game.noise(len(self.positions), self.rng("noise"))

    @cached_property
    def generated(self) -> Tensor:
        """G(z, c), which is no more than data while D moves alone."""
        made = self.generate(self.noise, self.condition)
        return made if G in self.movers else made.detach()

    @cached_property
    def real(self) -> Tensor:
        """D(x, c) as logits, (B,)."""
        return self.judge(self.samples, self.condition)

    @cached_property
    def fake(self) -> Tensor:
        """D(G(z, c), c)."""
        return self.judge(self.generated, self.condition)

    @cached_property
    def mismatched(self) -> Tensor:
        """D(x, c'), where c' is the condition of an item of another class."""
        wrong = self.game.data.strangers(self.positions, self.rng("mismatch"))
        return self.judge(self.samples, self.game.conditions(wrong))

    def generate(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Let G make samples; it is given the value of a condition alone."""
        value = None if condition is None else condition.detach()
        return self.game.modules[G](noise, value)

    def judge(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Let D judge samples, whatever they are, after the augmentations."""
        for augment in self.game.augmentations:
            self.judged += 1
            samples = augment(samples, self.rng(f"augment {self.judged}"))
        return self.game.modules[D](samples, condition)


@dataclass(eq=False)
class Game:
    """Goodfellow et al. 2014, algorithm 1; or simultaneously, as in their code."""

    modules: Mapping[str, nn.Module]  # G, D, and perhaps a conditioner
    data: Data
    loss: tuple[Objective, Objective]  # of D, of G
    optimisers: Mapping[str, Optimiser]
    noise: Noise
    batch: int
    seed: int
    penalties: Sequence[tuple[str, Objective, float, int]] = ()  # name, weight, every
    augmentations: Sequence[Change] = ()
    simultaneous: bool = False
    k: int = 1  # updates of D in one step
    shards: int = 1
    half_life: float = 0.0  # of the average, in samples

    def __post_init__(self) -> None:
        # what a conditioner learns, it learns with D
        owned = {G: (G,), D: [name for name in self.modules if name != G]}
        self.weights = {
            player: [w for name in names for w in self.modules[name].parameters()]
            for player, names in owned.items()
        }
        self.average, self.seen = deepcopy(self.modules[G]), 0

    def conditions(self, positions: Tensor) -> Tensor | None:
        """Return the conditions of items, (B, c)."""
        conditioner = self.modules.get("conditioner")
        return conditioner(self.data.labels[positions]) if conditioner else None

    def step(self, index: int) -> dict[str, Tensor]:
        """Play one step; return what was last measured in it."""
        rounds = [[D, G]] if self.simultaneous else [*[[D]] * self.k, [G]]
        measured = {}
        for turn, movers in enumerate(rounds):
            last = min(turn, self.k - 1)  # G plays for the last data of D
            measured |= self.round(index, turn, movers, index * self.k + last)
        return measured

    def round(self, index: int, turn: int, movers: list, number: int) -> dict:
        """Take the mean over the shards of a batch, and let players move by it."""
        before, found = self.buffers(), []
        batch = self.data.positions(self.seed, number, self.batch)
        for shard, positions in enumerate(batch.chunk(self.shards)):
            self.put(before)  # every shard begins with the same batch statistics
            rng = draws(self.seed, "transform", number, shard)
            samples, place = self.data.real(positions, rng), (index, turn, shard)
            torch.manual_seed(stream(self.seed, "global", *place))  # for dropout
            look = Look(self, place, positions, samples, movers)
            found.append((*self.judgement(look, index), self.buffers()))
        measured, gradients, after = map(tree_mean, zip(*found, strict=True))
        self.put(after)
        passes = index * self.k * self.batch / len(self.data.samples)
        for player in movers:
            weights = self.weights[player]
            gradient = [gradients[player, i] for i in range(len(weights))]
            norm = self.optimisers[player].move(
                weights, gradient, {"steps": index, "epochs": passes}
            )
            measured[f"gradient/{player}"] = norm
        if G in movers and self.half_life:
            self.follow()
        return measured

    def judgement(self, look: Look, index: int) -> tuple[dict, dict]:
        """Return losses, and the gradient of each by its own player's weights alone."""
        measured, gradients = {}, {}
        for player in look.movers:
            loss = self.loss[player == G](look)
            for name, penalty, weight, every in self.penalties:
                if player == D and index % every == 0:  # Karras et al. 2020, appendix B
                    value = penalty(look)
                    measured[f"penalty/{name}"] = value.detach()
                    loss = loss + weight * every * value
            measured[f"loss/{player}"] = loss.detach()
            taken = torch.autograd.grad(loss, self.weights[player], retain_graph=True)
            gradients |= {(player, i): g for i, g in enumerate(taken)}
        return measured, gradients

    def follow(self) -> None:
        """Let the average follow the weights and buffers of G.

        Karras et al. 2020, training configuration: the half-life is at most 5 % of the
        samples seen, so that the first weights are forgotten.
        """
        self.seen += self.batch
        share = 1 - 0.5 ** (self.batch / min(self.half_life, 0.05 * self.seen))
        live = self.modules[G].state_dict()
        for name, mean in self.average.state_dict().items():
            lasting = mean.is_floating_point()
            mean.copy_(torch.lerp(mean, live[name], share) if lasting else live[name])

    def buffers(self) -> dict[tuple[str, str], Tensor]:
        """Copy what a pass changes by the way: batch statistics."""
        named = ((n, *b) for n, m in self.modules.items() for b in m.named_buffers())
        return {(name, key): buffer.clone() for name, key, buffer in named}

    def put(self, buffers: Mapping[tuple[str, str], Tensor]) -> None:
        """Set them."""
        for (name, key), value in buffers.items():
            self.modules[name].get_buffer(key).copy_(value)


def tree_mean(found: Sequence[dict]) -> dict:
    """Add neighbours, then neighbouring sums, up to the root; and divide."""
    level = list(found)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [{key: a[key] + b[key] for key in a} for a, b in pairs]
    return {key: total / len(found) for key, total in level[0].items()}
