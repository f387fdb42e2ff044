"""Loss `matching-aware-hinge`: DF-GAN's, by margins, with wrong conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen
from torch.nn.functional import relu

if TYPE_CHECKING:
    from torch import Tensor

    from gankit import Step


@frozen
class MatchingAwareHinge:
    """The hinge loss, where a real sample with a wrong condition is fake too, by half.

    Tao et al. 2022, "DF-GAN", section 3.3, the adversarial loss, with one logit for
    both questions, real and matching (their one-way output). Wrong pairs are of a real
    sample and a mismatched condition; the authors' code gives each text the next
    picture of the batch, whatever it is of.
    """

    needs_condition: ClassVar[bool] = True
    needs_mismatch: ClassVar[bool] = True

    def discriminator(self, step: Step) -> Tensor:
        """Return E[(1 − D(x, t))⁺] + ½ E[(1 + D(x, t'))⁺] + ½ E[(1 + D(G(z), t))⁺].

        t' is a mismatched condition; G is given t too.
        """
        real = relu(1 - step.real_logits).mean()
        mismatched = relu(1 + step.mismatched_logits).mean()
        fake = relu(1 + step.fake_logits).mean()
        return real + (mismatched + fake) / 2

    def generator(self, step: Step) -> Tensor:
        """Return −E[D(G(z), t)]."""
        return -step.fake_logits.mean()
