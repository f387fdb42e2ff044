"""Pictures out of a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gankit.compute.shards import State
from gankit.errors import UsageError
from gankit.game.step import unpacked
from gankit.parts import UNBOUNDED, Conditioner, Facts, NoiseSource
from gankit.randomness import generator as counted
from gankit.randomness import global_stream, seed_global
from gankit.runs.pictures import Samples

_BATCH = 64


class Sampler:
    """Draws from a generator: its moving average, where the run keeps one.

    Samples have the distribution that the discriminator judged, see :meth:`draw`. The
    networks are in the modes in which they play.

    Args:
        generator: the network to draw from.
        conditioner: what turns texts into conditions; None for an unconditional run.
        noise: the run's own.
        facts: what the data set of the run knew.
        conditions: texts to use when none are asked for.
        device: where the networks are.
        notes: what the user should know of where it was loaded from.
    """

    def __init__(
        self,
        generator: nn.Module,
        conditioner: Conditioner | None,
        noise: NoiseSource,
        facts: Facts,
        conditions: Sequence[str],
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
    def sample(
        self,
        n: int = 64,
        *,
        label: str | int | None = None,
        text: str | Sequence[str] | None = None,
        seed: int = 0,
        truncation: float = 0.0,
    ) -> Samples:
        """Draw ``n`` samples.

        Args:
            n: how many.
            label: class name or index, for a run that is conditioned on labels.
            text: caption or captions, for a run that is conditioned on captions; they
                take turns.
            seed: the same seed gives the same samples.
            truncation: draw noise within ± this alone; 0 for all of it.

        Raises:
            UsageError: the run does not take such a condition, or its noise cannot be
                truncated.
        """
        texts = self._texts(label, text)
        captions = tuple(texts[i % len(texts)] for i in range(n)) if texts else ()
        rng = counted(self.device, seed, "sample")
        noise = (
            self._truncated(n, rng, truncation) if truncation else self.noise(n, rng)
        )
        return self.generate(noise, captions, seed=seed)

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
        self, noise: Tensor, captions: Sequence[str], *, seed: int = 0
    ) -> Samples:
        """Turn noise (N, n), with one text each or none, into samples.

        What the networks draw themselves, as for dropout, follows from ``seed``.
        """
        tokens = self._tokens(captions)
        made = []
        for start in range(0, len(noise), _BATCH):
            part = slice(start, start + _BATCH)
            some = None if tokens is None else tokens[part].to(self.device)
            made.append(self.draw(noise[part], some, seed, "sample", "global", start))
        return Samples(self._displayed(torch.cat(made)), tuple(captions))

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
        return made.detach().float().cpu()  # it may be a view of a weight

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
        label: str | int | None = None,
        text: str | Sequence[str] | None = None,
        rows: int = 8,
        steps: int = 8,
        seed: int = 0,
    ) -> Samples:
        """Walk, in each row, from one noise to another, along a line.

        What a network draws itself, as for dropout, is held along a row too.

        Args:
            label: class name or index, held along each row.
            text: caption or captions, held along a row; rows take turns.
            rows: walks.
            steps: samples in one walk.
            seed: the same seed gives the same walks.

        Raises:
            UsageError: the run does not take such a condition.
        """
        texts = self._texts(label, text)
        captions = [texts[row % len(texts)] for row in range(rows)] if texts else []
        ends = self.noise(2 * rows, counted(self.device, seed, "sample"))
        columns = [
            self.generate(
                torch.lerp(ends[::2], ends[1::2], weight), captions, seed=seed
            )
            for weight in torch.linspace(0, 1, steps, device=self.device)
        ]
        return Samples(
            torch.stack([column.samples for column in columns], 1).flatten(0, 1),
            tuple(caption for caption in captions for _ in range(steps)),
        )

    def _texts(
        self, label: str | int | None, text: str | Sequence[str] | None
    ) -> tuple[str, ...]:
        for asked, reads, word in (
            (label, "label", "labels"),
            (text, "captions", "captions"),
        ):
            if asked is not None and (
                self.conditioner is None or self.conditioner.reads != reads
            ):
                has = (
                    "is not conditioned"
                    if self.conditioner is None
                    else f"is conditioned on its {self.conditioner.reads}"
                )
                raise UsageError(f"this run {has}: it takes no {word} to sample from")
        if label is not None:
            return (str(label),)
        if text is not None:
            return (text,) if isinstance(text, str) else tuple(text)
        return self.conditions if self.conditioner is not None else ()

    def _tokens(self, captions: Sequence[str]) -> Tensor | None:
        if self.conditioner is None or not captions:
            return None
        try:
            raw = {
                text: self.conditioner.parse(text) for text in dict.fromkeys(captions)
            }
        except ValueError as error:
            raise UsageError(str(error)) from error
        distinct = self.conditioner.tokens(list(raw.values()))
        place = {text: i for i, text in enumerate(raw)}
        return distinct[torch.tensor([place[text] for text in captions])]

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
