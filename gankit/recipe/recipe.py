"""A recipe read from TOML, overridden, checked, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from gankit.errors import PartError, PluginError, RecipeError, listed, nearest
from gankit.game import noise as noises
from gankit.game.noise import Noise
from gankit.game.settings import (
    ADAM,
    PLAYERS,
    Optimizer,
    Train,
    contradictions,
)
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Entry, Registry
from gankit.plugins.versions import core_version
from gankit.recipe.blocks import (
    block_table,
    optimizer_table,
    structure_block,
    structure_optimizer,
)
from gankit.recipe.files import load_table
from gankit.recipe.overrides import override, parse_overrides
from gankit.recipe.values import option_table, structure, structure_options

NEEDED = ("dataset", "generator", "discriminator", "loss")
LISTS = {"penalties": "penalty", "augmentations": "augmentation"}
_OF_PARTS = (*NEEDED, "conditioner", "noise", *LISTS)
BLOCKS = (*_OF_PARTS, "optimizer", "train")
OTHERS = ("description", "plugins", "provenance")


@frozen
class Use:
    """A part that a recipe uses, with all of its options."""

    entry: Entry
    options: dict[str, Any]

    def build(self, *given: object) -> Any:
        """Call the part's factory."""
        return self.entry.factory(*given, **self.options)

    def as_table(self) -> dict[str, Any]:
        """Return the block, with the long name, which no new plugin makes ambiguous."""
        return {
            "use": self.entry.name,
            **option_table(self.options, self.entry.options),
        }


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
    noise: Noise | Use = field(factory=Noise)
    train: Train = field(factory=Train)
    optimizers: dict[str, Optimizer]
    registry: Registry = field(repr=False, eq=False)

    @property
    def uses(self) -> dict[str, Use]:
        """Every part in use, by its place in the recipe."""
        single = {k: getattr(self, k) for k in (*NEEDED, "conditioner", "noise")}
        several = {
            f"{key}.{i}": use
            for key in LISTS
            for i, use in enumerate(getattr(self, key))
        }
        return {k: u for k, u in (single | several).items() if isinstance(u, Use)}

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
        for key in LISTS:
            uses = getattr(self, key)
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
        table["provenance"] = {
            "recipe": self.name,
            "gankit": core_version(),
            "parts": {place: str(use.entry.origin) for place, use in self.uses.items()},
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
    local = override(table, changes, BLOCKS).get("plugins", [])
    if not isinstance(local, list) or not all(isinstance(p, str) for p in local):
        raise RecipeError(
            f"the recipe {name!r} cannot be followed:",
            [f"plugins: {local!r} is not a list of paths of plugin files"],
        )
    if local:
        registry = discover([*plugins, *(folder / p for p in local)], disable)

    def same(name: str, block: Mapping[str, Any], other: object) -> bool:
        if name not in _OF_PARTS:
            return bool(block["use"] == other)
        options = block.keys() - {"use"}
        return registry.same(LISTS.get(name, name), block["use"], other, options)

    return structure_recipe(name, override(table, changes, BLOCKS, same), registry)


def structure_recipe(name: str, table: dict[str, Any], registry: Registry) -> Recipe:
    """Check a whole table, and gather every problem before raising.

    Raises:
        RecipeError: everything that is wrong.
    """
    problems = [
        f"{key}: no such block{nearest(key, BLOCKS) or f'; there are {listed(BLOCKS)}'}"
        for key in table
        if key not in (*BLOCKS, *OTHERS)
    ]
    described = structure(table.get("description", ""), str, "description", problems)
    built: dict[str, Any] = {"description": described}
    for key in (*NEEDED, "conditioner"):
        if table.get(key) not in (None, "none"):
            built[key] = _use(key, table[key], key, registry, problems)
        elif key in NEEDED:
            problems.append(f"{key}: is missing; name one with {key}.use")
    for key, kind in LISTS.items():
        blocks = table.get(key, [])
        if not isinstance(blocks, list):
            problems.append(f"{key}: is not a list of tables; write [[{key}]]")
            continue
        built[key] = tuple(
            _use(kind, block, f"{key}.{i}", registry, problems)
            for i, block in enumerate(blocks)
        )
    noise = table.get("noise", {})
    if isinstance(noise, dict) and "use" in noise:
        built["noise"] = _use("noise", noise, "noise", registry, problems)
    else:
        built["noise"] = structure_block(Noise, noise, "noise", problems)
        problems += noises.contradictions(built["noise"])
    built["train"] = structure_block(Train, table.get("train", {}), "train", problems)
    built["optimizers"] = _optimizers(table.get("optimizer", {}), problems)
    problems += contradictions(built["train"])
    if problems:
        raise RecipeError(f"the recipe {name!r} cannot be followed:", problems)
    return Recipe(name=name, registry=registry, **built)


def _use(
    kind: str, block: Any, path: str, registry: Registry, problems: list[str]
) -> Use | None:
    if not isinstance(block, dict) or not isinstance(block.get("use"), str):
        problems.append(f"{path}: names no part; set {path}.use")
        return None
    options = {key: value for key, value in block.items() if key != "use"}
    try:
        entry = registry.find(kind, block["use"])
        takes = entry.options
    except (PartError, PluginError) as error:
        optional = kind == "conditioner" and block["use"] == "none"
        hint = "; conditioner=none leaves it out" if optional else ""
        problems.append(f"{path}.use: {error}{hint}")
        return None
    return Use(entry, structure_options(options, takes, path, problems))


def _optimizers(block: Any, problems: list[str]) -> dict[str, Optimizer | None]:
    """Give each player its optimiser: the shared block under the player's own."""
    if not isinstance(block, dict):
        problems.append(f"optimizer: {block!r} is not a table")
        return {}
    shared = {key: value for key, value in block.items() if key not in PLAYERS}
    shared = _merged({"use": "Adam", **ADAM}, shared)
    both = structure_optimizer(shared, "optimizer", problems)
    optimizers: dict[str, Optimizer | None] = dict.fromkeys(PLAYERS, both)
    for player in PLAYERS:
        own = block.get(player, {})
        if not isinstance(own, dict):
            problems.append(f"optimizer.{player}: {own!r} is not a table")
        elif own and both is not None:
            path = f"optimizer.{player}"
            mine = structure_optimizer(_merged(shared, own), path, problems)
            optimizers[player] = mine
    return optimizers


def _merged(block: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    changes = [(("optimizer", key), value) for key, value in own.items()]
    merged: dict[str, Any] = override({"optimizer": block}, changes, BLOCKS)[
        "optimizer"
    ]
    return merged
