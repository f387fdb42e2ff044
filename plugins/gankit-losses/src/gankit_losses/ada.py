"""Augmentation `ada`: as much as the discriminator's overfitting asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from attrs import evolve
from torch import Tensor, nn

from gankit import Count, Fraction, hookimpl
from gankit.errors import UsageError
from gankit_losses.chances import Chances
from gankit_losses.cutting import cutout
from gankit_losses.recolouring import CHANNELS, colours, recoloured
from gankit_losses.warping import SYM6, blitted, blitting, geometry, warped

if TYPE_CHECKING:
    from gankit import Report, Run

Policy = tuple[Literal["blit", "geometry", "color", "cutout"], ...]

_R_T = "real sign"  # as gankit measures it


class Ada(nn.Module):
    """Adaptive discriminator augmentation: changes made with a probability that adapts.

    Karras et al. 2020, "Training generative adversarial networks with limited data",
    arXiv 2006.06676. The twelve changes of the three groups that the paper found best
    are made of each image, real and generated, with the probability p each, all from
    the given rng:

    - ``blit``: a mirror image, a turn by quarters, a shift by whole pixels, up to 1/8
      of the size;
    - ``geometry``: a scale of 2 to the power of N(0, 0.2²), a turn by any angle, a
      stretch by as much along one axis as a squeeze along the other, again
      2 to the power of N(0, 0.2²), and a shift by N(0, (1/8)²) of the size;
    - ``color``: brightness, N(0, 0.2²); contrast, 2 to the power of N(0, 0.5²); a
      mirroring of luma; any turn of hue; saturation, 2 to the power of N(0, 1).

    Of the other groups of appendix B there is ``cutout``, a square of zeros with half
    the size. Numbers are the paper's, and of the authors' code.

    p is 0 at first. After every few steps it goes up by a fixed amount where the mean
    sign of the discriminator's real logits (r_t of equation 1) is above the target, and
    down where it is below (section 3). So the loss has to be one for whose logits
    0 means undecided: `wasserstein` and `relativistic` are refused. Then
    `metrics.jsonl` has p as ``augmented``. Where ``probability`` is set, p is that
    (section 2), or what its schedule says, as in Huang et al. 2024, whatever the loss:
    nothing steers it, and ``target``, ``images`` and ``every`` mean nothing.

    Images (B, C, H, W) are grey, colours, or colours with transparency, whose value
    stays; brightness and contrast are made for samples in [-1, 1], and nothing is
    clipped. Deviations: p is at most 1, where the paper bounds it from below alone;
    ``blit`` copies pixels and is no part of what is filtered; around an image lie its
    mirror images without end, where the paper pads by as much as a batch needs.

    Args:
        policy: the groups of changes; the paper's best is all but cutout.
        target: the mean sign of the real logits that is aimed at.
        images: real ones in which p could rise from 0 to 1.
        every: steps from one move of p to the next.
        probability: p itself, which may follow a schedule; none steers it.
        color_share: changes of colour are made with this share of p.
    """

    p: Tensor
    signs: Tensor
    lowpass: Tensor

    def __init__(
        self,
        *,
        policy: Policy = ("blit", "geometry", "color"),
        target: Fraction = 0.6,
        images: Count = 500_000,
        every: Count = 4,
        probability: Fraction | None = None,
        color_share: Fraction = 1.0,
    ) -> None:
        if not policy:
            raise ValueError(
                "ada has an empty policy, so that it would change nothing; name "
                "'blit', 'geometry', 'color' or 'cutout', or leave it out"
            )
        super().__init__()
        self.policy, self.target = policy, target
        self.images, self.every = images, every
        self.probability, self.color_share = probability, color_share
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))  # their sum since the last move
        self.register_buffer("lowpass", torch.tensor(SYM6), persistent=False)

    @property
    def needs_signs(self) -> bool:
        """Whether p is steered."""
        return self.probability is None

    def forward(
        self,
        samples: Tensor,
        rng: torch.Generator,
        *,
        probability: float | None = None,
    ) -> Tensor:
        """Return the images changed, of the same shape and type.

        Args:
            samples: (B, C, H, W).
            rng: on their device.
            probability: that of a schedule, in place of the option.
        """
        self._check(samples)
        given = self.probability if probability is None else probability
        p = self.p if given is None else torch.full_like(self.p, given)
        wide = torch.promote_types(samples.dtype, torch.float32)
        images = samples.to(wide)
        chances = Chances(len(images), p, rng, wide)
        size = images.shape[2:]
        if "blit" in self.policy:
            images = blitted(images, blitting(chances, *size))
        if "geometry" in self.policy:
            moves = geometry(chances, *size)
            images = warped(images, moves, self.lowpass.to(wide))
        if "color" in self.policy:
            rarer = evolve(chances, p=p * self.color_share)
            images = recoloured(images, colours(rarer))
        if "cutout" in self.policy:
            images = cutout(images, chances)
        return images.to(samples.dtype)

    def _check(self, samples: Tensor) -> None:
        if samples.ndim != 4:
            raise ValueError(
                f"ada changes images (C, H, W), but a sample here has the shape "
                f"{tuple(samples.shape[1:])}; leave the augmentation out"
            )
        if "color" in self.policy and samples.shape[1] not in CHANNELS:
            raise ValueError(
                f"ada changes colours of 1, 3 or 4 channels, but a sample here has "
                f"{samples.shape[1]}; leave 'color' out of its policy"
            )

    @hookimpl
    @torch.no_grad()
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Move p; nobody waits for the device, but to say what p is."""
        if self.probability is not None:
            return
        sign = report.measurements.get(_R_T)
        if sign is None:
            raise UsageError(
                f"ada looks at the sign of real logits, and the loss "
                f"{type(run.assembly.loss).__name__} judges by none; its author has to "
                "name them by step.rank, or leave the augmentation out"
            )
        # of an update that was left out it may be NaN, which is to move nothing
        self.signs += torch.where(sign.isnan(), self.target, sign)
        if run.step % self.every == 0:
            train = run.assembly.train
            shown = self.every * train.batch_size * train.discriminator_updates
            over = self.signs / self.every - self.target
            self.p.add_(over.sign() * (shown / self.images)).clamp_(0, 1)
            self.signs.zero_()
        if run.due(run.assembly.train.log_every):
            run.measure("augmented", float(self.p))
