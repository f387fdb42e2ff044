"""What the discriminator of a run says of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gankit.game.given import unpacked
from gankit.randomness import global_stream
from gankit.runs import passes
from gankit.runs.asking import Asking
from gankit.runs.sampling import Sampler

_BATCH = 64


class Judge:
    """Asks a discriminator about samples, as it plays: dropout and all.

    Only modules that a pass in that mode would change, as a batch norm's running
    statistics, are in evaluation mode, so that what is said of a sample does not depend
    on those beside it, and a run in progress is left as it was. Augmentations of the
    run are not applied.

    Attributes:
        discriminator: (samples, condition) to logits; samples in the game's own range.

    Args:
        discriminator: the network to ask.
        sampler: of the same run: it knows the range of the game, and its conditioner.
    """

    def __init__(self, discriminator: nn.Module, sampler: Sampler) -> None:
        self.discriminator = discriminator
        self._sampler = sampler
        self._asking = Asking(sampler.conditioner, sampler.facts, sampler.conditions)

    @torch.no_grad()
    def judge(
        self, samples: Tensor, conditions: Sequence[Any] = (), *, seed: int = 0
    ) -> Tensor:
        """Return the logits of samples, float32 (N,) on the CPU.

        Where there are many of a sample, as of its patches, it is their mean. Higher is
        more real, on a scale that each discriminator has for itself.

        Args:
            samples: (N, *sample), pictures in [0, 1], as `Samples` and read data are.
            conditions: one for each, texts or values; none without a conditioner.
            seed: of what the networks draw themselves.

        Raises:
            UsageError: a condition means nothing to the conditioner.
        """
        tokens, _ = self._asking.read(conditions)
        said, changing = [], None
        for start in range(0, len(samples), _BATCH):
            part = slice(start, start + _BATCH)
            device = self._sampler.device
            some = self._played(samples[part].to(device))
            told = None if tokens is None else tokens[part].to(device)
            if changing is None:
                changing = self._changed(some, told)
            with (
                passes.evaluated(changing),
                global_stream(device, seed, "judge", start),
            ):
                condition = passes.condition_of(self._sampler.conditioner, told)
                logits, _ = unpacked(self.discriminator(some, condition))
            said.append(logits.float().reshape(len(some), -1).mean(1).cpu())
        return torch.cat(said) if said else torch.empty(0)

    def _changed(self, samples: Tensor, tokens: Tensor | None) -> list[nn.Module]:
        read = self._sampler.conditioner
        told = None if tokens is None else passes.two_of(tokens)
        return passes.changed_by_a_pass(
            (self.discriminator, read),
            lambda: self.discriminator(
                passes.two_of(samples), passes.condition_of(read, told)
            ),
            self._sampler.device,
        )

    def _played(self, samples: Tensor) -> Tensor:
        if self._sampler.facts.sample_range is not None:
            return samples
        low, high = passes.played_range(self._sampler.generator)
        return low + samples * (high - low)
