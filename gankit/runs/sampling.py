"""Pictures out of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from gankit.contracts import Conditioner, NoiseSource
from gankit.data.facts import Facts
from gankit.game.given import unpacked
from gankit.randomness import generator as counted
from gankit.randomness import global_stream, seed_global
from gankit.runs import passes
from gankit.runs.asking import Asking
from gankit.runs.module import Module
from gankit.runs.pictures import Samples
from gankit.runs.walks import Walks

_BATCH = 64


class Sampler(Walks):
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

    @property
    def module(self) -> nn.Module:
        """The generator as a plain module: (noise, condition) to samples alone.

        Samples (B, *sample) are in its own range. A module of a sampler that was loaded
        draws what :meth:`sample` draws; ``.eval()`` would also switch off dropout.
        """
        return Module(self.generator)

    def vectors(self, conditions: Sequence[Any], *, seed: int = 0) -> Tensor | None:
        """Return what the generator is given for texts or values, (N, c) on the CPU.

        It is None for a run without a conditioner; ``seed`` is of its own draws.

        Raises:
            UsageError: a condition means nothing to the conditioner.
        """
        tokens, _ = self._asking.read(conditions)
        some = None if tokens is None else tokens.to(self.device)
        with torch.no_grad(), passes.evaluated(self._changed(some)):
            return passes.vectors(self.conditioner, some, self.device, seed)

    @torch.no_grad()
    def settle(self) -> Self:
        """Put the networks into the modes in which samples are drawn, for good.

        What is drawn by ``self.generator(noise, condition)`` then is what
        :meth:`sample` draws: a network that is to play on is not to be settled.
        """
        tokens, _ = self._asking.read(self.conditions[:1])
        for module in self._changed(tokens):
            module.training = False
        self._changing = []
        return self

    def _changed(self, tokens: Tensor | None) -> list[nn.Module]:
        """Find the modules that a pass would change, once."""
        if self._changing is None:
            drawn, read = self.generator, self.conditioner
            noise = passes.two_of(self.noise(1, counted(self.device, 0, "trial")))
            some = None if tokens is None else passes.two_of(tokens).to(self.device)
            self._changing = passes.changed_by_a_pass(
                (drawn, read),
                lambda: drawn(noise, passes.condition_of(read, some)),
                self.device,
            )
        return self._changing

    @torch.no_grad()
    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        truncation: float = 0.0,
        progress: Callable[[Samples], object] = lambda made: None,
        **asked: Any,
    ) -> Samples:
        """Draw ``n`` samples.

        Args:
            n: how many.
            seed: the same seed gives the same samples.
            truncation: draw noise within ± this alone; 0 for all of it.
            progress: told of each batch as it is made.
            asked: the condition, by the name of the annotation that the run is
                conditioned on: a text, as ``label="cat"`` or ``captions="a cat"``; or
                a value as an item has it, as ``label=3``. The conditions in a list
                take turns.

        Raises:
            UsageError: the run does not take such a condition, or its noise cannot be
                truncated.
        """
        rng = counted(self.device, seed, "sample")
        noise = passes.truncated(self.noise, n, rng, truncation)
        conditions = self._asking.in_turn(asked, n)
        return self.generate(noise, conditions, seed=seed, progress=progress)

    @torch.no_grad()
    def generate(
        self,
        noise: Tensor,
        conditions: Sequence[Any] = (),
        *,
        towards: Sequence[Any] = (),
        weight: float = 0.0,
        seed: int = 0,
        progress: Callable[[Samples], object] = lambda made: None,
    ) -> Samples:
        """Turn noise (N, n), with one condition each or none, into samples.

        Conditions are texts or values. What the networks draw themselves, as for
        dropout, follows from ``seed``.

        Args:
            noise: as the generator takes it.
            conditions: one for each noise.
            towards: as many others, to whose vectors the generator is led.
            weight: how far, from 0 to 1; what lies between has no caption.
            seed: of what the networks draw themselves.
            progress: told of each batch as it is made.

        Raises:
            UsageError: a condition means nothing to the conditioner.
        """
        tokens, captions = self._asking.read(conditions)
        others, texts = self._asking.read(towards)
        if others is not None and weight:
            captions = texts if weight == 1 else ()
        made = []
        for start in range(0, len(noise), _BATCH):
            part = slice(start, start + _BATCH)
            some, other = (
                None if each is None else each[part].to(self.device)
                for each in (tokens, others)
            )
            purpose = ("sample", "global", start)
            drawn = self.draw(
                noise[part], some, seed, *purpose, towards=(other, weight)
            )
            if self.facts.sample_range is None:
                drawn = passes.displayed(drawn, self.generator)
            made.append(Samples(drawn, captions[part]))
            progress(made[-1])
        return Samples(torch.cat([some.samples for some in made]), captions)

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
        stream = told or purpose
        with (
            passes.evaluated(self._changed(tokens)),
            global_stream(self.device, seed, *stream),
        ):
            condition = passes.condition_of(self.conditioner, tokens)
            if condition is not None and others is not None:
                assert self.conditioner is not None, "it has made a condition"
                seed_global(seed, *stream)  # so that both draw the same
                condition = condition.lerp(self.conditioner(others), weight)
            if told:
                seed_global(seed, *purpose)
            made, _ = unpacked(self.generator(noise, condition))
        # it may be a view of a weight, and have its channels last
        return made.detach().float().cpu().contiguous()
