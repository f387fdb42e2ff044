"""Convolutional networks of Radford et al. 2015, and their form in Reed et al. 2016."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the networks of this package, and what inverts a generator."""
    yield Part(
        "generator",
        "dcgan",
        "gankit_dcgan.generator:DCGANGenerator",
        summary="Transposed convolutions from 4x4 up to square images",
    )
    yield Part(
        "discriminator",
        "dcgan",
        "gankit_dcgan.discriminator:DCGANDiscriminator",
        summary="Strided convolutions from square images down to 4x4",
    )
    yield Part(
        "inversion",
        "style-encoder",
        "gankit_dcgan.style:StyleEncoder",
        summary="Noise of pictures, learnt from generated ones; Reed et al. 2016",
    )
