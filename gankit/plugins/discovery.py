"""Finds plugins, loads each in isolation, and asks each for what it brings.

The loop over entry points is ours, because pluggy's own drops one of two entry points
of the same name silently and lets one broken import stop everything. Of a plugin that
fails at any stage nothing is kept but the reason, and its kinds if those were sound:
parts of other plugins may be of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

from gankit.contracts.kinds import KINDS, OWN_BLOCKS, Command, Kind, Part
from gankit.errors import PluginError
from gankit.plugins.choosing import Installed, choose, disabled
from gankit.plugins.hooks import Hooks
from gankit.plugins.importing import import_file
from gankit.plugins.registry import Entry, Failure, Plugin, Registry, kind_of
from gankit.plugins.versions import check_core_version

GROUP = "gankit"
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
            variable ``GANKIT_DISABLE_PLUGINS`` lists, separated by commas. Where there
            is a ``GANKIT_LOAD_PLUGINS``, no other installed plugins than it lists are
            loaded.

    Raises:
        PluginError: a local file cannot be used, or ``GANKIT_LOAD_PLUGINS`` names a
            plugin that is not installed.
    """
    hooks = Hooks(disabled(disable))
    found = _Found(hooks)
    chosen, without = choose(tuple(_installed()), hooks.off)
    for plugin in chosen:
        found.load(plugin)
    paths = tuple(dict.fromkeys(Path(file).resolve() for file in files))
    for path in paths:
        if path.stem not in hooks.off:
            found.load_file(path)
    found.ask()
    return Registry(
        plugins=tuple(found.plugins),
        failures=tuple(found.failures),
        left_out=without,
        files=paths,
        kinds=found.kinds,
        commands_of=found.commands,
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
        self.commands: dict[str, tuple[Command, ...]] = {}  # by plugin
        self._hooks = hooks

    def load(self, installed: Installed) -> None:
        """Import an installed plugin, or remember why that failed."""
        name, version, entry = installed.name, installed.version, installed.entry
        stage, light = "version", "torch" not in sys.modules
        try:
            check_core_version(installed.requires)
            stage, start = "import", perf_counter()
            module = entry.load()
            seconds = perf_counter() - start
            stage = "hooks"
            self._hooks.add(name, module)
        except (Exception, SystemExit) as error:  # a stranger's may raise anything
            self.failures.append(Failure(name, version, stage, error))
            return
        note = _HEAVY if light and "torch" in sys.modules else ""
        self.plugins.append(Plugin(name, version, module, note, seconds))

    def load_file(self, path: Path) -> None:
        """Import a local plugin file.

        Raises:
            PluginError: there is none, or it failed.
        """
        if not path.is_file():
            raise PluginError(
                f"there is no plugin file {str(path)!r}; give the path of a .py file"
            )
        start = perf_counter()
        try:
            module = import_file(path)
            seconds = perf_counter() - start
            self._hooks.add(path.stem, module)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            raise PluginError(
                f"the plugin file {str(path)!r} failed: {type(error).__name__}: {error}"
            ) from error
        source = str(path)
        self.plugins.append(Plugin(path.stem, source, module, seconds=seconds))

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
            commands = self._yielded(plugin, "commands", Command)
            self.commands[plugin.name] = tuple(commands)

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


def _installed() -> Iterator[Installed]:
    """Yield each entry point with its plugin's name and version: its distribution's.

    Those of unknown distributions come last, named by themselves, so that none takes
    the name of a known one.
    """
    points = sorted(
        ((*_owner(entry), entry) for entry in entry_points(group=GROUP)),
        key=lambda owned: (not owned[0], owned[0], owned[-1].name),
    )
    several = {a for (a, *_), (b, *_) in pairwise(points) if a == b} - {""}
    for owner, version, requires, entry in points:
        name = f"{owner}.{entry.name}" if owner in several else owner or entry.name
        yield Installed(name, owner, version, requires, entry)


def _owner(entry: EntryPoint) -> tuple[str, str, Sequence[str]]:
    """Return an entry point's distribution: name, version, and what it asks for.

    The name is empty where the distribution does not tell it.
    """
    dist: Any = entry.dist
    try:
        told = dist.metadata  # is read and parsed at each look
        requires = told.get_all("Requires-Dist") or dist.requires or ()
        return told["Name"] or "", told["Version"] or "", requires
    except Exception:  # an interrupted installation may lack its metadata
        return "", "", ()
