"""A recipe read from TOML, overridden, checked, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from gankit.contracts.kinds import OWN_BLOCKS, Origin
from gankit.errors import RecipeError, listed, nearest
from gankit.game import noise as noises
from gankit.game.contradicting import contradictions
from gankit.game.noise import Noise
from gankit.game.places import numbered
from gankit.game.schedules import Schedule
from gankit.game.settings import PLAYERS, Optimizer, Train
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Registry
from gankit.plugins.versions import core_version
from gankit.recipe.blocks import (
    block_table,
    optimizer_table,
    schedules_table,
    structure_block,
    structure_optimizers,
)
from gankit.recipe.files import load_table
from gankit.recipe.overrides import override, parse_overrides
from gankit.recipe.scheduling import structure_schedules
from gankit.recipe.using import Use, same_part, structure_use
from gankit.recipe.values import structure

NEEDED = ("dataset", "generator", "discriminator", "loss")
_LISTS = ("penalties", "augmentations", "hooks")  # of the core's own kinds


@frozen(kw_only=True)
class Recipe:
    """A checked recipe: every part found, every option converted."""

    name: str
    description: str = ""
    dataset: Use
    generator: Use
    discriminator: Use
    loss: Use
    conditioner: Use | None = None
    penalties: tuple[Use, ...] = ()
    augmentations: tuple[Use, ...] = ()
    hooks: tuple[Use, ...] = ()
    others: dict[str, tuple[Use, ...]] = field(factory=dict)  # of plugins' own kinds
    noise: Noise | Use = field(factory=Noise)
    train: Train = field(factory=Train)
    optimizers: dict[str, Optimizer]
    schedules: dict[str, Schedule] = field(factory=dict)  # by what they are of
    registry: Registry = field(repr=False, eq=False)

    @property
    def lists(self) -> dict[str, tuple[Use, ...]]:
        """The parts of which there may be several, by their block."""
        return {key: getattr(self, key) for key in _LISTS} | self.others

    @property
    def uses(self) -> dict[str, Use]:
        """Every part in use, by its place in the recipe, those within others too."""
        single = {k: getattr(self, k) for k in (*NEEDED, "conditioner", "noise")}
        outer = {**single, **numbered(self.lists)}.items()
        found = [use.within(place) for place, use in outer if isinstance(use, Use)]
        return {place: use for named in found for place, use in named.items()}

    @property
    def origins(self) -> dict[str, Origin]:
        """Where the part of each place is from."""
        return {place: use.entry.origin for place, use in self.uses.items()}

    def as_table(self) -> dict[str, Any]:
        """Return the recipe with nothing left to defaults, and where parts are from.

        Reading the table again gives an equal recipe. A default that TOML cannot hold,
        as None or a class, is left out.
        """
        table: dict[str, Any] = {"description": self.description}
        files = [str(path) for path in self.registry.files]
        table |= {"plugins": files} if files else {}
        for key in (*NEEDED, "conditioner"):
            use = getattr(self, key)
            if use is not None:
                table[key] = use.as_table()
        for key, uses in self.lists.items():
            table |= {key: [u.as_table() for u in uses]} if uses else {}
        table["noise"] = (
            self.noise.as_table()
            if isinstance(self.noise, Use)
            else block_table(self.noise)
        )
        mine, theirs = (optimizer_table(self.optimizers[player]) for player in PLAYERS)
        table["optimizer"] = (
            mine if mine == theirs else dict(zip(PLAYERS, (mine, theirs), strict=True))
        )
        table["train"] = block_table(self.train)
        if self.schedules:
            table["schedule"] = schedules_table(self.schedules)
        table["provenance"] = {
            "recipe": self.name,
            "gankit": core_version(),
            "plugins": self.registry.in_use(self.origins.values()),
            "parts": {place: str(origin) for place, origin in self.origins.items()},
        }
        return table


def read_recipe(
    source: str | Path | Mapping[str, Any],
    overrides: Iterable[str] | Mapping[str, Any] = (),
    *,
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
) -> Recipe:
    """Read a recipe by name, path or table, override it, and check all of it.

    Args:
        source: the name of a registered recipe, the path of a TOML file, or a table.
        overrides: ``["loss.use=hinge", "generator.width=128"]`` or
            ``{"loss.use": "hinge", "generator": {"width": 128}}``.
        plugins: local plugin files, besides those that the recipe names.
        disable: plugins to leave out.

    Raises:
        RecipeError: everything that is wrong with it, at once.
        PartError: no recipe of that name.
        PluginError: a local plugin file failed.
    """
    plugins, disable = list(plugins), list(disable)
    registry = discover(plugins, disable)
    name, table, folder = load_table(source, registry)
    changes = parse_overrides(overrides)
    # they may bring blocks that are overridden
    of_plugins = [change for change in changes if change[0][0] == "plugins"]
    local = override(table, of_plugins, _blocks(registry)).get("plugins", [])
    if not isinstance(local, list) or not all(isinstance(p, str) for p in local):
        raise RecipeError(
            f"the recipe {name!r} cannot be followed:",
            [f"plugins: {local!r} is not a list of paths of plugin files"],
        )
    if local:
        registry = discover([*plugins, *(folder / p for p in local)], disable)

    same = partial(same_part, registry)
    changed = override(table, changes, _blocks(registry), same)
    return structure_recipe(name, changed, registry)


def structure_recipe(name: str, table: dict[str, Any], registry: Registry) -> Recipe:
    """Check a whole table, and gather every problem before raising.

    Raises:
        RecipeError: everything that is wrong.
    """
    blocks = _blocks(registry)
    problems = [
        f"{key}: no such block{nearest(key, blocks) or f'; there are {listed(blocks)}'}"
        + ("; if it is of a plugin's kind, load that plugin" * isinstance(block, list))
        for key, block in table.items()
        if key not in (*blocks, *OWN_BLOCKS)
    ]
    described = structure(table.get("description", ""), str, "description", problems)
    built: dict[str, Any] = {"description": described}
    for key in (*NEEDED, "conditioner"):
        if table.get(key) not in (None, "none"):
            built[key] = structure_use(key, table[key], key, registry, problems)
        elif key in NEEDED:
            problems.append(f"{key}: is missing; name one with {key}.use")
    lists: dict[str, Any] = {}
    for key, kind in registry.blocks.items():
        entries = table.get(key, [])
        if not isinstance(entries, list):
            problems.append(f"{key}: is not a list of tables; write [[{key}]]")
            continue
        lists[key] = tuple(
            structure_use(kind, entry, f"{key}.{i}", registry, problems)
            for i, entry in enumerate(entries)
        )
    built |= {key: lists.pop(key, ()) for key in _LISTS}
    noise = table.get("noise", {})
    if isinstance(noise, dict) and "use" in noise:
        built["noise"] = structure_use("noise", noise, "noise", registry, problems)
    else:
        built["noise"] = structure_block(Noise, noise, "noise", problems)
        problems += noises.contradictions(built["noise"])
    built["train"] = structure_block(Train, table.get("train", {}), "train", problems)
    built["optimizers"] = structure_optimizers(table.get("optimizer", {}), problems)
    built["schedules"] = structure_schedules(table, built, problems)
    problems += contradictions(built["train"])
    if problems:
        raise RecipeError(f"the recipe {name!r} cannot be followed:", problems)
    return Recipe(name=name, registry=registry, others=lists, **built)


def _blocks(registry: Registry) -> tuple[str, ...]:
    """Name the blocks that a recipe of these parts may have."""
    lists = registry.blocks
    return (*NEEDED, "conditioner", *lists, "noise", "optimizer", "schedule", "train")
