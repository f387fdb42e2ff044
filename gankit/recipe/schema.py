"""The JSON schema of a recipe, from the parts that are installed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from gankit.contracts.kinds import OfKind
from gankit.contracts.limits import Range
from gankit.errors import PartError, PluginError
from gankit.game.noise import Noise
from gankit.game.settings import PLAYERS, Train
from gankit.plugins.options import Option, options_of
from gankit.plugins.registry import Entry, Registry
from gankit.recipe.blocks import optimizer_names
from gankit.recipe.recipe import NEEDED
from gankit.recipe.using import kind_within
from gankit.recipe.values import can_state, default_of, unstructure
from gankit.recipe.words import is_union

_SCHEMA_TYPES = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "string",
    dict: "object",
    list: "array",
    tuple: "array",
}

# a part within a part, where it is not said which parts there are
_A_PART = {
    "type": "object",
    "properties": {"use": {"type": "string"}},
    "required": ["use"],
}


def options_schema(options: Iterable[Option]) -> dict[str, Any]:
    """Return the schema of a table of options."""
    options = list(options)
    return {
        "type": "object",
        "properties": {option.name: _property(option) for option in options},
        "required": [option.name for option in options if option.required],
        "additionalProperties": False,
    }


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """Return the schema of a recipe: for each block, any part there is.

    Parts that cannot be imported are left out.
    """
    properties: dict[str, Any] = {
        "description": {"type": "string"},
        "plugins": {"type": "array", "items": {"type": "string"}},
        "provenance": {"type": "object"},
        "noise": {
            "anyOf": [
                options_schema(options_of(Noise)),
                *_choices(registry, "noise"),
            ]
        },
        "train": options_schema(options_of(Train)),
        "optimizer": _optimizer_schema(),
        "schedule": {"type": "object"},
    }
    for key in NEEDED:
        properties[key] = _block_schema(registry, key)
    properties["conditioner"] = {
        "anyOf": [_block_schema(registry, "conditioner"), {"const": "none"}]
    }
    for key, kind in registry.blocks.items():
        properties[key] = {"type": "array", "items": _block_schema(registry, kind)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A gankit recipe",
        "type": "object",
        "$defs": {
            kind: _block_schema(registry, kind) for kind in _kinds_within(registry)
        },
        "properties": properties,
        "required": [*NEEDED, "train"],
        "additionalProperties": False,
    }


def json_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = json_schema(args[0])
        for limit in args[1:]:
            schema |= _limits(limit) if isinstance(limit, Range) else {}
            schema = dict(_A_PART) if isinstance(limit, OfKind) else schema
        return schema
    if origin is Literal:
        return {"enum": list(args)}
    if is_union(kind):
        return {"anyOf": [json_schema(a) for a in args if a is not type(None)]}
    if origin is tuple and args[-1:] != (...,):
        return {
            "type": "array",
            "prefixItems": [json_schema(a) for a in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin in (tuple, list):
        return {"type": "array", "items": json_schema(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": json_schema(args[1])}
    if kind is Path:
        return {"type": "string", "minLength": 1}
    if kind is Any:
        return {}
    name = _SCHEMA_TYPES.get(origin or kind)
    return {"type": name} if name else {"not": {}}  # what no recipe can hold


def _block_schema(registry: Registry, kind: str) -> dict[str, Any]:
    choices = _choices(registry, kind)
    return {"oneOf": choices} if choices else {"type": "object"}


def _choices(registry: Registry, kind: str) -> list[dict[str, Any]]:
    choices = []
    entries = registry.entries(kind)
    for entry in entries:
        twins = sum(e.part.name == entry.part.name for e in entries)
        known = [entry.name] if twins > 1 else [entry.part.name, entry.name]
        try:
            schema = options_schema(entry.options)
            within = _parts_within(registry, entry)
        except (PluginError, PartError):
            continue
        for name, inner in within.items():
            schema["properties"][name] |= {"$ref": f"#/$defs/{inner}"}
        use = {"enum": known, "description": entry.part.summary}
        schema["properties"] = {"use": use, **schema["properties"]}
        schema["required"] = ["use", *schema["required"]]
        choices.append(schema)
    return choices


def _parts_within(registry: Registry, entry: Entry) -> dict[str, str]:
    """Name the options of a part that are parts again, with their kinds."""
    kinds = {option.name: kind_within(option) for option in entry.options}
    return {name: registry.kind(kind).name for name, kind in kinds.items() if kind}


def _kinds_within(registry: Registry) -> list[str]:
    """Name the kinds of which there are parts within others."""
    found: set[str] = set()
    for entry in registry.entries():
        if entry.part.kind == "recipe":
            continue
        with suppress(PluginError, PartError):
            found |= set(_parts_within(registry, entry).values())
    return sorted(found)


def _optimizer_schema() -> dict[str, Any]:
    block = {
        "use": {"anyOf": [{"enum": optimizer_names()}, {"pattern": "^[^:]+:[^:]+$"}]},
        "clip": {"type": "number", "minimum": 0},
        "schedule": {"type": "object"},
    }
    own = {"type": "object", "properties": block}
    return {"type": "object", "properties": block | dict.fromkeys(PLAYERS, own)}


def _property(option: Option) -> dict[str, Any]:
    schema = json_schema(option.type)
    if option.help:
        schema["description"] = option.help
    if not option.required and can_state(default_of(option), option.type):
        schema["default"] = unstructure(option.default)
    return schema


def _limits(limit: Range) -> dict[str, float]:
    names = {"minimum": limit.at_least, "maximum": limit.at_most}
    names["exclusiveMinimum"] = limit.above
    return {name: value for name, value in names.items() if value is not None}
