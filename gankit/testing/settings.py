"""A game that a part under test takes part in, and what it looks at there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from attrs import define, frozen
from torch import Tensor, nn

from gankit.compute.device import Precision
from gankit.contracts import UNBOUNDED, Shapes
from gankit.data.columns import Columns, as_read
from gankit.data.reading import read_data
from gankit.errors import BrokenItem
from gankit.game.misfits import shapes_of
from gankit.game.step import Step
from gankit.game.trial import FewSamples
from gankit.randomness import generator, global_stream
from gankit.recipe.recipe import Recipe
from gankit.recipe.using import Use

CPU = torch.device("cpu")
BATCH = (
    8  # samples that a part is asked about; the doubles' three classes do not divide it
)


@define(eq=False, slots=False)
class Parts:
    """The parts of a game by their place in a recipe, built and not yet tried."""

    named: dict[str, Any]
    place: str  # of the part under test

    def __getitem__(self, place: str) -> Any:
        """Give the part of a place, or None."""
        return self.named.get(place)

    @property
    def part(self) -> Any:
        """The part under test."""
        return self.named[self.place]

    @property
    def shapes(self) -> Shapes:
        """What the networks have to fit."""
        facts = self["dataset"].facts
        return shapes_of(facts, self["noise"], self["conditioner"])

    def to(self, device: torch.device) -> Parts:
        """Move the modules among them, as a run does."""
        for part in self.named.values():
            if isinstance(part, nn.Module):
                part.to(device)
        return self

    @cached_property
    def batch(self) -> FewSamples:
        """The first whole items, as the game sees them; they are read once."""
        items = []
        dataset = self["dataset"]
        for index in range(len(dataset)):
            try:
                items.append(dataset[index])
            except BrokenItem:
                continue
            if len(items) == BATCH:
                break
        known = Columns(dataset.facts.annotations, len(items))
        for row, item in enumerate(items):
            known.put(row, item.annotations)
        annotations = known.rows(torch.arange(len(items)))
        samples = torch.stack([item.sample for item in items])
        if hasattr(dataset, "transform"):
            samples = dataset.transform(samples, generator("cpu", 0, "transform"))
        if samples.dtype == torch.uint8:
            low, high = self["generator"].output_range
            low, high = (-1.0, 1.0) if (low, high) == UNBOUNDED else (low, high)
            samples = samples.float() * (high - low) / 255 + low
        return FewSamples(samples.float(), self._tokens(annotations), annotations)

    def _tokens(self, annotations: Mapping[str, Any]) -> Tensor | None:
        conditioner = self["conditioner"]
        if conditioner is None:
            return None
        if hasattr(conditioner, "fit"):
            self._fit(conditioner)
        tokens: Tensor = conditioner.tokens(as_read(annotations[conditioner.reads]))
        return tokens

    def _fit(self, conditioner: Any) -> None:
        """Fit a conditioner to all items, as a run does before it asks for tokens."""
        low_high = self["generator"].output_range
        data = read_data(self["dataset"], device=CPU, output_range=low_high)
        data.reads = conditioner.reads
        with global_stream(CPU, 0, "fit"):
            conditioner.fit(
                data, device=CPU, seed=0, progress=lambda done, total, text: None
            )

    def step(
        self,
        player: str,
        batch: FewSamples,
        *,
        rng: Callable[[str], torch.Generator] = lambda use: generator("cpu", 0, use),
        discriminator: nn.Module | None = None,
    ) -> Step:
        """Return a look at the game, as a player has it in its round.

        Args:
            player: who moves.
            batch: of real samples.
            rng: gives a stream for each purpose.
            discriminator: takes the place of that of the game.
        """
        noise = self["noise"]
        return Step(
            index=0,
            batch=batch,  # type: ignore[arg-type] # a batch by its members
            generator=self["generator"],
            discriminator=discriminator or self["discriminator"],
            conditioner=self["conditioner"],
            augmentations=[],
            draw_noise=lambda count, rng: noise(count, rng),
            rng=rng,
            precision=Precision("fp32", CPU),
            generator_moves=player == "generator",
        )


@frozen(eq=False)
class Setting:
    """A game in which a part takes part.

    Attributes:
        recipe: with the part in its place.
        place: of the part.
        misfit: why the game cannot be played, or "".
    """

    recipe: Recipe
    place: str
    misfit: str = ""

    @property
    def told(self) -> str:
        """What the part is tried with, for its author."""
        data, noise = self.recipe.dataset, self.recipe.noise
        size = noise.entry.part.name if isinstance(noise, Use) else noise.size
        shape = data.options.get("shape", "")
        return (
            f"the data set {data.entry.part.name} {shape}".rstrip()
            + f", the noise {size}, the discriminator "
            f"{self.recipe.discriminator.entry.part.name} and "
            f"{'a' if self.recipe.conditioner else 'no'} conditioner"
        )

    @property
    def use(self) -> Use:
        """The part under test, with its options."""
        return self.recipe.uses[self.place]

    def parts(self, seed: int = 0) -> Parts:
        """Build all parts, their first numbers drawn from a seed."""
        recipe, named = self.recipe, dict[str, Any]()

        def build(place: str, use: Use, *given: object) -> Any:
            with global_stream(CPU, seed, "weights", place):
                named[place] = use.build(*given)
            return named[place]

        dataset = build("dataset", recipe.dataset)
        noise = recipe.noise
        named["noise"] = build("noise", noise) if isinstance(noise, Use) else noise
        if recipe.conditioner is not None:
            build("conditioner", recipe.conditioner, dataset.facts)
        shapes = shapes_of(dataset.facts, named["noise"], named.get("conditioner"))
        build("generator", recipe.generator, shapes)
        build("discriminator", recipe.discriminator, shapes)
        build("loss", recipe.loss)
        for block, uses in recipe.lists.items():
            for i, use in enumerate(uses):
                build(f"{block}.{i}", use)
        return Parts(named, self.place)
