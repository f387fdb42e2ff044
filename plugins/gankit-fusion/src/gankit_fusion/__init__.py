"""Networks that fuse a text into a picture at every scale. Tao et al. 2022, DF-GAN."""

from __future__ import annotations

from collections.abc import Iterable

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield the networks of this package."""
    yield Part(
        "generator",
        "fusion",
        "gankit_fusion.generator:FusionGenerator",
        summary="Features scaled and shifted by the text at every scale; DF-GAN",
    )
    yield Part(
        "discriminator",
        "fusion",
        "gankit_fusion.discriminator:FusionDiscriminator",
        summary="Residual halvings to one logit of picture and text; DF-GAN",
    )
