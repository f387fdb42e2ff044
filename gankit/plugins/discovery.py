"""Finds plugins, loads each in isolation, and asks each for what it brings.

The loop over entry points is ours, because pluggy's own drops one of two entry points
of the same name silently and lets one broken import stop everything. Of a plugin that
fails at any stage nothing is kept but the reason, and its kinds if those were sound:
parts of other plugins may be of them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

from gankit.contracts.kinds import KINDS, OWN_BLOCKS, Command, Kind, Part
from gankit.errors import PluginError
from gankit.plugins.hooks import Hooks
from gankit.plugins.importing import import_file
from gankit.plugins.registry import Entry, Failure, Plugin, Registry, kind_of
from gankit.plugins.versions import check_core_version

GROUP = "gankit"
DISABLE = "GANKIT_DISABLE_PLUGINS"
_HEAVY = (
    "it imports torch, which makes every command two seconds slower; import it in the "
    "modules of its parts alone"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_BLOCK = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def discover(files: Iterable[str | Path] = (), disable: Iterable[str] = ()) -> Registry:
    """Load the installed plugins and the given local plugin files.

    Args:
        files: paths of local plugin files; unlike an installed plugin, one that cannot
            be imported raises, because it was asked for by name.
        disable: names of plugins to leave out, besides those that the environment
            variable ``GANKIT_DISABLE_PLUGINS`` lists, separated by commas.

    Raises:
        PluginError: a local file cannot be used.
    """
    listed = map(str.strip, os.environ.get(DISABLE, "").split(","))
    hooks = Hooks({*disable, *filter(None, listed)})
    found = _Found(hooks)
    disabled = []
    for name, source, entry in _entries():
        if name in hooks.off:
            disabled.append(name)
        else:
            found.load(name, source, entry)
    paths = tuple(dict.fromkeys(Path(file).resolve() for file in files))
    for path in paths:
        if path.stem not in hooks.off:
            found.load_file(path)
    found.ask()
    return Registry(
        plugins=tuple(found.plugins),
        failures=tuple(found.failures),
        disabled=tuple(disabled),
        files=paths,
        kinds=found.kinds,
        commands=tuple(found.commands),
        hooks=hooks,
        entries=tuple(found.entries),
    )


class _Found:
    """What has been found so far."""

    def __init__(self, hooks: Hooks) -> None:
        self.plugins: list[Plugin] = []
        self.failures: list[Failure] = []
        self.kinds = {kind.name: kind for kind in KINDS}
        self.entries: list[Entry] = []
        self.commands: list[Command] = []
        self._hooks = hooks

    def load(self, name: str, source: str, entry: EntryPoint) -> None:
        """Import an installed plugin, or remember why that failed."""
        stage = "version"
        try:
            check_core_version(entry.dist.requires or [] if entry.dist else [])
            stage = "import"
            light = "torch" not in sys.modules
            module = entry.load()
            heavy = light and "torch" in sys.modules
            stage = "hooks"
            self._hooks.add(name, module)
        except (Exception, SystemExit) as error:  # a stranger's may raise anything
            self.failures.append(Failure(name, source, stage, error))
        else:
            self.plugins.append(Plugin(name, source, module, _HEAVY if heavy else ""))

    def load_file(self, path: Path) -> None:
        """Import a local plugin file.

        Raises:
            PluginError: there is none, or it failed.
        """
        if not path.is_file():
            raise PluginError(
                f"there is no plugin file {str(path)!r}; give the path of a .py file"
            )
        try:
            module = import_file(path)
            self._hooks.add(path.stem, module)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            raise PluginError(
                f"the plugin file {str(path)!r} failed: {type(error).__name__}: {error}"
            ) from error
        self.plugins.append(Plugin(path.stem, str(path), module))

    def ask(self) -> None:
        """Ask every plugin for its kinds, parts and commands."""
        brought = {
            plugin.name: self._yielded(plugin, "parts", Part, Kind)
            for plugin in list(self.plugins)
        }
        # kinds first: another plugin's parts may be of one
        for take in (self._take_kinds, self._take_parts):
            for plugin in list(self.plugins):
                self._try(plugin, "parts", take, brought[plugin.name])
        for plugin in list(self.plugins):
            self.commands += self._yielded(plugin, "commands", Command)

    def _yielded(self, plugin: Plugin, what: str, *wanted: type) -> list[Any]:
        """Ask one plugin; one that fails yields nothing."""
        things: list[Any] = []

        def collect(_: Plugin, into: list[Any]) -> None:
            for implemented in self._hooks.of(plugin.name, f"gankit_{what}"):
                into += implemented()
            for thing in into:
                if not isinstance(thing, wanted):
                    known = " or ".join(cls.__name__ for cls in wanted)
                    raise TypeError(f"gankit_{what} yielded {thing!r}, not a {known}")

        return things if self._try(plugin, what, collect, things) else []

    def _try(
        self,
        plugin: Plugin,
        stage: str,
        take: Callable[[Plugin, list[Any]], None],
        things: list[Any],
    ) -> bool:
        """Take all that a plugin yields; or nothing of it, its hooks too, and why."""
        try:
            take(plugin, things)
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            self.failures.append(Failure(plugin.name, plugin.source, stage, error))
            self.plugins.remove(plugin)
            self.entries = [e for e in self.entries if e.plugin is not plugin]
            self._hooks.remove(plugin.name)
            return False
        return True

    def _take_kinds(self, plugin: Plugin, things: list[Part | Kind]) -> None:
        new = {thing.name: thing for thing in things if isinstance(thing, Kind)}
        taken = {*OWN_BLOCKS, *(kind.name for kind in KINDS)}
        taken |= {kind.block for kind in self.kinds.values()} - {""}
        for name, kind in new.items():
            _check_name(name, "a kind")
            if name in self.kinds:
                raise ValueError(f"the kind {name!r} exists already")
            if kind.block:
                _check_block(kind, taken)
                taken.add(kind.block)
        self.kinds |= new

    def _take_parts(self, plugin: Plugin, things: list[Part | Kind]) -> None:
        parts = [thing for thing in things if isinstance(thing, Part)]
        seen = set()
        for part in parts:
            kind_of(self.kinds, part.kind)
            _check_name(part.name, "a part")
            if (part.kind, part.name) in seen:
                raise ValueError(f"it brings two parts {part.kind} {part.name!r}")
            seen.add((part.kind, part.name))
        self.entries += [Entry(part, self.kinds[part.kind], plugin) for part in parts]


def _check_name(name: str, what: str) -> None:
    """Refuse what could not be told from the text around it."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name {what}: a name is made of letters, digits, "
            "'-', '_' and '.'"
        )


def _check_block(kind: Kind, taken: Iterable[str]) -> None:
    """Refuse a block that a recipe could not have, or not fill."""
    what = f"the block {kind.block!r} of the kind {kind.name!r}"
    if kind.block in taken:
        raise ValueError(f"{what} exists already; give it another name")
    if not _BLOCK.fullmatch(kind.block):
        raise ValueError(
            f"{what} cannot stand in a recipe: its name begins with a letter and is "
            "made of letters, digits, '-' and '_'"
        )
    if kind.given:
        raise ValueError(
            f"{what} is built with nothing given, and factories of that kind are given "
            f"{kind.given}; set given to 0, or leave the block out"
        )


def _entries() -> Iterable[tuple[str, str, EntryPoint]]:
    """Yield each entry point with its plugin's name and version: its distribution's."""
    points = sorted(
        ((*_owner(entry), entry) for entry in entry_points(group=GROUP)),
        key=lambda owned: (owned[0], owned[2].name),
    )
    several = {a for (a, _, _), (b, _, _) in pairwise(points) if a == b}
    for owner, source, entry in points:
        yield f"{owner}.{entry.name}" if owner in several else owner, source, entry


def _owner(entry: EntryPoint) -> tuple[str, str]:
    """Return the name and version of an entry point's distribution."""
    dist: Any = entry.dist
    try:
        return dist.name or entry.name, dist.version or ""
    except Exception:  # an interrupted installation may lack its metadata
        return entry.name, ""
