"""Make sure that a plugin is there, that none fails, and that its parts resolve."""

from __future__ import annotations

import sys

from gankit.plugins.discovery import discover
from gankit.plugins.importing import resolve

registry = discover()
failures = [str(failure) for failure in registry.failures]
assert not failures, failures
found = [e for e in registry.entries() if e.plugin.name == sys.argv[1]]
for entry in found:
    if entry.part.kind != "recipe":
        resolve(entry.part.factory)
for command in registry.commands:
    resolve(command.target)
assert found or registry.commands, f"{sys.argv[1]} brings nothing"
