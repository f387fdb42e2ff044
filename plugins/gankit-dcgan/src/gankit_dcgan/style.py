"""Inversion `style-encoder`: from pictures to noise, learnt from generated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import cycle, islice, pairwise
from math import isfinite
from pathlib import Path

import torch
from attrs import asdict, frozen
from torch import Tensor, nn

from gankit import Count, Positive, Sampler, cache

_SMALLEST = 4  # sides of the deepest features, at most
_WIDEST = 8  # times the width
_POOL = 4  # batches that are generated together
_REPORTS = 50  # progress is told about as often
_TRIED = 512  # pictures that are held out to say how well noise is found

Progress = Callable[[int, int, str], None]


@frozen
class StyleEncoder:
    """An encoder S of pictures to noise, trained on pictures that the run generates.

    Reed et al. 2016, "Generative adversarial text to image synthesis", section 4.4 and
    equation 6: S minimises E‖z − S(G(z, t))‖², with z drawn as the run draws it and t
    from the run's own conditions. G(S(x), t) then has the style of the picture x, what
    the text leaves open, and the content of the text t. How much of the noise S finds
    in pictures that it has not seen is said as a share: 0 % is as good as guessing the
    mean, 100 % is all of it. A generator that hardly heeds its noise leaves little to
    find. What has been learnt is kept in the folder ``inversions`` of the run, for its
    weights and these options.

    Ours, because the paper does not tell: the network, which is the discriminator
    `dcgan` with a linear layer to the noise in place of the logit, and Adam, whose rate
    falls to 0 in a straight line. The conditions are those of the run's grids.

    Args:
        steps: updates.
        batch_size: pictures in each.
        width: channels after the first halving; they double, up to eight times as many.
        lr: the rate at the start.
        seed: of weights, noise and order.
    """

    steps: Count = 1000
    batch_size: Count = 32
    width: Count = 32
    lr: Positive = 2e-3
    seed: int = 0

    def __call__(
        self, sampler: Sampler, pictures: Tensor, *, folder: Path, progress: Progress
    ) -> Tensor:
        """Find noise (N, n) for pictures (N, C, H, W), training S if need be.

        Raises:
            ValueError: samples are no pictures, or training diverged.
        """
        shape = sampler.facts.sample_shape
        if len(shape) != 3:
            raise ValueError(
                f"it looks at pictures (C, H, W), and this run's samples are {shape}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            network = network_of(shape, self.width, sampler.noise.size)
        facts = {**asdict(self), "version": version("gankit-dcgan")}
        digest = cache.digest_of(
            sampler.generator.state_dict(), facts, sampler.conditions
        )
        kept = folder / f"style-encoder-{digest[:16]}.safetensors"
        like = {**network.state_dict(), "share": torch.zeros(())}
        state = cache.read(kept, like)
        if state is None:
            state = self._learnt(network, sampler, progress)
            cache.write(kept, state)
        share = f"finds {state.pop('share'):.0%} of the noise"
        progress(self.steps, self.steps, f"style encoder: {share}; kept in {kept}")
        network.load_state_dict(state)
        network.eval().to(sampler.device)
        with torch.no_grad():
            noise: Tensor = network(pictures.to(sampler.device))
        return noise

    def _learnt(
        self, network: nn.Module, sampler: Sampler, progress: Progress
    ) -> dict[str, Tensor]:
        """Train a network, and return its state and how much of the noise it finds."""
        device = sampler.device
        with torch.enable_grad():
            network.train().to(device)
            optimiser = torch.optim.Adam(network.parameters(), self.lr)
            falls = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, self.steps)
            every = max(1, self.steps // _REPORTS)
            drawn = islice(_generated(sampler, self.batch_size, self.seed), self.steps)
            for step, (noise, pictures) in enumerate(drawn, start=1):
                loss = (network(pictures.to(device)) - noise).square().sum(1).mean()
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                falls.step()
                if step % every == 0 and step < self.steps:
                    share = _share(float(loss.detach()), noise)
                    progress(step, self.steps, f"style encoder: finds {share:.0%}")
        share = self._tried(network.eval(), sampler)
        return {**network.state_dict(), "share": torch.tensor(share)}

    @torch.no_grad()
    def _tried(self, network: nn.Module, sampler: Sampler) -> float:
        """Return the share of the noise that is found in pictures not trained on."""
        batches = islice(_generated(sampler, _TRIED // _POOL, self.seed + 1), _POOL)
        pairs = [(z, network(made.to(z.device))) for z, made in batches]
        noise, found = (torch.cat(some) for some in zip(*pairs, strict=True))
        share = _share(float((found - noise).square().sum(1).mean()), noise)
        if not isfinite(share):
            raise ValueError(
                f"training it diverged with lr = {self.lr:g}; lower lr, from Python"
            )
        return share


def network_of(shape: tuple[int, ...], width: int, noise: int) -> nn.Sequential:
    """Build S: halvings of pictures (B, C, H, W) with batch norm, then noise (B, n)."""
    channels, *sides = shape
    halvings = 0
    while max(sides) > _SMALLEST and min(sides) > 1:
        sides = [side // 2 for side in sides]
        halvings += 1
    widths = [channels, *(width * min(2**i, _WIDEST) for i in range(halvings))]
    network = nn.Sequential()
    for inputs, outputs in pairwise(widths):
        network.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
        network.append(nn.BatchNorm2d(outputs))
        network.append(nn.LeakyReLU(0.2))
    network.append(nn.Flatten())
    network.append(nn.Linear(widths[-1] * sides[0] * sides[1], noise))
    return network


def _generated(
    sampler: Sampler, size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give endless batches of noise (B, n) and what is drawn from it, (B, C, H, W).

    Conditions are the run's own in turn.
    """
    rng = torch.Generator(sampler.device).manual_seed(seed)
    turns = cycle(sampler.conditions) if sampler.conditions else None
    for pool in range(2**31):
        noise = sampler.noise(_POOL * size, rng)
        told = [] if turns is None else [*islice(turns, len(noise))]
        made = sampler.generate(noise, told, seed=seed + pool).samples
        for start in range(0, len(noise), size):
            yield noise[start : start + size], made[start : start + size]


def _share(loss: float, noise: Tensor) -> float:
    """Return how much of the noise is found: 1 less the error over the variance."""
    return 1 - loss / float((noise - noise.mean(0)).square().sum(1).mean())
