"""The recipes of papers, each number with its source, and a quickstart."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl

_SUMMARIES = {
    "mlp-gan": "The first GAN, on MNIST (Goodfellow et al. 2014)",
    "cgan": "Digits by their label (Mirza & Osindero 2014)",
    "dcgan": "Convolutional, digits by their label (Radford et al. 2015)",
    "dcgan-small": "The same, narrow: digits in ten minutes on a CPU",
    "text-to-image": "Pictures from captions of yours (Reed et al. 2016)",
    "sngan": "Spectral norms, residual, CIFAR-10 (Miyato et al. 2018)",
    "sngan-small": "The same on digits, minutes on a CPU",
    "cgan-projection": "Labels by projection, CIFAR-10 (Miyato & Koyama 2018)",
    "cgan-projection-small": "The same on digits, minutes on a CPU",
    "r3gan": "A baseline of today, CIFAR-10 (Huang et al. 2024)",
    "r3gan-small": "The same on digits, minutes on a CPU",
    "low-data": "Adaptive augmentation for a few hundred pictures (Karras et al. 2020)",
    "text-fusion": "Pictures from captions of yours (DF-GAN, Tao et al. 2022)",
    "text-fusion-small": "The same at 64 x 64, for two CPU cores",
    "gaussians": "Eight Gaussians on a ring, whose modes are counted",
    "gaussians-grid": "Twenty-five Gaussians on a grid, whose modes are counted",
    "stacked-mnist": "Three digits in one picture, whose thousand modes are counted",
    "quickstart": "Drawn scenes from their captions, minutes on a CPU",
}


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield one recipe for each TOML file beside this module."""
    for name, summary in _SUMMARIES.items():
        yield Part("recipe", name, f"gankit_papers:{name}.toml", summary=summary)
