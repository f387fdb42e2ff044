"""The recipes of four papers, each number with its source, and a quickstart."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl

_SUMMARIES = {
    "mlp-gan": "The first GAN, on MNIST (Goodfellow et al. 2014)",
    "cgan": "Digits by their label (Mirza & Osindero 2014)",
    "dcgan": "Convolutional, digits by their label (Radford et al. 2015)",
    "text-to-image": "Pictures from captions of yours (Reed et al. 2016)",
    "gaussians": "Eight Gaussians on a ring, whose modes are counted",
    "quickstart": "Drawn scenes from their captions, minutes on a CPU",
}


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield one recipe for each TOML file beside this module."""
    for name, summary in _SUMMARIES.items():
        yield Part("recipe", name, f"gankit_papers:{name}.toml", summary=summary)
