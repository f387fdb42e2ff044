"""``gankit plugins``: what is installed, what it brings, and why it does not load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from gankit.cli import Context, plugin_options
from gankit.cli.tables import show_table
from gankit.plugins.registry import Registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@plugin_options
@click.pass_obj
def plugins(context: Context, as_json: bool) -> None:
    """List the plugins that loaded, those that failed and why, and those left out.

    What is loaded is Python code of its authors, and runs with your rights.
    GANKIT_LOAD_PLUGINS=NAME,NAME loads no other installed plugins than these.
    """
    told = list(_described(context.discover()))
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    rows = [
        (
            one["plugin"],
            "file" if one["file"] else one["version"] or "",
            "" if one["import_ms"] is None else f"{one['import_ms']:.1f} ms",
            _said(one),
        )
        for one in told
    ]
    show_table(("PLUGIN", "VERSION", "IMPORT", "BRINGS"), rows, right=("IMPORT",))


def _described(registry: Registry) -> Iterator[dict[str, Any]]:
    """Describe every plugin: those that loaded, that failed, and that were left out."""
    watching = registry.hooks.watching()
    parts: dict[str, dict[str, list[str]]] = {}
    for entry in registry.entries():
        kinds = parts.setdefault(entry.plugin.name, {})
        kinds.setdefault(entry.part.kind, []).append(entry.part.name)
    for plugin in registry.plugins:
        commands = registry.commands_of.get(plugin.name, ())
        yield {
            **_named(plugin.name, plugin.source, registry, "loaded"),
            "note": plugin.note,
            "import_ms": round(1000 * plugin.seconds, 3),
            "parts": parts.get(plugin.name, {}),
            "commands": [command.name for command in commands],
            "watches": plugin.name in watching,
        }
    for other in registry.left_out:
        named = _named(other.plugin, other.version, registry, "left out")
        yield {**named, "reason": other.reason}
    for failure in registry.failures:
        named = _named(failure.plugin, failure.source, registry, "failed")
        yield {**named, "reason": f"at {failure.stage}: {failure.reason}"}


def _named(name: str, source: str, registry: Registry, status: str) -> dict[str, Any]:
    """Begin the description of a plugin."""
    local = source in map(str, registry.files)
    return {
        "plugin": name,
        "version": None if local else source,
        "file": source if local else None,
        "status": status,
        "reason": "",
        "note": "",
        "import_ms": None,
        "parts": {},
        "commands": [],
        "watches": False,
    }


def _said(one: dict[str, Any]) -> str:
    """Say in words what a plugin brings, or why it is not there."""
    if one["status"] == "failed":
        return f"FAILED {one['reason']}"
    if one["status"] == "left out":
        return f"left out: {one['reason']}"
    brings = [f"{kind} {len(names)}" for kind, names in one["parts"].items()]
    brings += ["command " + ", ".join(one["commands"])] if one["commands"] else []
    brings += ["watches every run"] if one["watches"] else []
    told = [", ".join(brings) or "nothing", one["file"], one["note"]]
    return "; ".join(filter(None, told))
