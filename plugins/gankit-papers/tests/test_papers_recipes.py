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
from gankit.testing import parametrize_parts
from gankit.testing.cases import Case

NAMES = [part.name for part in gankit_papers.gankit_parts()]
# for pictures of one's own
ASKING = ("text-to-image", "text-fusion", "text-fusion-small", "low-data")
OURS = ("quickstart", "gaussians", "gaussians-grid")  # their data is drawn


def _read(name: str) -> Recipe:
    root = [] if name in OURS else ["dataset.root=somewhere"]
    return read_recipe(name, root)


def _built(name: str, role: str, condition: int) -> nn.Module:
    recipe = _read(name)
    size = {"mlp-gan": 28, "cgan": 28, "text-to-image": 64}.get(name, 32)
    channels = 1 if name in ("mlp-gan", "cgan", "dcgan") else 3
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


@parametrize_parts(
    dist="gankit-papers",
    options={name: {"dataset.root": "somewhere"} for name in ASKING},
)
def test_conformance(check: Case) -> None:
    """Each recipe can be read, and listing them costs nothing."""
    check()


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
    first = _read("mlp-gan")
    assert _schedule(first, "lr", 1000) == pytest.approx(0.1 / 1.000004**1000)
    assert _schedule(first, "lr", 10**9) == 1e-6
    reed = _read("text-to-image")
    halved = [_schedule(reed, "lr", epoch) for epoch in (0, 99, 100, 599)]
    assert halved == [2e-4, 2e-4, 1e-4, 2e-4 / 32]


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
    epoch: int, momentum: float
) -> None:
    """Goodfellow et al. 2014, the code: from 0.5 in epoch 1 to 0.7 in epoch 250.

    An extension sets it by a count of its calls, of which one is before epoch 1, so
    that the count is the number of the epoch: a share (count - 1)/(250 - 1) of the way.
    """
    passes = epoch - 1
    assert _schedule(_read("mlp-gan"), "momentum", passes) == pytest.approx(momentum)


def test_noise_is_the_papers() -> None:
    """Uniform with variance 1, for CGAN ours; (-1, 1); standard normal."""
    noises: dict[str, Any] = {name: _read(name).noise for name in NAMES}
    for wide in (noises["mlp-gan"], noises["cgan"]):
        assert (wide.high - wide.low) ** 2 / 12 == pytest.approx(1.0)
    assert (noises["dcgan"].low, noises["dcgan"].high) == (-1.0, 1.0)
    assert noises["text-to-image"].distribution == "normal"
    seed = ("mlp-gan", "cgan", "dcgan", "text-to-image")
    assert all(noises[name].size == 100 for name in seed)
    sizes = {"sngan": 128, "cgan-projection": 128, "r3gan": 64}
    assert {name: noises[name].size for name in sizes} == sizes
    assert all(noises[name].distribution == "normal" for name in sizes)


@pytest.mark.parametrize(
    ("name", "generator", "discriminator"),
    [
        # 128 numbers; 256 channels three times; 128 four times, one logit
        ("sngan", 4_276_739, 1_053_824),
        # a gain and a shift a class in two norms of three blocks; a vector a class
        ("cgan-projection", 4_276_739 + 9 * 12 * 256, 1_053_824 + 10 * 128),
        # eight blocks of 768, 1,536 within; a class is 64 numbers beside the noise, and
        # 768 that are multiplied by as many in place of one logit
        (
            "r3gan",
            20_732_160 + 10 * 64 + 64 * 768,
            20_683_776 + 10 * 768 + 767 * 768,
        ),
    ],
)
def test_residual_networks_have_the_papers_sizes(
    name: str, generator: int, discriminator: int
) -> None:
    """As the tests of these networks count them by hand."""
    condition = 0 if name == "sngan" else 10
    assert _count(_built(name, "generator", condition)) == generator
    assert _count(_built(name, "discriminator", condition)) == discriminator


@pytest.mark.parametrize("name", ["sngan", "cgan-projection"])
def test_spectral_games_move_as_the_authors_do(name: str) -> None:
    """Adam 2e-4, 0, 0.9, to nought in 50,000 steps; five updates of one player."""
    recipe = _read(name)
    assert recipe.optimizers["generator"].options["betas"] == (0.0, 0.9)
    rates = [_schedule(recipe, "lr", step) for step in (0, 25_000, 50_000)]
    assert rates == pytest.approx([2e-4, 1e-4, 0])
    train = recipe.train
    assert (train.steps, train.batch_size) == (50_000, 64)
    assert train.discriminator_updates == 5


def test_r3gan_anneals_as_the_authors_do() -> None:
    """By half a cosine in 20 million images, 400 passes over 50,000."""
    recipe = _read("r3gan")
    adam = recipe.optimizers["discriminator"]
    passes = (0, 200, 400, 800)
    assert [_schedule(recipe, "lr", n) for n in passes] == pytest.approx(
        [2e-4, 1.25e-4, 5e-5, 5e-5]
    )
    second = [adam.schedule["betas.1"](0.9, n) for n in passes]
    assert second == pytest.approx([0.9, 0.945, 0.99, 0.99])
    for i, penalty in enumerate(recipe.penalties):
        gamma = penalty.options["weight"]
        planned = recipe.schedules[f"penalties.{i}.weight"]
        weights = [planned(gamma, n) for n in passes]
        assert weights == pytest.approx([0.05, 0.0275, 0.005, 0.005])
    probability = recipe.schedules["augmentations.0.probability"]
    steered = recipe.augmentations[0].options["probability"]
    strengths = [probability(steered, n) for n in passes]
    assert strengths == pytest.approx([0, 0.275, 0.55, 0.55])
    half_life = recipe.schedules["train.ema"]
    images = [half_life(recipe.train.ema, n) for n in passes]
    assert images == pytest.approx([1, 2.5e6, 5e6, 5e6], rel=1e-6)
    planned = [*adam.schedule.values(), *recipe.schedules.values()]
    assert {schedule.unit for schedule in planned} == {"epochs"}


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
    recipe = read_recipe(name, ["dataset.root=x"] if name in ASKING else [])
    assert read_recipe(recipe.as_table()).as_table() | {"provenance": {}} == (
        recipe.as_table() | {"provenance": {}}
    )


@pytest.mark.parametrize("name", ASKING)
def test_a_recipe_for_pictures_of_ones_own_asks_for_a_folder(name: str) -> None:
    """The one thing that it cannot know."""
    with pytest.raises(ValueError, match=r"dataset.root: is missing"):
        read_recipe(name)


def test_adaptive_augmentation_aims_at_the_papers_target() -> None:
    """Karras et al. 2020, section 3.1: 0.6, looked at every fourth minibatch."""
    built = _read("low-data").uses["augmentations.0"].build()
    assert (built.target, built.every) == (0.6, 4)
    assert built.policy == ("blit", "geometry", "color")


def test_text_fusion_has_the_papers_numbers() -> None:
    """Tao et al. 2022: k = 2, p = 6; the code's rates, widths and batch."""
    recipe = _read("text-fusion")
    (use,) = recipe.penalties
    assert (use.options["weight"], use.options["power"]) == (2.0, 6.0)
    rates = {p: o.options["lr"] for p, o in recipe.optimizers.items()}
    assert rates == {"generator": 1e-4, "discriminator": 4e-4}
    assert {o.options["betas"] for o in recipe.optimizers.values()} == {(0.0, 0.9)}
    widths = [getattr(recipe, p).options["width"] for p in recipe.optimizers]
    assert widths == [32, 32]
    assert (recipe.train.batch_size, recipe.dataset.options["size"]) == (32, 256)
    small = _read("text-fusion-small")
    assert small.penalties[0].options == {**use.options, "every": 4}
    assert small.loss.options == recipe.loss.options
