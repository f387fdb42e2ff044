"""Recipe → networks, loss, data: each part built by its factory, in turn."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gankit.errors import GankitError, MisfitError
from gankit.game.assembly import (
    Assembly,
    Provenance,
    augmentation_misfits,
    misfits,
    network_misfits,
    shapes_of,
)
from gankit.parts import Conditioner, Facts, Shapes
from gankit.randomness import key
from gankit.recipe.recipe import Recipe, Use


def assemble(recipe: Recipe) -> Assembly:
    """Build the parts of a recipe, after checking on no memory that they fit.

    Raises:
        MisfitError: everything that does not fit, at once.
        DataError: the data set cannot be read.
    """
    problems: list[str] = []
    dataset = _built("dataset", recipe.dataset, problems)
    loss = _built("loss", recipe.loss, problems)
    penalties = [
        _built(f"penalties.{i}", use, problems)
        for i, use in enumerate(recipe.penalties)
    ]
    augmentations = [
        _built(f"augmentations.{i}", use, problems)
        for i, use in enumerate(recipe.augmentations)
    ]
    _raise_for(problems, recipe)
    torch.manual_seed(key(recipe.train.seed, "weights", "conditioner"))
    conditioner = _conditioner(recipe, dataset.facts, problems)
    if conditioner is not None or recipe.conditioner is None:
        problems += misfits(dataset, conditioner, loss, recipe.train)
    problems += augmentation_misfits(augmentations, dataset.facts)
    _raise_for(problems, recipe)
    shapes = shapes_of(dataset.facts, recipe.noise, conditioner)
    with torch.device("meta"):
        generator = _built("generator", recipe.generator, problems, shapes)
        discriminator = _built("discriminator", recipe.discriminator, problems, shapes)
        if not problems:
            problems += network_misfits(generator, discriminator, shapes, dataset.facts)
    _raise_for(problems, recipe)
    return Assembly(
        dataset=dataset,
        generator=_network(recipe, recipe.generator, shapes, "generator"),
        discriminator=_network(recipe, recipe.discriminator, shapes, "discriminator"),
        loss=loss,
        train=recipe.train,
        conditioner=conditioner,
        penalties=penalties,
        augmentations=augmentations,
        noise=recipe.noise,
        optimizers=recipe.optimizers,
        provenance=Provenance(
            name=recipe.name,
            parts={place: use.entry.origin for place, use in recipe.uses.items()},
            table=recipe.as_table(),
        ),
    )


def assemble_generator(
    recipe: Recipe, facts: Facts
) -> tuple[nn.Module, Conditioner | None]:
    """Build what sampling a run needs, with no data set.

    Raises:
        MisfitError: the parts do not fit the recorded facts.
    """
    problems: list[str] = []
    conditioner = _conditioner(recipe, facts, problems)
    _raise_for(problems, recipe)
    shapes = shapes_of(facts, recipe.noise, conditioner)
    return _network(recipe, recipe.generator, shapes, "generator"), conditioner


def _raise_for(problems: list[str], recipe: Recipe) -> None:
    if problems:
        raise MisfitError(
            f"the parts of the recipe {recipe.name!r} do not go together:", problems
        )


def _built(path: str, use: Use, problems: list[str], *given: object) -> Any:
    """Build a part; a ValueError of its own becomes one of the problems."""
    try:
        return use.build(*given)
    except GankitError:
        raise  # a data set's own error says all there is to say
    except ValueError as error:
        problems.append(f"{path} {use.entry.part.name!r}: {error}")
        return None


def _network(recipe: Recipe, use: Use, shapes: Shapes, role: str) -> nn.Module:
    torch.manual_seed(key(recipe.train.seed, "weights", role))
    return use.build(shapes)  # type: ignore[no-any-return] # the contract of the kind


def _conditioner(recipe: Recipe, facts: Facts, problems: list[str]) -> Any:
    if recipe.conditioner is None:
        return None
    return _built("conditioner", recipe.conditioner, problems, facts)
