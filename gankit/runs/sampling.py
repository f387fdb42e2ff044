"""Pictures out of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Self

import torch
from torch import Tensor, nn

from gankit.compute.shards import State
from gankit.contracts import UNBOUNDED, Conditioner, NoiseSource
from gankit.data.columns import as_read
from gankit.data.facts import Facts
from gankit.errors import UsageError
from gankit.game.given import unpacked
from gankit.randomness import generator as counted
from gankit.randomness import global_stream, seed_global
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
    ) -> None:
        self.generator = generator
        self.conditioner = conditioner
        self.facts = facts
        self.conditions = tuple(conditions)
        self.device = device
        self.notes = tuple(notes)
        self.noise = noise
        self._changing: list[nn.Module] | None = None  # found when first drawn from

    @torch.no_grad()
    def settle(self) -> Self:
        """Put the networks into the modes in which samples are drawn, for good.

        What is drawn by ``self.generator(noise, condition)`` then is what
        :meth:`sample` draws: a network that is to play on is not to be settled.
        """
        noise = self.noise(1, counted(self.device, 0, "trial"))
        tokens, _ = self._read(self.conditions[:1])
        some = None if tokens is None else tokens.to(self.device)
        for module in self._changed_by_a_pass(noise, some):
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
        return self.generate(noise, self._in_turn(asked, n), seed=seed)

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
        self, noise: Tensor, conditions: Sequence[Any] = (), *, seed: int = 0
    ) -> Samples:
        """Turn noise (N, n), with one condition each or none, into samples.

        Conditions are texts or values. What the networks draw themselves, as for
        dropout, follows from ``seed``.
        """
        tokens, captions = self._read(conditions)
        made = []
        for start in range(0, len(noise), _BATCH):
            part = slice(start, start + _BATCH)
            some = None if tokens is None else tokens[part].to(self.device)
            made.append(self.draw(noise[part], some, seed, "sample", "global", start))
        return Samples(self._displayed(torch.cat(made)), captions)

    @torch.no_grad()
    def draw(
        self,
        noise: Tensor,
        tokens: Tensor | None,
        seed: int,
        *purpose: str | int,
        told: tuple[str | int, ...] = (),
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
        """
        if self._changing is None:
            self._changing = self._changed_by_a_pass(noise, tokens)
        for module in self._changing:
            module.training = False
        try:
            with global_stream(self.device, seed, *(told or purpose)):
                condition = _condition(self.conditioner, tokens)
                if told:
                    seed_global(seed, *purpose)
                made, _ = unpacked(self.generator(noise, condition))
        finally:
            for module in self._changing:
                module.training = True
        # it may be a view of a weight, and have its channels last
        return made.detach().float().cpu().contiguous()

    def _changed_by_a_pass(
        self, noise: Tensor, tokens: Tensor | None
    ) -> list[nn.Module]:
        """Find the modules whose own buffers a pass in training mode changes."""
        networks = [
            network
            for network in (self.generator, self.conditioner)
            if isinstance(network, nn.Module)
        ]
        modules = [m for n in networks for m in n.modules() if m.training]
        before = [[b.clone() for b in m.buffers(recurse=False)] for m in modules]
        put_back = State(networks, ()).keep()
        with global_stream(self.device, 0, "trial"):  # of two, as a batch norm needs
            two = None if tokens is None else torch.cat([tokens[:1]] * 2)
            condition = _condition(self.conditioner, two)
            self.generator(torch.cat([noise[:1]] * 2), condition)
        changed = [
            module
            for module, was in zip(modules, before, strict=True)
            if not all(map(torch.equal, was, module.buffers(recurse=False)))
        ]
        put_back()
        return changed

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
        each = self._in_turn(asked, rows)
        ends = self.noise(2 * rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(torch.lerp(ends[::2], ends[1::2], weight), each, seed=seed)
            for weight in torch.linspace(0, 1, steps, device=self.device)
        ]
        return Samples(
            torch.stack([column.samples for column in columns], 1).flatten(0, 1),
            tuple(c for c in columns[0].captions for _ in range(steps)),
        )

    def _in_turn(self, asked: Mapping[str, Any], count: int) -> list[Any]:
        """Repeat the conditions that are asked for, or the run's own; none if none."""
        return [*islice(cycle(self._asked(asked)), count)]

    def _asked(self, asked: Mapping[str, Any]) -> Sequence[Any]:
        reads = "" if self.conditioner is None else self.conditioner.reads
        has = f"is conditioned on its {reads}" if reads else "is not conditioned"
        for name in asked:
            if name != reads:
                raise UsageError(f"this run {has}: it takes no {name} to sample from")
        if not asked:
            return self.conditions if reads else ()
        value = asked[reads]
        if isinstance(value, list) and not value:
            raise UsageError(f"{reads}: the list is empty; put a condition into it")
        return value if isinstance(value, list) else [value]

    def _read(self, conditions: Sequence[Any]) -> tuple[Tensor | None, tuple[str, ...]]:
        """Turn conditions into tokens, each distinct one once, and into texts."""
        if self.conditioner is None or not conditions:
            return None, ()
        reads = self.conditioner.reads
        kind = self.facts.annotations[reads]
        distinct = {id(condition): condition for condition in conditions}
        column, texts = kind.column(len(distinct)), []
        try:
            for i, told in enumerate(distinct.values()):
                text = told if isinstance(told, str) else None
                value = told if text is None else self.conditioner.parse(text)
                column[i] = kind.checked(value)
                texts.append(kind.text(column[i]) if text is None else text)
            tokens = self.conditioner.tokens(as_read(column))
        except ValueError as error:
            raise UsageError(f"{reads}: {error}") from error
        place = {key: i for i, key in enumerate(distinct)}
        places = [place[id(condition)] for condition in conditions]
        captions = tuple(texts[i] for i in places) if any(texts) else ()
        return tokens[torch.tensor(places)], captions

    def _displayed(self, samples: Tensor) -> Tensor:
        """Scale pictures to [0, 1]; leave the values of anything else alone."""
        if self.facts.sample_range is not None:
            return samples
        low, high = getattr(self.generator, "output_range", UNBOUNDED)
        if (low, high) == UNBOUNDED:
            low, high = -1.0, 1.0
        return ((samples - low) / (high - low)).clamp(0, 1)


def _condition(conditioner: Conditioner | None, tokens: Tensor | None) -> Tensor | None:
    if conditioner is None or tokens is None:
        return None
    return conditioner(tokens)
