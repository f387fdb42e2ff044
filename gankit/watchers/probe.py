"""A look at a generator: how diverse its samples are, what a condition changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gankit.data.annotations import Classes, Texts
from gankit.data.items import Data
from gankit.errors import DataError
from gankit.randomness import generator
from gankit.runs.run import Run

# as measured
DIVERSITY, EFFECT, NOISE_EFFECT = "diversity", "condition effect", "noise effect"

_PROBED = 64  # samples of a kind at a look


class Probe:
    """A few conditions of the data and noises, to look at a generator with.

    They are the same at every look, so that what changes between two is the generator
    alone.

    Args:
        run: the run whose data and generator are looked at.

    Attributes:
        within: whether two samples are compared within a class: a generator that knows
            one picture for each has no diversity, however many classes there are.
    """

    def __init__(self, run: Run) -> None:
        data, self._seed = run.data, run.game.seed
        order = torch.randperm(len(data), generator=self._rng("positions"))
        (self._positions,) = self._whole(data, order[:_PROBED])  # (B,)
        conditioner = run.game.conditioner
        mates = None
        reads = "" if conditioner is None else conditioner.reads
        kind = data.facts.annotations.get(reads)
        # anything else is compared among all: few real samples have the same of it
        if isinstance(kind, Classes):
            self._positions, mates = self._mates(data, data.annotations[reads])
        self.within = mates is not None
        real = self._real_at(data, self._positions)
        self._real = (
            _mutual(real)
            if mates is None
            else _paired(real, self._real_at(data, mates))
        )
        self._texts = isinstance(kind, Texts)
        self._strangers = None if conditioner is None else self._wrong(data)
        if self._strangers is not None:
            each = self._whole(data, self._positions, self._strangers)
            self._real_apart = _paired(*(self._real_at(data, some) for some in each))

    def look(self, run: Run) -> dict[str, float]:
        """Measure what can be: how diverse samples are, and what moves them.

        - Diversity is the mean distance between two samples, by that between two real
          ones.
        - The effect of a condition is the mean distance between two samples of one
          noise and two conditions, by that between samples of two noises and
          conditions, or by that between real samples of two conditions where it is
          larger: a generator that has collapsed ignores what it is asked for, even if
          nothing else moves its samples either.
        - The effect of the noise is the mean distance between two samples of one
          text and two noises, by that between two real samples of any texts, because
          few real ones have the same. Within a class it is the diversity.
        """
        made = self._generate(run, self._positions, 0)
        again = self._generate(run, self._positions, 1)
        distance = _paired(made, again) if self.within else _mutual(made)
        found = {DIVERSITY: _ratio(distance, self._real)}
        if self._texts:
            found[NOISE_EFFECT] = _ratio(_paired(made, again), self._real)
        if self._strangers is not None:
            other = self._generate(run, self._strangers, 0)
            apart = self._generate(run, self._strangers, 1)
            whole = max(_paired(made, apart), self._real_apart)
            found[EFFECT] = _ratio(_paired(made, other), whole)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    @torch.no_grad()
    def _generate(self, run: Run, positions: Tensor, draw: int) -> Tensor:
        """Sample with the conditions at positions and one of two noises, (B, d)."""
        # drawn anew at each look, from the same stream: noise may learn
        draws = self._rng("noise", run.game.device)
        noise = run.game.noise(2 * len(positions), draws).chunk(2)[draw]
        tokens = run.data.tokens_at(positions)
        # what a generator draws itself goes with the noise; what a conditioner draws,
        # as which of an item's captions is read, does not
        drawn = run.sampler.draw(
            noise,
            tokens,
            self._seed,
            *("health", "global", draw),
            told=("health", "condition"),
        )
        return drawn.flatten(1)

    def _real_at(self, data: Data, positions: Tensor) -> Tensor:
        """Return real samples, (B, d), on the CPU."""
        rng = self._rng("transform", data.device)
        return data.samples(positions, rng).flatten(1).cpu()

    def _whole(self, data: Data, *positions: Tensor) -> tuple[Tensor, ...]:
        """Keep the places at which all of some positions have a picture of their own.

        One that is broken has its neighbour's, which its class and captions are not of.
        Where no place is left, all are kept.
        """
        for some in positions:
            self._real_at(data, some)  # what is broken is found when it is read
        rows = zip(*(some.tolist() for some in positions), strict=True)
        whole = torch.tensor([not data.broken.keys() & {*row} for row in rows])
        return tuple(some[whole] if whole.any() else some for some in positions)

    def _wrong(self, data: Data) -> Tensor | None:
        """Draw for each position one of another condition, if all have such."""
        try:
            return data.strangers(self._positions, self._rng("strangers"))
        except DataError:
            return None

    def _mates(self, data: Data, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pair positions with others of their class; None where all are alone."""
        rng, pairs = self._rng("mates"), []
        for position in self._positions.tolist():
            same = (labels == labels[position]).nonzero().squeeze(1)
            others = same[same != position]
            if len(others):
                drawn = torch.randint(len(others), (), generator=rng)
                pairs.append((position, int(others[drawn])))
        if not pairs:
            return self._positions, None
        positions, mates = self._whole(data, *torch.tensor(pairs).T)
        return positions, mates

    def _rng(self, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
        return generator(device, self._seed, "health", purpose)


def _mutual(samples: Tensor) -> float:
    """Return the mean distance among samples, (B, d); NaN where there are no two."""
    return float(torch.pdist(samples).mean())


def _paired(some: Tensor, others: Tensor) -> float:
    """Return the mean distance between samples and their partners, each (B, d)."""
    return float((some - others).norm(dim=1).mean())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
