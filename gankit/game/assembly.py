"""Parts that go together, ready to play; and what does not fit, said at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen
from torch import nn

from gankit.contracts import (
    Augmentation,
    Conditioner,
    Dataset,
    Loss,
    NoiseSource,
    Penalty,
)
from gankit.contracts.kinds import Origin
from gankit.errors import MisfitError
from gankit.game.misfits import Tried, try_out
from gankit.game.noise import Noise
from gankit.game.schedules import Schedule
from gankit.game.settings import ADAM, PLAYERS, Optimizer, Train


@frozen(kw_only=True)
class Provenance:
    """Where an assembly is from, to be written down with its run.

    Attributes:
        name: of the recipe, and so of the run.
        parts: where the part of each place in the recipe is from.
        table: the recipe with nothing left to defaults; None for parts that were made
            in Python, which no recipe builds again.
    """

    name: str = "run"
    parts: Mapping[str, Origin] = field(factory=dict)
    table: Mapping[str, Any] | None = None


@frozen(kw_only=True, eq=False)
class Assembly:
    """Parts that go together, ready to play.

    From a recipe it is what :func:`gankit.assemble` returns; from objects, build it
    yourself: only ``dataset``, ``generator``, ``discriminator``, ``loss`` and ``train``
    (with steps or epochs) are needed. ``hooks`` watch the run, and ``others`` are the
    parts of plugins' own kinds, by the name of their block in a recipe. ``schedules``
    are of ``train.ema`` and of ``penalties.0.weight``, by these names.

    Raises:
        MisfitError: everything that does not fit, at once.
    """

    dataset: Dataset
    generator: nn.Module
    discriminator: nn.Module
    loss: Loss
    train: Train
    conditioner: Conditioner | None = None
    penalties: Sequence[Penalty] = ()
    augmentations: Sequence[Augmentation] = ()
    hooks: Sequence[object] = ()
    others: Mapping[str, Sequence[object]] = field(factory=dict)
    noise: NoiseSource = field(factory=Noise)
    optimizers: dict[str, Optimizer] = field(
        factory=lambda: {p: Optimizer(use="Adam", options=dict(ADAM)) for p in PLAYERS}
    )
    schedules: Mapping[str, Schedule] = field(factory=dict)
    provenance: Provenance = field(factory=Provenance)
    tried: Tried = field(factory=Tried, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        found = try_out(self)
        if found.misfits:
            raise MisfitError("these parts do not go together:", found.misfits)
        object.__setattr__(self, "tried", found)  # frozen from here on

    @property
    def refuses_channels_last(self) -> str:
        """Why channels cannot lie last, or ""."""
        return self.tried.refuses_channels_last

    @property
    def judges_apart(self) -> bool:
        """Whether a sample is judged alike whatever others are beside it."""
        return self.tried.judges_apart

    @property
    def differentiated_twice(self) -> frozenset[str]:
        """Whose network is differentiated by what is differentiated again."""
        return self.tried.differentiated_twice

    def parts(self) -> dict[str, Any]:
        """Name all parts but the data set, by their place; the networks come first."""
        named: dict[str, object] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "conditioner": self.conditioner,
            "loss": self.loss,
            "noise": self.noise,
        }
        for place in ("penalties", "augmentations"):
            parts = getattr(self, place)
            named |= {f"{place}.{i}": part for i, part in enumerate(parts)}
        return {place: part for place, part in named.items() if part is not None}

    def networks(self) -> dict[str, nn.Module]:
        """Name the parts that are modules, by their place."""
        parts = self.parts().items()
        return {name: part for name, part in parts if isinstance(part, nn.Module)}

    def learning_with(self, player: str) -> list[nn.Module]:
        """List the modules whose parameters a player moves, its network first.

        A conditioner's are the discriminator's, who sees real samples with their
        conditions; other parts say so by ``learns_with``.
        """
        owner = {"generator": "generator"}
        owner |= dict.fromkeys(("discriminator", "conditioner"), "discriminator")
        return [
            part
            for place, part in self.parts().items()
            if isinstance(part, nn.Module)
            and owner.get(place, getattr(part, "learns_with", "")) == player
        ]


def player_of(penalty: Penalty) -> str:
    """Return the player to whose loss a penalty is added."""
    return getattr(penalty, "player", "discriminator")
