"""Loss `matching-aware`: GAN-CLS and GAN-INT of text-to-image synthesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from attrs import frozen
from torch.nn.functional import softplus

from gankit import Fraction

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class MatchingAware:
    """A real sample with a condition that is not its own counts as fake, by half.

    Reed et al. 2016: GAN-CLS is section 4.2 and algorithm 1; GAN-INT, section 4.3, lets
    the generator play also for conditions between two real ones. The defaults are the
    authors' code; ``interpolation = 0`` is GAN-CLS alone.

    As in the code, sample i is mixed with sample i + B/2 of the batch (cyclically),
    mixed and unmixed samples pass the networks together, and the loss is the mean over
    all of them. Deviation: the mixed samples reuse the noise of the first ones instead
    of drawing their own, which leaves the expectation as it is.

    Args:
        interpolation: mixed conditions that the generator plays for, as a share of the
            batch (rounded down); 0 for none. A batch of one has no pairs.
        beta: share of the first condition in a mixed one (β of equation 5).
    """

    needs_condition: ClassVar[bool] = True
    needs_mismatch: ClassVar[bool] = True

    interpolation: Fraction = 0.5
    beta: Fraction = 0.5

    def discriminator(self, step: Step) -> Tensor:
        """Return −E[log D(x, t)] − ½ E[log(1 − D(x, t'))] − ½ E[log(1 − D(G(z), t))].

        t' is a mismatched condition; G is given t too.
        """
        real = softplus(-step.real_logits).mean()
        mismatched = softplus(step.mismatched_logits).mean()
        fake = softplus(step.fake_logits).mean()
        return real + (mismatched + fake) / 2

    def generator(self, step: Step) -> Tensor:
        """Return −E[log D(G(z), t)], t real or between two real ones."""
        count = int(self.interpolation * step.size) if step.size > 1 else 0
        if not count:
            return softplus(-step.fake_logits).mean()
        assert step.condition is not None, "the assembly refuses such a loss"
        partners = step.condition.roll(-(step.size // 2), 0)  # (B, c)
        mixed = torch.lerp(partners, step.condition, self.beta)[:count]
        condition = torch.cat([step.condition, mixed])
        noise = torch.cat([step.noise, step.noise[:count]])
        fake = step.generate(noise, condition)
        return softplus(-step.discriminate(fake, condition)).mean()
