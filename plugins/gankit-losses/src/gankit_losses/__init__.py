"""Losses and penalties of the papers since 2014, DiffAugment and ADA."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the losses, penalties and augmentations of this package."""
    yield Part(
        "loss",
        "minimax",
        "gankit_losses.minimax:Minimax",
        summary="The zero-sum game of the first GAN, and of CGAN",
    )
    yield Part(
        "loss",
        "non-saturating",
        "gankit_losses.non_saturating:NonSaturating",
        summary="-log D(G(z)) for the generator; GAN, DCGAN",
    )
    yield Part(
        "loss",
        "least-squares",
        "gankit_losses.least_squares:LeastSquares",
        summary="Squared distance of logits to targets; LSGAN",
    )
    yield Part(
        "loss",
        "hinge",
        "gankit_losses.hinge:Hinge",
        summary="Margin loss of SAGAN and BigGAN",
    )
    yield Part(
        "loss",
        "wasserstein",
        "gankit_losses.wasserstein:Wasserstein",
        summary="Difference of mean logits; WGAN, needs gradient-penalty",
    )
    yield Part(
        "loss",
        "relativistic",
        "gankit_losses.relativistic:Relativistic",
        summary="Real and fake judged in pairs; RpGAN, R3GAN",
    )
    yield Part(
        "loss",
        "matching-aware",
        "gankit_losses.matching_aware:MatchingAware",
        summary="Real with a wrong condition is fake too; GAN-CLS, GAN-INT",
    )
    yield Part(
        "loss",
        "matching-aware-hinge",
        "gankit_losses.matching_aware_hinge:MatchingAwareHinge",
        summary="The same by margins; DF-GAN",
    )
    yield Part(
        "penalty",
        "r1",
        "gankit_losses.r1:R1",
        summary="Squared gradient at real samples",
    )
    yield Part(
        "penalty",
        "r2",
        "gankit_losses.r2:R2",
        summary="Squared gradient at generated samples",
    )
    yield Part(
        "penalty",
        "gradient-penalty",
        "gankit_losses.gradient_penalty:GradientPenalty",
        summary="Gradient norm drawn to 1 between real and fake; WGAN-GP",
    )
    yield Part(
        "penalty",
        "matching-aware",
        "gankit_losses.matching_aware_penalty:MatchingAwarePenalty",
        summary="Gradient by sample and condition where they match; DF-GAN",
    )
    yield Part(
        "augmentation",
        "diffaugment",
        "gankit_losses.diffaugment:DiffAugment",
        summary="Colour, translation and cutout for small data sets",
    )
    yield Part(
        "augmentation",
        "ada",
        "gankit_losses.ada:Ada",
        summary="Changes as the discriminator overfits; StyleGAN2-ADA",
    )
    yield Part(
        "augmentation",
        "instance-noise",
        "gankit_losses.instance_noise:InstanceNoise",
        summary="Normal noise on real and generated samples",
    )
