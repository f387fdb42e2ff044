"""Recipe → networks, loss, data: each part built by its factory, in turn."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import nn

from gankit.contracts import Conditioner, Dataset, NoiseSource
from gankit.data.facts import Facts
from gankit.errors import GankitError, MisfitError, told
from gankit.game.assembly import Assembly, Provenance
from gankit.game.forms import malformed
from gankit.game.misfits import (
    augmentation_misfits,
    misfits,
    network_misfits,
    shapes_of,
)
from gankit.game.places import numbered, watching_misfits
from gankit.game.settings import PLAYERS
from gankit.randomness import key
from gankit.recipe.recipe import Recipe
from gankit.recipe.using import Use


def assemble(recipe: Recipe) -> Assembly:
    """Build the parts of a recipe, after checking on no memory that they fit.

    Raises:
        MisfitError: everything that does not fit, at once.
        DataError: the data set cannot be read.
    """
    building = _Building(recipe)
    dataset = building.part("dataset", recipe.dataset)
    loss = building.part("loss", recipe.loss)
    lists = {key: building.parts(key, uses) for key, uses in recipe.lists.items()}
    noise = building.noise()
    building.check()
    facts = dataset.facts
    conditioner = building.conditioner(facts)
    if conditioner is not None or recipe.conditioner is None:
        building.problems += misfits(dataset, conditioner, loss, recipe.train)
    building.problems += augmentation_misfits(lists["augmentations"], facts, loss)
    parts = {"dataset": dataset, "loss": loss, "noise": noise, **numbered(lists)}
    building.problems += watching_misfits(
        {"conditioner": conditioner, **parts}, recipe.origins
    )
    building.check()
    shapes = shapes_of(facts, noise, conditioner)
    with suppress(_NoMetaError), torch.device("meta"):
        networks = building.networks(shapes)
        if not building.problems:
            building.problems += network_misfits(*networks, shapes, facts)
            named = dict(zip(PLAYERS, networks, strict=True))
            building.problems += watching_misfits(named, recipe.origins)
    building.check()
    generator, discriminator = building.networks(shapes)
    building.check()
    return Assembly(
        dataset=dataset,
        generator=generator,
        discriminator=discriminator,
        loss=loss,
        train=recipe.train,
        conditioner=conditioner,
        penalties=lists.pop("penalties"),
        augmentations=lists.pop("augmentations"),
        hooks=lists.pop("hooks"),
        others=lists,
        noise=noise,
        optimizers=recipe.optimizers,
        schedules=recipe.schedules,
        provenance=Provenance(
            name=recipe.name, parts=recipe.origins, table=recipe.as_table()
        ),
    )


def assemble_player(
    recipe: Recipe, facts: Facts, player: str
) -> tuple[nn.Module, Conditioner | None, NoiseSource]:
    """Build a player and what makes its inputs, with no data set.

    Raises:
        MisfitError: the parts do not fit the recorded facts.
    """
    building = _Building(recipe)
    conditioner, noise = building.conditioner(facts), building.noise()
    building.check()
    shapes = shapes_of(facts, noise, conditioner)
    network = building.part(player, getattr(recipe, player), shapes)
    building.check()
    return network, conditioner, noise


def assemble_dataset(recipe: Recipe) -> Dataset:
    """Build the data set of a recipe alone.

    Raises:
        DataError: it cannot be read.
        MisfitError: it refuses its options.
    """
    building = _Building(recipe)
    dataset: Dataset = building.part("dataset", recipe.dataset)
    building.check()
    return dataset


class _NoMetaError(Exception):
    """A network that cannot be built without memory, as one that calls ``.item()``."""


class _Building:
    """Parts that are being built, and what is wrong with them so far."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.problems: list[str] = []

    def check(self) -> None:
        """Raise for everything that was wrong until now."""
        if self.problems:
            raise MisfitError(
                f"the parts of the recipe {self.recipe.name!r} do not go together:",
                self.problems,
            )

    def part(self, place: str, use: Use, *given: object) -> Any:
        """Build a part; a ValueError of its own becomes one of the problems.

        The numbers that it draws meanwhile follow from the run's seed and its place.
        """
        torch.manual_seed(key(self.recipe.train.seed, "weights", place))
        try:
            part = use.build(*given)
            self.problems += malformed(place, part)
            return part
        except GankitError:
            raise  # a data set's own error says all there is to say
        except ValueError as error:
            self.problems.append(f"{place} {use.entry.part.name!r}: {error}")
            return None
        except Exception as error:  # a stranger's code may raise anything
            if torch.get_default_device().type == "meta":
                raise _NoMetaError from error
            self.problems.append(
                f"{place} {use.entry.name!r}: its constructor raised {told(error)}; "
                "its author has to mend it"
            )
            return None

    def parts(self, place: str, uses: tuple[Use, ...]) -> tuple[Any, ...]:
        """Build the parts of a list."""
        return tuple(self.part(f"{place}.{i}", use) for i, use in enumerate(uses))

    def noise(self) -> Any:
        """Build the noise, where it is a part."""
        noise = self.recipe.noise
        return self.part("noise", noise) if isinstance(noise, Use) else noise

    def conditioner(self, facts: Facts) -> Any:
        """Build the conditioner, if there is one."""
        use = self.recipe.conditioner
        return None if use is None else self.part("conditioner", use, facts)

    def networks(self, shapes: object) -> tuple[Any, Any]:
        """Build both networks, on torch's default device."""
        return (
            self.part("generator", self.recipe.generator, shapes),
            self.part("discriminator", self.recipe.discriminator, shapes),
        )
