"""The JSON schema of a recipe, from the parts that are installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gankit.errors import PluginError
from gankit.options import Option, options_of
from gankit.recipe import LISTS, NEEDED
from gankit.registry import Registry
from gankit.settings import PLAYERS, Noise, Train, optimizer_names
from gankit.structuring import json_schema, unstructure


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
        "noise": options_schema(options_of(Noise)),
        "train": options_schema(options_of(Train)),
        "optimizer": _optimizer_schema(),
    }
    for key in NEEDED:
        properties[key] = _block_schema(registry, key)
    properties["conditioner"] = {
        "anyOf": [_block_schema(registry, "conditioner"), {"const": "none"}]
    }
    for key, kind in LISTS.items():
        properties[key] = {"type": "array", "items": _block_schema(registry, kind)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A gankit recipe",
        "type": "object",
        "properties": properties,
        "required": [*NEEDED, "train"],
        "additionalProperties": False,
    }


def _block_schema(registry: Registry, kind: str) -> dict[str, Any]:
    choices = []
    entries = registry.entries(kind)
    for entry in entries:
        twins = sum(e.part.name == entry.part.name for e in entries)
        known = [entry.name] if twins > 1 else [entry.part.name, entry.name]
        try:
            schema = options_schema(entry.options)
        except PluginError:
            continue
        use = {"enum": known, "description": entry.part.summary}
        schema["properties"] = {"use": use, **schema["properties"]}
        schema["required"] = ["use", *schema["required"]]
        choices.append(schema)
    return {"oneOf": choices} if choices else {"type": "object"}


def _optimizer_schema() -> dict[str, Any]:
    block = {
        "use": {"enum": optimizer_names()},
        "clip": {"type": "number", "minimum": 0},
        "schedule": {"type": "object"},
    }
    own = {"type": "object", "properties": block}
    return {"type": "object", "properties": block | dict.fromkeys(PLAYERS, own)}


def _property(option: Option) -> dict[str, Any]:
    schema = json_schema(option.type)
    if option.help:
        schema["description"] = option.help
    if not option.required and option.default is not None:
        schema["default"] = unstructure(option.default)
    return schema
