"""Fully connected networks: those of Goodfellow et al. and Mirza & Osindero, 2014."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the networks of this package."""
    yield Part(
        "generator",
        "mlp",
        "gankit_mlp.mlp_generator:MLPGenerator",
        summary="ReLU layers for samples of any shape; GAN and CGAN",
    )
    yield Part(
        "discriminator",
        "mlp",
        "gankit_mlp.mlp_discriminator:MLPDiscriminator",
        summary="(Leaky)ReLU layers for samples of any shape",
    )
    yield Part(
        "discriminator",
        "maxout",
        "gankit_mlp.maxout_discriminator:MaxoutDiscriminator",
        summary="Maxout layers with dropout; GAN and CGAN",
    )
