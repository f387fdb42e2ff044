"""(kind, name) → part; ambiguity and absence are explained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from gankit.contracts.kinds import Command, Kind, Origin, Part
from gankit.errors import PartError, PluginError, listed, nearest
from gankit.plugins.hooks import Hooks
from gankit.plugins.importing import resolve

if TYPE_CHECKING:
    from gankit.plugins.options import Option


@frozen
class Plugin:
    """A plugin that loaded; ``source`` is its distribution's version, or its file."""

    name: str
    source: str
    module: Any = field(repr=False)
    note: str = ""  # what its author should know
    seconds: float = field(default=0.0, eq=False)  # that importing it took


@frozen
class Failure:
    """A plugin that did not load: at which stage, and with which error."""

    plugin: str
    source: str
    stage: str  # "version", "import", "hooks", "parts" or "commands"
    error: BaseException

    @property
    def reason(self) -> str:
        """The error in one line."""
        text = " ".join(str(self.error).split())
        return f"{type(self.error).__name__}: {text}" if text else repr(self.error)

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} failed at {self.stage}: {self.reason}"


@frozen
class LeftOut:
    """An installed plugin that was not to be loaded, and why: "disabled", as it is."""

    plugin: str
    version: str
    reason: str


@frozen(slots=False)
class Entry:
    """A registered part: what it is, whose it is, and how to get at it."""

    part: Part
    kind: Kind
    plugin: Plugin

    @property
    def name(self) -> str:
        """The long name, ``plugin/part``, which is never ambiguous."""
        return self.origin.name

    @property
    def origin(self) -> Origin:
        """Where the part is from, to be written down."""
        return Origin(self.plugin.name, self.part.name, self.plugin.source)

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
        from gankit.plugins.options import options_of

        return options_of(self.factory, self.kind.given)


@frozen(kw_only=True, eq=False)
class Registry:
    """Every part of the plugins that loaded, by kind and name; and their commands.

    Attributes:
        plugins: those that loaded, all of them whole.
        failures: those that did not, at whichever stage.
        left_out: installed plugins that were not to be loaded.
        files: the local plugin files among them.
        commands_of: the commands that each plugin adds, by its name.
        hooks: of all that loaded.
    """

    plugins: tuple[Plugin, ...]
    failures: tuple[Failure, ...]
    left_out: tuple[LeftOut, ...]
    files: tuple[Path, ...]
    kinds: Mapping[str, Kind]
    commands_of: Mapping[str, tuple[Command, ...]]
    hooks: Hooks = field(repr=False)
    _entries: tuple[Entry, ...] = field(repr=False)

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

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that plugins add."""
        return tuple(chain.from_iterable(self.commands_of.values()))

    @property
    def blocks(self) -> dict[str, str]:
        """The lists that a recipe may have, each with the kind of its parts."""
        return {kind.block: name for name, kind in self.kinds.items() if kind.block}

    def kind(self, name: str) -> Kind:
        """Find a kind.

        Raises:
            PartError: no such kind.
        """
        return kind_of(self.kinds, name)

    def find(self, kind: str, name: str) -> Entry:
        """Find a part by its short name, or by its long name ``plugin/part``.

        Raises:
            PartError: no part has that name, or several have it.
        """
        of_kind = self.entries(kind)
        named = [e for e in of_kind if name in (e.part.name, e.name)]
        if len(named) == 1:
            return named[0]
        if named:
            raise PartError(
                f"several plugins bring a {kind} named {name!r}; "
                f"say which: {' or '.join(repr(e.name) for e in named)}"
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

    def in_use(self, parts: Iterable[Origin]) -> dict[str, str]:
        """Return the versions of the plugins that a run of these parts is made with.

        Theirs, and those that watch every run. A local file has its path for a version.
        """
        used = {origin.plugin for origin in parts} | self.hooks.watching()
        return {p.name: p.source for p in self.plugins if p.name in used}

    def _absence(self, kind: str, name: str, of_kind: tuple[Entry, ...]) -> str:
        known = {e.part.name: None for e in of_kind} | {e.name: None for e in of_kind}
        # who asks for `coverage` may not know which metric gives it
        asked = re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
        telling = [
            entry.part.name for entry in of_kind if asked.search(entry.part.summary)
        ]
        hint = nearest(name, known)
        if name and telling:
            hint = f"; did you mean {listed(telling)}, by the summary?"
        lines = [f"no {kind} named {name!r}{hint}"]
        elsewhere = [e.part.kind for e in self._entries if e.part.name == name]
        if elsewhere:
            lines.append(f"it is the name of a {' and of a '.join(elsewhere)}")
        owner = name.partition("/")[0] if "/" in name else None
        without = {other.plugin: other.reason for other in self.left_out}
        if owner in without:
            lines.append(f"the plugin {owner!r} is {without[owner]}")
        elif without and owner is None:
            lines.append("it may be in one that is left out, as `gankit plugins` says")
        lines.extend(f"it may be in a {failure}" for failure in self.failures)
        if len(lines) == 1 and not hint:
            lines.append(f"`gankit list {kind}` shows what there is")
        return "; ".join(lines)


def kind_of(kinds: Mapping[str, Kind], name: str) -> Kind:
    """Find a kind among those there are.

    Raises:
        PartError: no such kind.
    """
    if name in kinds:
        return kinds[name]
    raise PartError(
        f"no kind of part is named {name!r}{nearest(name, kinds)}; "
        f"the kinds are {listed(kinds)}"
    )


def names(entries: Iterable[Entry]) -> list[str]:
    """Return the name to ask for each entry: short, or long where it is ambiguous."""
    entries = list(entries)
    short = Counter((e.part.kind, e.part.name) for e in entries)
    return [
        e.part.name if short[e.part.kind, e.part.name] == 1 else e.name for e in entries
    ]
