"""``gankit list``, ``recipes`` and ``show``."""

from __future__ import annotations

import json
from typing import Any

import click

from gankit.cli import Context, plugin_options
from gankit.cli.tables import show_table, show_text
from gankit.plugins.options import own_doc
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
    else:
        rows = [
            (e.part.kind, name, e.plugin.name, e.part.summary)
            for e, name in zip(entries, names(entries), strict=True)
        ]
        show_table(("KIND", "NAME", "PLUGIN", "SUMMARY"), rows)
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
    else:
        rows = [
            (name, e.plugin.name, e.part.summary)
            for e, name in zip(entries, names(entries), strict=True)
        ]
        show_table(("RECIPE", "PLUGIN", "SUMMARY"), rows)
    _warn(registry)


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
    """Show the part NAME of KIND: what it is, what may be set, where it is from.

    Of a recipe its file is shown, of any other part a block to paste into a recipe.

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
        _show_recipe(registry, entry, schema=schema, as_json=as_json)
        return
    from gankit.recipe.schema import options_schema

    if schema:
        click.echo(json.dumps(options_schema(entry.options), indent=1))
    elif as_json:
        options = {"options": options_schema(entry.options)}
        click.echo(json.dumps(_explained(entry, registry) | options, indent=1))
    else:
        _show_part(entry, registry)


def _show_recipe(
    registry: Registry, entry: Entry, *, schema: bool, as_json: bool
) -> None:
    from gankit.recipe.files import registered, registered_table

    if schema:
        from gankit.recipe.schema import recipe_schema

        click.echo(json.dumps(recipe_schema(registry), indent=1))
    elif as_json:
        from gankit.recipe.recipe import structure_recipe

        recipe = structure_recipe(entry.part.name, registered_table(entry), registry)
        click.echo(json.dumps(recipe.as_table(), indent=1))
    else:
        text, path = registered(entry)
        click.echo(f"{text.rstrip()}\n")
        click.echo(f"# {path}, of {entry.plugin.name} {entry.plugin.source}")


def _show_part(entry: Entry, registry: Registry) -> None:
    from gankit.recipe.values import default_text
    from gankit.recipe.words import describe

    told = _explained(entry, registry)
    show_text(
        f"{entry.part.kind} {entry.name} {entry.plugin.source}: {entry.part.summary}"
    )
    if told["description"]:
        click.echo()
        show_text(told["description"])
    click.echo()
    rows = [
        (option.name, default_text(option), describe(option.type), option.help)
        for option in entry.options
    ]
    if rows:
        show_table(("OPTION", "DEFAULT", "TAKES", "MEANING"), rows)
    else:
        click.echo("It has no options.")
    click.echo(f"\n{told['toml']}\n")
    for paper in told["papers"]:
        click.echo(f"paper: {paper}")
    if told["file"]:
        click.echo(f"source: {told['file']}, line {told['line']}")


def _explained(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Describe a part by its code: this imports it, and so its libraries."""
    from gankit.plugins.background import papers_of, source_of
    from gankit.recipe.pasting import block_to_paste

    file, line = source_of(entry.factory) or (None, None)
    return _described(entry) | {
        "description": own_doc(entry.factory).partition("\nArgs:")[0].strip(),
        "papers": list(papers_of(entry.factory)),
        "file": file and str(file),
        "line": line,
        "toml": block_to_paste(entry, registry),
    }


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.part.kind,
        "name": entry.part.name,
        "long_name": entry.name,
        "plugin": entry.plugin.name,
        "version": entry.plugin.source,
        "summary": entry.part.summary,
    }


def _warn(registry: Registry) -> None:
    for failure in registry.failures:
        click.echo(f"warning: {failure}; see `gankit plugins`", err=True)
