"""Residual networks: Miyato et al. 2018, Miyato & Koyama 2018, Huang et al. 2024."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the networks of this package."""
    yield Part(
        "generator",
        "residual",
        "gankit_residual.residual_generator:ResidualGenerator",
        summary="Residual blocks that double, (conditional) batch norm; SNGAN",
    )
    yield Part(
        "discriminator",
        "residual",
        "gankit_residual.residual_discriminator:ResidualDiscriminator",
        summary="Residual blocks, spectral norms, projection; SNGAN, cGAN",
    )
    yield Part(
        "generator",
        "r3gan",
        "gankit_residual.r3gan_generator:R3GANGenerator",
        summary="Grouped residual blocks without norms, bilinear; R3GAN",
    )
    yield Part(
        "discriminator",
        "r3gan",
        "gankit_residual.r3gan_discriminator:R3GANDiscriminator",
        summary="The mirror of R3GAN's generator, down to a logit",
    )
