"""``gankit list``, ``show``, ``recipes`` and ``plugins``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from gankit.cli import Context, plugin_options
from gankit.plugins.options import Option, own_doc
from gankit.plugins.registry import Entry, Registry, names

_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")


@click.command()
@click.argument("kind", required=False)
@_JSON
@plugin_options
@click.pass_obj
def list_parts(context: Context, kind: str | None, as_json: bool) -> None:
    """List the parts there are, of one KIND or of all."""
    registry = context.discover()
    entries = registry.entries(kind)
    if as_json:
        click.echo(json.dumps([_described(entry) for entry in entries], indent=1))
        return
    rows = [
        (e.part.kind, name, e.plugin.name, e.part.summary)
        for e, name in zip(entries, names(entries), strict=True)
    ]
    _table(("KIND", "NAME", "PLUGIN", "SUMMARY"), rows)
    _warn(registry)


@click.command()
@_JSON
@plugin_options
@click.pass_obj
def recipes(context: Context, as_json: bool) -> None:
    """List the recipes there are."""
    registry = context.discover()
    entries = registry.entries("recipe")
    if as_json:
        click.echo(json.dumps([_described(entry) for entry in entries], indent=1))
        return
    rows = [
        (name, e.plugin.name, e.part.summary)
        for e, name in zip(entries, names(entries), strict=True)
    ]
    _table(("RECIPE", "PLUGIN", "SUMMARY"), rows)
    _warn(registry)


@click.command()
@_JSON
@plugin_options
@click.pass_obj
def plugins(context: Context, as_json: bool) -> None:
    """List the plugins that loaded, those that failed and why, and those left out."""
    rows = list(_plugin_rows(context.discover()))
    if as_json:
        keys = ("plugin", "version", "status", "detail")
        click.echo(
            json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1)
        )
        return
    _table(("PLUGIN", "VERSION", "STATUS", "DETAIL"), rows)


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@click.option(
    "--schema", is_flag=True, help="The JSON schema of a recipe or of options."
)
@_JSON
@plugin_options
@click.pass_obj
def show(
    context: Context, kind: str, name: str | None, schema: bool, as_json: bool
) -> None:
    """Show the part NAME of KIND: what it is, where it is from, what may be set.

    \b
    gankit show loss hinge
    gankit show recipe dcgan
    gankit show recipe dcgan --schema
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    registry = context.discover()
    if name is None:
        registry.kind(kind)
        raise click.UsageError(
            f"name a {kind}; `gankit list {kind}` shows what there is"
        )
    entry = registry.find(kind, name)
    if kind == "recipe":
        _show_recipe(registry, entry, name, schema=schema, as_json=as_json)
        return
    from gankit.recipe.schema import options_schema

    if schema:
        click.echo(json.dumps(options_schema(entry.options), indent=1))
    elif as_json:
        options = options_schema(entry.options)
        click.echo(json.dumps(_described(entry) | {"options": options}, indent=1))
    else:
        _show_part(entry)


def _show_recipe(
    registry: Registry, entry: Entry, name: str, *, schema: bool, as_json: bool
) -> None:
    from gankit.recipe.files import load_table
    from gankit.recipe.recipe import structure_recipe
    from gankit.recipe.schema import recipe_schema

    if schema:
        click.echo(json.dumps(recipe_schema(registry), indent=1))
        return
    _, table, _ = load_table(name, registry)
    if as_json:
        click.echo(
            json.dumps(structure_recipe(name, table, registry).as_table(), indent=1)
        )
        return
    from importlib import resources

    package, _, file = str(entry.part.factory).partition(":")
    click.echo(resources.files(package).joinpath(file).read_text("utf-8").rstrip())


def _show_part(entry: Entry) -> None:
    from gankit.recipe.words import describe

    click.echo(
        f"{entry.part.kind} {entry.name} {entry.plugin.source}: {entry.part.summary}"
    )
    text = own_doc(entry.factory).partition("\nArgs:")[0].strip()
    click.echo(f"\n{text}\n" if text else "")
    rows = [
        (
            option.name,
            default_text(option),
            describe(option.type),
            option.help,
        )
        for option in entry.options
    ]
    _table(("OPTION", "DEFAULT", "TAKES", "MEANING"), rows) if rows else click.echo(
        "It has no options."
    )


def default_text(option: Option) -> str:
    """Write a default for people to read, also one that no recipe can state."""
    from gankit.recipe.values import can_state, default_of, unstructure

    if option.required:
        return "required"
    default = default_of(option)
    if default is None or can_state(default, option.type):
        return json.dumps(unstructure(default))
    return str(getattr(default, "__qualname__", repr(default)))


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.part.kind,
        "name": entry.part.name,
        "long_name": entry.name,
        "plugin": entry.plugin.name,
        "version": entry.plugin.source,
        "summary": entry.part.summary,
    }


def _plugin_rows(registry: Registry) -> Iterable[tuple[str, ...]]:
    entries = registry.entries()
    for plugin in registry.plugins:
        count = sum(entry.plugin is plugin for entry in entries)
        note = f"; {plugin.note}" if plugin.note else ""
        yield plugin.name, plugin.source, "loaded", f"{count} parts{note}"
    for failure in registry.failures:
        detail = f"at {failure.stage}: {failure.reason}"
        yield failure.plugin, failure.source, "FAILED", detail
    for name in registry.disabled:
        yield name, "", "disabled", ""


def _warn(registry: Registry) -> None:
    for failure in registry.failures:
        click.echo(f"warning: {failure}; see `gankit plugins`", err=True)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    rows = [heads, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
