"""Which parts are meant: those of an installed plugin, of a file, or of a name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen
from packaging.utils import canonicalize_name

from gankit.errors import PartError, PluginError, UsageError, listed, nearest
from gankit.plugins.discovery import discover
from gankit.plugins.registry import Entry, Registry

PARTNERS = Path(__file__).with_name("kit_partners.py")  # a plugin like any


@frozen
class Target:
    """What is to be checked, in words that another process understands.

    Attributes:
        dist: an installed plugin, by its name.
        file: a local plugin file.
        name: a part, or parts of several kinds, by their short or long name.
        files: further local plugin files.
        disable: names of plugins that are left out.
    """

    dist: str = ""
    file: str = ""
    name: str = ""
    files: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.dist or self.file or self.name

    def found(self) -> tuple[Registry, tuple[Entry, ...]]:
        """Find the parts, among those of all plugins and of the kit.

        Raises:
            UsageError: there is no such target, it cannot be loaded, or has no parts.
        """
        own_file = [self.file] if self.file else []
        files: list[str | Path] = [PARTNERS, *self.files, *own_file]
        registry = discover(files, self.disable)
        if self.name:
            return registry, _of_name(self.name, registry)
        if self.file:
            own, what = str(Path(self.file).resolve()), "the plugin file"
            found = [e for e in registry.entries() if e.plugin.source == own]
        else:
            own, what = _plugin(self.dist, registry), "the plugin"
            found = [e for e in registry.entries() if _is_of(e.plugin.name, own)]
        for failure in registry.failures:
            if own == failure.source or _is_of(failure.plugin, own):
                raise PluginError(f"{failure}; mend that first")
        if not found:
            raise UsageError(
                f"{what} {str(self)!r} has no parts, so that there is nothing to "
                "check; yield them from gankit_parts, with @gankit.hookimpl above it"
            )
        return registry, tuple(found)


def target_of(
    word: str, files: Iterable[str] = (), disable: Iterable[str] = ()
) -> Target:
    """Read a word of the command line: a file, a plugin, or the name of parts.

    Raises:
        UsageError: it is none of these.
    """
    files, disable = tuple(files), tuple(disable)
    if word.endswith(".py") or Path(word).is_file():
        return Target(file=word, files=files, disable=disable)
    registry = discover(files, disable)
    plugins = _names(registry)
    if any(_is_of(name, word) for name in plugins):
        return Target(dist=word, files=files, disable=disable)
    parts = {e.part.name for e in registry.entries()}
    parts |= {e.name for e in registry.entries()}
    if word in parts:
        return Target(name=word, files=files, disable=disable)
    hint = nearest(word, [*plugins, *sorted(parts)])
    raise UsageError(
        f"{word!r} is no part, no plugin and no file{hint or '; '}"
        + ("" if hint else "`gankit list` shows the parts, `gankit plugins` the rest")
    )


def _plugin(name: str, registry: Registry) -> str:
    """Return the name of a plugin, as its distribution has it."""
    known = _names(registry)
    if any(_is_of(plugin, name) for plugin in known):
        return name
    for other in registry.left_out:
        if name == other.plugin:
            raise PluginError(
                f"the plugin {name!r} is left out ({other.reason}); load it to check it"
            )
    hint = nearest(name, known) or f"; there are {listed(known)}"
    raise PluginError(
        f"no plugin named {name!r} is installed{hint}; install it, as with "
        "`pip install -e .`, or name a file"
    )


def _names(registry: Registry) -> list[str]:
    """Name the plugins, those that failed too, but none of the kit's."""
    names = [plugin.name for plugin in registry.plugins]
    names += [failure.plugin for failure in registry.failures]
    return [name for name in names if name != PARTNERS.stem]


def _is_of(plugin: str, dist: str) -> bool:
    """Tell whether a plugin is a distribution's: its only one, or one of several."""
    same = canonicalize_name(plugin) == canonicalize_name(dist)
    return same or plugin.startswith(f"{dist}.")


def _of_name(name: str, registry: Registry) -> tuple[Entry, ...]:
    found = [e for e in registry.entries() if name in (e.part.name, e.name)]
    if not found:
        raise PartError(f"no part is named {name!r}")
    return tuple(found)
