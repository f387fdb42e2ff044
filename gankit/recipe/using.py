"""A part that a recipe uses, with its options, some of which may be parts again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from attrs import frozen

from gankit.contracts.kinds import OWN_BLOCKS, OfKind
from gankit.errors import GankitError, PartError, PluginError
from gankit.plugins.options import Option
from gankit.plugins.registry import Entry, Registry
from gankit.recipe.values import given, option_table, structure_options
from gankit.recipe.words import is_union

_DEEPEST = 8  # parts within parts; a table of Python's may hold itself


@frozen
class Use:
    """A part that a recipe uses, with all of its options."""

    entry: Entry
    options: dict[str, Any]

    @property
    def inner(self) -> dict[str, Use]:
        """The parts among the options."""
        return {k: v for k, v in self.options.items() if isinstance(v, Use)}

    def build(self, *given: object) -> Any:
        """Call the part's factory."""
        return self.builder()(*given)

    def builder(self) -> Callable[..., Any]:
        """Return what builds the part, given what its kind is given."""
        inner = {
            name: _Inner(name, use.entry.part.name, use.entry.kind.given, use.builder())
            for name, use in self.inner.items()
        }
        return partial(self.entry.factory, **(self.options | inner))

    def within(self, place: str) -> dict[str, Use]:
        """Name this part and those within it by their places."""
        named = {place: self}
        for name, use in self.inner.items():
            named |= use.within(f"{place}.{name}")
        return named

    def as_table(self) -> dict[str, Any]:
        """Return the block, with the long name, which no new plugin makes ambiguous."""
        return {
            "use": self.entry.name,
            **option_table(self.options, self.entry.options),
            **{name: use.as_table() for name, use in self.inner.items()},
        }


@frozen
class _Inner:
    """Builds a part within a part; an error says which of the two it is of.

    It holds nothing that cannot be copied or pickled, because its owner may.
    """

    option: str
    name: str
    takes: int
    build: Callable[..., Any]

    def __call__(self, *given: object) -> Any:
        if len(given) != self.takes:
            raise PluginError(
                f"{self.option} {self.name!r} was given {len(given)} arguments, and "
                f"its kind is given {self.takes}; the author of the part around it "
                "has to mend that"
            )
        try:
            return self.build(*given)
        except GankitError:
            raise
        except ValueError as error:
            raise ValueError(f"{self.option} {self.name!r}: {error}") from error


def kind_within(option: Option) -> str | None:
    """Return the kind of the part that an option is; None for what is no part."""
    members = get_args(option.type) if is_union(option.type) else (option.type,)
    notes = (note for kind in members for note in getattr(kind, "__metadata__", ()))
    return next((note.kind for note in notes if isinstance(note, OfKind)), None)


def structure_use(
    kind: str, block: Any, path: str, registry: Registry, problems: list[str]
) -> Use | None:
    """Find the part that a block names, and convert its options; None if there is none.

    Args:
        kind: of the part.
        block: the table.
        path: where it stands in the recipe.
        registry: of all parts.
        problems: told what is wrong.
    """
    if not isinstance(block, Mapping) or not isinstance(block.get("use"), str):
        problems.append(f"{path}: names no part; set {path}.use")
        return None
    if path.count(".") > _DEEPEST:
        problems.append(f"{path}: these are too many parts within each other")
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

    def convert(value: Any, option: Option, where: str, problems: list[str]) -> Any:
        inner = kind_within(option)
        if inner is None or (value is None and option.default is None):
            return given(value, option, where, problems)
        return structure_use(inner, value, where, registry, problems)

    return Use(entry, structure_options(options, takes, path, problems, convert))


def same_part(
    registry: Registry, path: tuple[str, ...], block: Mapping[str, Any], other: object
) -> bool:
    """Tell whether another name is of the part that a block uses."""
    if path[0] in OWN_BLOCKS or not isinstance(other, str):
        return bool(block["use"] == other)
    own = registry.blocks.get(path[0], path[0])
    outermost = len(path) == (3 if path[1].isdigit() else 2)
    options = block.keys() - {"use"}
    # of a part within a part the kind is not known here, and its name tells enough
    return any(
        registry.same(kind, block["use"], other, options)
        for kind in ([own] if outermost else registry.kinds)
    )
