"""Pictures out of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from gankit.contracts import UNBOUNDED, Conditioner, NoiseSource
from gankit.data.facts import Facts
from gankit.errors import UsageError
from gankit.game.given import unpacked
from gankit.randomness import generator as counted
from gankit.randomness import global_stream, seed_global
from gankit.runs.asking import Asking
from gankit.runs.modes import changed_by_a_pass, condition_of, evaluated
from gankit.runs.pictures import Samples

_BATCH = 64


class Sampler:
    """Draws from a generator: its moving average, where the run keeps one.

    Samples have the distribution that the discriminator judged, see :meth:`draw`. The
    networks of a run in progress are in the modes in which they play; those of a
    sampler that :func:`gankit.load` gives, in those in which samples are drawn.

    Attributes:
        generator: (noise, condition) to samples, in the generator's own range.
        conditioner: tokens to conditions.

    Args:
        generator: the network to draw from.
        conditioner: what makes conditions; None for an unconditional run.
        noise: the run's own.
        facts: what the data set of the run knew.
        conditions: texts or values to use when none are asked for.
        device: where the networks are.
        notes: what the user should know of where it was loaded from.
        step: steps done when what it was loaded from was saved; None in a run.
    """

    def __init__(
        self,
        generator: nn.Module,
        conditioner: Conditioner | None,
        noise: NoiseSource,
        facts: Facts,
        conditions: Sequence[Any],
        device: torch.device,
        notes: Sequence[str] = (),
        step: int | None = None,
    ) -> None:
        self.generator = generator
        self.conditioner = conditioner
        self.facts = facts
        self.conditions = tuple(conditions)
        self.device = device
        self.notes = tuple(notes)
        self.noise = noise
        self.step = step
        self._asking = Asking(conditioner, facts, self.conditions)
        self._changing: list[nn.Module] | None = None  # found when first drawn from

    @torch.no_grad()
    def settle(self) -> Self:
        """Put the networks into the modes in which samples are drawn, for good.

        What is drawn by ``self.generator(noise, condition)`` then is what
        :meth:`sample` draws: a network that is to play on is not to be settled.
        """
        noise = self.noise(1, counted(self.device, 0, "trial"))
        tokens, _ = self._asking.read(self.conditions[:1])
        some = None if tokens is None else tokens.to(self.device)
        both = self.generator, self.conditioner
        for module in changed_by_a_pass(*both, noise, some):
            module.training = False
        self._changing = []
        return self

    @torch.no_grad()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        truncation: float = 0.0,
        **asked: Any,
    ) -> Samples:
        """Draw ``n`` samples.

        Args:
            n: how many.
            seed: the same seed gives the same samples.
            truncation: draw noise within ± this alone; 0 for all of it.
            asked: the condition, by the name of the annotation that the run is
                conditioned on: a text, as ``label="cat"`` or ``captions="a cat"``; or
                a value as an item has it, as ``label=3``. The conditions in a list
                take turns.

        Raises:
            UsageError: the run does not take such a condition, or its noise cannot be
                truncated.
        """
        rng = counted(self.device, seed, "sample")
        noise = (
            self._truncated(n, rng, truncation) if truncation else self.noise(n, rng)
        )
        return self.generate(noise, self._asking.in_turn(asked, n), seed=seed)

    def _truncated(self, n: int, rng: torch.Generator, limit: float) -> Tensor:
        drawn = getattr(self.noise, "truncated", None)
        if limit < 0 or drawn is None:
            name = type(self.noise).__name__
            raise UsageError(
                f"truncation {limit:g}: "
                + ("give a number above 0" if limit < 0 else f"{name} has no middle")
            )
        try:
            truncated: Tensor = drawn(n, rng, limit)
        except ValueError as error:
            raise UsageError(f"truncation {limit:g}: {error}") from error
        return truncated

    @torch.no_grad()
    def generate(
        self,
        noise: Tensor,
        conditions: Sequence[Any] = (),
        *,
        towards: Sequence[Any] = (),
        weight: float = 0.0,
        seed: int = 0,
    ) -> Samples:
        """Turn noise (N, n), with one condition each or none, into samples.

        Conditions are texts or values. What the networks draw themselves, as for
        dropout, follows from ``seed``.

        Args:
            noise: as the generator takes it.
            conditions: one for each noise.
            towards: as many others: the generator is given the vector that lies
                between those of the two. A sample that lies between has no caption.
            weight: where between, from 0, the first ones, to 1, the others.
            seed: of what the networks draw themselves.

        Raises:
            UsageError: a condition means nothing to the conditioner.
        """
        tokens, captions = self._asking.read(conditions)
        others, texts = self._asking.read(towards)
        made = []
        for start in range(0, len(noise), _BATCH):
            part = slice(start, start + _BATCH)
            some, other = (
                None if each is None else each[part].to(self.device)
                for each in (tokens, others)
            )
            purpose = ("sample", "global", start)
            made.append(
                self.draw(noise[part], some, seed, *purpose, towards=(other, weight))
            )
        if others is not None and weight:
            captions = texts if weight == 1 else ()
        return Samples(self._displayed(torch.cat(made)), captions)

    @torch.no_grad()
    def draw(
        self,
        noise: Tensor,
        tokens: Tensor | None,
        seed: int,
        *purpose: str | int,
        told: tuple[str | int, ...] = (),
        towards: tuple[Tensor | None, float] = (None, 0.0),
    ) -> Tensor:
        """Turn noise (B, n) and tokens (B, ...) into samples (B, *sample) on the CPU.

        The networks are in the mode in which they play, so that samples have the
        distribution that the discriminator judges: a generator that plays with dropout
        is sampled with dropout (as Isola et al. 2017, section 3.1, do), because without
        it it is another one, whose samples nobody has judged. Only modules that a pass
        in that mode would change, as a batch norm's running statistics, are in
        evaluation mode: a sample does not depend on those beside it.

        Args:
            noise: as the generator takes it, on the device.
            tokens: of the conditions, on the device; None without a conditioner.
            seed: of what the networks draw themselves.
            purpose: what that is for; each has a stream of its own.
            told: what the conditioner's own draws are for, if anything else.
            towards: tokens of other conditions, and how far the vector that the
                generator is given has moved to theirs: 0 not at all, 1 all the way.
        """
        others, weight = towards
        if self._changing is None:
            both = self.generator, self.conditioner
            self._changing = changed_by_a_pass(*both, noise, tokens)
        stream = told or purpose
        with evaluated(self._changing), global_stream(self.device, seed, *stream):
            condition = condition_of(self.conditioner, tokens)
            if condition is not None and others is not None:
                assert self.conditioner is not None, "it has made a condition"
                seed_global(seed, *stream)  # so that both draw the same
                condition = condition.lerp(self.conditioner(others), weight)
            if told:
                seed_global(seed, *purpose)
            made, _ = unpacked(self.generator(noise, condition))
        # it may be a view of a weight, and have its channels last
        return made.detach().float().cpu().contiguous()

    @torch.no_grad()
    def interpolate(
        self,
        *,
        rows: int = 8,
        steps: int = 8,
        seed: int = 0,
        **asked: Any,
    ) -> Samples:
        """Walk, in each row, from one noise to another, along a line.

        What a network draws itself, as for dropout, is held along a row too.

        Args:
            rows: walks.
            steps: samples in one walk.
            seed: the same seed gives the same walks.
            asked: the condition, as :meth:`sample` takes it, held along each row; rows
                take turns.

        Raises:
            UsageError: the run does not take such a condition.
        """
        each = self._asking.in_turn(asked, rows)
        ends = self.noise(2 * rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(torch.lerp(ends[::2], ends[1::2], weight), each, seed=seed)
            for weight in torch.linspace(0, 1, steps, device=self.device)
        ]
        return _rows(columns)

    @torch.no_grad()
    def interpolate_conditions(
        self,
        *,
        rows: int = 8,
        steps: int = 8,
        seed: int = 0,
        **asked: Any,
    ) -> Samples:
        """Walk, in each row, from one condition to another, along a line.

        The line leads from vector to vector of what the conditioner gives, and the
        noise is held along a row (Reed et al. 2016, section 5.4). What a network draws
        itself, as for dropout, is held too. Only the ends of a row have captions.

        Args:
            rows: walks, each with a noise of its own, those of :meth:`sample`.
            steps: samples in one walk; at least 2.
            seed: the same seed gives the same walks.
            asked: the two conditions, as ``captions=["a red circle", "a blue star"]``;
                when left out, two of the run's own.

        Raises:
            UsageError: the run is not conditioned, does not take such conditions, or
                there are not two.
        """
        if steps < 2:
            raise UsageError(f"steps {steps}: a walk has two ends; give 2 or more")
        first, last = ([end] * rows for end in self._asking.two(asked))
        noise = self.noise(rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(noise, first, towards=last, weight=weight, seed=seed)
            for weight in torch.linspace(0, 1, steps).tolist()
        ]
        return _rows(columns)

    def _displayed(self, samples: Tensor) -> Tensor:
        """Scale pictures to [0, 1]; leave the values of anything else alone."""
        if self.facts.sample_range is not None:
            return samples
        low, high = getattr(self.generator, "output_range", UNBOUNDED)
        if (low, high) == UNBOUNDED:
            low, high = -1.0, 1.0
        return ((samples - low) / (high - low)).clamp(0, 1)


def _rows(columns: Sequence[Samples]) -> Samples:
    """Lay columns of samples side by side, and read them row by row."""
    texts = [column.captions or ("",) * len(column.samples) for column in columns]
    captions = tuple(text for row in zip(*texts, strict=True) for text in row)
    samples = torch.stack([column.samples for column in columns], 1).flatten(0, 1)
    return Samples(samples, captions if any(captions) else ())
