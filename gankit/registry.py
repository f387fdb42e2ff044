"""(kind, name) → part; ambiguity and absence are explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from attrs import frozen
from pluggy import HookImpl

from gankit.commands import Command
from gankit.errors import PartError, PluginError, listed, nearest
from gankit.options import Option, options_of
from gankit.parts import KINDS, Kind, Part
from gankit.plugins import Failure, Plugin, Plugins, discover, resolve


@frozen(slots=False)
class Entry:
    """A registered part: what it is, whose it is, and how to get at it."""

    part: Part
    kind: Kind
    plugin: Plugin

    @property
    def name(self) -> str:
        """The long name, ``plugin/part``, which is never ambiguous."""
        return f"{self.plugin.name}/{self.part.name}"

    @cached_property
    def factory(self) -> Callable[..., Any]:
        """The factory, imported now.

        Raises:
            PluginError: it cannot be imported, or is not callable.
        """
        if not isinstance(self.part.factory, str):
            return self.part.factory
        try:
            factory = resolve(self.part.factory)
        except PluginError as error:
            raise PluginError(f"{self.part.kind} {self.name!r}: {error}") from error
        if not callable(factory):
            raise PluginError(
                f"{self.part.kind} {self.name!r}: {self.part.factory!r} is not callable"
            )
        return factory  # type: ignore[no-any-return] # checked in the line above

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The options that a recipe may set."""
        return options_of(self.factory, self.kind.given)


class Registry:
    """Every part of the plugins that loaded, by kind and name; and their commands.

    Args:
        plugins: what discovery found; discovered afresh when left out.
    """

    def __init__(self, plugins: Plugins | None = None) -> None:
        self.plugins = discover() if plugins is None else plugins
        self._failures = list(self.plugins.failures)
        self.kinds: dict[str, Kind] = {kind.name: kind for kind in KINDS}
        self._entries: list[Entry] = []
        loaded = self.plugins.loaded
        yielded = [(p, self._yielded(p, "parts", Part, Kind)) for p in loaded]
        for (
            plugin,
            things,
        ) in yielded:  # kinds first: another plugin's parts may use one
            self._take(plugin, things, self._new_kinds)
        for plugin, things in yielded:
            self._take(plugin, things, self._new_entries)
        whole = [p for p in loaded if p.name not in {f.plugin for f in self._failures}]
        self.commands: tuple[Command, ...] = tuple(
            command for p in whole for command in self._yielded(p, "commands", Command)
        )

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every plugin that failed, at whichever stage."""
        return tuple(self._failures)

    def entries(self, kind: str | None = None) -> tuple[Entry, ...]:
        """List parts in order of kind and name; of one kind, if it is named.

        Raises:
            PartError: no such kind.
        """
        if kind is not None:
            self.kind(kind)
        order = list(self.kinds)
        return tuple(
            sorted(
                (e for e in self._entries if kind in (None, e.part.kind)),
                key=lambda e: (order.index(e.part.kind), e.part.name, e.name),
            )
        )

    def kind(self, name: str) -> Kind:
        """Find a kind.

        Raises:
            PartError: no such kind.
        """
        if name in self.kinds:
            return self.kinds[name]
        raise PartError(
            f"no kind of part is named {name!r}{nearest(name, self.kinds)}; "
            f"the kinds are {listed(self.kinds)}"
        )

    def find(self, kind: str, name: str) -> Entry:
        """Find a part by its short name, or by its long name ``plugin/part``.

        Raises:
            PartError: no part has that name, or several have it.
        """
        of_kind = self.entries(kind)
        found = [e for e in of_kind if name in (e.part.name, e.name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise PartError(
                f"several plugins bring a {kind} named {name!r}; "
                f"say which: {' or '.join(repr(e.name) for e in found)}"
            )
        raise PartError(self._absence(kind, name, of_kind))

    def same(
        self, kind: str, one: object, other: object, options: Iterable[str] = ()
    ) -> bool:
        """Tell whether two names are of one part: its short one and its long one.

        Where several plugins have a part of the short name, the long one is taken for
        the same if it has these options.
        """
        if one == other:
            return True
        entries = self.entries(kind)
        named = [e for e in entries if {one, other} <= {e.part.name, e.name}]
        if not named:
            return False
        if sum(e.part.name == named[0].part.name for e in entries) == 1:
            return True
        return set(options) <= {option.name for option in named[0].options}

    def _absence(self, kind: str, name: str, of_kind: tuple[Entry, ...]) -> str:
        known = {e.part.name: None for e in of_kind} | {e.name: None for e in of_kind}
        lines = [f"no {kind} named {name!r}{nearest(name, known)}"]
        elsewhere = [e.part.kind for e in self._entries if e.part.name == name]
        if elsewhere:
            lines.append(f"it is the name of a {' and of a '.join(elsewhere)}")
        owner = name.partition("/")[0] if "/" in name else None
        if owner in self.plugins.disabled:
            lines.append(f"the plugin {owner!r} is disabled")
        lines.extend(f"it may be in a {failure}" for failure in self._failures)
        if len(lines) == 1 and not nearest(name, known):
            lines.append(f"`gankit list {kind}` shows what there is")
        return "; ".join(lines)

    def _yielded(self, plugin: Plugin, what: str, *wanted: type) -> list[Any]:
        """Ask one plugin for its parts or commands; one that fails yields none."""
        hook = getattr(self.plugins.manager.hook, f"gankit_{what}")
        mine = [i for i in hook.get_hookimpls() if i.plugin is plugin.module]
        try:
            things: list[Any] = [thing for i in mine for thing in _call(i)]
            strange = [t for t in things if not isinstance(t, wanted)]
            if strange:
                known = " or ".join(cls.__name__ for cls in wanted)
                raise TypeError(f"gankit_{what} yielded {strange[0]!r}, not a {known}")
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything
            self._fail(plugin, what, error)
            return []
        return things

    def _fail(self, plugin: Plugin, stage: str, error: BaseException) -> None:
        """Remember why, and take back the plugin's hooks: all of it or nothing."""
        self._failures.append(Failure(plugin.name, plugin.source, stage, error))
        self.plugins.manager.unregister(plugin.module)

    def _take(
        self,
        plugin: Plugin,
        things: list[Part | Kind],
        take: Callable[[Plugin, list[Part | Kind]], None],
    ) -> None:
        """Take all of a plugin's yield, or none of it and remember why."""
        if any(f.plugin == plugin.name for f in self._failures):
            return
        try:
            take(plugin, things)
        except ValueError as error:
            self._fail(plugin, "parts", error)

    def _new_kinds(self, plugin: Plugin, things: list[Part | Kind]) -> None:
        new = [thing for thing in things if isinstance(thing, Kind)]
        for kind in new:
            if kind.name in self.kinds:
                raise ValueError(f"the kind {kind.name!r} exists already")
        self.kinds |= {kind.name: kind for kind in new}

    def _new_entries(self, plugin: Plugin, things: list[Part | Kind]) -> None:
        parts = [thing for thing in things if isinstance(thing, Part)]
        seen = set()
        for part in parts:
            self.kind(part.kind)
            if not part.name or "/" in part.name:
                raise ValueError(
                    f"{part.name!r} cannot name a part: it is empty or has a /"
                )
            if (part.kind, part.name) in seen:
                raise ValueError(f"it brings two parts {part.kind} {part.name!r}")
            seen.add((part.kind, part.name))
        self._entries += [Entry(part, self.kinds[part.kind], plugin) for part in parts]


def _call(implementation: HookImpl) -> Iterable[Any]:
    return implementation.function()  # type: ignore[return-value] # checked by the caller


def names(entries: Iterable[Entry]) -> list[str]:
    """Return the name to ask for each entry: short, or long where it is ambiguous."""
    entries = list(entries)
    short = [(e.part.kind, e.part.name) for e in entries]
    return [
        e.part.name if short.count((e.part.kind, e.part.name)) == 1 else e.name
        for e in entries
    ]
