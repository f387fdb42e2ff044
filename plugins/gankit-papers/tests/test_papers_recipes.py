"""The recipes say what the papers say."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
import torch
from torch import nn

import gankit_papers
from gankit import Shapes, read_recipe
from gankit.recipe.recipe import Recipe

NAMES = [part.name for part in gankit_papers.gankit_parts()]
OURS = ("quickstart", "gaussians")  # their data is drawn


def _read(name: str) -> Recipe:
    root = [] if name in OURS else ["dataset.root=somewhere"]
    return read_recipe(name, root)


def _built(name: str, role: str, condition: int) -> nn.Module:
    recipe = _read(name)
    size = {"mlp-gan": 28, "cgan": 28, "dcgan": 32, "text-to-image": 64}[name]
    channels = 3 if name == "text-to-image" else 1
    shapes = Shapes((channels, size, size), recipe.noise.size, condition)
    with torch.device("meta"):
        built: nn.Module = getattr(recipe, role).build(shapes)
    return built


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_toml_file_is_registered() -> None:
    """A file without a name, or a name without a file, would be lost."""
    files = {
        path.name.removesuffix(".toml")
        for path in resources.files("gankit_papers").iterdir()
        if path.name.endswith(".toml")
    }
    assert files == set(NAMES)


def test_the_first_gan_has_the_papers_sizes() -> None:
    """Goodfellow et al. 2014: 100-1200-1200-784, and maxout 240 x 5 twice."""
    generator = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    assert _count(_built("mlp-gan", "generator", 0)) == generator
    maxout = 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
    assert _count(_built("mlp-gan", "discriminator", 0)) == maxout


def test_the_conditional_gan_has_the_papers_sizes() -> None:
    """Mirza & Osindero 2014, section 4.1."""
    generator = 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert _count(_built("cgan", "generator", 10)) == generator
    discriminator = 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241
    assert _count(_built("cgan", "discriminator", 10)) == discriminator


def test_the_convolutional_gans_weights_are_those_of_their_layers() -> None:
    """Reed et al. 2016: 228 -> 1024 at 4 x 4 -> 512 -> 256 -> 128 -> 3, kernel 4."""
    shapes = [
        tuple(p.shape) for p in _built("text-to-image", "generator", 1024).parameters()
    ]
    assert (128, 1024) in shapes  # text 1024 -> 128
    first = 228 * 1024 * 16
    assert any(torch.Size(s).numel() == first for s in shapes)
    for wide in ((1024, 512), (512, 256), (256, 128), (128, 3)):
        assert (*wide, 4, 4) in shapes


def _schedule(recipe: Recipe, option: str, time: float) -> float:
    optimizer = recipe.optimizers["generator"]
    initial = optimizer.options[option]
    return optimizer.schedule[option](initial, time)


def test_the_schedules_are_the_papers() -> None:
    """Rates divided at each update, halved every 100 epochs."""
    first, second = _read("mlp-gan"), _read("cgan")
    assert _schedule(first, "lr", 1000) == pytest.approx(0.1 / 1.000004**1000)
    assert _schedule(second, "lr", 1000) == pytest.approx(0.1 / 1.00004**1000)
    for recipe in (first, second):
        assert _schedule(recipe, "lr", 10**9) == 1e-6
    reed = _read("text-to-image")
    halved = [_schedule(reed, "lr", epoch) for epoch in (0, 99, 100, 599)]
    assert halved == [2e-4, 2e-4, 1e-4, 2e-4 / 32]


@pytest.mark.parametrize("name", ["mlp-gan", "cgan"])
@pytest.mark.parametrize(
    ("epoch", "momentum"),
    [
        (1, 0.5),
        (2, 0.5 + 0.2 / 249),
        (100, 0.5 + 0.2 * 99 / 249),
        (250, 0.7),
        (300, 0.7),
    ],
)
def test_momentum_is_the_authors_at_the_start_of_an_epoch(
    name: str, epoch: int, momentum: float
) -> None:
    """Goodfellow et al. 2014, the code: from 0.5 in epoch 1 to 0.7 in epoch 250.

    An extension sets it by a count of its calls, of which one is before epoch 1, so
    that the count is the number of the epoch: a share (count - 1)/(250 - 1) of the way.
    """
    passes = epoch - 1
    assert _schedule(_read(name), "momentum", passes) == pytest.approx(momentum)


def test_noise_is_the_papers() -> None:
    """Uniform with variance 1; the unit hypercube; (-1, 1); standard normal."""
    noises: dict[str, Any] = {name: _read(name).noise for name in NAMES}
    wide = noises["mlp-gan"]
    assert (wide.high - wide.low) ** 2 / 12 == pytest.approx(1.0)
    assert (noises["cgan"].low, noises["cgan"].high) == (0.0, 1.0)
    assert (noises["dcgan"].low, noises["dcgan"].high) == (-1.0, 1.0)
    assert noises["text-to-image"].distribution == "normal"
    assert all(noises[name].size == 100 for name in NAMES if name not in OURS)


def test_the_quickstart_can_be_asked_for_what_it_never_saw() -> None:
    """Apart are 24 of 216: 12 things beside 9 of another colour, in two ways."""
    data = _read("quickstart").dataset.build()
    assert len(data.facts.annotations["label"].names) == 12 * 9 * 2 == 216
    unseen = data.splits["unseen"]()
    withheld = {unseen.annotations(index)["label"] for index in range(500)}
    seen = {data.annotations(index)["label"] for index in range(2000)}
    assert len(withheld) == 24
    assert not withheld & seen


@pytest.mark.parametrize("name", NAMES)
def test_each_recipe_is_whole_and_is_written_back_as_it_was_read(name: str) -> None:
    """Nothing is missing but, for pictures of one's own, the folder."""
    recipe = read_recipe(name, ["dataset.root=x"] if name == "text-to-image" else [])
    assert read_recipe(recipe.as_table()).as_table() | {"provenance": {}} == (
        recipe.as_table() | {"provenance": {}}
    )


def test_text_to_image_asks_for_a_folder() -> None:
    """The one thing that it cannot know."""
    with pytest.raises(ValueError, match=r"dataset.root: is missing"):
        read_recipe("text-to-image")
