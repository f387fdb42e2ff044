"""What a loss may look at during one update, computed when asked for, at most once."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gankit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gankit.compute.device import Precision
    from gankit.data.feed import Batch
    from gankit.parts import Augmentation, Conditioner


# how well logits tell real from generated samples, as measured
AUC, CLEARANCE = "AUC", "clearance"


class Step:
    """One look at the game, shared by everything that scores it.

    Every attribute is computed on first use and kept. While the discriminator moves
    alone, ``fake`` carries no gradient; while the generator moves alone, the
    discriminator's parameters are frozen by the game. When both move at once, they
    share one pass, and the game takes each gradient for its own player.

    The generator is given the values of conditions, not how a conditioner has computed
    them: a conditioner that learns does so by what the discriminator makes of its
    vectors, never by what a generator makes of them.

    Attributes:
        index: number of the step, from 0.
        size: samples in the batch, B.
    """

    def __init__(
        self,
        *,
        index: int,
        batch: Batch,
        generator: nn.Module,
        discriminator: nn.Module,
        conditioner: Conditioner | None,
        augmentations: Sequence[Augmentation],
        draw_noise: Callable[[torch.Generator], Tensor],
        rng: Callable[[str], torch.Generator],
        precision: Precision,
        generator_moves: bool,
    ) -> None:
        self.index = index
        self.size = batch.size
        self.measurements: dict[str, Tensor] = {}
        self._batch = batch
        self._generator = generator
        self._discriminator = discriminator
        self._conditioner = conditioner
        self._augmentations = augmentations
        self._draw_noise = draw_noise
        self._rng = rng
        self._precision = precision
        self._generator_moves = generator_moves
        self._judged = 0

    @cached_property
    def real(self) -> Tensor:
        """Real samples, (B, *sample), in the generator's output range."""
        return self._batch.samples

    @cached_property
    def condition(self) -> Tensor | None:
        """The conditions of the real samples, (B, c); None without a conditioner."""
        return self._vectors(self._batch.tokens)

    @cached_property
    def mismatched_condition(self) -> Tensor:
        """For each real sample the condition of an item for which it is wrong, (B, c).

        Uniform over all of them: items of another class, without classes other items;
        where captions are read, without a caption in common. Reed et al. 2016, section
        4.2 (GAN-CLS).
        """
        mismatched = self._vectors(self._batch.mismatched_tokens(self._rng("mismatch")))
        assert mismatched is not None, "the assembly refuses such a loss"
        return mismatched

    @cached_property
    def noise(self) -> Tensor:
        """The generator's input, (B, n)."""
        return self._draw_noise(self._rng("noise"))

    @cached_property
    def fake(self) -> Tensor:
        """Generated samples for ``noise`` and ``condition``, (B, *sample)."""
        noise, condition = self.noise, self.condition  # which keeps its graph for D
        with torch.set_grad_enabled(self._generator_moves):
            return self.generate(noise, condition)

    @cached_property
    def real_logits(self) -> Tensor:
        """The discriminator's logits for ``real``, (B,)."""
        return self.discriminate(self.real, self.condition)

    @cached_property
    def fake_logits(self) -> Tensor:
        """The discriminator's logits for ``fake``, (B,)."""
        return self.discriminate(self.fake, self.condition)

    @cached_property
    def mismatched_logits(self) -> Tensor:
        """Logits for ``real`` with ``mismatched_condition``, (B,)."""
        return self.discriminate(self.real, self.mismatched_condition)

    def generate(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate float32 samples (B, *sample), with the generator's gradient.

        What ``condition`` was computed from gets none. To differentiate by the
        condition itself, give a leaf: ``condition.detach().requires_grad_()``.
        """
        if condition is not None and not condition.is_leaf:
            condition = condition.detach()
        with self._precision.autocast():
            made: Tensor = self._generator(noise, condition)
            return made.float()

    def discriminate(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples, after the run's augmentations: float32 logits (B,)."""
        for augmentation in self._augmentations:
            self._judged += 1
            samples = augmentation(samples, self._rng(f"augment {self._judged}"))
        with self._precision.autocast():
            logits: Tensor = self._discriminator(samples, condition)
            return logits.float()

    def log(self, name: str, value: Tensor) -> None:
        """Add a measurement, a scalar, without waiting for the device.

        What is logged may depend on the step's index, never on the data: with many
        processes, measurements are means over all of them.

        Raises:
            UsageError: it is not a scalar.
        """
        if value.ndim:
            raise UsageError(
                f"the measurement {name!r} has the shape {tuple(value.shape)}, and is "
                "no scalar; reduce it, as with .mean()"
            )
        self.measurements[name] = value.detach()

    def _vectors(self, tokens: Tensor | None) -> Tensor | None:
        if self._conditioner is None or tokens is None:
            return None
        with self._precision.autocast():
            vectors = self._conditioner(tokens).float()
        return vectors.view_as(vectors)  # never a parameter itself, see `generate`


def ranking(step: Step) -> dict[str, Tensor]:
    """Measure how well the logits that were looked at tell real from fake.

    - The share of pairs of a real and a generated sample whose real one has the higher
      logit, equal ones counted half: the area under the ROC curve (Hanley & McNeil
      1982), 0.5 by chance and 1 without an error.
    - How much of the way from the mean fake logit to the mean real one lies between the
      highest fake and the lowest real: above 0 where there is no error, towards 1 where
      there is ever more room for none.

    Both mean the same for every loss, where the sigmoid of a logit is a probability for
    some alone.
    """
    looked = vars(step)
    if "real_logits" not in looked or "fake_logits" not in looked:
        return {}
    real, fake = step.real_logits.detach(), step.fake_logits.detach()
    ranked = (real.flatten()[:, None] - fake.flatten()).sign()  # (B, B)
    broken = (real.sum() + fake.sum()).isnan()  # NaN has no sign, but is no tie either
    return {
        AUC: torch.where(broken, math.nan, (ranked.mean() + 1) / 2),
        CLEARANCE: (real.min() - fake.max()) / (real.mean() - fake.mean()).abs(),
    }
